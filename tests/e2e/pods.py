"""Pods under test: documents in few words, and what the API says of them afterwards.

Asking is done over one kept connection with the kubeconfig's own certificate, since a test asks hundreds of times;
everything that a person would type (apply, delete, logs, describe) goes through kubectl.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import ssl
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

from control.mirror import kubeconfig
from tests.e2e.conftest import Cluster, until

Document = dict[str, Any]
FAST: Document = {"periodSeconds": 1, "failureThreshold": 1}  # of a probe


def sh(script: str, **fields: Any) -> Document:
    """A container `main` that runs a shell script."""
    return {"name": "main", "image": "busybox", "command": ["/bin/sh", "-c", script], **fields}


def pod(name: str, *containers: Document, **spec: Any) -> Document:
    """A pod that leaves quickly; the first container's name is "main" unless it has one."""
    named = [{"name": "main", **container} for container in containers]
    spec = {"terminationGracePeriodSeconds": 1, "containers": named, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


def config_map(name: str, **data: str) -> Document:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


class Pods:
    """One namespace of one cluster."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        access = kubeconfig.load(cluster.kubeconfig)
        server = urlsplit(access.server)
        context = ssl.create_default_context(cadata=access.ca_pem)
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(access.certificate_pem + access.key_pem)
            file.flush()
            context.load_cert_chain(file.name)
        self.connection = http.client.HTTPSConnection(str(server.hostname), server.port, context=context, timeout=10)

    def ask(self, path: str, **query: str) -> Any:
        """A GET; None where there is nothing or nobody answers at the moment."""
        target = f"{path}?{urlencode(query)}" if query else path
        try:
            self.connection.request("GET", target)
            answer = self.connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            return None
        return json.loads(body) if answer.status == 200 else None

    # what a person types

    def kubectl(self, *arguments: str, check: bool = True, stdin: str = "") -> str:
        result = self.cluster.kubectl("-n", self.namespace, *arguments, check=check, stdin=stdin)
        return result.stdout if check else result.stdout + result.stderr

    def apply(self, *documents: Document) -> None:
        items = {"apiVersion": "v1", "kind": "List", "items": documents}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(items))

    def delete(self, *names: str, grace: int | None = None, wait: bool = True) -> None:
        options = [f"--wait={str(wait).lower()}"] + ([f"--grace-period={grace}"] if grace is not None else [])
        self.kubectl("delete", "pod", *names, *options)

    def logs(self, name: str, *options: str) -> str:
        return self.kubectl("logs", name, *options)

    # what the API says

    def get(self, name: str) -> Document:
        """The pod, or {}."""
        return self.ask(f"/api/v1/namespaces/{self.namespace}/pods/{name}") or {}

    def all(self) -> list[Document]:
        """Every pod of the namespace; fails where nobody answers, since "none" would be a wrong answer."""
        return list(until("an answer", lambda: self.ask(f"/api/v1/namespaces/{self.namespace}/pods"))["items"])

    def phase(self, name: str) -> str:
        return str(self.get(name).get("status", {}).get("phase", ""))

    def container(self, name: str, container: str = "main") -> Document:
        """A container's status, or {}."""
        status = self.get(name).get("status", {})
        found = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
        return next((said for said in found if said["name"] == container), {})

    def condition(self, name: str, type_: str) -> Document:
        conditions = self.get(name).get("status", {}).get("conditions") or ()
        return next((condition for condition in conditions if condition["type"] == type_), {})

    def events(self, name: str, reason: str = "") -> Sequence[str]:
        """Messages of a pod's events, oldest first: "Reason: message", or only messages of one reason."""
        fields = f"involvedObject.name={name},involvedObject.kind=Pod"
        items = (self.ask(f"/api/v1/namespaces/{self.namespace}/events", fieldSelector=fields) or {}).get("items", ())
        items = sorted(items, key=lambda event: event.get("firstTimestamp") or event.get("eventTime") or "")
        if reason:
            return [event["message"] for event in items if event["reason"] == reason]
        return [f"{event['type']} {event['reason']}: {event['message']}" for event in items]

    # what a test waits for

    def until_phase(self, name: str, phase: str, deadline_s: float = 30) -> Document:
        until(f"{name} {phase}", lambda: self.phase(name) == phase, deadline_s)
        return self.get(name)

    def until_state(self, name: str, state: str, container: str = "main", deadline_s: float = 30) -> Document:
        """The container's status once it is in `state`: running, terminated, waiting, or a waiting reason."""

        def found() -> Document:
            said = self.container(name, container)
            now = said.get("state") or {}
            return said if state in now or state == (now.get("waiting") or {}).get("reason") else {}

        return until(f"{name}/{container} {state}", found, deadline_s)

    def until_restarts(self, name: str, count: int, container: str = "main", deadline_s: float = 30) -> Document:
        def found() -> Document:
            said = self.container(name, container)
            return said if said.get("restartCount", 0) >= count else {}

        return until(f"{name}/{container}: {count} restarts", found, deadline_s)

    def until_ready(self, *names: str, deadline_s: float = 30) -> None:
        for name in names:
            until(f"{name} Ready", lambda name=name: self.ready(name), deadline_s)  # type: ignore[misc]

    def ready(self, name: str) -> bool:
        return self.condition(name, "Ready").get("status") == "True"

    def until_event(self, name: str, reason: str, text: str = "", deadline_s: float = 30) -> str:
        def found() -> str:
            return next((message for message in self.events(name, reason) if text in message), "")

        return until(f"{name}: event {reason} {text}", found, deadline_s)

    def until_gone(self, *names: str, deadline_s: float = 30) -> None:
        def left() -> list[str]:
            return [found["metadata"]["name"] for found in self.all() if found["metadata"]["name"] in names]

        until(f"{', '.join(names)} gone", lambda: left() == [], deadline_s)


def processes_with(text: str) -> list[int]:
    """Processes whose command line contains `text`: mark a script with something unmistakable."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/cmdline", "rb") as file:
                if text.encode() in file.read().replace(b"\0", b" "):
                    found.append(int(entry))
    return found


@contextlib.contextmanager
def namespace(cluster: Cluster, name: str) -> Iterator[Pods]:
    """A namespace for a module's pods, deleted with all of them afterwards."""
    cluster.kubectl("create", "namespace", name)
    pods = Pods(cluster, name)
    yield pods
    cluster.kubectl("delete", "namespace", name, "--timeout=60s")
    pods.connection.close()

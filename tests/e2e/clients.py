"""What a user's programs do to a cluster: HTTP over sockets of the standard library, and a look into a worker."""

from __future__ import annotations

import http.client
import json
import math
import socket
import ssl
from collections import Counter
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from control.config.folders import Folders
from tests.e2e.conftest import Cluster, until

TIMEOUT_S = 20.0


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def pod(self) -> str:
        """Which pod of loopkube/echo answered."""
        return str(self.json["pod"])


class Client:
    """One connection, kept alive: `get` again and again; `source` is the address it comes from."""

    def __init__(self, address: str, port: int, *, host: str = "", source: str = "") -> None:
        self.host = host
        from_ = (source, 0) if source else None
        self.connection = http.client.HTTPConnection(address, port, timeout=TIMEOUT_S, source_address=from_)
        self.connection.connect()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def get(
        self, path: str = "/", *, method: str = "GET", headers: Mapping[str, str] | None = None, body: Any = None
    ) -> Answer:
        sent = {**({"Host": self.host} if self.host else {}), **(headers or {})}
        self.connection.request(method, path, body=body, headers=sent)
        response = self.connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
        if response.will_close:
            self.connection.close()
            self.connection.auto_open = 0  # a connection that ended is not silently replaced
        return answer


def get(address: str, port: int, path: str = "/", *, host: str = "", source: str = "", **more: Any) -> Answer:
    """One request over a connection of its own."""
    with Client(address, port, host=host, source=source) as client:
        return client.get(path, **more)


def refused(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), TIMEOUT_S).close()
    except ConnectionRefusedError:
        return True
    return False


class Ingress:
    """The Ingress ports of a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        ingress = cluster.status()["ingress"]
        http_, https = urlsplit(ingress["http"]), urlsplit(ingress["https"])
        self.address = str(http_.hostname)
        self.port = int(http_.port or 80)
        self.tls_port = int(https.port or 443)

    def get(self, host: str, path: str = "/", **more: Any) -> Answer:
        return get(self.address, self.port, path, host=host, **more)

    def status(self, host: str, path: str = "/") -> int:
        return self.get(host, path).status

    def common_name(self, server_name: str | None) -> str:
        """The common name of the certificate that a client gets which asks for this name."""
        return certificate_name(self.address, self.tls_port, server_name)


def certificate_name(address: str, port: int, server_name: str | None) -> str:
    from cryptography.x509 import load_der_x509_certificate
    from cryptography.x509.oid import NameOID

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((address, port), TIMEOUT_S) as plain,
        context.wrap_socket(plain, server_hostname=server_name) as tls,
    ):
        certificate = load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def unfairness(counts: Iterable[int], kinds: int) -> float:
    """Pearson's chi-square of counts that ought to be equal."""
    found = list(counts)
    expected = sum(found) / kinds
    return sum((count - expected) ** 2 for count in found) / expected + expected * (kinds - len(found))


def bound_of_three(false_alarm: float) -> float:
    """What the chi-square of three equally likely kinds exceeds with this probability: exact for two degrees of
    freedom, whose distribution is exponential."""
    return -2 * math.log(false_alarm)


def pods_met(address: str, port: int, times: int, **more: Any) -> Counter[str]:
    """Who answers on connections of their own."""
    return Counter(get(address, port, **more).pod for _ in range(times))


# Objects


def service(name: str, *, app: str = "", **spec: Any) -> dict[str, Any]:
    """A Service for the pods labelled app=`app`, port 80 to their named port "http" unless told otherwise."""
    selector = {"selector": {"app": app}} if app else {}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {**selector, "ports": [{"port": 80, "targetPort": "http"}], **spec},
    }


def echo_pod(name: str, *, app: str = "", port: int = 8080, pre_stop_s: int = 0, **env: str) -> dict[str, Any]:
    """A bare pod of loopkube/echo whose readiness is looked at every second."""
    container = {
        "name": "echo",
        "image": "loopkube/echo:v1",
        "env": [{"name": key, "value": value} for key, value in {"PORT": str(port), **env}.items()],
        "ports": [{"name": "http", "containerPort": port}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 1, "failureThreshold": 1},
    }
    if pre_stop_s:
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": pre_stop_s}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": app or name}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 20},
    }


def cluster_ip(cluster: Cluster, name: str) -> str:
    return str(cluster.get("service", name)["spec"]["clusterIP"])


def service_range(cluster: Cluster) -> IPv4Network:
    return IPv4Network(cluster.status()["serviceCIDR"])


def node_port_addresses(cluster: Cluster) -> list[str]:
    """Where node ports are: every node's address, and 127.0.0.1 for the machine's first cluster."""
    found = [
        address["address"]
        for node in cluster.get("nodes")["items"]
        for address in node["status"]["addresses"]
        if address["type"] == "InternalIP"
    ]
    return found + (["127.0.0.1"] if str(service_range(cluster)) == "127.96.0.0/16" else [])


def wait_ready(cluster: Cluster, *pods: str) -> None:
    cluster.kubectl("wait", "--for=condition=Ready", *(f"pod/{pod}" for pod in pods), "--timeout=60s")


def delete(cluster: Cluster, *what: str) -> None:
    cluster.kubectl("delete", *what, "--ignore-not-found", "--timeout=60s")


def switch(cluster: Cluster, pod: str, **switches: Any) -> None:
    """Turns switches of a loopkube/echo pod, at the pod's own address."""
    address = cluster.get("pod", pod)["status"]["podIP"]
    answer = get(address, 8080, "/control", method="POST", body=json.dumps(switches))
    assert answer.status == 200, answer


def warnings(cluster: Cluster, name: str) -> dict[str, str]:
    """The Warning events about an object: message by reason."""
    events = cluster.get("events", "--field-selector", f"involvedObject.name={name},type=Warning")["items"]
    return {event["reason"]: event["message"] for event in events}


def wait_warning(cluster: Cluster, name: str, reason: str) -> str:
    return until(f"a Warning {reason} about {name}", lambda: warnings(cluster, name).get(reason, ""))


# A worker's admin socket


def admin(cluster: Cluster, path: str, worker: int = 0) -> Answer:
    """GET over a worker's admin socket."""
    connection = http.client.HTTPConnection("localhost", timeout=TIMEOUT_S)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(TIMEOUT_S)
    connection.sock.connect(str(worker_socket(cluster, worker)))
    connection.request("GET", path)
    response = connection.getresponse()
    return Answer(response.status, response.headers, response.read())


def worker_socket(cluster: Cluster, worker: int = 0) -> Path:
    return Folders(cluster.folder).run / f"worker-{worker}.sock"


def phases(cluster: Cluster, backend: str) -> dict[str, str]:
    """Phases of a backend's endpoints by pod, as worker 0 knows them."""
    found = next((each for each in admin(cluster, "/table").json["backends"] if each["name"] == backend), None)
    return {each["target"]: each["phase"] for each in found["endpoints"]} if found else {}


def backend(name: str, port: int | str = 80) -> dict[str, Any]:
    """An Ingress's backend: a Service's port by number or name."""
    return {"service": {"name": name, "port": {"number" if isinstance(port, int) else "name": port}}}


def ingress(name: str, *rules: tuple[str, str, str, dict[str, Any]], **spec: Any) -> dict[str, Any]:
    """An Ingress of (host, path type, path, backend); rules of one host are one rule's paths."""
    paths: dict[str, list[dict[str, Any]]] = {}
    for host, path_type, path, to in rules:
        paths.setdefault(host, []).append({"path": path, "pathType": path_type, "backend": to})
    written = [{**({"host": host} if host else {}), "http": {"paths": each}} for host, each in paths.items()]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name},
        "spec": {**({"rules": written} if written else {}), **spec},
    }


def outside_service(name: str, address: str, port: int) -> list[dict[str, Any]]:
    """A Service without selector that leads to a program which is no pod."""
    slice_ = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{name}-1", "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": port, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address]}],
    }
    return [service(name, ports=[{"port": 80}]), slice_]

"""Pods and records as a kubelet's tests need them."""

from __future__ import annotations

from typing import Any

from control.api.objects import Object
from control.kubelet.process import Exit, ProcessState
from control.kubelet.record import PodRecord, definition_of, new_record

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z


def container(name: str = "c", image: str = "loopkube/echo:v1", **more: Any) -> Object:
    return {"name": name, "image": image, **more}


def pod(*containers: Object, name: str = "p", **spec: Any) -> Object:
    metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}", "generation": 1}
    made = {"nodeName": "loopkube-0", "restartPolicy": "Always", "containers": list(containers) or [container()]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**made, **spec}}


def deleting(obj: Object, grace_s: int = 30) -> Object:
    metadata = {**obj["metadata"], "deletionTimestamp": "2026-01-01T00:00:30Z", "deletionGracePeriodSeconds": grace_s}
    return {**obj, "metadata": metadata}


def process(name: str = "c", attempt: int = 0, *, exit: Exit | None = None, started_at: float = NOW) -> ProcessState:
    labels = {"uid": "uid-p", "container": name, "attempt": str(attempt)}
    return ProcessState(f"uid-p/{name}/{attempt}", 100 + attempt, started_at, exit, labels, "/dev/null")


def record_of(obj: Object, *, now: float = NOW) -> PodRecord:
    """A record with its sandbox ready."""
    record = new_record(obj, now)
    record.sandbox, record.pod_ip = "ready", "127.244.0.2"
    return record


def run(record: PodRecord, obj: Object, name: str = "c", *, started_at: float = NOW) -> None:
    """The next attempt of a container runs."""
    held = record.containers[name]
    spec = next(c for c in [*obj["spec"].get("initContainers", []), *obj["spec"]["containers"]] if c["name"] == name)
    held.begin(process(name, held.attempt + 1, started_at=started_at), held.attempt + 1, definition_of(spec))
    if held.kind == "app":
        record.initialized = True


def end(record: PodRecord, name: str = "c", code: int = 0, *, at: float = NOW) -> None:
    """A running container ends."""
    from control.kubelet.record import ended_from

    held = record.containers[name]
    assert held.process is not None
    over = process(name, held.attempt, exit=Exit(code, 0, at), started_at=held.process.started_at)
    held.process = over
    held.end(ended_from(held, over, held.attempt))

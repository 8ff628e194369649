"""What the kubelet remembers of a pod: the processes it saw and what it is in the middle of.

The record is the one mutable state of a pod. The shell writes into it what happened (a process started, a hook ended,
a probe's verdict); `plan` and `status` read it and decide. Most of it can be rebuilt from the supervisor's books and
the pod's status after a crash (`adopt`); what cannot (probe streaks, back-off, a hook under way) starts anew, as a
restarted kubelet's does.

All times are Unix seconds: they are compared with the stamps of another process (the supervisor) and of the API, and
outlive this one.

A container's life, as `ContainerRecord.phase` says it:

    waiting --start--> starting --started--> running --exit--> ended --start--> starting ...
                          '----refused----> waiting (again, with a reason)
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from control.api.objects import Object, parse_time, spec_of, status_of, uid_of
from control.kubelet.process import ProcessState

ContainerKind = Literal["init", "sidecar", "app"]
HookState = Literal["", "running", "done", "failed"]
Phase = Literal["waiting", "starting", "running", "ended"]


@dataclass(frozen=True, slots=True)
class Ended:
    """A container's attempt that is over."""

    attempt: int
    code: int
    signal: int = 0
    started_at: float = 0.0
    finished_at: float = 0.0
    reason: str = "Error"
    message: str = ""
    container_id: str = ""
    image: str = ""
    image_id: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a container does not run yet."""

    reason: str
    message: str = ""


@dataclass(slots=True)
class Backoff:
    """client-go's flowcontrol.Backoff for one key: `delay_s` 0 means no entry."""

    delay_s: float = 0.0
    updated_at: float = 0.0


@dataclass(slots=True)
class Kill:
    """A container being stopped: preStop until `deadline`, then the stop signal, SIGKILL at the new `deadline`."""

    why: str  # Killing's message
    deadline: float
    hook: HookState = ""
    signalled: bool = False
    killed: bool = False
    restart: bool = False  # start again whatever the restart policy says (definition changed)
    waits_turn: bool = False  # a sidecar: preStop now, the signal when its turn comes


@dataclass(slots=True)
class ContainerRecord:
    """One container of a pod."""

    name: str
    kind: ContainerKind
    phase: Phase = "waiting"
    attempt: int = -1  # restartCount of the newest attempt; -1 before the first
    process: ProcessState | None = None  # of the newest attempt
    definition: str = ""  # hash of what the newest attempt was started from
    image: str = ""
    image_id: str = ""
    stop_signal: str = "SIGTERM"
    ended: Ended | None = None  # the newest attempt, when it is over
    last: Ended | None = None  # the attempt before
    waiting: Waiting | None = None
    refused: Literal["", "image", "config"] = ""  # why the newest start did not come about
    refused_at: float = 0.0
    post_start: HookState = ""
    kill: Kill | None = None
    restart_anyway: bool = False  # ended to be replaced: no policy, no back-off
    probe_started: bool | None = None  # verdict of the startup probe; None: none yet
    probe_ready: bool | None = None
    held_unready: bool = False  # kept from being ready whatever probes say; only simulated containers are
    unhealthy: str = ""  # "liveness" or "startup" once that probe failed
    crash: Backoff = field(default_factory=Backoff)
    pull: Backoff = field(default_factory=Backoff)

    @property
    def running(self) -> bool:
        return self.phase == "running"

    @property
    def restarts(self) -> int:
        return max(0, self.attempt)

    @property
    def container_id(self) -> str:
        return container_id_of(self.process.id) if self.process is not None else ""

    def begin(self, process: ProcessState, attempt: int, definition: str) -> None:
        """A new attempt runs; what the old one's probes and hooks said holds no longer."""
        self.close()
        self.process, self.attempt, self.definition, self.phase = process, attempt, definition, "running"

    def fail(self, ended: Ended, definition: str) -> None:
        """A new attempt could not even be started."""
        self.close()
        self.attempt, self.definition, self.ended, self.phase = ended.attempt, definition, ended, "ended"

    def end(self, ended: Ended) -> None:
        """The newest attempt is over."""
        self.restart_anyway = self.kill is not None and self.kill.restart
        self.ended, self.phase, self.kill = ended, "ended", None
        self.probe_started = self.probe_ready = None
        self.unhealthy = ""

    def close(self) -> None:
        if self.ended is not None:
            self.last = self.ended
        self.ended = self.process = self.kill = self.waiting = None
        self.post_start, self.unhealthy = "", ""
        self.probe_started = self.probe_ready = None
        self.restart_anyway = False
        self.refused = ""


@dataclass(slots=True)
class PodRecord:
    """One pod."""

    uid: str
    namespace: str
    name: str
    containers: dict[str, ContainerRecord]
    pod_ip: str = ""
    started_at: float = 0.0  # when the kubelet accepted the pod: status.startTime
    initialized: bool = False  # init containers are through
    sandbox: Literal["", "preparing", "ready", "failed"] = ""  # address and volumes
    sandbox_failed_at: float = 0.0
    removed: bool = False  # no longer in the API: stop everything, tell nobody
    grace_s: float | None = None  # of the deletion that is being carried out
    verdict: Waiting | None = None  # reason and message of a pod that was ended from outside (DeadlineExceeded)

    @property
    def idle(self) -> bool:
        """Nothing of the pod runs or is about to."""
        return all(container.phase not in ("running", "starting") for container in self.containers.values())

    def __repr__(self) -> str:
        parts = [f"{c.name} {c.phase} {c.restarts}" for c in self.containers.values()]
        return f"<{self.namespace}/{self.name} {', '.join(parts)}>"


def pod_text(record: PodRecord) -> str:
    """A pod as kubelet's messages name it."""
    return f"{record.name}_{record.namespace}({record.uid})"


def container_id_of(process_id: str) -> str:
    """A container's id as runtimes make them: 64 hex digits, the same after an adoption."""
    return hashlib.sha256(process_id.encode()).hexdigest()


def definition_of(container: Mapping[str, Any]) -> str:
    """A container's hash: name and image only, which is all that may change in a running pod (kubelet >= 1.31)."""
    return hashlib.sha256(f"{container['name']}\0{container.get('image', '')}".encode()).hexdigest()[:16]


def containers_of(pod: Object) -> list[tuple[ContainerKind, Mapping[str, Any]]]:
    """Every container of the pod in the order of starting: init containers and sidecars as listed, then the others."""
    spec = spec_of(pod)
    found: list[tuple[ContainerKind, Mapping[str, Any]]] = [
        ("sidecar" if container.get("restartPolicy") == "Always" else "init", container)
        for container in spec.get("initContainers") or ()
    ]
    found += [("app", container) for container in spec.get("containers") or ()]
    return found


def new_record(pod: Object, now: float) -> PodRecord:
    """The record of a pod that was not known, with what its status tells of earlier attempts.

    A status that says "running" while no such process exists means that the machine went down: that attempt ended, of
    causes unknown, and init containers run again (kubelet makes a new sandbox).
    """
    status = status_of(pod)
    metadata = pod["metadata"]
    containers = {}
    for kind, container in containers_of(pod):
        containers[container["name"]] = ContainerRecord(container["name"], kind, image=container.get("image", ""))
    record = PodRecord(uid_of(pod), metadata.get("namespace", ""), metadata["name"], containers)
    record.started_at = unix(status.get("startTime")) or now
    record.pod_ip = status.get("podIP") or ""
    for field_name in ("initContainerStatuses", "containerStatuses"):
        for said in status.get(field_name) or ():
            known = containers.get(said.get("name", ""))
            if known is not None and said.get("containerID"):
                recall(known, said, now)
    return record


def recall(container: ContainerRecord, said: Mapping[str, Any], now: float) -> None:
    """Takes over a container's attempts from its status."""
    container.attempt = int(said.get("restartCount") or 0)
    container.image_id = said.get("imageID") or ""
    container.image = said.get("image") or container.image
    state, last = said.get("state") or {}, said.get("lastState") or {}
    container.last = ended_of(last.get("terminated"), container.attempt - 1)
    if state.get("terminated"):
        container.ended = ended_of(state["terminated"], container.attempt)
        container.phase = "ended"
    elif state.get("running"):
        container.ended = Ended(
            container.attempt,
            137,
            started_at=unix(state["running"].get("startedAt")) or now,
            finished_at=now,
            reason="ContainerStatusUnknown",
            message="The container could not be located when the pod was terminated",
            container_id=str(said["containerID"]).removeprefix("loopkube://"),
            image=container.image,
            image_id=container.image_id,
        )
        container.phase = "ended"
        # should the process be found after all (adopt), its probes' verdicts still hold: no flap of readiness
        container.probe_ready, container.probe_started = said.get("ready") is True, said.get("started") is True
    else:  # waiting for a restart: the newest attempt is the one that ended last
        container.ended, container.last = container.last, None
        container.phase = "ended" if container.ended is not None else "waiting"


def ended_of(terminated: Mapping[str, Any] | None, attempt: int) -> Ended | None:
    if not terminated:
        return None
    return Ended(
        attempt,
        int(terminated.get("exitCode") or 0),
        int(terminated.get("signal") or 0),
        unix(terminated.get("startedAt")) or 0.0,
        unix(terminated.get("finishedAt")) or 0.0,
        terminated.get("reason") or "",
        terminated.get("message") or "",
        str(terminated.get("containerID") or "").removeprefix("loopkube://"),
    )


def adopt(container: ContainerRecord, process: ProcessState) -> None:
    """A process that was found in the supervisor's books becomes (part of) the container's record."""
    attempt = int(process.labels.get("attempt") or 0)
    if process.exit is not None:
        finished = ended_from(container, process, attempt)
        if attempt < container.attempt:
            container.last = finished
            return
        container.last = container.ended if container.ended and container.ended.attempt < attempt else container.last
        container.ended, container.phase = finished, "ended"
    else:
        if container.ended is None or container.ended.attempt < attempt:
            container.last = container.ended or container.last
            container.probe_ready = container.probe_started = None
        container.ended, container.phase = None, "running"
        container.post_start = "done"  # it ran before; a hook cut short by the crash is not repeated
    container.attempt = attempt
    container.process = process
    container.definition = process.labels.get("definition", "")
    container.image = process.labels.get("image", container.image)
    container.image_id = process.labels.get("image-id", container.image_id)
    container.stop_signal = process.labels.get("stop-signal", "SIGTERM")


def ended_from(container: ContainerRecord, process: ProcessState, attempt: int, message: str = "") -> Ended:
    """The end of an attempt, as its status will say it."""
    assert process.exit is not None
    return Ended(
        attempt,
        process.exit.code,
        process.exit.signal,
        process.started_at,
        process.exit.finished_at,
        "Completed" if process.exit.code == 0 else "Error",
        message,
        container_id_of(process.id),
        process.labels.get("image", container.image),
        process.labels.get("image-id", container.image_id),
    )


def unix(text: str | None) -> float | None:
    """An API timestamp as Unix seconds."""
    if not text:
        return None
    at: datetime = parse_time(text)
    return at.timestamp()


def restart_init(record: PodRecord) -> None:
    """No process of the pod is left: a new sandbox, so init containers have to run again (as after a reboot)."""
    for container in record.containers.values():
        if container.kind == "init" and container.ended is not None:
            container.last, container.ended, container.phase = container.ended, None, "waiting"


def ghost_of(processes: Sequence[ProcessState]) -> Object:
    """The pod that processes without one belonged to, from their labels: enough to end them properly."""
    labels = processes[0].labels
    names = dict.fromkeys(process.labels.get("container", "") for process in processes)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": labels.get("namespace", ""),
            "name": labels.get("pod", ""),
            "uid": labels.get("uid", ""),
            "deletionGracePeriodSeconds": int(labels.get("grace") or 30),
        },
        "spec": {"nodeName": labels.get("node", ""), "containers": [{"name": name} for name in names]},
    }

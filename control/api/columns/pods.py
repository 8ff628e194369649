"""The pod row, above all its STATUS: one word for what matters most about a pod just now.

The rules, strongest last: the phase; the status' own reason; a scheduling gate; the first init container that is not
done (`Init:1/3`, `Init:CrashLoopBackOff`); the first container, in the status' order, that waits or has ended for a
reason; Running again if others still run; and Terminating while a pod that has not ended is being deleted.

Restarts count what can still restart: init containers while the pod initializes, then sidecars and regular containers.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from control.api.columns.cells import AGE, NAME, NONE, path, since
from control.api.objects import Object, is_condition_true, is_deleting, spec_of, status_of
from control.api.scheme import Column

TERMINAL = ("Succeeded", "Failed")


class Summary(NamedTuple):
    """What a pod row says. `last_restart` is "" where nothing ever ended."""

    ready: int
    total: int
    status: str
    restarts: int
    last_restart: str


def summary_of(pod: Object) -> Summary:
    spec, status = spec_of(pod), status_of(pod)
    inits = {container.get("name"): container for container in spec.get("initContainers") or ()}
    sidecars = {name for name, container in inits.items() if container.get("restartPolicy") == "Always"}
    total = len(spec.get("containers") or ()) + len(sidecars)
    phase = status.get("phase") or ""
    word = status.get("reason") or phase
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            word = "SchedulingGated"
    init = _initialization(status.get("initContainerStatuses") or (), sidecars, len(inits))
    ready, restarts, last = init.ready, init.restarts, init.last_restart
    if init.word:
        word = init.word
    if not init.word or is_condition_true(pod, "Initialized"):
        restarts, last = init.sidecar_restarts, init.last_sidecar_restart
        running = False
        for container in reversed(status.get("containerStatuses") or ()):
            restarts += container.get("restartCount") or 0
            last = max(last, _last_end(container))
            word = _container_word(container) or word
            if container.get("ready") and "running" in (container.get("state") or {}):
                running = True
                ready += 1
        if word == "Completed" and running:
            word = "Running" if is_condition_true(pod, "Ready") else "NotReady"
    if is_deleting(pod):
        if status.get("reason") == "NodeLost":
            word = "Unknown"
        elif phase not in TERMINAL:
            word = "Terminating"
    return Summary(ready, total, word, restarts, last)


class _Initialization(NamedTuple):
    word: str  # "" when all init containers are done or running as sidecars
    ready: int
    restarts: int
    last_restart: str
    sidecar_restarts: int
    last_sidecar_restart: str


def _initialization(statuses: Any, sidecars: set[Any], count: int) -> _Initialization:
    ready = restarts = sidecar_restarts = 0
    last = last_sidecar = word = ""
    for index, container in enumerate(statuses):
        state, sidecar = container.get("state") or {}, container.get("name") in sidecars
        restarts += container.get("restartCount") or 0
        last = max(last, _last_end(container))
        if sidecar:
            sidecar_restarts += container.get("restartCount") or 0
            last_sidecar = max(last_sidecar, _last_end(container))
        ended, waiting = state.get("terminated"), state.get("waiting")
        if ended is not None and not ended.get("exitCode"):
            continue
        if sidecar and container.get("started"):
            ready += bool(container.get("ready"))
            continue
        if ended is not None:
            word = f"Init:{_ended_word(ended)}"
        elif waiting and waiting.get("reason") not in (None, "", "PodInitializing"):
            word = f"Init:{waiting['reason']}"
        else:
            word = f"Init:{index}/{count}"
        break
    return _Initialization(word, ready, restarts, last, sidecar_restarts, last_sidecar)


def _container_word(container: Mapping[str, Any]) -> str:
    state = container.get("state") or {}
    waiting, ended = state.get("waiting"), state.get("terminated")
    if waiting and waiting.get("reason"):
        return str(waiting["reason"])
    return _ended_word(ended) if ended is not None else ""


def _ended_word(ended: Mapping[str, Any]) -> str:
    if ended.get("reason"):
        return str(ended["reason"])
    return f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode') or 0}"


def _last_end(container: Mapping[str, Any]) -> str:
    """When the previous run ended; RFC 3339 in UTC sorts as text."""
    return ((container.get("lastState") or {}).get("terminated") or {}).get("finishedAt") or ""


def _ready(pod: Object, now: datetime) -> Any:
    summary = summary_of(pod)
    return f"{summary.ready}/{summary.total}"


def _status(pod: Object, now: datetime) -> Any:
    return summary_of(pod).status


def _restarts(pod: Object, now: datetime) -> Any:
    summary = summary_of(pod)
    if summary.restarts and summary.last_restart:
        return f"{summary.restarts} ({since(summary.last_restart, now)} ago)"
    return str(summary.restarts)


def _ip(pod: Object, now: datetime) -> Any:
    addresses = status_of(pod).get("podIPs") or ()
    return (addresses[0].get("ip") if addresses else status_of(pod).get("podIP")) or NONE


def _gates(pod: Object, now: datetime) -> Any:
    gates = spec_of(pod).get("readinessGates") or ()
    if not gates:
        return NONE
    met = sum(is_condition_true(pod, gate.get("conditionType") or "") for gate in gates)
    return f"{met}/{len(gates)}"


POD_COLUMNS = (
    NAME,
    Column("Ready", _ready, description="The aggregate readiness state of this pod for accepting traffic."),
    Column("Status", _status, description="The aggregate status of the containers in this pod."),
    Column("Restarts", _restarts, description="How often containers of this pod were restarted, and when last."),
    AGE,
    Column("IP", _ip, description="The pod's address.", priority=1),
    Column("Node", path("spec", "nodeName"), description="The node that runs the pod.", priority=1),
    Column(
        "Nominated Node",
        path("status", "nominatedNodeName"),
        description="The node on which the pod waits for others to be preempted.",
        priority=1,
    ),
    Column("Readiness Gates", _gates, description="How many of the pod's readiness gates are met.", priority=1),
)

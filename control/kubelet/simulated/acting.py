"""A simulated pod's life: the kubelet's own plan and status, with containers that are only played.

`act` asks `plan` as a runner of real pods does and performs what it says on the spot: an address instead of a sandbox,
a note instead of a process, an end at its time instead of a signal. Restart policies, back-off, init containers,
sidecars, deadlines, grace periods and the words of the status are therefore those of real pods; what is absent are
processes with their probes, hooks, volumes, logs and images, all of which count as well done at once.

Everything that is due happens before anything is told, so that a pod without delays is Running and Ready with its first
status. A container that ends when it is stopped says 143, as a process without a handler for SIGTERM does: a pod that
was evicted has not succeeded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from signal import SIGKILL
from typing import Any

from control.api.objects import Object, status_of
from control.kubelet.knobs import Knobs
from control.kubelet.plan import (
    DEADLINE,
    FINISHED,
    Action,
    Conclude,
    Expire,
    Plan,
    Prepare,
    Shorten,
    Signal,
    Start,
    Stop,
    plan,
)
from control.kubelet.process import Exit, ProcessState
from control.kubelet.record import (
    ContainerRecord,
    Kill,
    PodRecord,
    adopt,
    containers_of,
    definition_of,
    ended_from,
    new_record,
    restart_init,
)
from control.kubelet.restart import book
from control.kubelet.simulated.stage import Stage

ROUNDS_MAX = 50  # of planning in one breath; a pod with more init containers than that goes on in the next one
STOPPED = 143  # 128 + SIGTERM
KILLED = 137  # 128 + SIGKILL


@dataclass(slots=True)
class Actor:
    """One simulated pod: its newest object, its record, and when each container's next deed is due."""

    pod: Object
    record: PodRecord
    stage: Stage
    address: str
    due: dict[str, float] = field(default_factory=dict)
    told: tuple[Object, object] | None = None  # the last status that was written, and what the API made of it
    busy: bool = False  # with a write
    deleted: bool = False  # the API was asked to; finalizers may keep the object

    def __repr__(self) -> str:
        return f"<Actor {self.record!r} {self.address}>"


@dataclass(frozen=True, slots=True)
class Acted:
    """What came of it: `over` when the pod's object is to be deleted."""

    plan: Plan
    wake_at: float | None
    over: bool


def enter(pod: Object, stage: Stage, address: str, now: float) -> Actor:
    """A pod that is new here, or one that this process's predecessor played: what it said to run still does."""
    record = new_record(pod, now)
    actor = Actor(pod, record, stage, address)
    for _, spec in containers_of(pod):
        container = record.containers[spec["name"]]
        ended = container.ended
        if ended is not None and ended.reason == "ContainerStatusUnknown" and ended.finished_at == now:
            adopt(container, _process(record, container, container.attempt, ended.started_at, spec))
            record.sandbox, record.initialized = "ready", record.initialized or container.kind == "app"
            _schedule_end(actor, container)
    if record.sandbox != "ready" and status_of(pod).get("phase") not in FINISHED:
        restart_init(record)
    return actor


def act(actor: Actor, now: float, knobs: Knobs) -> Acted:
    """Does everything that is due now; says what to tell and when to look again."""
    over = False
    for _ in range(ROUNDS_MAX):
        _perform_due(actor, now)
        current = plan(actor.pod, actor.record, now, knobs)
        over = any(isinstance(action, Conclude) for action in current.actions)
        if over or not (current.actions or (current.ending and _call_off(actor))):
            break
        for action in current.actions:
            _perform(actor, action, now, knobs)
    wakes = [at for at in (current.wake_at, *actor.due.values(), _ready_at(actor, now)) if at is not None]
    _judge_readiness(actor, now)
    return Acted(current, min(wakes, default=None), over)


# what is due


def _perform_due(actor: Actor, now: float) -> None:
    for name, at in list(actor.due.items()):
        if at > now:
            continue
        del actor.due[name]
        container = actor.record.containers[name]
        if container.phase == "starting":
            _begin(actor, container, now)
        elif container.running:
            _end(container, now, _code(actor, container))


def _call_off(actor: Actor) -> bool:
    """Containers that wait for their start never will; says whether there were any."""
    starting = [container for container in actor.record.containers.values() if container.phase == "starting"]
    for container in starting:
        container.phase = "ended" if container.ended is not None else "waiting"
        actor.due.pop(container.name, None)
    return bool(starting)


def _begin(actor: Actor, container: ContainerRecord, now: float) -> None:
    spec = _spec_of(actor.pod, container.name)
    attempt = container.attempt + 1
    process = _process(actor.record, container, attempt, now, spec)
    container.begin(process, attempt, definition_of(spec))
    container.post_start, container.probe_started = "done", True
    container.image = spec.get("image", "")
    _schedule_end(actor, container)


def _schedule_end(actor: Actor, container: ContainerRecord) -> None:
    """When the container ends by itself; init containers have nothing to do."""
    after_s = {"init": 0.0, "sidecar": None}.get(container.kind, actor.stage.exit_after_s)
    if after_s is not None and container.process is not None:
        actor.due[container.name] = container.process.started_at + after_s


def _code(actor: Actor, container: ContainerRecord) -> int:
    if container.kill is not None and container.kill.signalled:
        return KILLED if container.kill.killed else STOPPED
    return actor.stage.exit_code if container.kind == "app" else 0


def _end(container: ContainerRecord, now: float, code: int) -> None:
    process = container.process
    assert process is not None
    signal = code - 128 if code in (STOPPED, KILLED) and container.kill is not None else 0
    over = ProcessState(process.id, 0, process.started_at, Exit(code, signal, now), process.labels, "")
    container.process = over
    container.end(ended_from(container, over, container.attempt))


def _process(
    record: PodRecord, container: ContainerRecord, attempt: int, at: float, spec: Mapping[str, Any]
) -> ProcessState:
    labels = {"attempt": str(attempt), "definition": definition_of(spec), "image": spec.get("image", "")}
    return ProcessState(f"{record.uid}/{container.name}/{attempt}", 0, at, None, labels, "")


def _spec_of(pod: Object, name: str) -> Mapping[str, Any]:
    return next(spec for _, spec in containers_of(pod) if spec["name"] == name)


# readiness


def _judge_readiness(actor: Actor, now: float) -> None:
    stage = actor.stage
    for container in actor.record.containers.values():
        if container.running and container.process is not None:
            container.probe_started = container.probe_ready = True
            container.held_unready = not stage.ready or now < container.process.started_at + stage.ready_after_s


def _ready_at(actor: Actor, now: float) -> float | None:
    """When the next running container becomes ready."""
    after_s = actor.stage.ready_after_s
    if not after_s or not actor.stage.ready:
        return None
    containers = actor.record.containers.values()
    times = [c.process.started_at + after_s for c in containers if c.running and c.process is not None]
    return min((at for at in times if at > now), default=None)


# what the plan says


def _perform(actor: Actor, action: Action, now: float, knobs: Knobs) -> None:
    record = actor.record
    match action:
        case Prepare():
            record.pod_ip, record.sandbox = actor.address, "ready"
        case Start():
            container = record.containers[action.container]
            if action.fresh:
                container.crash.delay_s = 0.0
            elif action.counts and container.ended is not None:
                book(container.crash, container.ended.finished_at, now, knobs.backoff_base_s, knobs.backoff_max_s)
            if container.kind == "app":
                record.initialized = True
            container.phase = "starting"
            first = container.attempt < 0 and container.kind == "app"
            actor.due[container.name] = max(now, record.started_at + actor.stage.start_after_s) if first else now
        case Stop():
            container = record.containers[action.container]
            record.grace_s = action.grace_s
            deadline = now + action.grace_s
            container.kill = Kill(action.message, deadline, restart=action.restart, waits_turn=action.waits_turn)
        case Signal():
            kill = record.containers[action.container].kill
            assert kill is not None
            kill.signalled, kill.deadline = True, action.deadline
            kill.killed = kill.killed or action.signum == SIGKILL
            actor.due[action.container] = now if kill.killed else now + actor.stage.stop_after_s
        case Shorten(grace_s):
            record.grace_s = grace_s
            for container in record.containers.values():
                if container.kill is not None:
                    container.kill.deadline = min(container.kill.deadline, now + max(grace_s, knobs.grace_min_s))
        case Expire():
            record.verdict = DEADLINE

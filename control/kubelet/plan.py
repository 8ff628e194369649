"""What to do for a pod now: kubelet's computePodActions and killContainer as one function of values.

`plan` compares what the pod asks for with what its record says, and answers with actions, the reasons why containers
wait, and when to look again. It is asked after every event (the pod changed, a process ended, a probe decided, a hook
returned, a timer fired) and may be asked at any time: without news it answers the same, and when nothing is left to do
it answers nothing. The shell performs the actions at once, which changes the record, and asks again.

A pod is either being kept up or being ended.

Kept up: the sandbox (address, volumes) first; then init containers in order, each to success, sidecars in the same
order without waiting for their end (only until they have started); then all containers at once. An ended container
restarts as the pod's restartPolicy says, after its back-off (`restart`). A running one is stopped to be replaced when
its definition changed, its liveness or startup probe failed, or its postStart hook failed. When no container will run
any more, sidecars are stopped, last first.

Ended (deleted, gone from the API, past its deadline, or finished): every running container is stopped. Stopping is
preStop within the grace period, then the stop signal to the whole group, then SIGKILL; what is left of the grace after
preStop is at least `grace_min_s`. Sidecars run preStop at once but get their signal only when all that started after
them have ended. Once nothing runs and the API has the final status, the API object is deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from signal import SIGKILL, Signals
from typing import Any

from control.api.objects import Object, is_deleting, meta, spec_of, status_of
from control.kubelet.knobs import Knobs
from control.kubelet.record import ContainerRecord, PodRecord, Waiting, containers_of, definition_of, pod_text
from control.kubelet.restart import spoken, wait_until

ERR_IMAGE_PULL_SHOWN_S = 1.0  # before ErrImagePull becomes ImagePullBackOff (kubelet: until its next sync)
FINISHED = ("Succeeded", "Failed")
DEADLINE = Waiting("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")


@dataclass(frozen=True, slots=True)
class Prepare:
    """Give the pod its address and volumes."""


@dataclass(frozen=True, slots=True)
class Start:
    container: str
    attempt: int
    counts: bool  # a restart that the back-off keeps book of
    fresh: bool  # the definition changed: the book is closed


@dataclass(frozen=True, slots=True)
class Stop:
    """Begin to stop a running container: Killing event, preStop, and so on."""

    container: str
    message: str
    grace_s: float
    restart: bool = False
    waits_turn: bool = False


@dataclass(frozen=True, slots=True)
class Signal:
    """`deadline`: when SIGKILL is due, for the first signal."""

    container: str
    signum: int
    deadline: float


@dataclass(frozen=True, slots=True)
class Shorten:
    """A second deletion with a shorter grace."""

    grace_s: float


@dataclass(frozen=True, slots=True)
class Expire:
    """activeDeadlineSeconds is over."""


@dataclass(frozen=True, slots=True)
class Conclude:
    """Delete the API object: nothing runs, and its final status is written."""


Action = Prepare | Start | Stop | Signal | Shorten | Expire | Conclude


@dataclass(frozen=True, slots=True)
class Plan:
    actions: tuple[Action, ...]
    waiting: Mapping[str, Waiting]  # containers that wait for a reason of their own
    wake_at: float | None
    ending: bool  # the pod is being ended; with an idle record its status is final


def plan(pod: Object, record: PodRecord, now: float, knobs: Knobs) -> Plan:
    draft = _Draft(pod, record, now, knobs)
    ending = draft.is_ending()
    if ending:
        draft.end()
    else:
        draft.keep_up()
    draft.carry_on_stopping()
    return Plan(tuple(draft.actions), draft.waiting, draft.wake_at, ending)


def will_restart(container: ContainerRecord, policy: str) -> bool:
    """kubelet's ShouldContainerBeRestarted, for a container that is not running."""
    if container.ended is None or container.restart_anyway or container.kind == "sidecar":
        return True
    if policy == "Never":
        return False
    return (policy == "Always" and container.kind == "app") or container.ended.code != 0


class _Draft:
    """A plan in the making."""

    def __init__(self, pod: Object, record: PodRecord, now: float, knobs: Knobs) -> None:
        self.pod, self.record, self.now, self.knobs = pod, record, now, knobs
        self.policy: str = spec_of(pod).get("restartPolicy") or "Always"
        self.listed = [(record.containers[spec["name"]], spec) for _, spec in containers_of(pod)]
        self.actions: list[Action] = []
        self.waiting: dict[str, Waiting] = {}
        self.wake_at: float | None = None

    def wake(self, at: float) -> None:
        self.wake_at = at if self.wake_at is None else min(self.wake_at, at)

    def is_ending(self) -> bool:
        record = self.record
        if is_deleting(self.pod) or record.removed or record.verdict is not None:
            return True
        if status_of(self.pod).get("phase") in FINISHED:
            return True
        limit = spec_of(self.pod).get("activeDeadlineSeconds")
        if limit is not None:
            if record.started_at + limit <= self.now:
                self.actions.append(Expire())
                return True
            self.wake(record.started_at + limit)
        return False

    def grace_s(self, container: Mapping[str, Any], unhealthy: str = "") -> float:
        """kuberuntime's setTerminationGracePeriod: a failed probe's own, the deletion's, or the pod's."""
        if unhealthy:
            probe = container.get(f"{unhealthy}Probe") or {}
            if probe.get("terminationGracePeriodSeconds") is not None:
                return float(probe["terminationGracePeriodSeconds"])
        return self.pod_grace_s()

    def pod_grace_s(self) -> float:
        asked = meta(self.pod).get("deletionGracePeriodSeconds")
        if self.record.removed:
            return float(max(1, asked or 0))  # kubelet's calculateEffectiveGracePeriod: never less than a second
        if is_deleting(self.pod) and asked is not None:
            return float(asked)
        return float(spec_of(self.pod).get("terminationGracePeriodSeconds", 30))

    # ending

    def end(self) -> None:
        record = self.record
        grace_s = self.pod_grace_s()
        if record.grace_s is not None and grace_s < record.grace_s:
            self.actions.append(Shorten(grace_s))
        for container, spec in self.listed:
            if container.running and container.kill is None:
                self.stop(container, f"Stopping container {container.name}", self.grace_s(spec))
        if not record.idle:
            return
        if (is_deleting(self.pod) or record.removed) and self.is_told():
            self.actions.append(Conclude())

    def is_told(self) -> bool:
        """Whether the API has the pod's final status (or needs none any more)."""
        return self.record.removed or status_of(self.pod).get("phase") in FINISHED

    def stop(self, container: ContainerRecord, message: str, grace_s: float) -> None:
        self.actions.append(Stop(container.name, message, grace_s, waits_turn=container.kind == "sidecar"))

    def carry_on_stopping(self) -> None:
        for place, (container, _) in enumerate(self.listed):
            kill = container.kill
            if kill is None or not container.running:
                continue
            if kill.signalled:
                if self.now < kill.deadline:
                    self.wake(kill.deadline)
                elif not kill.killed:
                    self.actions.append(Signal(container.name, SIGKILL, kill.deadline))
                continue
            in_hook = kill.hook == "running"
            others_first = kill.waits_turn and self.later_ones_run(place)
            if (in_hook or others_first) and self.now < kill.deadline:
                self.wake(kill.deadline)
                continue
            deadline = max(kill.deadline, self.now + self.knobs.grace_min_s)
            self.actions.append(Signal(container.name, Signals[container.stop_signal], deadline))

    def later_ones_run(self, place: int) -> bool:
        """Whether a container runs that was started after the sidecar at `place`."""
        return any(other.phase in ("running", "starting") for other, _ in self.listed[place + 1 :])

    # keeping up

    def keep_up(self) -> None:
        record = self.record
        for container, spec in self.listed:
            if container.running and container.kill is None:
                self.replace_if_needed(container, spec)
        if record.sandbox != "ready":
            self.prepare()
            return
        if not self.initialize():
            return
        apps = [(container, spec) for container, spec in self.listed if container.kind == "app"]
        going_on = [self.keep(container, spec) for container, spec in apps]
        if not any(going_on):
            self.stop_sidecars()

    def prepare(self) -> None:
        record = self.record
        if record.sandbox == "preparing":
            return
        retry_at = record.sandbox_failed_at + self.knobs.config_retry_s
        if record.sandbox == "failed" and self.now < retry_at:
            self.wake(retry_at)
        else:
            self.actions.append(Prepare())

    def replace_if_needed(self, container: ContainerRecord, spec: Mapping[str, Any]) -> None:
        """A running container whose definition or health says that another attempt must take its place."""
        name = container.name
        if container.definition and container.definition != definition_of(spec) and container.kind != "init":
            message = f"Container {name} definition changed, will be restarted"
            self.actions.append(Stop(name, message, self.grace_s(spec), restart=True))
        elif container.unhealthy:
            suffix = ", will be restarted" if self.policy != "Never" or container.kind == "sidecar" else ""
            message = f"Container {name} failed {container.unhealthy} probe{suffix}"
            self.stop_only(container, message, self.grace_s(spec, container.unhealthy))
        elif container.post_start == "failed":
            self.stop_only(container, "FailedPostStartHook", self.grace_s(spec))

    def stop_only(self, container: ContainerRecord, message: str, grace_s: float) -> None:
        """Stops one container of a pod that goes on: no turns to wait for, the policy decides what follows."""
        self.actions.append(Stop(container.name, message, grace_s))

    def initialize(self) -> bool:
        """Works on init containers; True when the others may run."""
        record = self.record
        for container, spec in self.listed:
            if container.kind == "sidecar":
                self.keep(container, spec)
                if not (container.running and has_started(container, spec)) and not record.initialized:
                    return False
            elif container.kind == "init" and not record.initialized:
                if container.ended is not None and container.ended.code == 0:
                    continue
                self.keep(container, spec)
                return False
        return True

    def keep(self, container: ContainerRecord, spec: Mapping[str, Any]) -> bool:
        """Starts the container if it should run; False when it never will again."""
        if container.phase in ("running", "starting"):
            return True
        if not will_restart(container, self.policy):
            return False
        if container.refused and self.is_refused(container, spec):
            return True
        ended = container.ended
        fresh = bool(container.definition) and container.definition != definition_of(spec)
        counts = ended is not None and not container.restart_anyway and not fresh
        if counts:
            assert ended is not None
            until = wait_until(container.crash, ended.finished_at, self.knobs.backoff_max_s)
            if self.now < until:
                self.waiting[container.name] = Waiting("CrashLoopBackOff", self.backoff_message(container))
                self.wake(until)
                return True
        self.actions.append(Start(container.name, container.attempt + 1, counts, fresh))
        return True

    def is_refused(self, container: ContainerRecord, spec: Mapping[str, Any]) -> bool:
        """Whether the last refusal still stands; says why the container waits."""
        said = container.waiting or Waiting("ContainerCreating")
        if container.refused == "config":
            until = container.refused_at + self.knobs.config_retry_s
        else:
            until = container.refused_at + container.pull.delay_s
            shown_until = container.refused_at + ERR_IMAGE_PULL_SHOWN_S
            if said.reason == "ErrImagePull":
                if self.now < min(shown_until, until):
                    self.wake(min(shown_until, until))
                else:
                    text = f'Back-off pulling image "{spec.get("image", "")}": ErrImagePull: {said.message}'
                    said = Waiting("ImagePullBackOff", text)
        if self.now >= until:
            return False
        self.wake(until)
        self.waiting[container.name] = said
        return True

    def backoff_message(self, container: ContainerRecord) -> str:
        delay = spoken(container.crash.delay_s)
        return f"back-off {delay} restarting failed container={container.name} pod={pod_text(self.record)}"

    def stop_sidecars(self) -> None:
        """All containers are through: the pod finishes."""
        for container, spec in self.listed:
            if container.kind == "sidecar" and container.running and container.kill is None:
                self.stop(container, f"Stopping container {container.name}", self.grace_s(spec))
        self.actions = [action for action in self.actions if not isinstance(action, Start)]
        self.waiting = {}


def has_started(container: ContainerRecord, spec: Mapping[str, Any]) -> bool:
    """Whether a running container is "started": its startup probe succeeded, and its postStart hook returned."""
    if spec.get("startupProbe"):
        return container.probe_started is True
    return container.post_start == "done" or not (spec.get("lifecycle") or {}).get("postStart")

"""Runs one pod: asks `plan` after every event, performs its actions, and lets `status` say what came of it.

Everything that happens to a pod ends in `sync`, which never waits: plan, perform, plan again until nothing is left to
do, then tell the probes and wake the status writer, all in the same loop iteration as the cause. What takes time
(starting, hooks, signals) runs in tasks that write into the record and call `sync` again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from signal import SIGKILL
from typing import Any

from control.api.kinds import Kind
from control.api.objects import Object, spec_of
from control.kubelet import mounts
from control.kubelet.hooks import Surroundings
from control.kubelet.launch import Folders
from control.kubelet.network.loopback import (
    bind_conflict,
    conflict_message,
    wildcard_message,
    wildcard_ports,
)
from control.kubelet.plan import (
    DEADLINE,
    Action,
    Conclude,
    Expire,
    Plan,
    Prepare,
    Shorten,
    Signal,
    Start,
    Stop,
    has_started,
    plan,
)
from control.kubelet.probe import Outcome, ProbeKind
from control.kubelet.prober import PodProber
from control.kubelet.process import ProcessState
from control.kubelet.record import ContainerRecord, Kill, PodRecord, containers_of, ended_from, pod_text
from control.kubelet.restart import book
from control.kubelet.sandbox import Sandbox, clean_up, delete_pod
from control.kubelet.starter import start, surroundings
from control.kubelet.status import status
from control.kubelet.volumes import uses
from control.kubelet.ward import Ward
from control.kubelet.writer import StatusWriter

logger = logging.getLogger(__name__)
ROUNDS_MAX = 20  # of planning in one sync; a plan that never settles is a defect, not a reason to hang
BIND_CHECK_S = 1.0  # after a start, until its sockets are looked at


class PodRunner:
    """One pod. `pod` is the newest copy from the mirror."""

    def __init__(self, ward: Ward, pod: Object, record: PodRecord) -> None:
        self.ward = ward
        self.pod = pod
        self.record = record
        self.node = str(spec_of(pod).get("nodeName") or "")
        self.plan: Plan | None = None
        self.closed = False
        self.syncing = False
        self.concluding = False
        self.timer: asyncio.TimerHandle | None = None
        self.hooks: dict[str, asyncio.Task[None]] = {}
        self.arounds: dict[str, Surroundings] = {}
        self.early_exits: dict[str, ProcessState] = {}
        self.said_waiting: dict[str, str] = {}
        self.loop = asyncio.get_running_loop()
        self.prober = PodProber(
            ward.handlers, ward.probe_limit, ward.knobs, ward.rng, ward.clock, self.on_verdict, self.on_trouble
        )
        self.sandbox = Sandbox(ward, record, self.node, self.sync)
        self.writer = StatusWriter(ward, record.namespace, record.name, record.uid, self.wanted_status)

    def __repr__(self) -> str:
        return f"<PodRunner {self.record!r} {self.prober!r} {self.writer!r}>"

    @property
    def folders(self) -> Folders:
        return self.sandbox.folders

    # events

    def update(self, pod: Object) -> None:
        self.pod = pod
        self.sync()

    def remove(self) -> None:
        """The pod is gone from the API."""
        self.record.removed = True
        self.sync()

    def config_changed(self, kind: Kind, name: str) -> None:
        """What the pod's configuration comes from came or changed: waiting containers look again, volumes follow."""
        record = self.record
        for container in record.containers.values():
            if container.refused == "config":
                container.refused_at = 0.0
        if record.sandbox == "failed":
            record.sandbox_failed_at = 0.0
        elif record.sandbox == "ready" and uses(self.pod, kind, name):
            self.sandbox.refresh(self.pod)
        self.sync()

    def images_changed(self) -> None:
        for container in self.record.containers.values():
            if container.refused == "image":
                container.refused_at = container.pull.delay_s = 0.0
        self.sync()

    def on_exit(self, state: ProcessState) -> None:
        container = self.record.containers.get(state.labels.get("container", ""))
        if container is None or state.exit is None:
            return
        if container.process is None or container.process.id != state.id or not container.running:
            self.early_exits[state.id] = state  # the answer to its start has not been seen yet
            return
        self.end(container, state)
        self.sync()

    def end(self, container: ContainerRecord, state: ProcessState) -> None:
        assert state.exit is not None
        spec = self.spec_of_container(container.name)
        failed = state.exit.code != 0
        message = mounts.termination_message(spec, self.folders, state.log_path, failed=failed) if spec else ""
        if failed and container.kill is None and bind_conflict(mounts.tail_of(state.log_path)):
            text = conflict_message(container.name, self.record.pod_ip)
            self.ward.say(self.pod, "Warning", "LoopbackBindConflict", text, container.name)
        container.process = state
        container.end(ended_from(container, state, container.attempt, message))
        self.cancel_hook(container.name)

    def on_verdict(self, name: str, kind: ProbeKind, verdict: bool) -> None:
        container = self.record.containers[name]
        if kind == "readiness":
            if container.probe_ready is verdict:
                return  # no news; the usual case
            container.probe_ready = verdict
        elif kind == "startup" and verdict:
            container.probe_started = True
        elif verdict:
            return
        else:
            container.unhealthy = kind
        self.sync()

    def on_trouble(self, name: str, kind: ProbeKind, outcome: Outcome) -> None:
        word = kind.capitalize()
        if outcome.result == "warning":
            self.ward.say(self.pod, "Warning", "ProbeWarning", f"{word} probe warning: {outcome.output}", name)
        elif outcome.result == "error":
            text = f"{word} probe errored and resulted in unknown state: {outcome.output}"
            self.ward.say(self.pod, "Warning", "Unhealthy", text, name)
        else:
            self.ward.say(self.pod, "Warning", "Unhealthy", f"{word} probe failed: {outcome.output}", name)

    # the one place where it all comes together

    def sync(self) -> None:
        if self.syncing or self.closed:
            return
        self.syncing = True
        try:
            for _ in range(ROUNDS_MAX):
                current = self.plan = plan(self.pod, self.record, self.ward.now(), self.ward.knobs)
                if not current.actions:
                    break
                for action in current.actions:
                    self.perform(action)
                if self.closed:
                    return
        finally:
            self.syncing = False
        self.say_waiting(current)
        self.tell_prober(current)
        self.writer.wake()
        self.arm(current.wake_at)

    def arm(self, at: float | None) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if at is not None:
            self.timer = self.loop.call_later(max(0.001, self.ward.clock.delay_s(at - self.ward.now())), self.sync)

    def wanted_status(self) -> tuple[Object, Object] | None:
        if self.record.removed or self.closed or self.plan is None:
            return None
        host_ip = self.ward.nodes[self.node].ip
        return self.pod, status(self.pod, self.record, self.plan, host_ip, self.ward.clock.now())

    def say_waiting(self, current: Plan) -> None:
        """BackOff events, when a container begins to wait."""
        for name, waiting in current.waiting.items():
            if self.said_waiting.get(name) == waiting.message:
                continue
            if waiting.reason == "CrashLoopBackOff":
                text = f"Back-off restarting failed container {name} in pod {pod_text(self.record)}"
                self.ward.say(self.pod, "Warning", "BackOff", text, name)
            elif waiting.reason == "ImagePullBackOff":
                image = (self.spec_of_container(name) or {}).get("image", "")
                self.ward.say(self.pod, "Normal", "BackOff", f'Back-off pulling image "{image}"', name)
                self.ward.say(self.pod, "Warning", "Failed", "Error: ImagePullBackOff", name)
        self.said_waiting = {name: waiting.message for name, waiting in current.waiting.items()}

    def tell_prober(self, current: Plan) -> None:
        now = self.ward.now()
        for kind, spec in containers_of(self.pod):
            container = self.record.containers[spec["name"]]
            if kind == "init" or not (spec.keys() & {"readinessProbe", "livenessProbe", "startupProbe"}):
                continue
            process = container.process if container.running else None
            self.prober.see(
                spec,
                process.id if process else "",
                max(0.0, now - process.started_at) if process else 0.0,
                lambda spec=spec: self.around(spec),  # type: ignore[misc]
                started=has_started(container, spec),
                terminating=current.ending,
            )

    # actions

    def perform(self, action: Action) -> None:
        match action:
            case Prepare():
                self.sandbox.prepare(self.pod)
            case Start():
                self.start(action)
            case Stop():
                self.stop(action)
            case Signal():
                self.signal(action)
            case Shorten(grace_s):
                self.shorten(grace_s)
            case Expire():
                self.record.verdict = DEADLINE
                self.ward.say(self.pod, "Normal", DEADLINE.reason, DEADLINE.message)
            case Conclude():
                self.conclude()

    def start(self, action: Start) -> None:
        container = self.record.containers[action.container]
        now, knobs = self.ward.now(), self.ward.knobs
        if action.fresh:
            container.crash.delay_s = 0.0
        elif action.counts and container.ended is not None:
            book(container.crash, container.ended.finished_at, now, knobs.backoff_base_s, knobs.backoff_max_s)
        if container.kind == "app":
            self.record.initialized = True
        container.phase, container.refused = "starting", ""
        self.ward.spawn(self.run_start(container, action.attempt))

    async def run_start(self, container: ContainerRecord, attempt: int) -> None:
        async with self.ward.start_limit:
            spec = self.spec_of_container(container.name)
            if spec is None or self.closed or (self.plan is not None and self.plan.ending):
                container.phase = "ended" if container.ended is not None else "waiting"
                self.sync()
                return
            try:
                around = await start(self.ward, self.pod, self.record, spec, attempt)
            except ConnectionError as error:
                logger.warning("starting %s of %s: %s", container.name, pod_text(self.record), error)
                container.phase = "ended" if container.ended is not None else "waiting"
                self.loop.call_later(self.ward.knobs.reconnect_s, self.sync)
                return
        if around is not None:
            self.arounds[container.name] = around
            self.after_start(container, spec, attempt)
        self.sync()

    def after_start(self, container: ContainerRecord, spec: Mapping[str, Any], attempt: int) -> None:
        process = container.process
        assert process is not None
        over = self.early_exits.pop(process.id, None) or (process if process.exit is not None else None)
        if over is not None:
            self.end(container, over)
        elif (spec.get("lifecycle") or {}).get("postStart"):
            container.post_start = "running"
            self.hooks[container.name] = self.ward.spawn(self.run_post_start(container, spec))
        if over is None:
            self.loop.call_later(BIND_CHECK_S, self.check_binds, container, process)
        if attempt >= 2:
            self.ward.spawn(self.drop_attempt(container.name, attempt - 2))

    async def drop_attempt(self, name: str, attempt: int) -> None:
        """Only the newest attempt and the one before are kept, with their logs."""
        mounts.remove_log(
            self.ward.folders(self.record.namespace, self.record.name, self.record.uid).log(name, attempt)
        )
        await self.ward.host.forget(f"{self.record.uid}/{name}/{attempt}")

    def check_binds(self, container: ContainerRecord, process: ProcessState) -> None:
        if container.process is not process or not container.running:
            return
        inodes = mounts.socket_inodes(process.pid)
        if not inodes:
            return
        ports = sorted({port for table in mounts.listening_tables() for port in wildcard_ports(table, inodes)})
        if ports:
            text = wildcard_message(container.name, ports, self.record.pod_ip)
            self.ward.say(self.pod, "Warning", "LoopbackBindConflict", text, container.name)

    def around(self, spec: Mapping[str, Any]) -> Surroundings:
        found = self.arounds.get(spec["name"])
        if found is None or found.container is not spec:
            found = self.arounds[spec["name"]] = surroundings(self.ward, self.pod, self.record, spec)
        return found

    async def run_post_start(self, container: ContainerRecord, spec: Mapping[str, Any]) -> None:
        process = container.process
        handler = spec["lifecycle"]["postStart"]
        failure = await self.ward.handlers.hook(handler, self.around(spec), self.ward.knobs.hook_timeout_s)
        if container.process is not process or not container.running:
            return
        container.post_start = "done" if failure is None else "failed"
        if failure is not None:
            self.ward.say(self.pod, "Warning", "FailedPostStartHook", "PostStartHook failed", container.name)
        self.sync()

    def stop(self, action: Stop) -> None:
        container = self.record.containers[action.container]
        spec = self.spec_of_container(container.name) or {}
        if self.plan is not None and self.plan.ending:
            self.record.grace_s = action.grace_s
        deadline = self.ward.now() + self.ward.clock.cluster_s(action.grace_s)
        kill = Kill(action.message, deadline, restart=action.restart, waits_turn=action.waits_turn)
        container.kill = kill
        self.cancel_hook(container.name)
        self.ward.say(self.pod, "Normal", "Killing", action.message, container.name)
        if (spec.get("lifecycle") or {}).get("preStop") and action.grace_s > 0:
            kill.hook = "running"
            self.hooks[container.name] = self.ward.spawn(self.run_pre_stop(container, kill, spec, action.grace_s))

    async def run_pre_stop(
        self, container: ContainerRecord, kill: Kill, spec: Mapping[str, Any], grace_s: float
    ) -> None:
        failure = await self.ward.handlers.hook(spec["lifecycle"]["preStop"], self.around(spec), grace_s)
        kill.hook = "done" if failure is None else "failed"
        if failure is not None:
            self.ward.say(self.pod, "Warning", "FailedPreStopHook", "PreStopHook failed", container.name)
        if container.kill is kill:
            self.sync()

    def cancel_hook(self, name: str) -> None:
        hook = self.hooks.pop(name, None)
        if hook is not None and hook is not asyncio.current_task():
            hook.cancel()

    def signal(self, action: Signal) -> None:
        container = self.record.containers[action.container]
        kill, process = container.kill, container.process
        assert kill is not None
        assert process is not None
        kill.signalled, kill.deadline = True, action.deadline
        kill.killed = kill.killed or action.signum == SIGKILL
        self.cancel_hook(container.name)
        self.ward.spawn(self.send(process.id, action.signum))

    async def send(self, process_id: str, signum: int) -> None:
        try:
            await self.ward.host.signal(process_id, signum)
        except ConnectionError as error:
            logger.warning("signal %d to %s: %s", signum, process_id, error)

    def shorten(self, grace_s: float) -> None:
        self.record.grace_s = grace_s
        deadline = self.ward.now() + max(self.ward.clock.cluster_s(grace_s), self.ward.knobs.grace_min_s)
        for container in self.record.containers.values():
            if container.kill is not None:
                container.kill.deadline = min(container.kill.deadline, deadline)

    def conclude(self) -> None:
        if self.record.removed:
            self.close()
            self.ward.spawn(clean_up(self.ward, self.record, self.node))
        elif not self.concluding:
            self.concluding = True
            self.ward.spawn(delete_pod(self.ward, self.record))

    def close(self) -> None:
        self.closed = True
        self.arm(None)
        self.prober.close()
        self.writer.close()
        for name in list(self.hooks):
            self.cancel_hook(name)

    def spec_of_container(self, name: str) -> Mapping[str, Any] | None:
        return next((spec for _, spec in containers_of(self.pod) if spec["name"] == name), None)

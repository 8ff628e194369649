"""Plays the pods of simulated nodes: hears of nodes and pods, asks `acting`, writes what came of it.

Pods take turns: each is looked at when it changed or when something of it is due, and some are written at the same time
(`WRITES_AT_ONCE`). What a pod says is always of the moment of its write, so that a thousand pods that become ready
together cost a write each. A pod costs no task, no timer and no file while nothing happens to it.

After a crash everything is found again in the API: what a pod's status says to run, runs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from control.api.kinds import NODE, POD, Kind
from control.api.objects import Object, annotations_of, name_of, namespace_of, spec_of, status_of, uid_of
from control.api.status import StatusError
from control.config.clock import Clock
from control.kubelet.knobs import Knobs
from control.kubelet.simulated.acting import Acted, Actor, act, enter
from control.kubelet.simulated.addresses import Addresses
from control.kubelet.simulated.nodes import is_simulated
from control.kubelet.simulated.pulse import Pulse
from control.kubelet.simulated.stage import stage_of
from control.kubelet.status import changes, status
from control.mirror.client import Client, PatchType
from control.mirror.mirror import Mirror
from control.mirror.recorder import Recorder

logger = logging.getLogger(__name__)
WRITES_AT_ONCE = 16  # the API server is one process: more of them only wait there
PATCH: PatchType = "application/strategic-merge-patch+json"


class SimulatedAgent:
    """`mirror` must hold nodes and pods; nodes whose names are `taken` are real. `make`: names of nodes to create."""

    def __init__(
        self,
        client: Client,
        mirror: Mirror,
        knobs: Knobs,
        clock: Clock,
        *,
        taken: Sequence[str],
        pod_cidr: str,
        make: Sequence[str] = (),
    ) -> None:
        self.client, self.mirror, self.knobs, self.clock = client, mirror, knobs, clock
        self.taken = frozenset(taken)
        self.addresses = Addresses(pod_cidr)
        self.recorder = Recorder(client, "kubelet", host="simulated", clock=clock.now)
        self.pulse = Pulse(client, knobs, clock, self.recorder, make=make)
        self.actors: dict[str, Actor] = {}  # by UID
        self.waiting: dict[str, None] = {}  # UIDs whose turn has not come, in order
        self.timers: dict[str, asyncio.TimerHandle] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.writes = 0
        self.open = False
        mirror.subscribe(self.on_change)

    def __repr__(self) -> str:
        return f"<SimulatedAgent {len(self.pulse.nodes)} nodes, {len(self.actors)} pods, {self.writes} writes>"

    async def run(self) -> None:
        """Until it is cancelled."""
        await self.mirror.synced.wait()
        self.open = True
        for node in self.mirror.world.list(NODE):
            self.on_node(node)
        try:
            await self.pulse.run()
        finally:
            await self.close()

    async def close(self) -> None:
        self.open = False
        for timer in self.timers.values():
            timer.cancel()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.recorder.close()

    # news

    def on_change(self, kind: Kind, old: Object | None, new: Object | None) -> None:
        if not self.open:
            return
        if kind is POD:
            if old is not None and (new is None or uid_of(old) != uid_of(new)):
                self.drop(uid_of(old))
            if new is not None:
                self.on_pod(new)
        elif kind is NODE:
            if new is not None:
                self.on_node(new)
            elif old is not None:
                self.leave(name_of(old))

    def on_node(self, node: Object) -> None:
        name = name_of(node)
        if not is_simulated(node) or name in self.taken:
            self.leave(name)
            return
        before = self.pulse.nodes.get(name)
        self.pulse.put(node)
        if before is None or annotations_of(before) != annotations_of(node):
            for pod in self.pods_of(name):
                self.on_pod(pod)

    def leave(self, node: str) -> None:
        """The node is simulated no longer, or gone; its pods are no concern of ours."""
        if self.pulse.nodes.get(node) is not None:
            self.pulse.remove(node)
            for pod in self.pods_of(node):
                self.drop(uid_of(pod))

    def pods_of(self, node: str) -> list[Object]:
        return self.mirror.world.by_field(POD, "spec.nodeName", node)

    def on_pod(self, pod: Object) -> None:
        node = self.pulse.nodes.get(str(spec_of(pod).get("nodeName") or ""))
        if node is None:
            return
        uid = uid_of(pod)
        actor = self.actors.get(uid)
        stage = stage_of(pod, node)
        if actor is None:
            address = self.addresses.give(uid, status_of(pod).get("podIP") or "")
            actor = self.actors[uid] = enter(pod, stage, address, self.clock.now().timestamp())
            self.complain(pod, stage.complaints)
        elif actor.stage.complaints != stage.complaints:
            self.complain(pod, stage.complaints)
        actor.pod, actor.stage = pod, stage
        self.wake(uid)

    def drop(self, uid: str) -> None:
        if self.actors.pop(uid, None) is not None:
            self.addresses.take_back(uid)
            self.waiting.pop(uid, None)
            self.arm(uid, None)

    def complain(self, pod: Object, complaints: Sequence[str]) -> None:
        for complaint in complaints:
            self.recorder.emit({**pod, "apiVersion": "v1", "kind": "Pod"}, "Warning", "InvalidSimulation", complaint)

    # turns

    def wake(self, uid: str) -> None:
        if uid in self.actors:
            self.waiting[uid] = None
            self.pump()

    def pump(self) -> None:
        while self.waiting and len(self.tasks) < WRITES_AT_ONCE and self.open:
            uid = next(iter(self.waiting))
            del self.waiting[uid]
            actor = self.actors[uid]
            if actor.busy:
                continue  # it looks again when it is done
            acted = self.look(actor)
            patch = self.patch(actor, acted)
            if patch is None and (not acted.over or actor.deleted):
                continue
            actor.busy = True
            task = asyncio.ensure_future(self.write(actor, acted, patch))
            self.tasks.add(task)
            task.add_done_callback(self.written)

    def written(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("writing a simulated pod failed", exc_info=task.exception())
        self.pump()

    def look(self, actor: Actor) -> Acted:
        now = self.clock.now().timestamp()
        acted = act(actor, now, self.knobs)
        self.arm(
            actor.record.uid, None if acted.wake_at is None else max(0.001, self.clock.delay_s(acted.wake_at - now))
        )
        return acted

    def arm(self, uid: str, delay_s: float | None) -> None:
        timer = self.timers.pop(uid, None)
        if timer is not None:
            timer.cancel()
        if delay_s is not None:
            self.timers[uid] = asyncio.get_running_loop().call_later(delay_s, self.wake, uid)

    def patch(self, actor: Actor, acted: Acted) -> Object | None:
        """What of the pod's status the API does not say yet."""
        node = str(spec_of(actor.pod).get("nodeName") or "")
        wanted = status(actor.pod, actor.record, acted.plan, self.pulse.address_of(node), self.clock.now())
        if actor.told == (wanted, actor.pod.get("status")):
            return None  # the server answered with something else than was asked for: not again
        patch = changes(actor.pod, wanted)
        if patch is not None:
            actor.told = (wanted, None)
        return patch

    async def write(self, actor: Actor, acted: Acted, patch: Object | None) -> None:
        record = actor.record
        try:
            if patch is not None:
                body = {"metadata": {"uid": record.uid}, "status": patch}
                result = await self.client.patch(
                    POD, record.namespace, record.name, body, patch_type=PATCH, subresource="status",
                    field_manager="kubelet",
                )  # fmt: skip
                self.writes += 1
                if actor.told is not None:
                    actor.told = (actor.told[0], result.get("status"))
                self.mirror.observe(POD, result)
            elif acted.over:
                await self.client.delete(POD, record.namespace, record.name, uid=record.uid, grace_period_s=0)
                actor.deleted = True
        except StatusError as error:
            if error.reason not in ("NotFound", "Conflict"):  # gone, or another pod of that name: the mirror will say
                logger.warning("simulated pod %s/%s: %s", record.namespace, record.name, error.message)
                await asyncio.sleep(self.knobs.reconnect_s)
                self.waiting[record.uid] = None
        except (ConnectionError, TimeoutError):
            await asyncio.sleep(self.knobs.reconnect_s)
            self.waiting[record.uid] = None
        finally:
            actor.busy = False
        if patch is not None:
            self.waiting[record.uid] = None  # what changed meanwhile
        if record.uid not in self.actors:
            self.waiting.pop(record.uid, None)

    def find(self, namespace: str, name: str) -> Actor | None:
        """The actor of that name, for the kubelet's HTTP API."""
        pod = self.mirror.world.get(POD, namespace, name)
        return self.actors.get(uid_of(pod)) if pod is not None and namespace == namespace_of(pod) else None

"""Kubelets without processes: pods of all nodes get an address, become ready, end, and go when they are deleted.

Each pod that has something before it is taken care of by a task of its own, which waits some time before each step, so
that steps of different pods come in any order. It looks at what is stored, not at a mirror: what a kubelet does with a
stale world is a law of its own (tests/unit/kubelet). `fates` says how a pod of a Job ends; `unready` pods lose their
readiness until they are taken out again; a pod whose image is `broken` never becomes ready.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from random import Random

from control.api.kinds import NODE, POD, Kind
from control.api.objects import (
    Object,
    format_time,
    is_condition_true,
    is_deleting,
    key_of,
    meta,
    name_of,
    namespace_of,
    spec_of,
    status_of,
    uid_of,
)
from control.api.status import StatusError
from control.mirror.client import Client
from control.mirror.world import World

ENDED = ("Succeeded", "Failed")
STEP_MAX_S = 3.0


@dataclass
class SimulatedKubelet:
    """Tell it of changes with `changed`."""

    client: Client
    world: World
    clock: Callable[[], datetime]
    rng: Random
    note: Callable[[str, str], None]
    failing: float = 0.0  # the part of Jobs' pods that fail
    broken: set[str] = field(default_factory=set)  # images
    unready: set[str] = field(default_factory=set)  # pods' uids
    crashed: set[str] = field(default_factory=set)  # pods' uids that end as Failed
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    addresses: int = 0

    def changed(self, kind: Kind, old: Object | None, new: Object | None) -> None:
        if kind == POD and new is not None and uid_of(new) not in self.tasks and self._next(new):
            self._care(uid_of(new), new)
        elif kind == NODE and new is not None and old is None:
            self.look()

    def look(self) -> None:
        """At all pods: what was said about their health has changed."""
        for pod in self.world.list(POD):
            self.changed(POD, None, pod)

    def close(self) -> None:
        for task in self.tasks.values():
            task.cancel()

    def _care(self, uid: str, pod: Object) -> None:
        task = asyncio.ensure_future(self._work(uid, pod))
        self.tasks[uid] = task

        def finished(done: asyncio.Task[None]) -> None:
            self.tasks.pop(uid, None)
            if not done.cancelled() and done.exception() is not None:
                raise done.exception()  # type: ignore[misc]

        task.add_done_callback(finished)

    async def _work(self, uid: str, pod: Object) -> None:
        while True:
            await asyncio.sleep(self.rng.random() * STEP_MAX_S)
            found = self.world.get(POD, *key_of(pod))
            step = self._next(found) if found is not None and uid_of(found) == uid else ""
            if found is None or not step:
                return
            try:
                await self._take(step, found)
            except StatusError as error:
                if error.reason not in ("NotFound", "Conflict"):
                    raise

    def _next(self, pod: Object) -> str:
        """What is to be done with a pod now, "" nothing."""
        status, phase = status_of(pod), status_of(pod).get("phase")
        if not spec_of(pod).get("nodeName") or self.world.get(NODE, "", spec_of(pod)["nodeName"]) is None:
            return ""
        if is_deleting(pod):
            if phase not in ENDED and meta(pod).get("finalizers"):
                return "stop"
            return "remove" if meta(pod).get("deletionGracePeriodSeconds") != 0 else ""
        if phase in ENDED:
            return ""
        if not status.get("podIP"):
            return "start"
        if uid_of(pod) in self.crashed:
            return "crash"
        ready = is_condition_true(pod, "Ready")
        if uid_of(pod) in self.unready or spec_of(pod)["containers"][0]["image"] in self.broken:
            return "lose" if ready else ""
        if not ready:
            return "ready"
        return "end" if spec_of(pod).get("restartPolicy") in ("Never", "OnFailure") else ""

    async def _take(self, step: str, pod: Object) -> None:
        place = namespace_of(pod), name_of(pod)
        self.note("kubelet", f"{step} pod {name_of(pod)}")
        if step == "remove":
            await self.client.delete(POD, *place, uid=uid_of(pod), grace_period_s=0)
            return
        await self.client.patch(POD, *place, self._status(step, pod), subresource="status")

    def _status(self, step: str, pod: Object) -> Object:
        now = format_time(self.clock())
        status: Object = {}
        if step == "start":
            self.addresses += 1
            address = f"127.244.{self.addresses // 250}.{self.addresses % 250 + 1}"
            status = {"podIP": address, "podIPs": [{"ip": address}], "phase": "Pending"}
        elif step in ("ready", "lose"):
            value = "True" if step == "ready" else "False"
            status = {"phase": "Running", "conditions": [_condition("Ready", value, now)]}
        else:
            failed = step in ("stop", "crash") or self.rng.random() < self.failing
            code = 1 if failed else 0
            name = spec_of(pod)["containers"][0]["name"]
            status = {
                "phase": "Failed" if failed else "Succeeded",
                "conditions": [_condition("Ready", "False", now)],
                "containerStatuses": [_ended(name, spec_of(pod)["containers"][0]["image"], code, now)],
            }
        return {"metadata": {"uid": uid_of(pod)}, "status": status}


def _condition(type_: str, value: str, now: str) -> Object:
    return {"type": type_, "status": value, "lastTransitionTime": now}


def _ended(name: str, image: str, code: int, now: str) -> Object:
    reason = "Error" if code else "Completed"
    terminated = {"exitCode": code, "reason": reason, "startedAt": now, "finishedAt": now}
    return {
        "name": name, "image": image, "imageID": image, "ready": False, "restartCount": 0,
        "state": {"terminated": terminated},
    }  # fmt: skip

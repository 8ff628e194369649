"""Controllers, kubelets and time over a `Cluster`, one small step at a time, in an order that the test chooses.

A step is one of: a controller reconciles one of its waiting keys (on the present world or, if asked, on an older one),
or the kubelet moves one pod on. When nothing else is left, time jumps to the next wake. Every step that happens is
chosen by `choose`, so hypothesis or a seeded `Random` can play all orders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from control.api.kinds import POD, Kind
from control.api.objects import (
    Key,
    Object,
    copy_of,
    format_time,
    is_condition_true,
    is_deleting,
    key_of,
    meta,
    spec_of,
    status_of,
)
from control.controllers.action import Action, Emit, Outcome
from control.controllers.controller import Controller
from tests.fakes.tiny_api import Cluster, Rejected, Stopped

Choose = Callable[[Sequence[Any]], Any]
"""Picks one of several possibilities."""


def first(options: Sequence[Any]) -> Any:
    return options[0]


@dataclass
class Simulation:
    """`on_step` is called after every step that changed something; `staleness()` says how many changes old a world
    the next reconcile sees."""

    cluster: Cluster
    controllers: Sequence[Controller]
    choose: Choose = first
    staleness: Callable[[], int] = lambda: 0
    on_step: Callable[[], None] = lambda: None
    dies: Callable[[], bool] = lambda: False  # whether the controller is killed before its next action
    looks_between_actions: bool = True  # whether `on_step` is called after each action of a reconcile too
    kubelet: bool = True
    healthy: Callable[[Object], bool] = lambda pod: True  # whether a pod ever becomes ready
    ends: Callable[[Object], str] = lambda pod: ""  # the phase in which a ready pod ends, "" never
    waiting: list[tuple[Controller, Key]] = field(default_factory=list)
    wakes: dict[tuple[str, Key], tuple[datetime, Controller]] = field(default_factory=dict)
    performed: list[tuple[str, Action]] = field(default_factory=list)
    addresses: int = 0

    def __post_init__(self) -> None:
        self.cluster.listeners.append(self._changed)
        for (kind, _), obj in list(self.cluster.objects.items()):
            self._changed(kind, None, obj)

    def _changed(self, kind: Kind, old: Object | None, new: Object | None) -> None:
        for controller in self.controllers:
            wakes = controller.watches.get(kind)
            if wakes is None:
                continue
            for obj in (old, new):
                if obj is not None:
                    for key in wakes(self.cluster.world, obj):
                        self._wake(controller, key)

    def _wake(self, controller: Controller, key: Key) -> None:
        if (controller, key) not in self.waiting:
            self.waiting.append((controller, key))

    # Steps

    def settle(self, steps_max: int = 3000) -> int:
        """Runs until nothing is left to do now or later; returns the number of steps."""
        for count in range(steps_max):
            if not self.step():
                return count
        raise AssertionError(f"not settled after {steps_max} steps; {self.waiting[:5]} wait")

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.step()

    def step(self) -> bool:
        """One step; False when there is nothing to do any more."""
        options: list[Any] = [*self.waiting, *(self._kubelet_work() if self.kubelet else ())]
        if options:
            chosen = self.choose(options)
            if isinstance(chosen, Key):
                self._kubelet_step(chosen)
            else:
                self.waiting.remove(chosen)
                self.reconcile(*chosen)
            self.on_step()
            return True
        return self._sleep()

    def _sleep(self) -> bool:
        if not self.wakes:
            return False
        due = min(at for at, _ in self.wakes.values())
        self.cluster.now = max(self.cluster.now, due)
        for place, (at, controller) in list(self.wakes.items()):
            if at <= self.cluster.now:
                del self.wakes[place]
                self._wake(controller, place[1])
        return True

    def reconcile(self, controller: Controller, key: Key) -> Outcome:
        age = self.staleness()
        world = self.cluster.past_world(age) if age else self.cluster.world
        outcome = controller.reconcile(world, key, self.cluster.now)
        self.wakes.pop((controller.name, key), None)
        if outcome.wake_at is not None:
            self.wakes[controller.name, key] = (outcome.wake_at, controller)
        for action in outcome.actions:
            if self.dies():
                self._wake(controller, key)
                break
            try:
                self.cluster.perform((action,))
            except Stopped:
                self._wake(controller, key)
                break
            except Rejected:
                at = self.cluster.now + timedelta(seconds=1)
                self.wakes[controller.name, key] = (at, controller)
                break
            self.performed.append((controller.name, action))
            if self.looks_between_actions:
                self.on_step()
        if age:
            self._wake(controller, key)  # news is on its way to whoever looked at an old world
        return outcome

    def writes_at_rest(self) -> list[tuple[str, Key, Action]]:
        """What every controller would still write about every key that it can have."""
        found: list[tuple[str, Key, Action]] = []
        for controller in self.controllers:
            keys = {
                key
                for (kind, _), obj in self.cluster.objects.items()
                if kind in controller.watches
                for key in controller.watches[kind](self.cluster.world, obj)
            }
            for key in sorted(keys):
                outcome = controller.reconcile(self.cluster.world, key, self.cluster.now)
                found += [(controller.name, key, action) for action in outcome.actions if not isinstance(action, Emit)]
        return found

    # The kubelet

    def _kubelet_work(self) -> Iterable[Key]:
        for pod in self.cluster.all(POD):
            if not spec_of(pod).get("nodeName"):
                continue
            if is_deleting(pod):
                if meta(pod).get("deletionGracePeriodSeconds") != 0:
                    yield key_of(pod)
            elif is_counted(pod) and (self._starts(pod) or self.ends(pod)):
                yield key_of(pod)

    def _starts(self, pod: Object) -> bool:
        return not status_of(pod).get("podIP") or (self.healthy(pod) and not is_condition_true(pod, "Ready"))

    def _kubelet_step(self, key: Key) -> None:
        pod = self.cluster.objects[POD, key]
        if is_deleting(pod):
            if meta(pod).get("finalizers"):
                self.cluster._replace(POD, {**pod, "status": {**status_of(pod), "phase": "Failed"}})
            self.cluster.delete(POD, pod, grace_s=0)
            return
        ends = "" if self._starts(pod) else self.ends(pod)
        pod = copy_of(pod)
        status = pod.setdefault("status", {})
        if not status.get("podIP"):
            self.addresses += 1
            status["podIP"] = f"127.244.{self.addresses // 250}.{self.addresses % 250 + 1}"
            status["phase"] = "Pending"
        elif ends:
            status["phase"] = ends
            status["conditions"] = [
                {"type": "Ready", "status": "False", "lastTransitionTime": format_time(self.cluster.now)}
            ]
        else:
            status["phase"] = "Running"
            status["conditions"] = [
                {"type": "Ready", "status": "True", "lastTransitionTime": format_time(self.cluster.now)}
            ]
        self.cluster._replace(POD, pod)


def is_counted(pod: Object) -> bool:
    return not is_deleting(pod) and status_of(pod).get("phase") not in ("Succeeded", "Failed")

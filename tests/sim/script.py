"""What a run plays, all of it from its seed: workloads, what users do to them, what befalls pods and nodes, and when.

A *calm* script has users but no misfortune: nothing ends, falls silent or is taken away but by the controllers' own
doing, so that whatever is unavailable is so on purpose, and the bounds on that can be judged. In a *stormy* one pods
crash, are evicted and deleted and lose their readiness, and nodes are tainted, cordoned, relabelled, added and removed.
Both have the same faults between control and its server.

At the end of a script everything is made well again (`heal`), because the last laws are about what must come true then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from control.api.kinds import (
    CRON_JOB,
    DAEMON_SET,
    DEPLOYMENT,
    JOB,
    NODE,
    POD,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    STATEFUL_SET,
    Kind,
    kind_of,
)
from control.api.objects import Object, is_deleting, name_of, spec_of, uid_of
from control.api.status import StatusError
from tests.fakes.faulty_client import Rates
from tests.sim import workloads as make
from tests.sim.lab import Lab
from tests.sim.workloads import BROKEN, IMAGES, NODE_STATUS

MAKERS: dict[Kind, Callable[[str, Random], Object]] = {
    DEPLOYMENT: make.deployment,
    STATEFUL_SET: make.stateful_set,
    DAEMON_SET: make.daemon_set,
    JOB: make.job,
    CRON_JOB: make.cron_job,
    REPLICA_SET: make.replica_set,
    REPLICATION_CONTROLLER: make.replication_controller,
}
SCALED = (DEPLOYMENT, STATEFUL_SET, REPLICA_SET, REPLICATION_CONTROLLER)
ROLLED = (DEPLOYMENT, STATEFUL_SET, DAEMON_SET)
CASCADES = ("Background", "Foreground", "Orphan")
PAUSES_S = (0.0, 0.5, 2.0, 5.0, 20.0, 70.0)

Deed = Callable[[Lab], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Step:
    """`text` in a transcript, after a pause."""

    pause_s: float
    text: str
    deed: Deed


@dataclass(frozen=True, slots=True)
class Script:
    seed: int
    is_calm: bool
    nodes: int
    workloads: tuple[tuple[Kind, Object], ...]
    around: tuple[Object, ...]  # Services and budgets
    steps: tuple[Step, ...]
    rates: Rates
    failing: float  # the part of Jobs' pods that fail

    @classmethod
    def of(cls, seed: int) -> Script:
        rng = Random(seed)
        calm = rng.random() < 0.4
        workloads = tuple(_workload(rng, f"w{index}") for index in range(rng.choice((1, 1, 2, 2, 3))))
        around: list[Object] = []
        for _, obj in workloads:
            if rng.random() < 0.3:
                around.append(make.service(name_of(obj)))
            if rng.random() < 0.3:
                around.append(make.budget(name_of(obj), rng))
        steps = tuple(_step(rng, workloads, calm) for _ in range(rng.randint(2, 8)))
        return cls(
            seed, calm, rng.randint(1, 3), workloads, tuple(around), steps, _rates(rng), rng.choice((0, 0.2, 0.5))
        )

    async def play(self, lab: Lab) -> None:
        for index in range(self.nodes):
            await _add_node(lab, f"n{index}", "a" if index % 2 == 0 else "b")
        lab.faults.rates = self.rates
        lab.kubelet.failing = self.failing
        lab.kubelet.broken = {BROKEN}
        for kind, obj in self.workloads:
            lab.note("user", f"create {kind.singular} {name_of(obj)}: {spec_of(obj)}")
            await lab.client.create(kind, obj)
        for obj in self.around:
            lab.note("user", f"create {obj['kind'].lower()} {name_of(obj)}: {spec_of(obj)}")
            kind_of_it = kind_of(obj)
            assert kind_of_it is not None
            await lab.client.create(kind_of_it, obj)
        for step in self.steps:
            await lab.sleep(step.pause_s)
            lab.note("user", step.text)
            try:
                await step.deed(lab)
            except StatusError as error:
                lab.note("user", f"is refused: {error.message}")
                if error.reason not in ("NotFound", "Conflict", "TooManyRequests", "Invalid", "AlreadyExists"):
                    raise
        await lab.sleep(10.0)
        await self.heal(lab)
        await lab.settle()

    async def heal(self, lab: Lab) -> None:
        """Everything is able to become what it should be, and nothing begins by itself any more."""
        lab.note("user", "heals everything")
        lab.faults.rates = Rates()
        kubelet = lab.kubelet
        kubelet.broken, kubelet.failing = set(), 0.0
        kubelet.unready.clear()
        kubelet.crashed.clear()
        for node in lab.world.list(NODE):
            healed = {"spec": {"unschedulable": None, "taints": None}, "metadata": {"labels": {"pool": "a"}}}
            await lab.client.patch(NODE, "", name_of(node), healed)
        if not lab.world.list(NODE):
            await _add_node(lab, "last", "a")
        healing: dict[Kind, Object] = {
            DEPLOYMENT: {"paused": None}, JOB: {"suspend": False, "parallelism": 2}, CRON_JOB: {"suspend": True},
        }  # fmt: skip
        for kind, spec in healing.items():
            for obj in lab.world.list(kind):
                if not is_deleting(obj):
                    await lab.client.patch(kind, "default", name_of(obj), {"spec": spec})
        kubelet.look()


def _workload(rng: Random, name: str) -> tuple[Kind, Object]:
    weights = (5, 4, 4, 4, 3, 1, 1)
    kind = rng.choices(tuple(MAKERS), weights)[0]
    return kind, MAKERS[kind](name, rng)


def _rates(rng: Random) -> Rates:
    """Every fault at once, one of them much, or none at all: what is rare hides behind what is frequent."""
    style = rng.choice(("none", "conflicts", "kills", "lags", "all", "all", "all"))
    if style == "none":
        return Rates()
    if style == "conflicts":
        return Rates(conflict_every=3, refused=0.05, lag=0.01)
    if style == "kills":
        return Rates(killed=0.08, lag=0.1, lag_max_s=2.0)
    if style == "lags":
        return Rates(lag=0.5, lag_max_s=rng.choice((2.0, 20.0)), twice=0.2, broken=0.05, forgotten=0.05)
    return Rates(
        conflict_every=3, refused=0.02, lost=0.04, killed=0.02, lag=0.2, lag_max_s=rng.choice((1.0, 5.0, 20.0)),
        twice=0.1, broken=0.03, forgotten=0.02,
    )  # fmt: skip


# Steps


def _step(rng: Random, workloads: tuple[tuple[Kind, Object], ...], calm: bool) -> Step:
    pause_s = rng.choice(PAUSES_S)
    kind, obj = rng.choice(workloads)
    name = name_of(obj)
    made = _misfortune(rng) if not calm and rng.random() < 0.5 else _user(rng, kind, name, obj)
    return Step(pause_s, *made)


def _user(rng: Random, kind: Kind, name: str, obj: Object) -> tuple[str, Deed]:
    options: list[tuple[str, Deed]] = [_killed()]
    if kind in SCALED:
        options += [_patched(kind, name, {"spec": {"replicas": rng.randint(0, 5)}})] * 2
    if kind in ROLLED:
        image = rng.choice((*IMAGES, *IMAGES, BROKEN))
        containers = [{"name": "main", "image": image}]
        options += [_patched(kind, name, {"spec": {"template": {"spec": {"containers": containers}}}})] * 4
    if kind == DEPLOYMENT:
        options.append(_patched(kind, name, {"spec": {"paused": rng.random() < 0.5}}))
    if kind == JOB:
        options.append(_patched(kind, name, {"spec": {"suspend": rng.random() < 0.5}}))
        options.append(_patched(kind, name, {"spec": {"parallelism": rng.randint(0, 4)}}))
    if kind == CRON_JOB:
        options.append(_patched(kind, name, {"spec": {"suspend": rng.random() < 0.5}}))
        options.append(("time passes", lambda lab: lab.sleep(150.0)))
    deletion = _deleted(kind, name, rng.choice(CASCADES))
    options += [deletion, ("create it again, if it is gone", lambda lab: lab.client.create(kind, obj))]
    return rng.choice(options)


def _killed() -> tuple[str, Deed]:
    async def deed(lab: Lab) -> None:
        lab.kill()

    return "control is killed", deed


def _patched(kind: Kind, name: str, patch: Object) -> tuple[str, Deed]:
    return f"patch {kind.singular} {name}: {patch}", lambda lab: lab.client.patch(kind, "default", name, patch)


def _deleted(kind: Kind, name: str, cascade: Any) -> tuple[str, Deed]:
    text = f"delete {kind.singular} {name} --cascade={cascade}"
    return text, lambda lab: lab.client.delete(kind, "default", name, propagation=cascade)


def _misfortune(rng: Random) -> tuple[str, Deed]:
    nth = rng.randrange(100)
    patches: dict[str, Object] = {
        "cordoned": {"spec": {"unschedulable": True}},
        "uncordoned": {"spec": {"unschedulable": None}},
        "tainted NoSchedule": {"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}},
        "tainted NoExecute": {"spec": {"taints": [{"key": "k", "effect": "NoExecute"}]}},
        "untainted": {"spec": {"taints": None}},
        "moved to pool a": {"metadata": {"labels": {"pool": "a"}}},
        "moved to pool b": {"metadata": {"labels": {"pool": "b"}}},
    }
    texts = ("crashes", "crashes", "is unready", "is unready", "is evicted", "is evicted", "is deleted", "is killed")
    what = rng.choice((*texts, *patches, "added", "removed", "well"))
    if what in texts:
        return f"pod {nth} {what}", lambda lab: _befall(lab, what, nth)
    if what == "well":
        return "all pods are well", _well
    if what == "added":
        return "a node is added", lambda lab: _add_node(lab, f"extra{nth}", "a")
    if what == "removed":
        return f"node {nth} is removed", lambda lab: _on_node(lab, nth, None)
    return f"node {nth} is {what}", lambda lab: _on_node(lab, nth, patches[what])


async def _well(lab: Lab) -> None:
    lab.kubelet.unready.clear()
    lab.kubelet.look()


async def _befall(lab: Lab, what: str, nth: int) -> None:
    pods = [pod for pod in lab.world.list(POD) if not is_deleting(pod)]
    if not pods:
        return
    pod = pods[nth % len(pods)]
    name = name_of(pod)
    lab.note("user", f"pod {name} {what}")
    if what == "is evicted":
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": "default"}}
        await lab.client.create(POD, eviction, subresource="eviction", name=name)
    elif what in ("is deleted", "is killed"):
        await lab.client.delete(POD, "default", name, grace_period_s=0 if what == "is killed" else None)
    else:
        (lab.kubelet.crashed if what == "crashes" else lab.kubelet.unready).add(uid_of(pod))
        lab.kubelet.look()


async def _on_node(lab: Lab, nth: int, patch: Object | None) -> None:
    nodes = lab.world.list(NODE)
    if nodes:
        name = name_of(nodes[nth % len(nodes)])
        await (lab.client.patch(NODE, "", name, patch) if patch else lab.client.delete(NODE, "", name))


async def _add_node(lab: Lab, name: str, pool: str) -> None:
    await lab.client.create(NODE, make.node(name, pool))
    await lab.client.patch(NODE, "", name, NODE_STATUS, subresource="status")

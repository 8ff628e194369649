"""Rollouts as transcripts: tests/golden/*.txt holds one line a step, `pytest --regenerate` writes them anew.

A line is what the Deployment's events said, and then each set, named after its template's version, as available/wanted
pods. The order of steps is fixed (the first that waits), so a changed line is a changed decision.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from control.api.kinds import DEPLOYMENT, REPLICA_SET
from control.api.objects import Object, annotations_of, condition_of, name_of, spec_of, status_of
from control.controllers.controller import Controller
from control.controllers.deployment.controller import DeploymentController
from control.controllers.replicaset import ReplicaSetController
from control.controllers.scheduler import Scheduler
from tests.fakes.objects import deployment, node, template
from tests.fakes.simulation import Simulation
from tests.fakes.tiny_api import Cluster

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
REVISION = "deployment.kubernetes.io/revision"


class Scribe:
    """Plays a Deployment and writes down what happens."""

    def __init__(self, replicas: int, **spec: Any) -> None:
        self.cluster = Cluster()
        self.cluster.add(node("n0"))
        self.lines: list[str] = []
        self.last = ""
        controllers: list[Controller] = [DeploymentController(), ReplicaSetController(), Scheduler()]
        self.say("apply v1")
        self.cluster.add(deployment(replicas=replicas, **spec))
        self.simulation = Simulation(self.cluster, controllers, on_step=self.note, looks_between_actions=False)
        self.simulation.healthy = lambda pod: "broken" not in spec_of(pod)["containers"][0]["image"]

    def say(self, text: str) -> None:
        self.lines.append(f"> {text}")

    def note(self) -> None:
        said = [self._named(event) for event in self.cluster.events if "ScalingReplicaSet" in event]
        self.cluster.events.clear()
        state = self.state()
        if said or state != self.last:
            self.lines.append(f"{'; '.join(said):50} {state}".rstrip())
            self.last = state

    def state(self) -> str:
        sets = sorted(self.cluster.all(REPLICA_SET), key=version_of)
        return "  ".join(
            f"{version_of(rs)} {status_of(rs).get('availableReplicas', 0)}/{spec_of(rs)['replicas']}" for rs in sets
        )

    def _named(self, event: str) -> str:
        names = {name_of(rs): version_of(rs) for rs in self.cluster.all(REPLICA_SET)}
        text = event.split(": ", 1)[1].removesuffix("\n")
        return re.sub(r"replica set (\S+)", lambda match: names.get(match[1], match[1]), text)

    def edit(self, say: str, **spec: Any) -> None:
        self.say(say)
        self.cluster.edit(DEPLOYMENT, "web", lambda obj: obj["spec"].update(spec))

    def roll(self, version: str) -> None:
        self.edit(f"image {version}", template=template(version))

    def settle(self) -> None:
        self.simulation.settle()
        found = self.cluster.get(DEPLOYMENT, "web")
        progressing = condition_of(found, "Progressing") or {}
        available = condition_of(found, "Available") or {}
        revision = annotations_of(found).get(REVISION)
        self.lines.append(f"= revision {revision}, {progressing.get('reason')}, {available.get('reason')}")

    def until(self, happened: Callable[[str], bool]) -> None:
        for _ in range(500):
            if happened(self.state()):
                return
            assert self.simulation.step()
        raise AssertionError(self.state())


def version_of(rs: Object) -> str:
    return str(spec_of(rs)["template"]["spec"]["containers"][0]["image"]).partition(":")[2]


def rolling(surge: int | str, unavailable: int | str) -> Object:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def quarter() -> Scribe:
    scribe = Scribe(3)
    scribe.settle()
    scribe.roll("v2")
    scribe.settle()
    return scribe


def no_surge() -> Scribe:
    scribe = Scribe(4, strategy=rolling(0, 1))
    scribe.settle()
    scribe.roll("v2")
    scribe.settle()
    return scribe


def surge_and_unavailable() -> Scribe:
    scribe = Scribe(5, strategy=rolling(2, 1))
    scribe.settle()
    scribe.roll("v2")
    scribe.settle()
    return scribe


def recreate() -> Scribe:
    scribe = Scribe(2, strategy={"type": "Recreate"})
    scribe.settle()
    scribe.roll("v2")
    scribe.settle()
    return scribe


def undo() -> Scribe:
    scribe = Scribe(3)
    scribe.settle()
    scribe.roll("v2")
    scribe.settle()
    scribe.roll("v1")
    scribe.settle()
    return scribe


def broken_then_undone() -> Scribe:
    scribe = Scribe(4)
    scribe.settle()
    scribe.roll("v2-broken")
    scribe.settle()
    scribe.roll("v1")
    scribe.settle()
    return scribe


def scaled_in_the_middle() -> Scribe:
    scribe = Scribe(10, strategy=rolling(3, 2))
    scribe.settle()
    scribe.roll("v2")
    scribe.until(lambda state: "v2 3/" in state)
    scribe.edit("replicas 15", replicas=15)
    scribe.settle()
    return scribe


def paused_in_the_middle() -> Scribe:
    scribe = Scribe(4)
    scribe.settle()
    scribe.roll("v2")
    scribe.until(lambda state: "v2 1/" in state)
    scribe.edit("pause", paused=True)
    scribe.settle()
    scribe.edit("replicas 8", replicas=8)
    scribe.settle()
    scribe.edit("resume", paused=False)
    scribe.settle()
    return scribe


def slow_to_become_available() -> Scribe:
    scribe = Scribe(2, minReadySeconds=5)
    scribe.settle()
    scribe.roll("v2")
    scribe.settle()
    return scribe


def rolled_over() -> Scribe:
    """A third version while the second is half-way, and only one old set is kept."""
    scribe = Scribe(4, revisionHistoryLimit=1)
    scribe.settle()
    scribe.roll("v2")
    scribe.until(lambda state: "v2 1/" in state)
    scribe.roll("v3")
    scribe.settle()
    return scribe


SCENARIOS: Iterable[Callable[[], Scribe]] = (
    quarter, no_surge, surge_and_unavailable, recreate, undo, broken_then_undone, scaled_in_the_middle,
    paused_in_the_middle, slow_to_become_available, rolled_over,
)  # fmt: skip


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_rollout_reads_as_it_did(scenario: Callable[[], Scribe], request: pytest.FixtureRequest) -> None:
    transcript = "\n".join(scenario().lines) + "\n"
    path = GOLDEN / f"rollout_{scenario.__name__}.txt"
    if request.config.getoption("--regenerate"):
        path.write_text(transcript)
    assert transcript == path.read_text()

"""A day of an autoscaler as a transcript in tests/golden: one line for each look that changed or said something.

What its events said comes first, then the replicas that are wanted and the reasons of its conditions: whether it is
able to scale, is active, is limited. `pytest --regenerate` writes it anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from control.api.kinds import DEPLOYMENT, HORIZONTAL_POD_AUTOSCALER, POD
from control.api.objects import Object, format_time, name_of, spec_of, status_of
from control.api.status import StatusError
from control.controllers.controller import Controller
from control.controllers.deployment.controller import DeploymentController
from control.controllers.horizontalpodautoscaler.controller import HorizontalPodAutoscalerController
from control.controllers.replicaset import ReplicaSetController
from control.controllers.scheduler import Scheduler
from tests.fakes.autoscalers import autoscaler, pods, rules
from tests.fakes.objects import deployment, node
from tests.fakes.simulation import Simulation, is_counted
from tests.fakes.tiny_api import START, Cluster

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
NO_METRICS = StatusError(404, "NotFound", "the server could not find the requested resource")


class Scribe:
    """A Deployment whose pods share `load` requests per second, 10 wanted for each; None: no metrics are served."""

    def __init__(self, replicas: int = 2, behavior: Object | None = None) -> None:
        self.cluster = Cluster()
        self.cluster.add(node("n0"))
        self.cluster.add(deployment(replicas=replicas))
        self.load: int | None = 20
        self.lines: list[str] = []
        self.last = ""
        self.cluster.answers = self.answer
        controllers: list[Controller] = [DeploymentController(), ReplicaSetController(), Scheduler()]
        self.simulation = Simulation(self.cluster, [*controllers, HorizontalPodAutoscalerController()])
        self.simulation.settle()
        self.cluster.events.clear()
        self.simulation.on_step = self.note
        metric = pods("http_requests_per_second", averageValue="10")
        self.cluster.add(autoscaler("web", metric, maximum=8, behavior=behavior))

    def answer(self, _path: str) -> Object | StatusError:
        if self.load is None:
            return NO_METRICS
        counted = [pod for pod in self.cluster.all(POD) if is_counted(pod)]
        share = f"{self.load * 1000 // max(1, len(counted))}m"
        at = format_time(self.cluster.now)
        return {
            "items": [{"describedObject": {"name": name_of(pod)}, "timestamp": at, "value": share} for pod in counted]
        }

    def note(self) -> None:
        said = [event.partition(" web: ")[2] for event in self.cluster.events]
        said = [text for text in said if text and not text.startswith("Scaled ")]  # that is the Deployment's
        self.cluster.events.clear()
        status = status_of(self.cluster.get(HORIZONTAL_POD_AUTOSCALER, "web"))
        reasons = " ".join(each["reason"] for each in status.get("conditions") or ())
        size = spec_of(self.cluster.get(DEPLOYMENT, "web"))["replicas"]
        state = f"{size} replicas  {reasons}"
        if said or state != self.last:
            seconds = int((self.cluster.now - START).total_seconds())
            self.lines += [f"{seconds:5} s  {text}" for text in said]
            self.lines.append(f"{seconds:5} s  {state}")
            self.last = state

    def under(self, load: int | None, seconds: int) -> None:
        """So much load for so long."""
        self.load = load
        self.lines.append(f"> no metrics for {seconds} s" if load is None else f"> {load} a second for {seconds} s")
        end = (self.cluster.now - START).total_seconds() + seconds
        while (self.cluster.now - START).total_seconds() < end:
            assert self.simulation.step(), "an autoscaler looks again every period"


def autoscaler_default_behavior() -> Scribe:
    scribe = Scribe()
    scribe.under(20, 60)
    scribe.under(200, 120)
    scribe.under(5, 400)
    return scribe


def autoscaler_careful_behavior() -> Scribe:
    up = rules(("Pods", 1, 60), window_s=30)
    down = rules(("Percent", 50, 60), ("Pods", 1, 60), select="Min", window_s=60)
    scribe = Scribe(behavior={"scaleUp": up, "scaleDown": down})
    scribe.under(60, 300)
    scribe.under(10, 400)
    return scribe


def autoscaler_without_metrics_for_a_while() -> Scribe:
    scribe = Scribe()
    scribe.under(20, 30)
    scribe.under(None, 45)
    scribe.under(40, 60)
    return scribe


SCENARIOS: Iterable[Callable[[], Scribe]] = (
    autoscaler_default_behavior,
    autoscaler_careful_behavior,
    autoscaler_without_metrics_for_a_while,
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_an_autoscaler_reads_as_it_did(scenario: Callable[[], Scribe], request: pytest.FixtureRequest) -> None:
    transcript = "\n".join(scenario().lines) + "\n"
    path = GOLDEN / f"{scenario.__name__}.txt"
    if request.config.getoption("--regenerate"):
        path.write_text(transcript)
    assert transcript == path.read_text()

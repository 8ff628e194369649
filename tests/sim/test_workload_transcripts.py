"""StatefulSets, DaemonSets and Jobs as transcripts in tests/golden: one line a step (`pytest --regenerate`).

A line is what the owner's events said, and then its pods: name (or node), version, and `+` ready, `-` not ready, `!`
failed, `.` succeeded, `x` terminating.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from control.api.kinds import POD, Kind, kind_of
from control.api.objects import (
    Object,
    annotations_of,
    is_condition_true,
    is_deleting,
    name_of,
    spec_of,
    status_of,
)
from control.controllers.controller import Controller
from control.controllers.daemonset.controller import DaemonSetController
from control.controllers.daemonset.eligibility import target_of
from control.controllers.job.controller import JobController
from control.controllers.job.indexes import INDEX
from control.controllers.scheduler import Scheduler
from control.controllers.statefulset.controller import StatefulSetController
from tests.fakes.objects import node, template
from tests.fakes.simulation import Simulation
from tests.fakes.tiny_api import START, Cluster
from tests.fakes.workloads import daemon_set, job, stateful_set

GOLDEN = Path(__file__).resolve().parent.parent / "golden"


class Scribe:
    """Plays one workload on three nodes and writes down what happens."""

    def __init__(self, obj: Object, label: Callable[[Object], str] = name_of) -> None:
        self.cluster = Cluster()
        for name in ("n0", "n1", "n2"):
            self.cluster.add(node(name))
        self.kind: Kind = kind_of(obj)  # type: ignore[assignment]
        self.name = name_of(obj)
        self.label = label
        self.lines: list[str] = []
        self.last = ""
        self.cluster.add(obj)
        controllers: list[Controller] = [StatefulSetController(), DaemonSetController(), JobController(), Scheduler()]
        self.simulation = Simulation(self.cluster, controllers, on_step=self.note, looks_between_actions=False)
        self.simulation.healthy = lambda pod: "broken" not in version_of(pod)

    def say(self, text: str) -> None:
        self.lines.append(f"> {text}")

    def note(self) -> None:
        mine = f" {self.name}: "
        said = [event.split(" ", 2)[1] for event in self.cluster.events if mine in event]
        self.cluster.events.clear()
        state = "  ".join(self.shown(pod) for pod in sorted(self.cluster.all(POD), key=self.label))
        if said or state != self.last:
            seconds = int((self.cluster.now - START).total_seconds())
            self.lines.append(f"{seconds:4} s  {' '.join(said):34} {state}".rstrip())
            self.last = state

    def shown(self, pod: Object) -> str:
        mark = "+" if is_condition_true(pod, "Ready") else "-"
        mark = {"Failed": "!", "Succeeded": "."}.get(status_of(pod).get("phase") or "", mark)
        return f"{self.label(pod)} {version_of(pod)}{'x' if is_deleting(pod) else mark}"

    def edit(self, say: str, **spec: Any) -> None:
        self.say(say)
        self.cluster.edit(self.kind, self.name, lambda obj: obj["spec"].update(spec))

    def settle(self) -> None:
        self.simulation.settle()
        status = status_of(self.cluster.get(self.kind, self.name))
        counts = {key: value for key, value in status.items() if isinstance(value, int) or key.endswith("Indexes")}
        conditions = [one["type"] for one in status.get("conditions") or () if one["status"] == "True"]
        self.lines.append(f"= {' '.join(f'{key}={value}' for key, value in sorted(counts.items()))}".rstrip())
        if conditions:
            self.lines.append(f"= {' '.join(conditions)}")


def version_of(pod: Object) -> str:
    return str(spec_of(pod)["containers"][0]["image"]).partition(":")[2]


def statefulset_ordered() -> Scribe:
    scribe = Scribe(stateful_set(replicas=3))
    scribe.settle()
    scribe.edit("image v2", template=template("v2"))
    scribe.settle()
    scribe.edit("replicas 1", replicas=1)
    scribe.settle()
    return scribe


def statefulset_parallel_by_two() -> Scribe:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, "maxUnavailable": 2}}
    scribe = Scribe(stateful_set(replicas=4, podManagementPolicy="Parallel", updateStrategy=rolling))
    scribe.settle()
    scribe.edit("image v2", template=template("v2"))
    scribe.settle()
    return scribe


def statefulset_canary() -> Scribe:
    def partition(value: int) -> Object:
        return {"type": "RollingUpdate", "rollingUpdate": {"partition": value}}

    scribe = Scribe(stateful_set(replicas=3, updateStrategy=partition(2)))
    scribe.settle()
    scribe.edit("image v2, partition 2", template=template("v2"))
    scribe.settle()
    scribe.edit("partition 0", updateStrategy=partition(0))
    scribe.settle()
    return scribe


def statefulset_broken_then_undone() -> Scribe:
    scribe = Scribe(stateful_set(replicas=2))
    scribe.settle()
    scribe.edit("image broken", template=template("broken"))
    scribe.settle()
    scribe.edit("image v1", template=template("v1"))
    scribe.settle()
    scribe.say("delete web-1")
    scribe.cluster.delete(POD, scribe.cluster.get(POD, "web-1"))
    scribe.settle()
    return scribe


def daemonset_one_by_one() -> Scribe:
    scribe = Scribe(daemon_set(), target_of)
    scribe.settle()
    scribe.edit("image v2", template=template("v2"))
    scribe.settle()
    return scribe


def daemonset_surge() -> Scribe:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    scribe = Scribe(daemon_set(updateStrategy=rolling, minReadySeconds=5), target_of)
    scribe.settle()
    scribe.edit("image v2", template=template("v2"))
    scribe.settle()
    return scribe


def daemonset_broken_then_undone() -> Scribe:
    scribe = Scribe(daemon_set(), target_of)
    scribe.settle()
    scribe.edit("image broken", template=template("broken"))
    scribe.settle()
    scribe.edit("image v1", template=template("v1"))
    scribe.settle()
    return scribe


def index_of(pod: Object) -> str:
    return annotations_of(pod)[INDEX]


def job_that_fails_twice() -> Scribe:
    scribe = Scribe(job(completions=2, parallelism=1), lambda pod: "pod")
    seen: list[str] = []

    def end(pod: Object) -> str:
        if name_of(pod) not in seen:
            seen.append(name_of(pod))
        return "Failed" if seen.index(name_of(pod)) < 2 else "Succeeded"

    scribe.simulation.ends = end
    scribe.settle()
    return scribe


def job_of_indexes_one_bad() -> Scribe:
    spec: dict[str, Any] = {"completionMode": "Indexed", "completions": 3, "parallelism": 3, "backoffLimitPerIndex": 1}
    scribe = Scribe(job(**spec), index_of)
    scribe.simulation.ends = lambda pod: "Failed" if index_of(pod) == "1" else "Succeeded"
    scribe.settle()
    return scribe


def job_past_its_deadline() -> Scribe:
    scribe = Scribe(job(activeDeadlineSeconds=30), lambda pod: "pod")
    scribe.settle()
    return scribe


SCENARIOS: Iterable[Callable[[], Scribe]] = (
    statefulset_ordered, statefulset_parallel_by_two, statefulset_canary, statefulset_broken_then_undone,
    daemonset_one_by_one, daemonset_surge, daemonset_broken_then_undone, job_that_fails_twice, job_of_indexes_one_bad,
    job_past_its_deadline,
)  # fmt: skip


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_workload_reads_as_it_did(scenario: Callable[[], Scribe], request: pytest.FixtureRequest) -> None:
    transcript = "\n".join(scenario().lines) + "\n"
    path = GOLDEN / f"{scenario.__name__}.txt"
    if request.config.getoption("--regenerate"):
        path.write_text(transcript)
    assert transcript == path.read_text()

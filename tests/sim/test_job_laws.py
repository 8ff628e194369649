"""Jobs and CronJobs under the three laws: on old worlds, and with controllers that die between any two writes.

What happened to pods is written down as it happens, beside the Job's own account, and the two must agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import pairwise
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control.api.kinds import CRON_JOB, JOB, POD, Kind
from control.api.objects import (
    Object,
    annotations_of,
    is_condition_true,
    is_deleting,
    meta,
    name_of,
    spec_of,
    status_of,
    uid_of,
)
from control.api.validation.job_status import validate_job_status
from control.controllers.controller import Controller
from control.controllers.cronjob.controller import end_of
from control.controllers.cronjob.schedule import Schedule
from control.controllers.garbage import GarbageController
from control.controllers.job.controller import JobController
from control.controllers.job.indexes import INDEX, parse
from control.controllers.pods import created_at
from control.controllers.ttl import TtlController
from tests.fakes.objects import namespace
from tests.fakes.simulation import Simulation, is_counted
from tests.fakes.tiny_api import START, Cluster
from tests.fakes.workloads import cron_job, job
from tests.sim.tower import Tower

LAW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Play:
    """One Job whose pods succeed, fail or vanish by chance, with everything that happened written down."""

    def __init__(self, obj: Object, seed: int, failing: float) -> None:
        self.rng = Random(seed)
        self.cluster = Cluster(drops_empty=True)
        self.cluster.add(namespace())
        self.cluster.add(obj)
        self.fates: dict[str, str] = {}
        self.indexes: dict[str, str] = {}
        self.cluster.listeners.append(self._note)
        controllers: list[Controller] = [JobController(), TtlController(), GarbageController()]
        self.simulation = Simulation(self.cluster, controllers, self.rng.choice)
        self.failing = failing
        self.ends: dict[str, str] = {}
        self.simulation.ends = self._end

    def _end(self, pod: Object) -> str:
        chance = "Failed" if self.rng.random() < self.failing else "Succeeded"
        return self.ends.setdefault(uid_of(pod), chance)

    def _note(self, kind: Kind, old: Object | None, new: Object | None) -> None:
        """Of a pod that ended, was taken away by others than the Job, or runs when the Job has failed: how."""
        if kind == JOB and old and new and status_of(new) != status_of(old):
            assert validate_job_status(new, old) == [], "a status that the API would refuse"
        if kind != POD or new is None:
            return
        self.indexes[uid_of(new)] = annotations_of(new).get(INDEX, "")
        phase = status_of(new).get("phase")
        tracked = bool(meta(new).get("finalizers"))
        if phase == "Succeeded":
            self.fates[uid_of(new)] = "succeeded"
        elif (phase == "Failed" or is_deleting(new)) and tracked:
            self.fates[uid_of(new)] = "failed"
        elif old is not None and meta(old).get("finalizers") and not tracked:
            owner = next(iter(self.cluster.all(JOB)), {})
            if is_condition_true(owner, "FailureTarget"):
                self.fates[uid_of(new)] = "failed"

    def play(self, steps: int = 120, lost: int = 0) -> Object:
        rng, simulation = self.rng, self.simulation
        simulation.staleness = lambda: rng.choice((0, 0, rng.randint(1, 10), rng.randint(1, 60)))
        simulation.dies = lambda: rng.random() < 0.1
        for _ in range(lost):
            simulation.run(rng.randint(0, steps))
            victims = [pod for pod in self.cluster.all(POD) if is_counted(pod)]
            if victims:
                self.cluster.delete(POD, rng.choice(victims))
        simulation.run(steps)
        simulation.staleness = lambda: 0
        simulation.dies = lambda: False
        simulation.settle()
        return self.cluster.get(JOB, "work")


def bounded(play: Play, most: int) -> Callable[[], None]:
    def check() -> None:
        active = [pod for pod in play.cluster.all(POD) if is_counted(pod)]
        assert len(active) <= most
        indexes = Counter(annotations_of(pod).get(INDEX) for pod in active)
        indexes.pop(None, None)
        assert not indexes or max(indexes.values()) == 1, "two pods for one index"
        found = play.cluster.get(JOB, "work")
        counted = status_of(found).get("succeeded", 0), status_of(found).get("failed", 0)
        fates = Counter(play.fates.values())
        assert counted[1] <= fates["failed"], "a failure counted twice"
        if spec_of(found).get("completionMode") != "Indexed":
            assert counted[0] <= fates["succeeded"], "a success counted twice"

    return check


@LAW
@given(st.integers(1, 6), st.integers(1, 4), st.sampled_from((0.0, 0.2, 0.5)), st.integers(0, 3), st.integers(0, 2**32))
def test_every_pod_is_counted_once(completions: int, parallelism: int, failing: float, lost: int, seed: int) -> None:
    obj = job(completions=completions, parallelism=parallelism, backoffLimit=1000, node="n0")
    play = Play(obj, seed, failing)
    play.simulation.on_step = bounded(play, min(completions, parallelism))
    done = play.play(lost=lost)
    assert is_condition_true(done, "Complete")
    fates = Counter(play.fates.values())
    assert status_of(done)["succeeded"] == fates["succeeded"] == completions
    assert status_of(done).get("failed", 0) == fates["failed"]
    assert play.simulation.writes_at_rest() == []
    assert not [name_of(pod) for pod in play.cluster.all(POD) if meta(pod).get("finalizers")]


@LAW
@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 3), st.integers(0, 2**32))
def test_a_job_that_gives_up_stops_within_its_limit(completions: int, parallelism: int, limit: int, seed: int) -> None:
    obj = job(completions=completions, parallelism=parallelism, backoffLimit=limit, node="n0")
    play = Play(obj, seed, failing=1.0)
    play.simulation.on_step = bounded(play, min(completions, parallelism))
    done = play.play(lost=1)
    assert is_condition_true(done, "Failed")
    assert status_of(done)["failed"] == Counter(play.fates.values())["failed"]
    assert limit < status_of(done)["failed"] <= limit + parallelism
    assert play.simulation.writes_at_rest() == []


@LAW
@given(st.integers(1, 6), st.integers(1, 4), st.sampled_from((None, 0, 1, 2)), st.integers(0, 2), st.integers(0, 2**32))
def test_every_index_ends_once(completions: int, parallelism: int, per_index: int | None, lost: int, seed: int) -> None:
    spec: dict[str, Any] = {"completionMode": "Indexed", "backoffLimit": 1000}
    if per_index is not None:
        spec["backoffLimitPerIndex"] = per_index
    obj = job(completions=completions, parallelism=parallelism, node="n0", **spec)
    play = Play(obj, seed, failing=0.4)
    play.simulation.on_step = bounded(play, min(completions, parallelism))
    done = play.play(lost=lost)
    completed = parse(status_of(done).get("completedIndexes"), completions)
    failed = parse(status_of(done).get("failedIndexes"), completions)
    assert completed | failed == set(range(completions))
    assert not completed & failed
    assert is_condition_true(done, "Failed" if failed else "Complete")
    assert status_of(done).get("succeeded", 0) == len(completed)
    succeeded = Counter(play.indexes[uid] for uid, fate in play.fates.items() if fate == "succeeded")
    assert succeeded == {str(index): 1 for index in completed}, "an index ran again after its success"
    if per_index is not None:
        failures = Counter(play.indexes[uid] for uid, fate in play.fates.items() if fate == "failed")
        assert {index for index, count in failures.items() if count > per_index} == set(map(str, failed))
        assert not failures or max(failures.values()) <= per_index + 1
    assert play.simulation.writes_at_rest() == []


def respecified(obj: Object, change: dict[str, Any]) -> None:
    obj["spec"].update(change)


@LAW
@given(st.integers(0, 2**32))
def test_suspending_and_scaling_lose_nothing(seed: int) -> None:
    play = Play(job(completions=6, parallelism=3, backoffLimit=1000, node="n0"), seed, failing=0.2)
    play.simulation.on_step = bounded(play, 4)
    rng, cluster = play.rng, play.cluster
    for _ in range(4):
        play.simulation.run(rng.randint(0, 40))
        change: dict[str, Any] = rng.choice(({"suspend": True}, {"suspend": False}, {"parallelism": rng.randint(0, 4)}))
        cluster.edit(JOB, "work", partial(respecified, change=change))
    play.simulation.run(rng.randint(0, 40))
    cluster.edit(JOB, "work", lambda obj: obj["spec"].update(suspend=False, parallelism=3))
    done = play.play()
    assert is_condition_true(done, "Complete")
    assert status_of(done)["succeeded"] == 6
    assert status_of(done).get("failed", 0) == Counter(play.fates.values())["failed"]


@LAW
@given(st.sampled_from(("", "Background", "Foreground", "Orphan")), st.integers(0, 2**32))
def test_a_deleted_job_frees_its_pods(propagation: str, seed: int) -> None:
    play = Play(job(node="n0"), seed, failing=0.3)
    play.simulation.run(play.rng.randint(0, 60))
    play.simulation.staleness = lambda: play.rng.choice((0, play.rng.randint(1, 30)))
    play.cluster.delete(JOB, play.cluster.get(JOB, "work"), propagation or "Background")
    play.simulation.run(60)
    play.simulation.staleness = lambda: 0
    play.simulation.settle()
    assert play.cluster.all(JOB) == []
    left = play.cluster.all(POD)
    assert not [name_of(pod) for pod in left if meta(pod).get("finalizers")]
    assert left == [] or propagation == "Orphan"


# --- CronJobs -----------------------------------------------------------------------------------------------------


@LAW
@given(st.sampled_from(("*/5 * * * *", "17 */3 * * *", "0 9 * * 1-5")), st.integers(0, 1), st.integers(0, 2**32))
def test_every_scheduled_time_has_one_job(schedule: str, kept: int, seed: int) -> None:
    """Even where no Job is kept to show that its time has had one."""
    limits: dict[str, Any] = {"successfulJobsHistoryLimit": 3 * kept, "failedJobsHistoryLimit": kept}
    tower = Tower(cron_job(schedule=schedule, **limits), seed)
    rng, simulation = tower.rng, tower.simulation
    simulation.staleness = lambda: rng.choice((0, rng.randint(1, 20)))
    simulation.dies = lambda: rng.random() < 0.1
    tower.until(START + timedelta(hours=4 if "*/5" in schedule else 80))
    end = tower.cluster.now
    parsed = Schedule.parse(schedule)
    times = []
    at = parsed.after(START)
    while at is not None and at < end:
        times.append(at)
        at = parsed.after(at)
    names = [name_of(obj) for obj in tower.made]
    assert sorted(set(names)) == sorted(names), "a time had two jobs"
    expected = [f"tick-{int(at.timestamp()) // 60}" for at in times]
    assert sorted(names)[: len(expected)] == sorted(expected)
    assert len(names) <= len(expected) + 1  # the run of the very last moment
    simulation.staleness = lambda: 0
    simulation.dies = lambda: False
    while simulation.waiting:
        simulation.step()
    finished = Counter(map(end_of, tower.cluster.all(JOB)))
    assert finished["Complete"] <= 3 * kept
    assert finished["Failed"] <= kept


def test_a_forbidding_cron_job_waits_for_its_last_run() -> None:
    tower = Tower(cron_job(schedule="* * * * *", concurrencyPolicy="Forbid"))
    tower.until(START + timedelta(minutes=10), lambda obj: tower.cluster.now - created_at(obj) > timedelta(minutes=3))
    runs = [created_at(obj) for obj in tower.made]
    assert len(runs) > 1
    assert all(after - before >= timedelta(minutes=3) for before, after in pairwise(runs))
    assert any("JobAlreadyActive" in event for event in tower.cluster.events)


def test_a_replacing_cron_job_has_one_active_job() -> None:
    tower = Tower(cron_job(schedule="* * * * *", concurrencyPolicy="Replace"))
    most = 0

    def count() -> None:
        nonlocal most
        most = max(most, len(tower.cluster.all(JOB)))

    tower.simulation.on_step = count
    tower.until(START + timedelta(minutes=5), lambda obj: False)
    assert len(tower.made) >= 4
    assert most == 1


def test_an_allowing_cron_job_has_several() -> None:
    tower = Tower(cron_job(schedule="* * * * *"))
    tower.until(START + timedelta(minutes=4), lambda obj: False)
    active = status_of(tower.cluster.get(CRON_JOB, "tick"))["active"]
    assert [ref["name"] for ref in active] == [name_of(obj) for obj in tower.cluster.all(JOB)]
    assert len(active) >= 3

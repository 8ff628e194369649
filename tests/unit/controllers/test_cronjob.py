"""CronJobs: which run is due, what is said, and the books of the Jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from control.api.kinds import JOB
from control.api.objects import Key, Object, name_of
from control.controllers.action import Action, Create, Delete, Emit, Update
from control.controllers.cronjob.controller import CronJobController
from control.controllers.cronjob.due import due
from control.controllers.cronjob.schedule import Schedule
from control.mirror.world import World
from tests.fakes.objects import START, owned_by
from tests.fakes.workloads import cron_job, job

BORN = datetime(2026, 1, 1, tzinfo=UTC)


def stored(schedule: str = "*/5 * * * *", last: str = "", **spec: Any) -> Object:
    obj = cron_job(schedule=schedule, **spec)
    obj["metadata"] |= {"uid": "uid-of-tick", "resourceVersion": "1", "creationTimestamp": START}
    obj["status"] = {"lastScheduleTime": last} if last else {}
    return obj


def run(name: str, owner: Object, end: str = "", at: str = START, scheduled: str = "") -> Object:
    made = job(name)
    made["metadata"]["ownerReferences"] = [owned_by(owner)]
    if scheduled:
        made["metadata"]["annotations"] = {"batch.kubernetes.io/cronjob-scheduled-timestamp": scheduled}
    made["status"] = {"startTime": at}
    if end:
        made["status"]["conditions"] = [{"type": end, "status": "True"}]
    if end == "Complete":
        made["status"]["completionTime"] = at
    return made


def reconciled(*objects: Object, now: datetime) -> tuple[Action, ...]:
    return CronJobController().reconcile(World.of(objects), Key("default", "tick"), now).actions


def said(actions: tuple[Action, ...]) -> dict[str, str]:
    return {action.reason: action.message for action in actions if isinstance(action, Emit)}


def created(actions: tuple[Action, ...]) -> list[str]:
    return [name_of(action.obj) for action in actions if isinstance(action, Create)]


def minutes(at: datetime) -> int:
    return int(at.timestamp()) // 60


def test_before_its_time_it_sleeps_until_then() -> None:
    outcome = CronJobController().reconcile(World.of([stored()]), Key("default", "tick"), BORN + timedelta(minutes=2))
    assert outcome.actions == ()
    assert outcome.wake_at == BORN + timedelta(minutes=5)


def test_a_run_is_fenced_made_and_noted() -> None:
    now = BORN + timedelta(minutes=5, seconds=1)
    template = {"labels": {"app": "x"}, "annotations": {"note": "y"}}
    owner = stored()
    owner["spec"]["jobTemplate"]["metadata"] = template
    fence, create, event, noted = reconciled(owner, now=now)
    assert fence == Update(fence.kind, owner, "status")  # type: ignore[union-attr]
    assert isinstance(create, Create)
    assert create.kind == JOB
    assert name_of(create.obj) == f"tick-{minutes(BORN) + 5}"
    annotations = create.obj["metadata"]["annotations"]
    assert annotations == {"note": "y", "batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-01-01T00:05:00Z"}
    assert create.obj["metadata"]["labels"] == {"app": "x"}
    assert create.obj["spec"] == owner["spec"]["jobTemplate"]["spec"]
    assert isinstance(event, Emit)
    assert event.message == f"Created job {name_of(create.obj)}"
    assert isinstance(noted, Update)
    assert noted.obj["status"] == {"lastScheduleTime": "2026-01-01T00:05:00Z"}
    (refusal,) = create.refused("no")  # type: ignore[misc]
    assert refusal == Emit(owner, "Warning", "FailedCreate", "Error creating job: no")


def test_of_missed_times_the_last_is_made_up_for() -> None:
    actions = reconciled(stored(last="2026-01-01T00:05:00Z"), now=BORN + timedelta(minutes=33))
    assert created(actions) == [f"tick-{minutes(BORN) + 30}"]
    assert "TooManyMissedTimes" not in said(actions)


def test_more_than_a_hundred_missed_times_are_told() -> None:
    now = BORN + timedelta(minutes=5 * 120 + 1)
    actions = reconciled(stored(), now=now)
    assert created(actions) == [f"tick-{minutes(BORN) + 600}"]
    assert "too many missed start times" in said(actions)["TooManyMissedTimes"]
    quiet = reconciled(stored(startingDeadlineSeconds=600), now=now)
    assert "TooManyMissedTimes" not in said(quiet)
    assert created(quiet) == created(actions)


def test_a_run_whose_deadline_has_passed_is_not_made() -> None:
    actions = reconciled(stored("0 * * * *", startingDeadlineSeconds=60), now=BORN + timedelta(minutes=65))
    assert created(actions) == []


@pytest.mark.parametrize(("schedule", "now", "last"), [
    ("30 6-16/4 * * 1-5", datetime(2026, 1, 12, 7, tzinfo=UTC), datetime(2026, 1, 12, 6, 30, tzinfo=UTC)),
    ("0 0 1 * *", datetime(2026, 6, 15, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)),
    ("0 0 1,2 1,7 *", datetime(2026, 6, 15, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)),
    ("@every 7m", datetime(2026, 1, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 56, tzinfo=UTC)),
])  # fmt: skip
def test_the_last_time_of_an_uneven_schedule(schedule: str, now: datetime, last: datetime) -> None:
    assert due(stored(schedule), Schedule.parse(schedule), now).at == last


def test_its_time_zone_is_the_schedules() -> None:
    owner = stored("30 9 * * *", timeZone="Asia/Tokyo")
    actions = reconciled(owner, now=BORN + timedelta(minutes=31))
    create = next(action for action in actions if isinstance(action, Create))
    stamp = create.obj["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"]
    assert stamp == "2026-01-01T09:30:00+09:00"
    assert "invalid timeZone" in said(reconciled(stored(timeZone="Nowhere/At_All"), now=BORN))["UnknownTimeZone"]


def test_a_suspended_one_makes_nothing_and_does_not_wake() -> None:
    outcome = CronJobController().reconcile(
        World.of([stored(suspend=True)]), Key("default", "tick"), BORN + timedelta(hours=1)
    )
    assert outcome.actions == ()
    assert outcome.wake_at is None


def test_forbid_waits_and_says_so() -> None:
    owner = stored(concurrencyPolicy="Forbid", last="2026-01-01T00:05:00Z")
    running = run(f"tick-{minutes(BORN) + 5}", owner, scheduled="2026-01-01T00:05:00Z")
    owner["status"]["active"] = [reference(running)]
    actions = reconciled(owner, running, now=BORN + timedelta(minutes=11))
    assert created(actions) == []
    assert "prior execution is running" in said(actions)["JobAlreadyActive"]


def reference(obj: Object) -> Object:
    own = obj["metadata"]
    return {"kind": "Job", "namespace": "default", "name": own["name"], "uid": own["uid"], "apiVersion": "batch/v1"}


@pytest.mark.parametrize(
    ("policy", "end"), [("Allow", ""), ("Allow", "Complete"), ("Forbid", "Complete"), ("Replace", "Complete")]
)
def test_a_run_that_exists_is_noted_and_neither_made_nor_told_again(policy: str, end: str) -> None:
    """Jobs are named by the minute: of an `@every 20s` one a minute is made, as in Kubernetes."""
    first, now = BORN + timedelta(seconds=20), BORN + timedelta(seconds=40)
    owner = stored("@every 20s", last="2026-01-01T00:00:20Z", concurrencyPolicy=policy)
    before = run(f"tick-{minutes(first)}", owner, end, scheduled="2026-01-01T00:00:20Z")
    (books,) = (deed.obj for deed in reconciled(owner, before, now=now) if isinstance(deed, Update))
    actions = reconciled(books, before, now=now)
    assert created(actions) == []
    assert "SuccessfulCreate" not in said(actions)
    assert not [action for action in actions if isinstance(action, Delete)]
    (noted,) = (deed.obj for deed in actions if isinstance(deed, Update))
    assert noted["status"]["lastScheduleTime"] == "2026-01-01T00:00:40Z"


def test_replace_deletes_the_one_before() -> None:
    owner = stored(concurrencyPolicy="Replace", last="2026-01-01T00:05:00Z")
    running = run(f"tick-{minutes(BORN) + 5}", owner, scheduled="2026-01-01T00:05:00Z")
    owner["status"]["active"] = [reference(running)]
    actions = reconciled(owner, running, now=BORN + timedelta(minutes=11))
    deletions = [action for action in actions if isinstance(action, Delete)]
    assert [(action.name, action.propagation) for action in deletions] == [(name_of(running), "Background")]
    assert created(actions) == [f"tick-{minutes(BORN) + 10}"]


def test_the_books_note_ends_and_successes() -> None:
    owner = stored(last="2026-01-01T00:05:00Z")
    done = run("tick-1", owner, "Complete", at="2026-01-01T00:06:00Z")
    gone = job("tick-0")
    owner["status"]["active"] = [reference(done), reference(gone)]
    update, *rest = reconciled(owner, done, now=BORN + timedelta(minutes=7))
    assert isinstance(update, Update)
    assert update.obj["status"] == {
        "lastScheduleTime": "2026-01-01T00:05:00Z", "lastSuccessfulTime": "2026-01-01T00:06:00Z"
    }  # fmt: skip
    assert said(tuple(rest)) == {
        "SawCompletedJob": "Saw completed job: tick-1, condition: Complete",
        "MissingJob": "Active job went missing: tick-0",
    }


def test_a_job_made_by_hand_is_unexpected_and_not_active() -> None:
    owner = stored()
    actions = reconciled(owner, run("by-hand", owner), now=BORN)
    assert "did not create or forgot: by-hand" in said(actions)["UnexpectedJob"]
    assert not [action for action in actions if isinstance(action, Update)]


def test_the_oldest_finished_jobs_go() -> None:
    owner = stored(successfulJobsHistoryLimit=2, failedJobsHistoryLimit=0)
    runs = [run(f"tick-{index}", owner, "Complete", f"2026-01-01T00:0{9 - index}:00Z") for index in range(4)]
    runs.append(run("tick-bad", owner, "Failed"))
    actions = reconciled(owner, *runs, now=BORN)
    deleted = [action.name for action in actions if isinstance(action, Delete)]
    assert deleted == ["tick-3", "tick-2", "tick-bad"]
    assert said(actions)["SuccessfulDelete"] == "Deleted job tick-bad"

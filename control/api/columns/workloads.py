"""Rows of workloads: how many are wanted, how many are there, and with -o wide what they are made of."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from control.api.columns.cells import AGE, NAME, NONE, Cell, human_duration, joined, number, path, since
from control.api.objects import Object, controller_of, is_condition_true, is_deleting, parse_time, spec_of, status_of
from control.api.scheme import Column
from control.api.selectors import format_selector

JOB_CONDITIONS = (("Complete", "Complete"), ("Failed", "Failed"))
JOB_STAGES = ("Suspended", "FailureTarget", "SuccessCriteriaMet")


def _containers(obj: Object) -> Any:
    spec = spec_of(obj)
    template = spec.get("template") or (spec.get("jobTemplate") or {}).get("spec", {}).get("template") or {}
    return (template.get("spec") or {}).get("containers") or ()


def _container_names(obj: Object, now: datetime) -> Any:
    return ",".join(container.get("name") or "" for container in _containers(obj))


def _images(obj: Object, now: datetime) -> Any:
    return ",".join(container.get("image") or "" for container in _containers(obj))


def _selector(obj: Object, now: datetime) -> Any:
    return format_selector(spec_of(obj).get("selector"))


def _map_selector(obj: Object, now: datetime) -> Any:
    return joined(spec_of(obj).get("selector"))


CONTAINERS = Column("Containers", _container_names, description="Names of each container in the template.", priority=1)
IMAGES = Column("Images", _images, description="Images referenced by each container in the template.", priority=1)
SELECTOR = Column("Selector", _selector, description="Which pods belong to it.", priority=1)
MAP_SELECTOR = Column("Selector", _map_selector, description="Which pods belong to it.", priority=1)


def _count(name: str, cell: Cell, description: str) -> Column:
    return Column(name, cell, "integer", description=description)


def _ready_of(wanted: str) -> Cell:
    def cell(obj: Object, now: datetime) -> Any:
        return f"{status_of(obj).get('readyReplicas') or 0}/{spec_of(obj).get(wanted) or 0}"

    return cell


_DESIRED = _count("Desired", number("spec", "replicas"), "How many pods are wanted.")
_CURRENT = _count("Current", number("status", "replicas"), "How many pods there are.")
_READY = _count("Ready", number("status", "readyReplicas"), "How many pods are ready.")

REPLICA_SET_COLUMNS = (NAME, _DESIRED, _CURRENT, _READY, AGE, CONTAINERS, IMAGES, SELECTOR)
REPLICATION_CONTROLLER_COLUMNS = (NAME, _DESIRED, _CURRENT, _READY, AGE, CONTAINERS, IMAGES, MAP_SELECTOR)

DEPLOYMENT_COLUMNS = (
    NAME,
    Column("Ready", _ready_of("replicas"), description="Number of the pod with ready state"),
    Column("Up-to-date", number("status", "updatedReplicas"), description="Pods that have the newest template."),
    Column("Available", number("status", "availableReplicas"), description="Pods ready for minReadySeconds."),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
)

STATEFUL_SET_COLUMNS = (
    NAME,
    Column("Ready", _ready_of("replicas"), description="Number of the pod with ready state"),
    AGE,
    CONTAINERS,
    IMAGES,
)


def _node_selector(obj: Object, now: datetime) -> Any:
    pod = (spec_of(obj).get("template") or {}).get("spec") or {}
    return joined(pod.get("nodeSelector"))


DAEMON_SET_COLUMNS = (
    NAME,
    _count("Desired", number("status", "desiredNumberScheduled"), "How many nodes should run the pod."),
    _count("Current", number("status", "currentNumberScheduled"), "How many nodes run the pod and should."),
    _count("Ready", number("status", "numberReady"), "How many nodes run a ready pod."),
    _count("Up-to-date", number("status", "updatedNumberScheduled"), "How many nodes run the newest pod."),
    _count("Available", number("status", "numberAvailable"), "How many nodes run an available pod."),
    Column("Node Selector", _node_selector, description="Which nodes it is for."),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
)


# --- jobs ---------------------------------------------------------------------------------------------------------


def job_status(job: Object) -> str:
    """One word for a job, as `kubectl get jobs` shows it since 1.31."""
    for condition, word in JOB_CONDITIONS:
        if is_condition_true(job, condition):
            return word
    if is_deleting(job):
        return "Terminating"
    return next((stage for stage in JOB_STAGES if is_condition_true(job, stage)), "Running")


def _job_status(job: Object, now: datetime) -> Any:
    return job_status(job)


def _completions(job: Object, now: datetime) -> Any:
    spec, done = spec_of(job), status_of(job).get("succeeded") or 0
    wanted, parallelism = spec.get("completions"), spec.get("parallelism") or 0
    if wanted is not None:
        return f"{done}/{wanted}"
    return f"{done}/1 of {parallelism}" if parallelism > 1 else f"{done}/1"


def _job_duration(job: Object, now: datetime) -> Any:
    status = status_of(job)
    if not status.get("startTime"):
        return ""
    end = parse_time(status["completionTime"]) if status.get("completionTime") else now
    return human_duration(end - parse_time(status["startTime"]))


JOB_COLUMNS = (
    NAME,
    Column("Status", _job_status, description="Status of the job."),
    Column("Completions", _completions, description="How many pods succeeded, of how many."),
    Column("Duration", _job_duration, description="Time required to complete the job."),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
)


def _suspend(cron_job: Object, now: datetime) -> Any:
    suspend = spec_of(cron_job).get("suspend")
    return "<unset>" if suspend is None else str(bool(suspend))


def _active(cron_job: Object, now: datetime) -> Any:
    return len(status_of(cron_job).get("active") or ())


def _last_schedule(cron_job: Object, now: datetime) -> Any:
    last = status_of(cron_job).get("lastScheduleTime")
    return since(last, now) if last else NONE


def _job_selector(cron_job: Object, now: datetime) -> Any:
    job = (spec_of(cron_job).get("jobTemplate") or {}).get("spec") or {}
    return format_selector(job.get("selector"))


CRON_JOB_COLUMNS = (
    NAME,
    Column("Schedule", path("spec", "schedule", absent=""), description="The schedule in Cron format."),
    Column("Timezone", path("spec", "timeZone"), description="The time zone of the schedule."),
    Column("Suspend", _suspend, "boolean", description="Whether later runs are suspended."),
    Column("Active", _active, "integer", description="How many jobs run now."),
    Column("Last Schedule", _last_schedule, description="When a job was last made."),
    AGE,
    CONTAINERS,
    IMAGES,
    Column("Selector", _job_selector, description="Which pods belong to it.", priority=1),
)


def _revision_controller(revision: Object, now: datetime) -> Any:
    owner = controller_of(revision)
    if owner is None:
        return NONE
    group, slash, _ = (owner.get("apiVersion") or "").partition("/")
    kind = (owner.get("kind") or "").lower()
    return f"{kind}.{group}/{owner.get('name')}" if slash else f"{kind}/{owner.get('name')}"


CONTROLLER_REVISION_COLUMNS = (
    NAME,
    Column("Controller", _revision_controller, description="Controller of the object"),
    Column("Revision", path("revision", absent=0), description="Which state it represents."),
    AGE,
)


def _or_not_applicable(field: str) -> Cell:
    return path("spec", field, absent="N/A")


DISRUPTION_BUDGET_COLUMNS = (
    NAME,
    Column("Min Available", _or_not_applicable("minAvailable"), description="How many pods must stay available."),
    Column("Max Unavailable", _or_not_applicable("maxUnavailable"), description="How many pods may be unavailable."),
    _count("Allowed Disruptions", number("status", "disruptionsAllowed"), "How many pods may be evicted now."),
    AGE,
)

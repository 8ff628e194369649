"""The pods that a Job makes, and those that it takes away again.

Every pod carries the tracking finalizer. A pod of an Indexed Job has its completion index as annotation and label, in
the environment variable JOB_COMPLETION_INDEX of each container, and in its hostname `<job>-<index>`. Names are hashes
of the Job's UID and resourceVersion (and index), so that a decision on an old world makes up the same ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice

from control.api.kinds import JOB, POD
from control.api.objects import Object, find_named, meta, name_of, resource_version_of, spec_of, uid_of
from control.controllers.action import Action, Create, Emit
from control.controllers.job import failures, indexes
from control.controllers.job.failures import FINALIZER, is_tracked
from control.controllers.job.tally import Tally, completions_of, is_indexed, release
from control.controllers.naming import code, fresh_names, generated
from control.controllers.podmaking import pod_from, told_deletion
from control.controllers.ranking import to_delete

BURST = 500  # pods made or deleted in one round, Kubernetes' MaxPodCreateDeletePerSync
ENVIRONMENT = "JOB_COMPLETION_INDEX"


def pending_indexes(job: Object, tally: Tally) -> list[int]:
    """The indexes that need a pod, from the lowest."""
    limit = completions_of(job)
    present = list(tally.active)
    if failures.replaces_only_failed(job):
        present += tally.terminating
    held = {indexes.index_of(pod, limit) for pod in present} | tally.completed_indexes | tally.failed_indexes
    return [index for index in range(limit) if index not in held]


def surplus(job: Object, tally: Tally, count: int, now: datetime) -> list[Object]:
    """At least `count` active pods to take away, and every pod that no index needs or a better one has."""
    doomed: list[Object] = []
    others = list(tally.active)
    if is_indexed(job):
        by_index: dict[int | None, list[Object]] = {}
        for pod in tally.active:
            by_index.setdefault(indexes.index_of(pod, completions_of(job)), []).append(pod)
        for index, pods in by_index.items():
            spare = len(pods) if index is None else len(pods) - 1
            doomed += to_delete(pods, spare, tally.active, now) if spare else []
        gone = {uid_of(pod) for pod in doomed}
        others = [pod for pod in others if uid_of(pod) not in gone]
    if len(doomed) < count:
        doomed += to_delete(others, count - len(doomed), tally.active, now)
    return doomed[:BURST]


def removals(job: Object, doomed: Iterable[Object]) -> Iterable[Action]:
    """Deletions that count for nothing: the finalizer goes first."""
    for pod in doomed:
        if is_tracked(pod):
            yield release(pod, as_seen=True)
        yield from told_deletion(job, pod)


def creations(job: Object, tally: Tally, wanted: int | Sequence[int]) -> Iterable[Action]:
    """Pods for so many completions, or for these indexes."""

    def refused(message: str) -> tuple[Action, ...]:
        return (Emit(job, "Warning", "FailedCreate", f"Error creating: {message}"),)

    for pod in _made(job, tally, wanted):
        yield Create(POD, pod, refused)
        yield Emit(job, "Normal", "SuccessfulCreate", f"Created pod: {name_of(pod)}")


def _made(job: Object, tally: Tally, wanted: int | Sequence[int]) -> Iterable[Object]:
    seed = (uid_of(job), resource_version_of(job))
    if isinstance(wanted, int):
        taken = {name_of(pod) for pod in tally.pods}
        for name in islice(fresh_names(f"{name_of(job)}-", *seed, taken=taken), wanted):
            yield _pod(job, name)
        return
    for index in wanted:
        pod = _pod(job, generated(f"{name_of(job)}-{index}-", code(*seed, str(index))))
        _give_index(job, pod, index, tally.last_failed.get(index))
        yield pod


def _pod(job: Object, name: str) -> Object:
    pod = pod_from(JOB, job, spec_of(job).get("template") or {}, name)
    finalizers = meta(pod).get("finalizers") or []
    pod["metadata"]["finalizers"] = [*(one for one in finalizers if one != FINALIZER), FINALIZER]
    return pod


def _give_index(job: Object, pod: Object, index: int, follows: Object | None) -> None:
    own, spec = pod["metadata"], pod["spec"]
    own["generateName"] = f"{name_of(job)}-{index}-"
    own["labels"][indexes.INDEX] = str(index)
    annotations = own.setdefault("annotations", {})
    annotations[indexes.INDEX] = str(index)
    if spec_of(job).get("backoffLimitPerIndex") is not None:
        failed, ignored = failures.successors_counts(job, follows)
        annotations[failures.FAILURES] = str(failed)
        if ignored:
            annotations[failures.IGNORED] = str(ignored)
    spec["hostname"] = f"{name_of(job)}-{index}"
    source = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{indexes.INDEX}']"}}
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        if find_named(container.get("env"), ENVIRONMENT) is None:
            container["env"] = [*(container.get("env") or ()), {"name": ENVIRONMENT, "valueFrom": source}]

"""The account of a Job's finished pods: each counted once, whatever is lost in between.

A Job's pods carry the finalizer batch.kubernetes.io/job-tracking, so none disappears uncounted. The account has three
moves, each one update of the status with the version that was read, hence each happens once:

1. a finished pod with the finalizer is entered in status.uncountedTerminatedPods (of an Indexed Job, a success is
   entered in status.completedIndexes instead, which needs no list of pods);
2. its finalizer is removed, by a patch behind that update;
3. an entry whose pod is seen without the finalizer, or is gone, moves into status.succeeded or status.failed.

If anything stops in the middle, the entry is still there and the next wake goes on. Pods without the finalizer are not
ours to count. When the Job has failed, its running pods are counted as failed at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from control.api.kinds import POD
from control.api.objects import (
    Object,
    is_deleting,
    name_of,
    namespace_of,
    resource_version_of,
    spec_of,
    status_of,
    uid_of,
)
from control.controllers.action import Patch
from control.controllers.job import failures, indexes
from control.controllers.job.failures import FINALIZER, is_tracked
from control.controllers.pods import is_active, is_finished, phase_of

ENTRIES_MAX = 500  # Kubernetes' MaxUncountedPods


def release(pod: Object, *, as_seen: bool = False) -> Patch:
    """The removal of the finalizer, whatever other finalizers there are. `as_seen`: only from the version that was
    seen, for a pod that counts for nothing because it has not ended: if it has meanwhile, it is to be counted."""
    patch: Object = {"metadata": {"$deleteFromPrimitiveList/finalizers": [FINALIZER]}}
    if as_seen:
        patch["metadata"]["resourceVersion"] = resource_version_of(pod)
    strategic = "application/strategic-merge-patch+json"
    return Patch(POD, namespace_of(pod), name_of(pod), uid_of(pod), patch, patch_type=strategic)  # type: ignore[arg-type]


def completions_of(job: Object) -> int:
    completions = spec_of(job).get("completions")
    return 0 if completions is None else int(completions)


def is_indexed(job: Object) -> bool:
    return bool(spec_of(job).get("completionMode") == "Indexed")


@dataclass(slots=True)
class Tally:
    """What the pods and the status say together. `succeeded` and `failed` are all that are known, entered or not."""

    pods: Sequence[Object]
    active: list[Object]
    terminating: list[Object]
    succeeded: int = 0
    failed: int = 0
    completed_indexes: frozenset[int] = frozenset()
    failed_indexes: frozenset[int] = frozenset()
    last_failed: dict[int, Object] = field(default_factory=dict)  # by index: the pod that its successor follows

    @classmethod
    def of(cls, job: Object, pods: Sequence[Object]) -> Tally:
        active = [pod for pod in pods if is_active(pod)]
        terminating = [pod for pod in pods if is_deleting(pod) and not is_finished(pod)]
        tally = cls(pods, active, terminating)
        entries = entries_of(job)
        new = [pod for pod in pods if is_tracked(pod) and uid_of(pod) not in entries]
        status = status_of(job)
        failed = [pod for pod in new if failures.has_failed(job, pod)]
        tally.failed = (status.get("failed") or 0) + sum(kind == "failed" for kind in entries.values())
        tally.failed += sum(failures.judged(job, pod).counts for pod in failed)
        if is_indexed(job):
            tally._sort_indexes(job, new, failed)
        else:
            tally.succeeded = (status.get("succeeded") or 0) + sum(kind == "succeeded" for kind in entries.values())
            tally.succeeded += sum(phase_of(pod) == "Succeeded" for pod in new)
        return tally

    def _sort_indexes(self, job: Object, new: Sequence[Object], failed: Sequence[Object]) -> None:
        limit = completions_of(job)
        status = status_of(job)
        fresh = {indexes.index_of(pod, limit) for pod in new if phase_of(pod) == "Succeeded"}
        known = indexes.parse(status.get("completedIndexes"), limit)
        self.completed_indexes = known | {index for index in fresh if index is not None}
        self.succeeded = len(self.completed_indexes)
        if spec_of(job).get("backoffLimitPerIndex") is None:
            return
        ended = {indexes.index_of(pod, limit) for pod in failed if failures.fails_its_index(job, pod)}
        known = indexes.parse(status.get("failedIndexes"), limit)
        self.failed_indexes = (known | {index for index in ended if index is not None}) - self.completed_indexes
        running = {indexes.index_of(pod, limit) for pod in self.active}
        by_index: dict[int, list[Object]] = {}
        for pod in failed:
            index = indexes.index_of(pod, limit)
            if index is not None and index not in (self.completed_indexes | self.failed_indexes | running):
                by_index.setdefault(index, []).append(pod)
        self.last_failed = {index: failures.last_of(pods) for index, pods in by_index.items()}


@dataclass(frozen=True, slots=True)
class Account:
    """The next state of the account: the status' fields, what to release behind its update, whether nothing is left."""

    fields: Object
    releases: tuple[Patch, ...]
    is_closed: bool


def entries_of(job: Object) -> dict[str, str]:
    """ "succeeded" or "failed" by the UIDs of the pods that are entered and not yet counted."""
    uncounted = status_of(job).get("uncountedTerminatedPods") or {}
    found = dict.fromkeys(uncounted.get("succeeded") or (), "succeeded")
    found.update(dict.fromkeys(uncounted.get("failed") or (), "failed"))
    return found


def account(job: Object, tally: Tally, *, has_failed: bool, is_over: bool) -> Account:
    """`is_over`: the Job's end is decided; `has_failed`: as a failure, so that every running pod has failed with it."""
    status = status_of(job)
    tracked = {uid_of(pod) for pod in tally.pods if is_tracked(pod)}
    entries = entries_of(job)
    counted = {"succeeded": status.get("succeeded") or 0, "failed": status.get("failed") or 0}
    for uid, kind in entries.items():
        if uid not in tracked:
            counted[kind] += 1
    left = {uid: kind for uid, kind in entries.items() if uid in tracked}
    releases: list[Patch] = []
    overflows = False
    leaving = is_deleting(job)
    waiting = set() if is_over or leaving else {uid_of(pod) for pod in tally.last_failed.values()}
    for pod in tally.pods:
        uid = uid_of(pod)
        if uid not in tracked or uid in waiting:
            continue
        if uid not in entries:
            entry = _entry(job, pod, has_failed=has_failed)
            if entry is None and not leaving:
                continue
            if entry and len(left) >= ENTRIES_MAX:
                overflows = True
                continue
            if entry:
                left[uid] = entry
        releases.append(release(pod))
    if is_indexed(job):
        counted["succeeded"] = len(tally.completed_indexes)
    uncounted = {
        kind: uids for kind in ("succeeded", "failed") if (uids := [uid for uid, its in left.items() if its == kind])
    }
    fields: Object = {**counted, "uncountedTerminatedPods": uncounted}
    if is_indexed(job):
        fields["completedIndexes"] = indexes.text_of(tally.completed_indexes)
        if spec_of(job).get("backoffLimitPerIndex") is not None:
            fields["failedIndexes"] = indexes.text_of(tally.failed_indexes)
    return Account(fields, tuple(releases), not left and not overflows)


def _entry(job: Object, pod: Object, *, has_failed: bool) -> str | None:
    """As what a pod is entered: "" if it needs no entry, None if it cannot be settled yet."""
    indexed = is_indexed(job)
    index = indexes.index_of(pod, completions_of(job)) if indexed else None
    if phase_of(pod) == "Succeeded":
        return "" if indexed else "succeeded"
    if not (failures.has_failed(job, pod) or has_failed):
        return None
    if indexed and index is None:
        return ""
    return "failed" if failures.judged(job, pod).counts else ""

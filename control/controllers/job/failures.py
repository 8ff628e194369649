"""What a failed pod means to its Job: whether it counts, whether it ends the Job or its index, and when to try again.

A pod has failed when its phase says so; under podReplacementPolicy TerminatingOrFailed also as soon as it is deleted
(it may never come to a phase). The podFailurePolicy's first rule that matches decides: Ignore (does not count), Count,
FailIndex, FailJob; without a match it counts. The n-th failure in a row delays the next pod by 10 s * 2^(n-1), at most
10 min, counted from the failure; a success ends the row. The row is read off the pods that are there, so it needs no
memory of the controller's.

Under backoffLimitPerIndex each index has its own row. Its length is kept on the pods: each has the number of failures
before it in the annotation job-index-failure-count (and of ignored ones in another), and the last failed pod of an
index keeps its finalizer until its successor exists, so that the number cannot be lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from control.api.objects import (
    Object,
    annotations_of,
    condition_of,
    is_deleting,
    meta,
    name_of,
    namespace_of,
    spec_of,
    status_of,
)
from control.controllers.pods import created_at, phase_of, time_of

BACK_OFF = timedelta(seconds=10)
BACK_OFF_MAX = timedelta(minutes=10)
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED = "batch.kubernetes.io/job-index-ignored-failure-count"

FINALIZER = "batch.kubernetes.io/job-tracking"

Action = Literal["", "Ignore", "Count", "FailIndex", "FailJob"]


class Judgement(NamedTuple):
    """What the policy says of a failed pod; the message is FailJob's."""

    action: Action
    message: str = ""

    @property
    def counts(self) -> bool:
        return self.action != "Ignore"


def is_tracked(pod: Object) -> bool:
    """Whether the pod has the finalizer that keeps it until it is counted (see `tally`)."""
    return FINALIZER in (meta(pod).get("finalizers") or ())


def has_failed(job: Object, pod: Object) -> bool:
    if phase_of(pod) == "Failed":
        return True
    if replaces_only_failed(job):
        return False
    return is_deleting(pod) and phase_of(pod) != "Succeeded"


def replaces_only_failed(job: Object) -> bool:
    spec = spec_of(job)
    policy = spec.get("podReplacementPolicy") or ("Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed")
    return bool(policy == "Failed")


def judged(job: Object, pod: Object) -> Judgement:
    """What the podFailurePolicy makes of a failed pod."""
    policy = spec_of(job).get("podFailurePolicy") or {}
    for index, rule in enumerate(policy.get("rules") or ()):
        why = _exit_code(rule, pod, index) or _condition(rule, pod, index)
        if why:
            action = rule.get("action")
            return Judgement(action, why if action == "FailJob" else "")
    return Judgement("")


def _exit_code(rule: Mapping[str, Any], pod: Object, index: int) -> str:
    wanted = rule.get("onExitCodes")
    if not wanted:
        return ""
    status = status_of(pod)
    for container in (*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())):
        ended = (container.get("state") or {}).get("terminated")
        name = wanted.get("containerName")
        if ended is None or (name is not None and name != container.get("name")):
            continue
        code = ended.get("exitCode") or 0
        if code != 0 and (code in (wanted.get("values") or ())) == (wanted.get("operator") == "In"):
            return (
                f"Container {container.get('name')} for pod {namespace_of(pod)}/{name_of(pod)} failed with exit code "
                f"{code} matching {rule.get('action')} rule at index {index}"
            )
    return ""


def _condition(rule: Mapping[str, Any], pod: Object, index: int) -> str:
    conditions = {one.get("type"): one.get("status") for one in status_of(pod).get("conditions") or ()}
    for pattern in rule.get("onPodConditions") or ():
        if conditions.get(pattern.get("type")) == (pattern.get("status") or "True"):
            return (
                f"Pod {namespace_of(pod)}/{name_of(pod)} has condition {pattern.get('type')} matching "
                f"{rule.get('action')} rule at index {index}"
            )
    return ""


def finished_at(pod: Object) -> datetime:
    """When the pod ended: with its last container or sidecar; failing that, when it was last seen to be no longer
    ready, or when its deletion began."""
    status = status_of(pod)
    inits = spec_of(pod).get("initContainers") or ()
    sidecars = {one.get("name") for one in inits if one.get("restartPolicy") == "Always"}
    statuses = [
        *(status.get("containerStatuses") or ()),
        *(one for one in status.get("initContainerStatuses") or () if one.get("name") in sidecars),
    ]
    ends = [((one.get("state") or {}).get("terminated") or {}).get("finishedAt") for one in statuses]
    known = [at for text in ends if (at := time_of(text)) is not None]
    if known and len(known) == len(statuses):
        return max(known)
    ready = condition_of(pod, "Ready") or {}
    if ready.get("status") == "False" and (changed := time_of(ready.get("lastTransitionTime"))) is not None:
        return changed
    if (deleted := time_of(meta(pod).get("deletionTimestamp"))) is not None:
        return deleted - timedelta(seconds=meta(pod).get("deletionGracePeriodSeconds") or 0)
    return created_at(pod)


def next_try_at(job: Object, pods: Iterable[Object]) -> datetime | None:
    """When the next pod may be made, as the failures since the last success say; None: at once."""
    ended = sorted(
        ((finished_at(pod), phase_of(pod) == "Succeeded") for pod in pods if _has_ended(job, pod)), reverse=True
    )
    row = 0
    for _, succeeded in ended:
        if succeeded:
            break
        row += 1
    return ended[0][0] + delay(row) if row else None


def _has_ended(job: Object, pod: Object) -> bool:
    """Not of its own: a pod that the Job took away, which has lost its finalizer before."""
    if is_deleting(pod) and not is_tracked(pod):
        return False
    if phase_of(pod) == "Succeeded":
        return True
    return has_failed(job, pod) and judged(job, pod).counts


def delay(row: int) -> timedelta:
    """After `row` failures one after the other."""
    return min(BACK_OFF_MAX, BACK_OFF * 2 ** min(row - 1, 10)) if row else timedelta(0)


# --- one index at a time ------------------------------------------------------------------------------------------


def failures_of(pod: Object, annotation: str = FAILURES) -> int:
    text = annotations_of(pod).get(annotation, "")
    return int(text) if text.isdecimal() else 0


def fails_its_index(job: Object, pod: Object) -> bool:
    """Whether a failed pod ends its index: by the policy, or since it was the last try."""
    judgement = judged(job, pod)
    limit = spec_of(job).get("backoffLimitPerIndex")
    if limit is None:
        return False
    return judgement.action == "FailIndex" or (judgement.counts and failures_of(pod) >= int(limit))


def successors_counts(job: Object, pod: Object | None) -> tuple[int, int]:
    """The failures and ignored failures that the successor of a failed pod starts with."""
    if pod is None:
        return 0, 0
    counts = judged(job, pod).counts
    return failures_of(pod) + counts, failures_of(pod, IGNORED) + (not counts)


def last_of(pods: Sequence[Object]) -> Object:
    """Of an index' failed pods, the one that all others came before."""
    return max(pods, key=lambda pod: (failures_of(pod) + failures_of(pod, IGNORED), created_at(pod), name_of(pod)))

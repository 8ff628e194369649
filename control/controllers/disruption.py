"""PodDisruptionBudgets: how many pods an eviction may take now.

Healthy is a pod that the selector matches, that is ready, not being deleted and not just evicted. How many there
should be: `minAvailable` as a number counts against the pods that exist; as a percentage, and `maxUnavailable` always,
against the pods that their controllers want (Deployment over its ReplicaSets, ReplicaSet, ReplicationController,
StatefulSet). Percentages are rounded up; pods without a controller count for nothing there, and an event says so. What
is left over is `disruptionsAllowed`. The eviction API takes one off and notes the pod in `disruptedPods`; the note goes
when the pod is seen to be deleted, or after two minutes (the deletion never came).

The status is written with the resourceVersion that was read: an eviction in between makes the write fail, so that no
disruption is given out twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from control.api.kinds import (
    DEPLOYMENT,
    POD,
    POD_DISRUPTION_BUDGET,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    STATEFUL_SET,
    Kind,
)
from control.api.objects import (
    Key,
    Object,
    controller_of,
    is_deleting,
    key_of,
    meta,
    name_of,
    namespace_of,
    spec_of,
    status_of,
    uid_of,
)
from control.controllers.action import SETTLED, Action, Emit, Outcome, Update
from control.controllers.conditions import with_observed_condition
from control.controllers.controller import Wakes
from control.controllers.percent import scaled
from control.controllers.pods import is_finished, is_ready, time_of
from control.mirror.world import World, matcher_of

UNMANAGED = (
    "Pods selected by this PodDisruptionBudget (selector: %s) were found to be unmanaged. As a result, the status of "
    "the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please "
    'set ".spec.minAvailable" field of the PDB to an integer value.'
)
DELETION_TIMEOUT = timedelta(minutes=2)  # the disruption controller's DeletionTimeout
SCALED = {kind.kind: kind for kind in (DEPLOYMENT, REPLICA_SET, REPLICATION_CONTROLLER, STATEFUL_SET)}


class DisruptionController:
    name = "controllermanager"  # the source of Kubernetes' own events about budgets
    kind = POD_DISRUPTION_BUDGET

    @property
    def watches(self) -> Mapping[Kind, Wakes]:
        def of_owner(world: World, owner: Object) -> Iterable[Key]:
            return [key_of(budget) for budget in world.list(POD_DISRUPTION_BUDGET, namespace_of(owner))]

        wakes: dict[Kind, Wakes] = dict.fromkeys(SCALED.values(), of_owner)
        wakes[POD_DISRUPTION_BUDGET] = lambda world, obj: (key_of(obj),)
        wakes[POD] = _of_pod
        return wakes

    def reconcile(self, world: World, key: Key, now: datetime) -> Outcome:
        budget = world.get(POD_DISRUPTION_BUDGET, *key)
        if budget is None or is_deleting(budget):
            return SETTLED
        selector = spec_of(budget).get("selector")
        matched = world.select(POD, key.namespace, {"matchLabels": {}, **selector} if selector is not None else None)
        pods = [pod for pod in matched if not is_finished(pod)]
        noted, late, wake_at = _disrupted(budget, pods, now)
        events: list[Action] = [
            Emit(pod, "Warning", "NotDeleted", f"Pod was expected by PDB {key} to be deleted but it wasn't")
            for pod in late
        ]
        counted = _expected(world, budget, pods)
        if isinstance(counted, str):
            return _failed(budget, counted, events, now)
        expected, desired, unmanaged = counted
        healthy = sum(is_ready(pod) and not is_deleting(pod) and name_of(pod) not in noted for pod in pods)
        allowed = max(0, healthy - desired) if expected > 0 else 0
        conditions = with_observed_condition(
            list(status_of(budget).get("conditions") or ()),
            {
                "type": "DisruptionAllowed",
                "status": "True" if allowed else "False",
                "reason": "SufficientPods" if allowed else "InsufficientPods",
                "message": "",
                "observedGeneration": meta(budget).get("generation") or 0,
            },
            now,
        )
        status = {
            "observedGeneration": meta(budget).get("generation") or 0,
            "disruptionsAllowed": allowed,
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "expectedPods": expected,
            "conditions": conditions,
        }
        if noted:
            status["disruptedPods"] = noted
        if status != status_of(budget):
            events.insert(0, Update(POD_DISRUPTION_BUDGET, {**budget, "status": status}, "status"))
            events += _remarks(budget, pods, unmanaged)
        return Outcome(tuple(events), wake_at)


def _remarks(budget: Object, pods: Sequence[Object], unmanaged: bool) -> Iterable[Action]:
    """What Kubernetes says at every look, here once for each new status."""
    if not pods:
        yield Emit(budget, "Normal", "NoPods", "No matching pods found")
    if unmanaged:
        yield Emit(budget, "Warning", "UnmanagedPods", UNMANAGED % _as_go_prints(spec_of(budget).get("selector") or {}))


def _as_go_prints(selector: Mapping[str, Any]) -> str:
    """The event shows the selector as the value that it is in Go."""
    labels = "".join(f"{key}: {value}," for key, value in sorted((selector.get("matchLabels") or {}).items()))
    expressions = "".join(
        f"LabelSelectorRequirement{{Key:{one['key']},Operator:{one['operator']},Values:[{values}],}},"
        for one in selector.get("matchExpressions") or ()
        for values in [" ".join(one.get("values") or ())]
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )


def _disrupted(
    budget: Object, pods: Sequence[Object], now: datetime
) -> tuple[dict[str, str], list[Object], datetime | None]:
    """The notes that stand, the pods whose deletion never came, and when the next note lapses."""
    by_name = {name_of(pod): pod for pod in pods}
    noted: dict[str, str] = {}
    late = []
    lapses = []
    for name, text in (status_of(budget).get("disruptedPods") or {}).items():
        pod = by_name.get(name)
        since = time_of(text)
        if pod is None or is_deleting(pod) or since is None:
            continue
        if since + DELETION_TIMEOUT < now:
            late.append(pod)
            continue
        noted[name] = text
        lapses.append(since + DELETION_TIMEOUT + timedelta(seconds=1))
    return noted, late, min(lapses, default=None)


def _expected(world: World, budget: Object, pods: Sequence[Object]) -> tuple[int, int, bool] | str:
    """(expected pods, desired healthy, whether pods without a controller were left out), or why it cannot be known."""
    spec = spec_of(budget)
    most, least = spec.get("maxUnavailable"), spec.get("minAvailable")
    if most is None and (least is None or isinstance(least, int)):
        return len(pods), 0 if least is None else least, False
    wanted = _wanted(world, pods)
    if isinstance(wanted, str):
        return wanted
    unmanaged = any(controller_of(pod) is None for pod in pods)
    if most is not None:
        return wanted, max(0, wanted - scaled(most, wanted, round_up=True)), unmanaged
    return wanted, scaled(least, wanted, round_up=True), unmanaged


def _wanted(world: World, pods: Sequence[Object]) -> int | str:
    """The replicas that the pods' controllers want, each controller once; pods without one do not count."""
    sizes: dict[str, int] = {}
    known: set[str] = set()
    for pod in pods:
        ref = controller_of(pod)
        if ref is None or ref.get("uid") in known:
            continue
        known.add(ref.get("uid") or "")
        owner = _top(world, namespace_of(pod), ref)
        if owner is None:
            return f'found no controllers for pod "{name_of(pod)}"'
        replicas = spec_of(owner).get("replicas")
        sizes[uid_of(owner)] = 1 if replicas is None else int(replicas)
    return sum(sizes.values())


def _top(world: World, namespace: str, ref: Object) -> Object | None:
    """The controller that scales the pod: a ReplicaSet's Deployment stands for it."""
    kind = SCALED.get(ref.get("kind") or "")
    owner = world.get(kind, namespace, ref.get("name") or "") if kind else None
    if owner is None or uid_of(owner) != ref.get("uid"):
        return None
    above = controller_of(owner)
    if kind == REPLICA_SET and above is not None and above.get("kind") == DEPLOYMENT.kind:
        return _top(world, namespace, above)
    return owner


def _failed(budget: Object, why: str, events: Sequence[Action], now: datetime) -> Outcome:
    """Nothing may be disrupted while the expected number is unknown."""
    old = status_of(budget)
    failure = {
        "type": "DisruptionAllowed",
        "status": "False",
        "reason": "SyncFailed",
        "message": why,
    }
    if old.get("observedGeneration"):
        failure["observedGeneration"] = old["observedGeneration"]  # what could not be counted has not been observed
    zeros = dict.fromkeys(("currentHealthy", "desiredHealthy", "expectedPods"), 0)
    conditions = with_observed_condition(list(old.get("conditions") or ()), failure, now)
    status = {**zeros, **old, "disruptionsAllowed": 0, "conditions": conditions}
    if status == old:
        return Outcome(tuple(events))
    update = Update(POD_DISRUPTION_BUDGET, {**budget, "status": status}, "status")
    text = f"Failed to calculate the number of expected pods: {why}"
    return Outcome((update, *events, Emit(budget, "Warning", "CalculateExpectedPodCountFailed", text)))


def _of_pod(world: World, pod: Object) -> Iterable[Key]:
    for budget in world.selecting(POD_DISRUPTION_BUDGET, pod):
        selector = spec_of(budget).get("selector")
        if selector is not None and matcher_of(selector)(pod):
            yield key_of(budget)

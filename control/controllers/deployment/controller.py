"""Deployments: one step of a rollout at a time, each behind a fence.

Every wake looks at the whole fleet of sets and takes the first step that is due: adopt or release sets; note the change
of `spec.replicas`; create the new set, or bring its notes up to date; grow it; shrink old ones; forget old ones. The
step's own writes wake the Deployment again, so there is never a need to take two. What the step changes is preceded by
an update of the Deployment's status as its fence (see `control.controllers.controller`), because the sizes follow from
the Deployment's spec as well as from the sets: on an older spec nothing may be scaled.

The annotation deployment.kubernetes.io/revision is patched last: it follows from the new set, nothing depends on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from control.api.kinds import DEPLOYMENT, POD, REPLICA_SET, Kind
from control.api.objects import (
    Key,
    Object,
    annotations_of,
    controller_of,
    is_deleting,
    key_of,
    meta,
    name_of,
    namespace_of,
    resource_version_of,
    spec_of,
    status_of,
    uid_of,
)
from control.controllers.action import SETTLED, Action, Create, Delete, Emit, Outcome, Patch, Update
from control.controllers.adoption import Claim, claim, orphans_wake
from control.controllers.conditions import Conditions, find, with_condition
from control.controllers.controller import Wakes
from control.controllers.deployment import progress, replicasets, rollout
from control.controllers.deployment.replicasets import REVISION, Fleet, revision_of, size_of
from control.controllers.deployment.rollout import Bounds, Resize
from control.controllers.pods import is_finished
from control.mirror.world import World


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its writes, the conditions before progress is judged, and the revision that the Deployment shows."""

    deeds: tuple[Action, ...] = ()
    conditions: Conditions | None = None
    revision: int = 0
    is_rollout: bool = True  # whether progress is judged; not while paused or rescaled
    collides: bool = False


class DeploymentController:
    name = "deployment-controller"
    kind = DEPLOYMENT
    concurrency = 5  # kube-controller-manager's default for it

    @property
    def watches(self) -> Mapping[Kind, Wakes]:
        return {DEPLOYMENT: lambda world, obj: (key_of(obj),), REPLICA_SET: _of_set, POD: _of_pod}

    def reconcile(self, world: World, key: Key, now: datetime) -> Outcome:
        deployment = world.get(DEPLOYMENT, *key)
        if deployment is None:
            return SETTLED
        selector = spec_of(deployment).get("selector") or {}
        if not selector:
            return _selects_all(deployment)
        claimed = claim(world, REPLICA_SET, DEPLOYMENT, deployment, selector)
        fleet = Fleet.of(deployment, claimed.held)
        step = _step(world, deployment, fleet, claimed, now)
        bounds = Bounds.of(deployment)
        conditions = progress.paused_conditions(deployment, now) if step.conditions is None else step.conditions
        status = progress.counted(deployment, fleet, bounds, conditions, now)
        if step.is_rollout:
            status = progress.with_progress(deployment, fleet, status, now)
        if step.collides:
            status["collisionCount"] = (status.get("collisionCount") or 0) + 1
        deeds: list[Action] = list(step.deeds)
        if deeds or status != status_of(deployment):
            deeds.insert(0, Update(DEPLOYMENT, {**deployment, "status": status}, "status"))
        if step.revision and annotations_of(deployment).get(REVISION) != str(step.revision):
            deeds.append(_revised(deployment, step.revision))
        return Outcome(tuple(deeds), progress.overdue_at(deployment, status) if step.is_rollout else None)


def _step(world: World, deployment: Object, fleet: Fleet, claimed: Claim, now: datetime) -> Step:
    """The first step that is due."""
    revision = revision_of(fleet.new) if fleet.new else 0
    if is_deleting(deployment):
        return Step(is_rollout=False)
    if claimed.patches:
        return Step(claimed.patches, is_rollout=False)
    if fleet.new is not None:
        revised = replicasets.revised(deployment, fleet, fleet.new)
        if revised is not fleet.new:
            return Step((Update(REPLICA_SET, revised),), revision=revision_of(revised))
    bounds = Bounds.of(deployment)
    if spec_of(deployment).get("paused") or rollout.is_rescaled(deployment, fleet):
        deeds = _resize(deployment, rollout.rescale(deployment, fleet, bounds), bounds)
        if not deeds and spec_of(deployment).get("paused"):
            deeds = _forget(deployment, fleet)
        return Step(tuple(deeds), revision=revision, is_rollout=False)
    if rollout.is_rolling(deployment):
        step = _roll(world, deployment, fleet, bounds, now)
    else:
        step = _recreate(world, deployment, fleet, bounds, now)
    if step.conditions is None and fleet.new is not None:
        step = replace(step, conditions=_found(deployment, fleet.new, now), revision=revision)
    return step


def _roll(world: World, deployment: Object, fleet: Fleet, bounds: Bounds, now: datetime) -> Step:
    if fleet.new is None:
        return _create(world, deployment, fleet, bounds, now)
    deeds = _resize(deployment, rollout.grow(fleet, bounds) or rollout.shrink(fleet, bounds), bounds)
    return Step(tuple(deeds or _clean(deployment, fleet)))


def _recreate(world: World, deployment: Object, fleet: Fleet, bounds: Bounds, now: datetime) -> Step:
    emptied = _resize(deployment, rollout.empty(fleet.old), bounds)
    if emptied:
        return Step(tuple(emptied))
    remaining = (pod for rs in fleet.old for pod in world.controlled_by(POD, uid_of(rs)))
    if any(not is_finished(pod) for pod in remaining) or not all(map(replicasets.is_at_rest, fleet.old)):
        return Step()
    if fleet.new is None:
        return _create(world, deployment, fleet, bounds, now)
    grown = [Resize(fleet.new, bounds.replicas)] if size_of(fleet.new) != bounds.replicas else []
    return Step(tuple(_resize(deployment, grown, bounds) or _clean(deployment, fleet)))


def _create(world: World, deployment: Object, fleet: Fleet, bounds: Bounds, now: datetime) -> Step:
    if replicasets.is_name_taken(world, deployment):
        return Step(collides=True)
    size = rollout.first_size(fleet, bounds, rollout.is_rolling(deployment))
    new = replicasets.created(deployment, fleet, size, bounds.replicas, bounds.maximum)
    conditions = progress.paused_conditions(deployment, now)

    def refused(message: str) -> tuple[Action, ...]:
        text = f'Failed to create new replica set "{name_of(new)}": {message}'
        failed = progress.condition("Progressing", "False", "ReplicaSetCreateError", text, now)
        status = progress.counted(deployment, fleet, bounds, with_condition(conditions, failed), now)
        unversioned = {field: value for field, value in meta(deployment).items() if field != "resourceVersion"}
        return (
            Emit(deployment, "Warning", "ReplicaSetCreateError", text),
            Update(DEPLOYMENT, {**deployment, "metadata": unversioned, "status": status}, "status"),
        )

    deeds: list[Action] = [Create(REPLICA_SET, new, refused)]
    if size > 0:
        deeds.append(_scaled_event(deployment, new, 0, size))
    current = find(conditions, progress.PROGRESSING) or {}
    if progress.deadline_of(deployment) is not None and current.get("reason") != "ReplicaSetCreateError":
        message = f'Created new replica set "{name_of(new)}"'
        noted = progress.condition("Progressing", "True", "NewReplicaSetCreated", message, now)
        conditions = with_condition(conditions, noted)
    return Step(tuple(deeds), conditions, revision_of(new))


def _found(deployment: Object, new: Object, now: datetime) -> Conditions:
    """The conditions, with the new set's discovery noted if nothing is known of progress yet."""
    conditions = progress.paused_conditions(deployment, now)
    if progress.deadline_of(deployment) is None or find(conditions, progress.PROGRESSING) is not None:
        return conditions
    message = f'Found new replica set "{name_of(new)}"'
    return with_condition(conditions, progress.condition("Progressing", "True", "FoundNewReplicaSet", message, now))


def _resize(deployment: Object, resizes: Sequence[Resize], bounds: Bounds) -> list[Action]:
    """Shrinking before growing, so that a list that stops half-way has not used room that it did not make."""
    deeds: list[Action] = []
    for rs, size in sorted(resizes, key=lambda resize: resize.size > size_of(resize.rs)):
        resized = replicasets.resized(rs, size, bounds.replicas, bounds.maximum)
        if resized is rs:
            continue
        deeds.append(Update(REPLICA_SET, resized))
        if size != size_of(rs):
            deeds.append(_scaled_event(deployment, rs, size_of(rs), size))
    return deeds


def _clean(deployment: Object, fleet: Fleet) -> list[Action]:
    complete = progress.is_complete(deployment, status_of(deployment))
    return _forget(deployment, fleet) if complete else []


def _forget(deployment: Object, fleet: Fleet) -> list[Action]:
    return [
        Delete(REPLICA_SET, namespace_of(rs), name_of(rs), uid_of(rs), resource_version_of(rs))
        for rs in replicasets.expendable(deployment, fleet)
    ]


def _scaled_event(deployment: Object, rs: Object, old: int, new: int) -> Emit:
    direction = "up" if new > old else "down"
    message = f"Scaled {direction} replica set {name_of(rs)} from {old} to {new}"
    return Emit(deployment, "Normal", "ScalingReplicaSet", message)


def _revised(deployment: Object, revision: int) -> Patch:
    patch = {"metadata": {"annotations": {REVISION: str(revision)}}}
    return Patch(DEPLOYMENT, namespace_of(deployment), name_of(deployment), uid_of(deployment), patch)


def _selects_all(deployment: Object) -> Outcome:
    generation = meta(deployment).get("generation") or 0
    if status_of(deployment).get("observedGeneration") == generation:
        return SETTLED
    message = "This deployment is selecting all pods. A non-empty selector is required."
    status = {**status_of(deployment), "observedGeneration": generation}
    return Outcome((
        Update(DEPLOYMENT, {**deployment, "status": status}, "status"),
        Emit(deployment, "Warning", "SelectingAll", message),
    ))  # fmt: skip


def _of_set(world: World, rs: Object) -> Iterable[Key]:
    ref = controller_of(rs)
    if ref is None:
        found = orphans_wake(world, DEPLOYMENT, rs, lambda obj: spec_of(obj).get("selector") or {})
        return [key_of(deployment) for deployment in found]
    return (Key(namespace_of(rs), ref.get("name") or ""),) if ref.get("kind") == DEPLOYMENT.kind else ()


def _of_pod(world: World, pod: Object) -> Iterable[Key]:
    """A Recreate rollout waits for the end of pods, which their sets' statuses no longer count."""
    ref = controller_of(pod)
    if ref is None or ref.get("kind") != REPLICA_SET.kind:
        return ()
    rs = world.get(REPLICA_SET, namespace_of(pod), ref.get("name") or "")
    owner = controller_of(rs) if rs else None
    if owner is None:
        return ()
    deployment = world.get(DEPLOYMENT, namespace_of(pod), owner.get("name") or "")
    return () if deployment is None or rollout.is_rolling(deployment) else (key_of(deployment),)

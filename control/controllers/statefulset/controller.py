"""StatefulSets: pods with names of their own, made, replaced and removed in the order of their ordinals.

Every wake takes the first step that is due, behind a fence (see `control.controllers.controller`): adopt or release;
write the revision book (`control.controllers.revisions`); give claims their owners (`claims`); make and delete pods
(`order`), each after its claims. Pods have the only names
that the set can give them, so no decision on an old world can make one twice; which revision it has follows from the
set's spec and status, which the fence checks.

The status never says more than what was seen: it gets observedGeneration and updateRevision together, when the revision
book is written, so that `kubectl rollout status` does not take the counts of the old template for those of the new.
The current revision becomes the update revision when all pods have it and are ready. What other writers put into
`status.conditions` stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from control.api.kinds import CONTROLLER_REVISION, NAMESPACE, PERSISTENT_VOLUME_CLAIM, POD, STATEFUL_SET, Kind
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
)
from control.controllers.action import SETTLED, Action, Create, Delete, Emit, Outcome
from control.controllers.adoption import claim, orphans_wake
from control.controllers.controller import Wakes
from control.controllers.podmaking import fenced, is_leaving, pod_deletion, step
from control.controllers.pods import available_at
from control.controllers.revisions import HASH_LABEL, Book
from control.controllers.statefulset import claims, order
from control.controllers.statefulset.identity import corrected, made, ordinal_of, revision_of
from control.controllers.statefulset.order import Lineup
from control.mirror.world import World


class StatefulSetController:
    name = "statefulset-controller"
    kind = STATEFUL_SET
    concurrency = 5  # kube-controller-manager's default for it

    @property
    def watches(self) -> Mapping[Kind, Wakes]:
        return {
            STATEFUL_SET: lambda world, obj: (key_of(obj),),
            POD: _of_dependent,
            CONTROLLER_REVISION: _of_dependent,
            PERSISTENT_VOLUME_CLAIM: claims.sets_of,
            NAMESPACE: lambda world, obj: (),
        }

    def reconcile(self, world: World, key: Key, now: datetime) -> Outcome:
        owner = world.get(STATEFUL_SET, *key)
        if owner is None:
            return SETTLED
        selector = spec_of(owner).get("selector") or {}
        pods = claim(world, POD, STATEFUL_SET, owner, selector, lambda pod: ordinal_of(owner, pod) is not None)
        revisions = claim(world, CONTROLLER_REVISION, STATEFUL_SET, owner, selector)
        if pods.patches or revisions.patches:
            return step(STATEFUL_SET, owner, [*pods.patches, *revisions.patches])
        lineup = Lineup.of(owner, pods.held)
        if is_deleting(owner) or is_leaving(world, owner):
            return SETTLED
        book = Book.of(world, STATEFUL_SET, owner, revisions.held, HASH_LABEL)
        if book.collides:
            collisions = (status_of(owner).get("collisionCount") or 0) + 1
            return Outcome(fenced(STATEFUL_SET, owner, {**status_of(owner), "collisionCount": collisions}, []))
        if book.deed is not None:
            return step(STATEFUL_SET, owner, [book.deed])
        current = book.named(status_of(owner).get("currentRevision") or "") or book.update
        status = _status(owner, lineup.pods, name_of(current), name_of(book.update), now)
        deeds = _deeds(world, owner, lineup, current, book.update, now)
        if not deeds:
            live = {status["currentRevision"], name_of(current), name_of(book.update), *map(revision_of, pods.held)}
            deeds = book.expendable(owner, live)
        return Outcome(fenced(STATEFUL_SET, owner, status, deeds), _next_available(owner, lineup.pods, now))


def _deeds(world: World, owner: Object, lineup: Lineup, current: Object, update: Object, now: datetime) -> list[Action]:
    deeds: list[Action] = []
    for index, pod in enumerate(lineup.wanted):
        patch = corrected(pod, lineup.start + index) if pod is not None and not is_deleting(pod) else None
        if patch is not None:
            deeds.append(patch)
        if pod is not None and not is_deleting(pod):
            deeds += claims.corrected(world, owner, pod, lineup.start + index)
    for pod in lineup.condemned:
        deeds += claims.corrected(world, owner, pod, ordinal_of(owner, pod) or 0)
    moves = order.next_moves(owner, lineup, name_of(update), now)
    for pod in moves.drop:
        deeds += _deletion(owner, pod, moves.as_seen)
    for ordinal in moves.make:
        pod = made(owner, ordinal, order.revision_to_make(owner, ordinal, current, update))
        try:
            deeds += claims.wanted(world, owner, ordinal)
        except claims.Unusable as why:
            deeds += [_failed(owner, "FailedCreate", "create", name_of(pod), str(why))] if str(why) else []
            continue
        deeds += _creation(owner, pod)
    return deeds


def _creation(owner: Object, pod: Object) -> tuple[Create, Emit]:
    def refused(message: str) -> tuple[Action, ...]:
        return (_failed(owner, "FailedCreate", "create", name_of(pod), message),)

    return Create(POD, pod, refused), _said(owner, "SuccessfulCreate", "create", name_of(pod))


def _deletion(owner: Object, pod: Object, as_seen: bool) -> tuple[Delete, Emit]:
    def refused(message: str) -> tuple[Action, ...]:
        return (_failed(owner, "FailedDelete", "delete", name_of(pod), message),)

    told = _said(owner, "SuccessfulDelete", "delete", name_of(pod))
    return pod_deletion(pod, refused, as_seen=as_seen), told


def _failed(owner: Object, reason: str, verb: str, pod: str, why: str) -> Emit:
    return Emit(owner, "Warning", reason, f"{verb} Pod {pod} in StatefulSet {name_of(owner)} failed error: {why}")


def _said(owner: Object, reason: str, verb: str, pod: str) -> Emit:
    return Emit(owner, "Normal", reason, f"{verb} Pod {pod} in StatefulSet {name_of(owner)} successful")


def _status(owner: Object, pods: Sequence[Object], current: str, update: str, now: datetime) -> Object:
    minimum = spec_of(owner).get("minReadySeconds") or 0
    staying = [pod for pod in pods if not is_deleting(pod)]
    before = status_of(owner)
    status: Object = {
        "observedGeneration": meta(owner).get("generation") or 0,
        "replicas": len(pods),
        "readyReplicas": sum(map(order.is_running, pods)),
        "availableReplicas": sum(order.is_available(pod, minimum, now) for pod in pods),
        "currentReplicas": sum(revision_of(pod) == current for pod in staying),
        "updatedReplicas": sum(revision_of(pod) == update for pod in staying),
        "currentRevision": current,
        "updateRevision": update,
        "collisionCount": before.get("collisionCount") or 0,
        "conditions": before.get("conditions"),
    }
    if order.is_complete(owner, status):
        status["currentRevision"] = update
        status["currentReplicas"] = status["updatedReplicas"]
    always = ("replicas", "availableReplicas", "collisionCount")
    return {field: value for field, value in status.items() if value or field in always}


def _next_available(owner: Object, pods: Sequence[Object], now: datetime) -> datetime | None:
    minimum = spec_of(owner).get("minReadySeconds") or 0
    times = (available_at(pod, minimum) for pod in pods)
    return min((at for at in times if at is not None and at > now), default=None)


def _of_dependent(world: World, obj: Object) -> Iterable[Key]:
    ref = controller_of(obj)
    if ref is None:
        found = orphans_wake(world, STATEFUL_SET, obj, lambda owner: spec_of(owner).get("selector") or {})
        return [key_of(owner) for owner in found]
    return (Key(namespace_of(obj), ref.get("name") or ""),) if ref.get("kind") == STATEFUL_SET.kind else ()

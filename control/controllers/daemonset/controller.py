"""DaemonSets: one pod on every node that should have one.

Every wake takes the first step that is due, behind a fence (see `control.controllers.controller`): adopt or release;
write the revision book (`control.controllers.revisions`); make and delete pods (`moves`); forget old revisions.

A pod's name is a hash of set, node, template and a slot, and a node has a few slots a template: the first that nobody
is seen to hold is taken, after the server has said that the others are as they were seen: empty, or held by the same
pod (a patch that changes nothing asks for its UID), which is finished or on its way out. So on however old a world a
decision is made, there are never two pods of one template on a node, and the successor of a pod that is still there has
another name. In the same way a pod that goes in favour of another goes only if that other is still as it was seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from control.api.kinds import CONTROLLER_REVISION, DAEMON_SET, NAMESPACE, NODE, POD, Kind
from control.api.objects import (
    Key,
    Object,
    annotations_of,
    controller_of,
    is_deleting,
    key_of,
    labels_of,
    meta,
    name_of,
    namespace_of,
    resource_version_of,
    spec_of,
    status_of,
    uid_of,
)
from control.controllers.action import SETTLED, Absent, Action, Create, Emit, Outcome, Patch
from control.controllers.adoption import claim, orphans_wake
from control.controllers.controller import Wakes
from control.controllers.daemonset import moves
from control.controllers.daemonset.census import Census, counted, next_available
from control.controllers.daemonset.eligibility import pinned, tolerations
from control.controllers.daemonset.moves import FAILED_BEFORE, Moves
from control.controllers.naming import code, generated
from control.controllers.podmaking import fenced, is_leaving, pod_from, step, told_deletion
from control.controllers.revisions import POD_LABEL, Book, hashes
from control.mirror.world import World

SLOTS = 3
BURST = 250  # pods made or deleted in one round, Kubernetes' BurstReplicas of DaemonSets
GENERATION = "deprecated.daemonset.template.generation"


class DaemonSetController:
    name = "daemonset-controller"
    kind = DAEMON_SET
    concurrency = 2  # kube-controller-manager's default for it

    @property
    def watches(self) -> Mapping[Kind, Wakes]:
        return {
            DAEMON_SET: lambda world, obj: (key_of(obj),),
            POD: _of_dependent,
            CONTROLLER_REVISION: _of_dependent,
            NODE: lambda world, obj: [key_of(owner) for owner in world.list(DAEMON_SET)],
            NAMESPACE: lambda world, obj: (),
        }

    def reconcile(self, world: World, key: Key, now: datetime) -> Outcome:
        owner = world.get(DAEMON_SET, *key)
        if owner is None:
            return SETTLED
        selector = spec_of(owner).get("selector") or {}
        pods = claim(world, POD, DAEMON_SET, owner, selector)
        revisions = claim(world, CONTROLLER_REVISION, DAEMON_SET, owner, selector)
        if pods.patches or revisions.patches:
            return step(DAEMON_SET, owner, [*pods.patches, *revisions.patches])
        if is_deleting(owner) or is_leaving(world, owner):
            return SETTLED
        book = Book.of(world, DAEMON_SET, owner, revisions.held, POD_LABEL)
        if book.collides:
            collisions = (status_of(owner).get("collisionCount") or 0) + 1
            return Outcome(fenced(DAEMON_SET, owner, {**status_of(owner), "collisionCount": collisions}, []))
        if book.deed is not None:
            return step(DAEMON_SET, owner, [book.deed])
        hash_ = labels_of(book.update).get(POD_LABEL, "")
        census = Census.of(world, owner, pods.held)
        due = moves.keep(owner, census, hash_, now)
        strategy = spec_of(owner).get("updateStrategy") or {}
        wake_at = due.wake_at
        if not due and strategy.get("type") != "OnDelete":
            due = moves.roll(owner, census, hash_, now)
        deeds = _deeds(world, owner, due, hash_)
        if not deeds:
            named = hashes(book.revisions, POD_LABEL)
            live = {name_of(book.update), *(named.get(labels_of(pod).get(POD_LABEL, ""), "") for pod in pods.held)}
            deeds = book.expendable(owner, live)
        times = [at for at in (wake_at, next_available(owner, pods.held, now)) if at is not None]
        status = counted(owner, census, hash_, now)
        return Outcome(fenced(DAEMON_SET, owner, status, deeds), min(times, default=None))


def _deeds(world: World, owner: Object, due: Moves, hash_: str) -> list[Action]:
    deeds: list[Action] = [Emit(owner, "Warning" if kind == "Warning" else "Normal", *rest) for kind, *rest in due.said]
    for pod in due.drop[:BURST]:
        deeds += told_deletion(owner, pod, as_seen=due.as_seen)
    questions: list[Action] = [_as_seen(pod, {"resourceVersion": resource_version_of(pod)}) for pod in due.relied]
    for node, failures in list(due.make.items())[:BURST]:
        names = [generated(f"{name_of(owner)}-", code(uid_of(owner), node, hash_, str(slot))) for slot in range(SLOTS)]
        free = [name for name in names if world.get(POD, namespace_of(owner), name) is None]
        if free:  # else pods with all these names are on their way out
            questions += _questions(world, owner, [name for name in names if name != free[0]])
            deeds += _creation(owner, node, free[0], failures, hash_)
    return [*questions, *deeds]


def _questions(world: World, owner: Object, names: Iterable[str]) -> Iterable[Action]:
    """What stops everything behind it unless the pods of these names are as they were seen."""
    for name in names:
        held = world.get(POD, namespace_of(owner), name)
        if held is None:
            yield Absent(POD, namespace_of(owner), name, "")
        else:
            yield _as_seen(held, {})


def _as_seen(pod: Object, precondition: Object) -> Patch:
    """A patch that changes nothing: it fails if the pod is another one, or not of this version."""
    return Patch(POD, namespace_of(pod), name_of(pod), uid_of(pod), {"metadata": precondition})


def _creation(owner: Object, node: str, name: str, failures: int, hash_: str) -> Iterable[Action]:
    def refused(message: str) -> tuple[Action, ...]:
        return (Emit(owner, "Warning", "FailedCreate", f"Error creating: {message}"),)

    yield Create(POD, _pod(owner, node, name, failures, hash_), refused)
    yield Emit(owner, "Normal", "SuccessfulCreate", f"Created pod: {name}")


def _pod(owner: Object, node: str, name: str, failures: int, hash_: str) -> Object:
    template = spec_of(owner).get("template") or {}
    labels = {POD_LABEL: hash_}
    generation = annotations_of(owner).get(GENERATION)
    if generation:
        labels["pod-template-generation"] = generation
    pod = pod_from(DAEMON_SET, owner, template, name, **labels)
    pod["spec"] = {**pinned(pod["spec"], node), "tolerations": tolerations(template)}
    if failures:
        pod["metadata"]["annotations"] = {**(meta(pod).get("annotations") or {}), FAILED_BEFORE: str(failures)}
    return pod


def _of_dependent(world: World, obj: Object) -> Iterable[Key]:
    ref = controller_of(obj)
    if ref is None:
        found = orphans_wake(world, DAEMON_SET, obj, lambda owner: spec_of(owner).get("selector") or {})
        return [key_of(owner) for owner in found]
    return (Key(namespace_of(obj), ref.get("name") or ""),) if ref.get("kind") == DAEMON_SET.kind else ()

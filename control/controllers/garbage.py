"""Owner references: what goes when its owner goes.

Every object is looked at from two sides. As a dependent: an owner reference is *solid* if the owner exists, *waiting*
if it exists and is being deleted in the foreground (it waits for us), and *dangling* if no object of that kind, name
and UID exists in our namespace. With a solid owner, the other references are cut and the object stays. Without one it
is deleted: in the foreground if an owner waits for it and it has dependents itself, else in the background (an orphan
or foreground finalizer of its own keeps its meaning). As an owner being deleted: with the finalizer
`foregroundDeletion` it goes once no dependent with blockOwnerDeletion is left; with the finalizer `orphan`, once no
dependent refers to it any more, and those references are cut here. Where two wait for each other, the one that is only
now reached stops blocking.

Absence must be certain. A reference to a kind that is not served or not yet mirrored is solid; before anything is
deleted for a dangling reference the server is asked for the owner (`Absent`), because mirrors of different kinds run
apart and the owner may be younger than our view. The delete carries UID and resourceVersion: references that changed
since stop it. A namespaced owner cannot own across namespaces: such a reference dangles, with the event
OwnerRefInvalidNamespace. A cluster-scoped dependent of a namespaced owner cannot be resolved at all; it is kept, with
the same event.

One controller sees all kinds. Its keys are names of work, `<resource>/<name>` in the dependent's namespace, not object
keys; one instance a kind would run every change of anything through twenty controllers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from control.api.kinds import EVENT, KINDS, NAMESPACE, VIEWED_AS, Kind
from control.api.objects import (
    Key,
    Object,
    is_deleting,
    meta,
    name_of,
    namespace_of,
    owner_references,
    resource_version_of,
    uid_of,
)
from control.controllers.action import SETTLED, Absent, Action, Delete, Emit, Outcome, Patch, Update
from control.controllers.controller import Wakes
from control.mirror.world import World

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"

COLLECTED = tuple(kind for kind in KINDS if kind != EVENT and kind not in VIEWED_AS)
"""Events have no owners and too many of them come; all other kinds do take part."""

_BY_RESOURCE = {kind.resource: kind for kind in COLLECTED}
_BY_GROUP_KIND = {(kind.group, kind.kind): kind for kind in COLLECTED}


@dataclass(frozen=True, slots=True)
class _Owners:
    solid: Sequence[Object]
    waiting: Sequence[Object]
    dangling: Sequence[tuple[Kind, Object]]
    invalid: Sequence[Object]  # references whose owner lives where it cannot own us


class GarbageController:
    name = "garbage-collector-controller"
    kind = NAMESPACE  # of no meaning here: see above
    concurrency = 20  # kube-controller-manager's --concurrent-gc-syncs

    @property
    def watches(self) -> Mapping[Kind, Wakes]:
        return {kind: _wakes(kind) for kind in COLLECTED}

    def reconcile(self, world: World, key: Key, now: datetime) -> Outcome:
        resource, _, name = key.name.partition("/")
        kind = _BY_RESOURCE.get(resource)
        obj = world.get(kind, key.namespace, name) if kind else None
        if kind is None or obj is None:
            return SETTLED
        if is_deleting(obj):
            return Outcome(tuple(_as_owner(world, kind, obj)))
        if not owner_references(obj):
            return SETTLED
        return Outcome(tuple(_as_dependent(world, kind, obj)))


def work_key(kind: Kind, obj: Object) -> Key:
    return Key(namespace_of(obj), f"{kind.resource}/{name_of(obj)}")


def _as_owner(world: World, kind: Kind, obj: Object) -> Iterable[Action]:
    """What an object that is being deleted waits for."""
    finalizers = meta(obj).get("finalizers") or []
    dependents = [(k, dependent) for k, dependent in world.owned_kinds(uid_of(obj)) if _can_own(kind, obj, dependent)]
    if ORPHAN in finalizers:
        yield from (_cut(k, dependent, [uid_of(obj)]) for k, dependent in dependents)
        yield _without_finalizer(kind, obj, ORPHAN)
    elif FOREGROUND in finalizers and not any(_blocks(dependent, obj) for _, dependent in dependents):
        yield _without_finalizer(kind, obj, FOREGROUND)


def _as_dependent(world: World, kind: Kind, obj: Object) -> Iterable[Action]:
    owners = _owners(world, kind, obj)
    yield from (_invalid_event(obj, ref) for ref in owners.invalid)
    gone = [ref.get("uid") or "" for _, ref in owners.dangling] + [uid_of(owner) for owner in owners.waiting]
    if not gone:
        return
    for owner_kind, ref in owners.dangling:
        namespace = namespace_of(obj) if owner_kind.namespaced else ""
        yield Absent(owner_kind, namespace, ref.get("name") or "", ref.get("uid") or "")
    if owners.solid:
        yield _cut(kind, obj, gone)
        return
    finalizers = meta(obj).get("finalizers") or ()
    dependents = world.owned_by(uid_of(obj)) if owners.waiting else []
    foreground = FOREGROUND in finalizers or dependents
    version = resource_version_of(obj)
    if any(_waits(dependent) for dependent in dependents):
        yield _references(
            kind, obj, ({"uid": ref.get("uid"), "blockOwnerDeletion": False} for ref in owner_references(obj))
        )
        version = ""  # moved by that patch
    yield Delete(
        kind,
        namespace_of(obj),
        name_of(obj),
        uid_of(obj),
        version,
        propagation="Orphan" if ORPHAN in finalizers else "Foreground" if foreground else "Background",
    )


def _owners(world: World, kind: Kind, obj: Object) -> _Owners:
    solid: list[Object] = []
    waiting: list[Object] = []
    dangling: list[tuple[Kind, Object]] = []
    invalid: list[Object] = []
    for ref in owner_references(obj):
        owner_kind = _kind_of(ref)
        if owner_kind is None or not world.knows(owner_kind):
            solid.append(ref)
        elif owner_kind.namespaced and not kind.namespaced:
            solid.append(ref)
            invalid.append(ref)
        else:
            owner = world.get(owner_kind, namespace_of(obj) if owner_kind.namespaced else "", ref.get("name") or "")
            if owner is None or uid_of(owner) != ref.get("uid"):
                dangling.append((owner_kind, ref))
                if owner_kind.namespaced and _lives_elsewhere(world, owner_kind, ref):
                    invalid.append(ref)
            elif _waits(owner):
                waiting.append(owner)
            else:
                solid.append(owner)
    return _Owners(solid, waiting, dangling, invalid)


def _kind_of(ref: Object) -> Kind | None:
    """The kind that a reference names; another version of a served group is the same object."""
    group, slash, _ = (ref.get("apiVersion") or "").rpartition("/")
    return _BY_GROUP_KIND.get((group if slash else "", ref.get("kind") or ""))


def _lives_elsewhere(world: World, kind: Kind, ref: Object) -> bool:
    return any(uid_of(obj) == ref.get("uid") for obj in world.list(kind))


def _can_own(kind: Kind, owner: Object, dependent: Object) -> bool:
    return not kind.namespaced or namespace_of(owner) == namespace_of(dependent)


def _blocks(dependent: Object, owner: Object) -> bool:
    return any(ref.get("uid") == uid_of(owner) and ref.get("blockOwnerDeletion") for ref in owner_references(dependent))


def _waits(obj: Object) -> bool:
    """Whether the object is being deleted in the foreground."""
    return is_deleting(obj) and FOREGROUND in (meta(obj).get("finalizers") or ())


def _cut(kind: Kind, obj: Object, uids: Iterable[str]) -> Patch:
    return _references(kind, obj, ({"$patch": "delete", "uid": uid} for uid in uids))


def _references(kind: Kind, obj: Object, changes: Iterable[Object]) -> Patch:
    return Patch(
        kind,
        namespace_of(obj),
        name_of(obj),
        uid_of(obj),
        {"metadata": {"ownerReferences": list(changes)}},
        patch_type="application/strategic-merge-patch+json",
    )


def _without_finalizer(kind: Kind, obj: Object, finalizer: str) -> Update:
    rest = [text for text in meta(obj).get("finalizers") or () if text != finalizer]
    return Update(kind, {**obj, "metadata": {**meta(obj), "finalizers": rest}})


def _invalid_event(obj: Object, ref: Object) -> Emit:
    described = (
        f"ownerRef [{ref.get('apiVersion')}/{ref.get('kind')}, namespace: {namespace_of(obj)}, "
        f"name: {ref.get('name')}, uid: {ref.get('uid')}]"
    )
    where = (
        f'does not exist in namespace "{namespace_of(obj)}"'
        if namespace_of(obj)
        else "is namespaced, the object is not"
    )
    return Emit(obj, "Warning", "OwnerRefInvalidNamespace", f"{described} {where}")


def _wakes(kind: Kind) -> Wakes:
    def wakes(world: World, obj: Object) -> Iterable[Key]:
        references = meta(obj).get("ownerReferences")
        if references:
            yield work_key(kind, obj)
            for ref in references:  # an owner may wait for this dependent to go
                yield from _waiting_owner(world, obj, ref)
        elif is_deleting(obj):
            yield work_key(kind, obj)
        current = world.get(kind, namespace_of(obj), name_of(obj))
        if current is None or uid_of(current) != uid_of(obj) or is_deleting(obj):
            for dependent_kind, dependent in world.owned_kinds(uid_of(obj)):
                yield work_key(dependent_kind, dependent)

    return wakes


def _waiting_owner(world: World, obj: Object, ref: Object) -> Iterable[Key]:
    kind = _kind_of(ref)
    if kind is None:
        return
    owner = world.get(kind, namespace_of(obj) if kind.namespaced else "", ref.get("name") or "")
    if owner is not None and is_deleting(owner):
        yield work_key(kind, owner)

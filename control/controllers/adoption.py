"""Who controls what: a controller claims the objects that its selector matches and lets go of those it no longer does.

Four rules, Kubernetes' own. An object with a controller reference to our UID is ours while the selector matches it, and
released when it stops to (unless we are being deleted: then the garbage collector decides by the reference). An object
without any controller is adopted if the selector matches it and neither side is being deleted. An object of another
controller is never touched, whatever its labels. And an adoption must stand behind a fence (see `controller`), because
an owner of the same name but another UID may have taken our place.

Both are strategic merge patches of metadata.ownerReferences (merge key uid), so that other owners' entries survive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from control.api.kinds import Kind
from control.api.objects import Object, controller_of, is_deleting, meta, name_of, namespace_of, uid_of
from control.controllers.action import Patch
from control.mirror.world import World, matcher_of


@dataclass(frozen=True, slots=True)
class Claim:
    """`held` are ours after `patches`; adoptions among the patches need a fence before them."""

    held: tuple[Object, ...]
    patches: tuple[Patch, ...]


def owner_reference(kind: Kind, owner: Object) -> Object:
    """The reference that makes `owner` the controller."""
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "name": name_of(owner),
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def claim(
    world: World,
    kind: Kind,
    owner_kind: Kind,
    owner: Object,
    selector: Object,
    adoptable: Callable[[Object], bool] = lambda obj: True,
) -> Claim:
    """What `owner` holds of `kind` in its namespace, and the patches that make it so."""
    matches = matcher_of(selector)
    leaving = is_deleting(owner)
    held: list[Object] = []
    patches: list[Patch] = []
    for obj in world.controlled_by(kind, uid_of(owner)):
        if namespace_of(obj) != namespace_of(owner):
            continue  # a reference across namespaces means nothing; the garbage collector says so
        if matches(obj):
            held.append(obj)
        elif not leaving:
            patches.append(_release(kind, owner, obj))
    if leaving:
        return Claim(tuple(held), ())
    for obj in world.select(kind, namespace_of(owner), selector):
        if controller_of(obj) is None and not is_deleting(obj) and adoptable(obj):
            held.append(obj)
            patches.append(_adopt(kind, owner_kind, owner, obj))
    return Claim(tuple(held), tuple(patches))


def orphans_wake(world: World, owner_kind: Kind, obj: Object, selector_of: Callable[[Object], Object]) -> list[Object]:
    """The owners of a kind that might adopt an object without a controller."""
    return [owner for owner in world.selecting(owner_kind, obj) if matcher_of(selector_of(owner))(obj)]


def _adopt(kind: Kind, owner_kind: Kind, owner: Object, obj: Object) -> Patch:
    return _patch(kind, obj, owner_reference(owner_kind, owner))


def _release(kind: Kind, owner: Object, obj: Object) -> Patch:
    return _patch(kind, obj, {"$patch": "delete", "uid": uid_of(owner)})


def _patch(kind: Kind, obj: Object, reference: Object) -> Patch:
    return Patch(
        kind,
        namespace_of(obj),
        name_of(obj),
        str(meta(obj).get("uid") or ""),
        {"metadata": {"ownerReferences": [reference]}},
        patch_type="application/strategic-merge-patch+json",
    )

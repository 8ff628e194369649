"""The claims of a StatefulSet's pods: made before their pods, and deleted by nobody unless the set's policy says so.

The claim of a template for ordinal n is `<template>-<set>-<n>`. It outlives its pod and its set; whoever has the
ordinal next finds it. persistentVolumeClaimRetentionPolicy (KEP-1847) does not delete either: it makes the claim a
dependent, and the garbage collector does the rest.

| whenScaled | whenDeleted | owner of a wanted pod's claim | of a condemned pod's claim |
|---|---|---|---|
| Retain | Retain | - | - |
| Retain | Delete | the set | the set |
| Delete | Retain | - | the pod |
| Delete | Delete | the set | the pod |

The owner is set before a condemned pod is deleted, follows every change of the policy and of the scale, and is always
the controller. A claim with another controller is left to that one, and one with a reference to an earlier set or pod
of the same name is on its way out: it is not touched, and no pod is made on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from control.api.kinds import PERSISTENT_VOLUME_CLAIM, POD, STATEFUL_SET, Kind
from control.api.objects import (
    Key,
    Object,
    copy_of,
    is_deleting,
    key_of,
    labels_of,
    meta,
    name_of,
    namespace_of,
    owner_references,
    spec_of,
    uid_of,
)
from control.controllers.action import Action, Create, Emit, Update
from control.controllers.adoption import owner_reference
from control.controllers.pods import phase_of
from control.controllers.statefulset.identity import claim_names, replicas_of, start_of
from control.mirror.world import World


class Unusable(Exception):
    """A claim on which no pod can be made now; the text is for the event, "" where waiting is all there is to say."""


def wanted(world: World, owner: Object, ordinal: int) -> Iterator[Action]:
    """The creations of the claims that the pod of an ordinal lacks; raises Unusable."""
    missing: list[Object] = []
    for template, name in claim_names(owner, ordinal):
        claim = world.get(PERSISTENT_VOLUME_CLAIM, namespace_of(owner), name)
        if claim is None:
            missing.append(_made(owner, ordinal, template, name))
        elif is_deleting(claim):
            raise Unusable(f"pvc {name} is being deleted")
        elif any(_is_named(ref, POD, f"{name_of(owner)}-{ordinal}") for ref in owner_references(claim)):
            raise Unusable("")
    for claim in missing:
        yield from _creation(owner, ordinal, claim)


def corrected(world: World, owner: Object, pod: Object, ordinal: int) -> Iterator[Action]:
    """What the claims of a pod that exists need: to be there while it is Pending, and the owner of the table."""
    for template, name in claim_names(owner, ordinal):
        claim = world.get(PERSISTENT_VOLUME_CLAIM, namespace_of(owner), name)
        if claim is None:
            if phase_of(pod) == "Pending" and not is_deleting(pod) and is_wanted(owner, ordinal):
                yield from _creation(owner, ordinal, _made(owner, ordinal, template, name))
        elif not _is_left_alone(owner, pod, claim):
            references = _references(owner, pod, ordinal, claim)
            if references != owner_references(claim):
                own = {**meta(claim), "ownerReferences": references}
                yield Update(PERSISTENT_VOLUME_CLAIM, {**claim, "metadata": own})


def is_wanted(owner: Object, ordinal: int) -> bool:
    return start_of(owner) <= ordinal < start_of(owner) + replicas_of(owner)


def _policy(owner: Object) -> tuple[bool, bool]:
    """(delete when scaled, delete when the set is deleted)."""
    policy = spec_of(owner).get("persistentVolumeClaimRetentionPolicy") or {}
    return policy.get("whenScaled") == "Delete", policy.get("whenDeleted") == "Delete"


def _references(owner: Object, pod: Object, ordinal: int, claim: Object) -> list[Object]:
    """The owner references that the claim should have: those of others, and the one of the table."""
    scaled, deleted = _policy(owner)
    ours = {uid_of(owner), uid_of(pod)}
    others = [ref for ref in owner_references(claim) if ref.get("uid") not in ours]
    if (scaled or deleted) and any(ref.get("controller") for ref in others):
        return others
    if scaled and not is_wanted(owner, ordinal):
        return [*others, owner_reference(POD, pod)]
    return [*others, owner_reference(STATEFUL_SET, owner)] if deleted else others


def _is_left_alone(owner: Object, pod: Object, claim: Object) -> bool:
    """A reference to the set's or the pod's name with another UID: made by, and due to go with, one that is no more."""
    return any(
        _is_named(ref, kind, name_of(obj)) and ref.get("uid") != uid_of(obj)
        for ref in owner_references(claim)
        for kind, obj in ((STATEFUL_SET, owner), (POD, pod))
    )


def _is_named(ref: Object, kind: Kind, name: str) -> bool:
    return (ref.get("apiVersion"), ref.get("kind"), ref.get("name")) == (kind.api_version, kind.kind, name)


def _made(owner: Object, ordinal: int, template: Object, name: str) -> Object:
    own: Object = {key: value for key, value in meta(template).items() if key in ("annotations", "finalizers")}
    own |= {
        "name": name,
        "namespace": namespace_of(owner),
        "labels": {**labels_of(template), **((spec_of(owner).get("selector") or {}).get("matchLabels") or {})},
    }
    if _policy(owner)[1]:
        own["ownerReferences"] = [owner_reference(STATEFUL_SET, owner)]
    return {
        "apiVersion": PERSISTENT_VOLUME_CLAIM.api_version,
        "kind": PERSISTENT_VOLUME_CLAIM.kind,
        "metadata": own,
        "spec": copy_of(spec_of(template)),
    }


def _creation(owner: Object, ordinal: int, claim: Object) -> Iterator[Action]:
    pod, name, of = f"{name_of(owner)}-{ordinal}", name_of(claim), name_of(owner)

    def refused(message: str) -> tuple[Action, ...]:
        text = f"create Claim {name} for Pod {pod} in StatefulSet {of} failed error: {message}"
        return (Emit(owner, "Warning", "FailedCreate", text),)

    yield Create(PERSISTENT_VOLUME_CLAIM, claim, refused)
    yield Emit(owner, "Normal", "SuccessfulCreate", f"create Claim {name} Pod {pod} in StatefulSet {of} success")


def sets_of(world: World, claim: Object) -> Iterable[Key]:
    """The sets whose claim it is by its name."""
    for owner in world.list(STATEFUL_SET, namespace_of(claim)):
        for template in spec_of(owner).get("volumeClaimTemplates") or ():
            head = f"{name_of(template)}-{name_of(owner)}-"
            if name_of(claim).startswith(head) and name_of(claim)[len(head) :].isdecimal():
                yield key_of(owner)
                break

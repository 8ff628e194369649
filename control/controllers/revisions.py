"""ControllerRevisions: the revision book of StatefulSets and DaemonSets.

A revision holds a template as the patch `{"spec": {"template": {..., "$patch": "replace"}}}`, which `kubectl rollout
undo` applies as it stands, and a number. The revision whose data equal the owner's template is the one to roll out
(the update revision); where none does, one is made with the next number; where one does that is not the last, the
template went back to it and it gets the next number (so a rollback makes no new template, and no pod that has it
restarts). A revision's name is the owner's with a hash of the data; a name that anything else has raises
`status.collisionCount`, which makes another hash. Revisions beyond revisionHistoryLimit go, the oldest first, but none
that a pod still has.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from control.api.kinds import CONTROLLER_REVISION, Kind
from control.api.objects import (
    Object,
    annotations_of,
    copy_of,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    resource_version_of,
    spec_of,
    status_of,
    uid_of,
)
from control.controllers.action import Action, Create, Delete, Update
from control.controllers.adoption import owner_reference
from control.controllers.naming import TEMPLATE_HASH_LENGTH, code, digest
from control.controllers.pods import created_at
from control.mirror.world import World

HASH_LABEL = "controller.kubernetes.io/hash"
POD_LABEL = "controller-revision-hash"


@dataclass(frozen=True, slots=True)
class Book:
    """The revisions of one owner, from the lowest number, and the one to roll out; `deed` makes it so first."""

    revisions: tuple[Object, ...]
    update: Object
    deed: Action | None = None
    collides: bool = False

    @classmethod
    def of(cls, world: World, kind: Kind, owner: Object, held: Iterable[Object], hash_label: str) -> Book:
        revisions = in_order(held)
        data = data_of(spec_of(owner).get("template") or {})
        following = max(map(number_of, revisions), default=0) + 1
        equal = [revision for revision in revisions if revision.get("data") == data]
        if equal:
            last = equal[-1]
            if last is revisions[-1]:
                return cls(revisions, last)
            renewed = {**last, "revision": following}
            return cls(revisions, renewed, Update(CONTROLLER_REVISION, renewed))
        made = _made(kind, owner, data, following, hash_label)
        taken = world.get(CONTROLLER_REVISION, namespace_of(owner), name_of(made)) is not None
        return cls(revisions, made, Create(CONTROLLER_REVISION, made), collides=taken)

    def named(self, name: str) -> Object | None:
        return next((revision for revision in self.revisions if name_of(revision) == name), None)

    def expendable(self, owner: Object, live: Container[str]) -> list[Action]:
        """Deletions of what is beyond the limit; `live` are the names that somebody needs."""
        limit = spec_of(owner).get("revisionHistoryLimit")
        if limit is None:
            return []
        old = [revision for revision in self.revisions if name_of(revision) not in live and not is_deleting(revision)]
        return [
            Delete(CONTROLLER_REVISION, namespace_of(one), name_of(one), uid_of(one), resource_version_of(one))
            for one in old[: max(0, len(old) - int(limit))]
        ]


def in_order(revisions: Iterable[Object]) -> tuple[Object, ...]:
    return tuple(sorted(revisions, key=lambda one: (number_of(one), created_at(one), name_of(one))))


def number_of(revision: Object) -> int:
    return int(revision.get("revision") or 0)


def data_of(template: Mapping[str, Any]) -> Object:
    return {"spec": {"template": {**template, "$patch": "replace"}}}


def template_of(revision: Object) -> Object:
    """The pod template that a revision holds."""
    template = copy_of((revision.get("data") or {}).get("spec", {}).get("template") or {})
    template.pop("$patch", None)
    return template


def hashes(revisions: Sequence[Object], label: str) -> dict[str, str]:
    """Names of revisions by the hash on their label."""
    return {labels_of(revision).get(label, ""): name_of(revision) for revision in revisions}


def _made(kind: Kind, owner: Object, data: Object, number: int, hash_label: str) -> Object:
    collisions = status_of(owner).get("collisionCount") or 0
    hash_ = code(digest(data), str(collisions), length=TEMPLATE_HASH_LENGTH)
    labels = {**labels_of(spec_of(owner).get("template") or {}), hash_label: hash_}
    own: Object = {
        "name": f"{name_of(owner)}-{hash_}",
        "namespace": namespace_of(owner),
        "labels": labels,
        "ownerReferences": [owner_reference(kind, owner)],
    }
    if annotations_of(owner):
        own["annotations"] = dict(annotations_of(owner))
    return {
        "apiVersion": CONTROLLER_REVISION.api_version,
        "kind": CONTROLLER_REVISION.kind,
        "metadata": own,
        "data": data,
        "revision": number,
    }

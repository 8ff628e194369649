"""A Deployment's ReplicaSets: which one is new, what the new one looks like, and the revision book.

New is the oldest set whose template equals the Deployment's, the label pod-template-hash aside; so going back to an
earlier template makes that template's set new again. All others are old. Revisions are counted on the sets: the new set
has one more than the highest old one, its earlier numbers go to the annotation revision-history, and the Deployment
copies the number. `kubectl rollout history` and `undo` read nothing else.

A set is named after its template's hash. When that name is taken by anything that is not this Deployment's set of this
template, `status.collisionCount` goes up by one and makes another hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from control.api.kinds import DEPLOYMENT, REPLICA_SET
from control.api.objects import (
    Object,
    annotations_of,
    copy_of,
    is_controlled_by,
    labels_of,
    meta,
    name_of,
    namespace_of,
    spec_of,
    status_of,
)
from control.controllers.adoption import owner_reference
from control.controllers.naming import template_hash
from control.controllers.pods import created_at
from control.mirror.world import World

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
NOT_COPIED = frozenset({
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    DESIRED,
    MAXIMUM,
    "deprecated.deployment.rollback.to",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fleet:
    """The sets of one Deployment; `old` from the oldest to the youngest."""

    new: Object | None
    old: tuple[Object, ...]

    @classmethod
    def of(cls, deployment: Object, held: Iterable[Object]) -> Fleet:
        aged = sorted(held, key=lambda rs: (created_at(rs), name_of(rs)))
        template = _unhashed(spec_of(deployment).get("template") or {})
        new = next((rs for rs in aged if _unhashed(spec_of(rs).get("template") or {}) == template), None)
        return cls(new, tuple(rs for rs in aged if rs is not new))

    @property
    def all(self) -> tuple[Object, ...]:
        return self.old if self.new is None else (*self.old, self.new)


def size_of(rs: Object) -> int:
    """The wanted replicas of a set."""
    replicas = spec_of(rs).get("replicas")
    return 1 if replicas is None else int(replicas)


def available_of(rs: Object) -> int:
    """The available replicas that count: what the set is about to delete does not, though its status still says so."""
    return min(size_of(rs), status_of(rs).get("availableReplicas") or 0)


def revision_of(obj: Object) -> int:
    text = annotations_of(obj).get(REVISION, "")
    return int(text) if text.isdecimal() else 0


def next_revision(fleet: Fleet) -> int:
    return max(map(revision_of, fleet.old), default=0) + 1


def revised(deployment: Object, fleet: Fleet, new: Object) -> Object:
    """The new set as its Deployment wants it now; the same object when it is that already."""
    annotations = dict(annotations_of(new))
    annotations.update(_inherited(deployment))
    revision = next_revision(fleet)
    seen = revision_of(new)
    if seen < revision:
        annotations[REVISION] = str(revision)
        if seen:
            history = [text for text in annotations.get(HISTORY, "").split(",") if text]
            annotations[HISTORY] = ",".join([*history, str(seen)])
    min_ready = spec_of(deployment).get("minReadySeconds") or 0
    if annotations == annotations_of(new) and min_ready == (spec_of(new).get("minReadySeconds") or 0):
        return new
    return {
        **new,
        "metadata": {**meta(new), "annotations": annotations},
        "spec": {**spec_of(new), "minReadySeconds": min_ready},
    }


def resized(rs: Object, size: int, desired: int, maximum: int) -> Object:
    """The set with another size and the sizes of its Deployment noted on it; the same object if nothing changes."""
    noted = {DESIRED: str(desired), MAXIMUM: str(maximum)}
    if size == size_of(rs) and noted.items() <= annotations_of(rs).items():
        return rs
    return {
        **rs,
        "metadata": {**meta(rs), "annotations": {**annotations_of(rs), **noted}},
        "spec": {**spec_of(rs), "replicas": size},
    }


def hash_of(deployment: Object) -> str:
    return template_hash(spec_of(deployment).get("template"), status_of(deployment).get("collisionCount") or 0)


def name_of_new(deployment: Object) -> str:
    return f"{name_of(deployment)}-{hash_of(deployment)}"


def is_name_taken(world: World, deployment: Object) -> bool:
    """Whether the name of the set to create belongs to something else (or to our own set of another template)."""
    other = world.get(REPLICA_SET, namespace_of(deployment), name_of_new(deployment))
    if other is None:
        return False
    ours = is_controlled_by(other, deployment)
    template = _unhashed(spec_of(deployment).get("template") or {})
    return not (ours and _unhashed(spec_of(other).get("template") or {}) == template)


def created(deployment: Object, fleet: Fleet, size: int, desired: int, maximum: int) -> Object:
    """The new ReplicaSet."""
    spec = spec_of(deployment)
    hash_ = hash_of(deployment)
    template = copy_of(spec.get("template") or {})
    template_meta = template.setdefault("metadata", {})
    template_meta["labels"] = {**(template_meta.get("labels") or {}), HASH_LABEL: hash_}
    selector = copy_of(spec.get("selector") or {})
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: hash_}
    annotations = {
        **_inherited(deployment),
        REVISION: str(next_revision(fleet)),
        DESIRED: str(desired),
        MAXIMUM: str(maximum),
    }
    wanted: Object = {"replicas": size, "selector": selector, "template": template}
    if spec.get("minReadySeconds"):
        wanted["minReadySeconds"] = spec["minReadySeconds"]
    return {
        "apiVersion": REPLICA_SET.api_version,
        "kind": REPLICA_SET.kind,
        "metadata": {
            "name": f"{name_of(deployment)}-{hash_}",
            "namespace": namespace_of(deployment),
            "labels": dict(template_meta["labels"]),
            "annotations": annotations,
            "ownerReferences": [owner_reference(DEPLOYMENT, deployment)],
        },
        "spec": wanted,
    }


def expendable(deployment: Object, fleet: Fleet) -> list[Object]:
    """Old sets beyond revisionHistoryLimit, the lowest revisions first, and only those that are empty and at rest."""
    limit = spec_of(deployment).get("revisionHistoryLimit")
    if limit is None:
        return []
    alive = [rs for rs in fleet.old if not meta(rs).get("deletionTimestamp")]
    excess = sorted(alive, key=lambda rs: (revision_of(rs), name_of(rs)))[: max(0, len(alive) - int(limit))]
    return [rs for rs in excess if is_at_rest(rs)]


def is_at_rest(rs: Object) -> bool:
    """Whether the set has seen that it is to be empty, and is: no pod of it is still on its way."""
    status = status_of(rs)
    observed = (status.get("observedGeneration") or 0) >= (meta(rs).get("generation") or 0)
    return observed and not status.get("replicas") and not size_of(rs)


def _inherited(deployment: Object) -> Mapping[str, str]:
    return {key: value for key, value in annotations_of(deployment).items() if key not in NOT_COPIED}


def _unhashed(template: Mapping[str, object]) -> Object:
    """A template without the label that only a ReplicaSet's has."""
    wrapped = dict(template)
    labels = dict(labels_of(wrapped))
    labels.pop(HASH_LABEL, None)
    metadata = {key: value for key, value in meta(wrapped).items() if key != "labels" and value is not None}
    wrapped["metadata"] = {**metadata, "labels": labels}
    return wrapped

"""Which volume suits a claim: asked by the binder, and by the scheduler for each node.

A volume that is promised to the claim (its claimRef names it) is taken whatever else there is. Among the others, those
that are Available, of the claim's class, mode and access modes, selected by its labels, large enough, and in reach, the
smallest is taken, by its name where sizes are equal. A claim of a class that waits for its first consumer is matched
for a node only, so the binder (which knows none) takes for it what is promised and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable

from control.api.kinds import STORAGE_CLASS
from control.api.objects import Object, annotations_of, is_deleting, labels_of, name_of, spec_of, status_of
from control.api.selectors import selector_of
from control.api.storage import BIND_COMPLETED, capacity, class_of, mode_of, refers_to, requested
from control.controllers.placement import matches_term
from control.mirror.world import World


def mismatch(claim: Object, volume: Object) -> str:
    """Why a volume that a claim asks for by name does not suit it; "" if it does."""
    if capacity(volume) < requested(claim):
        return "requested PV is too small"
    if class_of(claim) != class_of(volume):
        return "storageClassName does not match"
    if mode_of(claim) != mode_of(volume):
        return "incompatible volumeMode"
    if not _modes_suit(claim, volume):
        return "incompatible accessMode"
    return ""


def best(
    claim: Object,
    volumes: Iterable[Object],
    in_reach: Callable[[Object], bool] = lambda volume: True,
    *,
    promised_only: bool = False,
    taken: Container[str] = (),
) -> Object | None:
    """The volume for a claim; `volumes` come in the order of their names."""
    selector = spec_of(claim).get("selector")
    selects = selector_of(selector) if selector is not None else None
    smallest: Object | None = None
    for volume in volumes:
        if name_of(volume) in taken or is_deleting(volume):
            continue
        promised = spec_of(volume).get("claimRef") is not None
        if promised and not refers_to(volume, claim):
            continue
        if capacity(volume) < requested(claim) or mode_of(volume) != mode_of(claim):
            continue
        if promised:
            return volume if in_reach(volume) else None
        if promised_only or mismatch(claim, volume) or status_of(volume).get("phase") != "Available":
            continue
        if (selects is not None and not selects(labels_of(volume))) or not in_reach(volume):
            continue
        if smallest is None or capacity(volume) < capacity(smallest):
            smallest = volume
    return smallest


def _modes_suit(claim: Object, volume: Object) -> bool:
    return set(spec_of(claim).get("accessModes") or ()) <= set(spec_of(volume).get("accessModes") or ())


def reaches(volume: Object, node: Object) -> bool:
    """Whether a node is one of those that the volume's node affinity names; without one all are."""
    required = (spec_of(volume).get("nodeAffinity") or {}).get("required")
    return required is None or any(matches_term(term, node) for term in required.get("nodeSelectorTerms") or ())


def is_bound(claim: Object) -> bool:
    return bool(spec_of(claim).get("volumeName")) and BIND_COMPLETED in annotations_of(claim)


def class_object(world: World, claim: Object) -> Object | None:
    return world.get(STORAGE_CLASS, "", class_of(claim)) if class_of(claim) else None


def waits_for_consumer(world: World, claim: Object) -> bool:
    """Whether binding is left to the scheduler."""
    found = class_object(world, claim)
    return found is not None and found.get("volumeBindingMode") == "WaitForFirstConsumer"

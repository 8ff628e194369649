"""The marriage of a claim and a volume, as writes; each may be the last before a crash, and the next wake goes on.

The volume is written first and with the resourceVersion that was seen: of two claims that found the same volume, one
wins there and the other looks again. Then the volume's phase, then the claim with what it got. What is as wanted
already is not written.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from control.api.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM
from control.api.objects import (
    Object,
    annotations_of,
    format_time,
    meta,
    name_of,
    namespace_of,
    resource_version_of,
    spec_of,
    status_of,
    uid_of,
)
from control.api.storage import BIND_COMPLETED, BOUND_BY_CONTROLLER, refers_to
from control.controllers.action import Action, Patch, Update


def bind(volume: Object, claim: Object, now: datetime) -> Iterator[Action]:
    yield from bind_volume(volume, claim)
    yield from volume_phase(volume, "Bound", now)
    yield from _bind_claim(claim, name_of(volume))
    got = spec_of(volume)
    if status_of(claim).get("phase") != "Bound":
        status = {"phase": "Bound", "accessModes": got.get("accessModes"), "capacity": got.get("capacity")}
        yield claim_status(claim, status)
    elif status_of(claim).get("accessModes") != got.get("accessModes"):
        yield claim_status(claim, {"accessModes": got.get("accessModes")})


def bind_volume(volume: Object, claim: Object) -> Iterator[Action]:
    """The volume's half: a claimRef with the UID, marked as ours unless the user had promised the volume."""
    ref = spec_of(volume).get("claimRef") or {}
    if ref.get("uid") == uid_of(claim) and refers_to(volume, claim):
        return
    wanted = {
        "kind": PERSISTENT_VOLUME_CLAIM.kind,
        "apiVersion": PERSISTENT_VOLUME_CLAIM.api_version,
        "namespace": namespace_of(claim),
        "name": name_of(claim),
        "uid": uid_of(claim),
        "resourceVersion": resource_version_of(claim),
    }
    marks = {} if refers_to(volume, claim) else {BOUND_BY_CONTROLLER: "yes"}
    yield Update(PERSISTENT_VOLUME, annotated({**volume, "spec": {**spec_of(volume), "claimRef": wanted}}, marks))


def _bind_claim(claim: Object, volume: str) -> Iterator[Action]:
    marks = {BIND_COMPLETED: "yes"}
    if not spec_of(claim).get("volumeName"):
        marks[BOUND_BY_CONTROLLER] = "yes"
    elif BIND_COMPLETED in annotations_of(claim):
        return
    bound = {**claim, "spec": {**spec_of(claim), "volumeName": volume}}
    yield Update(PERSISTENT_VOLUME_CLAIM, annotated(bound, marks))


def unbind(volume: Object) -> Update:
    """The claim is bound elsewhere: what a controller bound is free again, what a user promised stays promised."""
    spec, marks = dict(spec_of(volume)), dict(annotations_of(volume))
    if marks.pop(BOUND_BY_CONTROLLER, None) is not None:
        spec.pop("claimRef", None)
    else:
        spec["claimRef"] = {key: value for key, value in spec["claimRef"].items() if key != "uid"}
    return Update(PERSISTENT_VOLUME, {**volume, "metadata": {**meta(volume), "annotations": marks}, "spec": spec})


def annotated(obj: Object, marks: dict[str, str]) -> Object:
    return {**obj, "metadata": {**meta(obj), "annotations": {**annotations_of(obj), **marks}}}


def volume_phase(volume: Object, phase: str, now: datetime, message: str = "") -> Iterator[Patch]:
    """Nothing where it is in that phase already."""
    if status_of(volume).get("phase") == phase:
        return
    status = {"phase": phase, "message": message or None, "lastPhaseTransitionTime": format_time(now)}
    yield Patch(PERSISTENT_VOLUME, "", name_of(volume), uid_of(volume), {"status": status}, "status")


def claim_status(claim: Object, status: dict[str, Any]) -> Patch:
    return Patch(
        PERSISTENT_VOLUME_CLAIM, namespace_of(claim), name_of(claim), uid_of(claim), {"status": status}, "status"
    )

"""What the scheme says about an object: its faults after defaulting, as texts."""

from __future__ import annotations

from control.api.kinds import Kind
from control.api.objects import Object, copy_of
from control.api.rows import RESOURCES


def complaints(kind: Kind, obj: Object) -> list[str]:
    """The faults of an object as a client would create it, metadata's own included."""
    own = copy_of(obj)
    RESOURCES[kind].default(own)
    return [str(fault) for fault in RESOURCES[kind].validate(own)]


def update_complaints(kind: Kind, new: Object, old: Object, *, status: bool = False) -> list[str]:
    """The faults of replacing `old` by `new`, both as a client would write them."""
    resource = RESOURCES[kind]
    after, before = copy_of(new), copy_of(old)
    for obj in (after, before):
        obj["metadata"].setdefault("resourceVersion", "1")
        resource.default(obj)
    check = resource.validate_status_update if status else resource.validate_update
    return [str(fault) for fault in check(after, before)]

"""What another write than an apply does to the ledger: who changes a field owns it from then on.

Changed and added fields go to the writer and leave every other claim; removed ones leave all. A write that changes
nothing that can be owned changes no claim and no time, and gets the ledger back as it was. An object that had no ledger
when it was updated (somebody emptied it, or it is older than ownership) stays without one until it is applied to.

Never owned: the identity and the bookkeeping in metadata. And a subresource owns only what it may write: `status` what
is under status, all others anything but that.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from control.api.objects import Object, format_time
from control.api.schema import Schema
from control.apiserver.apply.compare import Comparison, ElementError, compare
from control.apiserver.apply.fields import difference, intersection, union
from control.apiserver.apply.managed import (
    UPDATE,
    Claim,
    Ledger,
    ManagedFieldsError,
    Owner,
    cap_updaters,
    is_reset,
    owner,
    read,
    write,
)
from control.apiserver.apply.shape import shape_of

UNOWNED_METADATA = frozenset({
    "name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation", "managedFields",
    "resourceVersion",
})  # fmt: skip
STATUS = "status"


def ownable(obj: Mapping[str, Any], subresource: str) -> Object:
    """The part of an object whose fields a write through `subresource` may own."""
    if subresource == STATUS:
        return {STATUS: obj[STATUS]} if STATUS in obj else {}
    part = {name: obj[name] for name in obj if name not in ("apiVersion", "kind", "metadata", STATUS)}
    metadata = obj.get("metadata") or {}
    owned = {name: metadata[name] for name in metadata if name not in UNOWNED_METADATA}
    if owned:
        part["metadata"] = owned
    return part


def track_update(
    live: Object | None,
    new: Object,
    schema: Schema,
    *,
    manager: str,
    subresource: str,
    now: datetime,
) -> list[Object]:
    """The managedFields of `new`, which `manager` made of `live` (None: created) by anything but an apply."""
    before: list[Object] = ((live or {}).get("metadata") or {}).get("managedFields") or []
    sent = (new.get("metadata") or {}).get("managedFields")
    entries, trusted = _starting_point(before, sent, subresource)
    ledger = _read_or_empty(entries, trusted=trusted)
    if not ledger and not trusted:
        entries, trusted = before, True
        ledger = _read_or_empty(entries, trusted=True)
    if not ledger and live is not None:
        return []
    try:
        change = compare(ownable(live or {}, subresource), ownable(new, subresource), shape_of(schema))
    except ElementError:
        return before  # validation will have its say about such an object
    version = new.get("apiVersion", "")
    if change.is_same and trusted:
        return entries
    writer = owner(manager, UPDATE, version, subresource)
    return write(cap_updaters(record(ledger, change, writer, version, format_time(now))))


def _starting_point(before: list[Object], sent: Any, subresource: str) -> tuple[list[Object], bool]:
    """The entries to go on from, and whether they are ours: clients may send them back, changed or emptied."""
    if subresource or sent is None or sent is before or sent == before:
        return before, True
    return ([], True) if is_reset(sent) else (sent, False)


def _read_or_empty(entries: list[Object], *, trusted: bool) -> Ledger:
    try:
        return read(entries, trusted=trusted)
    except (ManagedFieldsError, AttributeError):
        return {}


def record(ledger: Ledger, change: Comparison, writer: Owner, version: str, time: str) -> Ledger:
    """The ledger after `writer` has made `change`."""
    gained = union(change.modified, change.added)
    after: Ledger = {}
    for by, claim in ledger.items():
        if claim.api_version != version:
            continue  # a version that is not served any more: nothing can be said about its fields
        after[by] = _reduced(claim, change, union_of_change=gained)
    if gained:
        held = after.get(writer)
        fields = union(held.fields, gained) if held is not None else gained
        after[writer] = Claim(version, fields, time)
    return {by: claim for by, claim in after.items() if claim.fields}


def _reduced(claim: Claim, change: Comparison, *, union_of_change: dict[str, Any]) -> Claim:
    """The claim less what was changed by somebody else and what is gone."""
    fields = claim.fields
    if union_of_change:
        taken = intersection(fields, union_of_change)
        if taken:
            fields = difference(fields, taken)
    if change.removed:
        fields = difference(fields, change.removed)
    if fields is claim.fields or fields == claim.fields:
        return claim
    return Claim(claim.api_version, fields, claim.time)

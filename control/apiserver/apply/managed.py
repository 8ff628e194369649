"""The ledger: metadata.managedFields as claims, one a manager, operation and subresource.

A manager may hold several claims: what it applied (one, whatever version it applied with) and what it wrote by other
means (one a version). A claim that did not change keeps its entry as it is, text and time, so a write that changes
nothing leaves an object byte for byte the same.

No more than ten claims by updates are kept apart: the oldest of them are merged into `ancient-changes`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from control.api.objects import Object, parse_time
from control.apiserver.apply.fields import FieldSet, FieldSetError, normalized, union

APPLY = "Apply"
UPDATE = "Update"
UPDATERS_MAX = 10
ANCIENT = "ancient-changes"
BEFORE_FIRST_APPLY = "before-first-apply"


class ManagedFieldsError(ValueError):
    """managedFields that cannot be read; the text is apimachinery's."""


class Owner(NamedTuple):
    """Who a claim is by. Appliers have no version here: applying with a new version replaces the claim."""

    manager: str
    operation: str
    api_version: str
    subresource: str

    def __str__(self) -> str:
        """As conflicts name it: `"kubectl" using apps/v1`."""
        text = f'"{self.manager}"'
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        return f"{text} using {self.api_version}" if self.operation == UPDATE else text


@dataclass(frozen=True, slots=True)
class Claim:
    """What one owner owns; `entry` is how that is already written in managedFields, if it is."""

    api_version: str
    fields: FieldSet
    time: str | None = None
    entry: Object | None = None


Ledger = dict[Owner, Claim]


def owner(manager: str, operation: str, api_version: str, subresource: str) -> Owner:
    return Owner(manager or "unknown", operation, "" if operation == APPLY else api_version, subresource)


def read(entries: Any, *, trusted: bool) -> Ledger:
    """The claims in managedFields; `trusted`: written by us, so in normal form. Raises ManagedFieldsError."""
    ledger: Ledger = {}
    for place, entry in enumerate(entries or ()):
        operation, api_version = entry.get("operation"), entry.get("apiVersion")
        if not trusted:
            _check(entry, place)
        fields = entry.get("fieldsV1") or {}
        clean = fields
        if not trusted:
            try:
                clean = normalized(fields)
            except FieldSetError as error:
                raise ManagedFieldsError(f"error decoding set: {error}") from error
        claimant = Owner(
            entry.get("manager", ""),
            operation,
            "" if operation == APPLY else api_version,
            entry.get("subresource", ""),
        )
        ledger[claimant] = Claim(api_version, clean, entry.get("time"), entry if clean == fields else None)
    return ledger


def _check(entry: Object, place: int) -> None:
    if entry.get("operation") not in (APPLY, UPDATE):
        raise ManagedFieldsError("operation must be `Apply` or `Update`")
    if not entry.get("apiVersion"):
        raise ManagedFieldsError("apiVersion must not be empty")
    kind = entry.get("fieldsType")
    if not kind:
        raise ManagedFieldsError(f"missing fieldsType in managed fields entry {place}")
    if kind != "FieldsV1":
        raise ManagedFieldsError(f'invalid fieldsType "{kind}" in managed fields entry {place}')


def is_reset(entries: Any) -> bool:
    """Whether a client empties managedFields on purpose: [] or [{}], as opposed to leaving them out."""
    return isinstance(entries, list) and (not entries or (len(entries) == 1 and not entries[0]))


def write(ledger: Ledger) -> list[Object]:
    """managedFields, in Kubernetes' order: appliers first, then by time."""
    if len(ledger) > 1:
        return [_entry(*pair) for pair in sorted(ledger.items(), key=_order)]
    return [_entry(*pair) for pair in ledger.items()]


def _order(pair: tuple[Owner, Claim]) -> tuple[str, float, str, str, str]:
    by, claim = pair
    return (by.operation, _seconds(claim.time), by.manager, claim.api_version, by.subresource)


def _seconds(time: str | None) -> float:
    try:
        return float(int(parse_time(time).timestamp())) if time else 0.0
    except ValueError:
        return 0.0


def _entry(by: Owner, claim: Claim) -> Object:
    if claim.entry is not None:
        return claim.entry
    entry: Object = {"manager": by.manager, "operation": by.operation, "apiVersion": claim.api_version}
    if claim.time is not None:
        entry["time"] = claim.time
    entry["fieldsType"] = "FieldsV1"
    entry["fieldsV1"] = claim.fields
    if by.subresource:
        entry["subresource"] = by.subresource
    return entry


def united(claims: Iterable[Claim]) -> FieldSet:
    """What all of them own together."""
    fields: FieldSet = {}
    for claim in claims:
        fields = union(fields, claim.fields)
    return fields


def cap_updaters(ledger: Ledger) -> Ledger:
    """At most UPDATERS_MAX claims by updates: the oldest of a version become one."""
    updaters = [by for by in ledger if by.operation == UPDATE]
    if len(updaters) <= UPDATERS_MAX:
        return ledger
    capped = dict(ledger)
    updaters.sort(key=lambda by: (_seconds(ledger[by].time), by))
    left = len(updaters)
    first_of: dict[str, Owner] = {}
    for by in updaters:
        if left <= UPDATERS_MAX:
            break
        claim = ledger[by]
        bucket = owner(ANCIENT, UPDATE, claim.api_version, "")
        first = first_of.setdefault(claim.api_version, by)
        if first == by:
            continue
        if bucket not in capped:
            capped[bucket] = capped.pop(first)
        capped.pop(by, None)
        capped[bucket] = Claim(claim.api_version, union(capped[bucket].fields, claim.fields), claim.time)
        left -= 1
    return capped

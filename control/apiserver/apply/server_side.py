"""Server-side apply: `manager` says all that it wants, and the object follows.

1. What it declares is merged into the live object; its claim is exactly what it declares.
2. What it declared last time and not any more goes, unless somebody else owns it (whoever it was put there by).
3. If another manager owns a field whose value changed, that is a conflict: the apply fails and names each, or, forced,
   takes the field over. Equal values are no conflict: both own the field from then on, and it goes when the last of its
   owners lets it go.

The first apply to an object without a ledger finds its owner in `before-first-apply`, so that nothing is taken
silently. Two courtesies to users of client-side apply, for the manager `kubectl` alone: conflicts about what kubectl
itself last applied from the client are not conflicts, and its last-applied annotation, where there is one, is kept up
to date. An apply that changes nothing leaves the object as it is, times included.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from control.api.objects import Object, annotations_of, format_time, name_of, namespace_of
from control.api.schema import Schema
from control.api.status import StatusError, bad_request
from control.apiserver.apply.check import problems
from control.apiserver.apply.compare import Comparison, ElementError, compare, fields_of, with_named_fields
from control.apiserver.apply.fields import FieldSet, difference, intersection, paths, union
from control.apiserver.apply.managed import (
    APPLY,
    BEFORE_FIRST_APPLY,
    UPDATE,
    Claim,
    Ledger,
    Owner,
    owner,
    read,
    united,
    write,
)
from control.apiserver.apply.merge import merge, without
from control.apiserver.apply.shape import Shape, shape_of
from control.apiserver.apply.update import ownable

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

Conflicts = dict[Owner, FieldSet]


class _ConflictError(Exception):
    def __init__(self, conflicts: Conflicts) -> None:
        super().__init__()
        self.conflicts = conflicts


def apply(
    live: Object | None,
    applied: Object,
    schema: Schema,
    *,
    manager: str,
    force: bool,
    subresource: str,
    now: datetime,
) -> Object:
    """The object after `manager` applied `applied` to `live` (None: there was none), with its managedFields.

    The result is the caller's own. Raises StatusError: 400 for what cannot be applied, 409 for conflicts.
    """
    shape = shape_of(schema)
    try:
        _check(live, applied, shape)
    except RecursionError as error:
        raise bad_request("error decoding patch: it is nested too deeply") from error
    work = _Apply(live, applied, shape, owner(manager, APPLY, "", subresource), format_time(now))
    try:
        try:
            merged, ledger = work.perform(force=force)
        except _ConflictError as refused:
            if manager != "kubectl" or not work.may_take(refused.conflicts):
                raise
            merged, ledger = work.perform(force=True)
    except _ConflictError as refused:
        raise conflict_error(refused.conflicts) from None
    except ElementError as error:
        raise bad_request(f"failed to merge config: {error}") from error
    result: Object = orjson.loads(orjson.dumps(merged))
    if manager == "kubectl" and annotations_of(result).get(LAST_APPLIED):
        result["metadata"]["annotations"][LAST_APPLIED] = _last_applied(applied)
    if ledger:
        result.setdefault("metadata", {})["managedFields"] = write(ledger)
    else:
        result.get("metadata", {}).pop("managedFields", None)
    return result


def _check(live: Object | None, applied: Object, shape: Shape) -> None:
    if live is not None and any(applied.get(part) != live.get(part) for part in ("apiVersion", "kind")):
        raise bad_request(f"invalid object type: {_gvk(applied)}")
    if "managedFields" in (applied.get("metadata") or {}):
        raise bad_request("metadata.managedFields must be nil")
    found = problems(applied, shape)
    if found:
        what = f"{namespace_of(applied)}/{name_of(applied)}; {_gvk(applied)}"
        text = found[0] if len(found) == 1 else "\n".join(["errors:", *(f"  {problem}" for problem in found)])
        raise bad_request(f"failed to create typed patch object ({what}): {text}")


def _gvk(obj: Mapping[str, Any]) -> str:
    """As Go prints a GroupVersionKind: `apps/v1, Kind=Deployment`, `/v1, Kind=Pod`."""
    version = obj.get("apiVersion") or ""
    return f"{version if '/' in version else '/' + version}, Kind={obj.get('kind') or ''}"


class _Apply:
    """One apply request: the same inputs may be performed twice, with and without force."""

    def __init__(self, live: Object | None, applied: Object, shape: Shape, by: Owner, time: str) -> None:
        self.live = live or {}
        self.applied = applied
        self.shape = shape
        self.by = by
        self.time = time
        self.version: str = applied.get("apiVersion", "")
        self.ledger = self._ledger()

    def _ledger(self) -> Ledger:
        entries = (self.live.get("metadata") or {}).get("managedFields")
        ledger = {by: claim for by, claim in read(entries, trusted=True).items() if claim.api_version == self.version}
        if ledger or not self.live:
            return ledger
        found = compare({}, ownable(self.live, self.by.subresource), self.shape).added
        if not found:
            return {}
        before = owner(BEFORE_FIRST_APPLY, UPDATE, self.version, self.by.subresource)
        return {before: Claim(self.version, found, self.time)}

    def perform(self, *, force: bool) -> tuple[Object, Ledger]:
        declared = fields_of(ownable(self.applied, self.by.subresource), self.shape)
        last = self.ledger.get(self.by)
        ledger = self.ledger | {self.by: Claim(self.version, declared)}
        merged = merge(self.live, self.applied, self.shape)
        if last is not None and difference(last.fields, declared):
            # the name counts here, though nobody owns it: with it metadata stays, whatever else is given up
            owned = union(united(ledger.values()), fields_of(self.applied, self.shape))
            pruned = _pruned(merged, last.fields, owned, self.shape)
            merged = merge(pruned, self.applied, self.shape)  # pruning drops what became empty; declared stays
        subresource = self.by.subresource
        change = compare(ownable(self.live, subresource), ownable(merged, subresource), self.shape)
        settled = self._settle(ledger, change, force=force)
        if declared:
            settled[self.by] = self._own_claim(declared, last, is_same=merged == self.live)
        return merged, settled

    def _own_claim(self, declared: FieldSet, last: Claim | None, *, is_same: bool) -> Claim:
        if is_same and last is not None and last.fields == declared:
            return last
        return Claim(self.version, declared, self.time)

    def _settle(self, ledger: Ledger, change: Comparison, *, force: bool) -> Ledger:
        """The others' claims after the change. Raises _ConflictError unless it may take what they own."""
        gained = union(change.modified, change.added)
        conflicts: Conflicts = {}
        settled: Ledger = {}
        for by, claim in ledger.items():
            if by == self.by:
                continue
            taken = intersection(claim.fields, gained) if gained else {}
            if taken:
                conflicts[by] = taken
            fields = difference(difference(claim.fields, taken), change.removed)
            if fields == claim.fields:
                settled[by] = claim
            elif fields:
                settled[by] = Claim(claim.api_version, fields, claim.time)
        if conflicts and not force:
            raise _ConflictError(conflicts)
        return settled

    def may_take(self, conflicts: Conflicts) -> bool:
        """Whether all conflicts are about what client-side apply put there; those that are not stay in `conflicts`."""
        try:
            last = orjson.loads(annotations_of(self.live).get(LAST_APPLIED) or "null")
            if not isinstance(last, dict) or last.get("apiVersion") != self.version:
                return False
            change = compare(last, self.live, self.shape)
            allowed = fields_of(last, self.shape)
        except (ValueError, ElementError):
            return False
        for part in change:
            allowed = difference(allowed, part)
        for by in list(conflicts):
            left = difference(conflicts[by], allowed)
            if left:
                conflicts[by] = left
            else:
                del conflicts[by]
        return not conflicts


def _pruned(merged: Object, last: FieldSet, owned: FieldSet, shape: Shape) -> Object:
    """`merged` without what the applier gave up and nobody owns.

    Taking out `last` may take too much: what others own comes back, and so does what is in no claim at all or was not
    in `last` (it vanished only because a parent did). In the steps and the order of structured-merge-diff.
    """
    last = with_named_fields(last, shape)
    everything = with_named_fields(fields_of(merged, shape), shape)
    pruned = without(merged, last, shape, owned)
    kept = union(with_named_fields(fields_of(pruned, shape), shape), with_named_fields(owned, shape))
    pruned = without(merged, difference(everything, kept), shape, owned)
    left = with_named_fields(fields_of(pruned, shape), shape)
    gone = difference(intersection(difference(everything, left), last), owned)
    return without(merged, gone, shape, owned)


def conflict_error(conflicts: Conflicts) -> StatusError:
    """409 as kubectl and its users know it."""
    found = [(str(by), path) for by, fields in conflicts.items() for path in paths(fields)]
    causes = [{"reason": "FieldManagerConflict", "message": f"conflict with {by}", "field": path} for by, path in found]
    if len(found) == 1:
        by, path = found[0]
        message = f"Apply failed with 1 conflict: conflict with {by}: {path}"
    else:
        lines: list[str] = []
        for by in sorted({by for by, _ in found}):
            lines.append(f"conflicts with {by}:")
            lines.extend(f"- {path}" for other, path in found if other == by)
        message = f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)
    return StatusError(409, "Conflict", message, {"causes": causes})


def _last_applied(applied: Object) -> str:
    """The annotation's value: what was applied, without the annotation."""
    metadata = dict(applied.get("metadata") or {})
    if "annotations" in metadata:
        metadata["annotations"] = {k: v for k, v in (metadata["annotations"] or {}).items() if k != LAST_APPLIED}
    text = orjson.dumps(applied | {"metadata": metadata}, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
    return text.decode()

"""Create, update, patch and apply: one pipeline around the store's precondition.

Every write reads one committed version, computes the next one from it in one breath (fixed metadata, defaults,
strategy, admission, validation, field ownership) and puts it with that version as the precondition. Who named a
resourceVersion hears of a Conflict; who did not (a patch, an unconditional PUT) is computed again on the newer version,
up to `TRIES_MAX` times. A write that changes nothing is not written. A write that takes the last finalizer away from a
deleting object removes it.

`change(current)` makes the client's new object from what is stored, as the client sees it; a `Lane` says what else
happens to it: the main resource and `status` have their strategies, other subresources change one thing only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson

from control.api.kinds import SERVICE
from control.api.objects import Key, Object
from control.api.schema import schema_of
from control.api.scheme import Resource
from control.api.status import FieldError, StatusError, already_exists, bad_request, conflict, invalid, not_found
from control.apiserver.admission import admit_create, admit_update, check_namespace
from control.apiserver.apply import track_update
from control.apiserver.deletion import is_finished
from control.apiserver.handlers_context import GENERATED_PREFIX_MAX, Context
from control.apiserver.ledger import Claim
from control.apiserver.options import WriteOptions
from control.apiserver.services import Grant, carry_over, grant, release
from control.store.records import AlreadyThere, Missing, Moved, Stored

TRIES_MAX = 5  # apiserver's MaxRetryWhenPatchConflicts
NAME_TRIES_MAX = 8  # apiserver's maxNameGenerationCreateAttempts
KEPT = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")
"""Metadata that no update changes: absent means as before, and what is another value is validation's to refuse."""

Change = Callable[[Object], Object]


Prepare = Callable[[Context, Resource, Object, Object], None]
Judge = Callable[[Resource, Object, Object], Sequence[FieldError]]


@dataclass(frozen=True, slots=True)
class Lane:
    """How an update of one (sub)resource is prepared and judged, both given (new, old)."""

    subresource: str
    prepare: Prepare
    judge: Judge
    tracked: bool = True  # False: server-side apply has made managedFields itself


def _prepare_main(context: Context, resource: Resource, new: Object, old: Object) -> None:
    resource.default(new)
    if resource.kind == SERVICE:
        carry_over(new, old)
    resource.strategy.prepare_update(new, old)
    admit_update(resource.kind, new, old, context)


def _prepare_status(_context: Context, resource: Resource, new: Object, old: Object) -> None:
    resource.default(new)
    resource.strategy.prepare_status_update(new, old)


def _prepare_nothing(_context: Context, _resource: Resource, _new: Object, _old: Object) -> None:
    """The handler has made the change."""


def _judge_main(resource: Resource, new: Object, old: Object) -> Sequence[FieldError]:
    return resource.validate_update(new, old)


def _judge_status(resource: Resource, new: Object, old: Object) -> Sequence[FieldError]:
    return resource.validate_status_update(new, old)


def _judge_nothing(_resource: Resource, _new: Object, _old: Object) -> Sequence[FieldError]:
    return ()


MAIN = Lane("", _prepare_main, _judge_main)
STATUS = Lane("status", _prepare_status, _judge_status)
SCALE = Lane("scale", _prepare_main, _judge_main)


def lane_of(subresource: str) -> Lane:
    """The lane of a subresource whose change is made by its handler and needs no more judging."""
    return Lane(subresource, _prepare_nothing, _judge_nothing)


# Create


async def create(
    context: Context, resource: Resource, namespace: str, obj: Object, options: WriteOptions, *, tracked: bool = True
) -> Stored:
    """Stores a new object; `obj` is decoded, as the client sees it, and the caller's to give away."""
    kind = resource.kind
    metadata = obj["metadata"]
    _place(resource, metadata, namespace)
    _check_new(resource, metadata)
    metadata["uid"] = context.new_uid()
    metadata["creationTimestamp"] = context.timestamp()
    check_namespace(kind, namespace, metadata.get("name") or metadata.get("generateName") or "", context)
    generated = not metadata.get("name") and bool(metadata.get("generateName"))
    for attempt in range(NAME_TRIES_MAX):
        if generated:
            metadata["name"] = metadata["generateName"][:GENERATED_PREFIX_MAX] + context.new_suffix()
        elif context.store.get(context.stored_as(kind), namespace, metadata.get("name") or "") is not None:
            raise already_exists(kind, metadata["name"])
        if attempt == 0:
            resource.default(obj)
            admit_create(kind, obj, context)
            resource.strategy.prepare_create(obj)  # after admission: what it adds decides a pod's QoS class
        try:
            return await _store_new(context, resource, namespace, obj, options, tracked)
        except AlreadyThere:
            if not generated:
                break
    raise _name_taken(resource, metadata["name"], generated)


def _place(resource: Resource, metadata: Object, namespace: str) -> None:
    """Puts the object where the path says; raises 400 if it says something else itself."""
    if not resource.kind.namespaced:
        metadata.pop("namespace", None)
    elif metadata.setdefault("namespace", namespace) != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")


def _check_new(resource: Resource, metadata: Object) -> None:
    if metadata.get("resourceVersion"):
        raise StatusError(500, "", "resourceVersion should not be set on objects to be created")
    for key in ("resourceVersion", "selfLink", *KEPT):
        metadata.pop(key, None)
    if not metadata.get("name") and not metadata.get("generateName"):
        message = "Required value: name or generateName is required"
        raise invalid(resource.kind, "", [FieldError("metadata.name", "FieldValueRequired", message)])


def _name_taken(resource: Resource, name: str, generated: bool) -> StatusError:
    error = already_exists(resource.kind, name)
    if generated:
        message = f"{error.message}, the server was not able to generate a unique name for the object"
        return StatusError(error.code, error.reason, message, {**(error.details or {}), "retryAfterSeconds": 1})
    return error


async def _store_new(
    context: Context, resource: Resource, namespace: str, obj: Object, options: WriteOptions, tracked: bool
) -> Stored:
    kind, metadata = resource.kind, obj["metadata"]
    given = grant(obj, None, context.books) if kind == SERVICE else None
    claim: Claim | None = None
    stored: Stored | None = None
    try:
        errors = resource.validate(obj)
        if errors:
            raise invalid(kind, metadata["name"], errors)
        claim = context.ledger.claim(namespace, kind, obj, None)
        if tracked:
            _track(context, resource, None, obj, "", options)
        _warn(resource, obj, None, options)
        if options.dry_run:
            return _imagined(context, resource, obj, 0)
        view = context.view(kind)
        final = view.inward(obj) if view else obj
        stored = await context.store.put(context.stored_as(kind), namespace, metadata["name"], final, expect=0)
        return stored
    finally:
        if claim is not None:
            claim.close()
        if given is not None:
            _conclude(context, given, stored is not None)


def _conclude(context: Context, given: Grant, written: bool) -> None:
    if written:
        given.settle(context.books)
    else:
        given.undo(context.books)


def _track(
    context: Context, resource: Resource, old: Object | None, new: Object, subresource: str, options: WriteOptions
) -> None:
    """Who owns which field after this write (metadata.managedFields)."""
    schema = schema_of(resource.definition)
    fields = track_update(old, new, schema, manager=options.manager, subresource=subresource, now=context.now())
    if fields:
        new["metadata"]["managedFields"] = fields
    else:
        new["metadata"].pop("managedFields", None)


def _warn(resource: Resource, new: Object, old: Object | None, options: WriteOptions) -> None:
    if options.warns:
        options.warnings += resource.warnings(new, old)


def _imagined(context: Context, resource: Resource, obj: Object, revision: int) -> Stored:
    """What a dry run answers with: as stored, but it is not."""
    view = context.view(resource.kind)
    final = view.inward(obj) if view else obj
    metadata = obj["metadata"]
    return Stored(Key(metadata.get("namespace", ""), metadata["name"]), orjson.dumps(final), revision, final)


# Update


async def update(
    context: Context,
    resource: Resource,
    namespace: str,
    name: str,
    change: Change,
    options: WriteOptions,
    lane: Lane = MAIN,
    *,
    patching: bool = False,
) -> Stored:
    """Computes the next version from the stored one and puts it; `patching`: the change carries the stored version."""
    kind = resource.kind
    for _ in range(TRIES_MAX + 1):
        stored = context.store.get(context.stored_as(kind), namespace, name)
        if stored is None:
            raise not_found(kind, name)
        old = context.seen(kind, stored)
        new = change(old)
        _check_place(resource, new["metadata"], namespace, name)
        conditional = _check_preconditions(resource, new, stored, patching)
        _keep_metadata(new, old)
        lane.prepare(context, resource, new, old)
        new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        if new == old:
            return stored
        try:
            return await _store_next(context, resource, new, old, stored, options, lane)
        except Moved:
            if conditional:
                raise conflict(kind, name) from None
        except Missing:
            pass  # the next turn says so
    raise conflict(kind, name)


async def _store_next(
    context: Context, resource: Resource, new: Object, old: Object, stored: Stored, options: WriteOptions, lane: Lane
) -> Stored:
    errors = lane.judge(resource, new, old)
    if errors:
        raise invalid(resource.kind, stored.key.name, errors)
    main = lane.subresource == ""
    given = grant(new, old, context.books) if resource.kind == SERVICE and main else None
    claim: Claim | None = None
    written = False
    try:
        claim = context.ledger.claim(stored.key.namespace, resource.kind, new, old) if main else None
        if lane.tracked:
            _track(context, resource, old, new, lane.subresource, options)
        _warn(resource, new, old, options)
        if options.dry_run:
            return _imagined(context, resource, new, stored.revision)
        result = await _replace(context, resource, new, stored)
        written = True
        return result
    finally:
        if claim is not None:
            claim.close()
        if given is not None:
            _conclude(context, given, written)


def _check_place(resource: Resource, metadata: Object, namespace: str, name: str) -> None:
    """Puts the object where the path says; raises 400 if it says something else itself."""
    _place(resource, metadata, namespace)
    found = metadata.setdefault("name", name)
    if found != name:
        raise bad_request(f"the name of the object ({found}) does not match the name on the URL ({name})")


def _check_preconditions(resource: Resource, new: Object, stored: Stored, patching: bool) -> bool:
    """Whether the client named a version; raises the Conflict of a version or UID that is not the stored one's."""
    metadata, kind, name = new["metadata"], resource.kind, stored.key.name
    wanted = metadata.get("resourceVersion")
    uid, actual = metadata.get("uid"), stored.obj["metadata"].get("uid")
    if uid and uid != actual:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {actual}"
        raise conflict(kind, name, why)
    if wanted == str(stored.revision):
        return not patching
    if wanted and wanted != "0":
        raise conflict(kind, name)
    if not patching and not resource.strategy.allows_unconditional_update:
        message = "Invalid value: 0: must be specified for an update"
        raise invalid(kind, name, [FieldError("metadata.resourceVersion", "FieldValueInvalid", message)])
    return False


def _keep_metadata(new: Object, old: Object) -> None:
    metadata, before = new["metadata"], old["metadata"]
    for key in (*KEPT, "managedFields"):
        if metadata.get(key) is None:
            if key in before:
                metadata[key] = before[key]
            else:
                metadata.pop(key, None)
    for key in ("deletionTimestamp", "deletionGracePeriodSeconds"):
        if key not in before:
            metadata.pop(key, None)  # only a DELETE begins a deletion
    metadata.pop("selfLink", None)
    if "generation" in before:
        metadata["generation"] = before["generation"]  # the strategy counts it
    if "generateName" in before:
        metadata.setdefault("generateName", before["generateName"])


async def _replace(context: Context, resource: Resource, new: Object, stored: Stored) -> Stored:
    kind = resource.kind
    view = context.view(kind)
    final = view.inward(new) if view else new
    where = context.stored_as(kind)
    if is_finished(kind, final):
        gone = await context.store.delete(where, *stored.key, expect=stored.revision)
        if kind == SERVICE:
            release(stored.obj, context.books)
        return Stored(stored.key, orjson.dumps(final), gone.revision, final)
    return await context.store.put(where, *stored.key, final, expect=stored.revision)

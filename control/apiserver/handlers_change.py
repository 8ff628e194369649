"""From what a PUT or PATCH says to the change that it makes, for any lane.

A PUT replaces: the body is the new object. It creates where it finds nothing, for the few kinds whose clients race to
do so. The three patch types compute the new object from the stored one, so they are computed again when somebody was
faster. An apply merges by ownership (`control.apiserver.apply`) and creates where it finds nothing; what it declares is
checked by its own rules, and its ownership is not tracked a second time.
"""

from __future__ import annotations

from dataclasses import replace as replaced

import orjson

from control.api.kinds import Kind
from control.api.objects import Object
from control.api.schema import schema_of
from control.api.scheme import Resource
from control.api.status import FieldError, StatusError, bad_request, conflict, invalid, not_found
from control.apiserver.apply import apply
from control.apiserver.body import Typed, identify, judge, parse
from control.apiserver.handlers_context import Context
from control.apiserver.handlers_write import MAIN, Lane, create, update
from control.apiserver.negotiate import JSON, YAML, unsupported_media
from control.apiserver.options import WriteOptions, refuse
from control.apiserver.patch import CONTENT_TYPES, apply_patch
from control.store.records import Stored

APPLY_PATCH = "application/apply-patch+yaml"
PATCH_TYPES = (*CONTENT_TYPES, APPLY_PATCH)
_NO_KIND = Kind("", "", "", "")


def copied(obj: Object) -> Object:
    copy: Object = orjson.loads(orjson.dumps(obj))
    return copy


async def put(
    context: Context,
    resource: Resource,
    namespace: str,
    name: str,
    obj: Object,
    options: WriteOptions,
    lane: Lane = MAIN,
) -> tuple[Stored, bool]:
    """Replaces an object, or creates it where the kind allows that: (result, whether it was created)."""
    if (
        lane is MAIN
        and resource.strategy.allows_create_on_update
        and context.store.get(context.stored_as(resource.kind), namespace, name) is None
    ):
        metadata = obj["metadata"]
        if metadata.get("resourceVersion") or metadata.get("uid"):
            raise not_found(resource.kind, name)
        if metadata.setdefault("name", name) != name:
            raise bad_request(
                f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
            )
        return await create(context, resource, namespace, obj, options), True
    first = obj if obj["metadata"].get("resourceVersion") else copied(obj)
    fresh = [first]

    def change(_old: Object) -> Object:
        return fresh.pop() if fresh else copied(obj)

    return await update(context, resource, namespace, name, change, options, lane), False


async def patch(
    context: Context,
    resource: Resource,
    namespace: str,
    name: str,
    media: str,
    body: bytes,
    options: WriteOptions,
    lane: Lane = MAIN,
) -> tuple[Stored, bool]:
    """Patches an object, or creates it by apply: (result, whether it was created)."""
    check_patch(media, options)
    if media == APPLY_PATCH:
        return await _apply(context, resource, namespace, name, body, options, lane)

    def change(old: Object) -> Object:
        return patched(resource, media, old, body, options)

    return await update(context, resource, namespace, name, change, options, lane, patching=True), False


def patch_media(content_type: str) -> str:
    """The patch type that a Content-Type header names; raises 415."""
    media = content_type.partition(";")[0].strip().lower()
    if media not in PATCH_TYPES:
        raise unsupported_media(", ".join(PATCH_TYPES))
    return media


def check_patch(media: str, options: WriteOptions) -> None:
    if media == APPLY_PATCH:
        return
    if options.force:
        why = "Forbidden: may not be specified for non-apply patch"
        raise refuse("PatchOptions", FieldError("force", "FieldValueForbidden", why))


def patched(resource: Typed, media: str, old: Object, body: bytes, options: WriteOptions) -> Object:
    new = apply_patch(media, old, body, schema_of(resource.definition))
    identify(new, resource.kind)
    try:
        return judge(new, resource, options, [])
    except StatusError as error:
        why = error.message.partition(": ")[2] or error.message
        value = orjson.dumps(orjson.dumps(new).decode()).decode()
        message = f"Invalid value: {value}: {why}"
        raise invalid(_NO_KIND, "", [FieldError("patch", "FieldValueInvalid", message)]) from None


async def _apply(
    context: Context,
    resource: Resource,
    namespace: str,
    name: str,
    body: bytes,
    options: WriteOptions,
    lane: Lane,
) -> tuple[Stored, bool]:
    applied = _applied(resource, namespace, name, body, options)
    wanted = applied["metadata"].pop("resourceVersion", "")
    live = context.store.get(context.stored_as(resource.kind), namespace, name)
    if live is None:
        if lane is not MAIN:
            raise not_found(resource.kind, name)
        if wanted or applied["metadata"].get("uid"):
            raise conflict(resource.kind, name)
        new = _merged(context, resource, None, applied, options, "")
        return await create(context, resource, namespace, new, options, tracked=False), True

    def change(old: Object) -> Object:
        if wanted and wanted != old["metadata"]["resourceVersion"]:
            raise conflict(resource.kind, name)
        return _merged(context, resource, old, applied, options, lane.subresource)

    lane = replaced(lane, tracked=False)
    return await update(context, resource, namespace, name, change, options, lane, patching=True), False


def _applied(resource: Resource, namespace: str, name: str, body: bytes, options: WriteOptions) -> Object:
    """What an apply request declares, as it declares it."""
    media = JSON if body[:1] == b"{" else YAML
    value, duplicates = parse(body, media, resource)
    if not isinstance(value, dict):
        raise bad_request(f"error decoding YAML: the body is no {resource.kind.kind}")
    if duplicates and options.validation == "Strict":
        raise bad_request(f"error strict decoding YAML: {', '.join(duplicates)}")
    if duplicates and options.validation == "Warn":
        options.warnings += duplicates
    kind = resource.kind
    version = value.get("apiVersion") or kind.api_version
    if version != kind.api_version:
        what = f"Specified patch version: {version}, expected: {kind.api_version}"
        raise bad_request(f"Incorrect version specified in apply patch. {what}")
    identify(value, kind)
    metadata = value.setdefault("metadata", {})
    if not isinstance(metadata, dict):
        raise bad_request("error decoding YAML: metadata is no map")
    for key, wanted in (("name", name), ("namespace", namespace if kind.namespaced else "")):
        found = metadata.setdefault(key, wanted) if wanted else metadata.pop(key, "")
        if found and wanted and found != wanted:
            raise bad_request(f"the {key} of the object ({found}) does not match the {key} on the URL ({wanted})")
    return value


def _merged(
    context: Context, resource: Resource, live: Object | None, applied: Object, options: WriteOptions, subresource: str
) -> Object:
    new = apply(
        live,
        applied,
        schema_of(resource.definition),
        manager=options.manager,
        force=options.force,
        subresource=subresource,
        now=context.now(),
    )
    return judge(new, resource, options, [])

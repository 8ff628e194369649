"""How an object or a list looks on the wire, as the client asked for it.

As it is stored (the usual case, bytes already there), as the rows of a Table, as metadata alone, or any of these in
YAML; `?pretty` indents. Watches send each event in the same form, a Table's columns only with the first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson
import yaml

from control.api.objects import Object
from control.api.scheme import Resource
from control.apiserver.exchange import Answer
from control.apiserver.handlers_context import Context
from control.apiserver.handlers_read import Page, list_data, list_meta
from control.apiserver.negotiate import YAML, Representation
from control.apiserver.options import refuse, unsupported
from control.apiserver.paths import is_true
from control.apiserver.streams import Seen, bookmark
from control.apiserver.table import INCLUDES, Include, table
from control.store.records import Stored


class _Dumper(yaml.CSafeDumper):
    """Block style without aliases, as people write manifests."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def include_of(query: Mapping[str, str]) -> Include:
    wanted = query.get("includeObject", "") or "Metadata"
    for include in INCLUDES:
        if include == wanted:
            return include
    raise refuse("TableOptions", unsupported("includeObject", wanted, INCLUDES))


def partial(obj: Object, version: str = "v1") -> Object:
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": obj.get("metadata") or {},
    }


def wants_pretty(query: Mapping[str, str], user_agent: str) -> bool:
    """`?pretty`, or a person's tool that did not say (as Kubernetes guesses it)."""
    if "pretty" in query:
        return is_true(query["pretty"])
    return user_agent.startswith(("curl", "Wget", "Mozilla/5.0"))


def encoded(value: Any, media: str) -> bytes:
    if media == YAML:
        dumped = yaml.dump(value, Dumper=_Dumper, default_flow_style=False, sort_keys=True, allow_unicode=True)
        return dumped.encode()
    return orjson.dumps(value)


def answer(data: bytes, status: int, form: Representation, *, pretty: bool) -> Answer:
    """Ready-made JSON in the media type that was asked for."""
    if form.media == YAML:
        return Answer(status, encoded(orjson.loads(data), YAML), YAML)
    if pretty:
        data = orjson.dumps(orjson.loads(data), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    return Answer(status, data)


def object_data(
    context: Context, resource: Resource, stored: Stored, form: Representation, query: Mapping[str, str]
) -> bytes:
    """One object in the form asked for, as JSON."""
    if not form.as_:
        return context.seen_data(resource.kind, stored)
    obj = context.seen(resource.kind, stored)
    if form.as_ == "Table":
        version = obj["metadata"].get("resourceVersion", "")
        rows = table(resource, [obj], context.now(), include=include_of(query), resource_version=version)
        return orjson.dumps(_of_version(rows, form))
    return orjson.dumps(partial(obj, form.version))


def page_data(
    context: Context, resource: Resource, page: Page, form: Representation, query: Mapping[str, str]
) -> bytes:
    if not form.as_:
        return list_data(context, resource, page)
    objects = [context.seen(resource.kind, stored) for stored in page.items]
    if form.as_ == "Table":
        rows = table(
            resource,
            objects,
            context.now(),
            include=include_of(query),
            resource_version=str(page.revision),
            continue_=page.continue_,
            remaining=page.remaining,
        )
        return orjson.dumps(_of_version(rows, form))
    return orjson.dumps(
        {
            "kind": "PartialObjectMetadataList",
            "apiVersion": f"meta.k8s.io/{form.version}",
            "metadata": list_meta(page),
            "items": [partial(obj, form.version) for obj in objects],
        }
    )


def _of_version(rows: Object, form: Representation) -> Object:
    if form.version != "v1":
        rows["apiVersion"] = f"meta.k8s.io/{form.version}"
    return rows


def renderer(
    context: Context, resource: Resource, form: Representation, query: Mapping[str, str]
) -> Callable[[Seen], bytes]:
    """How a watch renders its events' objects."""
    include: Include = include_of(query) if form.as_ == "Table" else "Metadata"
    with_headers = True

    def plain(seen: Seen) -> bytes:
        if seen.stored is None:
            return orjson.dumps(bookmark(resource, seen))
        return context.seen_data(resource.kind, seen.stored)

    def metadata_only(seen: Seen) -> bytes:
        obj = bookmark(resource, seen) if seen.stored is None else context.seen(resource.kind, seen.stored)
        return orjson.dumps(partial(obj, form.version))

    def rows(seen: Seen) -> bytes:
        nonlocal with_headers
        objects = [] if seen.stored is None else [context.seen(resource.kind, seen.stored)]
        version = str(seen.revision)
        event = table(
            resource, objects, context.now(), include=include, with_headers=with_headers, resource_version=version
        )
        if seen.initial_end:
            event["metadata"]["annotations"] = bookmark(resource, seen)["metadata"]["annotations"]
        with_headers = False
        return orjson.dumps(_of_version(event, form))

    if not form.as_:
        return plain
    return rows if form.as_ == "Table" else metadata_only

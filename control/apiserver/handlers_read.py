"""Get and list: what the store has committed, as it is.

A get answers with the store's ready-made bytes. A list is one consistent state: of now, or (continued pages, Exact) of
the revision that the first page was read at. Its continue token says that revision and the last key that was sent; when
the revision has been compacted away the answer is 410 with a token that goes on from that key in today's state, which
clients may take if an inconsistent list is good enough for them.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_right
from dataclasses import dataclass

import orjson

from control.api.objects import Key, Object
from control.api.scheme import Resource
from control.api.status import StatusError, bad_request, expired, not_found
from control.apiserver.handlers_context import Context
from control.apiserver.options import ListOptions, revision_of, too_large
from control.apiserver.selection import Selection, selection
from control.store.records import Compacted, Stored

TOKEN_VERSION = "meta.k8s.io/v1"
INCONSISTENT = -1  # a token's revision: go on from the key in whatever state there is

_TOO_OLD_TOKEN = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


@dataclass(frozen=True, slots=True)
class Page:
    """Some or all of a list; `remaining` is None where it is not known (a selector is given)."""

    items: list[Stored]
    revision: int
    continue_: str = ""
    remaining: int | None = None


class TokenTooOld(StatusError):
    """410 that carries a token to go on with."""

    def __init__(self, token: str) -> None:
        super().__init__(410, "Expired", _TOO_OLD_TOKEN)
        self.token = token

    @property
    def status(self) -> Object:
        status = super().status
        status["metadata"] = {"continue": self.token}
        return status


def get(context: Context, resource: Resource, namespace: str, name: str, resource_version: str = "") -> Stored:
    if resource_version not in ("", "0"):
        wanted = revision_of(resource_version, kind="GetOptions")
        if wanted > context.store.revision:
            raise too_large(wanted, context.store.revision)
    stored = context.store.get(context.stored_as(resource.kind), namespace, name)
    if stored is None:
        raise not_found(resource.kind, name)
    return stored


def list_page(context: Context, resource: Resource, namespace: str, options: ListOptions) -> Page:
    view = context.view(resource.kind)
    chosen = selection(
        resource, options.label_selector, options.field_selector, view.outward if view is not None else None
    )
    if options.continue_:
        revision, after = _read_token(options.continue_)
        if options.resource_version not in ("", "0"):
            raise bad_request("specifying resource version is not allowed when using continue")
    else:
        revision, after = _wanted_revision(context, options), None
    name = context.stored_as(resource.kind)
    try:
        at = revision if revision > 0 else None
        found = context.store.list(name, namespace, at=at)
    except Compacted:
        if after is not None:
            raise TokenTooOld(_token(INCONSISTENT, after)) from None
        raise expired("The resourceVersion for the provided list is too old.") from None
    if revision <= 0:
        revision = context.store.revision
    return _page(found, chosen, options.limit, revision, after)


def _wanted_revision(context: Context, options: ListOptions) -> int:
    """The revision to list at, 0 for the current one."""
    if options.resource_version in ("", "0"):
        return 0
    wanted = revision_of(options.resource_version)
    if wanted > context.store.revision:
        raise too_large(wanted, context.store.revision)
    exact = options.match == "Exact" or (not options.match and options.limit)
    return wanted if exact else 0


def _page(found: list[Stored], chosen: Selection, limit: int, revision: int, after: Key | None) -> Page:
    if after is not None:
        found = found[bisect_right(found, after, key=lambda stored: stored.key) :]
    if chosen.everything:
        items, rest = (found[:limit], found[limit:]) if limit else (found, [])
        remaining = len(rest) if rest else None
    else:
        items = [stored for stored in found if chosen(stored)]
        items, rest = (items[:limit], items[limit:]) if limit else (items, [])
        remaining = None
    token = _token(revision, items[-1].key) if rest else ""
    return Page(items, revision, token, remaining)


def _token(revision: int, after: Key) -> str:
    start = f"{after.namespace}/{after.name}"
    return urlsafe_b64encode(orjson.dumps({"v": TOKEN_VERSION, "rv": revision, "start": start})).decode().rstrip("=")


def _read_token(token: str) -> tuple[int, Key]:
    try:
        value = orjson.loads(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        if value["v"] != TOKEN_VERSION:
            raise bad_request(f"continue key is not valid: server does not recognize this encoded version {value['v']}")
        namespace, _, name = value["start"].partition("/")
        return int(value["rv"]), Key(namespace, name)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise bad_request("continue key is not valid: illegal base64 or JSON") from None


def list_meta(page: Page) -> Object:
    metadata: Object = {"resourceVersion": str(page.revision)}
    if page.continue_:
        metadata["continue"] = page.continue_
    if page.remaining:
        metadata["remainingItemCount"] = page.remaining
    return metadata


def list_data(context: Context, resource: Resource, page: Page) -> bytes:
    """The whole list as JSON, joined from the items' own bytes."""
    kind = resource.kind
    head = orjson.dumps({"kind": kind.list_kind, "apiVersion": kind.api_version, "metadata": list_meta(page)})
    if context.view(kind) is None:
        items = b",".join([stored.data for stored in page.items])
    else:
        items = b",".join([context.seen_data(kind, stored) for stored in page.items])
    return b"".join((head[:-1], b',"items":[', items, b"]}"))

"""The API as a function call, for who lives in the same process as the server.

The same pipeline as over HTTPS (decoding, defaults, admission, validation, preconditions, ownership), without
connection, authentication and JSON in between. It satisfies `control.mirror.client.Client` by its shape. Objects that
go in are copied, because their owners go on using them; objects that come out are the store's own and shared: never
change one in place.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import wraps
from typing import Any, Literal, ParamSpec, TypeVar

import orjson

from control.api.kinds import Kind
from control.api.listing import Listing, WatchEvent
from control.api.objects import Object, name_of, namespace_of
from control.api.scheme import Resource
from control.api.status import bad_request
from control.apiserver.body import fit, identify
from control.apiserver.exchange import User, success
from control.apiserver.handlers_change import APPLY_PATCH, copied, put
from control.apiserver.handlers_change import patch as patch_object
from control.apiserver.handlers_context import Context, store_failure
from control.apiserver.handlers_delete import delete
from control.apiserver.handlers_read import get, list_page
from control.apiserver.handlers_subresources import Subresources
from control.apiserver.handlers_write import MAIN, SCALE, STATUS, create, update
from control.apiserver.metrics import Metrics
from control.apiserver.options import DeleteOptions, ListOptions, WriteOptions
from control.apiserver.paths import not_served
from control.apiserver.reviews import REVIEWS
from control.apiserver.scale import scale_of, scaled
from control.apiserver.streams import Watching, bookmark
from control.store.records import StoreError

PatchType = Literal[
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/json-patch+json",
    "application/apply-patch+yaml",
]
P = ParamSpec("P")
R = TypeVar("R")


def _translated(method: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """The store's errors as the API's."""

    @wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await method(*args, **kwargs)
        except StoreError as error:
            raise store_failure(error) from None

    return call


class LocalClient:
    def __init__(self, context: Context, subresources: Subresources, metrics: Metrics, user: User) -> None:
        self._context = context
        self._subresources = subresources
        self._metrics = metrics
        self._user = user
        self._manager = user.name.rpartition(":")[2] or "unknown"

    def __repr__(self) -> str:
        return f"<LocalClient of {self._user.name}>"

    def _resource(self, kind: Kind) -> Resource:
        resource = self._context.resources.get(kind)
        if resource is None:
            raise not_served()
        return resource

    def _options(self, manager: str = "") -> WriteOptions:
        return WriteOptions(manager or self._manager, validation="Ignore", warns=False)

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        return self._context.seen(kind, get(self._context, self._resource(kind), namespace, name))

    async def read(self, path: str) -> Object:
        return self._metrics.read(path)

    async def list(
        self, kind: Kind, namespace: str = "", *, label_selector: str = "", field_selector: str = ""
    ) -> Listing:
        chosen = ListOptions(label_selector, field_selector)
        page = list_page(self._context, self._resource(kind), namespace, chosen)
        return Listing([self._context.seen(kind, stored) for stored in page.items], str(page.revision))

    async def watch(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[WatchEvent]:
        options = ListOptions(label_selector, field_selector, resource_version=resource_version, bookmarks=True)
        resource = self._resource(kind)
        try:
            watching = Watching(self._context, resource, namespace, options, forever=True)
        except StoreError as error:
            raise store_failure(error) from None
        try:
            async for turn in watching.turns():
                for seen in turn:
                    if seen.stored is None:
                        yield WatchEvent("BOOKMARK", bookmark(resource, seen))
                    else:
                        yield WatchEvent(seen.type, self._context.seen(kind, seen.stored))  # type: ignore[arg-type]
        finally:
            watching.close()

    @_translated
    async def create(self, kind: Kind, obj: Object, *, subresource: str = "", name: str = "") -> Object:
        options = self._options()
        if subresource:
            return await self._create_below(kind, copied(obj), subresource, name, options)
        review = REVIEWS.get((kind.group, kind.version, kind.plural))
        if review is not None:
            return self._subresources.review(fit(copied(obj), review, options, []), self._user)
        resource = self._resource(kind)
        new = fit(copied(obj), resource, options, [])
        namespace = namespace_of(new)
        if kind.namespaced and not namespace:
            raise bad_request("an empty namespace may not be set during creation")
        return self._context.seen(kind, await create(self._context, resource, namespace, new, options))

    async def _create_below(
        self, kind: Kind, obj: Object, subresource: str, name: str, options: WriteOptions
    ) -> Object:
        resource, namespace = self._resource(kind), namespace_of(obj)
        obj.setdefault("metadata", {})
        if subresource == "eviction":
            await self._subresources.evict(namespace, name or name_of(obj), obj, options, resource)
        elif subresource == "binding":
            await self._subresources.bind(namespace, name or name_of(obj), obj, options, resource)
        elif subresource == "token":
            return self._subresources.issue(await self.get(kind, namespace, name), obj)
        else:
            raise not_served()
        return success()

    @_translated
    async def update(self, kind: Kind, obj: Object, *, subresource: str = "") -> Object:
        resource, options = self._resource(kind), self._options()
        namespace, name = namespace_of(obj), name_of(obj)
        if subresource == "scale":
            return await self._scale(resource, obj, options)
        new = copied(obj)
        identify(new, kind)
        if subresource == "finalize":
            return await self._subresources.finalize(name, new, options, resource)
        if subresource not in ("", "status") or (subresource and not resource.has_status):
            raise not_served()
        lane = STATUS if subresource else MAIN
        fitted = fit(new, resource, options, [])
        stored, _ = await put(self._context, resource, namespace, name, fitted, options, lane)
        return self._context.seen(kind, stored)

    async def _scale(self, resource: Resource, scale: Object, options: WriteOptions) -> Object:
        def change(old: Object) -> Object:
            return scaled(copied(old), scale)

        namespace, name = namespace_of(scale), name_of(scale)
        stored = await update(self._context, resource, namespace, name, change, options, SCALE)
        return scale_of(resource, stored.obj)

    @_translated
    async def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        patch: Any,
        *,
        patch_type: PatchType = "application/merge-patch+json",
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
    ) -> Object:
        resource, options = self._resource(kind), self._options(field_manager)
        if subresource not in ("", "status"):
            raise not_served()
        options.force = force and patch_type == APPLY_PATCH
        lane = STATUS if subresource else MAIN
        body = orjson.dumps(patch)
        stored, _ = await patch_object(self._context, resource, namespace, name, patch_type, body, options, lane)
        return self._context.seen(kind, stored)

    @_translated
    async def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        resource_version: str = "",
        grace_period_s: int | None = None,
        propagation: Literal["", "Background", "Foreground", "Orphan"] = "",
    ) -> Object:
        options = DeleteOptions(grace_period_s, uid, resource_version, propagation)
        stored, gone = await delete(self._context, self._resource(kind), namespace, name, options)
        if not gone:
            return self._context.seen(kind, stored)
        return success(kind.plural, name, stored.obj["metadata"].get("uid", ""), kind.group)

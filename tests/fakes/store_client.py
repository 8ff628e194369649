"""A `Client` straight over a `Store`: API semantics without schemas, for tests of mirrors, runners and publishers.

It stamps uid and creationTimestamp, checks preconditions, merges merge-patches, and can be told to fail:
`fail(n, error)` makes the next n calls raise, `refuse(verb, kind, error)` one verb of one kind, `allow` so after some
calls, `hold(kind)` lets its watches lag. `calls` is what was asked. `documents` are what `read` answers with.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from control.api.kinds import Kind
from control.api.objects import Object, copy_of, key_of, meta, uid_of
from control.api.status import StatusError, already_exists, conflict, expired, not_found
from control.mirror.client import Listing, WatchEvent
from control.store.records import AlreadyThere, Compacted, Missing, Moved
from control.store.store import Store

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class StoreClient:
    def __init__(self, store: Store | None = None) -> None:
        self.store = store or Store.open(None)
        self.calls: list[tuple[str, str, str]] = []
        self.watches: list[Any] = []
        self.documents: dict[str, Object] = {}
        self._uids = 0
        self._failures: list[Exception] = []
        self._refused: dict[tuple[str, Kind], Exception] = {}
        self._allowed: dict[tuple[str, Kind], tuple[int, Exception]] = {}
        self._gates: dict[Kind, asyncio.Event] = {}

    def fail(self, count: int, error: Exception) -> None:
        self._failures += [error] * count

    def refuse(self, verb: str, kind: Kind, error: Exception | None) -> None:
        if error is None:
            self._refused.pop((verb, kind), None)
        else:
            self._refused[verb, kind] = error

    def allow(self, verb: str, kind: Kind, count: int, error: Exception) -> None:
        """Refuses the calls after the next `count`."""
        self._allowed[verb, kind] = (count, error)

    def hold(self, kind: Kind) -> None:
        """Watches of a kind deliver nothing until `release`: the mirror lags behind."""
        self._gates[kind] = asyncio.Event()

    def release(self, kind: Kind) -> None:
        self._gates.pop(kind).set()

    def drop_watches(self) -> None:
        """The server closes every watch."""
        for watch in self.watches:
            watch.close()
        self.watches.clear()

    def _called(self, verb: str, kind: Kind, name: str) -> None:
        self.calls.append((verb, kind.plural, name))
        if self._failures:
            raise self._failures.pop(0)
        if (verb, kind) in self._refused:
            raise self._refused[verb, kind]
        if (verb, kind) in self._allowed:
            count, error = self._allowed[verb, kind]
            if count == 0:
                raise error
            self._allowed[verb, kind] = (count - 1, error)

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        self._called("get", kind, name)
        found = self.store.get(kind.resource, namespace, name)
        if found is None:
            raise not_found(kind, name)
        return found.obj

    async def read(self, path: str) -> Object:
        if path not in self.documents:
            raise StatusError(404, "NotFound", "the server could not find the requested resource")
        return self.documents[path]

    async def list(
        self, kind: Kind, namespace: str = "", *, label_selector: str = "", field_selector: str = ""
    ) -> Listing:
        self._called("list", kind, field_selector)
        found = [stored.obj for stored in self.store.list(kind.resource, namespace)]
        return Listing(found, str(self.store.revision))

    async def watch(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[WatchEvent]:
        self._called("watch", kind, resource_version)
        try:
            watch = self.store.watch(kind.resource, namespace, since=int(resource_version))
            self.watches.append(watch)
            async for event in watch:
                if kind in self._gates:
                    await self._gates[kind].wait()
                yield WatchEvent(event.type, event.stored.obj)
        except Compacted as error:
            raise expired(str(error)) from None

    async def create(self, kind: Kind, obj: Object, *, subresource: str = "", name: str = "") -> Object:
        namespace, own = key_of(obj)
        name = name or own
        self._called(f"create {subresource}".strip(), kind, name)
        if subresource == "binding":
            pod = copy_of(await self.get(kind, namespace, name))
            pod.setdefault("spec", {})["nodeName"] = obj["target"]["name"]
            return await self.update(kind, pod)
        self._uids += 1
        new = copy_of(obj)
        new.setdefault("apiVersion", kind.api_version)
        new.setdefault("kind", kind.kind)
        new["metadata"].setdefault("uid", f"uid-{self._uids}")
        new["metadata"].setdefault("creationTimestamp", f"2026-01-01T00:00:{self._uids % 60:02}Z")
        try:
            stored = await self.store.put(kind.resource, namespace, name, new, expect=0)
        except AlreadyThere:
            raise already_exists(kind, name) from None
        return stored.obj

    async def update(self, kind: Kind, obj: Object, *, subresource: str = "") -> Object:
        namespace, name = key_of(obj)
        self._called("update", kind, name)
        version = meta(obj).get("resourceVersion")
        try:
            stored = await self.store.put(
                kind.resource, namespace, name, copy_of(obj), expect=int(version) if version else None
            )
        except Moved:
            raise conflict(kind, name) from None
        except Missing:
            raise not_found(kind, name) from None
        return stored.obj

    async def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        patch: Any,
        *,
        patch_type: str = "application/merge-patch+json",
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
    ) -> Object:
        self._called("patch", kind, name)
        current = self.store.get(kind.resource, namespace, name)
        if current is None:
            raise not_found(kind, name)
        wanted = (patch.get("metadata") or {}).get("uid")
        if wanted and wanted != uid_of(current.obj):
            raise conflict(kind, name, "the UID in the precondition does not match")
        stored = await self.store.put(kind.resource, namespace, name, _merged(current.obj, patch), expect=None)
        return stored.obj

    async def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        resource_version: str = "",
        grace_period_s: int | None = None,
        propagation: str = "",
    ) -> Object:
        self._called("delete", kind, name)
        current = self.store.get(kind.resource, namespace, name)
        if current is None:
            raise not_found(kind, name)
        if uid and uid != uid_of(current.obj):
            raise conflict(kind, name, "the UID in the precondition does not match")
        if resource_version and int(resource_version) != current.revision:
            raise conflict(kind, name)
        stored = await self.store.delete(kind.resource, namespace, name, expect=None)
        return stored.obj


def _merged(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), value)
    return result


__all__ = ["NOW", "StatusError", "StoreClient"]

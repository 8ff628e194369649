"""A `Client` between a control process and its server on which everything goes wrong that can.

Before and after each call some (virtual) time passes, so that the calls of all controllers mingle in ever new orders.
Writes meet a Conflict every third time, are refused with a 500, lose their connection before or after they took effect,
or are the last thing that the process did: it is killed before the write, or after it without having heard the answer.
Watches lag, each kind on its own, so that worlds are stale and news of different kinds overtake each other; they
deliver twice, break off, or declare history gone so that the kind is listed anew.

A dead process asks nothing any more: its calls never return.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal, NoReturn

from control.api.kinds import EVENT, Kind
from control.api.objects import Object, name_of
from control.api.status import StatusError, conflict, expired, internal_error
from control.mirror.client import Client, Listing, PatchType, WatchEvent


@dataclass(frozen=True, slots=True)
class Rates:
    """How often each thing happens, as a probability, but for `conflict_every`: each n-th write (0: never)."""

    conflict_every: int = 0
    refused: float = 0.0
    lost: float = 0.0  # the connection, half of the time after the write took effect
    killed: float = 0.0
    lag: float = 0.0  # of a watch, per event
    lag_max_s: float = 5.0
    twice: float = 0.0
    broken: float = 0.0  # a watch, per event
    forgotten: float = 0.0  # a watch's history, per event


@dataclass(slots=True)
class Faults:
    """What goes wrong now, and how often it has; `die` is called when the process is to be killed."""

    rng: Random
    rates: Rates = Rates()
    injected: Counter[str] = field(default_factory=Counter)
    writes: int = 0
    die: Callable[[], None] = lambda: None

    def happens(self, what: str, rate: float) -> bool:
        if rate and self.rng.random() < rate:
            self.injected[what] += 1
            return True
        return False


class FaultyClient:
    def __init__(self, inner: Client, faults: Faults, note: Callable[[str, str], None]) -> None:
        self._inner = inner
        self._faults = faults
        self._note = note  # (who, what) of each write
        self.is_alive = True

    # Calls

    async def _pass_time(self) -> None:
        """None, a turn of the loop, or some time: enough for others to get in between."""
        if not self.is_alive:
            await _for_ever()
        await asyncio.sleep(self._faults.rng.choice((0, 0, 0, 0.001, 0.02, 0.3)) if self._faults.rates.lag else 0)
        if not self.is_alive:
            await _for_ever()

    async def _write(self, what: str, kind: Kind, name: str, call: Callable[[], Awaitable[Object]]) -> Object:
        await self._pass_time()
        text = f"{what} {kind.singular} {name}"
        rates = self._faults.rates
        await self._before(kind, name, what, text)
        try:
            done = await call()
        except StatusError as error:
            self._note(_task_name(), f"{text}: {error.code} {error.reason}")
            raise
        self._note(_task_name(), text)
        if self._faults.happens("killed after", rates.killed / 2):
            await self._end()
        if self._faults.happens("lost after", rates.lost / 2):
            self._note(_task_name(), f"{text}: ... but it does not hear so")
            raise ConnectionError("lost after the write")
        await self._pass_time()
        return done

    async def _before(self, kind: Kind, name: str, what: str, text: str) -> None:
        """The faults that keep a write from happening."""
        faults, rates = self._faults, self._faults.rates
        faults.writes += 1
        failure: Exception | None = None
        if rates.conflict_every and faults.writes % rates.conflict_every == 0 and not what.startswith("create"):
            faults.injected["conflict"] += 1
            failure = conflict(kind, name)
        elif faults.happens("refused", rates.refused):
            failure = internal_error("the simulated server has a bad day")
        elif faults.happens("lost before", rates.lost / 2):
            failure = ConnectionError("lost before the write")
        elif faults.happens("killed before", rates.killed / 2):
            await self._end()
        if failure is not None:
            self._note(_task_name(), f"{text}: made to fail, {failure}")
            raise failure

    async def _end(self) -> NoReturn:
        self.is_alive = False
        self._faults.die()
        await _for_ever()

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        await self._pass_time()
        return await self._inner.get(kind, namespace, name)

    async def read(self, path: str) -> Object:
        await self._pass_time()
        return await self._inner.read(path)

    async def list(
        self, kind: Kind, namespace: str = "", *, label_selector: str = "", field_selector: str = ""
    ) -> Listing:
        await self._pass_time()
        return await self._inner.list(kind, namespace, label_selector=label_selector, field_selector=field_selector)

    async def watch(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[WatchEvent]:
        faults = self._faults
        async for event in self._inner.watch(kind, namespace, resource_version=resource_version):
            rates = faults.rates
            if faults.happens("lag", rates.lag):
                await asyncio.sleep(faults.rng.choice((0.01, 0.1, 1.0, 1.0)) * rates.lag_max_s * faults.rng.random())
            if faults.happens("watch broken", rates.broken):
                raise ConnectionError("the watch broke off")
            if faults.happens("history forgotten", rates.forgotten):
                raise expired("the simulated server has forgotten")
            yield event
            if faults.happens("delivered twice", rates.twice):
                yield event

    async def create(self, kind: Kind, obj: Object, *, subresource: str = "", name: str = "") -> Object:
        if kind == EVENT:
            return obj  # news for people; half of all writes, and no decision rests on them
        what = f"create {subresource} of" if subresource else "create"

        def call() -> Awaitable[Object]:
            return self._inner.create(kind, obj, subresource=subresource, name=name)

        return await self._write(what, kind, name or name_of(obj), call)

    async def update(self, kind: Kind, obj: Object, *, subresource: str = "") -> Object:
        what = f"update {subresource} of" if subresource else "update"
        return await self._write(
            what, kind, name_of(obj), lambda: self._inner.update(kind, obj, subresource=subresource)
        )

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
        if kind == EVENT:
            return {}

        def call() -> Awaitable[Object]:
            return self._inner.patch(kind, namespace, name, patch, patch_type=patch_type, subresource=subresource)

        return await self._write("patch", kind, name, call)

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
        def call() -> Awaitable[Object]:
            return self._inner.delete(
                kind,
                namespace,
                name,
                uid=uid,
                resource_version=resource_version,
                grace_period_s=grace_period_s,
                propagation=propagation,
            )

        return await self._write("delete", kind, name, call)


async def _for_ever() -> NoReturn:
    await asyncio.get_running_loop().create_future()
    raise AssertionError("a future that nobody sets")


def _task_name() -> str:
    task = asyncio.current_task()
    return task.get_name() if task else ""

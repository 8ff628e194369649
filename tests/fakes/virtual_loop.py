"""An event loop whose time is a number: when nothing is ready, it jumps to the next timer instead of waiting.

Only for code whose world is fakes: with a real socket or thread under way, time would run ahead of it.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


ROUNDS_MAX = 200_000
"""Turns of the loop in one test, some hundred times what the longest needs: a loop that never comes to rest must end
as a failure, for time that jumps lets no deadline fire."""


class _Jumping(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.rounds = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.rounds += 1
        if self.rounds > ROUNDS_MAX:
            raise RuntimeError(f"no rest after {ROUNDS_MAX} turns of the loop, {self.now:.0f} s of its time")
        found = super().select(0)
        if found:
            return found
        if timeout is None:
            raise RuntimeError("nothing will ever happen again: the test waits for something that does not come")
        self.now += timeout
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.jumping = _Jumping()
        super().__init__(self.jumping)

    def time(self) -> float:
        return self.jumping.now

    def clock(self) -> datetime:
        """Time of day, in step with the loop's."""
        return EPOCH + timedelta(seconds=self.jumping.now)


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine on a virtual loop; `asyncio.get_running_loop().clock()` tells the time in it."""
    loop = VirtualLoop()
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(main)
    finally:
        loop.jumping.rounds = 0  # the end has turns of its own
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()

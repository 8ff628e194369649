"""Endpoints that are names (ExternalName): looked up when a connection is made, and remembered for a while.

The machine's own resolver is asked (/etc/hosts, then DNS), which says nothing of how long its answer holds; so it is
TTL_S, the TTL of CoreDNS' own records, and a name that does not exist is asked for again after NEGATIVE_TTL_S. Whoever
asks while a look-up is under way waits for its answer. Of several addresses they are tried by turns, each connection
beginning with the next one, as ingress-nginx makes an upstream of each.

A name whose look-up fails after it was known keeps its old addresses: the names of others' servers change less often
than their name servers fail.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

TTL_S = 5.0
NEGATIVE_TTL_S = 1.0

Ask = Callable[[str], Awaitable[list[str]]]


@dataclass(slots=True)
class Known:
    """What a name was found to mean. `until` is monotonic."""

    addresses: tuple[str, ...]
    until: float
    turn: int = 0


class Lookup:
    """Names and what they mean now."""

    def __init__(self, clock: Callable[[], float], ask: Ask | None = None) -> None:
        self._clock = clock
        self._ask = ask or ask_resolver
        self._known: dict[str, Known] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}

    def __repr__(self) -> str:
        return f"Lookup({len(self._known)} names)"

    async def addresses(self, name: str) -> tuple[str, ...]:
        """The addresses in the order in which they are to be tried; OSError if there is none."""
        known = self._known.get(name)
        if known is None or known.until <= self._clock():
            task = self._asking.get(name)
            if task is None:
                task = self._asking[name] = asyncio.get_running_loop().create_task(self._learn(name))
                task.add_done_callback(lambda _: self._asking.pop(name, None))
            await asyncio.shield(task)  # who gives up does not take the answer from the others
            known = self._known[name]
        if not known.addresses:
            raise OSError(f"{name} has no address")
        known.turn = (known.turn + 1) % len(known.addresses)
        return known.addresses[known.turn :] + known.addresses[: known.turn]

    async def _learn(self, name: str) -> None:
        before = self._known.get(name)
        try:
            found = tuple(dict.fromkeys(await self._ask(name)))
        except OSError:
            found = ()
        ttl_s = TTL_S if found else NEGATIVE_TTL_S
        if not found and before is not None:
            found = before.addresses
        self._known[name] = Known(found, self._clock() + ttl_s, before.turn if before is not None else -1)


async def ask_resolver(name: str) -> list[str]:
    """getaddrinfo, in a thread."""
    found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]

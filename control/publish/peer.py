"""One worker's connection, seen from the publisher: what it has been sent, what it said, whether it keeps up.

A peer is in step when everything published so far is on its way to it; then it is told each update as it comes. It
falls out of step when an update comes while its socket's buffer is full, or when it refuses one; it comes back into
step with a full one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from dataplane.snapshot.codec import ContractError, Decoder
from dataplane.snapshot.model import Ack, Nack

logger = logging.getLogger(__name__)

UNSENT_BYTES_MAX = 64 * 1024 * 1024  # about 150,000 endpoints' worth; a worker this far behind needs the whole anyway
RENEW_MAX_S = 30.0
RENEW_FIRST_S = 0.1
ANSWER_BYTES_MAX = 1024 * 1024  # Acks and Nacks are small

Full = Callable[[], tuple[int, bytes] | None]


class Peer(asyncio.Protocol):
    """A worker. `full()` gives the version and bytes of a full update, None while there is nothing to say yet."""

    def __init__(self, full: Full, peers: set[Peer]) -> None:
        self._full = full
        self._peers = peers
        self._decoder = Decoder(ANSWER_BYTES_MAX)
        self._transport: asyncio.Transport | None = None
        self._in_step = False
        self._choked = False
        self._renewal: asyncio.TimerHandle | None = None
        self._nacks_in_a_row = 0
        self.sent = 0
        self.acked = 0
        self.applied_at = 0.0
        self.nacks = 0
        self.error = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop does not derive its own from asyncio
        self._transport = transport
        transport.set_write_buffer_limits(high=UNSENT_BYTES_MAX)
        self._peers.add(self)
        self.renew()

    def connection_lost(self, exc: Exception | None) -> None:
        self._peers.discard(self)
        self._transport = None
        if self._renewal is not None:
            self._renewal.cancel()

    def pause_writing(self) -> None:
        self._choked = True

    def resume_writing(self) -> None:
        self._choked = False
        if not self._in_step and self._renewal is None:
            self.renew()

    def data_received(self, data: bytes) -> None:
        try:
            messages = self._decoder.feed(data)
        except ContractError as error:
            logger.warning("a worker does not keep to the contract: %s", error)
            self.close()
            return
        for message in messages:
            if isinstance(message, Ack):
                self.acked = message.version
                self.applied_at = message.applied_at
                self._nacks_in_a_row = 0
                self.error = ""
            elif isinstance(message, Nack):
                self._refused(message)

    def tell(self, version: int, data: bytes) -> None:
        """Sends an update to a peer that is in step; others will get it with their full one."""
        if self._choked:
            self._in_step = False
        if self._in_step and self._transport is not None:
            self._send(version, data)

    def renew(self) -> None:
        """Sends the whole state, which brings the peer into step."""
        self._renewal = None
        if self._transport is None or self._choked:
            return
        full = self._full()
        if full is not None:
            self._in_step = True
            self._send(*full)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def statistics(self) -> dict[str, object]:
        return {
            "sent": self.sent,
            "acked": self.acked,
            "applied_at": self.applied_at,
            "in_step": self._in_step,
            "nacks": self.nacks,
            "error": self.error,
        }

    def _send(self, version: int, data: bytes) -> None:
        assert self._transport is not None
        self.sent = version
        self._transport.write(data)

    def _refused(self, nack: Nack) -> None:
        self.nacks += 1
        self.error = nack.error
        if self._renewal is not None or nack.version < self.acked:
            return
        self._in_step = False
        wait_s = (
            min(RENEW_MAX_S, RENEW_FIRST_S * 2.0 ** min(self._nacks_in_a_row - 1, 20)) if self._nacks_in_a_row else 0.0
        )
        self._nacks_in_a_row += 1
        logger.error("a worker refuses version %d: %s; the whole again in %.1f s", nack.version, nack.error, wait_s)
        self._renewal = asyncio.get_running_loop().call_later(wait_s, self.renew)

    def __repr__(self) -> str:
        return f"<Peer sent {self.sent}, acked {self.acked}{', refused: ' + self.error if self.error else ''}>"

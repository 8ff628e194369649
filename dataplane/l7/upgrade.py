"""After 101 (Switching Protocols): bytes both ways, of a protocol that is none of our business.

Both transports get a `Side` each as their protocol. What one reads the other writes; a side whose buffer is full stops
the other's reading; the end of one direction is passed on as the end of that direction (WebSocket and many others
close in two steps), and a reset as a reset. When both directions have ended, or one transport is gone, or nothing has
moved in either direction for the backend's response timeout (ingress-nginx's proxy-read-timeout, which it applies to
WebSockets as well), the tunnel is closed and its conversation told, whose record then counts the bytes.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from dataplane.l7.deadlines import NEVER
from dataplane.l7.reset import reset

if TYPE_CHECKING:
    from dataplane.l7.conversation import Conversation
    from dataplane.l7.downstream import Downstream
    from dataplane.l7.proxy import HttpProxy
    from dataplane.l7.upstream import Upstream


class Side(asyncio.Protocol):
    """One end of a tunnel."""

    __slots__ = ("ended", "is_client", "lost", "other", "transport", "tunnel")

    other: Side

    def __init__(self, tunnel: Tunnel, transport: asyncio.Transport, *, is_client: bool) -> None:
        self.tunnel = tunnel
        self.transport = transport
        self.is_client = is_client
        self.ended = False
        self.lost = False

    def data_received(self, data: bytes) -> None:
        self.tunnel.moved(len(data), from_client=self.is_client)
        self.other.transport.write(data)

    def eof_received(self) -> bool:
        self.ended = True
        other = self.other
        if other.ended or not other.transport.can_write_eof() or not self.transport.can_write_eof():
            other.transport.close()
            return False
        other.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        if not self.other.lost:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if not self.other.lost and not self.other.transport.is_closing():
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self.tunnel.lost(self, exc)


class Tunnel:
    """Two sides and what is known of them."""

    __slots__ = ("_client", "_downstream", "_endpoint", "_idle_timeout_s", "_talk", "_upstream", "bucket", "deadline",
                 "outcome", "proxy")  # fmt: skip

    def __init__(
        self, proxy: HttpProxy, talk: Conversation, client: Downstream, upstream: Upstream, first: bytes
    ) -> None:
        self.proxy = proxy
        self.deadline = self.bucket = NEVER
        self.outcome = "ok"
        self._talk = talk
        self._downstream = client
        self._upstream = upstream
        self._idle_timeout_s = talk.spec.response_timeout_s
        upstream.user = None
        upstream.deadline = NEVER
        talk.upstream = None
        upstream.resume()
        self._client = Side(self, client.transport, is_client=True)
        self._endpoint = Side(self, upstream.transport, is_client=False)
        self._client.other, self._endpoint.other = self._endpoint, self._client
        client.transport.set_protocol(self._client)
        upstream.transport.set_protocol(self._endpoint)
        proxy.tunnels.add(self)
        if client.full:
            upstream.transport.pause_reading()
        client.resume()
        self.moved(len(first), from_client=True)
        if first:
            upstream.transport.write(first)
        if client.half_closed:
            self._client.eof_received()

    def __repr__(self) -> str:
        return f"<Tunnel {self._talk!r}>"

    def moved(self, size: int, *, from_client: bool) -> None:
        """Bytes went through."""
        if from_client:
            self._talk.bytes_in += size
        else:
            self._talk.bytes_out += size
        self.deadline = self.proxy.clock() + self._idle_timeout_s
        if self.deadline < self.bucket:
            self.proxy.wheel.watch(self)

    def expired(self, now: float) -> None:
        """The wheel's call: nothing moved."""
        self.close("timeout")

    def close(self, outcome: str) -> None:
        """End both sides at once."""
        self.outcome = outcome
        self._client.transport.abort()
        self._endpoint.transport.abort()

    def lost(self, side: Side, exc: Exception | None) -> None:
        """A side is gone: end the other in the same manner, and the exchange when both are."""
        other = side.other
        if not other.lost:
            if exc is not None:
                self.outcome = "client_abort" if side.is_client else "reset"
                reset(other.transport)
            else:
                other.transport.close()
            return
        self.proxy.wheel.forget(self)
        self.proxy.tunnels.discard(self)
        self._upstream.connection_lost(None)
        self._talk.tunnel_end(self.outcome)
        self._downstream.connection_lost(None)

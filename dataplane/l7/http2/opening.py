"""Which version of HTTP a client speaks, found out once a connection.

Over TLS it was agreed on by ALPN before the first byte. In the clear, where endpoints speak HTTP/2, a client may begin
with it (RFC 9113 3.3), which its preface says: 24 octets that are no HTTP/1 request. As soon as something else has come
it is HTTP/1. Where neither can be, no connection passes through here.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from dataplane.l7.deadlines import NEVER
from dataplane.l7.downstream import Downstream
from dataplane.l7.http2.downstream import Http2Downstream

if TYPE_CHECKING:
    from dataplane.l7.proxy import HttpProxy
    from dataplane.l7.site import Site

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # RFC 9113 3.4
ALPN: Final = "h2"


class Opening(asyncio.Protocol):
    """A connection until its version is known."""

    __slots__ = ("_client", "_held", "_proxy", "_site", "_transport", "bucket", "deadline")

    _transport: asyncio.Transport

    def __init__(self, proxy: HttpProxy, site: Site, client: str = "") -> None:
        self._proxy = proxy
        self._client = client
        self._site = site
        self._held = b""
        self.deadline = self.bucket = NEVER

    def __repr__(self) -> str:
        return f"<Opening, {len(self._held)} bytes held>"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        secured = transport.get_extra_info("ssl_object")
        if secured is not None:
            self._become(Http2Downstream if secured.selected_alpn_protocol() == ALPN else Downstream)
        else:
            self._proxy.clients.add(self)
            self.deadline = self._proxy.clock() + self._proxy.limits.header_timeout_s
            self._proxy.wheel.watch(self)

    def data_received(self, data: bytes) -> None:
        self._held += data
        if not PREFACE.startswith(self._held[: len(PREFACE)]):
            self._become(Downstream)
        elif len(self._held) >= len(PREFACE):
            self._become(Http2Downstream)

    def eof_received(self) -> bool:
        return False  # a part of a preface is no request

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()

    def _become(self, kind: type[Downstream] | type[Http2Downstream]) -> None:
        self._leave()
        transport, protocol = self._transport, kind(self._proxy, self._site, self._client)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if self._held and not transport.is_closing():
            protocol.data_received(self._held)

    def _leave(self) -> None:
        self._proxy.wheel.forget(self)
        self._proxy.client_left(self)

    def drain(self) -> None:
        """Nothing was asked yet."""
        if not self._held:
            self._transport.close()

    def cut(self, outcome: str) -> None:
        """At once."""
        self._transport.abort()

    def expired(self, now: float) -> None:
        """The wheel's call: neither version came."""
        self._transport.abort()

"""The proxy between HTTP/2 clients and origins of either version."""

from __future__ import annotations

import asyncio
from typing import Any

from h2.settings import SettingCodes

from dataplane.snapshot import model
from tests.fakes import origin
from tests.fakes.http2_peers import Http2Client, Http2Origin, Script, http2_client
from tests.fakes.proxied import Proxied


class Http2Proxied(Proxied):
    """`Http2Proxied(script)`: HTTP/1 origins; `Http2Proxied(to=script)`: one that speaks HTTP/2."""

    def __init__(
        self,
        *scripts: origin.Script,
        to: Script | None = None,
        settings: dict[SettingCodes, int] | None = None,
        backend: dict[str, Any] | None = None,
        site: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        protocol = {} if to is None else {"protocol": "h2c"}
        super().__init__(
            *scripts, backend=protocol | (backend or {}), site={"prior": lambda: True} | (site or {}), **more
        )
        self._far = None if to is None else Http2Origin(to, settings)
        self._http2_clients: list[Http2Client] = []

    async def __aenter__(self) -> Http2Proxied:
        await super().__aenter__()
        if self._far is not None:
            await self._far.start()
            self.apply(self.endpoint(0, self._far.port))
        return self

    async def __aexit__(self, *exc: object) -> None:
        for client in self._http2_clients:
            client.close()
        if self._far is not None:
            self.proxy.stop()
            await self._far.stop()
        await super().__aexit__(*exc)

    @property
    def far(self) -> Http2Origin:
        """The origin that speaks HTTP/2."""
        assert self._far is not None
        return self._far

    async def http2(self, settings: dict[SettingCodes, int] | None = None) -> Http2Client:
        client = await http2_client(self.port, settings=settings)
        self._http2_clients.append(client)
        return client

    async def another_far(self, script: Script, settings: dict[SettingCodes, int] | None = None) -> Http2Origin:
        """A second endpoint that speaks HTTP/2; the caller stops it."""
        far = await Http2Origin(script, settings).start()
        self.apply(self.endpoint(1, far.port))
        return far

    def backend_is(self, **fields: Any) -> None:
        """Another spec of the backend."""
        self.apply(model.Backend("b", **({"policy": "round-robin"} | fields)))

    async def moved(self) -> None:
        """Let both sides see what was sent."""
        for _ in range(20):
            await asyncio.sleep(0)

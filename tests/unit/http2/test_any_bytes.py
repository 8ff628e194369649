"""Whatever the bytes: nothing escapes, nothing is left behind, and what is answered is HTTP/2."""

from __future__ import annotations

import random
from collections.abc import Iterator

from h2.connection import H2Connection
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplane.l7.http2.downstream import Http2Downstream
from dataplane.l7.http2.opening import PREFACE
from dataplane.l7.http2.upstream import Http2Upstream
from dataplane.l7.proxy import HttpProxy
from dataplane.l7.site import Site
from dataplane.pool.multiplexed import MultiplexedPool
from dataplane.pool.plan import PoolLimits
from dataplane.snapshot import model
from dataplane.table import Match, Table
from tests.fakes.http2_peers import request
from tests.fakes.transports import KeptTransport

HEADS = [
    request(),
    request(b"POST"),
    request(b"POST", b"/", (b"content-length", b"3")),
    request(b"HEAD", b"/", (b"te", b"trailers"), (b"cookie", b"a=b")),
    [(b":status", b"200")],
    [(b":status", b"200"), (b"content-length", b"3")],
    [(b":status", b"103")],
    [(b":status", b"204"), (b"connection", b"close")],
    [(b"x-trailer", b"1")],
    [],
]


class Frames:
    """Frames that are mostly right, in an order that mostly is not."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.encoder = Encoder()

    def __iter__(self) -> Iterator[bytes]:
        pick = self.random
        for _ in range(pick.randrange(1, 30)):
            data = self.frame().serialize()
            if pick.random() < 0.05:
                at = pick.randrange(len(data))
                data = data[:at] + bytes((pick.randrange(256),)) + data[at + 1 :]
            yield data

    def frame(self) -> Frame:
        pick = self.random
        stream = pick.choice([0, 1, 1, 1, 3, 3, 5, 7, 2, 99])
        frame = pick.choice(
            [self.headers, self.headers, self.headers, self.data, self.data, self.window, self.reset, self.other]
        )(stream or 1)
        frame.flags.clear()
        for flag in ("END_STREAM", "END_HEADERS", "END_HEADERS", "ACK"):
            if any(flag == known.name for known in frame.defined_flags) and pick.random() < 0.6:
                frame.flags.add(flag)
        return frame

    def headers(self, stream: int) -> Frame:
        frame = HeadersFrame(stream)
        frame.data = self.encoder.encode(self.random.choice(HEADS))
        return frame

    def data(self, stream: int) -> Frame:
        return DataFrame(stream, data=b"x" * self.random.choice([0, 1, 3, 500, 16_000]))

    def window(self, stream: int) -> Frame:
        frame = WindowUpdateFrame(self.random.choice([0, stream]))
        frame.window_increment = self.random.choice([1, 65_535, 2**31 - 1])
        return frame

    def reset(self, stream: int) -> Frame:
        return RstStreamFrame(stream, error_code=self.random.choice([0, 7, 8, 999]))

    def other(self, stream: int) -> Frame:
        pick = self.random
        ping = PingFrame(0)
        ping.opaque_data = b"8 octets"
        setting = SettingsFrame(0)
        setting.settings = {pick.choice([1, 2, 3, 4, 5, 6, 8, 77]): pick.choice([0, 1, 100, 65_536, 2**31])}
        promise = PushPromiseFrame(stream)
        promise.promised_stream_id, promise.data = 2, self.encoder.encode(request())
        away = GoAwayFrame(0)
        away.last_stream_id = pick.choice([0, 1, 3])
        more = ContinuationFrame(stream)
        more.data = self.encoder.encode([(b"x-more", b"1")])
        priority = PriorityFrame(stream)
        priority.depends_on = pick.choice([0, stream])
        return pick.choice([ping, setting, promise, away, more, priority])


class Bench:
    """A proxy without sockets, whose clock stands still."""

    def __init__(self) -> None:
        self.proxy = HttpProxy(lambda flow: None, clock=lambda: 100.0, wall_clock=lambda: 1e9)
        self.table = Table(random.Random(1).random)
        self.dials: list[object] = []
        self.proxy._dial = self.dials.append  # type: ignore[method-assign, assignment]  # nobody ever answers
        endpoint = model.Endpoint("b", "e", "127.0.0.1", 1, True, True, False)
        self.table.apply(model.Update(1, True, (model.Backend("b"), endpoint)))

    def resolve(self, host: bytes, path: bytes) -> Match | None:
        backend = self.table.backend("b")
        return None if backend is None or path == b"/nowhere" else Match(backend, "r")

    @property
    def leases(self) -> int:
        backend = self.table.backend("b")
        assert backend is not None
        return sum(endpoint.active for endpoint in backend.endpoints.values())


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4000))
def test_a_client_may_send_anything(seed: int, cut: int) -> None:
    bench = Bench()
    connection = Http2Downstream(bench.proxy, Site(bench.resolve, b"http", "web", "replace", b"loopkube"))
    transport = KeptTransport()
    connection.connection_made(transport)
    sent = PREFACE + SettingsFrame(0).serialize() + b"".join(Frames(seed))
    for at in range(0, len(sent), cut):
        connection.data_received(sent[at : at + cut])
    bench.proxy.drain()
    bench.proxy.sweep()
    connection.connection_lost(None)
    assert (bench.leases, connection.streams, bench.proxy.clients) == (0, {}, set())
    assert "0 entries" in repr(bench.proxy.wheel)
    assert lengths_add_up(transport.written)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4000))
def test_an_endpoint_may_send_anything(seed: int, cut: int) -> None:
    bench = Bench()
    pool = MultiplexedPool("127.0.0.1", 1, PoolLimits(), lambda pool: None)
    site = Site(bench.resolve, b"http", "web", "replace", b"loopkube")
    client, towards = Http2Downstream(bench.proxy, site), KeptTransport()
    client.connection_made(towards)
    peer = H2Connection()
    peer.initiate_connection()
    for number, method in enumerate((b"GET", b"POST", b"HEAD")):
        peer.send_headers(2 * number + 1, request(method), end_stream=method != b"POST")
    backend = bench.table.backend("b")
    assert backend is not None
    backend.endpoints["e"].pool = pool
    client.data_received(peer.data_to_send())
    upstream, transport = Http2Upstream(bench.proxy, pool, 100.0), KeptTransport()
    upstream.connection_made(transport)
    sent = SettingsFrame(0).serialize() + b"".join(Frames(seed))
    for at in range(0, len(sent), cut):
        if not transport.closing:
            upstream.data_received(sent[at : at + cut])
    upstream.connection_lost(None)
    client.connection_lost(None)
    assert (bench.leases, upstream.streams, client.streams) == (0, {}, {})
    assert "0 entries" in repr(bench.proxy.wheel)
    assert lengths_add_up(towards.written)


def lengths_add_up(data: bytes) -> bool:
    """Whether this is whole frames and nothing else."""
    while len(data) >= 9:
        data = data[9 + int.from_bytes(data[:3], "big") :]
    return not data

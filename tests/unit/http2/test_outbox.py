"""Whose data goes next, how much of it, and who is told."""

from __future__ import annotations

from dataplane.l7.http2.link import Link
from dataplane.l7.http2.outbox import Line, Outbox
from tests.fakes.http2_peers import request


class Source:
    """A stream that notes what it is told."""

    def __init__(self, id: int) -> None:
        self.id = id
        self.line = Line()
        self.told: list[str] = []

    def filled(self) -> None:
        self.told.append("filled")

    def drained(self) -> None:
        self.told.append("drained")

    def sent_all(self) -> None:
        self.told.append("sent all")


def opened(streams: int, window: int = 65_535) -> tuple[Link, Link, list[Source]]:
    """A client, and its server with so many open streams whose windows are `window`."""
    client, server = Link(is_client=True, list_max=8192), Link(is_client=False, list_max=8192)
    sources = [Source(2 * number + 1) for number in range(streams)]
    for source in sources:
        client.send_headers(source.id, request(), end_stream=True)
    server.receive_data(client.data_to_send())
    for source in sources:
        server.send_headers(source.id, [(b":status", b"200")])
        server.streams[source.id].outbound_flow_control_window = window
    server.data_to_send()
    return client, server, sources


def frames(data: bytes) -> list[tuple[int, int, int, int]]:
    """(kind, flags, stream, length) of each."""
    found = []
    while data:
        length = int.from_bytes(data[:3], "big")
        found.append((data[3], data[4], int.from_bytes(data[5:9], "big"), length))
        data = data[9 + length :]
    return found


def test_streams_take_turns_a_frame_each() -> None:
    _, server, (first, second) = opened(2)
    outbox = Outbox(65_536)
    outbox.put(first, b"a" * 40_000)
    outbox.put(second, b"b" * 10)
    outbox.finish(second, [])
    while outbox.pump(server, 65_536):
        pass
    assert frames(server.data_to_send()) == [
        (0, 0, 1, 16_384), (0, 1, 3, 10), (0, 0, 1, 16_384), (0, 0, 1, 7232)
    ]  # fmt: skip
    assert second.told == ["sent all"]
    assert not outbox.waiting
    assert outbox.frames == 4


def test_small_pieces_share_a_frame() -> None:
    _, server, [source] = opened(1)
    outbox = Outbox(65_536)
    for _ in range(100):
        outbox.put(source, b"ten octets")
    outbox.finish(source, [])
    outbox.pump(server, 65_536)
    assert frames(server.data_to_send()) == [(0, 1, 1, 1000)]


def test_trailers_come_after_the_data_and_an_end_alone_is_an_empty_frame() -> None:
    _, server, (first, second) = opened(2)
    outbox = Outbox(65_536)
    outbox.put(first, b"data")
    outbox.finish(first, [(b"grpc-status", b"0")])
    outbox.finish(second, [])
    outbox.pump(server, 65_536)
    kinds = [(kind, flags, stream) for kind, flags, stream, _ in frames(server.data_to_send())]
    assert kinds == [(0, 0, 1), (1, 5, 1), (0, 1, 3)]


def test_a_line_is_full_beyond_the_mark_and_not_so_at_a_quarter_of_it() -> None:
    _, server, (slow, other) = opened(2, window=100)
    outbox = Outbox(1000)
    outbox.put(slow, b"x" * 2000)
    outbox.put(other, b"y" * 50)
    outbox.finish(other, [])
    while outbox.pump(server, 65_536):
        pass
    assert (slow.told, slow.line.size, other.told) == (["filled"], 1900, ["sent all"])
    server.streams[1].outbound_flow_control_window = 1649
    outbox.pump(server, 65_536)
    assert slow.told == ["filled"]
    server.streams[1].outbound_flow_control_window = 1
    outbox.pump(server, 65_536)
    assert (slow.told, slow.line.size) == (["filled", "drained"], 250)
    assert repr(outbox) == "Outbox(250 bytes of 1 streams)"


def test_the_budget_bounds_what_is_handed_over_at_once() -> None:
    _, server, [source] = opened(1, window=1_000_000)
    server.outbound_flow_control_window = 1_000_000
    outbox = Outbox(65_536)
    outbox.put(source, b"x" * 100_000)
    assert outbox.pump(server, 20_000) == 2 * 16_384
    assert source.line.size == 100_000 - 2 * 16_384


def test_a_stream_that_was_reset_sends_nothing_and_holds_nobody_up() -> None:
    client, server, (gone, other) = opened(2)
    outbox = Outbox(65_536)
    outbox.put(gone, b"lost")
    outbox.put(other, b"here")
    client.reset_stream(1)
    server.receive_data(client.data_to_send())
    outbox.pump(server, 65_536)
    assert frames(server.data_to_send()) == [(0, 0, 3, 4)]
    outbox.drop(gone)
    assert not outbox.waiting

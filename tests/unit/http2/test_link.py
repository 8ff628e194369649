"""What the h2 library is made to do here: each test says when it does so no more."""

from __future__ import annotations

import pytest
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    RequestReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes
from hyperframe.frame import DataFrame, GoAwayFrame, HeadersFrame, PriorityFrame

from dataplane.l7.http2.link import STREAM_WINDOW, STREAMS_MAX, Link
from tests.fakes.http2_peers import Headers, request


def pair() -> tuple[Link, Link]:
    """A client and a server that have exchanged settings."""
    client, server = Link(is_client=True, list_max=8192), Link(is_client=False, list_max=8192)
    for _ in range(2):
        server.receive_data(client.data_to_send())
        client.receive_data(server.data_to_send())
    return client, server


def opened(headers: Headers | None = None) -> tuple[Link, Link]:
    client, server = pair()
    client.send_headers(1, headers or request(b"POST"))
    server.receive_data(client.data_to_send())
    return client, server


def test_what_is_announced_is_not_enforced_by_the_library() -> None:
    client, server = pair()
    assert client.remote_settings.max_concurrent_streams == STREAMS_MAX
    assert client.remote_settings.enable_connect_protocol == 0
    assert server.remote_settings.enable_push == 0
    client.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 1000
    client.remote_settings.acknowledge()
    for number in range(STREAMS_MAX + 5):
        client.send_headers(2 * number + 1, request())
    events = server.receive_data(client.data_to_send())
    assert sum(isinstance(event, RequestReceived) for event in events) == STREAMS_MAX + 5


@pytest.mark.parametrize("size", [1, 9])
def test_a_length_that_does_not_match_resets_the_stream_and_no_more(size: int) -> None:
    client, server = opened(request(b"POST", b"/", (b"content-length", b"5")))
    client.streams[1]._expected_content_length = None
    frame = DataFrame(1, data=b"x" * size)
    frame.flags.add("END_STREAM")
    before = server.inbound_flow_control_window
    [event] = [each for each in server.receive_data(frame.serialize()) if isinstance(each, StreamReset)]
    assert (event.stream_id, event.error_code, event.remote_reset) == (1, ErrorCodes.PROTOCOL_ERROR, False)
    assert before - server.inbound_flow_control_window <= size
    client.send_headers(3, request())
    assert server.receive_data(client.data_to_send())


def test_a_stream_that_sends_too_much_is_reset_and_no_more() -> None:
    _, server = opened()
    frames = [DataFrame(1, data=b"x" * 16_384).serialize() for _ in range(5)]
    events = server.receive_data(b"".join(frames))
    resets = [event for event in events if isinstance(event, StreamReset)]
    assert [event.error_code for event in resets] == [ErrorCodes.FLOW_CONTROL_ERROR]
    assert sum(len(event.data) for event in events if isinstance(event, DataReceived)) <= STREAM_WINDOW


def test_trailers_that_do_not_end_their_stream_reset_it() -> None:
    client, server = opened()
    frame = HeadersFrame(1)
    frame.data = client.encoder.encode([(b"x", b"y")])
    frame.flags.add("END_HEADERS")
    events = server.receive_data(frame.serialize())
    assert [event.error_code for event in events if isinstance(event, StreamReset)] == [ErrorCodes.PROTOCOL_ERROR]


def test_goaway_is_a_notice_in_both_directions() -> None:
    client, server = opened()
    server.go_away(1)
    events = client.receive_data(server.data_to_send())
    assert [event.last_stream_id for event in events if isinstance(event, ConnectionTerminated)] == [1]
    client.send_data(1, b"more", end_stream=True)
    assert any(isinstance(event, DataReceived) for event in server.receive_data(client.data_to_send()))
    server.send_headers(1, [(b":status", b"200")], end_stream=True)
    client.receive_data(server.data_to_send())
    frame = GoAwayFrame(0)
    server.receive_data(frame.serialize())
    assert not client.takes(1)


def test_priorities_are_forgotten_even_those_that_are_wrong_in_headers() -> None:
    client, server = pair()
    frame = HeadersFrame(1)
    frame.data = client.encoder.encode(request())
    frame.flags |= {"END_HEADERS", "PRIORITY"}
    frame.depends_on = 1
    assert any(isinstance(event, RequestReceived) for event in server.receive_data(frame.serialize()))
    other = PriorityFrame(3)
    other.depends_on = 1
    server.receive_data(other.serialize())


def test_frames_are_counted_and_a_long_one_is_refused_at_its_head() -> None:
    _, server = opened()
    before = server.frames
    server.receive_data(DataFrame(1, data=b"x").serialize() * 3)
    assert server.frames == before + 3
    with pytest.raises(ProtocolError):
        server.receive_data(b"\x00\x40\x01\x00\x00\x00\x00\x00\x01")
    assert server.data_to_send()[3] == 7  # GOAWAY


def test_what_may_be_sent_follows_the_streams_state() -> None:
    client, server = opened()
    assert client.takes(1)
    assert server.takes(1)
    client.end_stream(1)
    assert not client.takes(1)
    server.receive_data(client.data_to_send())
    assert server.takes(1)
    server.cut(1, ErrorCodes.CANCEL)
    server.cut(1, ErrorCodes.CANCEL)  # once is enough
    assert not server.takes(1)
    assert not server.takes(99)


@pytest.mark.parametrize("body", [b"", b"hello"])
def test_a_whole_answer_is_what_the_library_would_have_made_of_it(body: bytes) -> None:
    client, server = opened()
    windows = server.outbound_flow_control_window, server.streams[1].outbound_flow_control_window
    assert server.send_whole(1, [(b":status", b"200"), (b"x-a", b"1")], body)
    events = client.receive_data(server.data_to_send())
    [head] = [event for event in events if isinstance(event, ResponseReceived)]
    assert head.headers == [(b":status", b"200"), (b"x-a", b"1")]
    assert b"".join(event.data for event in events if isinstance(event, DataReceived)) == body
    assert any(isinstance(event, StreamEnded) for event in events)
    assert server.outbound_flow_control_window == windows[0] - len(body)
    assert server.streams[1].outbound_flow_control_window == windows[1] - len(body)
    assert not server.takes(1)
    assert not server.send_whole(1, [(b":status", b"200")], body)
    client.end_stream(1)
    server.receive_data(client.data_to_send())
    assert server.streams[1].closed


def test_closed_streams_are_cleared_up_now_and_then() -> None:
    client, server = pair()
    for number in range(5 * STREAMS_MAX):
        stream = 2 * number + 1
        client.send_headers(stream, request(), end_stream=True)
        server.receive_data(client.data_to_send())
        assert server.send_whole(stream, [(b":status", b"200")], b"")
        client.receive_data(server.data_to_send())
        assert len(server.streams) <= 2 * STREAMS_MAX + 1
    assert client.open_outbound_streams == 0


def test_what_windows_do_not_let_pass_is_not_sent_as_a_whole() -> None:
    _, server = opened()
    server.streams[1].outbound_flow_control_window = 4
    assert not server.send_whole(1, [(b":status", b"200")], b"hello")
    server.streams[1].outbound_flow_control_window = 5
    server.outbound_flow_control_window = 4
    assert not server.send_whole(1, [(b":status", b"200")], b"hello")
    server.outbound_flow_control_window = 5
    server.data_to_send()
    assert server.send_whole(1, [(b":status", b"200")], b"hello")

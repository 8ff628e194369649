"""The protocol machine of one HTTP/2 connection: the h2 library's, made to fail one stream at a time.

RFC 9113 5.4 knows two kinds of errors. What is wrong with the connection (frames, compression, the order of things)
ends it with GOAWAY; what is wrong with one stream (a length that does not match, trailers that do not end it, too much
data for its window) ends that stream with RST_STREAM, and the others go on. The library makes most of the second kind
into the first, closes its machine for good at any GOAWAY, so that what was begun cannot be finished, and takes a stream
too many as a broken connection. Here

- an error within a stream resets the stream, and is told as `StreamReset` with `remote_reset` False;
- GOAWAY is a notice in both directions (RFC 9113 6.8): `ConnectionTerminated` says which streams it is about;
- how many streams there may be is announced here and counted by whoever owns the streams;
- priorities, which RFC 9113 5.3.2 deprecates, are read and forgotten.

This leans on methods that h2 keeps to itself (4.1 to 4.x have them alike); a test for each says when that has changed.

Windows: a stream may have `STREAM_WINDOW` bytes on their way to us, and gets more when they were passed on. That bounds
memory by itself, so the connection's window is the largest there is and never holds one stream up for another.
"""

from __future__ import annotations

from typing import Any, Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, Event, StreamReset
from h2.exceptions import FrameTooLargeError, ProtocolError, StreamClosedError
from h2.settings import SettingCodes, Settings
from h2.stream import H2Stream, StreamClosedBy, StreamInputs, StreamState
from hyperframe.frame import DataFrame, Frame, GoAwayFrame, HeadersFrame, RstStreamFrame

from dataplane.l7.http2.compression import PlainEncoder, RememberingDecoder

STREAMS_MAX: Final = 128
"""Streams at a time on one connection: nginx's http2_max_concurrent_streams; RFC 9113 6.5.2 asks for at least 100."""

STREAM_WINDOW: Final = 65_535
"""RFC 9113 6.9.2's initial window; nginx's is 64k too, and it is one write buffer's worth (`Limits.buffer_high`)."""

WINDOW_MAX: Final = 2**31 - 1

CLOSED_KEPT: Final = 4096
"""Streams whose end is remembered, to tell late frames from wrong ones: far more than can be on their way."""

FRAME_SIZE: Final = 16_384
"""RFC 9113 4.2: what every peer takes in one frame."""

LAST_STREAM: Final = 2**31 - 1
"""The first GOAWAY of two names it: nothing is refused yet (RFC 9113 6.8)."""

_UNENFORCED: Final = 2**31 - 1
_SENDING: Final = frozenset((StreamState.OPEN, StreamState.HALF_CLOSED_REMOTE))
_END_STREAM: Final = 0x1
_END_HEADERS: Final = 0x4

Headers = list[tuple[bytes, bytes]]


def _frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    """RFC 9113 4.1."""
    begin = (len(payload) << 8 | kind).to_bytes(4, "big")
    return b"%b%b%b" % (begin, (flags << 32 | stream_id).to_bytes(5, "big"), payload)


class _Stream(H2Stream):
    """A stream whose errors are its own."""

    def receive_headers(self, *arguments: Any) -> tuple[list[Frame], list[Event]]:
        try:
            return super().receive_headers(*arguments)
        except StreamClosedError:
            raise
        except ProtocolError as error:
            return self._fail(error)

    def receive_data(self, *arguments: Any) -> tuple[list[Frame], list[Event]]:
        try:
            return super().receive_data(*arguments)
        except StreamClosedError:
            raise
        except ProtocolError as error:
            return self._fail(error)

    def _process_received_headers(self, headers: Any, *_: Any) -> Any:
        return headers  # nothing is to be done to them; what was decoded before stays the same object

    def _fail(self, error: ProtocolError) -> tuple[list[Frame], list[Event]]:
        self.state_machine.state = StreamState.CLOSED
        self.state_machine.stream_closed_by = StreamClosedBy.SEND_RST_STREAM
        frame = RstStreamFrame(self.stream_id)
        frame.error_code = error.error_code
        return [frame], [StreamReset(stream_id=self.stream_id, error_code=error.error_code, remote_reset=False)]


class Link(H2Connection):
    """One end of a connection, begun: `data_to_send` has the preface. `list_max`: bytes of a header list, RFC 9113
    6.5.2; twice as much is still read, so that who asks too much can be told so.
    """

    MAX_CLOSED_STREAMS = CLOSED_KEPT

    def __init__(self, *, is_client: bool, list_max: int) -> None:
        # what comes in is judged by `translate`, and what goes out is made by it
        super().__init__(
            H2Configuration(
                client_side=is_client,
                validate_inbound_headers=False,
                normalize_inbound_headers=False,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self.frames = 0  # received so far
        announced = {
            SettingCodes.MAX_CONCURRENT_STREAMS: STREAMS_MAX,
            SettingCodes.MAX_HEADER_LIST_SIZE: list_max,
            SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
        }
        if is_client:
            announced[SettingCodes.ENABLE_PUSH] = 0
        self.local_settings = Settings(client=is_client, initial_values=announced)
        self.encoder = PlainEncoder()  # type: ignore[assignment]
        self.decoder = RememberingDecoder(2 * list_max)
        self.initiate_connection()
        unenforced = {**announced, SettingCodes.MAX_CONCURRENT_STREAMS: _UNENFORCED}
        self.local_settings = Settings(client=is_client, initial_values=unenforced)
        self.increment_flow_control_window(WINDOW_MAX - STREAM_WINDOW)

    def receive_data(self, data: Any) -> list[Event]:
        """As h2's, but a frame that is too long is refused at its head and not when all of it has come (16 MiB)."""
        events = super().receive_data(data)
        begun = self.incoming_buffer._data
        if len(begun) >= 3 and int.from_bytes(begun[:3], "big") > self.max_inbound_frame_size:
            self._terminate_connection(ErrorCodes.FRAME_SIZE_ERROR)
            raise FrameTooLargeError(f"a frame is longer than {self.max_inbound_frame_size} bytes")
        return events

    # what h2 would take for the end of the connection

    def _receive_frame(self, frame: Frame) -> list[Event]:
        self.frames += 1
        return super()._receive_frame(frame)

    @property
    def open_inbound_streams(self) -> int:
        """h2 asks at each new stream, and clears up closed ones as it counts. Who owns the streams counts them here; to
        clear up is enough now and then.
        """
        return super().open_inbound_streams if len(self.streams) > 2 * STREAMS_MAX else 0

    def _begin_new_stream(self, *arguments: Any) -> H2Stream:
        stream = super()._begin_new_stream(*arguments)
        stream.__class__ = _Stream
        return stream

    def _receive_headers_frame(self, frame: HeadersFrame) -> tuple[list[Frame], list[Event]]:
        frame.flags.discard("PRIORITY")
        return super()._receive_headers_frame(frame)

    def _receive_data_frame(self, frame: DataFrame) -> tuple[list[Frame], list[Event]]:
        frames, events = super()._receive_data_frame(frame)
        if events and isinstance(events[-1], StreamReset):  # nobody will acknowledge what it brought
            self.acknowledge_received_data(frame.flow_controlled_length, frame.stream_id)
        return frames, events

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[Event]]:
        notice = ConnectionTerminated()
        notice.error_code = frame.error_code
        notice.last_stream_id = frame.last_stream_id
        notice.additional_data = frame.additional_data or None
        return [], [notice]

    # what h2 does not have

    def go_away(self, last_stream: int, code: ErrorCodes = ErrorCodes.NO_ERROR, why: bytes = b"") -> None:
        """Tell the peer that no stream after `last_stream` is or will be looked at."""
        frame = GoAwayFrame(0)
        frame.last_stream_id, frame.error_code, frame.additional_data = last_stream, code, why
        self._prepare_for_sending([frame])

    def cut(self, stream_id: int, code: ErrorCodes) -> None:
        """Reset a stream in whatever state it is; nothing if it has ended in both directions."""
        stream = self.streams.get(stream_id)
        if stream is not None and not stream.closed:
            self.reset_stream(stream_id, code)

    def send_whole(self, stream_id: int, headers: Headers, data: bytes) -> bool:
        """A short head with all of its body, at once, in two frames; False if windows do not let it pass. What most
        answers are, at a third of what h2 needs for it.
        """
        stream, size = self.streams.get(stream_id), len(data)
        if stream is None or stream.state_machine.state not in _SENDING:
            return False
        if size > min(self.outbound_flow_control_window, stream.outbound_flow_control_window, FRAME_SIZE):
            return False
        block = self.encoder.encode(headers)
        stream.state_machine.process_input(StreamInputs.SEND_HEADERS)
        stream.state_machine.process_input(StreamInputs.SEND_END_STREAM)
        out = self._data_to_send
        if size:
            stream.outbound_flow_control_window -= size
            self.outbound_flow_control_window -= size
            out += _frame(1, _END_HEADERS, stream_id, block)
            out += _frame(0, _END_STREAM, stream_id, data)
        else:
            out += _frame(1, _END_HEADERS | _END_STREAM, stream_id, block)
        return True

    def takes(self, stream_id: int) -> bool:
        """Whether the stream may still be sent on."""
        stream = self.streams.get(stream_id)
        return stream is not None and stream.state_machine.state in _SENDING

    def room(self, stream_id: int) -> int:
        """How many bytes of data may go into the stream's next frame."""
        return min(self.local_flow_control_window(stream_id), self.max_outbound_frame_size)

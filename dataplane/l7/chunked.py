"""The chunked coding, RFC 9112 7.1: bytes in pieces of any size to data and trailers, and back.

The decoder keeps nothing of the body: data comes out as it goes in. What it holds is the part of a line that has not
ended yet, and that is bounded, as is what a sender may spend on things that are thrown away: a chunk's line may have
`LINE_MAX` bytes, and over the whole body size lines and extensions may cost `OVERHEAD_MAX` more than data pays for (a
sender of one-byte chunks with long extensions makes us read without end for nothing; Go's net/http bounds the same
ratio since CVE-2023-39326).

Every line ends with CRLF, nothing else. Extensions are never passed on.
"""

from __future__ import annotations

from typing import Final

from dataplane.l7.events import Fields, Refusal
from dataplane.l7.fields import parse_fields
from dataplane.l7.grammar import CHUNK_LINE, LENGTH_MAX, STRAY

LINE_MAX: Final = 4096  # HAProxy and Go have the same order; real extensions (signatures) need about 100
OVERHEAD_MAX: Final = 16 * 1024  # as Go's net/http
TRAILERS_MAX: Final = 8 * 1024  # one nginx header buffer
TRAILER_FIELDS_MAX: Final = 100

LAST_CHUNK: Final = b"0\r\n\r\n"


class ChunkedDecoder:
    """Feed it bytes; it answers with data until `done`, then `rest` is what came after the body."""

    __slots__ = ("_left", "_line", "_overhead", "_seen", "_step", "done", "rest", "trailers")

    def __init__(self) -> None:
        self._step = "size"  # size -> data -> end -> size ... -> trailers
        self._left = 0  # bytes of the current chunk still to come
        self._line = b""  # an unfinished line, or the unfinished trailer section
        self._overhead = 0
        self._seen = 0  # how much of an unfinished trailer section was looked at
        self.done = False
        self.rest = b""
        self.trailers: Fields = ()

    def feed(self, data: bytes) -> bytes:
        """The body's data in `data`, b"" if there is none; raises Refusal(400) for anything but the coding."""
        out: list[bytes] = []
        if self._line:
            data, self._line = self._line + data, b""
        at, size = 0, len(data)
        while at < size and not self.done:
            if self._step == "data":
                piece = data[at : at + self._left]
                out.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._step = "end"
            elif self._step == "end":
                if not b"\r\n".startswith(data[at : at + 2]):
                    raise Refusal(400, "a chunk does not end where it said")
                if size - at < 2:
                    break
                at += 2
                self._step = "size"
            elif self._step == "size":
                end = data.find(b"\r\n", at)
                self._check_line(data, at, end)
                if end < 0:
                    break
                self._begin_chunk(data[at:end])
                at = end + 2
            else:
                end = self._end_of_trailers(data, at)
                if end < 0:
                    break
                at = end
        if self.done:
            self.rest = data[at:]
        else:
            self._line = data[at:]
        return out[0] if len(out) == 1 else b"".join(out)

    def _check_line(self, data: bytes, at: int, end: int) -> None:
        """Refuse a size line that is too long, or that has ended otherwise than with CRLF."""
        length = (end if end >= 0 else len(data)) - at
        if length > LINE_MAX:
            raise Refusal(400, f"a chunk's size line is longer than {LINE_MAX} bytes")
        if end < 0 and (data.find(b"\n", at) >= 0 or data.find(b"\r", at, len(data) - 1) >= 0):
            raise Refusal(400, "a chunk's size line ends without CRLF")

    def _begin_chunk(self, line: bytes) -> None:
        found = CHUNK_LINE.fullmatch(line)
        if found is None:
            raise Refusal(400, "a chunk's size is malformed")
        length = int(found[1], 16)
        if length > LENGTH_MAX:
            raise Refusal(413, "a chunk is longer than 2^63 bytes")
        self._overhead = max(0, self._overhead + len(line) - 16 - 2 * length)
        if self._overhead > OVERHEAD_MAX:
            raise Refusal(400, "chunk extensions outweigh the data")
        self._left = length
        self._step = "data" if length else "trailers"

    def _end_of_trailers(self, data: bytes, at: int) -> int:
        """Where the trailer section that begins at `at` ends, -1 if not yet."""
        if data.startswith(b"\r\n", at):
            self.done = True
            return at + 2
        end = data.find(b"\r\n\r\n", at + max(0, self._seen - 3))
        if (end if end >= 0 else len(data)) - at > TRAILERS_MAX:
            raise Refusal(431, f"the trailers are longer than {TRAILERS_MAX} bytes")
        if end < 0:
            if STRAY.search(data, at + max(0, self._seen - 1)):
                raise Refusal(400, "a trailer line ends without CRLF")
            self._seen = len(data) - at
            return -1
        fields = parse_fields(data[at : end + 2], TRAILER_FIELDS_MAX)
        self.trailers = tuple((field.name, field.value) for field in fields)
        self.done = True
        return end + 4


def chunk(data: bytes) -> bytes:
    """`data` as one chunk; nothing for nothing, since an empty chunk would be the last."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""

"""The chunked coding, in pieces of every size, against h11 and against itself."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplane.l7.chunked import LAST_CHUNK, LINE_MAX, ChunkedDecoder, chunk
from dataplane.l7.events import Refusal


def decode(*pieces: bytes) -> tuple[bytes, ChunkedDecoder]:
    decoder = ChunkedDecoder()
    return b"".join([decoder.feed(piece) for piece in pieces]), decoder


@pytest.mark.parametrize(
    ("coded", "data"),
    [
        (b"0\r\n\r\n", b""),
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
        (b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
        (b"00000000000000000000005\r\nhello\r\n000\r\n\r\n", b"hello"),
        (b"5;a\r\nhello\r\n0;b=c\r\n\r\n", b"hello"),
        (b'5 ;a="\\"x"\r\nhello\r\n0\r\n\r\n', b"hello"),
        (b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n"),
    ],
)
def test_chunks_become_data_in_whatever_pieces_they_come(coded: bytes, data: bytes) -> None:
    for cut in range(len(coded)):
        out, decoder = decode(coded[:cut], coded[cut:] + b"next")
        assert (out, decoder.done, decoder.rest) == (data, True, b"next")
    out, decoder = decode(*[coded[at : at + 1] for at in range(len(coded))])
    assert (out, decoder.done, decoder.rest) == (data, True, b"")


@pytest.mark.parametrize(
    "coded",
    [
        b"0x5\r\n",
        b"+5\r\n",
        b"-1\r\n",
        b" 5\r\n",
        b"5 \r\n",
        b"5_0\r\n",
        b"\r\n",
        b"5\n",
        b"5\rhello",
        b"g\r\n",
        b";a\r\n",
        b"5;a\x00\r\n",
        b"5;a\rb\r\n",
        b"5;a\nb\r\n",
        b"5\r\nhelloX",
        b"5\r\nhello\n",
        b"5\r\nhello!\r\n0\r\n\r\n",
        b"0\r\nA : b\r\n\r\n",
        b"0\r\n A: b\r\n\r\n",
        b"0\r\nA: b\nc\r\n\r\n",
        "٥\r\n".encode(),
    ],
)
def test_anything_else_is_refused(coded: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        decode(coded)
    assert caught.value.status == 400
    with pytest.raises(Refusal):
        decode(*[coded[at : at + 1] for at in range(len(coded))])


@pytest.mark.parametrize("size", [b"8000000000000000", b"FFFFFFFFFFFFFFFF", b"10000000000000000"])
def test_a_chunk_longer_than_anyone_can_count_is_refused(size: bytes) -> None:
    with pytest.raises(Refusal):
        decode(size + b"\r\n")


def test_the_longest_chunk_is_not() -> None:
    out, decoder = decode(b"7FFFFFFFFFFFFFFF\r\nabc")
    assert (out, decoder.done) == (b"abc", False)


def test_trailers_are_read_and_bounded() -> None:
    coded = b"0\r\nX-A: 1\r\nb: 2\r\n\r\n"
    for cut in range(len(coded)):
        _, decoder = decode(coded[:cut], coded[cut:] + b"rest")
        assert (decoder.trailers, decoder.rest) == (((b"X-A", b"1"), (b"b", b"2")), b"rest")
    with pytest.raises(Refusal):
        decode(b"0\r\n" + b"A: b\r\n" * 2000)


def test_what_is_thrown_away_is_bounded() -> None:
    with pytest.raises(Refusal):
        decode(b"5;" + b"a" * (LINE_MAX + 1))
    with pytest.raises(Refusal):
        decode(*[b"1;" + b"a" * 1000 + b"\r\nx\r\n"] * 20)
    paying = b"1000;" + b"a" * 1000 + b"\r\n" + b"x" * 4096 + b"\r\n"
    out, _ = decode(*[paying] * 50)
    assert len(out) == 50 * 4096


def test_no_chunk_is_empty() -> None:
    assert chunk(b"") == b""
    assert chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=5), st.lists(st.integers(1, 9), min_size=1, max_size=8))
@settings(max_examples=100, deadline=None)
def test_what_is_coded_is_decoded_by_us_and_by_h11(datas: list[bytes], steps: list[int]) -> None:
    coded = b"".join(chunk(data) for data in datas) + LAST_CHUNK
    pieces: list[bytes] = []
    at = 0
    while at < len(coded):
        step = steps[len(pieces) % len(steps)]
        pieces.append(coded[at : at + step])
        at += step
    out, decoder = decode(*pieces)
    assert (out, decoder.done) == (b"".join(datas), True)
    server = h11.Connection(h11.SERVER)
    server.receive_data(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + coded)
    server.next_event()
    theirs = b""
    while isinstance(event := server.next_event(), h11.Data):
        theirs += bytes(event.data)
    assert theirs == out


@given(st.binary(max_size=12), st.integers(0, 16), st.integers(0, 4))
@settings(max_examples=200, deadline=None)
def test_pieces_never_change_what_is_decoded(junk: bytes, at: int, cut: int) -> None:
    good = b"5\r\nhello\r\n0\r\n\r\n"
    coded = good[:at] + junk + good[at + cut :]

    def outcome(pieces: list[bytes]) -> tuple[str, bytes, bool, bytes]:
        try:
            out, decoder = decode(*pieces)
        except Refusal:
            return "refused", b"", False, b""
        return "ok", out, decoder.done, decoder.rest

    whole = outcome([coded])
    single = outcome([coded[i : i + 1] for i in range(len(coded))])
    if whole[2]:  # what comes after the end is rest, and a decoder that is done is not fed
        assert (single[0], single[1], single[2]) == ("ok", whole[1], True)
    else:
        assert single == whole

"""Header compression: what is encoded decodes to the same, and what is remembered is what would be decoded."""

from __future__ import annotations

from hpack import Decoder, Encoder
from hypothesis import given
from hypothesis import strategies as st

from dataplane.l7.http2.compression import PlainEncoder, RememberingDecoder

pairs = st.tuples(st.sampled_from([b":method", b":status", b"accept", b"x-a", b"cookie"]), st.binary(max_size=300))
fixed = st.sampled_from([(b":method", b"GET"), (b":status", b"200"), (b"accept-encoding", b"gzip, deflate")])


@given(st.lists(pairs | fixed, max_size=8))
def test_what_is_encoded_decodes_to_the_same(headers: list[tuple[bytes, bytes]]) -> None:
    assert Decoder().decode(PlainEncoder().encode(headers), raw=True) == headers


def test_a_field_of_the_static_table_is_one_octet() -> None:
    assert PlainEncoder().encode([(b":method", b"GET"), (b":status", b"404")]) == b"\x82\x8d"


def test_a_peer_that_lowers_its_limit_is_told_that_there_is_no_table() -> None:
    encoder = PlainEncoder()
    encoder.header_table_size = 100
    assert encoder.encode([(b":method", b"GET")]) == b"\x20\x82"
    assert encoder.encode([(b":method", b"GET")]) == b"\x82"


@given(st.lists(st.tuples(st.lists(pairs | fixed, max_size=4), st.sampled_from([None, 0, 60, 4096])), max_size=12))
def test_the_memory_never_differs_from_a_decoder_without(
    blocks: list[tuple[list[tuple[bytes, bytes]], int | None]],
) -> None:
    encoder, plain, remembering = Encoder(), Decoder(), RememberingDecoder(65_536)
    for headers, size in blocks:
        if size is not None:
            encoder.header_table_size = size
        for _ in range(2):  # the second time often without a change of the table
            block = encoder.encode(headers)
            assert remembering.decode(block, raw=True) == plain.decode(block, raw=True)


def test_a_block_that_changes_nothing_is_decoded_once() -> None:
    encoder, decoder = Encoder(), RememberingDecoder(65_536)
    headers = [(b":method", b"GET"), (b"x-a", b"1")]
    for _ in range(2):
        decoder.decode(encoder.encode(headers), raw=True)
    block = encoder.encode(headers)
    assert decoder.decode(block, raw=True) is decoder.decode(block, raw=True)

"""Heads between the versions: what is refused, and that nothing changes its meaning on the way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.l7.codec import parse_request, parse_response
from dataplane.l7.events import Refusal
from dataplane.l7.http2 import translate
from dataplane.l7.limits import Limits

LIMITS = Limits()
PLAIN = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"h"), (b":path", b"/")]


def changed(name: bytes, value: bytes | None) -> list[tuple[bytes, bytes]]:
    """PLAIN with one pseudo-field otherwise, or without it."""
    return [(key, value if key == name else old) for key, old in PLAIN if key != name or value is not None]  # type: ignore[misc]


def test_a_request_is_written_as_the_http_1_head_that_says_the_same() -> None:
    head = translate.request_head([*PLAIN, (b"accept", b"*/*"), (b"te", b"trailers")], ended=True)
    assert head == b"GET / HTTP/1.1\r\nHost: h\r\naccept: */*\r\nte: trailers\r\n\r\n"


def test_a_body_of_unknown_length_is_chunked_and_one_of_a_known_length_is_not() -> None:
    assert parse_request(translate.request_head(PLAIN, ended=False), LIMITS).terms.body == "chunked"
    sized = translate.request_head([*PLAIN, (b"content-length", b"3")], ended=False)
    assert (parse_request(sized, LIMITS).terms.body, parse_request(sized, LIMITS).terms.length) == ("length", 3)


def test_cookies_that_came_in_pieces_are_one_again() -> None:
    pieces = [*PLAIN, (b"cookie", b"a=1"), (b"accept", b"x"), (b"cookie", b"b=2")]
    assert b"\r\ncookie: a=1; b=2\r\n" in translate.request_head(pieces, ended=True)


def test_host_does_for_authority_and_must_agree_with_it() -> None:
    assert b"Host: other\r\n" in translate.request_head(
        [*changed(b":authority", None), (b"host", b"other")], ended=True
    )
    assert translate.request_head([*PLAIN, (b"host", b"H")], ended=True).count(b"\r\nHost: h\r\n") == 1
    with pytest.raises(Refusal):
        translate.request_head([*PLAIN, (b"host", b"other")], ended=True)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (changed(b":method", None), 400),
        (changed(b":method", b"GE T"), 400),
        (changed(b":method", b"CONNECT"), 501),
        (changed(b":path", None), 400),
        (changed(b":path", b""), 400),
        (changed(b":path", b"*x"), 400),
        (changed(b":path", b"http://h/"), 400),
        (changed(b":path", b"/a b"), 400),
        (changed(b":path", b"/\r\nX: y"), 400),
        (changed(b":path", b"/#a"), 400),
        (changed(b":scheme", None), 400),
        (changed(b":scheme", b"ftp"), 400),
        (changed(b":authority", None), 400),
        (changed(b":authority", b"user@h"), 400),
        (changed(b":authority", b"h\r\nX: y"), 400),
        ([*PLAIN, (b":path", b"/again")], 400),
        ([*PLAIN, (b":status", b"200")], 400),
        ([*PLAIN, (b":protocol", b"websocket")], 400),
        ([*PLAIN, (b"accept", b"x"), (b":path", b"/")], 400),
        ([*PLAIN, (b"Accept", b"x")], 400),
        ([*PLAIN, (b"", b"x")], 400),
        ([*PLAIN, (b"a b", b"x")], 400),
        ([*PLAIN, (b"a:", b"x")], 400),
        ([*PLAIN, (b"a", b"x\r\ny: z")], 400),
        ([*PLAIN, (b"a", b"x\ny")], 400),
        ([*PLAIN, (b"a", b"x\0y")], 400),
        ([*PLAIN, (b"a", b" x")], 400),
        ([*PLAIN, (b"a", b"x\t")], 400),
        ([*PLAIN, (b"connection", b"close")], 400),
        ([*PLAIN, (b"transfer-encoding", b"chunked")], 400),
        ([*PLAIN, (b"upgrade", b"websocket")], 400),
        ([*PLAIN, (b"keep-alive", b"1")], 400),
        ([*PLAIN, (b"proxy-connection", b"close")], 400),
        ([*PLAIN, (b"te", b"trailers, deflate")], 400),
        ([*PLAIN, (b"content-length", b"3")], 400),
        ([*PLAIN, (b"host", b"h"), (b"host", b"h")], 400),
    ],
)
def test_a_malformed_request_is_refused(headers: list[tuple[bytes, bytes]], status: int) -> None:
    with pytest.raises(Refusal) as refusal:
        translate.request_head(headers, ended=True)
    assert refusal.value.status == status


@pytest.mark.parametrize("status", [b"", b"99", b"600", b"20", b"abc", b"101", b"200 OK"])
def test_a_response_needs_a_status_that_can_be(status: bytes) -> None:
    with pytest.raises(Refusal):
        translate.response_head([(b":status", status)])


def test_a_response_is_parsed_like_any_other() -> None:
    response = parse_response(translate.response_head([(b":status", b"204"), (b"x", b"y")]), LIMITS)
    assert (response.status, response.reason, response.body) == (204, b"No Content", "none")
    assert parse_response(translate.response_head([(b":status", b"299")]), LIMITS).body == "close"


def test_out_again_without_what_http_2_has_frames_for() -> None:
    own = b"TE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n"
    head = b"POST /a?b HTTP/1.1\r\nHost: h\r\nX-A: B\r\n%b\r\n" % own
    assert translate.request_headers(head) == [
        (b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"h"), (b":path", b"/a?b"),
        (b"x-a", b"B"), (b"te", b"trailers"),
    ]  # fmt: skip


def test_a_response_out_has_a_date_and_no_upper_case() -> None:
    response = parse_response(b"HTTP/1.1 200 OK\r\nX-A: B\r\nConnection: close\r\nContent-Length: 2\r\n\r\n", LIMITS)
    assert translate.response_headers(response, b"Date: now\r\n") == [
        (b":status", b"200"), (b"x-a", b"B"), (b"content-length", b"2"), (b"date", b"now"),
    ]  # fmt: skip


def test_trailers_are_fields_only_and_those_that_may_be() -> None:
    assert translate.trailers([(b"grpc-status", b"0")]) == ((b"grpc-status", b"0"),)
    with pytest.raises(Refusal):
        translate.trailers([(b":status", b"200")])
    assert translate.trailer_headers(((b"Grpc-Status", b"0"), (b"Host", b"x"))) == [(b"grpc-status", b"0")]


names = st.from_regex(rb"[a-z0-9-]{1,12}", fullmatch=True).filter(
    lambda name: name not in translate.CONNECTION_SPECIFIC | {b"host", b"te", b"cookie", b"content-length"}
)
values = st.binary(max_size=40)


@given(st.lists(st.tuples(names, values), max_size=8), st.binary(max_size=30), st.binary(max_size=20))
def test_whatever_is_accepted_is_read_as_it_was_meant(
    fields: list[tuple[bytes, bytes]], path: bytes, authority: bytes
) -> None:
    """The smuggler's law: no octet of a name, value, path or authority can become structure."""
    pseudo = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", authority), (b":path", b"/" + path)]
    try:
        request = parse_request(translate.request_head([*pseudo, *fields], ended=True), LIMITS)
    except Refusal:
        return
    assert (request.target, request.terms.host, request.terms.body) == (b"/" + path, authority, "none")
    assert [(field.lower, field.value) for field in request.fields] == [(b"host", authority), *fields]


@given(st.lists(st.tuples(names.filter(lambda name: name != b"date"), values), max_size=8))
def test_a_response_that_is_accepted_goes_through_unchanged(fields: list[tuple[bytes, bytes]]) -> None:
    try:
        response = parse_response(translate.response_head([(b":status", b"200"), *fields]), LIMITS)
    except Refusal:
        return
    gone = {b"forwarded", b"trailer", b"x-real-ip", b"keep-alive"}
    out = translate.response_headers(response, b"Date: now\r\n")
    assert [field for field in out[1:-1]] == [field for field in fields if field[0] not in gone]  # noqa: C416

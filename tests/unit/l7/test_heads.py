"""What is remembered is what would be parsed, and it is bounded."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from dataplane.l7.codec import parse_request
from dataplane.l7.events import Refusal, Request
from dataplane.l7.heads import SIZE, RequestHeads, ResponseHeads
from dataplane.l7.limits import Limits

LIMITS = Limits()


def told(request: Request) -> dict[str, object]:
    return {
        name: [field.line for field in request.fields] if name == "fields" else getattr(request, name)
        for name in Request.__slots__
    }


def outcome(parse: Callable[[bytes], Request], head: bytes) -> object:
    try:
        return told(parse(head))
    except Refusal as refusal:
        return refusal.status, refusal.why


LINES = [
    b"GET /a?b HTTP/1.1", b"GET / HTTP/1.0", b"HEAD //x HTTP/1.1", b"OPTIONS * HTTP/1.1", b"OPTIONS /x HTTP/1.1",
    b"GET http://u/p HTTP/1.1", b"POST /p HTTP/1.9", b"CONNECT /x HTTP/1.1", b"TRACE / HTTP/1.1", b"GET /a#b HTTP/1.1",
    b"GET /" + b"a" * 1000 + b" HTTP/1.1", b"GET / HTTP/2.0", b"PUT /%2e HTTP/1.1",
]  # fmt: skip
FIELDS = [
    b"Host: h", b"Host: H:80", b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Connection: upgrade, X",
    b"Upgrade: websocket", b"X: 1", b"Max-Forwards: 3", b"TE: trailers", b"X-Forwarded-For: a", b"Expect: 100-continue",
    b"Connection: close", b"bad line",
]  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(LINES), st.lists(st.sampled_from(FIELDS), max_size=4)), max_size=8))
@settings(max_examples=150, deadline=None)
def test_what_is_found_is_what_would_be_parsed(messages: list[tuple[bytes, list[bytes]]]) -> None:
    heads = RequestHeads(LIMITS)
    for line, fields in messages * 3:
        head = b"\r\n".join([line, *fields]) + b"\r\n\r\n"
        assert outcome(heads.parse, head) == outcome(lambda head: parse_request(head, LIMITS), head)


def test_equal_heads_share_a_value_and_long_ones_are_not_kept() -> None:
    heads = RequestHeads(LIMITS)
    head = b"GET /0 HTTP/1.1\r\nHost: h\r\n\r\n"
    assert heads.parse(head) is not heads.parse(head)  # once may be chance
    assert heads.parse(head) is heads.parse(bytes(bytearray(head)))
    long = b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"b" * 3000 + b"\r\n\r\n"
    assert heads.parse(long) is not heads.parse(long)
    answer = b"HTTP/1.1 200 OK\r\n\r\n"
    responses = ResponseHeads(LIMITS)
    assert responses.parse(answer) is responses.parse(bytes(bytearray(answer)))
    assert repr(responses) == "ResponseHeads(1 known)"


def test_the_memory_is_bounded() -> None:
    heads = RequestHeads(LIMITS)
    for number in range(SIZE + 1):
        for _ in range(2):
            heads.parse(b"GET /%d HTTP/1.1\r\nHost: h%d\r\n\r\n" % (number, number))
        assert len(heads.known) <= SIZE
        assert len(heads._seen) <= SIZE
        assert len(heads._twins) <= SIZE

"""What is remembered is what would be parsed, and it is bounded."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from dataplane.l7.codec import parse_request
from dataplane.l7.events import Refusal, Request, Terms
from dataplane.l7.heads import SIZE, RequestHeads, ResponseHeads
from dataplane.l7.limits import Limits

LIMITS = Limits()


def told(request: Request) -> dict[str, object]:
    terms = {name: getattr(request.terms, name) for name in Terms.__slots__}
    fields = [field.line for field in request.fields]
    return {**terms, "target": request.target, "path": request.path, "fields": fields, "kept": request.kept}


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
    for line, fields in messages * 2:
        head = b"\r\n".join([line, *fields]) + b"\r\n\r\n"
        parsed = outcome(lambda head: parse_request(head, LIMITS), head)
        recalled = heads.recall(head)
        assert recalled is None or told(recalled) == parsed
        assert outcome(heads.parse, head) == parsed


@given(st.binary(max_size=12), st.sampled_from([b"/", b"/a?b=", b"", b"*"]))
@settings(max_examples=300, deadline=None)
def test_any_target_is_recalled_as_it_would_be_parsed_or_not_at_all(junk: bytes, begin: bytes) -> None:
    heads = RequestHeads(LIMITS)
    rest = b" HTTP/1.1\r\nHost: h\r\n\r\n"
    heads.parse(b"GET /" + rest)
    head = b"GET " + begin + junk + rest
    recalled = heads.recall(head)
    if recalled is not None:
        assert told(recalled) == outcome(lambda head: parse_request(head, LIMITS), head)


def test_a_head_that_differs_in_its_target_is_recalled() -> None:
    heads = RequestHeads(LIMITS)
    first = heads.parse(b"GET /0 HTTP/1.1\r\nHost: h\r\n\r\n")
    second = heads.recall(b"GET /1?2 HTTP/1.1\r\nHost: h\r\n\r\n")
    assert second is not None
    assert (second.target, second.path) == (b"/1?2", b"/1")
    assert second.terms is first.terms
    for other in (
        b"HEAD /1 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /1 HTTP/1.0\r\nHost: h\r\n\r\n",
        b"GET /1 HTTP/1.1\r\nHost: i\r\n\r\n",
        b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET",
        b"GET /1 HTTP/1.1\r\nHost: h\r\n",
        b"GET /1",
    ):
        assert heads.recall(other) is None


def test_long_heads_are_not_kept() -> None:
    heads = RequestHeads(LIMITS)
    long = b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"b" * 3000 + b"\r\n\r\n"
    heads.parse(long)
    assert heads.recall(long) is None
    heads.parse(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert heads.recall(b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: h\r\n\r\n") is None  # 414 is the parser's
    assert repr(heads) == "RequestHeads(1 known)"
    narrow = RequestHeads(Limits(request_line_max=40))
    narrow.parse(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert narrow.recall(b"GET /" + b"a" * 40 + b" HTTP/1.1\r\nHost: h\r\n\r\n") is None


def test_equal_responses_share_a_value() -> None:
    answer = b"HTTP/1.1 200 OK\r\n\r\n"
    responses = ResponseHeads(LIMITS)
    assert responses.parse(answer) is responses.parse(bytes(bytearray(answer)))
    assert repr(responses) == "ResponseHeads(1 known)"


def test_the_memory_is_bounded() -> None:
    requests, responses = RequestHeads(LIMITS), ResponseHeads(LIMITS)
    for number in range(SIZE + 1):
        requests.parse(b"GET / HTTP/1.1\r\nHost: h%d\r\n\r\n" % number)
        responses.parse(b"HTTP/1.1 200 OK\r\nETag: %d\r\n\r\n" % number)
    assert (repr(requests), repr(responses)) == ("RequestHeads(1 known)", "ResponseHeads(1 known)")

"""What is remembered is what would be parsed, and it is bounded."""

from __future__ import annotations

from collections.abc import Callable

import pytest
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
    for line, fields in messages * 3:
        head = b"\r\n".join([line, *fields]) + b"\r\n\r\n"
        parsed = outcome(lambda head: parse_request(head, LIMITS), head)
        found = heads.whole(head)
        assert found is None or told(found) == parsed
        assert outcome(heads.parse, head) == parsed


@given(st.binary(max_size=12), st.sampled_from([b"/", b"/a?b=", b"", b"*"]))
@settings(max_examples=300, deadline=None)
def test_any_target_is_found_as_it_would_be_parsed_or_not_at_all(junk: bytes, begin: bytes) -> None:
    rest = b" HTTP/1.1\r\nHost: h\r\n\r\n"
    heads = knowing(b"GET /" + rest)
    head = b"GET " + begin + junk + rest
    found = heads.whole(head)
    if found is not None:
        assert told(found) == outcome(lambda head: parse_request(head, LIMITS), head)


def knowing(head: bytes, limits: Limits = LIMITS) -> RequestHeads:
    heads = RequestHeads(limits)
    heads.parse(head)
    assert repr(heads) == "RequestHeads(0 known)"  # once may be chance
    heads.parse(head)
    assert repr(heads) == "RequestHeads(1 known)"
    return heads


def test_a_head_that_differs_in_its_target_shares_its_terms() -> None:
    first = b"GET /0 HTTP/1.1\r\nHost: h\r\n\r\n"
    heads = knowing(first)
    second = heads.whole(b"GET /1?2 HTTP/1.1\r\nHost: h\r\n\r\n")
    assert second is not None
    assert (second.target, second.path) == (b"/1?2", b"/1")
    assert second.fields is heads.parse(first).fields


NOT_PLAIN = [
    b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET",
    b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /1 HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /1 HTTP/1.1\r\nHost: h\r\n",
    b"GET /1",
    b"\r\nGET /1 HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET  /1 HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /1 HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
    b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: h\r\n\r\n",
]


@pytest.mark.parametrize("data", NOT_PLAIN)
def test_what_is_not_one_whole_good_head_is_left_to_a_closer_look(data: bytes) -> None:
    assert knowing(b"GET /0 HTTP/1.1\r\nHost: h\r\n\r\n").whole(data) is None


def test_memory_never_goes_beyond_a_limit() -> None:
    heads = RequestHeads(LIMITS)
    long = b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"b" * 3000 + b"\r\n\r\n"
    assert told(heads.parse(long)) == told(heads.parse(long))
    assert repr(heads) == "RequestHeads(0 known)"
    narrow = knowing(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", Limits(request_line_max=40))
    assert narrow.whole(b"GET /" + b"a" * 40 + b" HTTP/1.1\r\nHost: h\r\n\r\n") is None


def test_equal_responses_share_a_value() -> None:
    answer = b"HTTP/1.1 200 OK\r\n\r\n"
    responses = ResponseHeads(LIMITS)
    assert responses.parse(answer) is responses.parse(bytes(bytearray(answer)))
    assert repr(responses) == "ResponseHeads(1 known)"


def test_the_memory_is_bounded() -> None:
    requests, responses = RequestHeads(LIMITS), ResponseHeads(LIMITS)
    for number in range(SIZE + 1):
        for _ in range(2):
            requests.parse(b"GET / HTTP/1.1\r\nHost: h%d\r\n\r\n" % number)
        assert len(requests._seen) <= SIZE
        responses.parse(b"HTTP/1.1 200 OK\r\nETag: %d\r\n\r\n" % number)
    assert (repr(requests), repr(responses)) == ("RequestHeads(1 known)", "ResponseHeads(1 known)")

"""Whatever a policy says, what is written is one well-formed head: nothing of a policy begins a line of its own."""

from __future__ import annotations

import string
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataplane.filters.passage import Answer
from dataplane.filters.policy import Policy, Shared
from dataplane.l7.answers import answer
from dataplane.l7.codec import parse_request, parse_response
from dataplane.l7.headers import downstream_head, edge_of
from dataplane.l7.limits import Limits
from dataplane.l7.treatment import Treatment, amended, asked_of
from dataplane.snapshot.check import problem
from dataplane.snapshot.model import Route
from dataplane.snapshot.policy import (
    BasicAuth,
    Canary,
    CookieAffinity,
    Cors,
    HttpsRedirect,
    RateLimits,
    Redirect,
    RoutePolicy,
)
from tests.fakes.asked import backend

LIMITS = Limits()
DATE = b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
TEXTS = st.text(string.ascii_letters + string.digits + "/$.:-_ \t\r\n\0#?;,=%\"'<>é{}", max_size=12)
PLAIN = st.sampled_from(["", "/", "/x", "/$1", "x", "a.example", "https://a.example/x", "/a b", "/#", "/é", "/?q"])
VALUES = TEXTS | PLAIN
PARTS: dict[str, st.SearchStrategy[Any]] = {
    "denied": VALUES,
    "redirect": st.builds(Redirect, VALUES, st.sampled_from([301, 302, 308])),
    "redirect_host": VALUES,
    "https": st.builds(HttpsRedirect, st.just(("",)), st.sampled_from([0, 443, 8443])),
    "app_root": VALUES,
    "cors": st.builds(Cors, st.just(("*",)), VALUES, VALUES, VALUES),
    "limits": st.just(RateLimits(per_second=1, burst_factor=0)),
    "auth": st.builds(BasicAuth, VALUES, st.just((("jo", "{PLAIN}pw"),))),
    "rewrite_target": VALUES,
    "forwarded_prefix": VALUES,
    "host": VALUES,
    "response_fields": st.tuples(st.tuples(VALUES, VALUES)),
    "location_from": st.just("https://a"),
    "location_to": VALUES,
    "affinity": st.builds(CookieAffinity, VALUES, path=VALUES, domain=VALUES),
    "canary": st.just(Canary(weight=1)),
}
POLICIES = (
    st.lists(st.sampled_from(sorted(PARTS)), max_size=4, unique=True)  # of more, hardly one is valid
    .flatmap(lambda names: st.fixed_dictionaries({name: PARTS[name] for name in names}))
    .map(lambda parts: RoutePolicy("a/i", **parts))
    .filter(lambda spec: problem(spec) == "")
)
REQUESTS = st.sampled_from(
    [
        b"GET /x/y?q=1 HTTP/1.1\r\nHost: h\r\nAuthorization: Basic am86cHc=\r\n\r\n",
        b"OPTIONS / HTTP/1.1\r\nHost: h:80\r\nOrigin: https://a\r\nCookie: a=b\r\nConnection: x-a\r\nX-A: b\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"POST http://g/x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
    ]
)
RESPONSES = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: https://a.example/x/y\r\nDate: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    ]
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.filter_too_much])
@given(POLICIES, st.sampled_from([("/(.*)", "Regex"), ("/x", "Prefix")]), REQUESTS, RESPONSES)
def test_every_head_is_well_formed(spec: RoutePolicy, rule: tuple[str, Any], head: bytes, response_head: bytes) -> None:
    to = backend("b", "e")
    policy = Policy(Route("r", "t", "", rule[0], rule[1], "b", ("", "", 0)), to, Shared(spec))
    request = parse_request(head, LIMITS)
    edge = edge_of(b"http", b"192.0.2.1", b"127.0.0.1", 80, "replace", b"loopkube")
    verdict = policy.decide(asked_of(request, edge, 0.0, 0.0, to))
    if isinstance(verdict, Answer):
        response, _ = answer(verdict.status, verdict.text)
        response = amended(response, verdict.lines, frozenset(), None)
        written = downstream_head(response, request, DATE, framing=b"", closing=True)
        assert parse_response(written, LIMITS).status == verdict.status
        return
    treatment = Treatment(verdict)
    changed = treatment.request(request)
    upstream = parse_request(edge.upstream_head(changed), LIMITS)
    assert (upstream.terms.method, upstream.terms.length) == (request.terms.method, request.terms.length)
    assert sum(field.lower == b"host" for field in upstream.fields) == 1
    if spec.host:
        assert upstream.terms.host == spec.host.encode()
    endpoint = treatment.pick(to)
    response = treatment.response(parse_response(response_head, LIMITS), endpoint)
    written = downstream_head(response, request, DATE, framing=b"", closing=False)
    again = parse_response(written, LIMITS)
    assert again.status == response.status
    assert {field.lower for field in response.fields} <= {
        *(field.lower for field in again.fields), b"transfer-encoding"
    }  # fmt: skip

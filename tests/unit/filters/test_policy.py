"""Filters in their order, and the choice of the backend."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from dataplane.filters.canary import Shaper
from dataplane.filters.passage import Answer
from dataplane.filters.policy import UNKNOWN, Alternative, Way
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
from tests.fakes.asked import asked, backend, policy

EVERYTHING: dict[str, Any] = {
    "app_root": "/app",
    "body_max": 10,
    "denied": "why",
    "cors": Cors(("*",), "GET", "X"),
    "redirect": Redirect("https://x", 301),
    "https": HttpsRedirect(("h.example",)),
    "limits": RateLimits(per_second=1, burst_factor=0),
    "deny": ("192.0.2.0/24",),
    "auth": BasicAuth("r", ()),
}


def test_each_filter_answers_when_those_before_it_are_gone() -> None:
    left, found = dict(EVERYTHING), []
    while left:
        compiled = policy(RoutePolicy("a/i", **left))
        verdicts = [compiled.decide(asked("/", method="OPTIONS", length=11)) for _ in range(2)]
        answer = verdicts[1]
        assert isinstance(answer, Answer)
        found.append(answer.status)
        left.pop(next(iter(left)))
    assert found == [302, 413, 503, 204, 301, 308, 503, 403, 401]


def test_fields_for_every_answer_are_in_refusals_too() -> None:
    spec = RoutePolicy("a/i", cors=Cors(("*",), "GET", "X"), response_fields=(("X-A", "b"),), allow=("10.0.0.0/8",))
    answer = policy(spec).decide(asked())
    assert isinstance(answer, Answer)
    assert answer.status == 403
    assert answer.lines.startswith(b"X-A: b\r\nAccess-Control-Allow-Origin: *\r\n")


def test_a_refused_request_is_not_under_way() -> None:
    compiled = policy(RoutePolicy("a/i", limits=RateLimits(connections=1), allow=("10.0.0.0/8",)))
    answers = [compiled.decide(asked()) for _ in range(3)]
    assert [answer.status for answer in answers if isinstance(answer, Answer)] == [403, 403, 403]


def test_https_is_for_hosts_with_tls() -> None:
    spec = RoutePolicy("a/i", https=HttpsRedirect(("other.example",)))
    assert isinstance(policy(spec).decide(asked()), Way)
    assert isinstance(policy(spec, host="other.example").decide(asked()), Answer)


def test_an_unknown_policy_lets_nobody_pass() -> None:
    answer = policy(UNKNOWN).decide(asked())
    assert isinstance(answer, Answer)
    assert answer.status == 503


def way(verdict: Answer | Way) -> Way:
    assert isinstance(verdict, Way)
    return verdict


def alternative(spec: Canary, *ids: str, affinity: CookieAffinity | None = None) -> Alternative:
    return Alternative("canary", backend("c", *ids), Shaper(spec), affinity)


@pytest.mark.parametrize(("ids", "drawn", "chosen"), [(("x",), 0.4, "c"), (("x",), 0.6, "b"), ((), 0.4, "b")])
def test_a_canary_takes_its_share_if_it_can(ids: tuple[str, ...], drawn: float, chosen: str) -> None:
    compiled = policy(RoutePolicy("a/i"), alternative=alternative(Canary(weight=50), *ids))
    found = way(compiled.decide(asked(random=lambda: drawn)))
    assert (found.backend.name, found.route) == (chosen, "canary" if chosen == "c" else "r")


def test_who_was_with_the_canary_stays_there() -> None:
    for with_canary in (True, False):
        spec = RoutePolicy("a/i", affinity=CookieAffinity("S", with_canary=with_canary))
        compiled = policy(spec, alternative=alternative(Canary(weight=50), "x"))
        cookies = {}
        for drawn in (0.4, 0.6):
            found = way(compiled.decide(asked(random=lambda drawn=drawn: drawn)))
            if found.stickiness is not None:
                _, line = found.stickiness.pick(asked(), found.backend)
                cookies[found.backend.name] = line.split(b"; ")[0].removeprefix(b"Set-Cookie: ").decode()
        assert set(cookies) == ({"b", "c"} if with_canary else {"b"})
        for name, cookie in cookies.items():
            chosen = {
                way(compiled.decide(asked(fields={"Cookie": cookie}, random=lambda drawn=drawn: drawn))).backend.name
                for drawn in (0.4, 0.6)
            }
            assert chosen == ({name} if with_canary else {"b", "c"})


def test_the_fallback_serves_while_the_backend_cannot() -> None:
    spec = RoutePolicy("a/i", fallback="f")
    for ids, fallback_ids, chosen in [((), ("x",), "f"), (("e",), ("x",), "b"), ((), (), "b")]:
        compiled = policy(spec, to=backend("b", *ids), fallback=backend("f", *fallback_ids))
        found = way(compiled.decide(asked()))
        assert found.backend.name == chosen
        expected = b"X-Code: 503\r\nX-Namespace: a\r\nX-Ingress-Name: i\r\n" if chosen == "f" else b""
        assert found.passage.lines == expected


@pytest.mark.parametrize(
    ("client", "password", "status"), [("10.0.0.1", "", 0), ("192.0.2.7", "pw", 0), ("192.0.2.7", "guess", 401)]
)
def test_any_door_suffices_if_told_so(client: str, password: str, status: int) -> None:
    auth = BasicAuth("r", (("jo", "{PLAIN}pw"),))
    spec = RoutePolicy("a/i", allow=("10.0.0.0/8",), auth=auth, any_suffices=True)
    fields = {"Authorization": "Basic " + base64.b64encode(f"jo:{password}".encode()).decode()} if password else {}
    found = policy(spec).decide(asked(client=client, fields=fields))
    if status:
        assert isinstance(found, Answer)
        assert found.status == status
    else:
        assert way(found).passage.removes == {b"authorization"}

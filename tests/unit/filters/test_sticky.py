"""Cookie affinity: clients come back."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest

from dataplane.balance.backend import Backend, Endpoint
from dataplane.filters.sticky import Stickiness
from dataplane.snapshot import model
from dataplane.snapshot.policy import CookieAffinity
from tests.fakes.asked import asked, backend
from tests.fakes.contract import endpoint

IDS = ("a", "b", "c", "d")


def pick(sticky: Stickiness, to: Backend, cookie: str = "", drawn: float = 0.5, now: float = 0.0) -> tuple[str, str]:
    """(endpoint, the new cookie's value or "")."""
    request = asked(
        fields={"Cookie": f"x=y; S={cookie}"} if cookie else {}, random=random.Random(drawn).random, now=now
    )
    found, line = sticky.pick(request, to)
    assert found is not None
    to.release(found)
    value = re.search(rb"Set-Cookie: S=([^;]*)", line)
    return found.id, value[1].decode() if value else ""


@pytest.mark.parametrize("persistent", [False, True])
def test_a_client_comes_back(persistent: bool) -> None:
    to = backend("b", *IDS)
    sticky = Stickiness(CookieAffinity("S", persistent=persistent), "b", "/")
    for drawn in (0.1, 0.4, 0.9):
        first, cookie = pick(sticky, to, drawn=drawn)
        assert cookie
        assert [pick(sticky, to, cookie) for _ in range(5)] == [(first, "")] * 5


@pytest.mark.parametrize("persistent", [False, True])
def test_a_client_whose_endpoint_left_gets_another_and_a_cookie(persistent: bool) -> None:
    to = backend("b", *IDS)
    sticky = Stickiness(CookieAffinity("S", persistent=persistent), "b", "/")
    first, cookie = pick(sticky, to)
    to.endpoints.pop(first).remove()
    to.touch()
    second, replaced = pick(sticky, to, cookie)
    assert second != first
    if persistent:
        assert replaced
        cookie = replaced
    assert pick(sticky, to, cookie) == (second, "")


@pytest.mark.parametrize("changes_on_failure", [False, True])
@pytest.mark.parametrize("persistent", [False, True])
def test_nobody_sticks_to_an_ejected_endpoint_and_all_come_back_when_it_does(
    persistent: bool, changes_on_failure: bool
) -> None:
    to = backend("b", *IDS)
    to.set_spec(model.Backend("b", "round-robin", eject_after=1, eject_s=10.0))
    sticky = Stickiness(CookieAffinity("S", persistent=persistent, changes_on_failure=changes_on_failure), "b", "/")
    first, cookie = pick(sticky, to)
    to.answered(to.endpoints[first], False, 0.1, 1.0)
    meanwhile = [pick(sticky, to, cookie, now=2.0) for _ in range(5)]
    ((second, replaced),) = set(meanwhile)
    assert second != first, "and on one other endpoint, not on all of them"
    assert bool(replaced) is changes_on_failure
    assert pick(sticky, to, replaced or cookie, now=12.0) == (second if replaced else first, "")


def test_new_clients_get_no_ejected_endpoint() -> None:
    to = backend("b", *IDS)
    to.set_spec(model.Backend("b", "round-robin", eject_after=1, eject_s=10.0))
    sticky = Stickiness(CookieAffinity("S"), "b", "/")
    first, _ = pick(sticky, to, drawn=0.3)
    to.answered(to.endpoints[first], False, 0.1, 1.0)
    assert pick(sticky, to, drawn=0.3, now=2.0)[0] != first


def test_balanced_gives_a_new_endpoint_its_share_and_moves_nobody_else() -> None:
    rng = random.Random(1)
    to = backend("b", *IDS)
    sticky = Stickiness(CookieAffinity("S"), "b", "/")
    clients = [pick(sticky, to, drawn=rng.random()) for _ in range(400)]
    assert min(Counter(who for who, _ in clients).values()) > 60  # of 100 expected
    to.endpoints["e"] = Endpoint(endpoint("e", "b", port=9000))
    to.touch()
    after = [pick(sticky, to, cookie)[0] for _, cookie in clients]
    moved = [now for (before, _), now in zip(clients, after, strict=True) if now != before]
    assert set(moved) == {"e"}
    assert 40 < len(moved) < 130  # of 80 expected; 0.999 of the binomial lies within


def test_persistent_stays_whoever_comes() -> None:
    to = backend("b", *IDS)
    sticky = Stickiness(CookieAffinity("S", persistent=True), "b", "/")
    clients = [pick(sticky, to) for _ in range(8)]
    to.endpoints["e"] = Endpoint(endpoint("e", "b", port=9000))
    to.touch()
    assert [pick(sticky, to, cookie)[0] for _, cookie in clients] == [who for who, _ in clients]


def test_a_cookie_of_another_backend_is_not_ours() -> None:
    to = backend("b", *IDS)
    ours, other = Stickiness(CookieAffinity("S"), "b", "/"), Stickiness(CookieAffinity("S"), "canary", "/")
    _, cookie = pick(ours, to)
    request = asked(fields={"Cookie": f"S={cookie}"})
    assert ours.is_ours(request)
    assert not other.is_ours(request)
    assert pick(other, to, cookie)[1]


def test_after_a_failure_the_cookie_moves_only_if_told_so() -> None:
    to = backend("b", *IDS)
    keeps = Stickiness(CookieAffinity("S"), "b", "/")
    changes = Stickiness(CookieAffinity("S", changes_on_failure=True), "b", "/")
    rng = random.Random(2)
    request = asked(random=rng.random)
    for sticky in (keeps, changes):
        sticky.pick(request, to)
    assert keeps.moved(request, to.endpoints["c"]) == b""
    line = changes.moved(request, to.endpoints["c"])
    value = re.search(rb"S=([^;]*)", line)
    assert value is not None
    assert pick(changes, to, value[1].decode()) == ("c", "")


@pytest.mark.parametrize(
    ("spec", "scheme", "attributes"),
    [
        (CookieAffinity("S"), b"http", b"Path=/r; HttpOnly"),
        (CookieAffinity("S"), b"https", b"Path=/r; Secure; HttpOnly"),
        (CookieAffinity("S", secure="always"), b"http", b"Path=/r; Secure; HttpOnly"),
        (CookieAffinity("S", secure="never"), b"https", b"Path=/r; HttpOnly"),
        (
            CookieAffinity("S", path="/p", domain="d.example", expires_s="60", max_age_s="-1", same_site="Lax"),
            b"http",
            b"Expires=Thu, 01 Jan 1970 00:01:00 GMT; Max-Age=-1; Domain=d.example; Path=/p; HttpOnly; SameSite=Lax",
        ),
    ],
)
def test_the_attributes(spec: CookieAffinity, scheme: bytes, attributes: bytes) -> None:
    line = Stickiness(spec, "b", "/r").line(b"k", asked(scheme=scheme))
    assert re.fullmatch(rb"Set-Cookie: S=k\|[0-9a-f]{16}; " + re.escape(attributes) + rb"\r\n", line)


def test_without_endpoints_there_is_none() -> None:
    assert Stickiness(CookieAffinity("S"), "b", "/").pick(asked(), backend("b")) == (None, b"")

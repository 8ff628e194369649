"""Policies that no worker could act upon are refused, each with what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from dataplane.snapshot.check import problem
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

GOOD: dict[str, Any] = {
    "redirect": Redirect("https://x/?a=b", 301),
    "https": HttpsRedirect(("h", ""), 443),
    "app_root": "/app",
    "cors": Cors(("*", "null", "https://*.a.example:80"), "GET", "X"),
    "limits": RateLimits(1, 2, 3, 0, ("10.0.0.0/8",)),
    "allow": ("10.0.0.0/8", "::1"),
    "auth": BasicAuth("a realm", (("jo", "{SHA}x"), ("al", "$2y$05$x"), ("md", "$apr1$a$b"))),
    "body_max": 1,
    "rewrite_target": "/$1",
    "response_fields": (("X-A", "b; c"),),
    "affinity": CookieAffinity("S", expires_s="-5", max_age_s="0", path="/p"),
    "canary": Canary(header_pattern="(a|b)+", weight=1),
}


def test_what_can_be_used_passes() -> None:
    assert problem(RoutePolicy("p", **GOOD)) == ""
    assert problem(RoutePolicy("p")) == ""


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        ({"app_root": "/a\r\nSet-Cookie: x"}, "app_root: '/a\\r\\nSet-Cookie: x' holds a control character"),
        ({"response_fields": (("X", "a\nb"),)}, "response_fields[0][1]"),
        ({"response_fields": (("X Y", "a"),)}, "'X Y' is no field name"),
        ({"response_fields": (("Transfer-Encoding", "chunked"),)}, "or not one to set"),
        ({"affinity": CookieAffinity("S", domain="a\x00")}, "affinity.domain"),
        ({"redirect": Redirect("https://x", 200)}, "redirect.status: 200"),
        ({"https": HttpsRedirect((), 70000)}, "port 70000"),
        ({"body_max": -1}, "body_max"),
        ({"host": ":"}, "host: ':' is not a host"),
        ({"rewrite_target": "/a b"}, "rewrite_target: '/a b' is not a path"),
        ({"rewrite_target": "/a?b"}, "is not a path"),
        ({"app_root": "app"}, "'app' is not a path from the root"),
        ({"redirect": Redirect("https://x y", 301)}, "redirect.to"),
        ({"redirect_host": "a/b"}, "redirect_host"),
        ({"location_to": "é"}, "is not visible ASCII"),
        ({"allow": ("10.0.0.0/33",)}, "allow: '10.0.0.0/33'"),
        ({"deny": ("",)}, "deny: ''"),
        ({"cors": Cors(("a.example",), "GET", "X")}, "cors.origins: 'a.example'"),
        ({"cors": Cors((), "GET", "X")}, "at least one"),
        ({"limits": RateLimits(-1)}, "limits.per_second"),
        ({"limits": RateLimits(exempt=("x",))}, "limits.exempt: 'x'"),
        ({"auth": BasicAuth("r", (("jo", "$6$salt$hash"),))}, "the hash of 'jo' is none of"),
        ({"affinity": CookieAffinity("a=b")}, "'a=b' is no cookie name"),
        ({"affinity": CookieAffinity("S", expires_s="1h")}, "affinity.expires_s: '1h'"),
        ({"affinity": CookieAffinity("S", path="/;Secure")}, "affinity.path"),
        ({"canary": Canary(header_pattern="(a")}, "canary.header_pattern: '(a'"),
        ({"canary": Canary(weight=-1)}, "canary.weight"),
    ],
)
def test_what_cannot_is_named(bad: dict[str, Any], text: str) -> None:
    found = problem(RoutePolicy("p", **(GOOD | bad)))
    assert found.startswith("routepolicy p: ")
    assert text in found

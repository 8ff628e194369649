"""Who asks: certificates, tokens, hosts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from control.apiserver.auth import Authenticator, is_own_host, user_of_certificate
from control.apiserver.exchange import User
from tests.fakes.cluster import Clock

ACCOUNT = {"metadata": {"name": "robot", "namespace": "ns", "uid": "u1"}}


def _lookup(found: dict[tuple[str, str, str], Any]) -> Any:
    return lambda resource, namespace, name: found.get((resource, namespace, name))


HERE = _lookup({("serviceaccounts", "ns", "robot"): ACCOUNT})


def test_a_certificate_names_user_and_groups() -> None:
    subject = ((("organizationName", "system:masters"),), (("organizationName", "b"),), (("commonName", "ann"),))
    user = user_of_certificate({"subject": subject})
    assert user == User("ann", ("system:masters", "b", "system:authenticated"))
    assert user_of_certificate({"subject": ((("organizationName", "a"),),)}) is None
    assert user_of_certificate({}) is None
    assert user_of_certificate(None) is None


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("Bearer secret", "bob"),
        ("bearer secret", "bob"),
        ("Bearer wrong", ""),
        ("Basic secret", ""),
        ("secret", ""),
        ("", ""),
    ],
)
def test_static_tokens(header: str, name: str) -> None:
    auth = Authenticator(tokens={"secret": User("bob")})
    user = auth.user_of_header(header, HERE)
    assert (user.name if user else "") == name


def _token(auth: Authenticator, **more: Any) -> str:
    return auth.issue(ACCOUNT, audiences=[auth.issuer], seconds=600, **more)[0]


def test_a_service_account_token_lives_until_it_expires() -> None:
    clock = Clock()
    auth = Authenticator(signing_key=b"key", clock=clock)
    token = _token(auth)
    user = auth.user_of_token(token, HERE)
    assert user is not None
    assert (user.name, user.uid) == ("system:serviceaccount:ns:robot", "u1")
    clock.advance(599)
    assert auth.user_of_token(token, HERE) is not None
    clock.advance(1)
    assert auth.user_of_token(token, HERE) is None


def test_it_ends_with_its_account_and_with_what_it_is_bound_to() -> None:
    auth = Authenticator(signing_key=b"key", clock=Clock())
    token = _token(auth)
    assert auth.user_of_token(token, _lookup({})) is None
    again = {"metadata": {**ACCOUNT["metadata"], "uid": "u2"}}
    assert auth.user_of_token(token, _lookup({("serviceaccounts", "ns", "robot"): again})) is None
    bound = _token(auth, bound_to=("Secret", {"metadata": {"name": "s", "uid": "u3"}}))
    assert auth.user_of_token(bound, HERE) is None


def test_what_somebody_else_signed_or_changed_is_refused() -> None:
    clock = Clock()
    auth = Authenticator(signing_key=b"key", clock=clock)
    token = _token(auth)
    head, claims, signature = token.split(".")
    other = _token(Authenticator(signing_key=b"other", clock=clock))
    unaimed = auth.issue(ACCOUNT, audiences=["vault"], seconds=600)[0]
    for bad in (
        other,
        f"{head}.{claims}.",
        f"{head}.{claims[:-2]}.{signature}",
        f"{head}..{signature}",
        "a.b.c",
        unaimed,
    ):
        assert auth.user_of_token(bad, HERE) is None, bad
    assert Authenticator(clock=clock).user_of_token(token, HERE) is None
    assert not Authenticator(clock=clock).can_issue


def test_a_token_from_the_future_is_not_valid_yet() -> None:
    late = Authenticator(signing_key=b"key", clock=Clock(datetime(2027, 1, 1, tzinfo=UTC)))
    assert Authenticator(signing_key=b"key", clock=Clock()).user_of_token(_token(late), HERE) is None


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1:6443", True), ("localhost:6443", True), ("LOCALHOST", True), ("[::1]:6443", True), ("[::1]", True),
        ("kubernetes.default.svc", True), ("kubernetes.default.svc.cluster.local:443", True), ("", True),
        ("evil.example:6443", False), ("kubernetes.default.evil.example", False), ("127.0.0.1.evil.example", False),
    ],
)  # fmt: skip
def test_only_our_own_names_are_answered(host: str, own: bool) -> None:
    assert is_own_host(host) is own

"""Who asks: client certificates and bearer tokens.

A client certificate that the cluster's CA has signed names a user (CN) and groups (O). TLS has checked it; here its
subject is read. A bearer token is either one of a static table or a service account's: a JWT signed with the cluster's
own key (HS256: the server is the only one who issues and verifies), bound to the account's UID, so that it ends with
the account. Whoever shows neither is nobody, and nobody gets 401: this API can start processes, so no web page and no
other user of the machine may reach it without a secret.

There is no authorization behind it: whoever is authenticated may do everything (README).
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from control.api.objects import Object
from control.apiserver.exchange import User

AUTHENTICATED = "system:authenticated"
ISSUER = "https://kubernetes.default.svc.cluster.local"  # kubeadm's --service-account-issuer
TOKEN_DEFAULT_S = 3600
TOKEN_LEAST_S = 600  # apiserver's minimum for TokenRequest
TOKEN_MOST_S = 1 << 32

Lookup = Callable[[str, str, str], Object | None]
"""(resource, namespace, name) -> the stored object."""


def user_of_certificate(certificate: Mapping[str, Any] | None) -> User | None:
    """The subject of a verified peer certificate, in the form of ssl's getpeercert()."""
    if not certificate:
        return None
    name, groups = "", []
    for relative in certificate.get("subject", ()):
        for key, value in relative:
            if key == "commonName":
                name = value
            elif key == "organizationName":
                groups.append(value)
    return authenticated(name, groups) if name else None


def authenticated(name: str, groups: Sequence[str], uid: str = "", extra: Mapping[str, Any] | None = None) -> User:
    return User(name, (*dict.fromkeys(groups), AUTHENTICATED), uid, dict(extra or {}))


class Authenticator:
    """`tokens` is the static table; without `signing_key` no service account token is issued or accepted."""

    def __init__(
        self,
        *,
        tokens: Mapping[str, User] | None = None,
        signing_key: bytes = b"",
        issuer: str = ISSUER,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._tokens = {_digest(token): user for token, user in (tokens or {}).items()}
        self._key = signing_key
        self.issuer = issuer
        self._clock = clock

    def __repr__(self) -> str:
        return f"<Authenticator: {len(self._tokens)} static tokens, issuer {self.issuer}>"

    def user_of_token(self, token: str, lookup: Lookup) -> User | None:
        found = self._tokens.get(_digest(token))  # by digest: comparing secrets byte by byte tells them by timing
        if found is not None:
            return authenticated(found.name, found.groups, found.uid, found.extra)
        return self._service_account(token, lookup)

    def user_of_header(self, authorization: str, lookup: Lookup) -> User | None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return None
        return self.user_of_token(token.strip(), lookup)

    # Service account tokens

    def issue(
        self,
        account: Object,
        *,
        audiences: Sequence[str],
        seconds: int,
        bound_to: tuple[str, Object] | None = None,
    ) -> tuple[str, datetime]:
        """A token for a service account, and when it expires. `bound_to`: (kind, object) that it ends with."""
        metadata = account["metadata"]
        now = self._clock()
        expires = now + timedelta(seconds=seconds)
        kubernetes: Object = {
            "namespace": metadata["namespace"],
            "serviceaccount": {"name": metadata["name"], "uid": metadata["uid"]},
        }
        if bound_to is not None:
            kind, obj = bound_to
            reference = {"name": obj["metadata"]["name"], "uid": obj["metadata"]["uid"]}
            kubernetes[kind.lower()] = reference
        claims = {
            "aud": list(audiences),
            "exp": int(expires.timestamp()),
            "iat": int(now.timestamp()),
            "nbf": int(now.timestamp()),
            "iss": self.issuer,
            "kubernetes.io": kubernetes,
            "sub": f"system:serviceaccount:{metadata['namespace']}:{metadata['name']}",
        }
        signed = f"{_encode(orjson.dumps({'alg': 'HS256', 'typ': 'JWT'}))}.{_encode(orjson.dumps(claims))}"
        return f"{signed}.{_encode(self._sign(signed))}", expires

    @property
    def can_issue(self) -> bool:
        return bool(self._key)

    def _sign(self, text: str) -> bytes:
        return hmac.new(self._key, text.encode(), hashlib.sha256).digest()

    def _service_account(self, token: str, lookup: Lookup) -> User | None:
        claims = self._verified(token)
        if claims is None:
            return None
        inner = claims.get("kubernetes.io") or {}
        account, namespace = inner.get("serviceaccount") or {}, str(inner.get("namespace", ""))
        if not _is_there(lookup("serviceaccounts", namespace, str(account.get("name", ""))), account):
            return None
        extra: dict[str, tuple[str, ...]] = {}
        for kind, resource in (("pod", "pods"), ("secret", "secrets")):
            bound = inner.get(kind)
            if bound is None:
                continue
            if not _is_there(lookup(resource, namespace, str(bound.get("name", ""))), bound):
                return None
            if kind == "pod":
                extra["authentication.kubernetes.io/pod-name"] = (bound["name"],)
                extra["authentication.kubernetes.io/pod-uid"] = (bound["uid"],)
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
        return authenticated(str(claims.get("sub", "")), groups, str(account.get("uid", "")), extra)

    def _verified(self, token: str) -> Mapping[str, Any] | None:
        """The claims of a token that this server signed for itself and that has not expired."""
        signed, _, signature = token.rpartition(".")
        if not self._key or signed.count(".") != 1:
            return None
        try:
            if not hmac.compare_digest(_decode(signature), self._sign(signed)):
                return None
            claims = orjson.loads(_decode(signed.partition(".")[2]))
        except ValueError:
            return None
        now = self._clock().timestamp()
        if not isinstance(claims, dict) or claims.get("iss") != self.issuer or self.issuer not in claims.get("aud", ()):
            return None
        if not claims.get("nbf", 0) <= now + 60 or not now < claims.get("exp", 0):  # a minute of clock skew, as jose
            return None
        return claims


def _is_there(obj: Object | None, reference: Mapping[str, Any]) -> bool:
    return obj is not None and obj["metadata"].get("uid") == reference.get("uid")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


HOSTS = frozenset({
    "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
})  # fmt: skip


def is_own_host(host: str, names: frozenset[str] = HOSTS) -> bool:
    """Whether a Host header may be ours: an address or one of our names. A DNS name that somebody made point here is
    not; refusing it keeps a browser from being led to this API (DNS rebinding) with its user's certificate."""
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    name = name.strip("[]").rstrip(".").lower()
    if not name or name in names:
        return True
    return all(part.isdecimal() for part in name.split(".")) or ":" in name

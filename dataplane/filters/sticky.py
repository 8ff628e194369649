"""Cookie affinity: a client comes back to the endpoint that it had.

The cookie's value is `key|backend`, the second part telling the canary's clients from the others'. In `balanced` mode
(ingress-nginx's default) the key is a number of no meaning and the endpoint follows from it by rendezvous hashing
(Thaler and Ravishankar 1998: the endpoint with the highest hash of key and id), so that a new endpoint takes over its
share of the clients and nobody else moves. In `persistent` mode the key names the endpoint, by a digest of its id, and
clients stay with it as long as it is usable; new endpoints get new clients only.

A cookie is set when there was none or its endpoint is not usable any more. When a try fails and another endpoint
answers, the cookie stays as it is unless `changes_on_failure`; the same holds while its endpoint is ejected: until it
comes back, the client is with the next endpoint in its key's order.
"""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate
from hashlib import blake2b

from dataplane.balance.backend import Backend, Endpoint
from dataplane.filters.passage import Asked
from dataplane.snapshot.policy import CookieAffinity

DIGEST_BYTES = 8
REMEMBERED_MAX = 4096  # keys whose endpoint is remembered: hashing with a hundred endpoints costs 60 us
DRAWS = 20  # ingress-nginx's MAX_UPSTREAM_CHECKS_COUNT: how often a key for one endpoint of n is looked for, times n


class Stickiness:
    """What a cookie means for one backend, and what it must become."""

    __slots__ = ("_backend_key", "_digests", "_known", "_name", "_of", "_path", "spec")

    def __init__(self, spec: CookieAffinity, backend: str, path: str) -> None:
        self.spec = spec
        self._name = spec.cookie.encode()
        self._path = (spec.path or path or "/").encode()
        self._backend_key = _digest(backend.encode())
        self._of: tuple[Endpoint, ...] = ()
        self._known: dict[bytes, Endpoint] = {}  # key -> endpoint among `_of`
        self._digests: dict[bytes, Endpoint] = {}

    def is_ours(self, asked: Asked) -> bool:
        """Whether the client was with this backend before."""
        return (asked.cookie(self._name) or b"").partition(b"|")[2] == self._backend_key

    def pick(self, asked: Asked, backend: Backend) -> tuple[Endpoint | None, bytes]:
        """Lease the client's endpoint, or another one; and the Set-Cookie line, b"" if the cookie stands."""
        usable = backend.usable
        if usable is not self._of:
            self._of, self._known = usable, {}
            self._digests = {_digest(each.id.encode()): each for each in usable}
        if not usable:
            return None, b""
        key, _, of = (asked.cookie(self._name) or b"").partition(b"|")
        if key and (of == self._backend_key or not of):
            endpoint = self._find(key)
            if endpoint is not None:
                return self._lease(endpoint, key, asked, backend)
        if self.spec.persistent:
            endpoint = backend.pick((), asked.now)
            return endpoint, self.line(_digest(endpoint.id.encode()), asked) if endpoint is not None else b""
        key = _draw(asked.random)
        endpoint = self._find(key)
        assert endpoint is not None
        return self._lease(endpoint, key, asked, backend)[0], self.line(key, asked)

    def moved(self, asked: Asked, endpoint: Endpoint) -> bytes:
        """The Set-Cookie line for a client whose request another endpoint answered in the end."""
        if not self.spec.changes_on_failure:
            return b""
        if self.spec.persistent:
            return self.line(_digest(endpoint.id.encode()), asked)
        for _ in range(DRAWS * max(1, len(self._of))):
            key = _draw(asked.random)
            if self._find(key) is endpoint:
                return self.line(key, asked)
        return b""

    def _lease(self, endpoint: Endpoint, key: bytes, asked: Asked, backend: Backend) -> tuple[Endpoint | None, bytes]:
        """The key's endpoint, or the first one after it in the key's own order that is not ejected."""
        found = backend.take(endpoint.id, asked.now)
        if found is not None:
            return found, b""
        for other in sorted(self._of, key=lambda each: _rank(key, each), reverse=True):
            if other is not endpoint and (found := backend.take(other.id, asked.now)) is not None:
                return found, self.moved(asked, found)
        return None, b""

    def _find(self, key: bytes) -> Endpoint | None:
        if self.spec.persistent:
            return self._digests.get(key)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= REMEMBERED_MAX:
                self._known.clear()
            found = self._known[key] = max(self._of, key=lambda each: _rank(key, each))
        return found

    def line(self, key: bytes, asked: Asked) -> bytes:
        """The whole Set-Cookie line."""
        spec = self.spec
        parts = [b"Set-Cookie: %b=%b|%b" % (self._name, key, self._backend_key)]
        if spec.expires_s:
            parts.append(b"Expires=%b" % formatdate(asked.wall_s + int(spec.expires_s), usegmt=True).encode())
        if spec.max_age_s:
            parts.append(b"Max-Age=%b" % spec.max_age_s.encode())
        if spec.domain:
            parts.append(b"Domain=%b" % spec.domain.encode())
        parts.append(b"Path=%b" % self._path)
        if spec.secure == "always" or (spec.secure == "auto" and asked.scheme == b"https"):
            parts.append(b"Secure")
        parts.append(b"HttpOnly")
        if spec.same_site:
            parts.append(b"SameSite=%b" % spec.same_site.encode())
        return b"; ".join(parts) + b"\r\n"


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=DIGEST_BYTES).hexdigest().encode()


def _rank(key: bytes, endpoint: Endpoint) -> tuple[bytes, str]:
    return _digest(key + endpoint.id.encode()), endpoint.id


def _draw(random: Callable[[], float]) -> bytes:
    """A key of 53 random bits; it need not be unguessable, it only spreads."""
    return b"%014x" % int(random() * (1 << 53))

"""Basic authentication (RFC 7617): 401 with a challenge unless the name and the password fit.

Checking a password is made to be expensive (bcrypt with cost 10: 50 ms, during which this worker does nothing else,
as nginx's), so a pair that was right once is remembered, by a digest, for as long as the users stay the same. Wrong
pairs are not remembered: they would fill the memory, and each costs its sender as much patience as us. An unknown name
is checked against nothing: names are no secrets here, as in nginx. The endpoint does not see the credentials
(ingress-nginx clears Authorization).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from http import HTTPStatus

from dataplane.filters.htpasswd import fits
from dataplane.filters.passage import Answer, Asked, Passage, refusal
from dataplane.snapshot.policy import BasicAuth

REMEMBERED_MAX = 1024  # pairs; 32 bytes each


class Authentication:
    """The filter."""

    __slots__ = ("_challenge", "_right", "_users")

    def __init__(self, spec: BasicAuth) -> None:
        realm = spec.realm.replace("\\", "\\\\").replace('"', '\\"')
        self._challenge = refusal(
            HTTPStatus.UNAUTHORIZED, b'WWW-Authenticate: Basic realm="%b"\r\n' % realm.encode("latin-1", "replace")
        )
        self._users = dict(spec.users)
        self._right: set[bytes] = set()

    def __call__(self, asked: Asked, passage: Passage) -> Answer | None:
        credentials = asked.field(b"authorization")
        if credentials is None or not self._is_right(credentials):
            return self._challenge
        passage.removes = passage.removes | {b"authorization"}
        return None

    def _is_right(self, credentials: bytes) -> bool:
        digest = hashlib.sha256(credentials).digest()
        if digest in self._right:
            return True
        scheme, _, token = credentials.partition(b" ")
        if scheme.lower() != b"basic":
            return False
        try:
            pair = base64.b64decode(token.strip(b" "), validate=True)
        except binascii.Error:
            return False
        name, colon, password = pair.partition(b":")
        wanted = self._users.get(name.decode("utf-8", "replace"))
        if not colon or wanted is None or not fits(password, wanted):
            return False
        if len(self._right) >= REMEMBERED_MAX:
            self._right.clear()
        self._right.add(digest)
        return True

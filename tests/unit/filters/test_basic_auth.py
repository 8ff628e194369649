"""Basic authentication and the hashes that htpasswd writes."""

from __future__ import annotations

import base64
import hashlib

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.filters.basic_auth import Authentication
from dataplane.filters.htpasswd import fits, md5_crypt
from dataplane.snapshot.policy import BasicAuth
from tests.fakes.asked import asked, through

APR1 = "$apr1$xxxxxxxx$dxHfLAsjHkDRmG83UXe8K0"  # openssl passwd -apr1 -salt xxxxxxxx password
AUTH = Authentication(BasicAuth('a "realm"', (("jo", APR1), ("plain", "{PLAIN}a:b"))))


def basic(text: str, scheme: str = "Basic") -> dict[str, str]:
    return {"Authorization": f"{scheme} {base64.b64encode(text.encode()).decode()}"}


@pytest.mark.parametrize(
    ("fields", "passes"),
    [
        (basic("jo:password"), True),
        (basic("jo:password", "bAsIc"), True),
        (basic("plain:a:b"), True),
        (basic("jo:Password"), False),
        (basic("jo:"), False),
        (basic("jo"), False),
        (basic("nobody:password"), False),
        (basic("jo:password", "Digest"), False),
        ({"Authorization": "Basic *"}, False),
        ({"Authorization": "Basic"}, False),
        ({}, False),
    ],
)
def test_a_name_and_its_password_pass(fields: dict[str, str], passes: bool) -> None:
    for _ in range(2):  # what was right is remembered, what was wrong is not
        answer, passage = through(AUTH, asked(fields=fields))
        if passes:
            assert answer is None
            assert passage.removes == {b"authorization"}  # the endpoint need not know the password
        else:
            assert answer is not None
            assert (answer.status, answer.lines) == (401, b'WWW-Authenticate: Basic realm="a \\"realm\\""\r\n')


@pytest.mark.parametrize(
    "wanted",
    [
        APR1,
        "$1$abcdefgh$G//4keteveJp0qb8z2DxG/",  # openssl passwd -1 -salt abcdefgh password
        "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
        "{SSHA}" + base64.b64encode(hashlib.sha1(b"passwordsalt").digest() + b"salt").decode(),
        "{PLAIN}password",
        bcrypt.hashpw(b"password", bcrypt.gensalt(4, prefix=b"2a")).decode().replace("$2a$", "$2y$"),
    ],
)
def test_each_scheme_knows_its_password(wanted: str) -> None:
    assert fits(b"password", wanted)
    assert not fits(b"passwore", wanted)


@pytest.mark.parametrize(
    "wanted", ["", "x", "$6$salt$hash", "$apr1$", "$2y$", "$2y$05$short", "{SSHA}*", "{SHA}", "$1$a"]
)
def test_what_is_no_hash_fits_nothing(wanted: str) -> None:
    assert not fits(b"", wanted)
    assert not fits(b"password", wanted)


@given(st.binary(max_size=40), st.binary(min_size=1, max_size=8).filter(lambda salt: b"$" not in salt))
def test_every_password_fits_its_own_hash(password: bytes, salt: bytes) -> None:
    hashed = md5_crypt(password, salt, b"$apr1$")
    assert len(hashed) == 6 + len(salt) + 1 + 22
    assert md5_crypt(password + b"x", salt, b"$apr1$") != hashed

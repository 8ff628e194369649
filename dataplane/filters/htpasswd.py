"""Passwords as `htpasswd` and nginx's auth_basic_user_file write them.

    $apr1$salt$hash    Apache's MD5, htpasswd's default; $1$ is the same with other magic bytes (crypt's md5)
    $2y$cost$...       bcrypt (htpasswd -B), also 2a and 2b
    {SHA}base64        SHA-1 without salt (htpasswd -s)
    {SSHA}base64       the same with salt after the digest
    {PLAIN}text        the password itself

crypt's other schemes (DES, $5$, $6$, $y$) are not here: Python's `crypt` is gone since 3.13, and who uses them is told
(`control.publish` asks `dataplane.snapshot.check`). bcrypt is the one thing in this file that must not be written by
hand, so it is a library's.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

ITOA64 = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ROUNDS = 1000  # of MD5, fixed by the format


def fits(password: bytes, wanted: str) -> bool:
    """Whether this is the password whose hash is `wanted`."""
    expected = wanted.encode()
    if wanted.startswith(("$apr1$", "$1$")):
        _, magic, salt, *digest = expected.split(b"$")
        return len(digest) == 1 and hmac.compare_digest(md5_crypt(password, salt, b"$%b$" % magic), expected)
    if wanted.startswith(("$2a$", "$2b$", "$2y$")):
        import bcrypt

        try:
            return bcrypt.checkpw(password[:72], expected)  # bcrypt itself ends after 72 bytes
        except ValueError:
            return False
    if wanted.startswith("{SHA}"):
        return hmac.compare_digest(base64.b64encode(hashlib.sha1(password).digest()), expected[5:])
    if wanted.startswith("{SSHA}"):
        try:
            raw = base64.b64decode(expected[6:], validate=True)
        except binascii.Error:
            return False
        return hmac.compare_digest(hashlib.sha1(password + raw[20:]).digest(), raw[:20])
    if wanted.startswith("{PLAIN}"):
        return hmac.compare_digest(password, expected[7:])
    return False


def md5_crypt(password: bytes, salt: bytes, magic: bytes) -> bytes:
    """Poul-Henning Kamp's algorithm, as Apache's apr_md5_encode has it."""
    salt = salt[:8]
    alternate = hashlib.md5(password + salt + password).digest()
    mixed = hashlib.md5(password + magic + salt)
    for left in range(len(password), 0, -16):
        mixed.update(alternate[: min(16, left)])
    bits = len(password)
    while bits:
        mixed.update(b"\0" if bits & 1 else password[:1])
        bits >>= 1
    digest = mixed.digest()
    for number in range(ROUNDS):
        parts = [password if number & 1 else digest]
        if number % 3:
            parts.append(salt)
        if number % 7:
            parts.append(password)
        parts.append(digest if number & 1 else password)
        digest = hashlib.md5(b"".join(parts)).digest()
    triples = [(0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5)]
    text = b"".join(_six_bits(digest[a] << 16 | digest[b] << 8 | digest[c], 4) for a, b, c in triples)
    return magic + salt + b"$" + text + _six_bits(digest[11], 2)


def _six_bits(value: int, count: int) -> bytes:
    return bytes(ITOA64[value >> 6 * place & 63] for place in range(count))

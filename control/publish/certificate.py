"""TLS Secrets: from base64 to a pair of PEM texts that a TLS stack will take, or the reason why not.

A worker leaves out a certificate that its TLS library does not take, and only its log says so; the user is told here.
So all that such a library asks for is asked for here: the chain parses, the key parses, they belong together, and the
key is as strong as OpenSSL wants it at security level 2 (112 bits), which is what distributions build it with.
"""

from __future__ import annotations

import base64
import binascii
from functools import lru_cache
from typing import NamedTuple

from control.api.objects import Object

RSA_BITS_MIN = 2048  # SSL_CTX_set_security_level(3), level 2
CURVE_BITS_MIN = 224


class Pair(NamedTuple):
    chain_pem: str
    key_pem: str


class BadPair(ValueError):
    """The message says what is wrong, as a sentence's end: "tls.key: ..."."""


def pair_of(secret: Object) -> Pair:
    """The certificate and key of a Secret; raises BadPair."""
    data = secret.get("data") or {}
    texts = []
    for name in ("tls.crt", "tls.key"):
        if not data.get(name):
            raise BadPair(f"{name} is missing")
        try:
            texts.append(base64.b64decode(data[name], validate=True).decode("ascii"))
        except (binascii.Error, UnicodeDecodeError):
            raise BadPair(f"{name} is not base64 of PEM text") from None
    why = _problem(*texts)
    if why:
        raise BadPair(why)
    return Pair(*texts)


@lru_cache(maxsize=128)
def _problem(chain_pem: str, key_pem: str) -> str:
    # Loaded only when there is TLS at all: it is the largest import of this process.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
    from cryptography.x509 import load_pem_x509_certificates

    try:
        chain = load_pem_x509_certificates(chain_pem.encode())
    except ValueError as error:
        return f"tls.crt: {_first_line(error)}"
    try:
        key = load_pem_private_key(key_pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        return f"tls.key: {_first_line(error)}"
    bits = getattr(key, "key_size", RSA_BITS_MIN)  # Ed25519 and Ed448 have one size each, and it is enough
    if bits < (CURVE_BITS_MIN if isinstance(key, EllipticCurvePrivateKey) else RSA_BITS_MIN):
        return f"tls.key: {bits} bits are too few for TLS clients of today"
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if chain[0].public_key().public_bytes(*form) != key.public_key().public_bytes(*form):
        return "tls.key does not belong to the first certificate of tls.crt"
    return ""


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

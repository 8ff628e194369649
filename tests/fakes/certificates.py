"""Certificates that tests need: self-signed, and good for the rest of the day."""

from __future__ import annotations

import datetime
from ipaddress import IPv4Address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa


def self_signed(
    name: str, *, address: str = "127.0.0.1", key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None
) -> tuple[str, str]:
    """(certificate, key) in PEM, for a name and an address; its own CA, server and client alike."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    alternative = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(IPv4Address(address))])
    certificate = builder.add_extension(alternative, critical=False).sign(key, hashes.SHA256())
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), key.private_bytes(*form).decode()

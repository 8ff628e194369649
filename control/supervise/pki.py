"""The cluster's own certificate authority and what it signs.

One CA a cluster, made at its first `up` and kept: kubeconfigs stay valid over restarts. It signs the API server's
certificate and one client certificate for each who speaks to it: the person (`kubernetes-admin` in `system:masters`),
the control process and the node process. Keys are P-256: signing costs microseconds, so a first `up` does not wait.
`sa.key` signs service account tokens. Files are 0600 in a 0700 folder.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

VALIDITY = timedelta(days=3650)  # kubeadm's CA validity; a laboratory should not expire
BACKDATE = timedelta(minutes=5)  # clocks of clients in other time-keeping domains
CLIENTS = {
    "admin": ("kubernetes-admin", "system:masters"),
    "control": ("system:kube-controller-manager", "system:masters"),
    "node": ("system:node:loopkube", "system:masters"),
}


def ensure(folder: Path, *, host: str, service_ips: Sequence[str]) -> None:
    """Makes whatever of the cluster's keys and certificates is missing under `folder`.

    The API server's certificate is for `host`, loopback and every address that its Service may get.
    """
    names = ["ca", "apiserver", "ingress", *CLIENTS]
    wanted = [folder / f"{name}.{kind}" for name in names for kind in ("crt", "key")]
    if all(path.exists() for path in wanted) and (folder / "sa.key").exists():
        return
    # imported here: it costs 60 ms and 8 MB, needed only when something is missing
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = _name("loopkube-ca", "")
    ca = _sign(ca_name, ca_name, ca_key, ca_key, authority=True, names=[])
    _write(folder, "ca", ca, ca_key)
    server_names: list[x509.GeneralName] = [
        x509.DNSName(name)
        for name in (
            "localhost",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
        )
    ]
    server_names += [
        x509.IPAddress(ipaddress.ip_address(ip)) for ip in dict.fromkeys((host, "127.0.0.1", *service_ips))
    ]
    key = ec.generate_private_key(ec.SECP256R1())
    _write(folder, "apiserver", _sign(_name("kube-apiserver", ""), ca_name, key, ca_key, names=server_names), key)
    key = ec.generate_private_key(ec.SECP256R1())
    default_names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.DNSName("ingress.local")]
    default = _name("loopkube default certificate", "")
    _write(folder, "ingress", _sign(default, ca_name, key, ca_key, names=default_names), key)
    for name, (user, group) in CLIENTS.items():
        key = ec.generate_private_key(ec.SECP256R1())
        _write(folder, name, _sign(_name(user, group), ca_name, key, ca_key, names=[]), key)
    _private(folder / "sa.key", secrets.token_hex(32).encode())


def _name(common_name: str, organization: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(attributes)


def _sign(
    subject: x509.Name,
    issuer: x509.Name,
    key: EllipticCurvePrivateKey,
    ca_key: EllipticCurvePrivateKey,
    *,
    names: list[x509.GeneralName],
    authority: bool = False,
) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID

    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + VALIDITY)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=authority,
                crl_sign=authority,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )
    if not authority:
        usage = ExtendedKeyUsageOID.SERVER_AUTH if names else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(ca_key, hashes.SHA256())


def _write(folder: Path, name: str, certificate: x509.Certificate, key: EllipticCurvePrivateKey) -> None:
    from cryptography.hazmat.primitives import serialization

    encoding = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    _private(folder / f"{name}.key", key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))
    _private(folder / f"{name}.crt", certificate.public_bytes(encoding))


def _private(path: Path, content: bytes) -> None:
    """Writes a file that only its owner may read, from its first byte on."""
    beside = path.with_name(path.name + ".new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    beside.replace(path)

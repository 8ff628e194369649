"""What a proxy is asked to be, whoever it is: each peer's file turns this into that peer's configuration."""

from __future__ import annotations

import datetime
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Mode = Literal["http", "tcp"]
ROUTES = 1000
HOST = "app-500.bench.test"
"""The host that requests are for: the 501st of the routes."""


def host(number: int) -> str:
    return f"app-{number}.bench.test"


@dataclass(frozen=True, slots=True)
class Front:
    """`http`: routes by the hosts of `host(0..ROUTES-1)`, each with the path /. `tcp`: relays bytes."""

    mode: Mode = "http"
    tls: bool = False
    http2: bool = False  # offered by ALPN beside HTTP/1.1, as loopkube always does

    def __str__(self) -> str:
        return f"{self.mode}{'-tls' if self.tls else ''}{'-h2' if self.http2 else ''}"


@dataclass(frozen=True, slots=True)
class Peer:
    """A running proxy: where it listens and the process whose CPU time counts."""

    name: str
    port: int
    pid: int


class Start(Protocol):
    """Starts a peer before these backends' ports, its files in `folder`; raises `processes.Missing`."""

    def __call__(self, stack: ExitStack, folder: Path, backends: list[int], front: Front) -> Peer: ...


def certificate(folder: Path) -> tuple[Path, Path]:
    """The files of a self-signed certificate (ECDSA P-256, as most of the web has) and its key; made once a folder."""
    chain_file, key_file = folder / "tls.crt", folder / "tls.key"
    if not chain_file.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench.test")])
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        builder = builder.serial_number(1).not_valid_before(now - datetime.timedelta(hours=1))
        builder = builder.not_valid_after(now + datetime.timedelta(days=1))
        made = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("*.bench.test")]), False)
        chain_file.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    return chain_file, key_file

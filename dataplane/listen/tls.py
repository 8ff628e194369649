"""TLS contexts chosen by the name that a client asks for (SNI), from the Certificate resources in force.

An exact host wins over a wildcard (one label, RFC 6125 section 6.4.3), a wildcard over the default certificate (host
""). For a name nobody has, where there is no default either, the handshake fails (with unrecognized_name, but the
event loop closes without sending that alert, so clients see a reset). A client without SNI gets the default. Contexts
are made per certificate and reused while it stays the same, so swapping in a new set costs what changed and open
connections keep what they negotiated.

A connection whose certificate was chosen for one name and that then asks for another host is *misdirected* (RFC 9110
15.5.20) if that host has another certificate: browsers reuse connections by what a certificate covers, and the answer
421 makes them open their own (Kubernetes' Gateway API asks for the same, GEP-3567). Not misdirected is who got the
default certificate - `curl -k` by address with a Host of its own choice - or asks for a host without certificate.

TLS 1.2 is the oldest version (RFC 8996 forbids older ones), ciphers of 1.2 are those with forward secrecy and AEAD
(Mozilla's "intermediate" list), compression and renegotiation are off. ALPN prefers h2 to http/1.1; a client that
offers neither gets HTTP/1.1, unnegotiated.

A certificate that OpenSSL does not accept (a key of another certificate, broken PEM) is left out and said once;
the others go on: one broken Secret must not take a whole Ingress port away. Private keys reach OpenSSL through an
anonymous memory file, because `ssl` only reads paths, and never touch a disk.
"""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Iterable

from dataplane.snapshot.model import Certificate

log = logging.getLogger(__name__)

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:!aNULL:!MD5:!DSS"
ALPN = ["h2", "http/1.1"]

_NO_HOSTS: frozenset[str] = frozenset()


class Certificates:
    """The certificates in force and the contexts made of them."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], HostContext | None] = {}  # (chain, key) -> context, None if unusable
        self._by_host: dict[str, HostContext] = {}
        self._entry = _context()

    def __repr__(self) -> str:
        return f"Certificates({len(self._by_host)} hosts)"

    def update(self, certificates: Iterable[Certificate]) -> None:
        """Bring this set into force; of two for one host the first by order and name wins."""
        made: dict[tuple[str, str], HostContext | None] = {}
        by_host: dict[str, HostContext] = {}
        entry = _context()
        for certificate in sorted(certificates, key=lambda item: (item.order, item.name)):
            key = (certificate.chain_pem, certificate.key_pem)
            if key not in made:
                made[key] = self._made[key] if key in self._made else _loaded(certificate)
            context = made[key]
            if context is None:
                continue
            for host in certificate.hosts:
                if host not in by_host and not host:
                    _load(entry, certificate)
                by_host.setdefault(host, context)
        entry.sni_callback = self._on_name
        hosts: dict[HostContext, set[str]] = {}
        for host, context in by_host.items():
            hosts.setdefault(context, set()).add(host)
        for context, names in hosts.items():
            context.hosts = names
        self._made, self._by_host, self._entry = made, by_host, entry

    def context(self) -> ssl.SSLContext:
        """The context that a new connection starts with; the client's SNI then chooses another one."""
        return self._entry

    def choose(self, host: str) -> ssl.SSLContext | None:
        """The context for this name, or None if no certificate is for it."""
        host = host.rstrip(".").lower()
        by_host = self._by_host
        return by_host.get(host) or by_host.get("*." + host.partition(".")[2]) or by_host.get("")

    def covers(self, connection: ssl.SSLObject, authority: bytes) -> bool:
        """Whether a request for this host may come through this connection."""
        negotiated = connection.context
        hosts = negotiated.hosts if isinstance(negotiated, HostContext) else _NO_HOSTS
        if not hosts or "" in hosts:
            return True
        host = authority.decode("latin-1").lower()
        host = (host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]).rstrip(".")
        if host in hosts or "*." + host.partition(".")[2] in hosts:
            return True
        return self.choose(host) in (None, self._by_host.get(""))

    def _on_name(self, connection: ssl.SSLObject, name: str | None, _entry: ssl.SSLContext) -> int | None:
        chosen = self.choose(name or "")
        if chosen is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = chosen
        return None


class HostContext(ssl.SSLContext):
    """A context that knows for which hosts it is chosen."""

    hosts: set[str] | frozenset[str] = _NO_HOSTS


def _context() -> HostContext:
    context = HostContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_SINGLE_ECDH_USE
    context.set_alpn_protocols(ALPN)
    return context


def _loaded(certificate: Certificate) -> HostContext | None:
    context = _context()
    try:
        _load(context, certificate)
    except (ssl.SSLError, OSError, ValueError) as error:
        log.warning("certificate %s is left out: %s", certificate.name, error)
        return None
    return context


def _load(context: ssl.SSLContext, certificate: Certificate) -> None:
    descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "wb") as file:
        file.write(f"{certificate.chain_pem}\n{certificate.key_pem}\n".encode())
        file.flush()
        # the password callback keeps OpenSSL from asking a terminal about an encrypted key
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password="")

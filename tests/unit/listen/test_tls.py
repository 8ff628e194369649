"""Certificates by name, in real handshakes."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable

import pytest
from cryptography import x509

from dataplane.listen.accept import Acceptor, Gate, Service
from dataplane.listen.sockets import open_socket
from dataplane.listen.tls import Certificates
from dataplane.metrics import names
from dataplane.metrics.registry import Registry
from dataplane.snapshot.model import Certificate
from tests.fakes.pem import pem
from tests.fakes.sockets import WAIT_S, connect, until


def certificate(name: str, *hosts: str, made_for: str = "") -> Certificate:
    return Certificate(name, hosts, *pem(made_for or hosts[0] or "default"))


class Bench:
    """A TLS listener and a client that trusts anybody."""

    def __init__(self, protocol: Callable[[], asyncio.Protocol] = asyncio.Protocol) -> None:
        self.certificates = Certificates()
        self.registry = Registry()
        sock = open_socket("127.0.0.1", 0)
        self.port: int = sock.getsockname()[1]
        service = Service(lambda client: protocol(), self.certificates.context)
        self.acceptor = Acceptor("web", sock, service, Gate(self.registry))

    async def handshake(
        self, host: str | None, *, newest: ssl.TLSVersion | None = None, alpn: tuple[str, ...] = ("http/1.1", "h2")
    ) -> tuple[str, ssl.SSLObject]:
        """(common name of the certificate shown, the session)."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(alpn)
        if newest is not None:
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            context.maximum_version = newest
        async with asyncio.timeout(WAIT_S):
            _, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=context, server_hostname=host or "")
        session = writer.get_extra_info("ssl_object")
        shown = x509.load_der_x509_certificate(session.getpeercert(binary_form=True))
        writer.transport.abort()
        return str(shown.subject.rfc4514_string().removeprefix("CN=")), session


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    made.acceptor.close()


async def test_the_name_asked_for_chooses(bench: Bench) -> None:
    bench.certificates.update(
        [
            certificate("a", "a.com", "www.a.com"),
            certificate("wild", "*.a.com"),
            certificate("default", "", made_for="default"),
        ]
    )
    asked = {"a.com": "a.com", "www.a.com": "a.com", "x.a.com": "*.a.com", "y.x.a.com": "default", "b.com": "default"}
    for host, shown in asked.items():
        assert (await bench.handshake(host))[0] == shown, host
    assert (await bench.handshake(None))[0] == "default"
    assert (await bench.handshake("A.COM"))[0] == "a.com"


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [(("http/1.1", "h2"), "h2"), (("http/1.1",), "http/1.1"), (("h2",), "h2"), (("spdy/3",), None), ((), None)],
)
async def test_http_2_is_agreed_on_with_whoever_offers_it(
    bench: Bench, offered: tuple[str, ...], agreed: str | None
) -> None:
    bench.certificates.update([certificate("a", "a.com")])
    _, session = await bench.handshake("a.com", alpn=offered)
    assert session.selected_alpn_protocol() == agreed


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
async def test_tls_1_2_is_the_oldest(bench: Bench) -> None:
    bench.certificates.update([certificate("a", "a.com")])
    _, session = await bench.handshake("a.com")
    assert session.version() == "TLSv1.3"
    _, session = await bench.handshake("a.com", newest=ssl.TLSVersion.TLSv1_2)
    assert session.version() == "TLSv1.2"
    cipher = session.cipher()
    assert cipher is not None
    assert cipher[0].startswith("ECDHE-")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await bench.handshake("a.com", newest=ssl.TLSVersion.TLSv1_1)


@pytest.mark.parametrize(
    "cipher",
    [
        "AES128-GCM-SHA256",  # no forward secrecy
        "ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256",  # CBC
        "ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA",  # CBC with SHA-1
    ],
)
async def test_weak_ciphers_are_not_spoken(bench: Bench, cipher: str) -> None:
    bench.certificates.update([certificate("a", "a.com")])
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{cipher}:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("127.0.0.1", bench.port, ssl=context, server_hostname="a.com")


class Echo(asyncio.Protocol):
    """Sends back what comes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)  # type: ignore[attr-defined]


async def test_no_connection_is_lost_while_certificates_are_swapped_under_load() -> None:
    bench = Bench(Echo)
    pairs = [certificate(name, "a.com", made_for=name) for name in ("one.a.com", "two.a.com")]
    bench.certificates.update(pairs[:1])
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    shown: set[str] = set()
    done = 0

    async def client() -> None:
        nonlocal done
        for _ in range(6):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", bench.port, ssl=context, server_hostname="a.com"
            )
            der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            shown.add(x509.load_der_x509_certificate(der).subject.rfc4514_string().removeprefix("CN="))
            for number in range(5):  # what was negotiated stays in use over every swap
                writer.write(b"%d" % number)
                assert await reader.readexactly(1) == b"%d" % number
            writer.transport.abort()
            done += 1

    async with asyncio.timeout(WAIT_S):
        clients = [asyncio.ensure_future(client()) for _ in range(6)]
        swaps = 0
        while not all(task.done() for task in clients):
            swaps += 1
            bench.certificates.update([pairs[swaps % 2]])
            await asyncio.sleep(0)
        await asyncio.gather(*clients)
    bench.acceptor.close()
    assert (done, shown) == (36, {"one.a.com", "two.a.com"})
    assert swaps > 36
    assert bench.registry.value(names.TLS_FAILURES, "web").value == 0


async def test_without_a_certificate_for_the_name_the_handshake_fails(bench: Bench) -> None:
    bench.certificates.update([certificate("a", "a.com")])
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await bench.handshake("b.com")
    await until(lambda: bench.registry.value(names.TLS_FAILURES, "web").value == 1)
    wire = await connect(bench.port)
    wire.send(b"GET / HTTP/1.1\r\n\r\n")
    await wire.rest()
    wire.close()
    await until(lambda: bench.registry.value(names.TLS_FAILURES, "web").value == 2)


async def test_certificates_are_swapped_for_new_connections(bench: Bench) -> None:
    bench.certificates.update([certificate("a", "a.com")])
    before = bench.certificates.choose("a.com")
    bench.certificates.update([certificate("a", "a.com"), certificate("b", "b.com")])
    assert bench.certificates.choose("a.com") is before  # the same certificate is not loaded again
    assert (await bench.handshake("b.com"))[0] == "b.com"
    bench.certificates.update([Certificate("a", ("a.com",), *pem("other.com"))])
    assert (await bench.handshake("a.com"))[0] == "other.com"


async def test_a_broken_certificate_is_left_out_and_said(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    chain, key = pem("a.com")
    broken = [
        Certificate("other-key", ("x.com",), chain, pem("b.com")[1]),
        Certificate("no-pem", ("y.com",), "nonsense", key),
        Certificate("empty", ("",), "", ""),
    ]
    with caplog.at_level(logging.WARNING):
        bench.certificates.update([*broken, certificate("b", "b.com")])
        assert {record.args[0] for record in caplog.records if isinstance(record.args, tuple)} == {
            "other-key", "no-pem", "empty"
        }  # fmt: skip
        caplog.clear()
        bench.certificates.update([*broken, certificate("b", "b.com"), certificate("c", "c.com")])
        assert not caplog.records
    assert (await bench.handshake("b.com"))[0] == "b.com"
    assert bench.certificates.choose("x.com") is None


async def test_of_two_for_one_host_the_oldest_wins(bench: Bench) -> None:
    old = Certificate("z", ("a.com", ""), *pem("old.com"), ("2026-01-01T00:00:00Z", "z", 0))
    new = Certificate("a", ("a.com", ""), *pem("new.com"), ("2026-02-01T00:00:00Z", "a", 0))
    for given in ([old, new], [new, old]):
        bench.certificates.update(given)
        assert (await bench.handshake("a.com"))[0] == "old.com"
        assert (await bench.handshake(None))[0] == "old.com"
    bench.certificates.update([new])
    assert (await bench.handshake("a.com"))[0] == "new.com"


def test_of_two_of_one_age_the_first_by_name_wins() -> None:
    certificates = Certificates()
    one, two = certificate("1", "a.com"), Certificate("2", ("a.com", "b.com"), *pem("b.com"))
    certificates.update([two, one])
    assert certificates.choose("a.com") is not certificates.choose("b.com")
    assert certificates.choose("a.com.") is certificates.choose("a.com")
    assert repr(certificates) == "Certificates(2 hosts)"

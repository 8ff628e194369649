"""The same through TLS: what differs is that neither side can half-close."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.fakes.origin import OriginConnection, ok
from tests.fakes.proxied import Proxied, RawClient

SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


def contexts(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "h")])
    begin = datetime.datetime(2020, 1, 1)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, begin, begin + datetime.timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("h")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    path = folder / "pair.pem"
    path.write_bytes(
        pem
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cadata=pem.decode())
    server.load_cert_chain(path)
    return server, client


async def script(connection: OriginConnection) -> None:
    while True:
        head = await connection.head()
        if b"Upgrade: websocket" in head:
            connection.write(SWITCHING)
            while data := await connection.reader.read(65536):
                connection.write(data)
            return
        await connection.body(head)
        connection.write(ok(b"x" * 300_000))


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[Proxied, RawClient]]:
    server_context, client_context = contexts(tmp_path)
    async with Proxied(script) as proxied:
        factory = proxied.proxy.protocol_factory(proxied._resolve, scheme=b"https", listener="tls")
        server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0, ssl=server_context)
        port = server.sockets[0].getsockname()[1]
        client = RawClient(*await asyncio.open_connection("127.0.0.1", port, ssl=client_context, server_hostname="h"))
        yield proxied, client
        client.writer.transport.abort()
        server.close()


async def test_requests_answers_and_refusals(pair: tuple[Proxied, RawClient]) -> None:
    proxied, client = pair
    for _ in range(2):
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(b"5\r\nhello\r\n0\r\n\r\n")
        assert len((await client.answer()).body) == 300_000
    assert b"X-Forwarded-Proto: https\r\n" in proxied.origin.received
    client.send(b"GET / HTTP/1.1\r\n\r\n")
    assert (await client.answer()).status == 400
    assert await client.rest() == b""
    assert [flow.status for flow in proxied.flows] == [200, 200, 400]


async def test_a_tunnel(pair: tuple[Proxied, RawClient]) -> None:
    proxied, client = pair
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly")
    assert (await client.answer(head_only=True)).status == 101
    assert await client.exactly(5) == b"early"
    blob = bytes(range(256)) * 1024
    client.send(blob)
    assert await client.exactly(len(blob)) == blob
    client.close()
    await proxied.until(lambda: proxied.flows)
    assert (proxied.flows[0].status, proxied.leases) == (101, 0)


async def test_a_client_that_leaves_cancels_its_request(pair: tuple[Proxied, RawClient]) -> None:
    proxied, client = pair
    client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc")
    await proxied.until(lambda: proxied.origin.connections)
    client.close()
    await proxied.until(lambda: proxied.flows)
    assert (proxied.flows[0].outcome, proxied.leases) == ("client_abort", 0)

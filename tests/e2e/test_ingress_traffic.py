"""What passes through an Ingress whole: streams, tunnels, large bodies, and TLS with certificates that come and go."""

from __future__ import annotations

import base64
import datetime
import http.client
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from tests.e2e.clients import (
    TIMEOUT_S,
    Client,
    Ingress,
    backend,
    delete,
    echo_pod,
    get,
    ingress,
    outside_service,
    service,
    wait_ready,
    wait_warning,
)
from tests.e2e.conftest import Cluster, until
from tests.e2e.programs import ADDRESS, Ticker, big_bodies, blocks, forget_peak, hash_of, peak, program, resident

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
LARGE = 100 * 1024 * 1024
GROWTH_MAX = 12 * 1024 * 1024  # of a worker that passes LARGE: its buffers are 64 KiB each, the rest is the allocator's


@pytest.fixture(scope="module")
def at(cluster: Cluster) -> Ingress:
    """The Ingress of a cluster with a pod and Service `a`."""
    cluster.apply(echo_pod("a"), service("a", app="a"), ingress("a", ("a.test", "Prefix", "/", backend("a"))))
    wait_ready(cluster, "a")
    at = Ingress(cluster)
    until("the Ingress", lambda: at.status("a.test") == 200)
    return at


@contextmanager
def published(cluster: Cluster, name: str, port: int) -> Iterator[str]:
    """A program outside at an Ingress host; yields the host."""
    host = f"{name}.test"
    cluster.apply(*outside_service(name, ADDRESS, port), ingress(name, (host, "Prefix", "/", backend(name))))
    yield host
    delete(cluster, "service,ingress", name)
    delete(cluster, "endpointslice", f"{name}-1")


def once_routed(at: Ingress, host: str) -> None:
    """An Ingress that routes nowhere says 404 or 503 until it routes."""
    until(host, lambda: at.get(host, "/0").status == 200)


def test_large_bodies_both_ways_in_constant_memory(cluster: Cluster, at: Ingress) -> None:
    worker = cluster.pid("worker-0")
    with program(big_bodies) as port, published(cluster, "large", port) as host:
        once_routed(at, host)
        before = resident(worker)
        forget_peak(worker)
        answer = at.get(host, "/", method="POST", body=blocks(LARGE), headers={"Content-Length": str(LARGE)})
        assert answer.body.decode() == f"{LARGE} {hash_of(LARGE)}"
        assert slow_hash(at, host) == hash_of(LARGE)
        assert peak(worker) - before < GROWTH_MAX


def slow_hash(at: Ingress, host: str) -> str:
    """Downloads LARGE bytes with a reader that begins late: what waits must wait at the origin."""
    import hashlib

    connection = http.client.HTTPConnection(at.address, at.port, timeout=TIMEOUT_S)
    connection.request("GET", f"/{LARGE}", headers={"Host": host})
    response = connection.getresponse()
    digest = hashlib.sha256(response.read(1024))
    threading.Event().wait(0.5)
    while data := response.read(1 << 20):
        digest.update(data)
    connection.close()
    return digest.hexdigest()


def test_server_sent_events_are_not_held_back(cluster: Cluster, at: Ingress) -> None:
    ticker = Ticker()
    with program(ticker) as port, published(cluster, "ticker", port) as host:
        once_routed(at, host)
        connection, response = streaming(at, host)
        assert response.headers["Transfer-Encoding"] == "chunked"
        took = []
        for number in range(20):
            event = b"data: %d\n\n" % number
            begin = time.monotonic()
            ticker.send(event)
            assert response.read1(1000) == event  # nothing that comes later is needed to see it
            took.append(time.monotonic() - begin)
        assert sorted(took)[10] < 0.05, took
        ticker.send(b"")
        assert response.read() == b""
        connection.close()


def streaming(at: Ingress, host: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """A stream whose head has come."""
    connection = http.client.HTTPConnection(at.address, at.port, timeout=TIMEOUT_S)
    connection.request("GET", "/", headers={"Host": host})
    return connection, connection.getresponse()


def test_the_origin_hears_that_a_stream_was_left(cluster: Cluster, at: Ingress) -> None:
    ticker = Ticker()
    with program(ticker) as port, published(cluster, "leaver", port) as host:
        once_routed(at, host)
        connection, response = streaming(at, host)
        ticker.send(b"data: 1\n\n")
        assert response.read1(1000) == b"data: 1\n\n"
        response.close()
        connection.close()

        def heard() -> bool:
            ticker.send(b"data: anyone?\n\n")
            return ticker.left.wait(0.05)

        until("the origin's notice", heard, 10)
        ticker.send(b"")


def test_chunks_both_ways(cluster: Cluster, at: Ingress) -> None:
    pieces = [b"x" * size for size in (1, 10, 1000, 70_000, 1)]
    answer = at.get("a.test", "/?chunked=1&size=200000", method="POST", body=iter(pieces))
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert len(answer.body) == 200_000
    echoed = at.get("a.test", "/", method="POST", body=iter(pieces)).json
    assert echoed["bodyBytes"] == sum(map(len, pieces))
    assert echoed["headers"].get("transfer-encoding") == "chunked"


def test_websockets(cluster: Cluster, at: Ingress) -> None:
    def echo(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    server = serve(echo, ADDRESS, 0, max_size=None)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.socket.getsockname()[1]
    with published(cluster, "socket", port) as host:
        uri = f"ws://{host}:{at.port}/chat"
        until("the route", lambda: at.status(host) == 426)  # the server refuses what is no WebSocket: passed through
        with connect(uri, sock=dial(at), max_size=None) as client:
            client.send("hello")
            assert client.recv(TIMEOUT_S) == "hello"
            client.send(bytes(range(256)) * 8192)  # 2 MiB
            assert client.recv(TIMEOUT_S) == bytes(range(256)) * 8192
            assert client.ping().wait(TIMEOUT_S)
        assert client.close_code == 1000
        with connect(uri, sock=dial(at)) as client:
            cluster.kubectl("delete", "ingress", "socket")
            until("no route for others", lambda: at.status(host) == 404)
            client.send("still here")  # a tunnel is nobody's route any more
            assert client.recv(TIMEOUT_S) == "still here"
    server.shutdown()


def dial(at: Ingress) -> Any:
    import socket

    return socket.create_connection((at.address, at.port), TIMEOUT_S)


# TLS


def pair(name: str) -> tuple[bytes, bytes]:
    """A self-signed certificate with this common name and DNS name, and its key; PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = serialization.Encoding.PEM
    private = key.private_bytes(form, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(form), private


def secret(name: str, chain: bytes, key: bytes) -> dict[str, Any]:
    data = {"tls.crt": base64.b64encode(chain).decode(), "tls.key": base64.b64encode(key).decode()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": name},
        "data": data,
    }


def tls_ingress(name: str, hosts: list[str], secret_name: str) -> dict[str, Any]:
    rules = [(host, "Prefix", "/", backend("a")) for host in hosts]
    return ingress(name, *rules, tls=[{"hosts": hosts, "secretName": secret_name}])


def https(at: Ingress, host: str, trusted: bytes) -> http.client.HTTPSConnection:
    """A connection that trusts this one certificate only and checks the name."""
    context = ssl.create_default_context(cadata=trusted.decode())
    connection = http.client.HTTPSConnection(at.address, at.tls_port, timeout=TIMEOUT_S, context=context)
    connection.sock = context.wrap_socket(dial_tls(at), server_hostname=host)
    return connection


def dial_tls(at: Ingress) -> Any:
    import socket

    return socket.create_connection((at.address, at.tls_port), TIMEOUT_S)


def test_tls_by_the_name_that_a_client_asks_for(cluster: Cluster, at: Ingress) -> None:
    exact, wild = pair("one.tls.test"), pair("*.tls.test")
    cluster.apply(secret("exact", *exact), secret("wild", *wild))
    cluster.apply(tls_ingress("exact", ["one.tls.test"], "exact"), tls_ingress("wild", ["*.tls.test"], "wild"))
    until("the certificate", lambda: at.common_name("one.tls.test") == "one.tls.test")
    until("the other", lambda: at.common_name("two.tls.test") == "*.tls.test")
    default = at.common_name(None)
    assert default not in ("one.tls.test", "*.tls.test")
    assert at.common_name("unknown.test") == at.common_name("a.two.tls.test") == default
    connection = https(at, "one.tls.test", exact[0])
    connection.request("GET", "/", headers={"Host": "one.tls.test"})
    seen = connection.getresponse().read()
    assert b'"x-forwarded-proto":"https"' in seen
    assert f'"x-forwarded-port":"{at.tls_port}"'.encode() in seen
    sock = connection.sock
    assert isinstance(sock, ssl.SSLSocket)
    assert sock.version() == "TLSv1.3"
    connection.close()
    delete(cluster, "ingress", "exact", "wild")


def test_a_certificate_is_exchanged_while_connections_live(cluster: Cluster, at: Ingress) -> None:
    old, new = pair("swap.test"), pair("swap.test")
    cluster.apply(secret("swap", *old), tls_ingress("swap", ["swap.test"], "swap"))
    until("the certificate", lambda: at.common_name("swap.test") == "swap.test")
    living = https(at, "swap.test", old[0])
    cluster.apply(secret("swap", *new))
    until("the new certificate", lambda: serves(at, "swap.test", new[0]))
    living.request("GET", "/", headers={"Host": "swap.test"})
    assert living.getresponse().status == 200
    living.close()
    with pytest.raises(ssl.SSLCertVerificationError):
        https(at, "swap.test", old[0])
    delete(cluster, "ingress", "swap")


def test_a_newer_ingress_takes_nobodys_certificate_away(cluster: Cluster, at: Ingress) -> None:
    old, new = pair("mine.test"), pair("mine.test")
    cluster.apply(secret("old", *old), secret("new", *new))
    cluster.apply(tls_ingress("older", ["mine.test"], "old"))
    born = cluster.get("ingress", "older")["metadata"]["creationTimestamp"]
    until("another second", lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()) > born)
    cluster.apply(tls_ingress("newer", ["mine.test"], "new"))
    cluster.apply(tls_ingress("probe", ["probe.test"], "old"))
    until("what came last", lambda: at.common_name("probe.test") == "mine.test")
    https(at, "mine.test", old[0]).close()
    delete(cluster, "ingress", "older", "probe")
    until("the newer one's", lambda: serves(at, "mine.test", new[0]))
    delete(cluster, "ingress", "newer")


def serves(at: Ingress, host: str, trusted: bytes) -> bool:
    try:
        https(at, host, trusted).close()
    except ssl.SSLCertVerificationError:
        return False
    return True


def test_secrets_missing_and_broken(cluster: Cluster, at: Ingress) -> None:
    good, other = pair("good.test"), pair("other.test")
    cluster.apply(secret("good", *good), secret("mixed", good[0], other[1]), secret("garbage", b"no", b"PEM"))
    for name in ("good", "mixed", "garbage", "missing"):
        cluster.apply(tls_ingress(name, [f"{name}.test"], name))
    until("the good one", lambda: at.common_name("good.test") == "good.test")
    default = at.common_name(None)
    for name, reason, said in (
        ("missing", "SecretNotFound", "default/missing does not exist"),
        ("mixed", "BadSecret", "does not belong"),
        ("garbage", "BadSecret", "tls.crt"),
    ):
        assert said in wait_warning(cluster, name, reason)
        assert at.common_name(f"{name}.test") == default
        assert at.status(f"{name}.test") == 200  # in the clear
    cluster.apply(secret("missing", *pair("missing.test")))
    until("the Secret that was missing", lambda: at.common_name("missing.test") == "missing.test")
    delete(cluster, "secret", "good")
    until("the default instead", lambda: at.common_name("good.test") == default)
    delete(cluster, "ingress", "good", "mixed", "garbage", "missing")


def test_without_tls_in_the_ingress_https_serves_all_the_same(cluster: Cluster, at: Ingress) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(at.address, at.tls_port, timeout=TIMEOUT_S, context=context)
    connection.request("GET", "/", headers={"Host": "a.test"})
    assert connection.getresponse().status == 200
    connection.close()


def test_bytes_that_are_no_tls_do_no_harm(cluster: Cluster, at: Ingress) -> None:
    with pytest.raises((http.client.HTTPException, OSError)):
        get(at.address, at.tls_port, host="a.test")
    assert at.common_name(None)
    with Client(at.address, at.port, host="a.test") as client:
        assert client.get().status == 200

"""What the cluster's authority signs is accepted by a real TLS handshake, and only that."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

from control.supervise import kubeconfig, pki


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> dict[str, object] | None:
    """The server's view of the client's certificate after a handshake over a socket pair."""
    left, right = socket.socketpair()
    seen: list[object] = []

    def serve() -> None:
        try:
            with server.wrap_socket(left, server_side=True) as connection:
                seen.append(connection.getpeercert())
        except ssl.SSLError:
            pass

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(right, server_hostname=name):
            pass
    finally:
        right.close()
        thread.join(10)
        left.close()
    return seen[0] if seen else None  # type: ignore[return-value]


def test_the_authority_signs_server_and_clients(tmp_path: Path) -> None:
    pki.ensure(tmp_path, host="127.0.0.1", service_ips=["127.96.0.1"])
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "apiserver.crt", tmp_path / "apiserver.key")
    server.load_verify_locations(tmp_path / "ca.crt")
    server.verify_mode = ssl.CERT_OPTIONAL
    client = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
    client.load_cert_chain(tmp_path / "admin.crt", tmp_path / "admin.key")
    for name in ("127.0.0.1", "127.96.0.1", "localhost", "kubernetes.default.svc"):
        certificate = handshake(server, client, name)
        assert certificate is not None
        subject = dict(pair for part in certificate["subject"] for pair in part)  # type: ignore[attr-defined]
        assert subject == {"organizationName": "system:masters", "commonName": "kubernetes-admin"}
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_what_is_there_is_kept(tmp_path: Path) -> None:
    pki.ensure(tmp_path, host="127.0.0.1", service_ips=["127.96.0.1"])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    pki.ensure(tmp_path, host="127.0.0.1", service_ips=["127.96.0.1"])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_kubeconfig_is_private(tmp_path: Path) -> None:
    pki.ensure(tmp_path, host="127.0.0.1", service_ips=["127.96.0.1"])
    path = tmp_path / "kubeconfig"
    kubeconfig.write(path, tmp_path, cluster="a", host="127.0.0.1", port=1234)
    assert path.stat().st_mode & 0o777 == 0o600
    assert "server: https://127.0.0.1:1234" in path.read_text()

"""gRPC and other HTTP/2 with real clients and servers: through an Ingress over TLS, through a Service in the clear."""

from __future__ import annotations

import base64
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.e2e.clients import Ingress, backend, cluster_ip, echo_pod, ingress, service, wait_ready
from tests.e2e.conftest import Cluster, until
from tests.e2e.programs import ADDRESS
from tests.fakes.certificates import self_signed

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
HOST = "grpc.test"
GONE, SAID = "gone.test", "said.test"
"""Where there is no endpoint; where the Service's port does not say that it speaks HTTP/2, but the Ingress does."""
PATIENCE_S = 20.0


class Answers(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio has no types
    """A gRPC server's methods, on bytes. `Name` says which server it is."""

    def __init__(self, name: bytes) -> None:
        self._name = name
        self.cancelled = threading.Event()
        self.waiting = threading.Event()

    def service(self, details: Any) -> Any:
        method = details.method.rpartition("/")[2]
        make = {
            "Name": grpc.unary_unary_rpc_method_handler,
            "Fail": grpc.unary_unary_rpc_method_handler,
            "Wait": grpc.unary_unary_rpc_method_handler,
            "Count": grpc.unary_stream_rpc_method_handler,
            "Sum": grpc.stream_unary_rpc_method_handler,
            "Chat": grpc.stream_stream_rpc_method_handler,
        }.get(method)
        return make(getattr(self, method.lower())) if make else None

    def name(self, request: bytes, context: Any) -> bytes:
        return self._name

    def fail(self, request: bytes, context: Any) -> bytes:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not today")
        raise AssertionError

    def wait(self, request: bytes, context: Any) -> bytes:
        context.add_callback(self.cancelled.set)
        self.waiting.set()
        self.cancelled.wait(PATIENCE_S)
        return b""

    def count(self, request: bytes, context: Any) -> Iterator[bytes]:
        for number in range(int(request)):
            yield b"%d" % number * 1000

    def sum(self, requests: Iterator[bytes], context: Any) -> bytes:
        return b"%d" % sum(map(int, requests))

    def chat(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        context.set_trailing_metadata((("x-said", "goodbye"),))
        for request in requests:
            yield request.upper()


class Servers:
    """Two gRPC servers outside, behind one Service whose port says that it speaks HTTP/2."""

    def __init__(self) -> None:
        self.answers = [Answers(b"one"), Answers(b"two")]
        self.ports: list[int] = []
        self._running = []
        for answers in self.answers:
            server = grpc.server(futures.ThreadPoolExecutor(8), handlers=(answers,))
            self.ports.append(server.add_insecure_port(f"{ADDRESS}:0"))
            server.start()
            self._running.append(server)

    def documents(self) -> list[dict[str, Any]]:
        slices = [
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {"name": f"{name}-{port}", "labels": {"kubernetes.io/service-name": name}},
                "addressType": "IPv4",
                "ports": [{"name": "", "port": port, "protocol": "TCP"}],
                "endpoints": [{"addresses": [ADDRESS]}],
            }
            for port in self.ports
            for name in ("grpc", "grpc-unsaid")
        ]
        ports = [{"port": 80, "appProtocol": "kubernetes.io/h2c"}]
        return [service("grpc", ports=ports), service("grpc-unsaid", ports=[{"port": 80}]), *slices]

    def stop(self) -> None:
        for server in self._running:
            server.stop(None).wait(PATIENCE_S)


@pytest.fixture(scope="module")
def servers(cluster: Cluster) -> Iterator[Servers]:
    servers = Servers()
    cluster.apply(*servers.documents())
    yield servers
    servers.stop()


@pytest.fixture(scope="module")
def authority(cluster: Cluster, servers: Servers) -> str:
    """The certificate of an Ingress host that leads to the Service."""
    chain, key = self_signed(HOST)
    data = {name: base64.b64encode(text.encode()).decode() for name, text in (("tls.crt", chain), ("tls.key", key))}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "grpc"}, "type": "kubernetes.io/tls"}
    tls = [{"hosts": [HOST, SAID, GONE], "secretName": "grpc"}]
    cluster.apply({**secret, "data": data}, ingress("grpc", (HOST, "Prefix", "/", backend("grpc")), tls=tls))
    said = ingress("said", (SAID, "Prefix", "/", backend("grpc-unsaid")))
    said["metadata"]["annotations"] = {"nginx.ingress.kubernetes.io/backend-protocol": "GRPC"}
    cluster.apply(said)
    at = Ingress(cluster)
    until("the certificate", lambda: at.common_name(HOST) == HOST)
    return chain


Channel = Callable[[], Any]


@pytest.fixture(params=["ingress", "annotation", "service"])
def channel(request: pytest.FixtureRequest, cluster: Cluster, servers: Servers, authority: str) -> Iterator[Any]:
    """A channel to the servers, one way and the other."""
    if request.param != "service":
        at = Ingress(cluster)
        host = HOST if request.param == "ingress" else SAID
        named = [("grpc.ssl_target_name_override", HOST), ("grpc.default_authority", host)]
        credentials = grpc.ssl_channel_credentials(authority.encode())
        found = grpc.secure_channel(f"{at.address}:{at.tls_port}", credentials, named)
    else:
        found = grpc.insecure_channel(f"{cluster_ip(cluster, 'grpc')}:80")
    with found:
        grpc.channel_ready_future(found).result(PATIENCE_S)
        until("an endpoint", lambda: answered(found))
        yield found


def answered(channel: Any) -> bool:
    try:
        return bool(channel.unary_unary("/Test/Name")(b"", timeout=PATIENCE_S))
    except grpc.RpcError:
        return False


def test_every_kind_of_call(channel: Any) -> None:
    assert channel.stream_unary("/Test/Sum")(iter([b"1", b"2", b"39"]), timeout=PATIENCE_S) == b"42"
    counted = list(channel.unary_stream("/Test/Count")(b"300", timeout=PATIENCE_S))
    assert counted == [b"%d" % number * 1000 for number in range(300)]
    steps = threading.Semaphore(1)

    def said() -> Iterator[bytes]:
        for word in (b"a", b"b", b"c"):
            steps.acquire(timeout=PATIENCE_S)  # each only after the answer to the one before
            yield word

    chat = channel.stream_stream("/Test/Chat")(said(), timeout=PATIENCE_S)
    heard = []
    for word in chat:
        heard.append(word)
        steps.release()
    assert heard == [b"A", b"B", b"C"]
    assert ("x-said", "goodbye") in [(key, value) for key, value in chat.trailing_metadata()]


def test_calls_of_one_channel_are_balanced(channel: Any) -> None:
    call = channel.unary_unary("/Test/Name")
    assert set(Counter(call(b"", timeout=PATIENCE_S) for _ in range(40))) == {b"one", b"two"}  # 2^-39 by chance


def test_a_status_of_the_servers_and_one_of_nobody(channel: Any) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary("/Test/Fail")(b"", timeout=PATIENCE_S)
    assert (failed.value.code(), failed.value.details()) == (grpc.StatusCode.FAILED_PRECONDITION, "not today")
    with pytest.raises(grpc.RpcError) as unknown:
        channel.unary_unary("/Test/Nothing")(b"", timeout=PATIENCE_S)
    assert unknown.value.code() == grpc.StatusCode.UNIMPLEMENTED  # Trailers-Only


@pytest.mark.parametrize("how", ["cancel", "deadline"])
def test_who_does_not_wait_any_more_cancels_the_servers_call(channel: Any, servers: Servers, how: str) -> None:
    for answers in servers.answers:
        answers.cancelled.clear()
        answers.waiting.clear()
    call = channel.unary_unary("/Test/Wait").future(b"", timeout=0.3 if how == "deadline" else PATIENCE_S)
    until("the call", lambda: any(answers.waiting.is_set() for answers in servers.answers))
    if how == "cancel":
        call.cancel()
    until("its end", lambda: any(answers.cancelled.is_set() for answers in servers.answers))
    until("the client's", call.done)


def test_an_endpoint_that_is_not_there_is_unavailable(cluster: Cluster, authority: str) -> None:
    at = Ingress(cluster)
    cluster.apply(
        service("gone", ports=[{"port": 80, "appProtocol": "kubernetes.io/h2c"}]),
        ingress("gone", (GONE, "Prefix", "/", backend("gone"))),
    )
    until("the route", lambda: at.status(GONE) == 503)
    named = [("grpc.ssl_target_name_override", HOST), ("grpc.default_authority", GONE)]
    credentials = grpc.ssl_channel_credentials(authority.encode())
    with grpc.secure_channel(f"{at.address}:{at.tls_port}", credentials, named) as channel:
        with pytest.raises(grpc.RpcError) as failed:
            channel.unary_unary("/Test/Name")(b"", timeout=PATIENCE_S)
        assert failed.value.code() == grpc.StatusCode.UNAVAILABLE


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize(("option", "version"), [("--http2", "2"), ("--http1.1", "1.1")])
def test_curl_gets_the_version_that_it_asks_for(
    cluster: Cluster, authority: str, tmp_path: Path, option: str, version: str
) -> None:
    at = Ingress(cluster)
    cluster.apply(echo_pod("web"), service("web", app="web"), ingress("web", (HOST, "Prefix", "/web", backend("web"))))
    wait_ready(cluster, "web")
    until("the Ingress", lambda: at.status(HOST, "/web") == 200)
    path = tmp_path / "authority.pem"
    path.write_text(authority)
    command = ["curl", "-sS", option, "--cacert", str(path), "--resolve", f"{HOST}:{at.tls_port}:{at.address}"]
    command += ["-w", "\n%{http_version} %{http_code}", "--data-binary", "@-"]
    done = subprocess.run(
        [*command, f"https://{HOST}:{at.tls_port}/web/a"],
        input="x" * 200_000,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stdout.rpartition("\n")[2] == f"{version} 200"

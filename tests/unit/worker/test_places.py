"""Where a client is decides where it gets: traffic policies, hints, health check ports; and UDP through a worker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket

from dataplane.metrics import names
from dataplane.metrics.exposition import exposition
from dataplane.snapshot.model import Listener, Node
from dataplane.worker import Worker
from tests.fakes.contract import endpoint, full, partial
from tests.fakes.sockets import connect, is_refused, until, unused_port
from tests.unit.worker.test_worker import APP, app, get, http, tcp, worker

NODES = (Node("n0", ("127.244.0.0/24", "127.0.0.0/8"), "z0"), Node("n1", ("127.244.1.0/24",), "z1"))
ON_N1 = "127.244.1.7"


async def bodies(port: int, source: str = "", times: int = 6) -> set[bytes]:
    return {(await get(port, source=source))[1] for _ in range(times)}


async def test_hints_keep_traffic_in_its_zone_and_a_change_of_them_counts_at_once() -> None:
    tcp_port, http_port = unused_port(), unused_port()
    async with app(b"1") as one, app(b"2") as two:
        near = endpoint("a", port=one.port, hint_zones=("z0",))
        far = endpoint("b", port=two.port, hint_zones=("z1",))
        async with worker(full(APP, tcp(tcp_port), http(http_port), near, far, *NODES)) as made:
            for port in (tcp_port, http_port):
                assert await bodies(port) == {b"1"}
                assert await bodies(port, ON_N1) == {b"2"}
            kept = await connect(http_port)
            assert await get(http_port, wire=kept) == (200, b"1")
            made.apply(partial(endpoint("a", port=one.port, hint_zones=()), version=2))
            assert await bodies(tcp_port) == {b"1", b"2"}
            assert {(await get(http_port, wire=kept))[1] for _ in range(4)} == {b"1", b"2"}
            kept.close()
            made.apply(partial(near, Node("n0", NODES[0].ranges, "z1"), version=3))
            assert await bodies(tcp_port) == {b"2"}, "the node has moved"


async def test_policy_local_means_the_clients_node() -> None:
    port = unused_port()
    async with app(b"1") as one, app(b"2") as two:
        endpoints = endpoint("a", port=one.port, node="n0"), endpoint("b", port=two.port, node="n1")
        async with worker(full(APP, tcp(port, local=True), *endpoints, *NODES)) as made:
            assert await bodies(port) == {b"1"}
            assert await bodies(port, ON_N1) == {b"2"}
            made.apply(partial(version=2, removes=(("endpoint", "app|b"),)))
            wire = await connect(port, source=ON_N1)
            with contextlib.suppress(ConnectionError):
                assert await wire.rest() == b"", "kube-proxy drops here; nobody else's endpoint answers"
            assert await bodies(port) == {b"1"}


async def test_a_nodes_socket_is_open_while_the_node_has_an_endpoint() -> None:
    ports = [unused_port() for _ in range(2)]
    fronts = [
        Listener(f"node{n}", "127.0.0.1", port, "tcp", "app", node=f"n{n}", local=True) for n, port in enumerate(ports)
    ]
    async with app(b"1") as one, app(b"2") as two:
        update = full(APP, *fronts, *NODES, endpoint("a", port=one.port, node="n0"))
        async with worker(update) as made:
            assert await bodies(ports[0]) == {b"1"}
            assert await is_refused(ports[1])
            made.apply(partial(endpoint("b", port=two.port, node="n1"), version=2))
            assert await bodies(ports[0]) == {b"1"}
            assert await bodies(ports[1]) == {b"2"}


async def ask_health(port: int, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    wire = await connect(port)
    wire.send(f"{method} /healthz HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    head, _, body = (await wire.rest()).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    return int(lines[0].split()[1]), dict(line.split(": ", 1) for line in lines[1:]), body


async def test_a_health_check_port_counts_its_nodes_ready_endpoints() -> None:
    port = unused_port()
    front = Listener("health", "127.0.0.1", port, "health", "default/web:80", node="n0")
    backend = "default/web:80"
    here = endpoint("a", backend, node="n0")
    async with worker(full(front, here, endpoint("b", backend, node="n1"))) as made:
        status, fields, body = await ask_health(port)
        assert (status, fields["X-Load-Balancing-Endpoint-Weight"]) == (200, "1")
        assert json.loads(body) == {
            "service": {"namespace": "default", "name": "web"},
            "localEndpoints": 1,
            "serviceProxyHealthy": True,
        }
        assert (await ask_health(port, "HEAD"))[2] == b""
        assert (await ask_health(port, "POST"))[0] == 405
        leaving = endpoint("a", backend, node="n0", ready=False, serving=True, terminating=True)
        made.apply(partial(leaving, version=2))
        status, fields, body = await ask_health(port)
        assert (status, fields["X-Load-Balancing-Endpoint-Weight"]) == (503, "0")


async def test_a_health_check_port_believes_no_endless_head() -> None:
    port = unused_port()
    async with worker(full(Listener("health", "127.0.0.1", port, "health", "a/b:1", node="n0"))):
        wire = await connect(port)
        wire.send(b"GET / HTTP/1.1\r\nX: " + b"x" * 9000)
        assert (await wire.rest()).startswith(b"HTTP/1.1 400 ")


class Echo(asyncio.DatagramProtocol):
    """A UDP endpoint that answers its name."""

    def __init__(self, name: bytes) -> None:
        self.name = name

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.transport.sendto(self.name + data, addr)


class Asker(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answers: list[bytes] = []

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.answers.append(data)


async def asked(port: int, source: str = "127.0.0.1", *, times: int = 4) -> list[bytes]:
    """The answers to one datagram each from so many sockets, all of them open: a closed one's port may be had again."""
    loop = asyncio.get_running_loop()
    opened = [await loop.create_datagram_endpoint(Asker, (source, 0), ("127.0.0.1", port)) for _ in range(times)]
    for transport, asker in opened:
        transport.sendto(b"?")
        await until(lambda asker=asker: asker.answers)  # type: ignore[misc]
    for transport, _ in opened:
        transport.close()
    return [asker.answers[0] for _, asker in opened]


async def test_datagrams_are_balanced_by_flow_and_by_place_and_remembered_by_affinity() -> None:
    loop = asyncio.get_running_loop()
    ports = []
    for name in (b"a", b"b"):
        transport, _ = await loop.create_datagram_endpoint(lambda name=name: Echo(name), ("127.0.0.1", 0))  # type: ignore[misc]
        ports.append(transport.get_extra_info("sockname")[1])
    plain, local, sticky = (unused_port(kind=socket.SOCK_DGRAM) for _ in range(3))
    fronts = (
        Listener("plain", "127.0.0.1", plain, "udp", "app"),
        Listener("local", "127.0.0.1", local, "udp", "app", local=True),
        Listener("sticky", "127.0.0.1", sticky, "udp", "app", affinity_timeout_s=60.0),
    )
    endpoints = [endpoint(f"e{n}", port=port, node=f"n{n}") for n, port in enumerate(ports)]
    async with worker(full(APP, *fronts, *endpoints, *NODES)) as made:
        assert set(await asked(plain)) == {b"a?", b"b?"}
        assert set(await asked(local)) == {b"a?"}
        assert set(await asked(local, ON_N1)) == {b"b?"}
        assert len(set(await asked(sticky, times=6))) == 1
        assert metric(made, "udp") == len(made.datagrams) == 18
        await made.stop(0)
        assert {flow.outcome for flow in made.recorder.ring} == {"ok"}
        assert sum(flow.bytes_out for flow in made.recorder.ring) == 36


def metric(made: Worker, protocol: str) -> float:
    exposition(made.registry)
    return made.registry.value(names.ACTIVE, protocol).value

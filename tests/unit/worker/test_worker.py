"""A whole worker: updates in, traffic through, records out."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from dataplane.listen.sockets import open_socket
from dataplane.metrics import names
from dataplane.snapshot.codec import ContractError, encode, encode_json
from dataplane.snapshot.model import Backend, Certificate, Listener, Record, Update
from dataplane.worker import Options, Worker
from tests.fakes.contract import endpoint, full, partial, rule
from tests.fakes.names import ZONE, data_in, exchange, question
from tests.fakes.pem import pem
from tests.fakes.sockets import Origin, Wire, connect, is_refused, origin, until, unused_port

APP = Backend("app", policy="round-robin")


@contextlib.asynccontextmanager
async def worker(update: Update | None = None, **options: Any) -> AsyncIterator[Worker]:
    made = Worker(Options(seed=1, **options))
    await made.start()
    try:
        if update is not None:
            made.apply(update)
        yield made
    finally:
        await made.stop(0)


def tcp(port: int, **more: Any) -> Listener:
    return Listener("tcp", "127.0.0.1", port, "tcp", "app", **more)


def web(port: int, **more: Any) -> Listener:
    return Listener("web", "127.0.0.1", port, "ingress", table="web", **more)


def http(port: int, **more: Any) -> Listener:
    return Listener("http", "127.0.0.1", port, "http", "app", **more)


@contextlib.asynccontextmanager
async def app(name: bytes) -> AsyncIterator[Origin]:
    """An HTTP endpoint that answers its name."""
    async with origin() as made:

        async def serve() -> None:
            while True:
                tasks.append(asyncio.ensure_future(answer(await made.connections.get())))

        async def answer(wire: Wire) -> None:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    await wire.reader.readuntil(b"\r\n\r\n")
                    wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(name), name))
            wire.close()

        tasks = [asyncio.ensure_future(serve())]
        try:
            yield made
        finally:
            for task in tasks:
                task.cancel()


async def get(port: int, host: str = "x", *, wire: Wire | None = None, **more: str) -> tuple[int, bytes]:
    """(status, body) of one request, on a connection of its own if none is given."""
    on = wire or await connect(port, **more)  # type: ignore[arg-type]
    on.send(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    async with asyncio.timeout(5):
        head = await on.reader.readuntil(b"\r\n\r\n")
    length = next(int(line[16:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length: "))
    body = await on.exactly(length)
    if wire is None:
        on.close()
    return int(head.split()[1]), body


async def test_an_ingress_listener_routes_and_answers_404_and_503() -> None:
    port = unused_port()
    async with (
        app(b"one") as one,
        worker(
            full(APP, web(port), rule("r", "a.com"), rule("gone", "b.com", backend="no"), endpoint("a", port=one.port))
        ) as made,
    ):
        assert await get(port, "a.com") == (200, b"one")
        assert (await get(port, "b.com"))[0] == 503
        assert (await get(port, "c.com"))[0] == 404
        outcomes = [(flow.route, flow.backend, flow.status, flow.outcome) for flow in made.recorder.ring]
        assert outcomes[:2] == [("r", "app", 200, "ok"), ("gone", "no", 503, "no_endpoint")]
        assert outcomes[2][3] == "no_route"


async def test_tcp_is_balanced_per_connection_and_http_per_request() -> None:
    one_port, other_port = unused_port(), unused_port()
    async with (
        app(b"1") as one,
        app(b"2") as two,
        worker(full(APP, tcp(one_port), http(other_port), endpoint("a", port=one.port), endpoint("b", port=two.port))),
    ):
        for port, kinds in ((one_port, 1), (other_port, 2)):
            wire = await connect(port)
            bodies = {(await get(port, wire=wire))[1] for _ in range(6)}
            assert len(bodies) == kinds
            wire.close()
        assert {(await get(one_port))[1] for _ in range(6)} == {b"1", b"2"}


async def test_a_service_without_a_usable_endpoint_refuses_and_comes_back() -> None:
    port = unused_port()
    async with app(b"1") as one, worker(full(APP, tcp(port), endpoint("a", port=one.port))) as made:
        kept = await connect(port)
        assert await get(port, wire=kept) == (200, b"1")
        made.apply(partial(endpoint("a", port=one.port, ready=False), version=2))
        assert await is_refused(port)
        assert await get(port, wire=kept) == (200, b"1")  # established connections go on
        kept.close()
        made.apply(partial(endpoint("a", port=one.port), version=3))
        assert await get(port) == (200, b"1")


async def test_a_client_with_affinity_stays_on_one_endpoint_in_both_modes() -> None:
    one_port, other_port = unused_port(), unused_port()
    async with (
        app(b"1") as one,
        app(b"2") as two,
        worker(
            full(
                APP,
                tcp(one_port, affinity_timeout_s=60.0),
                http(other_port, affinity_timeout_s=60.0),
                endpoint("a", port=one.port),
                endpoint("b", port=two.port),
            )
        ) as made,
    ):
        mine = {(await get(port))[1] for port in (one_port, other_port) for _ in range(4)}
        assert len(mine) == 1
        others = {(await get(one_port, source=f"127.0.0.{number}"))[1] for number in range(2, 8)}
        assert others == {b"1", b"2"}
        leaving = "a" if mine == {b"1"} else "b"
        made.apply(partial(version=2, removes=(("endpoint", f"app|{leaving}"),)))
        assert (await get(other_port))[1] not in mine


async def test_affinity_holds_over_workers_that_share_a_listener() -> None:
    port = unused_port()
    async with app(b"1") as one, app(b"2") as two:
        update = full(
            APP, tcp(port, affinity_timeout_s=60.0), endpoint("a", port=one.port), endpoint("b", port=two.port)
        )
        async with worker(update, workers=2) as first, worker(update, workers=2) as second:
            for number in range(2, 8):
                source = f"127.0.0.{number}"
                # each worker takes turns: a client known to both would meet both endpoints at its second worker
                assert len({(await get(port, source=source))[1] for _ in range(6)}) == 1
            assert [each.registry.value(names.ACCEPTED, "tcp").value for each in (first, second)] == [18, 18]


async def test_a_flipped_endpoint_gets_no_new_request_and_a_new_one_does() -> None:
    port = unused_port()
    async with (
        app(b"1") as one,
        app(b"2") as two,
        worker(full(APP, web(port), rule("r"), endpoint("a", port=one.port))) as made,
    ):
        wire = await connect(port)
        assert await get(port, wire=wire) == (200, b"1")
        made.apply(partial(endpoint("b", port=two.port), endpoint("a", port=one.port, ready=False), version=2))
        assert {(await get(port, wire=wire))[1] for _ in range(3)} == {b"2"}
        made.apply(partial(version=3, removes=(("endpoint", "app|b"),)))
        assert (await get(port, wire=wire))[0] == 503
        await until(lambda: made.proxy.statistics()["upstreams"] == 0)  # nothing idle is kept to what left
        wire.close()


async def test_tls_comes_with_its_certificate() -> None:
    port = unused_port()
    context = ssl.create_default_context(cadata=pem("a.com")[0])
    async with (
        app(b"1") as one,
        worker(full(APP, web(port, tls=True), rule("r"), endpoint("a", port=one.port))) as made,
    ):
        made.apply(partial(Certificate("c", ("a.com",), *pem("a.com")), version=2))
        wire = Wire(*await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="a.com"))
        assert await get(port, "a.com", wire=wire) == (200, b"1")
        wire.writer.transport.abort()


async def test_a_socket_that_was_handed_over_is_served() -> None:
    with open_socket("127.0.0.1", 0) as handed:
        port = handed.getsockname()[1]
        waiting = await connect(port)  # before there is a worker
        async with app(b"1") as one, worker(inherited={"web": handed.fileno()}) as made:
            made.apply(full(APP, web(port), rule("r"), endpoint("a", port=one.port)))
            assert await get(port, wire=waiting) == (200, b"1")
            waiting.close()


async def test_at_the_limit_of_connections_new_ones_wait() -> None:
    port = unused_port()
    async with app(b"1") as one, worker(full(APP, tcp(port), endpoint("a", port=one.port)), connections_max=1) as made:
        first = await connect(port)
        assert await get(port, wire=first) == (200, b"1")
        second = await connect(port)
        second.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: "limit" in str([labels for _, children in made.registry.read() for labels in children]))
        assert len(made.relays) == 1
        first.close()
        async with asyncio.timeout(5):
            assert (await second.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        second.close()


async def test_silent_clients_of_a_tls_port_count_too() -> None:
    port = unused_port()
    certificate = Certificate("c", ("a.com",), *pem("a.com"))
    async with worker(full(APP, web(port, tls=True), certificate), connections_max=2) as made:
        silent = [await connect(port) for _ in range(3)]
        await until(lambda: "limit" in str([labels for _, children in made.registry.read() for labels in children]))
        assert made.connections == made.gate.handshakes == 2
        silent[0].send(b"no TLS at all, and so much of it that it cannot be taken for a beginning")
        silent[1].close()
        await until(lambda: made.registry.value(names.TLS_FAILURES, "web").value == 2)
        await until(lambda: made.connections == 1)  # the third one, which waited in the queue
        for wire in silent:
            wire.close()


async def test_a_stop_lets_connections_finish() -> None:
    port, tcp_port = unused_port(), unused_port()
    async with app(b"1") as one:
        made = Worker(Options())
        await made.start()
        made.apply(full(APP, web(port), tcp(tcp_port), rule("r"), endpoint("a", port=one.port)))
        idle, busy = await connect(port), await connect(tcp_port)
        assert await get(port, wire=idle) == (200, b"1")
        busy.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
        await until(lambda: len(made.relays))
        stopping = asyncio.ensure_future(made.stop(5.0))
        assert await idle.rest() == b""  # an idle keep-alive connection is closed
        assert await is_refused(port)
        assert not stopping.done()
        busy.send(b"\r\n")
        assert await busy.exactly(39) == b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"
        busy.close()
        idle.close()
        await stopping
        assert [flow.outcome for flow in made.recorder.ring] == ["ok", "ok"]


async def test_the_feed_feeds_and_the_admin_endpoint_shows(tmp_path: Path) -> None:
    port = unused_port()
    done = asyncio.Event()

    async def publish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(encode(full(APP, web(port), rule("r"), endpoint("a", port=1))))
        await done.wait()
        writer.close()

    server = await asyncio.start_unix_server(publish, str(tmp_path / "publish.sock"))
    async with worker(feed=tmp_path / "publish.sock", admin=tmp_path / "admin.sock") as made:
        await until(lambda: made.table.is_ready)
        assert (await get(port))[0] == 502

        async def shown(path: str) -> bytes:
            wire = Wire(*await asyncio.open_unix_connection(str(tmp_path / "admin.sock")))
            wire.send(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            return (await wire.rest()).partition(b"\r\n\r\n")[2]

        view = orjson.loads(await shown("/table"))
        assert (view["ready"], view["listeners"][0]["state"], view["backends"][0]["usable"]) == (True, "open", 1)
        assert view["backends"][0]["endpoints"][0]["failed"] >= 0
        metrics = (await shown("/metrics")).decode()
        assert 'loopkube_endpoints{backend="app",phase="ready"} 1\n' in metrics
        assert 'loopkube_requests_total{listener="web",backend="app",code="502",outcome="refused"} 1\n' in metrics
        assert "process_open_fds" in metrics
        assert b"<td>app</td>" in await shown("/")
        assert orjson.loads(await shown("/flows"))["outcome"] == "refused"
    done.set()
    server.close()


async def test_the_first_state_is_told_once_and_to_nobody_who_is_gone() -> None:
    read, write = os.pipe()
    async with worker(full(APP), ready_fd=write) as made:
        made.apply(full(APP, version=2))
        assert os.read(read, 100) == b"routes\n"
        os.close(read)
    async with worker(full(APP), ready_fd=write) as made:
        assert made.table.is_ready
    os.close(write)


async def test_a_snapshot_file_is_loaded_or_refused(tmp_path: Path) -> None:
    path, port = tmp_path / "state.jsonl", unused_port()
    path.write_bytes(encode_json(full(APP)) + b"\n" + encode_json(partial(web(port), version=2)) + b"\n")
    async with worker(snapshot=path) as made:
        assert (made.table.version, made.listeners.port("web")) == (2, port)
    path.write_bytes(encode_json(partial(APP, version=1)))
    made = Worker(Options(snapshot=path))
    with pytest.raises(ContractError, match="the first update must be full"):
        await made.start()
    await made.stop(0)


async def test_two_workers_answer_for_the_same_names_and_one_alone_too() -> None:
    port = unused_port()
    state = full(Listener("dns", "127.0.0.1", port, "dns"), ZONE, Record("a.cluster.local.", "A", "10.0.0.1"))
    async with worker(state), worker(state) as other:
        for _ in range(8):  # each from a port of its own, so that both are asked
            (reply,) = await exchange(("127.0.0.1", port), question("a.cluster.local."))
            assert data_in(reply) == ["10.0.0.1"]
        await other.stop(0)
        for _ in range(4):
            (reply,) = await exchange(("127.0.0.1", port), question("a.cluster.local."))
            assert data_in(reply) == ["10.0.0.1"]


async def test_a_change_is_answered_by_the_next_question() -> None:
    port = unused_port()
    async with worker(full(Listener("dns", "127.0.0.1", port, "dns"), ZONE)) as made:
        for version in range(2, 12):
            record = Record("a.cluster.local.", "A", f"10.0.0.{version}")
            gone = Record("a.cluster.local.", "A", f"10.0.0.{version - 1}")
            made.apply(partial(record, version=version, removes=(("record", gone.name),)))
            (reply,) = await exchange(("127.0.0.1", port), question("a.cluster.local."))
            assert data_in(reply) == [f"10.0.0.{version}"]

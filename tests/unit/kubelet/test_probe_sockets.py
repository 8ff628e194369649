"""Looks over real sockets: HTTP, TCP, gRPC."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from control.kubelet.hooks import Handlers, Surroundings, port_number
from control.kubelet.probe_grpc import PREFACE, frame, grpc_check, literal
from control.kubelet.probe_http import http_get, tcp_connect
from tests.fakes.process_host import FakeHost

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[int]:
    async def whole(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(whole, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def answering(*answers: bytes) -> tuple[Serve, list[str]]:
    requests: list[str] = []
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(left.pop(0) if len(left) > 1 else left[0])

    return serve, requests


@pytest.mark.parametrize(
    ("status", "result", "output"),
    [
        (200, "success", ""), (399, "success", ""), (400, "failure", "HTTP probe failed with statuscode: 400"),
        (503, "failure", "HTTP probe failed with statuscode: 503"),
    ],
)  # fmt: skip
async def test_status_codes(status: int, result: str, output: str) -> None:
    serve, requests = answering(f"HTTP/1.1 {status} X\r\n\r\n".encode())
    async with serving(serve) as port:
        found = await http_get("HTTP", "127.0.0.1", port, "/x?y=1", [("X-A", "b")], 1)
    assert (found.result, found.output) == (result, output)
    assert requests[0].startswith("GET /x?y=1 HTTP/1.1\r\nHost: 127.0.0.1:")
    assert "User-Agent: kube-probe/1.37\r\n" in requests[0]
    assert "X-A: b\r\n" in requests[0]


async def test_redirects_are_followed_on_the_same_host_only() -> None:
    serve, requests = answering(b"HTTP/1.1 302 F\r\nLocation: /other\r\n\r\n", OK)
    async with serving(serve) as port:
        assert (await http_get("HTTP", "127.0.0.1", port, "/", [], 1)).result == "success"
    assert requests[1].startswith("GET /other ")
    away, _ = answering(b"HTTP/1.1 302 F\r\nLocation: http://example.com/\r\n\r\n")
    async with serving(away) as port:
        assert (await http_get("HTTP", "127.0.0.1", port, "/", [], 1)).result == "warning"
    round_and_round, _ = answering(b"HTTP/1.1 302 F\r\nLocation: /\r\n\r\n")
    async with serving(round_and_round) as port:
        found = await http_get("HTTP", "127.0.0.1", port, "/", [], 1)
    assert found.output.endswith("stopped after 10 redirects")


async def test_failures_in_go_s_words() -> None:
    refused = await http_get("HTTP", "127.0.0.1", 1, "/z", [], 1)
    assert refused.output == 'Get "http://127.0.0.1:1/z": dial tcp 127.0.0.1:1: connect: connection refused'
    hold = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hold.wait()

    async with serving(silent) as port:
        late = await http_get("HTTP", "127.0.0.1", port, "/", [], 0.01)
        hold.set()
    assert "context deadline exceeded" in late.output
    gone, _ = answering(b"")
    async with serving(gone) as port:
        assert (await http_get("HTTP", "127.0.0.1", port, "/", [], 1)).output.endswith(": EOF")
    garbage, _ = answering(b"SSH-2.0\r\n\r\n")
    async with serving(garbage) as port:
        assert "malformed HTTP response" in (await http_get("HTTP", "127.0.0.1", port, "/", [], 1)).output


async def test_tcp() -> None:
    serve, _ = answering(OK)
    async with serving(serve) as port:
        assert (await tcp_connect("127.0.0.1", port, 1)).result == "success"
    assert (await tcp_connect("127.0.0.1", 1, 1)).output == "dial tcp 127.0.0.1:1: connect: connection refused"


def grpc_server(status: int | None) -> tuple[Serve, list[bytes]]:
    """Speaks just enough HTTP/2; None answers with trailers only."""
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(len(PREFACE)) == PREFACE
        writer.write(frame(4, 0, 0))
        done = False
        while not done:
            head = await reader.readexactly(9)
            payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
            done = head[3] == 0 and bool(head[4] & 1)
            if head[3] in (0, 1):
                seen.append(payload)
        writer.write(frame(6, 0, 0, b"pingping") + frame(1, 4, 1, b"\x88"))
        if status is not None:
            message = b"\x08" + bytes([status])
            writer.write(frame(0, 0, 1, b"\x00" + struct.pack(">I", len(message)) + message))
        writer.write(frame(1, 5, 1, b""))
        await writer.drain()

    return serve, seen


@pytest.mark.parametrize(
    ("status", "result", "words"),
    [(1, "success", ""), (2, "failure", '"NOT_SERVING"'), (None, "failure", "does not implement")],
)
async def test_grpc(status: int | None, result: str, words: str) -> None:
    serve, seen = grpc_server(status)
    async with serving(serve) as port:
        found = await grpc_check("127.0.0.1", port, "db", 1)
    assert found.result == result
    assert words in found.output
    assert literal(":path", "/grpc.health.v1.Health/Check") in seen[0]
    assert seen[1] == b"\x00\x00\x00\x00\x04\x0a\x02db"


async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def test_grpc_against_what_is_no_grpc() -> None:
    serve, _ = answering(OK)
    async with serving(serve) as port:
        assert (await grpc_check("127.0.0.1", port, "", 1)).result == "failure"
    refused = await grpc_check("127.0.0.1", 1, "", 1)
    assert refused.result == "failure"
    where = '"127.0.0.1:1": dial tcp 127.0.0.1:1: connect: connection refused'
    assert refused.output == f"error: failed to connect service at {where}"
    async with serving(say_nothing) as port:
        assert (await grpc_check("127.0.0.1", port, "", 0.01)).output == (
            "timeout: health rpc did not complete within 0.01s"
        )


async def test_handlers_find_ports_and_run_commands() -> None:
    spec = {"name": "c", "ports": [{"name": "http", "containerPort": 8080}]}
    assert [port_number(spec, port) for port in ("http", "81", 82, "x")] == [8080, 81, 82, None]
    host = FakeHost(lambda: 0.0)
    host.answers["bad"] = (3, b"why")
    handlers, around = Handlers(host), Surroundings(spec, "127.0.0.1", {}, "/")
    assert (await handlers.perform({"exec": {"command": ["ok"]}}, around, 1)).result == "success"
    assert (await handlers.perform({"exec": {"command": ["bad"]}}, around, 1)).output == "why"
    late = await handlers.perform({"exec": {"command": ["hang", "on"]}}, around, 0.01)
    assert late.output == 'command timed out: "hang on" timed out after 0.01s'
    assert (await handlers.perform({"httpGet": {"port": "nope"}}, around, 1)).result == "error"
    assert await handlers.hook({"sleep": {"seconds": 0}}, around, 1) is None
    assert await handlers.hook({"exec": {"command": ["bad"]}}, around, 1) == "why"

"""The programs behind images, over real sockets: the shared HTTP server, echo, agnhost, the static server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.kubelet.images.agnhost import NetExec, duration
from control.kubelet.images.echo import Echo, Identity, Switches, version_of
from control.kubelet.images.http1 import BadRequest, Request, Site, parse_head
from control.kubelet.images.serving import flags_of
from control.kubelet.images.web import Static, nginx_argv


def echo(**env: str) -> Echo:
    given_env = {"LOOPKUBE_POD": "p-1", "LOOPKUBE_IMAGE": "loopkube/echo:v7", **env}
    return Echo(Identity(given_env), Switches.from_environment(given_env), Random(1))


class Caller:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, text: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
        self.writer.write(text.replace("\n", "\r\n").encode() + body)
        return await self.answer()

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:] if line)}
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(await self.reader.readline(), 16):
                body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readline()
        else:
            body = await self.reader.readexactly(int(headers["content-length"]))
        return int(head[0].split()[1]), headers, body

    async def get(self, target: str) -> Any:
        status, headers, body = await self.ask(f"GET {target} HTTP/1.1\nHost: x\n\n")
        return json.loads(body) if headers["content-type"] == "application/json" else (status, body.decode())


@asynccontextmanager
async def calling(site: Site) -> AsyncIterator[Caller]:
    server = await asyncio.get_running_loop().create_server(site, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        yield Caller(reader, writer)
    finally:
        writer.close()
        server.close()


async def test_echo_says_what_it_got_and_who_it_is() -> None:
    async with calling(echo().site) as caller:
        for _ in range(3):  # the second and third come from memory
            said = await caller.get("/a%20b?x=1&x=2")
            assert (said["method"], said["path"], said["query"]) == ("GET", "/a%20b", {"x": "2"})
            assert (said["pod"], said["version"], said["headers"]["host"]) == ("p-1", "v7", "x")
        status, _, body = await caller.ask("POST /b HTTP/1.1\nHost: x\nContent-Length: 5\n\n", b"hello")
        said = json.loads(body)
        assert (status, said["body"], said["bodyBytes"]) == (200, "hello", 5)


async def test_echo_answers_each_connection_with_its_own_address() -> None:
    site = echo().site
    async with calling(site) as one, calling(site) as two:
        clients = [(await caller.get("/same"))["client"] for caller in (one, two, one, two)]
    assert clients[0] == clients[2] != clients[1] == clients[3]


async def test_echo_switches() -> None:
    program = echo()
    async with calling(program.site) as caller:
        assert await caller.get("/readyz") == (200, "ok\n")
        body = b'{"ready": false, "error_rate": 1}'
        status, _, _ = await caller.ask(f"POST /control HTTP/1.1\nContent-Length: {len(body)}\n\n", body)
        assert status == 200
        assert (await caller.get("/readyz"))[0] == 503
        assert (await caller.ask("GET / HTTP/1.1\nHost: x\n\n"))[0] == 500
        bad = b'{"ready": true, "error_rate": 2}'
        assert (await caller.ask(f"POST /control HTTP/1.1\nContent-Length: {len(bad)}\n\n", bad))[0] == 400
        assert program.switches.ready is False, "all of it or nothing"
        assert (await caller.ask("GET /?status=418 HTTP/1.1\nHost: x\n\n"))[0] == 418


@pytest.mark.parametrize("size", [0, 1, 200_000])
async def test_echo_sends_bodies_of_any_size(size: int) -> None:
    async with calling(echo().site) as caller:
        for more in ("", "&chunked=1"):
            _, headers, body = await caller.ask(f"GET /?size={size}{more} HTTP/1.1\nHost: x\n\n")
            assert len(body) == size
            assert ("transfer-encoding" in headers) is bool(more)


async def test_draining_finishes_what_is_under_way_and_closes_the_idle() -> None:
    program = echo()
    async with calling(program.site) as busy, calling(program.site) as idle:
        await busy.get("/")
        await idle.get("/")
        busy.writer.write(b"GET /?delay_ms=20 HTTP/1.1\r\nHost: x\r\n\r\n")
        while not program.site.in_flight:
            await asyncio.sleep(0)
        drained = asyncio.ensure_future(program.site.drain())
        assert await idle.reader.read() == b""
        status, headers, _ = await busy.answer()
        assert (status, headers["connection"]) == (200, "close")
        await drained
        assert not program.site.connections


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with calling(echo().site) as caller:
        caller.writer.write(b"GET /?delay_ms=5 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n")
        paths = [json.loads((await caller.answer())[2])["path"] for _ in range(3)]
        assert paths == ["/", "/2", "/3"]


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET /\n\n", 400),
        ("GET / HTTP/1.1\nbad header\n\n", 400),
        ("POST / HTTP/1.1\nContent-Length: 1\nContent-Length: 2\n\n", 400),
        ("POST / HTTP/1.1\nContent-Length: 3\nTransfer-Encoding: chunked\n\n", 400),
        ("POST / HTTP/1.1\nContent-Length: -1\n\n", 400),
        ("POST / HTTP/1.1\nTransfer-Encoding: gzip\n\n", 501),
        ("POST / HTTP/1.1\nTransfer-Encoding: chunked\n\nxyz\n", 400),
        ("GET / HTTP/1.1\nX: " + "y" * 70_000 + "\n\n", 431),
    ],
)
async def test_ambiguous_framing_is_refused(head: str, status: int) -> None:
    async with calling(echo().site) as caller:
        assert (await caller.ask(head))[0] == status
        assert await caller.reader.read() == b"", "and the connection is closed"


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=5), st.lists(st.integers(1, 50), max_size=60))
@settings(max_examples=25)
def test_chunked_bodies_arrive_in_any_pieces(chunks: list[bytes], sizes: list[int]) -> None:
    seen: list[tuple[bytes, int]] = []

    def handler(request: Request, body: bytes, connection: Any) -> bytes:
        seen.append((body, connection.body_bytes))
        return b""

    connection = Site(handler)()
    connection.transport = type("T", (), {"is_closing": lambda s: False, "write": lambda s, d: None})()
    data = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    data += b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    for size in sizes:
        if data[:size]:
            connection.data_received(data[:size])
        data = data[size:]
    if data:
        connection.data_received(data)
    whole = b"".join(chunks)
    assert seen == [(whole, len(whole))]


def test_heads() -> None:
    request = parse_head(b"GET http://h/p?a=b HTTP/1.0\r\nConnection: keep-alive\r\nX:  y ")
    assert (request.path, request.query, request.close, request.header("x")) == ("/p", {"a": "b"}, False, "y")
    assert parse_head(b"GET / HTTP/1.0").close
    with pytest.raises(BadRequest):
        parse_head(b"GET / HTTP/2")


async def test_netexec() -> None:
    program = NetExec()
    async with calling(program.site) as caller:
        assert (await caller.get("/echo?msg=hi&code=201")) == (201, "hi")
        assert (await caller.get("/shell?cmd=id"))[0] == 403
        assert (await caller.get("/clientip"))[1].startswith("127.0.0.1:")
        port = caller.writer.get_extra_info("peername")[1]
        assert await caller.get(f"/dial?host=127.0.0.1&port={port}&request=echo?msg=x&tries=2") == {
            "responses": ["x", "x"]
        }
        assert "errors" in await caller.get("/dial?host=127.0.0.1&port=1")
        assert (await caller.get("/nope"))[0] == 404


async def test_static_files_stay_in_their_folder(tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    (tmp_path / "www/index.html").write_text("hello")
    (tmp_path / "secret").write_text("no")
    async with calling(Site(Static("nginx", tmp_path / "www").handle)) as caller:
        status, headers, body = await caller.ask("GET / HTTP/1.1\nHost: x\n\n")
        assert (status, headers["content-type"], body) == (200, "text/html", b"hello")
        assert "the host has no nginx" in headers["server"]
        assert (await caller.get("/../secret"))[0] == 404


def test_nginx_listens_on_the_pod_s_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POD_IP", "127.244.0.9")
    argv = nginx_argv("/usr/sbin/nginx", tmp_path, 8080)
    assert "listen 127.244.0.9:8080;" in Path(argv[-1]).read_text()


def test_small_things() -> None:
    assert [version_of(image) for image in ("a/b:v1", "a:5000/b", "x@sha256:1", "")] == [
        "v1",
        "latest",
        "latest",
        "latest",
    ]
    assert [duration(text) for text in ("1m30s", "500ms", "2")] == [90, 0.5, 2]
    assert flags_of(["--a=1", "-b", "2", "--c", "x"], {"a": "", "b": "", "c": "false"}) == (
        {"a": "1", "b": "2", "c": "true"},
        ["x"],
    )
    for bad in ("5x", "s"):
        with pytest.raises(ValueError, match="duration"):
            duration(bad)

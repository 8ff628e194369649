"""agnhost: the image of Kubernetes' end-to-end tests, as far as loopkube's pods need it.

    python -m control.kubelet.images.agnhost SUBCOMMAND [FLAGS]

Subcommands: netexec, serve-hostname, pause, connect, liveness, entrypoint-tester, logs-generator (flags as in agnhost;
`netexec --http-port 8080 --udp-port 8081`). Others are refused by name. Servers listen on the pod's own address. One
deliberate difference: netexec's `/shell` and `/upload` are refused, because in loopback mode "inside the pod" is the
user's own machine, and every local process could ask.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from urllib.parse import quote

from control.kubelet.images.http1 import Connection, Request, Response, Site
from control.kubelet.images.serving import address, flags_of, port_of, run, serve_site, until_stopped

DIAL_TIMEOUT_S = 5.0


def hostname() -> str:
    return os.environ.get("HOSTNAME", "")


class NetExec:
    """`netexec`: an HTTP and a UDP server that say who they are, and dial others on request."""

    def __init__(self) -> None:
        self.site = Site(self.handle)
        self.exiting: asyncio.TimerHandle | None = None

    def handle(self, request: Request, body: bytes, connection: Connection) -> Response | Awaitable[Response]:
        query = request.query
        path = request.path
        if path == "/":
            return Response(200, f"NOW: {datetime.now(UTC).isoformat(sep=' ')}")
        if path in ("/hostname", "/hostName"):
            return Response(200, hostname())
        if path == "/clientip":
            return Response(200, connection.peer)
        if path == "/header":
            return Response(200, request.header(query.get("key", "")))
        if path == "/echo":
            return self.echo(query)
        if path == "/healthz":
            return Response(412 if self.exiting else 200, "")
        if path == "/redirect":
            return Response(
                port_of(query.get("code", "302"), "code"), headers=(("Location", query.get("location", "/")),)
            )
        if path == "/exit":
            return self.exit(query)
        if path == "/dial":
            return self.dial(query)
        if path in ("/shell", "/upload", "/shutdown"):
            return Response(403, f"{path} is refused: in loopkube a pod's commands would run on the machine itself\n")
        return Response(404, "404 page not found\n")

    def echo(self, query: dict[str, str]) -> Response:
        code = query.get("code", "200")
        if not code.isdigit() or not 200 <= int(code) <= 599:
            return Response(400, f"argument 'code' must be an integer value, got '{code}'\n")
        return Response(int(code), query.get("msg", ""))

    def exit(self, query: dict[str, str]) -> Response:
        """`/exit?code=N&timeout=DURATION&wait=DURATION`: not ready at once, gone after `wait`."""
        code = int(query.get("code") or 0)
        wait_s = duration(query.get("wait", "0"))
        self.exiting = asyncio.get_running_loop().call_later(wait_s, os._exit, code)
        return Response(200, "")

    async def dial(self, query: dict[str, str]) -> Response:
        """`/dial?host=&port=&request=&protocol=http|udp&tries=`: JSON with responses and errors."""
        answers: dict[str, list[str]] = {}
        try:
            host, port = query["host"], port_of(query["port"])
            tries = int(query.get("tries") or 1)
            ask = {"http": ask_http, "udp": ask_udp}[query.get("protocol", "http")]
        except (KeyError, ValueError) as error:
            return Response(400, f"bad or missing argument: {error}\n")
        for _ in range(min(tries, 1000)):
            try:
                text = await asyncio.wait_for(ask(host, port, query.get("request", "hostName")), DIAL_TIMEOUT_S)
                answers.setdefault("responses", []).append(text)
            except (OSError, TimeoutError, ValueError) as error:
                answers.setdefault("errors", []).append(str(error) or type(error).__name__)
        return Response(200, json.dumps(answers), "application/json")


async def ask_http(host: str, port: int, request: str) -> str:
    reader, writer = await asyncio.open_connection(host, port, local_addr=(address(), 0))  # as from a pod of its own
    try:
        target = quote(request.lstrip("/"), safe="/?&=%")
        writer.write(f"GET /{target} HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode())
        answer = await reader.read(1 << 20)
        while chunk := await reader.read(1 << 16):
            answer += chunk
    finally:
        writer.close()
    return answer.partition(b"\r\n\r\n")[2].decode("utf-8", "replace")


async def ask_udp(host: str, port: int, request: str) -> str:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bytes] = loop.create_future()

    class Ask(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            if not answer.done():
                answer.set_result(data)

        def error_received(self, exc: Exception) -> None:
            if not answer.done():
                answer.set_exception(exc)

    transport, _ = await loop.create_datagram_endpoint(Ask, (address(), 0), (host, port))
    try:
        transport.sendto(request.encode())
        return (await answer).decode("utf-8", "replace")
    finally:
        transport.close()


class UdpServer(asyncio.DatagramProtocol):
    """netexec's UDP port: `hostname`, `clientip`, `echo MESSAGE`."""

    def __init__(self) -> None:
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # uvloop's transports are none of asyncio's classes

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self.transport is not None
        verb, _, rest = data.decode("utf-8", "replace").strip().partition(" ")
        if verb.lower() == "hostname":
            self.transport.sendto(hostname().encode(), addr)
        elif verb.lower() == "clientip":
            self.transport.sendto(f"{addr[0]}:{addr[1]}".encode(), addr)
        elif verb.lower() == "echo":
            self.transport.sendto(rest.encode(), addr)


def duration(text: str) -> float:
    """A Go duration of one or more units (`1m30s`, `500ms`); a plain number is seconds."""
    units = {"ms": 0.001, "us": 1e-6, "ns": 1e-9, "s": 1.0, "m": 60.0, "h": 3600.0}
    try:
        return float(text)
    except ValueError:
        pass
    total, number, rest = 0.0, "", text
    while rest:
        if rest[0].isdigit() or rest[0] == ".":
            number, rest = number + rest[0], rest[1:]
            continue
        unit = next((unit for unit in units if rest.startswith(unit)), "")
        if not unit or not number:
            raise ValueError(f"invalid duration {text!r}")
        total += float(number) * units[unit]
        number, rest = "", rest[len(unit) :]
    if number:
        raise ValueError(f"missing unit in duration {text!r}")
    return total


async def netexec(args: list[str]) -> None:
    flags, _ = flags_of(
        args, {"http-port": "8080", "udp-port": "8081", "sctp-port": "-1", "delay-shutdown": "0", "http-override": ""}
    )
    program = NetExec()
    if flags["http-override"]:
        override = flags["http-override"]
        program.site.handler = lambda request, body, connection: Response(200, override)
    if flags["udp-port"] != "-1":
        where = (address(), port_of(flags["udp-port"], "udp-port"))
        await asyncio.get_running_loop().create_datagram_endpoint(UdpServer, local_addr=where)
    if flags["sctp-port"] != "-1":
        raise ValueError("sctp is not supported")
    delay_s = float(flags["delay-shutdown"])
    await serve_site(program.site, address(), port_of(flags["http-port"], "http-port"), delay_shutdown_s=delay_s)


async def serve_hostname(args: list[str]) -> None:
    flags, _ = flags_of(
        args, {"port": "9376", "http": "true", "tcp": "false", "udp": "false", "close": "false", "serve-port": "false"}
    )
    port = port_of(flags["port"])
    if flags["udp"] == "true":
        await asyncio.get_running_loop().create_datagram_endpoint(UdpHostname, local_addr=(address(), port))
    if flags["tcp"] == "true":

        async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(f"{hostname()}\n".encode())
            writer.close()

        await asyncio.start_server(say, address(), port)
        await until_stopped()
    elif flags["http"] == "true":
        await serve_site(Site(lambda request, body, connection: Response(200, hostname())), address(), port)
    else:
        await until_stopped()


class UdpHostname(UdpServer):
    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self.transport is not None
        self.transport.sendto(f"{hostname()}\n".encode(), addr)


async def pause(args: list[str]) -> None:
    await until_stopped()


async def connect(args: list[str]) -> int:
    """`connect HOST:PORT [--timeout D]`: prints TIMEOUT, REFUSED, DNS or OTHER and fails, or says nothing."""
    flags, rest = flags_of(args, {"timeout": "1s", "protocol": "tcp"})
    if len(rest) != 1 or flags["protocol"] != "tcp":
        raise ValueError("usage: connect HOST:PORT [--timeout DURATION] (tcp)")
    host, _, port = rest[0].rpartition(":")
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port_of(port)), duration(flags["timeout"]))
        writer.close()
        return 0
    except TimeoutError:
        print("TIMEOUT", flush=True)
    except ConnectionRefusedError:
        print("REFUSED", flush=True)
    except OSError as error:
        print(f"OTHER: {error}", flush=True)
    return 1


async def liveness(args: list[str]) -> None:
    """Port 8080: /healthz is well for ten seconds, then fails; what liveness probes are shown with."""
    flags_of(args, {})
    started = time.monotonic()

    def handle(request: Request, body: bytes, connection: Connection) -> Response:
        if request.path == "/started":
            return Response(200, f"{time.monotonic() - started:.0f}")
        if request.path != "/healthz":
            return Response(404, "404 page not found\n")
        age_s = time.monotonic() - started
        return Response(500, f"error: {age_s}") if age_s > 10 else Response(200, "ok")

    await serve_site(Site(handle), address(), 8080)


async def entrypoint_tester(args: list[str]) -> None:
    print(json.dumps(["/agnhost", "entrypoint-tester", *args]).replace('"', ""), flush=True)


async def logs_generator(args: list[str]) -> None:
    flags, _ = flags_of(args, {"log-lines-total": "0", "run-duration": "1s", "t": "", "n": ""})
    total = int(flags["n"] or flags["log-lines-total"])
    if total <= 0:
        raise ValueError(f"Invalid total number of lines: {total}")
    pause_s = duration(flags["t"] or flags["run-duration"]) / total
    for line in range(total):
        print(f"{line} GET /api/v1/namespaces/default/pods/{line:05d} 200", flush=True)
        await asyncio.sleep(pause_s)


SUBCOMMANDS: dict[str, Callable[[list[str]], Awaitable[int | None]]] = {
    "netexec": netexec,
    "serve-hostname": serve_hostname,
    "pause": pause,
    "connect": connect,
    "liveness": liveness,
    "entrypoint-tester": entrypoint_tester,
    "logs-generator": logs_generator,
}


def main(argv: list[str] | None = None) -> int:
    args = sys.argv[1:] if argv is None else argv
    name = args[0] if args else "pause"  # the image's CMD
    if name not in SUBCOMMANDS:
        print(f"agnhost: {name!r} is not one of loopkube's subcommands: {', '.join(SUBCOMMANDS)}", file=sys.stderr)
        return 1
    return run(f"agnhost {name}", lambda: SUBCOMMANDS[name](args[1:]))


if __name__ == "__main__":
    sys.exit(main())

"""loopkube/echo: says what it received and who it is, and misbehaves on request; the guinea pig of experiments.

    python -m control.kubelet.images.echo [--host ADDRESS] [--port N]

Every path answers with JSON: method, path, query, headers, client, body, and the pod, namespace, node and version (the
image's tag) that served it. Switches come from the environment, from `POST /control` (JSON of the same names, for the
whole process) and, where they make sense for one request, from its query:

    delay_ms         ECHO_DELAY_MS          wait before answering                       ?delay_ms=  (or ?delay=)
    error_rate       ECHO_ERROR_RATE        share of requests answered 500, 0..1        ?status=503 forces a status
    ready            ECHO_READY             whether /readyz says 200
    healthy          ECHO_HEALTHY           whether /healthz says 200
    slow_start_s     ECHO_SLOW_START_S      seconds before the port is opened (environment only)
    slow_shutdown_s  ECHO_SLOW_SHUTDOWN_S   seconds between SIGTERM and the start of draining
                                            ?size=N: a body of N bytes; ?chunked=1: sent as chunks

`/healthz`, `/readyz`, `/hostname` and `/control` are answered undelayed. SIGTERM: not ready at once; then the port is
closed, idle connections are closed, answers say `Connection: close`, requests under way are finished; then exit 0.

The answer to a repeated request is rendered once and kept with the remembered head (see http1), so that echo costs
little beside the proxy in front of it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import signal
import sys

import uvloop

from control.kubelet.images.http1 import Connection, Request, Response, Site, render_head

BACKLOG = 4096
BODY_ECHOED_MAX = 4096
JSON = "application/json"


def version_of(image: str) -> str:
    """The tag of an image reference; "latest" where it has none."""
    name = image.partition("@")[0]
    tag = name.rpartition("/")[2].partition(":")[2]
    return tag or "latest"


class Identity:
    """Who answers, from the environment that the kubelet gives (LOOPKUBE_*) or a pod's own fieldRefs give."""

    def __init__(self, env: dict[str, str]) -> None:
        self.pod = env.get("LOOPKUBE_POD") or env.get("POD_NAME") or env.get("HOSTNAME", "")
        self.namespace = env.get("LOOPKUBE_NAMESPACE") or env.get("POD_NAMESPACE", "")
        self.node = env.get("LOOPKUBE_NODE") or env.get("NODE_NAME", "")
        self.version = env.get("ECHO_VERSION") or version_of(env.get("LOOPKUBE_IMAGE", ""))


class Switches:
    """How to misbehave. `set` refuses names and values that make no sense."""

    def __init__(self) -> None:
        self.delay_ms = 0.0
        self.error_rate = 0.0
        self.ready = True
        self.healthy = True
        self.slow_start_s = 0.0
        self.slow_shutdown_s = 0.0

    def set(self, name: str, value: object) -> None:
        if name not in self.__dict__:
            raise ValueError(f"unknown switch {name!r}; there are {', '.join(self.__dict__)}")
        if isinstance(self.__dict__[name], bool):
            if isinstance(value, str):
                if value.lower() not in ("true", "false", "1", "0", "on", "off"):
                    raise ValueError(f"{name} must be true or false, not {value!r}")
                value = value.lower() in ("true", "1", "on")
            if not isinstance(value, bool):
                raise ValueError(f"{name} must be true or false, not {value!r}")
            self.__dict__[name] = value
            return
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError(f"{name} must be a number, not {value!r}")
        number = float(value)
        if not 0 <= number < (1.000001 if name == "error_rate" else 1e9):
            raise ValueError(f"{name} must be {'0..1' if name == 'error_rate' else 'at least 0'}, not {value!r}")
        self.__dict__[name] = number

    @classmethod
    def from_environment(cls, env: dict[str, str]) -> Switches:
        switches = cls()
        for name in list(switches.__dict__):
            text = env.get(f"ECHO_{name.upper()}")
            if text:
                switches.set(name, text)
        return switches


class Echo:
    """The handler."""

    def __init__(self, identity: Identity, switches: Switches, rng: random.Random) -> None:
        self.identity = identity
        self.switches = switches
        self.rng = rng
        self.site = Site(self.handle)
        self.terminating = False
        pairs = vars(identity).items()
        self.who = "".join(f',"{name}":{json.dumps(value)}' for name, value in pairs)
        self.own = {
            "/healthz": self.healthz,
            "/readyz": self.readyz,
            "/hostname": self.hostname,
            "/control": self.control,
            "/stats": self.stats,
        }

    def handle(
        self, request: Request, body: bytes, connection: Connection
    ) -> Response | bytes | asyncio.Future[Response]:
        switches = self.switches
        if request.memo is not None and not (switches.delay_ms or switches.error_rate or self.site.draining):
            if connection.answered is request:
                return connection.message
            return self.whole(request, connection, str(request.memo))
        own = self.own.get(request.path)
        if own is not None:
            return own(request, body)
        try:
            delay_ms = float(request.query.get("delay_ms") or request.query.get("delay") or switches.delay_ms)
            response = self.response(request, body, connection)
        except ValueError as error:
            return Response(400, f"{error}\n")
        if delay_ms > 0:
            return asyncio.ensure_future(self.later(response, min(delay_ms, 3_600_000) / 1000))
        if request.memo is None and self.may_remember(request, connection):
            return self.whole(request, connection, self.tail(request, b"", 0))
        return response

    def may_remember(self, request: Request, connection: Connection) -> bool:
        plain = not (request.query or request.length or request.chunked or request.close or self.site.draining)
        return plain and request.method == "GET" and self.switches.error_rate == 0

    def whole(self, request: Request, connection: Connection, tail: str) -> bytes:
        """The whole answer for this client: its larger part is kept with the head, all of it with the connection."""
        body = self.body(connection, tail)
        request.memo = tail
        connection.answered = request
        connection.message = render_head(Response(200, body, JSON), len(body), close=False) + body
        return connection.message

    def body(self, connection: Connection, tail: str) -> bytes:
        return f'{{"client":{json.dumps(connection.peer)}{tail}}}\n'.encode()

    def tail(self, request: Request, body: bytes, body_bytes: int) -> str:
        headers: dict[str, str] = {}
        for name, value in request.headers:
            name = name.lower()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        seen = {"method": request.method, "path": request.path, "query": request.query, "headers": headers}
        text = f',{json.dumps(seen, separators=(",", ":"))[1:-1]},"bodyBytes":{body_bytes}'
        if body:
            text += f',"body":{json.dumps(body[:BODY_ECHOED_MAX].decode("utf-8", "replace"))}'
        return text + self.who

    def response(self, request: Request, body: bytes, connection: Connection) -> Response:
        status = int(request.query.get("status", "200"))
        if not 200 <= status <= 599:
            raise ValueError(f"status must be 200..599, not {status}")
        if status == 200 and self.switches.error_rate and self.rng.random() < self.switches.error_rate:
            status = 500
        response = Response(status, self.body(connection, self.tail(request, body, connection.body_bytes)), JSON)
        if status in (204, 304):
            response.body = b""
        if "size" in request.query and status not in (204, 304):
            size = int(request.query["size"])
            if not 0 <= size <= 1 << 32:
                raise ValueError(f"size must be 0..{1 << 32}, not {size}")
            response.filler = size
            response.body = b"" if size == 0 else response.body
        response.chunked = request.query.get("chunked", "") in ("1", "true") and status not in (204, 304)
        return response

    async def later(self, response: Response, delay_s: float) -> Response:
        await asyncio.sleep(delay_s)
        return response

    def healthz(self, request: Request, body: bytes) -> Response:
        healthy = self.switches.healthy
        return Response(200 if healthy else 500, "ok\n" if healthy else "unhealthy\n")

    def readyz(self, request: Request, body: bytes) -> Response:
        if self.terminating:
            return Response(503, "terminating\n")
        return Response(200, "ok\n") if self.switches.ready else Response(503, "not ready\n")

    def hostname(self, request: Request, body: bytes) -> Response:
        return Response(200, self.identity.pod)

    def stats(self, request: Request, body: bytes) -> Response:
        site = self.site
        counts = {"requests": site.requests, "inFlight": site.in_flight, "connections": len(site.connections)}
        return Response(200, json.dumps(counts) + "\n", JSON)

    def control(self, request: Request, body: bytes) -> Response:
        if request.method in ("POST", "PUT"):
            try:
                wanted = json.loads(body or b"{}")
                if not isinstance(wanted, dict):
                    raise ValueError("the body must be a JSON object")
                trial = Switches()
                for name, value in wanted.items():
                    trial.set(name, value)  # all of it is checked before any of it holds
                for name in wanted:
                    self.switches.__dict__[name] = trial.__dict__[name]
            except ValueError as error:
                return Response(400, f"{error}\n")
        elif request.method != "GET":
            return Response(405, "GET or POST\n", headers=(("Allow", "GET, POST"),))
        return Response(200, json.dumps(vars(self.switches)) + "\n", JSON)


async def serve(echo: Echo, host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    if echo.switches.slow_start_s:
        print(f"starting, {echo.switches.slow_start_s:g} s", flush=True)
        try:
            await asyncio.wait_for(stop.wait(), echo.switches.slow_start_s)
            return
        except TimeoutError:
            pass
    server = await loop.create_server(echo.site, host, port, backlog=BACKLOG)
    print(f"loopkube/echo:{echo.identity.version} listens on {host}:{port}", flush=True)
    gc.collect()
    gc.freeze()  # what start-up made stays; the collector need not look at it again
    await stop.wait()
    echo.terminating = True
    if echo.switches.slow_shutdown_s:
        print(f"SIGTERM: draining in {echo.switches.slow_shutdown_s:g} s", flush=True)
        await asyncio.sleep(echo.switches.slow_shutdown_s)
    server.close()
    print(f"draining: {echo.site!r}", flush=True)
    await echo.site.drain()
    print("bye", flush=True)


def main(argv: list[str] | None = None) -> int:
    env = dict(os.environ)
    parser = argparse.ArgumentParser(prog="echo", description="JSON echo; see POST /control for switches")
    parser.add_argument("--host", default=env.get("POD_IP") or "127.0.0.1", help="address (default: $POD_IP)")
    parser.add_argument("--port", type=int, default=int(env.get("PORT") or 8080), help="port (default: $PORT or 8080)")
    options = parser.parse_args(argv)
    try:
        echo = Echo(Identity(env), Switches.from_environment(env), random.Random())
        uvloop.run(serve(echo, options.host, options.port))
    except (OSError, ValueError) as error:
        print(f"echo: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The three things that probes and lifecycle hooks do alike: run a command, GET a URL, wait.

`Handlers` performs a handler (`exec`, `httpGet`, `tcpSocket`, `grpc`, `sleep`) for a container, as an `Outcome`. Hosts
default to the pod's address, ports may be named after a containerPort. Commands run through the supervisor with the
container's own environment and directory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from control.api.objects import find_named
from control.kubelet.probe import Outcome
from control.kubelet.probe_grpc import grpc_check
from control.kubelet.probe_http import http_get, tcp_connect
from control.kubelet.process import ProcessHost, StartError

OUTPUT_MAX = 10_240  # kubelet's maxProbeMessageLength


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a handler needs to know of the container that it is for."""

    container: Mapping[str, Any]
    pod_ip: str
    env: Mapping[str, str]
    cwd: str


def port_number(container: Mapping[str, Any], port: int | str) -> int | None:
    """A port as a number; a name is looked up among the container's ports."""
    if isinstance(port, int):
        return port
    if port.isdigit():
        return int(port)
    found = find_named(container.get("ports"), port)
    return int(found["containerPort"]) if found else None


class Handlers:
    """Performs handlers. One for the whole node."""

    def __init__(self, host: ProcessHost) -> None:
        self.host = host

    async def perform(self, handler: Mapping[str, Any], around: Surroundings, timeout_s: float) -> Outcome:
        if "exec" in handler:
            return await self.command(tuple(handler["exec"].get("command") or ()), around, timeout_s)
        if "sleep" in handler:
            return await self.sleep(float(handler["sleep"].get("seconds") or 0), timeout_s)
        if "grpc" in handler:
            grpc = handler["grpc"]
            return await grpc_check(around.pod_ip, int(grpc["port"]), grpc.get("service") or "", timeout_s)
        for name in ("httpGet", "tcpSocket"):
            if name in handler:
                target = handler[name]
                port = port_number(around.container, target.get("port", 0))
                if port is None or not 0 < port < 65536:
                    return Outcome("error", f"couldn't find port: {target.get('port')} in container")
                host = target.get("host") or around.pod_ip
                if name == "tcpSocket":
                    return await tcp_connect(host, port, timeout_s)
                headers = [(header["name"], header.get("value", "")) for header in target.get("httpHeaders") or ()]
                path = target.get("path") or "/"
                return await http_get(target.get("scheme") or "HTTP", host, port, path, headers, timeout_s)
        return Outcome("error", f"missing or unknown handler: {', '.join(handler)}")

    async def command(self, argv: tuple[str, ...], around: Surroundings, timeout_s: float) -> Outcome:
        try:
            code, output = await self.host.run(argv, around.env, around.cwd, timeout_s, OUTPUT_MAX)
        except StartError as error:
            return Outcome("error", error.message)
        except TimeoutError:
            return Outcome("failure", f'command timed out: "{" ".join(argv)}" timed out after {timeout_s:g}s')
        text = output.decode("utf-8", "replace")
        if code == 0:
            return Outcome("success", text)
        return Outcome("failure", text or f"command exited with {code}")

    async def sleep(self, seconds: float, timeout_s: float) -> Outcome:
        await asyncio.sleep(min(seconds, timeout_s))
        return Outcome(
            "success" if seconds <= timeout_s else "failure", "container terminated before sleep hook finished"
        )

    async def hook(self, handler: Mapping[str, Any], around: Surroundings, timeout_s: float) -> str | None:
        """Runs a lifecycle hook; returns why it failed. An HTTP hook's HTTPS falls back to HTTP, as kubelet's does."""
        outcome = await self.perform(handler, around, timeout_s)
        if outcome.result == "failure" and (handler.get("httpGet") or {}).get("scheme") == "HTTPS":
            plain = {"httpGet": {**handler["httpGet"], "scheme": "HTTP"}}
            outcome = await self.perform(plain, around, timeout_s)
        return None if outcome.good else outcome.output

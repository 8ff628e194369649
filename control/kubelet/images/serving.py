"""How the programs that stand in for images listen and stop: one place for flags, sockets and SIGTERM.

A program listens on its pod's address only (`POD_IP`): in loopback mode all pods share the machine's network, so
0.0.0.0 would take the port from every other pod.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence

import uvloop

from control.kubelet.images.http1 import Site

BACKLOG = 4096


def address() -> str:
    return os.environ.get("POD_IP") or "127.0.0.1"


def port_of(text: str, what: str = "port") -> int:
    if not text.isdigit() or not 0 <= int(text) <= 65535:
        raise ValueError(f"{what} must be 0..65535, not {text!r}")
    return int(text)


def flags_of(args: Sequence[str], known: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Go-style flags: `--name=value`, `--name value`, booleans (known default "true"/"false") alone."""
    flags, rest = dict(known), []
    pending = list(args)
    while pending:
        arg = pending.pop(0)
        if not arg.startswith("-") or arg == "-":
            rest.append(arg)
            continue
        if arg == "--":
            rest += pending
            break
        name, equals, value = arg.lstrip("-").partition("=")
        if name not in known:
            raise ValueError(f"unknown flag: --{name}")
        if not equals:
            if known[name] in ("true", "false"):
                value = "true"
            elif pending:
                value = pending.pop(0)
            else:
                raise ValueError(f"flag needs an argument: --{name}")
        flags[name] = value
    return flags, rest


async def until_stopped(delay_s: float = 0.0) -> None:
    """Returns `delay_s` after SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    await stop.wait()
    if delay_s > 0:
        await asyncio.sleep(delay_s)


async def serve_site(site: Site, host: str, port: int, *, delay_shutdown_s: float = 0.0) -> None:
    """Serves until SIGTERM, then finishes what is under way."""
    server = await asyncio.get_running_loop().create_server(site, host, port, backlog=BACKLOG)
    print(f"listening on {host}:{port}", flush=True)
    await until_stopped(delay_shutdown_s)
    server.close()
    await site.drain()


def run(program: str, main: Callable[[], Awaitable[int | None]]) -> int:
    """Runs a program's coroutine; expected failures are one line on stderr and exit code 1."""

    async def whole() -> int:
        return await main() or 0

    try:
        return uvloop.run(whole())
    except (OSError, ValueError) as error:
        print(f"{program}: {error}", file=sys.stderr, flush=True)
        return 1

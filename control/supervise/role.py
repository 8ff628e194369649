"""What the control and the node process have in common: options, event loop, logging, an end in order.

An expected failure of the start (a damaged store) is told to the supervisor as `failed: ...` on the ready descriptor,
so that `loopkube up` can say it in one line; the process then ends with code 3, which is not worth a restart.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

import uvloop

from control.config.folders import Folders
from control.config.settings import Settings, SettingsError
from control.supervise.part import HOPELESS
from control.supervise.ready import ReadyPipe

YOUNG_MAX = 20_000
"""Objects between two collections. API objects are trees without circles, of some hundred dicts each, and most of them
stay: at Python's 700 the collector took a sixth of the time in which thousands of pods came."""


class Role(Protocol):
    async def wait(self) -> None: ...

    async def stop(self) -> None: ...


Begin = Callable[[Settings, Folders, list[str]], Awaitable[Role]]


class Options(argparse.Namespace):
    """What the supervisor tells its parts (`parts`)."""

    data_dir: str
    api_fd: int
    publish_fd: int
    api_port: int
    http_port: int
    https_port: int
    dns_port: int
    ready_fd: int | None


def options_of(arguments: list[str]) -> Options:
    parser = argparse.ArgumentParser()
    parser.add_argument("data_dir")
    parser.add_argument("--api-fd", type=int, default=-1)
    parser.add_argument("--publish-fd", type=int, default=-1)
    parser.add_argument("--api-port", type=int, default=0)
    parser.add_argument("--http-port", type=int, default=0)
    parser.add_argument("--https-port", type=int, default=0)
    parser.add_argument("--dns-port", type=int, default=53)
    parser.add_argument("--ready-fd", type=int)
    return parser.parse_args(arguments, namespace=Options())


def run(begin: Begin, expected: tuple[type[Exception], ...] = ()) -> int:
    """The process's whole life; its exit code."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    arguments = sys.argv[1:]
    options = options_of(arguments)
    folders = Folders(Path(options.data_dir))
    try:
        settings = folders.load()
        if settings is None:
            raise SettingsError(f"{folders.data} holds no cluster")
        uvloop.run(_live(settings, folders, arguments, begin))
    except ConnectionError as error:
        logging.error("%s", error)
        return 1
    except Exception as error:
        if not isinstance(error, (SettingsError, *expected)):
            raise
        logging.error("%s", error)
        ReadyPipe(options.ready_fd).say(f"failed: {' '.join(str(error).split())}")
        return HOPELESS
    return 0


async def _live(settings: Settings, folders: Folders, arguments: list[str], begin: Begin) -> None:
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, ending.set)
    role = await begin(settings, folders, arguments)
    gc.collect()
    gc.freeze()  # modules, schemas and tables live as long as the process: the collector need not look at them again
    gc.set_threshold(YOUNG_MAX, 20, 20)
    ended = [asyncio.ensure_future(ending.wait()), asyncio.ensure_future(role.wait())]
    done, rest = await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    for task in done:
        task.result()
    await role.stop()

"""What a request's head costs to parse: our codec beside llhttp (httptools), aiohttp's parser and h11.

    python -m tests.fuzz.parsers [--rounds 5] [--json FILE]

Two kinds of traffic, both with a browser's eight field lines: `same`, one head over and over, and `varied`, where
path, cookie and referrer differ from head to head. Each parser does what it does at its best: ours remembers heads,
llhttp calls back for each field, aiohttp and h11 build their message objects. What they deliver differs (only ours
says where the body ends by the strict rules, what is forwarded and under which terms), so this is a price list and
not a race.

Parsers take turns, so that whatever else the machine does hits all alike; the best round of each counts. CPU time of
the process, in microseconds a head.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import h11
from aiohttp.http_parser import HttpRequestParser

from bench.machine import machine
from dataplane.l7.codec import parse_request
from dataplane.l7.heads import RequestHeads
from dataplane.l7.limits import Limits

HEADS: Final = 2000
LINES: Final = (
    b"Host: shop.example",
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    b"Accept-Language: en-US,en;q=0.5",
    b"Accept-Encoding: gzip, deflate, br",
    b"Connection: keep-alive",
)


def head(number: int) -> bytes:
    own = (b"Cookie: session=%032x" % (number * 7919), b"Referer: https://shop.example/items/%d" % (number // 3))
    return b"\r\n".join((b"GET /items/%d?page=%d HTTP/1.1" % (number, number % 9), *LINES, *own)) + b"\r\n\r\n"


def ours_remembering() -> Callable[[bytes], Any]:
    return RequestHeads(Limits()).parse


def ours_from_scratch() -> Callable[[bytes], Any]:
    limits = Limits()
    return lambda data: parse_request(data, limits)


class Heard:
    """What a user of llhttp collects at the least."""

    def __init__(self) -> None:
        self.url = b""
        self.fields: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self.url = url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))


def llhttp() -> Callable[[bytes], Any]:
    from httptools import HttpRequestParser as Parser

    def parse(data: bytes) -> Heard:
        heard = Heard()
        Parser(heard).feed_data(data)
        return heard

    return parse


def aiohttp() -> Callable[[bytes], Any]:
    loop = asyncio.new_event_loop()
    protocol: Any = None
    parser = HttpRequestParser(protocol, loop, 2**16)
    return parser.feed_data


def h11s() -> Callable[[bytes], Any]:
    def parse(data: bytes) -> Any:
        server = h11.Connection(h11.SERVER)
        server.receive_data(data)
        return server.next_event()

    return parse


PARSERS: Final[dict[str, Callable[[], Callable[[bytes], Any]]]] = {
    "ours": ours_remembering,
    "ours, without the memory of heads": ours_from_scratch,
    "httptools (llhttp)": llhttp,
    "aiohttp": aiohttp,
    "h11": h11s,
}


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """Microseconds of CPU a head, by traffic and parser."""
    traffic = {"same": [head(1)] * HEADS, "varied": [head(number) for number in range(HEADS)]}
    best: dict[str, dict[str, float]] = {kind: {} for kind in traffic}
    for number in range(rounds):
        for kind, heads in traffic.items():
            if kind == "varied":  # heads that nobody has seen in the round before
                heads = [head(number * HEADS + item) for item in range(HEADS)]
            for name, make in PARSERS.items():
                parse = make()
                begin = time.process_time()
                for data in heads:
                    parse(data)
                cost = (time.process_time() - begin) / HEADS * 1e6
                best[kind][name] = min(best[kind].get(name, cost), cost)
    return best


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--json", type=Path)
    parsed = options.parse_args()
    figures = measure(parsed.rounds)
    for kind, costs in figures.items():
        print(f"\n{kind} heads")
        for name, cost in costs.items():
            print(f"  {name:<40}{cost:8.2f} us")
    if parsed.json is not None:
        result = {
            "command": f"python -m tests.fuzz.parsers --rounds {parsed.rounds}",
            "machine": machine(),
            "python": platform.python_version(),
            "versions": {name: version(name) for name in ("httptools", "aiohttp", "h11")},
            "cpu_us_per_head": {kind: {n: round(c, 2) for n, c in costs.items()} for kind, costs in figures.items()},
        }
        parsed.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

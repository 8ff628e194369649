"""Compare the proxies on this machine: `python -m bench.peers`; exit code 1 when a goal is not met."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from bench.peers.measure import measure
from bench.peers.peers import STARTERS, Missing
from bench.peers.report import as_json, goals, table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--peers", default=",".join(STARTERS), help="default: %(default)s")
    parser.add_argument("--connections", default="1,32,256", help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each run (wrk takes whole seconds)")
    parser.add_argument("--varied", action="store_true", help="also with heads that differ from request to request")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    names = options.peers.split(",")
    unknown = sorted(set(names) - set(STARTERS))
    if unknown:
        parser.error(f"no such peer: {', '.join(unknown)}")
    connections = [int(count) for count in options.connections.split(",")]
    try:
        figures, missing = measure(names, connections, options.rounds, options.seconds, varied=options.varied)
    except Missing as error:
        sys.exit(f"{error}: the comparison needs nginx and wrk (Debian: apt-get install nginx wrk haproxy)")
    print(table(figures, missing))
    if options.json is not None:
        settings = {"rounds": options.rounds, "seconds": options.seconds}
        options.json.write_text(json.dumps(as_json(figures, missing, settings), indent=2) + "\n")
    if not all(goal["met"] for goal in goals(figures)):
        raise SystemExit(1)


if __name__ == "__main__":
    main()

"""Compare the proxies on this machine: `python -m bench.peers`; exit code 1 when a goal is not met."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from bench.machine import provenance
from bench.peers.measure import measure
from bench.peers.processes import Missing, version
from bench.peers.report import as_json, goals, table
from bench.peers.scenarios import SCENARIOS, STARTERS

NEEDS = (
    "the comparison needs nginx and wrk (Debian: apt-get install nginx libnginx-mod-stream wrk haproxy nghttp2-client)"
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--scenarios", default=",".join(SCENARIOS), help="default: %(default)s")
    parser.add_argument("--peers", default=",".join(STARTERS), help="default: %(default)s")
    parser.add_argument("--connections", help="numbers of connections instead of the scenarios' own")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each run (wrk takes whole seconds)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    for what, wanted, known in (
        ("scenario", options.scenarios, SCENARIOS),
        ("peer", options.peers, STARTERS),
    ):
        unknown = sorted(set(wanted.split(",")) - set(known))
        if unknown:
            parser.error(f"no such {what}: {', '.join(unknown)}; there are {', '.join(known)}")
    scenarios = [SCENARIOS[name] for name in options.scenarios.split(",")]
    connections = [int(count) for count in options.connections.split(",")] if options.connections else None
    try:
        figures, missing = measure(scenarios, options.peers.split(","), connections, options.rounds, options.seconds)
    except Missing as error:
        sys.exit(f"{error}: {NEEDS}")
    print(table(figures, missing))
    if options.json is not None:
        versions = {
            "nginx": version("nginx", "-v"),
            "haproxy": version("haproxy", "-v"),
            "wrk": version("wrk", "-v"),
            "h2load": version("h2load", "--version"),
        }
        settings = {"rounds": options.rounds, "seconds": options.seconds, **provenance(), "programs": versions}
        options.json.write_text(json.dumps(as_json(figures, missing, settings), indent=1) + "\n")
    if not all(goal["met"] for goal in goals(figures)):
        raise SystemExit(1)


if __name__ == "__main__":
    main()

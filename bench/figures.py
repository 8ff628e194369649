"""The README's figures, made from the committed results: nobody copies a number by hand.

    python -m bench.figures [--check]

writes the part of README.md between its two marks anew (`--check`: exit code 1 if it is not what it would be). Results
are `bench/results/*.json`, written by the benches with `--json`; each carries machine, versions and command.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"
README = ROOT / "README.md"
BEGIN, END = "<!-- figures: made by python -m bench.figures -->\n", "<!-- end of figures -->\n"


class Row(NamedTuple):
    """A figure of a result, by its name there."""

    result: str
    figure: str
    says: str


ROWS = (
    Row("startup", "`up --detach` returns, everything ready (median)", "`up` until everything is ready"),
    Row("startup", "`up -f app` to the first 200, 3 pods (median)", "`up -f` until a first 200 of 3 pods"),
    Row("footprint", "PSS of all together", "memory of all of loopkube's processes together (PSS), 3 pods running"),
    Row("footprint", "idle CPU, 3 pods probed each second", "idle CPU, 3 pods probed each second"),
    Row("pods", "pods started", "pods started"),
    Row("change_path", "probe's answer to first request, p50", "pod answers its probe until a request reaches it, p50"),
    Row("change_path", "probe's answer to first request, p99", "the same, p99 of 200 flips"),
    Row("change_path", "  probe, share", "share of the probe's way back"),
    Row("change_path", "  status write, share", "share of the status write"),
    Row("change_path", "  slice, share", "share of the slice"),
    Row("change_path", "  publish, share", "share of publishing"),
    Row("change_path", "  swap, share", "share of the swap"),
    Row("change_path", "  first request, share", "share of the client's next request"),
    Row("apiserver", "create: CPU", "API server: CPU per create of a 2 KB ConfigMap"),
    Row("apiserver", "get: CPU", "API server: CPU per get"),
    Row("apiserver", "merge patch: CPU", "API server: CPU per merge patch"),
    Row("apiserver", "delete: CPU", "API server: CPU per delete"),
    Row("apiserver", "creates", "API server: creates"),
)


def result(name: str) -> dict[str, Any] | None:
    """A committed result; None if there is none."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def limits() -> list[str]:
    """A line for each row, and for every further figure of other results that has a goal."""
    lines = ["| what | figure | goal |", "|---|---|---|"]
    for row in ROWS:
        found = result(row.result)
        figure = next((each for each in (found or {}).get("figures", ()) if each["name"] == row.figure), None)
        if figure is not None:
            lines.append(_line(row.says, figure))
    known = {row.result for row in ROWS}
    for path in sorted(RESULTS.glob("*.json")):
        made = json.loads(path.read_text())
        if path.stem in known or "title" not in made:
            continue
        lines += [_line(f"{made['title']}: {says}", each) for says, each in _named(made.get("figures", ()))]
    return lines


def _named(figures: Iterable[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The figures with a goal and what they say: one whose name is indented goes on with the name before it."""
    above = ""
    for figure in figures:
        name = figure["name"].strip()
        if name == figure["name"]:
            above = name
        else:
            name = f"{above}, {name}"
        if figure["goal"] is not None:
            yield name, figure


def _line(says: str, figure: dict[str, Any]) -> str:
    goal = ""
    if figure["goal"] is not None:
        sign = "at least" if figure.get("more_is_better") else "at most"
        goal = f"{sign} {_number(figure['goal'])}{'' if figure['met'] else ', **missed**'}"
    return f"| {says} | {_number(figure['value'])} {figure['unit'].replace('us', 'µs')} | {goal} |"


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def peers(rows: Iterable[dict[str, Any]]) -> list[str]:
    """A line for each scenario and number of connections: CPU, beside the others'."""
    rows = list(rows)
    units = {"tcp-1m": "MB", "1m": "MB", "100m": "MB", "websocket": "message"}
    lines = [
        "| load | connections | CPU of loopkube | × nginx | × HAProxy | × aiohttp | rate × nginx |",
        "|---|---|---|---|---|---|---|",
    ]
    for scenario, connections in dict.fromkeys((row["scenario"], row["connections"]) for row in rows):
        of = {row["peer"]: row for row in rows if (row["scenario"], row["connections"]) == (scenario, connections)}
        ours = of.get("loopkube")
        if ours is None:
            continue
        ratios = [
            f"{ours['cpu_us'] / of[peer]['cpu_us']:.2f}" if peer in of else ""
            for peer in ("nginx", "haproxy", "aiohttp")
        ]
        rate = f"{ours['per_s'] / of['nginx']['per_s']:.2f}" if "nginx" in of else ""
        unit = units.get(scenario, "request")
        cells = [scenario, str(connections), f"{_number(ours['cpu_us'])} µs per {unit}", *ratios, rate]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def text() -> str:
    """All that stands between the marks."""
    lines = limits()
    compared = [row for name in ("peers", "http2") for row in (result(name) or {}).get("rows", ())]
    if compared:
        lines += ["", *peers(compared)]
    settings = (result("peers") or result("startup") or {}).get("settings", {})
    if settings:
        lines += ["", f"Measured on {settings['machine']}, Python {settings['python']}, {settings['day']}."]
    return "\n".join(lines) + "\n"


def renewed(readme: str) -> str:
    """The README with these figures; raises ValueError if it has no marks."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("README.md has no marks for the figures")
    return f"{before}{BEGIN}{text()}{END}{after}"


def main() -> None:
    readme = README.read_text()
    made = renewed(readme)
    if "--check" in sys.argv[1:]:
        raise SystemExit(made != readme)
    README.write_text(made)


if __name__ == "__main__":
    main()

"""A result as one self-contained HTML page: the same numbers as the text, with a picture of the run. Pure."""

from __future__ import annotations

import html
from importlib import resources
from string import Template

from bench.lab.experiment import Result
from bench.lab.report import text
from bench.lab.stats import percentile

SLICES = 200
WIDTH, RATE_HEIGHT, LATENCY_HEIGHT, LANE = 1000, 140, 120, 22
COLOURS = {
    "pending": "#d9d9e3", "starting": "#f2c14e", "ready": "#3fa34d", "not-ready": "#e07a1f", "terminating": "#7a8ca3",
}  # fmt: skip


def page(result: Result) -> str:
    """The page; open it in any browser, no network needed."""
    template = Template(resources.files("bench.lab").joinpath("page.html").read_text())
    return template.substitute(
        title=html.escape(f"loopkube {result.title}: {result.rate:g} requests/s"),
        summary=html.escape(_summary(result)),
        rate=_rate(result),
        latency=_latency(result),
        pods=_pods(result),
        table=_table(result),
        text=html.escape(text(result)),
    )


def _summary(result: Result) -> str:
    total = result.total
    lost = "none lost" if not total.lost else f"{total.lost} lost"
    return f"{total.sent} requests in {result.end - result.begin:.0f} s, {total.answered} answered, {lost}"


def _x(result: Result, at: float) -> float:
    return round((at - result.begin) / (result.end - result.begin) * WIDTH, 1)


def _bands(result: Result, height: int) -> str:
    """The steps as alternating bands with their names."""
    parts = []
    for number, r in enumerate(result.steps):
        x, end = _x(result, r.step.begin), _x(result, r.step.end)
        parts.append(f'<rect class="band{number % 2}" x="{x}" y="0" width="{end - x:.1f}" height="{height}"/>')
        parts.append(f'<text x="{x + 4}" y="12">{html.escape(r.step.name)}</text>')
    return "".join(parts)


def _slices(result: Result) -> list[tuple[int, int, list[float]]]:
    """(answered, lost, latencies) for each of SLICES equal slices of the run."""
    slices: list[tuple[int, int, list[float]]] = [(0, 0, []) for _ in range(SLICES)]
    span = result.end - result.begin
    for sample in result.samples:
        index = int((sample.due_at - result.begin) / span * SLICES)
        if 0 <= index < SLICES:
            answered, lost, latencies = slices[index]
            if sample.lost:
                slices[index] = (answered, lost + 1, latencies)
            else:
                latencies.append(sample.latency_s)
                slices[index] = (answered + 1, lost, latencies)
    return slices


def _svg(height: int, body: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img">{body}</svg>'


def _rate(result: Result) -> str:
    slices = _slices(result)
    most = max((answered + lost for answered, lost, _ in slices), default=1) or 1
    width = WIDTH / SLICES
    bars = []
    for index, (answered, lost, _) in enumerate(slices):
        high = answered / most * (RATE_HEIGHT - 20)
        x = index * width
        bars.append(
            f'<rect class="ok" x="{x:.1f}" y="{RATE_HEIGHT - high:.1f}" width="{width:.1f}" height="{high:.1f}"/>'
        )
        if lost:  # at least 3 high: one lost request in a thousand must be seen
            tall = max(lost / most * (RATE_HEIGHT - 20), 3.0)
            y = RATE_HEIGHT - high - tall
            bars.append(
                f'<rect class="lost" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{tall:.1f}">'
                f"<title>{lost} lost</title></rect>"
            )
    return _svg(RATE_HEIGHT, _bands(result, RATE_HEIGHT) + "".join(bars))


def _latency(result: Result) -> str:
    slices = _slices(result)
    tops = [percentile(latencies, 0.99) for _, _, latencies in slices if latencies]
    top = max(tops, default=0.001) or 0.001
    lines = []
    for share, name in ((0.5, "p50"), (0.99, "p99")):
        points = " ".join(
            f"{(index + 0.5) * WIDTH / SLICES:.1f},"
            f"{LATENCY_HEIGHT - percentile(latencies, share) / top * (LATENCY_HEIGHT - 20):.1f}"
            for index, (_, _, latencies) in enumerate(slices)
            if latencies
        )
        lines.append(f'<polyline class="{name}" points="{points}"/>')
    label = f'<text class="scale" x="{WIDTH - 4}" y="12" text-anchor="end">top: {top * 1000:.1f} ms</text>'
    return _svg(LATENCY_HEIGHT, _bands(result, LATENCY_HEIGHT) + "".join(lines) + label)


def _pods(result: Result) -> str:
    height = LANE * len(result.lives) + 18
    parts = [_bands(result, height)]
    for row, life in enumerate(result.lives):
        y = 18 + row * LANE
        ends = [at for at, _ in life.phases[1:]] + [result.end]
        for (begin, phase), end in zip(life.phases, ends, strict=True):
            x, right = max(_x(result, begin), 0.0), min(_x(result, end), float(WIDTH))
            if phase in COLOURS and right > x:
                parts.append(
                    f'<rect fill="{COLOURS[phase]}" x="{x}" y="{y}" width="{right - x:.1f}" height="{LANE - 6}">'
                    f"<title>{html.escape(life.pod)}: {phase}</title></rect>"
                )
        parts += [f'<circle class="lost" cx="{_x(result, at)}" cy="{y + 8}" r="4"/>' for at in life.restarts]
        first = max(_x(result, life.phases[0][0]), 0.0) if life.phases else 0.0
        anchor = "start" if first < WIDTH * 0.7 else "end"
        label_x = first + 4 if anchor == "start" else WIDTH - 4
        parts.append(
            f'<text class="pod" x="{label_x}" y="{y + 12}" text-anchor="{anchor}">{html.escape(life.pod)} '
            f"({html.escape(life.version)})</text>"
        )
    return _svg(height, "".join(parts))


def _table(result: Result) -> str:
    rows = []
    for r in result.steps:
        c = r.count
        phases = ", ".join(f"{n} {html.escape(phase)}" for phase, n in r.lost_by_phase.items())
        hows = ", ".join(f"{n} {html.escape(how)}" for how, n in c.losses.items())
        cells = (
            html.escape(r.step.name), html.escape(r.step.said), c.sent, c.answered, c.lost, hows, phases,
            f"{c.p50_s * 1000:.1f}", f"{c.p99_s * 1000:.1f}",
        )  # fmt: skip
        mark = ' class="bad"' if c.lost else ""
        rows.append(f"<tr{mark}>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return "".join(rows)

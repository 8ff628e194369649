"""GET /metrics: what the controllers have done, in Prometheus' text format; queues' metrics are client-go's."""

from __future__ import annotations

from collections.abc import Callable, Mapping

Statistics = Mapping[str, Mapping[str, object]]
"""By controller: `reconciles`, `failures`, `conflicts`, `queue_added`, `queue_length` (`controllers.run`)."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
FAMILIES = (
    ("loopkube_reconciles_total", "counter", "controller", "reconciles", "Times that a controller decided on a key."),
    (
        "loopkube_reconcile_failures_total",
        "counter",
        "controller",
        "failures",
        "Decisions that failed, or were refused.",
    ),
    ("loopkube_reconcile_conflicts_total", "counter", "controller", "conflicts", "Decisions on an old world, refused."),
    ("workqueue_adds_total", "counter", "name", "queue_added", "Keys that were put into a controller's queue."),
    ("workqueue_depth", "gauge", "name", "queue_length", "Keys that wait in a controller's queue."),
)


def exposition(read: Callable[[], Statistics]) -> bytes:
    """The page; without controllers it has no samples."""
    statistics = read()
    lines = []
    for family, kind, label, entry, text in FAMILIES:
        lines += [f"# HELP {family} {text}", f"# TYPE {family} {kind}"]
        lines += [f'{family}{{{label}="{name}"}} {numbers[entry]}' for name, numbers in sorted(statistics.items())]
    return ("\n".join(lines) + "\n").encode()

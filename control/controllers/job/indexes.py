"""Sets of completion indexes, and the text in which a Job's status keeps them: `1,3-5,7`."""

from __future__ import annotations

from collections.abc import Iterable

from control.api.objects import Object, annotations_of

INDEX = "batch.kubernetes.io/job-completion-index"


def parse(text: str | None, limit: int) -> frozenset[int]:
    """The indexes below `limit`; what cannot be read counts for nothing (another writer's mistake must not stop us)."""
    found: set[int] = set()
    for part in (text or "").split(","):
        first, dash, last = part.partition("-")
        if first.isdecimal() and (last.isdecimal() or not dash):
            found.update(range(int(first), min(limit, int(last or first) + 1)))
    return frozenset(found)


def text_of(indexes: Iterable[int]) -> str:
    """Sorted, three and more in a row as a range; two in a row stay two (as Kubernetes writes it)."""
    parts: list[str] = []
    run: list[int] = []
    for index in [*sorted(indexes), None]:
        if run and index == run[-1] + 1:
            run.append(index)
            continue
        if len(run) > 2:
            parts.append(f"{run[0]}-{run[-1]}")
        else:
            parts += map(str, run)
        run = [] if index is None else [index]
    return ",".join(parts)


def index_of(pod: Object, completions: int) -> int | None:
    """The pod's completion index; None where it has none that the Job would give."""
    text = annotations_of(pod).get(INDEX, "")
    return int(text) if text.isdecimal() and int(text) < completions else None

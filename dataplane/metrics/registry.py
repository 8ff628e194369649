"""Counters, gauges and histograms that cost an attribute add where they are used.

A family (`names.py`) has children, one for each combination of label values. Whoever counts asks for its child once
and keeps it: `child.value += 1` is then all that the hot path does. There are no locks: one event loop, one thread.

A family has at most `CHILDREN_MAX` children. Label values are names of the cluster's objects, so a long life with
much churn could make any number; from then on new combinations share one child whose labels all say `_overflow`, so
sums stay right and memory stays bounded.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

CHILDREN_MAX = 10_000
OVERFLOW = "_overflow"


@dataclass(frozen=True, slots=True)
class Family:
    """A metric's name, what it tells, and by which labels it is told apart. `buckets` are for histograms only."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


class Value:
    """A child of a counter or of a gauge. A counter's only ever grows; that is the counting code's promise."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0

    def __repr__(self) -> str:
        return f"Value({self.value})"


class Histogram:
    """A child of a histogram: how many observations fell into each bucket (not cumulated), and their sum."""

    __slots__ = ("buckets", "counts", "sum")

    def __init__(self, buckets: tuple[float, ...]) -> None:
        self.buckets = buckets
        self.counts = [0] * (len(buckets) + 1)
        self.sum = 0.0

    def __repr__(self) -> str:
        return f"Histogram({self.count} observations, sum {self.sum:.6g})"

    @property
    def count(self) -> int:
        return sum(self.counts)

    def observe(self, value: float) -> None:
        """Count one observation; a bucket holds what is less than or equal to its bound."""
        self.add(bisect_left(self.buckets, value), value)

    def add(self, bucket: int, value: float) -> None:
        """Count one observation whose bucket is known."""
        self.counts[bucket] += 1
        self.sum += value


Child = Value | Histogram
Labels = tuple[str, ...]


class Registry:
    """All families of a worker and their children."""

    def __init__(self) -> None:
        self._children: dict[Family, dict[Labels, Child]] = {}
        self._collectors: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        return f"Registry({len(self._children)} families, {sum(map(len, self._children.values()))} children)"

    def value(self, family: Family, *labels: str) -> Value:
        """The child of a counter or gauge for these label values, made on first use."""
        child = self._child(family, labels)
        assert isinstance(child, Value), f"{family.name} is a histogram"
        return child

    def histogram(self, family: Family, *labels: str) -> Histogram:
        """The child of a histogram for these label values, made on first use."""
        child = self._child(family, labels)
        assert isinstance(child, Histogram), f"{family.name} is no histogram"
        return child

    def replace(self, family: Family, values: Mapping[Labels, float]) -> None:
        """All children of a gauge at once: what is not in `values` is gone."""
        children = self._children[family] = {}
        for labels, value in values.items():
            self.value(family, *labels).value = value
        assert len(children) <= CHILDREN_MAX + 1

    def at_scrape(self, collect: Callable[[], None]) -> None:
        """Call `collect` before each reading: for gauges that are cheaper to ask for than to keep."""
        self._collectors.append(collect)

    def read(self) -> Iterator[tuple[Family, Mapping[Labels, Child]]]:
        """Every family by name, with its children as they are now."""
        for collect in self._collectors:
            collect()
        yield from sorted(self._children.items(), key=lambda item: item[0].name)

    def _child(self, family: Family, labels: Labels) -> Child:
        children = self._children.setdefault(family, {})
        child = children.get(labels)
        if child is not None:
            return child
        if len(labels) != len(family.labels):
            raise ValueError(f"{family.name} has the labels {family.labels}, got {labels}")
        if len(children) >= CHILDREN_MAX:
            labels = (OVERFLOW,) * len(labels)
        return children.setdefault(labels, Histogram(family.buckets) if family.kind == "histogram" else Value())

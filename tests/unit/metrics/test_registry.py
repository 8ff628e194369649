"""Counters, gauges, histograms, and the text that Prometheus reads."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplane.metrics import names, registry
from dataplane.metrics.exposition import exposition
from dataplane.metrics.registry import CHILDREN_MAX, OVERFLOW, Family, Histogram, Registry

REQUESTS = Family("x_requests_total", "counter", "Requests.", ("code", "backend"))
SIZE = Family("x_size", "gauge", "A size\nwith \\.")
SECONDS = Family("x_seconds", "histogram", "Durations.", ("backend",), (0.1, 1.0))


def test_a_child_is_made_once_and_kept() -> None:
    made = Registry()
    child = made.value(REQUESTS, "200", "app")
    child.value += 2
    made.value(REQUESTS, "500", "app").value += 1
    assert made.value(REQUESTS, "200", "app") is child
    assert exposition(made) == (
        "# HELP x_requests_total Requests.\n"
        "# TYPE x_requests_total counter\n"
        'x_requests_total{code="200",backend="app"} 2\n'
        'x_requests_total{code="500",backend="app"} 1\n'
    )


def test_a_histogram_is_cumulated_when_it_is_read() -> None:
    made = Registry()
    child = made.histogram(SECONDS, "app")
    for value in (0.05, 0.1, 0.5, 7.0):
        child.observe(value)
    assert exposition(made).splitlines()[2:] == [
        'x_seconds_bucket{backend="app",le="0.1"} 2',
        'x_seconds_bucket{backend="app",le="1"} 3',
        'x_seconds_bucket{backend="app",le="+Inf"} 4',
        'x_seconds_sum{backend="app"} 7.65',
        'x_seconds_count{backend="app"} 4',
    ]


@settings(max_examples=40)
@given(st.lists(st.floats(0, 100), max_size=20))
def test_each_bucket_counts_what_is_not_above_its_bound(values: list[float]) -> None:
    histogram = Histogram((0.5, 5.0, 50.0))
    for value in values:
        histogram.observe(value)
    cumulated = [sum(histogram.counts[: index + 1]) for index in range(4)]
    assert cumulated[:3] == [sum(value <= bound for value in values) for bound in histogram.buckets]
    assert histogram.count == len(values)


def test_text_is_escaped() -> None:
    made = Registry()
    made.value(SIZE).value = 1.5
    made.value(REQUESTS, 'a"b', "c\\d\ne").value = 1
    text = exposition(made)
    assert 'x_requests_total{code="a\\"b",backend="c\\\\d\\ne"} 1\n' in text
    assert "# HELP x_size A size\\nwith \\\\.\n" in text
    assert "x_size 1.5\n" in text


def test_wrong_labels_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="has the labels"):
        Registry().value(REQUESTS, "200")


def test_children_are_bounded_and_sums_stay_right(monkeypatch: pytest.MonkeyPatch) -> None:
    assert CHILDREN_MAX == 10_000
    monkeypatch.setattr(registry, "CHILDREN_MAX", 5)
    made = Registry()
    for number in range(9):
        made.value(REQUESTS, str(number), "app").value += 1
    made.value(REQUESTS, "0", "app").value += 1
    ((_, children),) = made.read()
    assert len(children) == 6
    assert made.value(REQUESTS, "another", "app") is children[OVERFLOW, OVERFLOW]
    assert sum(getattr(child, "value", 0) for child in children.values()) == 10


def test_gauges_that_are_asked_for_when_read() -> None:
    made = Registry()
    sizes: Iterator[dict[tuple[str, ...], float]] = iter([{("1", "a"): 1.0, ("1", "b"): 1.0}, {("1", "b"): 2.0}])
    made.at_scrape(lambda: made.replace(REQUESTS, next(sizes)))
    assert exposition(made).count("x_requests_total{") == 2
    assert exposition(made).splitlines()[2:] == ['x_requests_total{code="1",backend="b"} 2']


def test_the_table_of_names_keeps_prometheus_rules() -> None:
    families = [item for item in vars(names).values() if isinstance(item, Family)]
    assert len(families) > 20
    assert len({item.name for item in families}) == len(families)
    for family in families:
        assert re.fullmatch(r"(loopkube|process)_[a-z0-9_]+", family.name)
        assert family.name.endswith("_total") is (family.kind == "counter"), family.name
        assert family.help.endswith("."), family.name
        assert bool(family.buckets) is (family.kind == "histogram")
        assert list(family.buckets) == sorted(family.buckets)

"""The registry in Prometheus' text format, version 0.0.4: what `GET /metrics` answers.

`# HELP` and `# TYPE` lines, then one line a child; a histogram has one `_bucket` line a bound (cumulated, `+Inf` last),
`_sum` and `_count`. In label values backslash, double quote and line feed are escaped, in help texts backslash and
line feed. Families and children come in the order of their names, so two readings can be compared by eye.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dataplane.metrics.registry import Child, Family, Histogram, Labels, Registry

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(registry: Registry) -> str:
    """The whole text."""
    return "".join(f"{line}\n" for family, children in registry.read() for line in _family(family, children))


def _family(family: Family, children: Mapping[Labels, Child]) -> Iterator[str]:
    help_text = family.help.replace("\\", "\\\\").replace("\n", "\\n")
    yield f"# HELP {family.name} {help_text}"
    yield f"# TYPE {family.name} {family.kind}"
    for labels, child in sorted(children.items()):
        pairs = [f'{name}="{_escaped(value)}"' for name, value in zip(family.labels, labels, strict=True)]
        if isinstance(child, Histogram):
            yield from _histogram(family.name, pairs, child)
        else:
            yield f"{family.name}{_braces(pairs)} {_number(child.value)}"


def _histogram(name: str, pairs: list[str], child: Histogram) -> Iterator[str]:
    running = 0
    bounds = [*map(_number, child.buckets), "+Inf"]
    for bound, count in zip(bounds, child.counts, strict=True):
        running += count
        yield f"{name}_bucket{_braces([*pairs, _le(bound)])} {running}"
    yield f"{name}_sum{_braces(pairs)} {_number(child.sum)}"
    yield f"{name}_count{_braces(pairs)} {running}"


def _le(bound: str) -> str:
    return f'le="{bound}"'


def _braces(pairs: list[str]) -> str:
    return "{" + ",".join(pairs) + "}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)

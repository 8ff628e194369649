"""What a pod asks for in all: its requests or its limits, summed over its containers as Kubernetes sums them.

Containers run together, so their amounts add up. Init containers run one after the other before them, so only the
largest counts; a restartable one (a sidecar) stays, and so counts beside all that come after it. The pod needs the
larger of the two phases, or what its own `resources` say, and its overhead on top: always on requests, on limits only
where there is one (an absent limit is no limit, and overhead does not make one). Amounts are exact; who wants whole
units rounds the sum, not its parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from control.api.quantity import NANO, Quantity, added, parse

Side = Literal["requests", "limits"]
Amounts = dict[str, Quantity]

ONE = Quantity(NANO, "decimal")
ZERO = Quantity(0, "decimal")


def amounts_of(quantities: Mapping[str, Any] | None) -> Amounts:
    """Unreadable quantities count as nothing: the API refuses them."""
    found: Amounts = {}
    for name, text in (quantities or {}).items():
        try:
            found[name] = parse(str(text))
        except ValueError:
            found[name] = ZERO
    return found


def plus(a: Mapping[str, Quantity], b: Mapping[str, Quantity]) -> Amounts:
    return {**a, **{name: added(a[name], more) if name in a else more for name, more in b.items()}}


def minus(a: Mapping[str, Quantity], b: Mapping[str, Quantity]) -> Amounts:
    return plus(a, {name: Quantity(-less.nano, less.family) for name, less in b.items()})


def largest(a: Mapping[str, Quantity], b: Mapping[str, Quantity]) -> Amounts:
    return {**a, **{name: more for name, more in b.items() if name not in a or more.nano > a[name].nano}}


def total(spec: Mapping[str, Any], side: Side) -> Amounts:
    """All that a pod of this spec requests, or is limited to."""
    running: Amounts = {}
    worst: Amounts = {}
    for container in spec.get("initContainers") or ():
        own = _own(container, side)
        if container.get("restartPolicy") == "Always":
            running = plus(running, own)
            worst = largest(worst, running)
        else:
            worst = largest(worst, plus(running, own))
    for container in spec.get("containers") or ():
        running = plus(running, _own(container, side))
    found = {**largest(running, worst), **_own(spec, side)}
    overhead = amounts_of(spec.get("overhead"))
    if side == "limits":
        overhead = {name: more for name, more in overhead.items() if name in found and found[name].nano}
    return plus(found, overhead)


def _own(holder: Mapping[str, Any], side: Side) -> Amounts:
    return amounts_of((holder.get("resources") or {}).get(side))

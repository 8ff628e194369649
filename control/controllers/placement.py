"""Where a pod can run, and where it runs best: filters that each say why not, then one order among what is left.

The filters are those of kube-scheduler that need no other pod's opinion: the named node, cordons, taints, node selector
and required node affinity, host ports, resources, and what the pod's volumes say (`control.controllers.volumeneeds`).
Each node is refused for the reasons of the first filter that it fails, and the reasons are counted over all nodes into
the one sentence that `kubectl describe pod` shows.

Among the fitting nodes: the fewest untolerated PreferNoSchedule taints, the highest sum of preferred affinity weights,
the fewest pods of the same controller (spread), the smallest share of CPU and memory in use, the fewest pods, and at
last the next one on a ring, so that equal nodes take turns and a repeat decides the same. Inter-pod affinity and
topology spread constraints are not looked at; the API warns about them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from control.api.objects import Object, controller_of, labels_of, name_of, spec_of, uid_of
from control.controllers.occupancy import Occupancy
from control.controllers.requests import HostPort, Resources, allocatable, host_ports, ports_conflict, requested
from control.controllers.tolerance import UNSCHEDULABLE, effective_taints, first_untolerated, is_tolerated

PODS_DEFAULT = 110  # kubelet's maxPods, for nodes that do not say
RING = 1 << 32


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no node will do, in kube-scheduler's words."""

    message: str


@dataclass(slots=True)
class Seat:
    """A node with what it has and what of it is used."""

    node: Object
    room: Resources
    used: Occupancy

    @classmethod
    def of(cls, node: Object, used: Occupancy) -> Seat:
        return cls(node, allocatable(node), used)


Standing = tuple[int, int, float, int, int, str]
"""Untolerated taints, preference (negative), share in use, pods, place on the ring, name: the least is the best."""


def place(pod: Object, seats: Sequence[Seat], volumes: Callable[[Object], str] = lambda node: "") -> str | Refusal:
    """The name of the node for the pod, by asking every one: what `candidates` answers without.

    `volumes` says why a node is out of the pod's volumes' reach.
    """
    reasons: Counter[str] = Counter()
    fitting: list[tuple[tuple[Any, ...], str]] = []
    wanted, ports = requested(pod), host_ports(pod)
    start, controller = ring_of(uid_of(pod)), (controller_of(pod) or {}).get("uid") or ""
    for seat in seats:
        why = refused(pod, wanted, ports, seat)
        if not why and (far := volumes(seat.node)):
            why = [far]
        reasons.update(why)
        if not why:
            untolerated, preferred, share, pods, ring, name = standing(pod, wanted, seat)
            spread = seat.used.controllers[controller] if controller else 0
            fitting.append(((untolerated, preferred, spread, share, pods, (ring - start) % RING, name), name))
    return min(fitting)[1] if fitting else refusal(len(seats), reasons)


def refusal(nodes: int, reasons: Mapping[str, int]) -> Refusal:
    if not nodes:
        return Refusal("no nodes available to schedule pods")
    listed = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items() if count))
    return Refusal(f"0/{nodes} nodes are available: {listed}.")


def refused(pod: Object, wanted: Resources, ports: set[HostPort], seat: Seat) -> list[str]:
    """The reasons of the first filter that the node fails; none if it fits."""
    node, room, used = seat.node, seat.room, seat.used
    if spec_of(node).get("unschedulable") and not is_tolerated(pod, UNSCHEDULABLE):
        return ["node(s) were unschedulable"]
    taint = first_untolerated(pod, effective_taints(node), ("NoSchedule", "NoExecute"))
    if taint is not None:
        return [f"node(s) had untolerated taint {{{taint.get('key')}: {taint.get('value') or ''}}}"]
    if not matches_node(pod, node):
        return ["node(s) didn't match Pod's node affinity/selector"]
    if ports and ports_conflict(ports, used.ports):
        return ["node(s) didn't have free ports for the requested pod ports"]
    short = ["Too many pods"] if used.pods + 1 > room.get("pods", PODS_DEFAULT) else []
    for resource, amount in sorted(wanted.items()):
        if amount and used.resources[resource] + amount > room[resource]:
            short.append(f"Insufficient {resource}")
    return short


def standing(pod: Object, wanted: Resources, seat: Seat) -> Standing:
    """How good a fitting node is, as far as that does not depend on the pods of the same controller."""
    node, room, used = seat.node, seat.room, seat.used
    shares = [(used.resources[name] + wanted[name]) / room[name] for name in ("cpu", "memory") if room[name]]
    untolerated = [t for t in effective_taints(node) if t.get("effect") == "PreferNoSchedule"]
    return (
        sum(not is_tolerated(pod, taint) for taint in untolerated),
        -preference(pod, node),
        round(sum(shares), 3),
        used.pods,
        ring_of(name_of(node)),
        name_of(node),
    )


def ring_of(text: str) -> int:
    """A place on a ring of RING places. Each pod begins at its own, so that equal nodes take turns."""
    return crc32(text.encode())


def matches_node(pod: Object, node: Object) -> bool:
    """Node selector and required node affinity: all of the selector, and any of the terms."""
    spec = spec_of(pod)
    if not (spec.get("nodeSelector") or {}).items() <= labels_of(node).items():
        return False
    required = _node_affinity(pod).get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    return any(matches_term(term, node) for term in required.get("nodeSelectorTerms") or ())


def preference(pod: Object, node: Object) -> int:
    """The sum of the weights of the preferred terms that the node matches."""
    preferred = _node_affinity(pod).get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    return sum(item.get("weight") or 0 for item in preferred if matches_term(item.get("preference") or {}, node))


def _node_affinity(pod: Object) -> Mapping[str, Any]:
    return (spec_of(pod).get("affinity") or {}).get("nodeAffinity") or {}


def matches_term(term: Object, node: Object) -> bool:
    """All requirements of a term; an empty term matches nothing."""
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    named = {"metadata.name": name_of(node)}
    return all(_holds(item, labels_of(node)) for item in expressions) and all(_holds(item, named) for item in fields)


def _holds(requirement: Object, labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement.get("key") or "")
    values = requirement.get("values") or []
    match requirement.get("operator"):
        case "In":
            return value is not None and value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            try:
                have, bound = int(value or ""), int(values[0])
            except (ValueError, IndexError):
                return False
            return have > bound if operator == "Gt" else have < bound
    return False

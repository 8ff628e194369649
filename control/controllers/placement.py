"""Where a pod can run, and where it runs best: filters that each say why not, then one order among what is left.

The filters are those of kube-scheduler that need no other pod's opinion: the named node, cordons, taints, node selector
and required node affinity, host ports, resources, and what the pod's volumes say (`control.controllers.volumeneeds`).
Each node is refused for the reasons of the first filter that it fails, and the reasons are counted over all nodes into
the one sentence that `kubectl describe pod` shows.

Among the fitting nodes: the fewest untolerated PreferNoSchedule taints, the highest sum of preferred affinity weights,
the fewest pods of the same controller (spread), the smallest share of CPU and memory in use, the fewest pods, and at
last a hash of pod and node, so that equal nodes take turns and a repeat decides the same. Inter-pod affinity and
topology spread constraints are not looked at; the API warns about them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from control.api.objects import Object, controller_of, labels_of, name_of, spec_of, uid_of
from control.controllers.naming import code
from control.controllers.requests import HostPort, Resources, allocatable, host_ports, ports_conflict, requested
from control.controllers.tolerance import UNSCHEDULABLE, effective_taints, first_untolerated, is_tolerated

PODS_DEFAULT = 110  # kubelet's maxPods, for nodes that do not say


@dataclass(frozen=True, slots=True)
class Needs:
    """What one pod uses of its node."""

    resources: Resources
    ports: frozenset[HostPort]
    controller: str

    @classmethod
    def of(cls, pod: Object) -> Needs:
        return cls(requested(pod), frozenset(host_ports(pod)), (controller_of(pod) or {}).get("uid") or "")


@dataclass(frozen=True, slots=True)
class Occupancy:
    """What the pods of one node use."""

    pods: int
    resources: Resources
    ports: frozenset[HostPort]
    controllers: Counter[str]

    @classmethod
    def of(cls, pods: Iterable[Object], needs_of: Callable[[Object], Needs] = Needs.of) -> Occupancy:
        """`needs_of` may remember what it was asked before."""
        resources: Resources = Counter()
        ports: set[HostPort] = set()
        controllers: list[str] = []
        for pod in pods:
            needs = needs_of(pod)
            controllers.append(needs.controller)
            if needs.resources:
                resources.update(needs.resources)
            if needs.ports:
                ports |= needs.ports
        return cls(len(controllers), resources, frozenset(ports), Counter(controllers))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no node will do, in kube-scheduler's words."""

    message: str


def place(
    pod: Object, nodes: Sequence[tuple[Object, Occupancy]], volumes: Callable[[Object], str] = lambda node: ""
) -> str | Refusal:
    """The name of the node for the pod; `volumes` says why one is out of its volumes' reach."""
    if not nodes:
        return Refusal("no nodes available to schedule pods")
    reasons: Counter[str] = Counter()
    fitting: list[tuple[tuple[Any, ...], str]] = []
    wanted = requested(pod)
    ports = host_ports(pod)
    for node, used in nodes:
        why = _refused(pod, wanted, ports, node, used)
        if not why and (far := volumes(node)):
            why = [far]
        reasons.update(why)
        if not why:
            fitting.append((_cost(pod, wanted, node, used), name_of(node)))
    if fitting:
        return min(fitting)[1]
    listed = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
    return Refusal(f"0/{len(nodes)} nodes are available: {listed}.")


def _refused(pod: Object, wanted: Resources, ports: set[HostPort], node: Object, used: Occupancy) -> list[str]:
    """The reasons of the first filter that the node fails; none if it fits."""
    if spec_of(node).get("unschedulable") and not is_tolerated(pod, UNSCHEDULABLE):
        return ["node(s) were unschedulable"]
    taint = first_untolerated(pod, effective_taints(node), ("NoSchedule", "NoExecute"))
    if taint is not None:
        return [f"node(s) had untolerated taint {{{taint.get('key')}: {taint.get('value') or ''}}}"]
    if not matches_node(pod, node):
        return ["node(s) didn't match Pod's node affinity/selector"]
    if ports and ports_conflict(ports, used.ports):
        return ["node(s) didn't have free ports for the requested pod ports"]
    room = allocatable(node)
    short = ["Too many pods"] if used.pods + 1 > room.get("pods", PODS_DEFAULT) else []
    for resource, amount in sorted(wanted.items()):
        if amount and used.resources[resource] + amount > room[resource]:
            short.append(f"Insufficient {resource}")
    return short


def _cost(pod: Object, wanted: Resources, node: Object, used: Occupancy) -> tuple[Any, ...]:
    controller = (controller_of(pod) or {}).get("uid") or ""
    room = allocatable(node)
    shares = [(used.resources[name] + wanted[name]) / room[name] for name in ("cpu", "memory") if room[name]]
    untolerated = [t for t in effective_taints(node) if t.get("effect") == "PreferNoSchedule"]
    return (
        sum(not is_tolerated(pod, taint) for taint in untolerated),
        -preference(pod, node),
        used.controllers[controller] if controller else 0,
        round(sum(shares), 3),
        used.pods,
        code(uid_of(pod), name_of(node)),
    )


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

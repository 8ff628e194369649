"""Which nodes a DaemonSet's pod belongs on, and how the pod says so.

A pod is made for one node: its node affinity names the node (matchFields on metadata.name), and the scheduler binds it
there. It tolerates what a daemon must live through: a node that is not ready, unreachable, under pressure or cordoned
(and, with the host's network, without network). A node should run the pod if the template's nodeName, node selector and
required node affinity allow it and it tolerates the node's NoSchedule and NoExecute taints. A pod that is there already
may stay in spite of a NoSchedule taint.
"""

from __future__ import annotations

from typing import NamedTuple

from control.api.objects import Object, name_of, spec_of
from control.controllers.placement import matches_node
from control.controllers.pods import node_of
from control.controllers.tolerance import first_untolerated, taints_of

_NO_EXECUTE = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_NO_SCHEDULE = (
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/unschedulable",
)
_NO_NETWORK = "node.kubernetes.io/network-unavailable"
_NODE_FIELD = "metadata.name"


class Fit(NamedTuple):
    """Whether a node should get a pod, and whether one that is there may stay."""

    runs: bool
    stays: bool


def fit(template: Object, node: Object) -> Fit:
    pod: Object = {"spec": {**spec_of(template), "tolerations": tolerations(template)}}
    named = node_of(template)
    if (named and named != name_of(node)) or not matches_node(pod, node):
        return Fit(False, False)
    if first_untolerated(pod, taints_of(node), ("NoSchedule", "NoExecute")) is None:
        return Fit(True, True)
    return Fit(False, first_untolerated(pod, taints_of(node), ("NoExecute",)) is None)


def tolerations(template: Object) -> list[Object]:
    """The template's tolerations and a daemon's own, without repeats."""
    wanted = list(spec_of(template).get("tolerations") or ())
    own = [{"key": key, "operator": "Exists", "effect": "NoExecute"} for key in _NO_EXECUTE]
    schedule = [*_NO_SCHEDULE, _NO_NETWORK] if spec_of(template).get("hostNetwork") else _NO_SCHEDULE
    own += [{"key": key, "operator": "Exists", "effect": "NoSchedule"} for key in schedule]
    return [*wanted, *(one for one in own if one not in wanted)]


def pinned(spec: Object, node: str) -> Object:
    """A pod spec for one node: the terms of required node affinity, which the node has met, give way to its name."""
    affinity = dict(spec.get("affinity") or {})
    term = {"matchFields": [{"key": _NODE_FIELD, "operator": "In", "values": [node]}]}
    affinity["nodeAffinity"] = {
        **(affinity.get("nodeAffinity") or {}),
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]},
    }
    return {**spec, "affinity": affinity}


def target_of(pod: Object) -> str:
    """The node that a pod runs on or was made for; "" if it does not say."""
    if node_of(pod):
        return node_of(pod)
    node_affinity = (spec_of(pod).get("affinity") or {}).get("nodeAffinity") or {}
    required = node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or ():
        for item in term.get("matchFields") or ():
            if item.get("key") == _NODE_FIELD and item.get("operator") == "In" and item.get("values"):
                return str(item["values"][0])
    return ""

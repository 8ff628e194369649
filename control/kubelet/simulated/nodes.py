"""A simulated node as the API shows it: alive, with room for whatever is put on it.

A node is simulated by the label `loopkube.io/simulated: "true"`, or as kwok marks its own, by the annotation
`kwok.x-k8s.io/node: fake`. What the user says of capacity and allocatable in its status is kept; else it is kwok's
1k CPUs, 1Ti and 1M pods. All users' fields stay: labels are added where a kubelet's are missing, the rest is status.

`loopkube up --simulated-nodes N` makes nodes that carry the taint `loopkube.io/simulated:NoSchedule` besides, so that
pods with real work stay off them unless they ask for it.
"""

from __future__ import annotations

from datetime import datetime

from control.api.objects import Object, annotations_of, condition_of, format_time, labels_of, name_of, status_of
from control.kubelet.nodes import CONDITIONS, KUBELET_VERSION

LABEL = "loopkube.io/simulated"
KWOK_ANNOTATION = "kwok.x-k8s.io/node"
ROOM = {"cpu": "1k", "memory": "1Ti", "pods": "1M"}  # kwok's stage node-initialize
ROUTED = ("NetworkUnavailable", "False", "RouteCreated", "RouteController created a route")  # kwok's, too
INFO = {
    "architecture": "amd64",
    "bootID": "",
    "containerRuntimeVersion": "loopkube-simulated://0.1.0",
    "kernelVersion": "",
    "kubeProxyVersion": "",
    "kubeletVersion": KUBELET_VERSION,
    "machineID": "",
    "operatingSystem": "linux",
    "osImage": "",
    "systemUUID": "",
}
RENEWALS_MAX_PER_S = 5.0
"""Of all simulated leases together; a renewal costs some 1.5 ms of CPU over HTTPS, hence 1 % of a core at most. With
more than 50 nodes each lease is renewed less often than every 10 s, and its leaseDurationSeconds says so."""
BEATS_A_LEASE = 4  # a kubelet renews its lease of 40 s every 10 s


def is_simulated(node: Object) -> bool:
    return labels_of(node).get(LABEL) == "true" or annotations_of(node).get(KWOK_ANNOTATION) == "fake"


def made_node(name: str) -> Object:
    """One of `--simulated-nodes`."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {LABEL: "true", **missing_labels({"metadata": {"name": name}})}},
        "spec": {"taints": [{"key": LABEL, "value": "true", "effect": "NoSchedule"}]},
    }


def missing_labels(node: Object) -> dict[str, str]:
    """The labels of a kubelet that the node has not."""
    wanted = {"kubernetes.io/arch": "amd64", "kubernetes.io/hostname": name_of(node), "kubernetes.io/os": "linux"}
    return {label: value for label, value in wanted.items() if label not in labels_of(node)}


def status_of_node(node: Object, address: str, now: datetime) -> Object:
    """The status to write."""
    said = status_of(node)
    conditions = []
    for type_, status, reason, message in (*CONDITIONS, ROUTED):
        old = condition_of(node, type_) or {}
        since = old.get("lastTransitionTime") if old.get("status") == status else None
        conditions.append(
            {
                "type": type_,
                "status": status,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": format_time(now),
                "lastTransitionTime": since or format_time(now),
            }
        )
    return {
        "phase": "Running",
        "capacity": said.get("capacity") or said.get("allocatable") or ROOM,
        "allocatable": said.get("allocatable") or said.get("capacity") or ROOM,
        "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name_of(node)}],
        "conditions": conditions,
        "nodeInfo": {**INFO, **{name: value for name, value in (said.get("nodeInfo") or {}).items() if value}},
    }


def renew_s(nodes: int, usual_s: float) -> float:
    """How often each of so many leases is renewed."""
    return max(usual_s, nodes / RENEWALS_MAX_PER_S)


def internal_address(node: Object) -> str:
    addresses = status_of(node).get("addresses") or ()
    return next((str(each.get("address")) for each in addresses if each.get("type") == "InternalIP"), "")

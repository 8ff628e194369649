"""A virtual node as the API shows it: who it is, what it has, that it is well.

All nodes of a cluster are one machine, so capacity is the machine's on each of them; what keeps them apart is their
name, address and pod range. What users change on a Node (labels of their own, taints, unschedulable, annotations) is
never touched: registration creates the object or adds the labels that are missing, and afterwards only status is
written. Conditions keep their lastTransitionTime while they do not change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from control.api.objects import Object, condition_of, format_micro_time, format_time, labels_of, status_of

KUBELET_VERSION = "v1.37.0+loopkube"
LEASE_NAMESPACE = "kube-node-lease"


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """One virtual node. `pod_cidr` is its own range, e.g. 127.244.0.0/24."""

    name: str
    ip: str
    pod_cidr: str
    zone: str = "local"
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Machine:
    """What the machine has and is."""

    cpus: int
    memory_bytes: int
    storage_bytes: int
    arch: str
    kernel: str
    os_image: str
    machine_id: str
    boot_id: str


ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def node_labels(node: NodeIdentity, machine: Machine) -> dict[str, str]:
    arch = ARCHITECTURES.get(machine.arch, machine.arch)
    return {
        "beta.kubernetes.io/arch": arch,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": arch,
        "kubernetes.io/hostname": node.name,
        "kubernetes.io/os": "linux",
        "topology.kubernetes.io/region": "local",
        "topology.kubernetes.io/zone": node.zone,
        **node.labels,
    }


def new_node(node: NodeIdentity, machine: Machine, pods_max: int, now: datetime) -> Object:
    made: Object = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name, "labels": node_labels(node, machine)},
        "spec": {"podCIDR": node.pod_cidr, "podCIDRs": [node.pod_cidr], "providerID": f"loopkube://{node.name}"},
    }
    made["status"] = node_status(node, machine, pods_max, made, now)
    return made


def missing_labels(existing: Object, node: NodeIdentity, machine: Machine) -> dict[str, str]:
    """The labels that registration adds to a Node that is there already."""
    there = labels_of(existing)
    return {name: value for name, value in node_labels(node, machine).items() if name not in there}


def capacity(machine: Machine, pods_max: int) -> dict[str, str]:
    return {
        "cpu": str(machine.cpus),
        "memory": f"{machine.memory_bytes // 1024}Ki",
        "ephemeral-storage": f"{machine.storage_bytes // 1024}Ki",
        "pods": str(pods_max),
    }


CONDITIONS = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


def node_status(node: NodeIdentity, machine: Machine, pods_max: int, existing: Object, now: datetime) -> Object:
    """The status to write; `existing` gives the transition times."""
    amounts = capacity(machine, pods_max)
    conditions = []
    for type_, status, reason, message in CONDITIONS:
        old = condition_of(existing, type_) or {}
        same = old.get("status") == status and old.get("lastTransitionTime")
        conditions.append(
            {
                "type": type_,
                "status": status,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": format_time(now),
                "lastTransitionTime": old["lastTransitionTime"] if same else format_time(now),
            }
        )
    return {
        "capacity": amounts,
        "allocatable": amounts,
        "addresses": [{"type": "InternalIP", "address": node.ip}, {"type": "Hostname", "address": node.name}],
        "conditions": conditions,
        "nodeInfo": {
            "architecture": ARCHITECTURES.get(machine.arch, machine.arch),
            "bootID": machine.boot_id,
            "containerRuntimeVersion": "loopkube://0.1.0",
            "kernelVersion": machine.kernel,
            "kubeProxyVersion": "",
            "kubeletVersion": KUBELET_VERSION,
            "machineID": machine.machine_id,
            "operatingSystem": "linux",
            "osImage": machine.os_image,
            "systemUUID": machine.machine_id,
        },
    }


def has_changed(existing: Object, wanted: Object) -> bool:
    """Whether anything but heartbeats differs."""

    def still(status: Mapping[str, object]) -> dict[str, object]:
        kept = {name: status.get(name) for name in wanted if name != "conditions"}
        conditions = status.get("conditions")
        listed = conditions if isinstance(conditions, list) else []
        kept["conditions"] = [(c.get("type"), c.get("status")) for c in listed]
        return kept

    return still(status_of(existing)) != still(wanted)


def lease(node: NodeIdentity, node_uid: str, duration_s: int, now: datetime) -> Object:
    made: Object = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": node.name, "namespace": LEASE_NAMESPACE},
        "spec": {
            "holderIdentity": node.name,
            "leaseDurationSeconds": duration_s,
            "renewTime": format_micro_time(now),
        },
    }
    if node_uid:
        made["metadata"]["ownerReferences"] = [{"apiVersion": "v1", "kind": "Node", "name": node.name, "uid": node_uid}]
    return made

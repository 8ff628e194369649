"""Volumes, claims and classes as the API server would have stored them, defaults included."""

from __future__ import annotations

from typing import Any

from control.api.objects import Object
from control.api.storage import CLAIM_PROTECTION, IS_DEFAULT, PROVISIONER, VOLUME_PROTECTION


def claim(name: str = "data", size: str = "1Gi", storage_class: str | None = "standard", **spec: Any) -> Object:
    """`storage_class` None: it names none; "" is a decision against any."""
    named = {} if storage_class is None else {"storageClassName": storage_class}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": "default", "finalizers": [CLAIM_PROTECTION]},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
            "volumeMode": "Filesystem",
            **named,
            **spec,
        },
        "status": {"phase": "Pending"},
    }


def volume(name: str = "disk", size: str = "1Gi", storage_class: str = "", **spec: Any) -> Object:
    named = {"storageClassName": storage_class} if storage_class else {}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "finalizers": [VOLUME_PROTECTION]},
        "spec": {
            "capacity": {"storage": size},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "volumeMode": "Filesystem",
            "hostPath": {"path": f"/srv/{name}", "type": ""},
            **named,
            **spec,
        },
        "status": {"phase": "Pending"},
    }


def storage_class(
    name: str = "standard", *, default: bool = True, binding: str = "WaitForFirstConsumer", **fields: Any
) -> Object:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "annotations": {IS_DEFAULT: "true"} if default else {}},
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": binding,
        "allowVolumeExpansion": True,
        **fields,
    }


def node_affinity(node: str) -> Object:
    """Of a volume that only this node reaches."""
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}
    return {"required": {"nodeSelectorTerms": [term]}}

"""The scale subresource: how many replicas, of whom, without knowing the workload's kind.

A Scale (autoscaling/v1) is a view of three fields of a workload: spec.replicas, which a PUT or PATCH of the scale
changes, status.replicas, and the selector as text, so that an autoscaler can find the pods. Identity and version are
the workload's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from control.api.kinds import Kind
from control.api.objects import Object, meta, name_of, namespace_of, spec_of, status_of
from control.api.scheme import Resource
from control.api.selectors import format_selector
from control.api.status import FieldError, bad_request, conflict, invalid

SCALE = Kind("autoscaling", "v1", "Scale", "scales")
DEFINITION = "io.k8s.api.autoscaling.v1.Scale"
SHOWN_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def scale_of(resource: Resource, workload: Mapping[str, Any]) -> Object:
    metadata = meta(workload)
    status: Object = {"replicas": status_of(workload).get("replicas") or 0}
    selector = _selector(resource, spec_of(workload).get("selector"))
    if selector:
        status["selector"] = selector
    spec = {"replicas": spec_of(workload)["replicas"]} if spec_of(workload).get("replicas") else {}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in SHOWN_METADATA if key in metadata},
        "spec": spec,
        "status": status,
    }


def _selector(resource: Resource, selector: Any) -> str:
    if not selector:
        return ""
    if resource.scale_selector_is_map:
        return ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
    return format_selector(selector)


def scaled(workload: Object, scale: Mapping[str, Any]) -> Object:
    """`workload` (the caller's own copy) with the replicas that the scale wants; raises what is wrong with that."""
    name = name_of(workload)
    metadata = meta(scale)
    for key, own in (("name", name), ("namespace", namespace_of(workload))):
        if metadata.get(key) and metadata[key] != own:
            raise bad_request(f"the {key} of the object ({metadata[key]}) does not match the {key} on the URL ({own})")
    if metadata.get("uid") and metadata["uid"] != meta(workload).get("uid"):
        why = (
            f"Precondition failed: UID in precondition: {metadata['uid']}, UID in object meta: {meta(workload)['uid']}"
        )
        raise conflict(SCALE, name, why)
    replicas = spec_of(scale).get("replicas") or 0
    if replicas < 0:
        message = f"Invalid value: {replicas}: must be greater than or equal to 0"
        raise invalid(SCALE, name, [FieldError("spec.replicas", "FieldValueInvalid", message)])
    workload.setdefault("spec", {})["replicas"] = replicas
    version = metadata.get("resourceVersion")
    if version:
        workload["metadata"]["resourceVersion"] = version
    else:
        workload["metadata"].pop("resourceVersion", None)
    return workload

"""Strategies: what a write may change at all, before anybody asks whether the result is valid.

Four rules cover nearly every kind (Kubernetes' `registry/*/strategy.go`):

1. A create starts without status; an update of the main resource keeps the old one, silently.
2. An update of the status subresource keeps everything else.
3. metadata.generation counts changes of the *desired* state: 1 at birth, one more whenever `spec` differs.
4. PUT creates an absent object only for the kinds where clients race to do so (Leases, Events, Endpoints, Services).

The exceptions are pods (phase, QoS class, scheduling gates), nodes (their kubelet creates them with a status),
namespaces (finalizer and phase), Deployments (annotations count as desired state), Jobs (the server writes the
selector), and EndpointSlices (no spec: everything but most metadata counts).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from control.api import kinds
from control.api.kinds import Kind
from control.api.objects import Object, annotations_of, labels_of, meta, uid_of
from control.api.qos import qos_class
from control.api.scheme import Strategy

NAMESPACE_FINALIZER = "kubernetes"
Prepare = Callable[[Object], None]

LEGACY_JOB_LABELS = {"controller-uid": "batch.kubernetes.io/controller-uid", "job-name": "batch.kubernetes.io/job-name"}


def _restore(new: Object, old: Object, field: str) -> None:
    if field in old:
        new[field] = old[field]
    else:
        new.pop(field, None)


def _set_generation(new: Object, old: Object, changed: bool) -> None:
    before = meta(old).get("generation") or 0
    generation = before + 1 if changed else before
    own = new.setdefault("metadata", {})
    if generation:
        own["generation"] = generation
    else:
        own.pop("generation", None)


def _born(obj: Object) -> None:
    obj.setdefault("metadata", {})["generation"] = 1


def keep_all_but_status(new: Object, old: Object) -> None:
    """What a write to the status subresource may not touch; metadata except generation may change."""
    for field in (new.keys() | old.keys()) - {"apiVersion", "kind", "metadata", "status"}:
        _restore(new, old, field)
    _restore(new.setdefault("metadata", {}), old.get("metadata") or {}, "generation")


def _nothing(_: Object) -> None:
    pass


def _nothing_either(_new: Object, _old: Object) -> None:
    pass


def plain(**options: bool) -> Strategy:
    """A kind without status and generation: ConfigMap, Secret, Lease..."""

    def update(new: Object, old: Object) -> None:
        _set_generation(new, old, changed=False)

    return Strategy(_nothing, update, _nothing_either, **options)


def with_status(counts: tuple[str, ...] = ("spec",), empty_status: Any = None, **options: bool) -> Strategy:
    """A kind with a status: `counts` are the top-level fields whose change is a new generation."""

    def create(obj: Object) -> None:
        obj.pop("status", None)
        if empty_status is not None:
            obj["status"] = empty_status()
        if counts:
            _born(obj)

    def update(new: Object, old: Object) -> None:
        _restore(new, old, "status")
        _set_generation(new, old, any(new.get(field) != old.get(field) for field in counts))

    return Strategy(create, update, keep_all_but_status, **options)


# --- pods ---------------------------------------------------------------------------------------------------------


def _create_pod(pod: Object) -> None:
    spec = pod.get("spec") or {}
    pod["status"] = {"phase": "Pending", "qosClass": qos_class(spec)}
    if spec.get("schedulingGates"):
        message = "Scheduling is blocked due to non-empty scheduling gates"
        gated = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": message}
        pod["status"]["conditions"] = [gated]
    _born(pod)


def _update_pod(new: Object, old: Object) -> None:
    _restore(new, old, "status")
    _set_generation(new, old, new.get("spec") != old.get("spec"))


def _update_pod_status(new: Object, old: Object) -> None:
    """Owner references stay as well: old kubelets corrupted them."""
    keep_all_but_status(new, old)
    _restore(new["metadata"], old["metadata"], "ownerReferences")
    _restore(new["metadata"], old["metadata"], "deletionTimestamp")
    _restore(new["metadata"], old["metadata"], "deletionGracePeriodSeconds")


# --- nodes and namespaces -----------------------------------------------------------------------------------------


def _update_node(new: Object, old: Object) -> None:
    _restore(new, old, "status")
    _set_generation(new, old, changed=False)


def _create_namespace(namespace: Object) -> None:
    namespace["status"] = {"phase": "Active"}
    spec = namespace.setdefault("spec", {})
    finalizers = spec.get("finalizers") or []
    if NAMESPACE_FINALIZER not in finalizers:
        spec["finalizers"] = [*finalizers, NAMESPACE_FINALIZER]


def _update_namespace(new: Object, old: Object) -> None:
    _restore(new, old, "status")
    _restore(new, old, "spec")  # spec is nothing but finalizers, which the finalize subresource changes


# --- workloads ----------------------------------------------------------------------------------------------------


def _update_deployment(new: Object, old: Object) -> None:
    _restore(new, old, "status")
    changed = new.get("spec") != old.get("spec") or annotations_of(new) != annotations_of(old)
    _set_generation(new, old, changed)


def _update_deployment_status(new: Object, old: Object) -> None:
    keep_all_but_status(new, old)
    _restore(new["metadata"], old["metadata"], "labels")


def _create_job(job: Object) -> None:
    """Unless the client manages the selector, a Job owns exactly the pods that carry its UID."""
    job["status"] = {}
    _born(job)
    spec = job.get("spec")
    uid = uid_of(job)
    if not isinstance(spec, dict) or spec.get("manualSelector") or not uid:
        return
    own_labels = {"controller-uid": uid, "job-name": meta(job).get("name") or ""}
    template = spec.get("template")
    if not isinstance(template, dict) or spec.get("selector"):
        return
    labels = dict(labels_of(template))
    for legacy, name in LEGACY_JOB_LABELS.items():
        labels[legacy] = labels[name] = own_labels[legacy]
    template.setdefault("metadata", {})["labels"] = labels
    spec["selector"] = {"matchLabels": {LEGACY_JOB_LABELS["controller-uid"]: uid}}


# --- endpoint slices ----------------------------------------------------------------------------------------------


def _update_endpoint_slice(new: Object, old: Object) -> None:
    fields = ("addressType", "endpoints", "ports")
    changed = any(new.get(field) != old.get(field) for field in fields) or labels_of(new) != labels_of(old)
    _set_generation(new, old, changed)


def _keep_generation(new: Object, old: Object) -> None:
    _set_generation(new, old, changed=False)


_JOB = with_status(empty_status=dict)

STRATEGIES: dict[Kind, Strategy] = {
    kinds.NAMESPACE: Strategy(_create_namespace, _update_namespace, keep_all_but_status),
    kinds.NODE: Strategy(_nothing, _update_node, keep_all_but_status),
    kinds.POD: Strategy(_create_pod, _update_pod, _update_pod_status),
    kinds.SERVICE: with_status((), lambda: {"loadBalancer": {}}, allows_create_on_update=True),
    kinds.ENDPOINTS: plain(allows_create_on_update=True),
    kinds.CONFIG_MAP: plain(),
    kinds.SECRET: plain(),
    kinds.SERVICE_ACCOUNT: plain(),
    kinds.EVENT: plain(allows_create_on_update=True),
    kinds.EVENTS_EVENT: plain(allows_create_on_update=True),
    kinds.REPLICATION_CONTROLLER: with_status(empty_status=lambda: {"replicas": 0}),
    kinds.ENDPOINT_SLICE: Strategy(_born, _update_endpoint_slice, _nothing_either),
    kinds.REPLICA_SET: with_status(empty_status=lambda: {"replicas": 0}),
    kinds.DEPLOYMENT: Strategy(
        with_status(empty_status=dict).prepare_create, _update_deployment, _update_deployment_status
    ),
    kinds.STATEFUL_SET: with_status(empty_status=lambda: {"replicas": 0}),
    kinds.DAEMON_SET: with_status(
        empty_status=lambda: dict.fromkeys(
            ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady"), 0
        )
    ),
    kinds.CONTROLLER_REVISION: plain(),
    kinds.JOB: Strategy(_create_job, _JOB.prepare_update, keep_all_but_status),
    kinds.CRON_JOB: with_status(empty_status=dict),
    kinds.HORIZONTAL_POD_AUTOSCALER: with_status(empty_status=lambda: {"desiredReplicas": 0}),
    kinds.HORIZONTAL_POD_AUTOSCALER_V1: with_status(
        empty_status=lambda: dict.fromkeys(("currentReplicas", "desiredReplicas"), 0)
    ),
    kinds.INGRESS: with_status(empty_status=lambda: {"loadBalancer": {}}),
    kinds.INGRESS_CLASS: Strategy(_born, with_status().prepare_update, _nothing_either),
    kinds.LEASE: plain(allows_create_on_update=True, allows_unconditional_update=False),
    kinds.POD_DISRUPTION_BUDGET: with_status(
        empty_status=lambda: dict.fromkeys(
            ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"), 0
        ),
        allows_unconditional_update=False,
    ),
    kinds.PERSISTENT_VOLUME: with_status((), lambda: {"phase": "Pending"}),
    kinds.PERSISTENT_VOLUME_CLAIM: with_status((), lambda: {"phase": "Pending"}),
    kinds.STORAGE_CLASS: plain(),
    kinds.PRIORITY_CLASS: Strategy(_born, _keep_generation, _nothing_either),
    kinds.RESOURCE_QUOTA: with_status((), dict),
    kinds.LIMIT_RANGE: plain(),
    kinds.CUSTOM_RESOURCE_DEFINITION: plain(),
}

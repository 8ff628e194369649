"""Validation: which objects are accepted, in Kubernetes' words (pkg/apis/*/validation).

`RULES` has a row a kind. A rule is three functions over whole objects, each without metadata, which is the same for all
kinds: what must hold of an object, of an update (beside the former), and of a status update.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from control.api import kinds
from control.api.kinds import Kind
from control.api.objects import Object
from control.api.status import FieldError
from control.api.validation import (
    autoscaling,
    batch,
    claim,
    cluster,
    config,
    endpoints,
    ingress,
    job_status,
    meta,
    pod,
    pod_update,
    quota,
    service,
    storage,
    workload,
)

Check = Callable[[Object], list[FieldError]]
UpdateCheck = Callable[[Object, Object], list[FieldError]]


def anything(_: Object) -> list[FieldError]:
    return []


def any_update(_new: Object, _old: Object) -> list[FieldError]:
    return []


@dataclass(frozen=True, slots=True)
class Rule:
    """What is special about a kind. `update` and `status` get (new, old)."""

    check: Check = anything
    update: UpdateCheck = any_update
    status: UpdateCheck = any_update
    name: meta.NameRule = meta.subdomain_name
    check_update: Check | None = None  # what must hold of the new object in an update, where that is not `check`


_REPLICAS = workload.status_counts("fullyLabeledReplicas", "readyReplicas", "availableReplicas")
_DEPLOYED = workload.status_counts("updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas")
_STATEFUL = workload.status_counts("readyReplicas", "currentReplicas", "updatedReplicas", bounded=False)
_DAEMONS = workload.status_counts(
    "currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady", "updatedNumberScheduled",
    "numberAvailable", "numberUnavailable", bounded=False,
)  # fmt: skip

RULES: dict[Kind, Rule] = {
    kinds.NAMESPACE: Rule(
        cluster.validate_namespace, status=cluster.validate_namespace_status, name=meta.label_name
    ),
    kinds.NODE: Rule(cluster.validate_node, cluster.validate_node_update, cluster.validate_node_status),
    kinds.POD: Rule(pod.validate_pod, pod_update.validate_pod_update, pod_update.validate_pod_status),
    kinds.SERVICE: Rule(
        service.validate_service, service.validate_service_update, service.validate_service_status,
        name=service.service_name,
    ),
    kinds.ENDPOINTS: Rule(endpoints.validate_endpoints),
    kinds.CONFIG_MAP: Rule(config.validate_config_map, config.validate_config_map_update),
    kinds.SECRET: Rule(config.validate_secret, config.validate_secret_update),
    kinds.EVENT: Rule(cluster.validate_event),
    kinds.EVENTS_EVENT: Rule(cluster.validate_new_event),
    kinds.REPLICATION_CONTROLLER: Rule(workload.validate_replication_controller, status=_REPLICAS),
    kinds.ENDPOINT_SLICE: Rule(endpoints.validate_endpoint_slice, endpoints.validate_endpoint_slice_update),
    kinds.REPLICA_SET: Rule(workload.validate_replica_set, workload.selector_stays, _REPLICAS),
    kinds.DEPLOYMENT: Rule(workload.validate_deployment, workload.selector_stays, _DEPLOYED),
    kinds.STATEFUL_SET: Rule(workload.validate_stateful_set, workload.validate_stateful_set_update, _STATEFUL),
    kinds.DAEMON_SET: Rule(workload.validate_daemon_set, workload.selector_stays, _DAEMONS),
    kinds.CONTROLLER_REVISION: Rule(cluster.validate_revision, cluster.validate_revision_update),
    kinds.JOB: Rule(batch.validate_job, batch.validate_job_update, job_status.validate_job_status),
    kinds.CRON_JOB: Rule(batch.validate_cron_job),
    kinds.HORIZONTAL_POD_AUTOSCALER: Rule(
        autoscaling.validate_autoscaler, status=autoscaling.validate_autoscaler_status
    ),
    kinds.HORIZONTAL_POD_AUTOSCALER_V1: Rule(
        autoscaling.validate_autoscaler_v1, status=autoscaling.validate_autoscaler_status
    ),
    kinds.INGRESS: Rule(
        ingress.validate_ingress_create, status=ingress.validate_ingress_status, check_update=ingress.validate_ingress
    ),
    kinds.INGRESS_CLASS: Rule(ingress.validate_ingress_class, ingress.validate_ingress_class_update),
    kinds.LEASE: Rule(cluster.validate_lease),
    kinds.POD_DISRUPTION_BUDGET: Rule(
        cluster.validate_disruption_budget, status=cluster.validate_disruption_status
    ),
    kinds.PERSISTENT_VOLUME: Rule(storage.validate_volume, storage.validate_volume_update),
    kinds.PERSISTENT_VOLUME_CLAIM: Rule(
        claim.validate_claim, claim.validate_claim_update, claim.validate_claim_status
    ),
    kinds.STORAGE_CLASS: Rule(storage.validate_storage_class, storage.validate_storage_class_update),
    kinds.PRIORITY_CLASS: Rule(cluster.validate_priority_class, cluster.validate_priority_class_update),
    kinds.RESOURCE_QUOTA: Rule(quota.validate_quota, quota.validate_quota_update, quota.validate_quota_status),
    kinds.LIMIT_RANGE: Rule(quota.validate_limit_range),
}  # fmt: skip


def validators(kind: Kind) -> tuple[Callable[[Object], Sequence[FieldError]], UpdateCheck, UpdateCheck, meta.NameRule]:
    """(validate, validate_update, validate_status_update, name rule) of a kind, metadata included."""
    rule = RULES.get(kind) or Rule()
    check, update, status, name_rule = rule.check, rule.update, rule.status, rule.name
    namespaced, check_update = kind.namespaced, rule.check_update or rule.check

    def validate(obj: Object) -> list[FieldError]:
        return meta.validate_meta(obj, namespaced, name_rule) + check(obj)

    def validate_update(new: Object, old: Object) -> list[FieldError]:
        found = meta.validate_meta(new, namespaced, name_rule) + meta.validate_meta_update(new, old)
        return found + check_update(new) + update(new, old)

    def validate_status_update(new: Object, old: Object) -> list[FieldError]:
        found = meta.validate_meta(new, namespaced, name_rule) + meta.validate_meta_update(new, old)
        return found + status(new, old)

    return validate, validate_update, validate_status_update, name_rule

"""Printer columns: what `kubectl get` shows of each kind (pkg/printers/internalversion/printers.go)."""

from __future__ import annotations

from control.api import kinds
from control.api.columns import autoscaling, cluster, network, storage, workloads
from control.api.columns.cells import AGE, NAME
from control.api.columns.pods import POD_COLUMNS
from control.api.kinds import Kind
from control.api.scheme import Column

COLUMNS: dict[Kind, tuple[Column, ...]] = {
    kinds.NAMESPACE: cluster.NAMESPACE_COLUMNS,
    kinds.NODE: cluster.NODE_COLUMNS,
    kinds.POD: POD_COLUMNS,
    kinds.SERVICE: network.SERVICE_COLUMNS,
    kinds.ENDPOINTS: network.ENDPOINTS_COLUMNS,
    kinds.CONFIG_MAP: cluster.CONFIG_MAP_COLUMNS,
    kinds.SECRET: cluster.SECRET_COLUMNS,
    kinds.SERVICE_ACCOUNT: cluster.SERVICE_ACCOUNT_COLUMNS,
    kinds.EVENT: cluster.EVENT_COLUMNS,
    kinds.EVENTS_EVENT: cluster.EVENT_COLUMNS,
    kinds.REPLICATION_CONTROLLER: workloads.REPLICATION_CONTROLLER_COLUMNS,
    kinds.ENDPOINT_SLICE: network.ENDPOINT_SLICE_COLUMNS,
    kinds.REPLICA_SET: workloads.REPLICA_SET_COLUMNS,
    kinds.DEPLOYMENT: workloads.DEPLOYMENT_COLUMNS,
    kinds.STATEFUL_SET: workloads.STATEFUL_SET_COLUMNS,
    kinds.DAEMON_SET: workloads.DAEMON_SET_COLUMNS,
    kinds.CONTROLLER_REVISION: workloads.CONTROLLER_REVISION_COLUMNS,
    kinds.JOB: workloads.JOB_COLUMNS,
    kinds.CRON_JOB: workloads.CRON_JOB_COLUMNS,
    kinds.HORIZONTAL_POD_AUTOSCALER: autoscaling.AUTOSCALER_COLUMNS,
    kinds.HORIZONTAL_POD_AUTOSCALER_V1: autoscaling.AUTOSCALER_V1_COLUMNS,
    kinds.INGRESS: network.INGRESS_COLUMNS,
    kinds.INGRESS_CLASS: network.INGRESS_CLASS_COLUMNS,
    kinds.LEASE: cluster.LEASE_COLUMNS,
    kinds.POD_DISRUPTION_BUDGET: workloads.DISRUPTION_BUDGET_COLUMNS,
    kinds.PERSISTENT_VOLUME: storage.VOLUME_COLUMNS,
    kinds.PERSISTENT_VOLUME_CLAIM: storage.CLAIM_COLUMNS,
    kinds.STORAGE_CLASS: storage.STORAGE_CLASS_COLUMNS,
    kinds.PRIORITY_CLASS: cluster.PRIORITY_CLASS_COLUMNS,
    kinds.RESOURCE_QUOTA: cluster.RESOURCE_QUOTA_COLUMNS,
    kinds.LIMIT_RANGE: cluster.LIMIT_RANGE_COLUMNS,
}


def columns_of(kind: Kind) -> tuple[Column, ...]:
    return COLUMNS.get(kind, (NAME, AGE))

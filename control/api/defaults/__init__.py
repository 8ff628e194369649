"""Defaults: what the server writes into the fields that a client left out, kind by kind.

`DEFAULTS` is the table; a kind that is not in it has no defaults. Every function fills in place an object that its
caller may change, never overwrites a value, and does nothing the second time.
"""

from __future__ import annotations

from collections.abc import Callable

from control.api import kinds
from control.api.defaults import apps, autoscaling, batch, core, networking, storage
from control.api.defaults.pod import default_pod
from control.api.kinds import Kind
from control.api.objects import Object

DEFAULTS: dict[Kind, Callable[[Object], None]] = {
    kinds.NAMESPACE: core.default_namespace,
    kinds.NODE: core.default_node,
    kinds.POD: default_pod,
    kinds.SERVICE: core.default_service,
    kinds.ENDPOINTS: core.default_endpoints,
    kinds.SECRET: core.default_secret,
    kinds.REPLICATION_CONTROLLER: core.default_replication_controller,
    kinds.REPLICA_SET: apps.default_replica_set,
    kinds.DEPLOYMENT: apps.default_deployment,
    kinds.STATEFUL_SET: apps.default_stateful_set,
    kinds.DAEMON_SET: apps.default_daemon_set,
    kinds.JOB: batch.default_job,
    kinds.CRON_JOB: batch.default_cron_job,
    kinds.HORIZONTAL_POD_AUTOSCALER: autoscaling.default_autoscaler,
    kinds.HORIZONTAL_POD_AUTOSCALER_V1: autoscaling.default_autoscaler_v1,
    kinds.ENDPOINT_SLICE: networking.default_endpoint_slice,
    kinds.INGRESS_CLASS: networking.default_ingress_class,
    kinds.PERSISTENT_VOLUME: storage.default_volume,
    kinds.PERSISTENT_VOLUME_CLAIM: storage.default_claim,
    kinds.STORAGE_CLASS: storage.default_storage_class,
    kinds.PRIORITY_CLASS: core.default_priority_class,
    kinds.LIMIT_RANGE: core.default_limit_range,
}


def no_defaults(_: Object) -> None:
    """For kinds whose absent fields mean absent: ConfigMaps, Leases, Events, Ingresses..."""

"""The scheme's rows: one `Resource` for every kind, put together from the tables of the packages around this file.

A new kind is a row in `kinds`, its name in `DEFINITIONS`, and where Kubernetes has special rules for it an entry in
`DEFAULTS`, `RULES`, `STRATEGIES`, `COLUMNS` and `PATHS`.
"""

from __future__ import annotations

from control.api import kinds
from control.api.columns import columns_of
from control.api.defaults import DEFAULTS, no_defaults
from control.api.fields import selectable
from control.api.kinds import KINDS, Kind
from control.api.scheme import Resource
from control.api.strategy import STRATEGIES
from control.api.validation import validators
from control.api.warnings import warnings_of

_PACKAGES = {
    "": "io.k8s.api.core", "apps": "io.k8s.api.apps", "batch": "io.k8s.api.batch", "policy": "io.k8s.api.policy",
    "autoscaling": "io.k8s.api.autoscaling",
    "networking.k8s.io": "io.k8s.api.networking", "discovery.k8s.io": "io.k8s.api.discovery",
    "coordination.k8s.io": "io.k8s.api.coordination", "scheduling.k8s.io": "io.k8s.api.scheduling",
    "events.k8s.io": "io.k8s.api.events",
    "storage.k8s.io": "io.k8s.api.storage",
    "apiextensions.k8s.io": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions",
}  # fmt: skip
_WITH_STATUS = frozenset({
    kinds.NAMESPACE, kinds.NODE, kinds.POD, kinds.SERVICE, kinds.REPLICATION_CONTROLLER, kinds.REPLICA_SET,
    kinds.DEPLOYMENT, kinds.STATEFUL_SET, kinds.DAEMON_SET, kinds.JOB, kinds.CRON_JOB, kinds.INGRESS,
    kinds.POD_DISRUPTION_BUDGET, kinds.RESOURCE_QUOTA, kinds.HORIZONTAL_POD_AUTOSCALER,
    kinds.HORIZONTAL_POD_AUTOSCALER_V1, kinds.PERSISTENT_VOLUME, kinds.PERSISTENT_VOLUME_CLAIM,
})  # fmt: skip
_WITH_SCALE = frozenset({kinds.REPLICATION_CONTROLLER, kinds.REPLICA_SET, kinds.DEPLOYMENT, kinds.STATEFUL_SET})
_SUBRESOURCES: dict[Kind, tuple[str, ...]] = {
    kinds.POD: ("binding", "eviction", "log"),
    kinds.NAMESPACE: ("finalize",),
    kinds.SERVICE_ACCOUNT: ("token",),
}
_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_UNSERVED_VERBS: dict[Kind, frozenset[str]] = {
    kinds.NAMESPACE: frozenset({"deletecollection"}),
    kinds.CUSTOM_RESOURCE_DEFINITION: frozenset(_VERBS) - {"get", "list", "watch"},
}


def _row(kind: Kind) -> Resource:
    validate, validate_update, validate_status_update, name_rule = validators(kind)
    return Resource(
        kind=kind,
        definition=f"{_PACKAGES[kind.group]}.{kind.version}.{kind.kind}",
        default=DEFAULTS.get(kind, no_defaults),
        validate=validate,
        validate_update=validate_update,
        validate_status_update=validate_status_update,
        strategy=STRATEGIES[kind],
        columns=columns_of(kind),
        selectable_fields=selectable(kind),
        warnings=warnings_of(kind),
        verbs=tuple(verb for verb in _VERBS if verb not in _UNSERVED_VERBS.get(kind, ())),
        has_status=kind in _WITH_STATUS,
        has_scale=kind in _WITH_SCALE,
        scale_selector_is_map=kind is kinds.REPLICATION_CONTROLLER,
        subresources=_SUBRESOURCES.get(kind, ()),
        validate_name=name_rule,
        graceful=kind is kinds.POD,
    )


RESOURCES: dict[Kind, Resource] = {kind: _row(kind) for kind in KINDS}

BY_PATH: dict[tuple[str, str, str], Resource] = {
    (kind.group, kind.version, kind.plural): resource for kind, resource in RESOURCES.items()
}
"""By (group, version, plural), as a request path names a resource."""

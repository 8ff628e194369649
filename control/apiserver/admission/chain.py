"""Which admission rules apply to which kind: a table one can read.

Kubernetes' plugins run in one chain over every request and each looks whether the kind is its own. Here each rule is a
function of the object and a lookup, and the table says where it applies; the namespace rule (`check_namespace`) applies
to every create and stands apart, because it comes before validation; so do quotas (`resource_quota`), because they
count what has been found valid, in the breath in which it is written. Rules change the object, which is the caller's
own copy, or raise the StatusError that the client gets.
"""

from __future__ import annotations

from collections.abc import Callable

from control.api.kinds import (
    INGRESS,
    NAMESPACE,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    PRIORITY_CLASS,
    Kind,
)
from control.api.objects import Object
from control.apiserver.admission import (
    ingress_class,
    lifecycle,
    limit_ranger,
    priority,
    service_account,
    storage,
    tolerations,
)
from control.apiserver.admission.lookup import Lookup

Create = Callable[[Object, Lookup], None]
Update = Callable[[Object, Object, Lookup], None]

ON_CREATE: dict[Kind, tuple[Create, ...]] = {
    POD: (limit_ranger.apply, service_account.assign, tolerations.add_defaults, priority.resolve),
    PRIORITY_CLASS: (priority.check_one_default,),
    INGRESS: (ingress_class.assign_default,),
    PERSISTENT_VOLUME: (storage.protect_volume,),
    PERSISTENT_VOLUME_CLAIM: (limit_ranger.check_claim, storage.assign_default_class, storage.protect_claim),
}
ON_UPDATE: dict[Kind, tuple[Update, ...]] = {
    POD: (priority.keep,),
    PRIORITY_CLASS: (priority.check_one_default_update,),
    PERSISTENT_VOLUME_CLAIM: (limit_ranger.check_claim_update, storage.check_growth),
}

check_namespace = lifecycle.check_namespace


def admit_create(kind: Kind, obj: Object, lookup: Lookup) -> None:
    for rule in ON_CREATE.get(kind, ()):
        rule(obj, lookup)


def admit_update(kind: Kind, new: Object, old: Object, lookup: Lookup) -> None:
    for rule in ON_UPDATE.get(kind, ()):
        rule(new, old, lookup)


def admit_delete(kind: Kind, name: str) -> None:
    if kind == NAMESPACE:
        lifecycle.check_deletable(name)

"""ResourceQuotas: the report of what is used, beside the limits that are in force.

The API server refuses what would pass a quota, and keeps its own exact account for that. This controller counts again,
from what it sees, and writes the result where people and tools look: status.hard is the spec's, status.used the sum
over the objects that the quota meets, for every name of it that some served kind uses. Any change of such an object
wakes the quotas of its namespace that limit its kind; a pod that hangs in its deletion wakes them when it stops to
count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from control.api.kinds import RESOURCE_QUOTA, Kind
from control.api.objects import Key, Object, is_deleting, key_of, namespace_of, spec_of, status_of
from control.api.podresources import ZERO, Amounts, plus
from control.api.quota import COUNTED, forgotten_at, hard_of, meets, resource_of, resources_of, usage
from control.controllers.action import SETTLED, Outcome, Update
from control.controllers.controller import Wakes
from control.mirror.world import World


class ResourceQuotaController:
    name = "resourcequota-controller"
    kind = RESOURCE_QUOTA
    concurrency = 5  # kube-controller-manager's --concurrent-resource-quota-syncs

    @property
    def watches(self) -> Mapping[Kind, Wakes]:
        return {kind: _wakes(kind) for kind in COUNTED.values()}

    def reconcile(self, world: World, key: Key, now: datetime) -> Outcome:
        quota = world.get(RESOURCE_QUOTA, *key)
        if quota is None or is_deleting(quota):
            return SETTLED
        kinds = [COUNTED[resource] for resource in sorted(resources_of(quota))]
        if not all(world.knows(kind) for kind in kinds):
            return SETTLED  # an unknown kind would be reported as unused; its first list wakes us
        used, wake_at = count(quota, world, kinds, now)
        status = {"hard": dict(spec_of(quota).get("hard") or {}), "used": {name: str(used[name]) for name in used}}
        if status == status_of(quota):
            return Outcome((), wake_at)
        return Outcome((Update(RESOURCE_QUOTA, {**quota, "status": status}, "status"),), wake_at)


def count(quota: Object, world: World, kinds: Iterable[Kind], now: datetime) -> tuple[Amounts, datetime | None]:
    """What is used of each name that anything can use, and when that changes by time alone."""
    names = [name for name in hard_of(quota) if resource_of(name)]
    used: Amounts = dict.fromkeys(names, ZERO)
    wakes: list[datetime] = []
    for kind in kinds:
        for obj in world.list(kind, namespace_of(quota)):
            if not meets(quota, kind, obj):
                continue
            used = plus(used, {name: more for name, more in usage(kind, obj, now).items() if name in used})
            at = forgotten_at(obj)
            if at is not None and at > now:
                wakes.append(at)
    return used, min(wakes, default=None)


def _wakes(kind: Kind) -> Wakes:
    def of_counted(world: World, obj: Object) -> Iterable[Key]:
        quotas = world.list(RESOURCE_QUOTA, namespace_of(obj))
        woken = [key_of(quota) for quota in quotas if kind.resource in resources_of(quota)]
        return [*woken, key_of(obj)] if kind == RESOURCE_QUOTA else woken

    return of_counted

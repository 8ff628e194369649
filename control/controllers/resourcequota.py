"""ResourceQuotas: the report of what is used, beside the limits that are in force.

The API server refuses what would pass a quota, and keeps its own exact account for that. This controller counts again,
from what it sees, and writes the result where people and tools look: status.hard is the spec's, status.used the sum
over the objects that the quota meets, for every name of it that some served kind uses.

An object wakes the quotas of its namespace that limit its kind when it comes, when it goes, and when what it uses
changes: most changes of a pod are of its status, and a thousand pods must not be counted at each of them. What a pod
uses is remembered as long as it is the same one. A pod that hangs in its deletion wakes them when it stops to count.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from datetime import datetime
from functools import partial

from control.api.kinds import PERSISTENT_VOLUME_CLAIM, POD, RESOURCE_QUOTA, SERVICE, Kind
from control.api.objects import Key, Object, is_deleting, key_of, namespace_of, spec_of, status_of, uid_of
from control.api.podresources import ZERO, Amounts
from control.api.quantity import added
from control.api.quota import COUNTED, forgotten_at, hard_of, meets, resource_of, resources_of, usage
from control.controllers.action import SETTLED, Outcome, Update
from control.controllers.controller import Wakes
from control.controllers.pods import EPOCH, is_finished
from control.mirror.world import World

REMEMBERED_MAX = 20_000  # objects whose use is remembered; beyond that all are forgotten and computed again


class ResourceQuotaController:
    name = "resourcequota-controller"
    kind = RESOURCE_QUOTA
    concurrency = 5  # kube-controller-manager's --concurrent-resource-quota-syncs

    def __init__(self) -> None:
        self._seen: dict[str, Hashable] = {}  # by UID: what the use of an object depends on, when it last woke anybody
        self._uses: dict[str, tuple[Object, Amounts]] = {}  # by UID: the use of an object, as long as it is the same

    @property
    def watches(self) -> Mapping[Kind, Wakes]:
        return {kind: partial(self._wakes, kind) for kind in COUNTED.values()}

    def _wakes(self, kind: Kind, world: World, obj: Object) -> Iterable[Key]:
        own = [key_of(obj)] if kind == RESOURCE_QUOTA else []
        quotas = world.list(RESOURCE_QUOTA, namespace_of(obj))
        woken = [key_of(quota) for quota in quotas if kind.resource in resources_of(quota)]
        return [*own, *woken] if woken and self._is_news(kind, world, obj) else own

    def _is_news(self, kind: Kind, world: World, obj: Object) -> bool:
        uid, basis = uid_of(obj), basis_of(kind, obj)
        if world.get(kind, *key_of(obj)) is None:
            self._seen.pop(uid, None)
            return True
        if self._seen.get(uid) == basis:
            return False
        if len(self._seen) >= REMEMBERED_MAX:
            self._seen.clear()
        self._seen[uid] = basis
        return True

    def reconcile(self, world: World, key: Key, now: datetime) -> Outcome:
        quota = world.get(RESOURCE_QUOTA, *key)
        if quota is None or is_deleting(quota):
            return SETTLED
        kinds = [COUNTED[resource] for resource in sorted(resources_of(quota))]
        if not all(world.knows(kind) for kind in kinds):
            return SETTLED  # an unknown kind would be reported as unused; its first list wakes us
        used, wake_at = self._count(quota, world, kinds, now)
        status = {"hard": dict(spec_of(quota).get("hard") or {}), "used": {name: str(used[name]) for name in used}}
        if status == status_of(quota):
            return Outcome((), wake_at)
        return Outcome((Update(RESOURCE_QUOTA, {**quota, "status": status}, "status"),), wake_at)

    def _count(
        self, quota: Object, world: World, kinds: Iterable[Kind], now: datetime
    ) -> tuple[Amounts, datetime | None]:
        """What is used of each name that anything can use, and when that changes by time alone."""
        used: Amounts = {name: ZERO for name in hard_of(quota) if resource_of(name)}
        wakes: list[datetime] = []
        for kind in kinds:
            for obj in world.list(kind, namespace_of(quota)):
                if not meets(quota, kind, obj):
                    continue
                at = forgotten_at(obj)
                for name, more in (self._use(kind, obj) if at is None else usage(kind, obj, now)).items():
                    if name in used:
                        used[name] = added(used[name], more)
                if at is not None and at > now:
                    wakes.append(at)
        return used, min(wakes, default=None)

    def _use(self, kind: Kind, obj: Object) -> Amounts:
        """The use of an object that time does not change."""
        known = self._uses.get(uid_of(obj))
        if known is not None and known[0] is obj:
            return known[1]
        if len(self._uses) >= REMEMBERED_MAX:
            self._uses.clear()
        found = usage(kind, obj, EPOCH)
        self._uses[uid_of(obj)] = (obj, found)
        return found


def basis_of(kind: Kind, obj: Object) -> Hashable:
    """Whatever of an object decides what it uses and which quotas it meets, and may change in its life."""
    if kind == POD:
        return is_finished(obj), spec_of(obj).get("activeDeadlineSeconds") is None, forgotten_at(obj)
    if kind in (SERVICE, PERSISTENT_VOLUME_CLAIM):
        return tuple(sorted(usage(kind, obj, EPOCH).items()))
    if kind == RESOURCE_QUOTA:
        return str(spec_of(obj))
    return None

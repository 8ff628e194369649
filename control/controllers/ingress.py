"""Signs our Ingresses: status.loadBalancer.ingress says where the data plane answers for them.

An Ingress that was ours and now belongs to another class loses our signature, and only ours: what another controller
wrote there stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from control.api.kinds import INGRESS, INGRESS_CLASS, Kind
from control.api.objects import Key, Object, is_deleting, key_of, status_of
from control.controllers.action import SETTLED, Outcome, Update
from control.controllers.controller import Wakes
from control.mirror.ingress_class import CONTROLLER, is_ours
from control.mirror.world import World


class IngressStatusController:
    name = "ingress-status-controller"
    kind = INGRESS

    def __init__(self, addresses: Iterable[str] = ("127.0.0.1",), *, controller: str = CONTROLLER) -> None:
        self._signature = [{"ip": address} for address in addresses]
        self._controller = controller

    @property
    def watches(self) -> Mapping[Kind, Wakes]:
        return {
            INGRESS: lambda world, obj: [key_of(obj)],
            INGRESS_CLASS: lambda world, obj: [key_of(each) for each in world.list(INGRESS)],
        }

    def reconcile(self, world: World, key: Key, now: datetime) -> Outcome:
        ingress = world.get(INGRESS, *key)
        if ingress is None or is_deleting(ingress) or not world.knows(INGRESS_CLASS):
            return SETTLED
        signed = (status_of(ingress).get("loadBalancer") or {}).get("ingress") or []
        if is_ours(world, ingress, self._controller):
            wanted: list[Object] = self._signature
        elif signed == self._signature:
            wanted = []
        else:
            return SETTLED
        if signed == wanted:
            return SETTLED
        load_balancer = {"ingress": wanted} if wanted else {}
        return Outcome((Update(INGRESS, {**ingress, "status": {"loadBalancer": load_balancer}}, "status"),))

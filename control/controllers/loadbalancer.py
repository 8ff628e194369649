"""Gives Services of type LoadBalancer an address: their cluster IP, which every program on this machine reaches.

A Service that names another loadBalancerClass is somebody else's. When a Service stops being a LoadBalancer, the
address goes; only our own is taken away. Events and reasons are those of Kubernetes' service controller.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from control.api.kinds import SERVICE, Kind
from control.api.objects import Key, Object, is_deleting, key_of, spec_of, status_of
from control.controllers.action import SETTLED, Emit, Outcome, Update
from control.controllers.controller import Wakes
from control.mirror.world import World

CLASS = "loopkube.io/loopback"


class LoadBalancerController:
    name = "service-controller"
    kind = SERVICE

    @property
    def watches(self) -> Mapping[Kind, Wakes]:
        return {SERVICE: lambda world, obj: [key_of(obj)]}

    def reconcile(self, world: World, key: Key, now: datetime) -> Outcome:
        service = world.get(SERVICE, *key)
        if service is None or is_deleting(service):
            return SETTLED
        signed = (status_of(service).get("loadBalancer") or {}).get("ingress") or []
        spec = spec_of(service)
        if spec.get("type") == "LoadBalancer":
            if spec.get("loadBalancerClass") not in (None, "", CLASS):
                return SETTLED
            wanted = [{"ip": address, "ipMode": "VIP"} for address in addresses_of(service)]
            if signed == wanted:
                return SETTLED
            return Outcome(
                (
                    Emit(service, "Normal", "EnsuringLoadBalancer", "Ensuring load balancer"),
                    Update(SERVICE, _with(service, wanted), "status"),
                    Emit(service, "Normal", "EnsuredLoadBalancer", "Ensured load balancer"),
                )
            )
        if not signed or any(each.get("ipMode") != "VIP" or not each.get("ip") for each in signed):
            return SETTLED
        return Outcome(
            (
                Update(SERVICE, _with(service, []), "status"),
                Emit(service, "Normal", "DeletedLoadBalancer", "Deleted load balancer"),
            )
        )


def addresses_of(service: Object) -> list[str]:
    spec = spec_of(service)
    found = spec.get("clusterIPs") or [spec.get("clusterIP")]
    return [address for address in found if address and address != "None"]


def _with(service: Object, signed: list[Object]) -> Object:
    status = {**status_of(service), "loadBalancer": {"ingress": signed} if signed else {}}
    return {**service, "status": status}

"""Endpoints, the older and lossier view of what `endpointslice` writes; deprecated since 1.33, still expected.

One object a Service, of the Service's name. Its subsets group addresses by ports; ready pods are `addresses`, others
`notReadyAddresses`; a terminating pod is in neither (unless the Service publishes not-ready addresses). At most 1,000
addresses are kept, ready ones first, and an annotation says when some were left out (KEP-0752). Services without a
selector have Endpoints of somebody else's making, which are left alone. When a Service is gone, the Endpoints that
carry our managed-by label go too - after asking the server, because the mirror may know them before their Service.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from control.api.kinds import ENDPOINTS, NODE, POD, SERVICE, Kind
from control.api.objects import (
    Key,
    Object,
    annotations_of,
    is_deleting,
    key_of,
    labels_of,
    meta,
    uid_of,
)
from control.controllers.action import SETTLED, Absent, Create, Delete, Outcome, Update
from control.controllers.controller import Wakes
from control.controllers.endpointlist import (
    HEADLESS,
    TRIGGER_TIME,
    Candidate,
    Candidates,
    Ports,
    has_selector,
    is_headless,
    own_annotations,
    publishes_not_ready,
    services_of,
    triggers,
)
from control.mirror.world import World

ADDRESSES_MAX = 1000
MANAGED_BY = "endpoints.kubernetes.io/managed-by"
MANAGER = "endpoint-controller"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"


class EndpointsController:
    name = "endpoint-controller"
    kind = SERVICE
    concurrency = 5  # kube-controller-manager's default for it

    def __init__(self) -> None:
        self._candidates = Candidates()

    @property
    def watches(self) -> Mapping[Kind, Wakes]:
        return {
            SERVICE: lambda world, obj: (key_of(obj),),
            POD: services_of,
            ENDPOINTS: lambda world, obj: (key_of(obj),),
            NODE: lambda world, obj: (),
        }

    def reconcile(self, world: World, key: Key, now: datetime) -> Outcome:
        service = world.get(SERVICE, *key)
        current = world.get(ENDPOINTS, *key)
        if service is None:
            self._candidates.forget(key)
            return _orphaned(key, current)
        if is_deleting(service) or not has_selector(service):
            return SETTLED
        pods = [
            candidate
            for candidate in self._candidates.behind(world, service)
            if not is_deleting(candidate.pod) or publishes_not_ready(service)
        ]
        kept = _within_capacity(pods)
        subsets = _subsets(kept)
        labels = {name: value for name, value in labels_of(service).items() if name not in (MANAGED_BY, HEADLESS)}
        labels[MANAGED_BY] = MANAGER
        if is_headless(service):
            labels[HEADLESS] = ""
        annotations = {OVER_CAPACITY: "truncated"} if len(kept) < len(pods) else {}
        if current is None:
            metadata: Object = {"name": key.name, "namespace": key.namespace}
        elif (
            (current.get("subsets") or []) == subsets
            and labels_of(current) == labels
            and annotations_of(current).get(OVER_CAPACITY) == annotations.get(OVER_CAPACITY)
        ):
            return SETTLED
        else:
            metadata = dict(meta(current))
        others = own_annotations(current) if current else {}
        others.pop(OVER_CAPACITY, None)
        seen = {TRIGGER_TIME: triggers(service, pods, now)[TRIGGER_TIME]}
        metadata |= {"labels": labels, "annotations": {**others, **annotations, **seen}}
        wanted = {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets}
        return Outcome((Create(ENDPOINTS, wanted) if current is None else Update(ENDPOINTS, wanted),))


def _orphaned(key: Key, current: Object | None) -> Outcome:
    if current is None or labels_of(current).get(MANAGED_BY) != MANAGER or is_deleting(current):
        return SETTLED
    return Outcome((
        Absent(SERVICE, key.namespace, key.name, ""),
        Delete(ENDPOINTS, key.namespace, key.name, uid_of(current)),
    ))  # fmt: skip


def _is_ready(candidate: Candidate) -> bool:
    return bool(candidate.endpoint["conditions"]["ready"])


def _within_capacity(pods: Sequence[Candidate]) -> list[Candidate]:
    """The pods that fit, in their order; not-ready ones are left out first."""
    if len(pods) <= ADDRESSES_MAX:
        return list(pods)
    ready = [candidate for candidate in pods if _is_ready(candidate)]
    others = [candidate for candidate in pods if not _is_ready(candidate)]
    return [*ready, *others][:ADDRESSES_MAX]


def _subsets(pods: Iterable[Candidate]) -> list[Object]:
    """Addresses by ports, in the order of the ports."""
    groups: dict[Ports, tuple[list[Object], list[Object]]] = {}
    for candidate in pods:
        ready, not_ready = groups.setdefault(candidate.ports, ([], []))
        (ready if _is_ready(candidate) else not_ready).append(_address(candidate.endpoint))
    subsets = []
    for ports, (ready, not_ready) in sorted(groups.items()):
        subset: Object = {}
        if ready:
            subset["addresses"] = sorted(ready, key=_order)
        if not_ready:
            subset["notReadyAddresses"] = sorted(not_ready, key=_order)
        if ports:
            subset["ports"] = [_port(*port) for port in ports]
        subsets.append(subset)
    return subsets


def _order(address: Object) -> tuple[str, str]:
    return (address["ip"], address["targetRef"]["uid"])


def _address(endpoint: Object) -> Object:
    address: Object = {"ip": endpoint["addresses"][0], "targetRef": endpoint["targetRef"]}
    for field in ("nodeName", "hostname"):
        if field in endpoint:
            address[field] = endpoint[field]
    return address


def _port(name: str, protocol: str, number: int, app_protocol: str) -> Object:
    port: Object = {"port": number, "protocol": protocol}
    if name:
        port["name"] = name
    if app_protocol:
        port["appProtocol"] = app_protocol
    return port

"""From EndpointSlices to endpoints: one Service's, all slices together, per port.

The rules are kube-proxy's. A slice counts for the Service that its label names. A Service port takes the slice ports of
the same name ("" matches ""). `ready` absent is true, `serving` absent is `ready`, `terminating` absent is false
(KEP-1672). Of an endpoint's addresses the first counts. The same address and port in two slices (a pod that moves
between them) is one endpoint, and the better copy of it wins. Slices are read in the order of their names, so the
result does not depend on how they arrived.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from control.api.kinds import ENDPOINT_SLICE
from control.api.objects import Key, Object, annotations_of, parse_time
from control.mirror.world import World

SERVICE_NAME = "metadata.labels['kubernetes.io/service-name']"
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"  # whole seconds
EXACT_TRIGGER_TIME = "loopkube.io/trigger-time"  # Unix seconds with microseconds; ours


class Place(NamedTuple):
    """An endpoint of a Service port, before it is given to a backend."""

    id: str
    address: str
    port: int
    ready: bool
    serving: bool
    terminating: bool
    node: str
    zone: str
    target: str
    triggered_at: float


def slices_of(world: World, service: Key) -> list[Object]:
    return world.by_field(ENDPOINT_SLICE, SERVICE_NAME, service.name, service.namespace)


def places_of(slices: Iterable[Object], port_name: str, protocol: str = "TCP") -> list[Place]:
    """The endpoints of the Service port with this name, ids unique, in the order of slices and endpoints."""
    found: dict[tuple[str, int], Place] = {}
    for slice_ in slices:
        if slice_.get("addressType") != "IPv4":
            continue
        for port in slice_.get("ports") or ():
            if (port.get("name") or "") == port_name and (port.get("protocol") or "TCP") == protocol:
                if port.get("port") is not None:
                    _collect(found, slice_, port["port"])
                break
    return _with_unique_ids(found)


def triggered_at(slice_: Object) -> float:
    """When the cause of the slice's last change happened, as Unix time; 0 if it does not say."""
    annotations = annotations_of(slice_)
    try:
        exact = annotations.get(EXACT_TRIGGER_TIME)
        if exact is not None:
            return float(exact)
        coarse = annotations.get(TRIGGER_TIME)
        return parse_time(coarse).timestamp() if coarse else 0.0
    except (ValueError, OverflowError):
        return 0.0


def _collect(found: dict[tuple[str, int], Place], slice_: Object, port: int) -> None:
    at = triggered_at(slice_)
    for endpoint in slice_.get("endpoints") or ():
        addresses = endpoint.get("addresses") or ()
        if not addresses:
            continue
        conditions = endpoint.get("conditions") or {}
        ready = conditions.get("ready")
        ready = True if ready is None else bool(ready)
        serving = conditions.get("serving")
        target = endpoint.get("targetRef") or {}
        is_pod = target.get("kind") == "Pod"
        place = Place(
            id=(target.get("uid") or "") if is_pod else "",
            address=addresses[0],
            port=port,
            ready=ready,
            serving=ready if serving is None else bool(serving),
            terminating=bool(conditions.get("terminating")),
            node=endpoint.get("nodeName") or "",
            zone=endpoint.get("zone") or "",
            target=f"{target.get('namespace') or ''}/{target.get('name') or ''}" if is_pod else "",
            triggered_at=at,
        )
        other = found.get((place.address, port))
        if other is None or (place.ready, place.serving, not place.terminating) > (
            other.ready, other.serving, not other.terminating,
        ):  # fmt: skip
            found[place.address, port] = place


def _with_unique_ids(found: dict[tuple[str, int], Place]) -> list[Place]:
    """A pod's UID where it has one to itself, else address:port."""
    taken: set[str] = set()
    result = []
    for (address, port), place in found.items():
        id_ = place.id if place.id and place.id not in taken else f"{address}:{port}"
        taken.add(id_)
        result.append(place if place.id == id_ else place._replace(id=id_))
    return result

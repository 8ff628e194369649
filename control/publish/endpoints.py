"""From EndpointSlices to endpoints: one Service's, all slices together, per port.

The rules are kube-proxy's. A slice counts for the Service that its label names. A Service port takes the slice ports of
the same name ("" matches ""). `ready` absent is true, `serving` absent is `ready`, `terminating` absent is false
(KEP-1672). Of an endpoint's addresses the first counts. An endpoint that is in two slices (a pod that moves between
them) is one, and the better copy of it wins. Slices are read in the order of their names, so the result does not
depend on how they arrived.

A slice holds at most a hundred endpoints, a Service any number. So what was made of a slice is kept (`Pieces`), and a
change remakes one slice's endpoints. One that differs in nothing but the time of its cause stays the same object with
its old time: the slice has one time for all, and the others' flip is not this one's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from control.api.kinds import ENDPOINT_SLICE
from control.api.objects import Key, Object, annotations_of, name_of, parse_time
from control.mirror.world import World
from dataplane.snapshot.check import problem
from dataplane.snapshot.model import Endpoint, Record, ResourceKey

SERVICE_NAME = "metadata.labels['kubernetes.io/service-name']"
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"  # whole seconds
EXACT_TRIGGER_TIME = "loopkube.io/trigger-time"  # Unix seconds with microseconds; ours

Endpoints = dict[ResourceKey, Endpoint]
Weights = tuple[tuple[str, int], ...]
"""(pattern of a pod's name, weight): the first pattern that fits counts."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What was made of one slice for one backend."""

    slice_: Object
    port_name: str
    weights: Weights
    endpoints: Endpoints


@dataclass(frozen=True, slots=True)
class NamedPiece:
    """What was made of one slice of a headless Service for its names: each endpoint with its records."""

    ports: object
    endpoints: tuple[tuple[Object, tuple[Record, ...]], ...]


@dataclass(slots=True)
class Pieces:
    """One Service's pieces by (backend, slice): those of the last time, and those of this time; and its names."""

    old: dict[tuple[str, str], Piece] = field(default_factory=dict)
    new: dict[tuple[str, str], Piece] = field(default_factory=dict)
    names: dict[str, NamedPiece] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not self.new and not self.names

    def turn(self) -> None:
        """The next rebuild begins: what was not used in the last one is forgotten."""
        self.old, self.new = self.new, {}


def slices_of(world: World, service: Key) -> list[Object]:
    found = world.by_field(ENDPOINT_SLICE, SERVICE_NAME, service.name, service.namespace)
    return [slice_ for slice_ in found if slice_.get("addressType") == "IPv4"]


def endpoints_of(
    backend: str, slices: Iterable[Object], port_name: str, protocol: str, pieces: Pieces, weights: Weights = ()
) -> Endpoints:
    """The endpoints of the Service port with this name and protocol, for a backend."""
    used = []
    for slice_ in slices:
        place = backend, name_of(slice_)
        piece = pieces.old.get(place)
        if piece is None or piece.slice_ is not slice_ or (piece.port_name, piece.weights) != (port_name, weights):
            before = piece.endpoints if piece is not None else {}
            endpoints = {
                key: _with_its_old_time(before.get(key), each)
                for key, each in _of_slice(backend, slice_, port_name, protocol, weights).items()
            }
            piece = Piece(slice_, port_name, weights, endpoints)
        pieces.new[place] = piece
        used.append(piece.endpoints)
    merged: Endpoints = {}
    for endpoints in used:
        merged.update(endpoints)
    if len(merged) == sum(map(len, used)):
        return merged
    merged = {}
    for endpoints in used:
        for endpoint in endpoints.values():
            _admit(merged, endpoint)
    return merged


def _weight(endpoint: Endpoint, weights: Weights) -> int:
    pod = endpoint.target.partition("/")[2]
    return next((weight for pattern, weight in weights if fnmatchcase(pod, pattern)), 1)


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


def _of_slice(backend: str, slice_: Object, port_name: str, protocol: str, weights: Weights) -> Endpoints:
    found: Endpoints = {}
    number = _port_number(slice_, port_name, protocol)
    if number is None:
        return found
    at = triggered_at(slice_)
    for endpoint in slice_.get("endpoints") or ():
        if endpoint.get("addresses"):
            made = _endpoint(backend, endpoint, number, at)
            if not problem(made):  # else a worker would refuse the whole update for an address that is none
                _admit(found, made)
    if not weights:
        return found
    return {key: replace(each, weight=_weight(each, weights)) for key, each in found.items()}


def _port_number(slice_: Object, port_name: str, protocol: str) -> int | None:
    for port in slice_.get("ports") or ():
        if (port.get("name") or "") == port_name and (port.get("protocol") or "TCP") == protocol:
            number: int | None = port.get("port")
            return number
    return None


def _endpoint(backend: str, endpoint: Object, port: int, at: float) -> Endpoint:
    address = endpoint["addresses"][0]
    conditions = endpoint.get("conditions") or {}
    ready = conditions.get("ready")
    ready = True if ready is None else bool(ready)
    serving = conditions.get("serving")
    target = endpoint.get("targetRef") or {}
    is_pod = target.get("kind") == "Pod"
    return Endpoint(
        backend=backend,
        id=(is_pod and target.get("uid")) or f"{address}:{port}",
        address=address,
        port=port,
        ready=ready,
        serving=ready if serving is None else bool(serving),
        terminating=bool(conditions.get("terminating")),
        node=endpoint.get("nodeName") or "",
        zone=endpoint.get("zone") or "",
        hint_nodes=_names(endpoint, "forNodes"),
        hint_zones=_names(endpoint, "forZones"),
        target=f"{target.get('namespace') or ''}/{target.get('name') or ''}" if is_pod else "",
        triggered_at=at,
    )


def _names(endpoint: Object, hint: str) -> tuple[str, ...]:
    return tuple(each["name"] for each in (endpoint.get("hints") or {}).get(hint) or () if each.get("name"))


def _admit(found: Endpoints, endpoint: Endpoint) -> None:
    """Adds an endpoint: of two copies the better stays; a second address of one pod goes by its address."""
    key: ResourceKey = ("endpoint", endpoint.name)
    other = found.get(key)
    if other is not None and (other.address, other.port) != (endpoint.address, endpoint.port):
        endpoint = replace(endpoint, id=f"{endpoint.address}:{endpoint.port}")
        key = ("endpoint", endpoint.name)
        other = found.get(key)
    if other is None or _worth(endpoint) > _worth(other):
        found[key] = endpoint


def _worth(endpoint: Endpoint) -> tuple[bool, bool, bool]:
    return endpoint.ready, endpoint.serving, not endpoint.terminating


def _with_its_old_time(before: Endpoint | None, now: Endpoint) -> Endpoint:
    """`before` itself if nothing but the time of the cause differs."""
    if before is None or before == now:
        return before or now
    return before if before == replace(now, triggered_at=before.triggered_at) else now

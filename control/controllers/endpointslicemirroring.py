"""EndpointSlices of Endpoints that a person wrote: the data plane reads only slices.

Mirrored are the Endpoints of a Service that exists and has no selector. Endpoints that our own controller wrote, that
say `endpointslice.kubernetes.io/skip-mirror: "true"`, or that serve as a leader-election lock are not. Each subset
becomes endpoints with its ports; `addresses` are ready, `notReadyAddresses` are not. The slices belong to the Endpoints
object (owner reference), carry its labels and annotations, and are dealt out as `slicing` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from control.api.kinds import ENDPOINT_SLICE, ENDPOINTS, SERVICE, Kind
from control.api.objects import (
    Key,
    Object,
    annotations_of,
    format_time,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    resource_version_of,
    uid_of,
)
from control.controllers.action import SETTLED, Delete, Outcome
from control.controllers.controller import Wakes
from control.controllers.endpointlist import (
    EXACT_TRIGGER_TIME,
    HEADLESS,
    TRIGGER_TIME,
    Ports,
    has_selector,
    own_annotations,
)
from control.controllers.slicing import MANAGED_BY, SERVICE_NAME, Frame, ports_in, reconciled
from control.mirror.world import World

MANAGER = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
OWN_LABEL = "endpoints.kubernetes.io/managed-by"  # on Endpoints that follow from pods
LEADER = "control-plane.alpha.kubernetes.io/leader"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class EndpointSliceMirroringController:
    name = "endpoint-slice-mirroring-controller"
    kind = ENDPOINTS

    @property
    def watches(self) -> Mapping[Kind, Wakes]:
        return {
            ENDPOINTS: lambda world, obj: (key_of(obj),),
            SERVICE: lambda world, obj: (key_of(obj),),
            ENDPOINT_SLICE: _of_slice,
        }

    def reconcile(self, world: World, key: Key, now: datetime) -> Outcome:
        path = f"metadata.labels['{SERVICE_NAME}']"
        named = world.by_field(ENDPOINT_SLICE, path, key.name, key.namespace)
        existing = [slice_ for slice_ in named if labels_of(slice_).get(MANAGED_BY) == MANAGER]
        endpoints = world.get(ENDPOINTS, *key)
        service = world.get(SERVICE, *key)
        if endpoints is None or service is None or has_selector(service) or not _is_mirrored(endpoints):
            return _withdrawn(existing)
        labels = {name: value for name, value in labels_of(endpoints).items() if name not in (HEADLESS, OWN_LABEL)}
        labels |= {SERVICE_NAME: key.name, MANAGED_BY: MANAGER}
        annotations = {
            name: value for name, value in own_annotations(endpoints).items() if name not in (LAST_APPLIED, SKIP)
        }

        def triggers() -> dict[str, str]:
            return {TRIGGER_TIME: format_time(now), EXACT_TRIGGER_TIME: f"{now.timestamp():.6f}"}

        def is_taken(name: str) -> bool:
            return world.get(ENDPOINT_SLICE, key.namespace, name) is not None

        frame = Frame(ENDPOINTS, endpoints, labels, annotations, triggers)
        return Outcome(tuple(reconciled(frame, existing, _groups(endpoints), is_taken)))


def _is_mirrored(endpoints: Object) -> bool:
    labels = labels_of(endpoints)
    return (
        not is_deleting(endpoints)
        and labels.get(SKIP) != "true"
        and OWN_LABEL not in labels
        and LEADER not in annotations_of(endpoints)
    )


def _withdrawn(existing: Iterable[Object]) -> Outcome:
    deletes = (
        Delete(ENDPOINT_SLICE, namespace_of(slice_), name_of(slice_), uid_of(slice_), resource_version_of(slice_))
        for slice_ in existing
        if not is_deleting(slice_)
    )
    return Outcome(tuple(deletes)) if existing else SETTLED


def _groups(endpoints: Object) -> dict[Ports, list[Object]]:
    groups: dict[Ports, list[Object]] = {}
    for subset in endpoints.get("subsets") or ():
        group = groups.setdefault(ports_in(subset), [])
        for field, ready in (("addresses", True), ("notReadyAddresses", False)):
            group += [_endpoint(address, ready) for address in subset.get(field) or () if ":" not in address["ip"]]
    return groups


def _endpoint(address: Object, ready: bool) -> Object:
    endpoint: Object = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
    for field in ("hostname", "nodeName", "targetRef"):
        if address.get(field):
            endpoint[field] = address[field]
    return endpoint


def _of_slice(world: World, slice_: Object) -> Iterable[Key]:
    labels = labels_of(slice_)
    name = labels.get(SERVICE_NAME)
    return (Key(namespace_of(slice_), name),) if name and labels.get(MANAGED_BY) == MANAGER else ()

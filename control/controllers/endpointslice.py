"""EndpointSlices of Services with a selector: who answers for the Service, kept true with few writes.

Which pods and with which conditions is `endpointlist`'s; how they are spread over slices is `slicing`'s. Slices without
our managed-by label are other people's, and so are all slices of a Service without a selector. Slices of a deleted
Service go by owner reference. Each write says when it was decided (loopkube.io/trigger-time, Unix seconds), so that
the data plane can tell how long the change took to reach it.

Only IPv4 slices are made: both network modes of loopkube are IPv4. A node's zone is read when a slice is written; a
zone that changes later does not wake its Services.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from control.api.kinds import ENDPOINT_SLICE, NODE, POD, SERVICE, Kind
from control.api.objects import Key, Object, is_deleting, key_of, labels_of, namespace_of
from control.controllers.action import SETTLED, Outcome
from control.controllers.controller import Wakes
from control.controllers.endpointlist import (
    HEADLESS,
    Candidates,
    Ports,
    has_selector,
    is_headless,
    services_of,
    triggers,
)
from control.controllers.slicing import MANAGED_BY, SERVICE_NAME, Frame, reconciled
from control.mirror.world import World

MANAGER = "endpointslice-controller.k8s.io"


class EndpointSliceController:
    name = "endpoint-slice-controller"
    kind = SERVICE
    concurrency = 5  # kube-controller-manager's default for it

    def __init__(self) -> None:
        self._candidates = Candidates()

    @property
    def watches(self) -> Mapping[Kind, Wakes]:
        return {
            SERVICE: lambda world, obj: (key_of(obj),),
            POD: services_of,
            ENDPOINT_SLICE: _of_slice,
            NODE: lambda world, obj: (),
        }

    def reconcile(self, world: World, key: Key, now: datetime) -> Outcome:
        service = world.get(SERVICE, *key)
        if service is None:
            self._candidates.forget(key)
        if service is None or is_deleting(service) or not has_selector(service):
            return SETTLED
        candidates = self._candidates.behind(world, service)
        groups: dict[Ports, list[Object]] = {}
        for candidate in candidates:
            groups.setdefault(candidate.ports, []).append(candidate.endpoint)
        labels = {name: value for name, value in labels_of(service).items() if name not in _RESERVED}
        labels |= {SERVICE_NAME: key.name, MANAGED_BY: MANAGER}
        if is_headless(service):
            labels[HEADLESS] = ""
        frame = Frame(SERVICE, service, labels, {}, lambda: triggers(service, candidates, now))
        existing = [slice_ for slice_ in slices_of(world, key) if labels_of(slice_).get(MANAGED_BY) == MANAGER]

        def is_taken(name: str) -> bool:
            return world.get(ENDPOINT_SLICE, key.namespace, name) is not None

        return Outcome(tuple(reconciled(frame, existing, groups, is_taken)))


_RESERVED = frozenset({SERVICE_NAME, MANAGED_BY, HEADLESS})


def slices_of(world: World, key: Key) -> list[Object]:
    """All slices that name the Service."""
    return world.by_field(ENDPOINT_SLICE, f"metadata.labels['{SERVICE_NAME}']", key.name, key.namespace)


def _of_slice(world: World, slice_: Object) -> Iterable[Key]:
    labels = labels_of(slice_)
    name = labels.get(SERVICE_NAME)
    return (Key(namespace_of(slice_), name),) if name and labels.get(MANAGED_BY) == MANAGER else ()

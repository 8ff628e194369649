"""How endpoints are dealt out to slices, so that one change costs one small write.

A slice holds up to 100 endpoints (Kubernetes' default) that share the same ports. What exists is kept as it is wherever
possible: an endpoint stays in its slice while it lives, a changed one is changed in place, new ones go first to slices
that are written anyway, then to the fullest slice with room for all of them, then to new slices. A slice whose ports
nobody has any more is not deleted if another has to be made: it becomes that one, so that proxies never see a Service
without endpoints in between. A Service without any endpoint keeps one empty slice: proxies then know that there are
none.

New slices are named after the owner's UID, the ports and a number, so that a repeat on an older world is AlreadyExists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from control.api.kinds import ENDPOINT_SLICE, Kind
from control.api.objects import Object, labels_of, meta, name_of, namespace_of, resource_version_of, uid_of
from control.controllers.action import Action, Create, Delete, Update
from control.controllers.adoption import owner_reference
from control.controllers.endpointlist import Ports, own_annotations
from control.controllers.naming import code, generated

ENDPOINTS_MAX = 100  # per slice: --max-endpoints-per-slice's default; the API allows 1,000
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"

Groups = Mapping[Ports, Sequence[Object]]


@dataclass(frozen=True, slots=True)
class Frame:
    """What all slices of one owner share; `triggers` are the annotations of a write, never a reason for one."""

    owner_kind: Kind
    owner: Object
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    triggers: Callable[[], Mapping[str, str]]


@dataclass(slots=True)
class _Plan:
    """One slice to be: what exists of it (None: to be created) and its wanted content."""

    ports: Ports
    existing: Object | None
    endpoints: list[Object] = field(default_factory=list)

    @property
    def is_changed(self) -> bool:
        if self.existing is None:
            return True
        return self.endpoints != (self.existing.get("endpoints") or []) or self.ports != ports_in(self.existing)

    @property
    def room(self) -> int:
        return ENDPOINTS_MAX - len(self.endpoints)


def ports_in(slice_: Object) -> Ports:
    return tuple(
        (port.get("name") or "", port.get("protocol") or "TCP", port.get("port") or 0, port.get("appProtocol") or "")
        for port in slice_.get("ports") or ()
    )


def reconciled(
    frame: Frame, existing: Sequence[Object], groups: Groups, is_taken: Callable[[str], bool]
) -> list[Action]:
    """The writes that turn the owner's `existing` slices into `groups`; creations first, deletions last."""
    ours = [slice_ for slice_ in existing if _is_usable(frame, slice_)]
    wanted = {ports: list(endpoints) for ports, endpoints in groups.items() if endpoints} or {(): []}
    plans: list[_Plan] = []
    for ports, endpoints in wanted.items():
        plans += _deal(ports, endpoints, [slice_ for slice_ in ours if ports_in(slice_) == ports])
    kept = {name_of(plan.existing) for plan in plans if plan.existing is not None}
    spare = [slice_ for slice_ in existing if name_of(slice_) not in kept]
    _recycle(plans, [slice_ for slice_ in spare if slice_ in ours])
    reused = {name_of(plan.existing) for plan in plans if plan.existing is not None}
    taken = {name_of(slice_) for slice_ in existing}
    creates, updates = [], []
    for plan in plans:
        if plan.existing is None:
            name = _name(frame, plan.ports, lambda name: name in taken or is_taken(name))
            taken.add(name)
            creates.append(Create(ENDPOINT_SLICE, _built(frame, plan, name)))
        elif plan.is_changed or not _is_framed(frame, plan.existing):
            updates.append(Update(ENDPOINT_SLICE, _rebuilt(frame, plan, plan.existing)))
    deletes = [
        Delete(ENDPOINT_SLICE, namespace_of(slice_), name_of(slice_), uid_of(slice_), resource_version_of(slice_))
        for slice_ in spare
        if name_of(slice_) not in reused and not meta(slice_).get("deletionTimestamp")
    ]
    return [*creates, *updates, *deletes]


def _deal(ports: Ports, endpoints: Sequence[Object], existing: Sequence[Object]) -> list[_Plan]:
    """One group's endpoints over its slices."""
    left = {_identity(endpoint): endpoint for endpoint in endpoints}
    plans = []
    for slice_ in existing:
        kept = [left.pop(_identity(old)) for old in slice_.get("endpoints") or () if _identity(old) in left]
        plans.append(_Plan(ports, slice_, kept))
    new = list(left.values())
    for plan in plans:
        if new and plan.is_changed:
            taken, new = new[: plan.room], new[plan.room :]
            plan.endpoints += taken
    while new:
        part, new = new[:ENDPOINTS_MAX], new[ENDPOINTS_MAX:]
        fitting = [plan for plan in plans if plan.room >= len(part)]
        if fitting:
            min(fitting, key=lambda plan: plan.room).endpoints.extend(part)
        else:
            plans.append(_Plan(ports, None, part))
    filled = [plan for plan in plans if plan.endpoints]
    return filled or plans[:1] or [_Plan(ports, None)]


def _recycle(plans: Iterable[_Plan], spare: list[Object]) -> None:
    """Lets slices that are to be created take the place of spare ones."""
    for plan in plans:
        if plan.existing is None and spare:
            plan.existing = spare.pop(0)


def _identity(endpoint: Object) -> tuple[str, ...]:
    reference = endpoint.get("targetRef") or {}
    return (reference.get("uid") or "", *(endpoint.get("addresses") or ()))


def _is_usable(frame: Frame, slice_: Object) -> bool:
    """Slices of an earlier owner of the same name, of another address type or on their way out are replaced."""
    owned = any(ref.get("uid") == uid_of(frame.owner) for ref in meta(slice_).get("ownerReferences") or ())
    return owned and slice_.get("addressType") == "IPv4" and not meta(slice_).get("deletionTimestamp")


def _is_framed(frame: Frame, slice_: Object) -> bool:
    return labels_of(slice_) == frame.labels and own_annotations(slice_) == frame.annotations


def _name(frame: Frame, ports: Ports, is_taken: Callable[[str], bool]) -> str:
    index = 0
    while True:
        suffix = code(uid_of(frame.owner), repr(ports), str(index))
        name = generated(f"{name_of(frame.owner)}-", suffix)
        if not is_taken(name):
            return name
        index += 1


def _ports(ports: Ports) -> list[Object]:
    built = []
    for name, protocol, number, app_protocol in ports:
        port: Object = {"name": name, "protocol": protocol, "port": number}
        if app_protocol:
            port["appProtocol"] = app_protocol
        built.append(port)
    return built


def _built(frame: Frame, plan: _Plan, name: str) -> Object:
    return {
        "apiVersion": ENDPOINT_SLICE.api_version,
        "kind": ENDPOINT_SLICE.kind,
        "metadata": {
            "name": name,
            "generateName": f"{name_of(frame.owner)}-",
            "namespace": namespace_of(frame.owner),
            "labels": dict(frame.labels),
            "annotations": {**frame.annotations, **frame.triggers()},
            "ownerReferences": [owner_reference(frame.owner_kind, frame.owner)],
        },
        "addressType": "IPv4",
        "endpoints": plan.endpoints,
        "ports": _ports(plan.ports),
    }


def _rebuilt(frame: Frame, plan: _Plan, existing: Object) -> Object:
    metadata = {
        **meta(existing),
        "labels": dict(frame.labels),
        "annotations": {**frame.annotations, **frame.triggers()},
    }
    return {**existing, "metadata": metadata, "endpoints": plan.endpoints, "ports": _ports(plan.ports)}

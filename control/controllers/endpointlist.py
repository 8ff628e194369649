"""Which pods stand behind a Service, as endpoints: shared by EndpointSlices and Endpoints.

A pod counts if the Service's selector matches it, it has an address and it has not finished. A Service port becomes a
number for each pod by itself: a named targetPort may be another number in another pod, or be missing, and then that pod
has no such port. So endpoints come in groups that have the same ports.

What follows from one pod is kept until that pod, its Service or its node's zone changes: one flip among a thousand pods
must not cost a thousand of them. Objects are read-only, so an object that is the same one says the same.

Conditions (KEP-1672): `serving` is the pod's readiness, `terminating` that its deletion has begun, and `ready` is both
serving and not terminating - or always, if the Service publishes not-ready addresses.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from control.api.kinds import NODE, POD, SERVICE
from control.api.objects import (
    Key,
    Object,
    annotations_of,
    condition_of,
    format_time,
    is_deleting,
    key_of,
    labels_of,
    meta,
    name_of,
    namespace_of,
    spec_of,
    status_of,
    uid_of,
)
from control.controllers.pods import is_finished, is_ready, node_of, time_of
from control.mirror.world import World

Ports = tuple[tuple[str, str, int, str], ...]
"""The ports of a group: (name, protocol, number, appProtocol), in the Service's order."""

TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"
EXACT_TRIGGER_TIME = "loopkube.io/trigger-time"
HEADLESS = "service.kubernetes.io/headless"
ZONE = "topology.kubernetes.io/zone"
CLOSE = ("PreferClose", "PreferSameZone", "PreferSameNode")


def has_selector(service: Object) -> bool:
    """Whether the endpoints of a Service follow from pods; otherwise they are their author's."""
    return bool(spec_of(service).get("selector")) and spec_of(service).get("type") != "ExternalName"


def is_headless(service: Object) -> bool:
    return spec_of(service).get("clusterIP") in (None, "", "None")


def publishes_not_ready(service: Object) -> bool:
    return bool(spec_of(service).get("publishNotReadyAddresses"))


def address_of(pod: Object) -> str:
    """The pod's IPv4 address; "" while it has none."""
    status = status_of(pod)
    addresses = [item.get("ip") or "" for item in status.get("podIPs") or ()] or [status.get("podIP") or ""]
    return next((address for address in addresses if address and ":" not in address), "")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pod behind a Service and what follows from it; `since` is when its readiness last changed."""

    pod: Object
    zone: str
    ports: Ports
    endpoint: Object  # discovery.k8s.io/v1 Endpoint
    since: datetime | None


class Candidates:
    """The pods behind Services, remembered."""

    def __init__(self) -> None:
        self._known: dict[Key, tuple[Object, dict[str, Candidate]]] = {}

    def forget(self, key: Key) -> None:
        self._known.pop(key, None)

    def behind(self, world: World, service: Object) -> list[Candidate]:
        """The pods with an endpoint, sorted by name."""
        key = key_of(service)
        seen, known = self._known.get(key, (None, {}))
        if seen is not service:
            known = {}
        zones: dict[str, str] = {}
        now: dict[str, Candidate] = {}
        for pod in world.select(POD, key.namespace, spec_of(service).get("selector")):
            node = node_of(pod)
            zone = zones.get(node)
            if zone is None:
                zone = zones[node] = zone_of(world, node)
            name = name_of(pod)
            candidate = known.get(name)
            if candidate is None or candidate.pod is not pod or candidate.zone != zone:
                if not address_of(pod) or is_finished(pod):
                    continue
                since = time_of((condition_of(pod, "Ready") or {}).get("lastTransitionTime"))
                candidate = Candidate(pod, zone, ports_of(service, pod), endpoint_of(service, pod, zone), since)
            now[name] = candidate
        self._known[key] = (service, now)
        return list(now.values())


def zone_of(world: World, node: str) -> str:
    return labels_of(world.get(NODE, "", node) or {}).get(ZONE, "") if node else ""


def services_of(world: World, pod: Object) -> Iterable[Key]:
    """The Services whose selector matches the pod."""
    labels = labels_of(pod)
    for service in world.selecting(SERVICE, pod):
        selector = spec_of(service).get("selector")
        if selector and all(labels.get(key) == value for key, value in selector.items()):
            yield key_of(service)


def ports_of(service: Object, pod: Object) -> Ports:
    """The Service's ports as this pod has them."""
    ports = []
    for port in spec_of(service).get("ports") or ():
        protocol = port.get("protocol") or "TCP"
        number = _target(port, protocol, pod)
        if number:
            ports.append((port.get("name") or "", protocol, number, port.get("appProtocol") or ""))
    return tuple(ports)


def _target(port: Object, protocol: str, pod: Object) -> int:
    target = port.get("targetPort") or port.get("port") or 0
    if isinstance(target, int):
        return target
    spec = spec_of(pod)
    sidecars = [item for item in spec.get("initContainers") or () if item.get("restartPolicy") == "Always"]
    for container in [*(spec.get("containers") or ()), *sidecars]:
        for candidate in container.get("ports") or ():
            if candidate.get("name") == target and (candidate.get("protocol") or "TCP") == protocol:
                return int(candidate["containerPort"])
    return 0


def endpoint_of(service: Object, pod: Object, zone: str) -> Object:
    """discovery.k8s.io/v1 Endpoint."""
    serving = is_ready(pod)
    terminating = is_deleting(pod)
    endpoint: Object = {
        "addresses": [address_of(pod)],
        "conditions": {
            "ready": publishes_not_ready(service) or (serving and not terminating),
            "serving": serving,
            "terminating": terminating,
        },
        "targetRef": reference_to(pod),
    }
    hostname = hostname_of(service, pod)
    if hostname:
        endpoint["hostname"] = hostname
    node = node_of(pod)
    if node:
        endpoint["nodeName"] = node
    if zone:
        endpoint["zone"] = zone
    hints = hints_of(service, endpoint)
    if hints:
        endpoint["hints"] = hints
    return endpoint


def hints_of(service: Object, endpoint: Object) -> Object:
    """For whose clients a ready endpoint is meant by the Service's trafficDistribution (KEP-4444, KEP-3015)."""
    distribution = spec_of(service).get("trafficDistribution")
    if distribution not in CLOSE or not endpoint["conditions"]["ready"]:
        return {}
    hints: Object = {}
    if endpoint.get("zone"):
        hints["forZones"] = [{"name": endpoint["zone"]}]
    if endpoint.get("nodeName") and distribution == "PreferSameNode":
        hints["forNodes"] = [{"name": endpoint["nodeName"]}]
    return hints


def hostname_of(service: Object, pod: Object) -> str:
    """The pod's own name below the Service's, if it asks for one by hostname and subdomain."""
    spec = spec_of(pod)
    return (spec.get("hostname") or "") if spec.get("subdomain") == name_of(service) else ""


def reference_to(pod: Object) -> Object:
    return {"kind": "Pod", "namespace": namespace_of(pod), "name": name_of(pod), "uid": uid_of(pod)}


def triggers(service: Object, candidates: Iterable[Candidate], now: datetime) -> dict[str, str]:
    """The annotations that say what change a write answers: the newest change of readiness among the pods.

    Those times have whole seconds, too coarse to measure loopkube by; the exact one is when the change was seen.
    """
    times = [candidate.since for candidate in candidates]
    times.append(time_of(meta(service).get("creationTimestamp")))
    newest = max((at for at in times if at is not None and at <= now), default=now)
    return {TRIGGER_TIME: format_time(newest), EXACT_TRIGGER_TIME: f"{now.timestamp():.6f}"}


def own_annotations(obj: Object) -> dict[str, str]:
    """An object's annotations without the times that every write changes."""
    return {k: v for k, v in annotations_of(obj).items() if k not in (TRIGGER_TIME, EXACT_TRIGGER_TIME)}

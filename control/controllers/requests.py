"""What a pod asks of a node and what a node has: resources and host ports, as whole numbers.

A pod's request of a resource is the larger of what its containers need together and what its init containers need at
their worst moment; restartable init containers (sidecars) go on running and so add to both. Overhead comes on top. CPU
is counted in thousandths, everything else in whole units; unreadable quantities count as nothing (the API refuses
them).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from control.api.objects import Object, spec_of, status_of
from control.api.quantity import parse

Resources = Counter[str]
HostPort = tuple[str, str, int]
"""(protocol, host IP, port)."""

ANY_ADDRESS = ("", "0.0.0.0")


def amount(resource: str, text: object) -> int:
    try:
        quantity = parse(str(text))
    except ValueError:
        return 0
    return quantity.milli if resource == "cpu" else quantity.value


def resources_of(quantities: Mapping[str, Any] | None) -> Resources:
    return Counter({resource: amount(resource, text) for resource, text in (quantities or {}).items()})


def requested(pod: Object) -> Resources:
    """The pod's requests, overhead included; without the pod itself, which counts against `pods`."""
    spec = spec_of(pod)
    if not any(_requests(item) for item in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))):
        return resources_of(spec.get("overhead"))
    running: Resources = Counter()
    worst: Resources = Counter()
    for container in spec.get("initContainers") or ():
        if container.get("restartPolicy") == "Always":
            running += resources_of(_requests(container))
            worst |= running
        else:
            worst |= running + resources_of(_requests(container))
    for container in spec.get("containers") or ():
        running += resources_of(_requests(container))
    return (running | worst) + resources_of(spec.get("overhead"))


def _requests(container: Object) -> Mapping[str, Any]:
    return (container.get("resources") or {}).get("requests") or {}


def allocatable(node: Object) -> Resources:
    status = status_of(node)
    return resources_of(status.get("allocatable") or status.get("capacity"))


def host_ports(pod: Object) -> set[HostPort]:
    ports = set()
    for container in spec_of(pod).get("containers") or ():
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                ports.add((port.get("protocol") or "TCP", port.get("hostIP") or "", int(port["hostPort"])))
    return ports


def ports_conflict(wanted: Iterable[HostPort], used: Iterable[HostPort]) -> bool:
    """Two equal ports collide unless both name an address and the addresses differ."""
    taken = list(used)
    return any(
        protocol == other_protocol
        and port == other_port
        and (address == other or address in ANY_ADDRESS or other in ANY_ADDRESS)
        for protocol, address, port in wanted
        for other_protocol, other, other_port in taken
    )

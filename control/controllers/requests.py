"""What a pod asks of a node and what a node has: resources and host ports, as whole numbers.

How a pod's requests add up is `control.api.podresources`' to say. CPU is counted in thousandths, everything else in
whole units.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from control.api.objects import Object, spec_of, status_of
from control.api.podresources import amounts_of, total
from control.api.quantity import Quantity

Resources = Counter[str]
HostPort = tuple[str, str, int]
"""(protocol, host IP, port)."""

ANY_ADDRESS = ("", "0.0.0.0")


def resources_of(quantities: Mapping[str, Any] | None) -> Resources:
    return Counter({name: _units(name, amount) for name, amount in amounts_of(quantities).items()})


def _units(resource: str, amount: Quantity) -> int:
    return amount.milli if resource == "cpu" else amount.value


def requested(pod: Object) -> Resources:
    """The pod's requests, overhead included; without the pod itself, which counts against `pods`."""
    return Counter({name: _units(name, amount) for name, amount in total(spec_of(pod), "requests").items()})


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

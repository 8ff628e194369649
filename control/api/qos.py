"""The quality-of-service class of a pod, from what its containers request and limit.

Guaranteed: every container limits cpu and memory and requests just that. BestEffort: nobody requests or limits either.
Burstable: everything between. Other resources do not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any

from control.api import quantity

COUNTED = ("cpu", "memory")


def qos_class(spec: Mapping[str, Any]) -> str:
    """BestEffort, Burstable or Guaranteed."""
    if spec.get("resources"):
        holders = [spec["resources"]]
    else:
        containers = chain(spec.get("containers") or (), spec.get("initContainers") or ())
        holders = [container.get("resources") or {} for container in containers]
    guaranteed, anything = True, False
    for resources in holders:
        requests, limits = _amounts(resources.get("requests")), _amounts(resources.get("limits"))
        anything = anything or bool(requests or limits)
        wanted = {name: requests.get(name, limits.get(name)) for name in requests.keys() | limits.keys()}
        if len(limits) != len(COUNTED) or wanted != limits:
            guaranteed = False
    if not anything:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _amounts(resources: Mapping[str, Any] | None) -> dict[str, int]:
    found = (
        {name: quantity.parse(str(resources[name])).nano for name in COUNTED if name in resources} if resources else {}
    )
    return {name: amount for name, amount in found.items() if amount > 0}

"""What an autoscaler scales, seen as a Scale: wanted and counted replicas, and the selector as text.

The reference names a kind by its group (the version is ignored, as Kubernetes' mapper does) and an object of the
autoscaler's namespace. Everything that has a scale subresource can be scaled; the words of the failures are the ones of
client-go's REST mapper and of the API.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from control.api.kinds import DEPLOYMENT, KINDS, REPLICA_SET, REPLICATION_CONTROLLER, STATEFUL_SET, Kind
from control.api.objects import Object, namespace_of, resource_version_of, spec_of, status_of, uid_of
from control.api.selectors import Selector, format_selector, parse_labels
from control.mirror.world import World

SCALABLE = (DEPLOYMENT, REPLICA_SET, STATEFUL_SET, REPLICATION_CONTROLLER)


class NoScale(Exception):
    """The target cannot be had; the message is for the user."""


@dataclass(frozen=True, slots=True)
class Scale:
    kind: Kind
    namespace: str
    name: str
    uid: str
    resource_version: str
    replicas: int  # wanted
    counted: int  # status.replicas
    selector_text: str

    @property
    def selector(self) -> Selector:
        """Raises ValueError."""
        return parse_labels(self.selector_text)


def kind_of_reference(reference: Mapping[str, Any]) -> Kind:
    """The served kind that a CrossVersionObjectReference means; raises NoScale."""
    api_version, name = str(reference.get("apiVersion") or ""), str(reference.get("kind") or "")
    if api_version.count("/") > 1:
        raise NoScale(f"unexpected GroupVersion string: {api_version}")
    group = api_version.partition("/")[0] if "/" in api_version else ""
    for kind in KINDS:
        if (kind.group, kind.kind) == (group, name):
            return kind
    raise NoScale(f'no matches for kind "{name}" in group "{group}"')


def scale_of(world: World, hpa: Object) -> Scale:
    """The scale of an autoscaler's target; raises NoScale."""
    reference = spec_of(hpa).get("scaleTargetRef") or {}
    kind, name = kind_of_reference(reference), str(reference.get("name") or "")
    if kind not in SCALABLE:
        raise NoScale("the server could not find the requested resource")
    target = world.get(kind, namespace_of(hpa), name)
    if target is None:
        raise NoScale(f'{kind.resource} "{name}" not found')
    spec = spec_of(target)
    selector = spec.get("selector")
    if kind == REPLICATION_CONTROLLER and selector:
        selector = {"matchLabels": selector}
    replicas = spec.get("replicas")
    return Scale(
        kind,
        namespace_of(hpa),
        name,
        uid_of(target),
        resource_version_of(target),
        1 if replicas is None else int(replicas),
        int(status_of(target).get("replicas") or 0),
        format_selector(selector) if selector else "",
    )

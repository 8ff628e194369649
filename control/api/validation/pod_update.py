"""Updates of pods: a pod's spec is what its node is running, so nearly nothing of it may change.

Images may (the container is restarted in place), activeDeadlineSeconds may shrink, tolerations may be added, scheduling
gates may be removed; while a pod is gated, its node selection may become narrower. A status may not resurrect a
container that ended for good, nor change the QoS class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from control.api import faults, names
from control.api.objects import Object, spec_of, status_of
from control.api.status import FieldError
from control.api.validation.pod import INT32_MAX

UPDATABLE = (
    "`spec.containers[*].image`",
    "`spec.initContainers[*].image`",
    "`spec.activeDeadlineSeconds`",
    "`spec.tolerations` (only additions to existing tolerations)",
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
)
_SYSTEM_CONDITIONS = frozenset({"PodScheduled", "Ready", "Initialized"})


def validate_pod_update(new: Object, old: Object) -> list[FieldError]:
    after, before = spec_of(new), spec_of(old)
    if after == before:
        return []
    found: list[FieldError] = []
    for kind in ("containers", "initContainers"):
        if len(after.get(kind) or ()) != len(before.get(kind) or ()):
            why = "pod updates may not add or remove containers"
            return [*found, faults.forbidden(f"spec.{kind}", why)]
    found += _deadline(after.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds"))
    found += _tolerations(after.get("tolerations") or (), before.get("tolerations") or ())
    kept = {gate.get("name") for gate in before.get("schedulingGates") or ()}
    for index, gate in enumerate(after.get("schedulingGates") or ()):
        if gate.get("name") not in kept:
            why = f"only deletion is allowed, but found new scheduling gate '{gate.get('name')}'"
            found.append(faults.forbidden(f"spec.schedulingGates[{index}].name", why))
    munged = _munged(after, before)
    if kept:
        found += _narrowed(munged, before)
    if munged != before:
        diff = "\n".join(differences(before, munged, "spec"))
        why = f"pod updates may not change fields other than {','.join(UPDATABLE)}\n{diff}"
        found.append(faults.forbidden("spec", why))
    return found


def _munged(after: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The new spec with everything that may change put back to what it was."""
    munged = dict(after)
    for field in ("activeDeadlineSeconds", "tolerations", "schedulingGates"):
        if field in before:
            munged[field] = before[field]
        else:
            munged.pop(field, None)
    for kind in ("containers", "initContainers"):
        if kind in munged:
            pairs = zip(munged[kind], before.get(kind) or (), strict=False)
            munged[kind] = [{**container, "image": old.get("image")} for container, old in pairs]
    grace = before.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0 and munged.get("terminationGracePeriodSeconds") == 1:
        munged["terminationGracePeriodSeconds"] = grace
    return munged


def _narrowed(munged: dict[str, Any], before: Mapping[str, Any]) -> list[FieldError]:
    """A gated pod's node selector may grow; what it demanded already must stay."""
    selector, old = munged.get("nodeSelector") or {}, before.get("nodeSelector") or {}
    found: list[FieldError] = []
    for key, value in old.items():
        if selector.get(key) != value:
            why = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
            found.append(faults.invalid(f"spec.nodeSelector[{key}]", selector.get(key, ""), why))
    if "nodeSelector" in before:
        munged["nodeSelector"] = before["nodeSelector"]
    else:
        munged.pop("nodeSelector", None)
    return found


def _deadline(new: int | None, old: int | None) -> list[FieldError]:
    path = "spec.activeDeadlineSeconds"
    if new is None:
        return (
            [] if old is None else [faults.invalid(path, None, "must not update from a positive integer to nil value")]
        )
    if not 0 <= new <= INT32_MAX:
        return [faults.invalid(path, new, names.outside(0, INT32_MAX))]
    if old is not None and old < new:
        return [faults.invalid(path, new, "must be less than or equal to previous value")]
    return []


def _tolerations(new: Sequence[Object], old: Sequence[Object]) -> list[FieldError]:
    def timeless(toleration: Object) -> Object:
        return {key: value for key, value in toleration.items() if key != "tolerationSeconds"}

    present = [timeless(toleration) for toleration in new]
    if all(timeless(toleration) in present for toleration in old):
        return []
    why = "existing toleration can not be modified except its tolerationSeconds"
    return [faults.forbidden("spec.tolerations", why)]


def differences(old: Any, new: Any, path: str) -> Iterator[str]:
    """What differs, a line a value: `- spec.x: 1`, `+ spec.x: 2`."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from differences(old.get(key), new.get(key), f"{path}.{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from differences(before, after, f"{path}[{index}]")
    elif old != new:
        if old is not None:
            yield f"- {path}: {faults.shown(old)}"
        if new is not None:
            yield f"+ {path}: {faults.shown(new)}"


def validate_pod_status(new: Object, old: Object) -> list[FieldError]:
    after, before = status_of(new), status_of(old)
    found: list[FieldError] = []
    for index, condition in enumerate(after.get("conditions") or ()):
        kind = condition.get("type") or ""
        if kind not in _SYSTEM_CONDITIONS:
            found += faults.each_invalid(f"metadata.conditions[{index}].Type", kind, names.qualified_name(kind))
    if before.get("qosClass"):
        found += faults.immutable("status.qosClass", after.get("qosClass") or "", before["qosClass"])
    nominated = after.get("nominatedNodeName")
    if nominated and nominated != before.get("nominatedNodeName"):
        found += faults.each_invalid("status.nominatedNodeName", nominated, names.dns_subdomain(nominated))
    for field in ("podIPs", "hostIPs"):
        for index, address in enumerate(after.get(field) or ()):
            text = address.get("ip") or ""
            found += faults.each_invalid(f"status.{field}[{index}]", text, names.ip_address(text))
    policy = spec_of(old).get("restartPolicy")
    sidecars = {
        container["name"]
        for container in spec_of(old).get("initContainers") or ()
        if container.get("restartPolicy") == "Always"
    }
    for field in ("containerStatuses", "initContainerStatuses"):
        found += _transitions(after.get(field) or (), before.get(field) or (), f"status.{field}", policy, sidecars)
    return found


def _transitions(
    new: Sequence[Object], old: Sequence[Object], path: str, policy: Any, sidecars: set[str]
) -> list[FieldError]:
    if policy == "Always":
        return []
    now_of = {status.get("name"): status for status in new}
    found: list[FieldError] = []
    for index, before in enumerate(old):
        ended = (before.get("state") or {}).get("terminated")
        after = now_of.get(before.get("name"))
        if not ended or after is None or before.get("name") in sidecars:
            continue
        if policy == "OnFailure" and ended.get("exitCode") != 0:
            continue
        if not (after.get("state") or {}).get("terminated"):
            found.append(faults.forbidden(f"{path}[{index}].state", "may not be transitioned to non-terminated state"))
    return found

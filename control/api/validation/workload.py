"""Workloads that keep pods running: ReplicationController, ReplicaSet, Deployment, StatefulSet, DaemonSet.

What they share: a selector that selects something, a template that the selector selects (else the controller would make
pods that it does not count), pods that are always restarted, and counts that are not negative. A selector never
changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from control.api import faults, names
from control.api.intstr import percent_of
from control.api.objects import Object, labels_of, name_of, spec_of, status_of
from control.api.selectors import selector_of, selector_of_map
from control.api.status import FieldError
from control.api.validation.meta import validate_label_selector
from control.api.validation.pod import validate_template

_SELECTOR_MISMATCH = "`selector` does not match template `labels`"
_EMPTY = "empty selector is invalid for "


def _counts(part: Mapping[str, Any], path: str, *fields: str) -> list[FieldError]:
    found: list[FieldError] = []
    for field in fields:
        found += faults.nonnegative(f"{path}.{field}", part.get(field))
    return found


def _selector(spec: Mapping[str, Any], noun: str) -> list[FieldError]:
    """A LabelSelector that must select something, and must select the template."""
    selector = spec.get("selector")
    if selector is None:
        return [faults.required("spec.selector")]
    found = validate_label_selector(selector, "spec.selector")
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        found.append(faults.invalid("spec.selector", selector, f"{_EMPTY}{noun}"))
    elif not found:
        labels = labels_of(spec.get("template") or {})
        if not selector_of(selector)(labels):
            found.append(faults.invalid("spec.template.metadata.labels", dict(labels), _SELECTOR_MISMATCH))
    return found


def _template(spec: Mapping[str, Any], noun: str) -> list[FieldError]:
    template = spec.get("template") or {}
    found = validate_template(template, "spec.template")
    pod = template.get("spec") or {}
    policy = pod.get("restartPolicy")
    if policy and policy != "Always":
        found.append(faults.not_supported("spec.template.spec.restartPolicy", policy, ("Always",)))
    if "activeDeadlineSeconds" in pod:
        why = f"activeDeadlineSeconds in {noun} is not Supported"
        found.append(faults.forbidden("spec.template.spec.activeDeadlineSeconds", why))
    return found


def validate_replication_controller(controller: Object) -> list[FieldError]:
    spec = spec_of(controller)
    found = _counts(spec, "spec", "minReadySeconds")
    selector = spec.get("selector") or {}
    if not selector:
        found.append(faults.required("spec.selector"))
    found += _counts(spec, "spec", "replicas")
    template = spec.get("template")
    if template is None:
        return [*found, faults.required("spec.template")]
    labels = labels_of(template)
    if selector and not selector_of_map(selector)(labels):
        found.append(faults.invalid("spec.template.metadata.labels", dict(labels), _SELECTOR_MISMATCH))
    return found + _template(spec, "ReplicationController")


def validate_replica_set(replica_set: Object) -> list[FieldError]:
    spec = spec_of(replica_set)
    found = _counts(spec, "spec", "replicas", "minReadySeconds") + _selector(spec, "deployment")
    return found + _template(spec, "ReplicaSet")


def validate_deployment(deployment: Object) -> list[FieldError]:
    spec = spec_of(deployment)
    found = _counts(spec, "spec", "replicas") + _selector(spec, "deployment") + _template(spec, "ReplicaSet")
    found += _strategy(spec.get("strategy") or {}, "spec.strategy")
    found += _counts(spec, "spec", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
    deadline, minimum = spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds") or 0
    if deadline is not None and deadline <= minimum:
        why = "must be greater than minReadySeconds"
        found.append(faults.invalid("spec.progressDeadlineSeconds", deadline, why))
    return found


def _strategy(strategy: Mapping[str, Any], path: str) -> list[FieldError]:
    kind, rolling = strategy.get("type") or "", strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is None:
            return []
        why = "may not be specified when strategy `type` is 'Recreate'"
        return [faults.forbidden(f"{path}.rollingUpdate", why)]
    if kind != "RollingUpdate":
        return [faults.not_supported(f"{path}.type", kind, ("Recreate", "RollingUpdate"))]
    if rolling is None:
        return [faults.required(f"{path}.rollingUpdate", "this should be defaulted and never be nil")]
    return _rolling(rolling, f"{path}.rollingUpdate")


def _rolling(rolling: Mapping[str, Any], path: str) -> list[FieldError]:
    """A surge, an unavailability, and not both zero: the rollout could not move."""
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    found = int_or_percent(unavailable, f"{path}.maxUnavailable") + int_or_percent(surge, f"{path}.maxSurge")
    if _amount(unavailable) == 0 and _amount(surge) == 0:
        why = "may not be 0 when `maxSurge` is 0"
        found.append(faults.invalid(f"{path}.maxUnavailable", unavailable, why))
    return found + at_most_all(unavailable, f"{path}.maxUnavailable")


def _amount(value: int | str) -> int:
    return value if isinstance(value, int) else (percent_of(value) or 0)


def int_or_percent(value: int | str, path: str) -> list[FieldError]:
    if isinstance(value, int):
        return faults.nonnegative(path, value)
    return faults.each_invalid(path, value, names.percentage(value))


def at_most_all(value: int | str, path: str) -> list[FieldError]:
    percent = percent_of(value)
    return (
        [faults.invalid(path, value, "must not be greater than 100%")] if percent is not None and percent > 100 else []
    )


def validate_stateful_set(stateful_set: Object) -> list[FieldError]:
    spec = spec_of(stateful_set)
    found = faults.one_of("spec.podManagementPolicy", spec.get("podManagementPolicy"), ("OrderedReady", "Parallel"))
    strategy = spec.get("updateStrategy") or {}
    kind, rolling = strategy.get("type") or "", strategy.get("rollingUpdate")
    if kind == "OnDelete":
        if rolling is not None:
            why = "only allowed for updateStrategy 'RollingUpdate'"
            found.append(faults.invalid("spec.updateStrategy.rollingUpdate", rolling, why))
    elif kind == "RollingUpdate":
        found += _stateful_rolling(rolling or {}, "spec.updateStrategy.rollingUpdate")
    else:
        why = "must be 'RollingUpdate' or 'OnDelete'"
        found.append(
            faults.invalid("spec.updateStrategy", strategy, why) if kind else faults.required("spec.updateStrategy")
        )
    retention = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    for field in ("whenDeleted", "whenScaled"):
        path = f"spec.persistentVolumeClaimRetentionPolicy.{field}"
        found += faults.one_of(path, retention.get(field), ("Delete", "Retain"), optional=True)
    found += _counts(spec, "spec", "replicas", "minReadySeconds", "revisionHistoryLimit")
    start = (spec.get("ordinals") or {}).get("start")
    found += faults.nonnegative("spec.ordinals.start", start)
    service = spec.get("serviceName")
    if service:
        found += faults.each_invalid("spec.serviceName", service, names.dns_label(service))
    return found + _selector(spec, "statefulset") + _template(_with_claims(spec), "StatefulSet")


def _with_claims(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """The spec with the volumes that the claim templates will add, for containers to name (stricter than Kubernetes,
    which looks at no pod spec of a StatefulSet before its first pod is refused)."""
    template = spec.get("template") or {}
    pod = template.get("spec") or {}
    known = {volume.get("name") for volume in pod.get("volumes") or ()}
    names = [name_of(claim) for claim in spec.get("volumeClaimTemplates") or () if name_of(claim) not in known]
    if not names:
        return spec
    added = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in names]
    return {**spec, "template": {**template, "spec": {**pod, "volumes": [*(pod.get("volumes") or ()), *added]}}}


def _stateful_rolling(rolling: Mapping[str, Any], path: str) -> list[FieldError]:
    found = faults.nonnegative(f"{path}.partition", rolling.get("partition"))
    unavailable = rolling.get("maxUnavailable")
    if unavailable is not None:
        found += int_or_percent(unavailable, f"{path}.maxUnavailable")
        if _amount(unavailable) == 0:
            found.append(faults.invalid(f"{path}.maxUnavailable", unavailable, "cannot be 0"))
        found += at_most_all(unavailable, f"{path}.maxUnavailable")
    return found


def validate_daemon_set(daemon_set: Object) -> list[FieldError]:
    spec = spec_of(daemon_set)
    found = _selector(spec, "daemonset") + _template(spec, "DaemonSet") + _counts(spec, "spec", "minReadySeconds")
    strategy = spec.get("updateStrategy") or {}
    kind = strategy.get("type") or ""
    if kind == "RollingUpdate":
        found += _daemon_rolling(strategy.get("rollingUpdate"), "spec.updateStrategy.rollingUpdate")
    elif kind != "OnDelete":
        found.append(faults.not_supported("spec.updateStrategy.type", kind, ("OnDelete", "RollingUpdate")))
    return found + _counts(spec, "spec", "revisionHistoryLimit")


def _daemon_rolling(rolling: Mapping[str, Any] | None, path: str) -> list[FieldError]:
    if rolling is None:
        return [faults.required(path)]
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    found = int_or_percent(unavailable, f"{path}.maxUnavailable") + at_most_all(unavailable, f"{path}.maxUnavailable")
    found += int_or_percent(surge, f"{path}.maxSurge") + at_most_all(surge, f"{path}.maxSurge")
    if _amount(unavailable) and _amount(surge):
        why = "may not be set when maxUnavailable is non-zero"
        found.append(faults.invalid(f"{path}.maxSurge", surge, why))
    elif not _amount(unavailable) and not _amount(surge):
        found.append(faults.required(path, "cannot be 0 when maxUnavailable is 0"))
    return found


# --- updates ------------------------------------------------------------------------------------------------------


def selector_stays(new: Object, old: Object) -> list[FieldError]:
    after, before = spec_of(new).get("selector"), spec_of(old).get("selector")
    return faults.immutable("spec.selector", after, before)


_STATEFUL_MUTABLE = (
    "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit", "minReadySeconds",
    "persistentVolumeClaimRetentionPolicy",
)  # fmt: skip


def validate_stateful_set_update(new: Object, old: Object) -> list[FieldError]:
    """A stateful set's identity (names, claims, service) belongs to its pods, so only a few fields may change."""
    after, before = spec_of(new), spec_of(old)
    fixed = [key for key in after.keys() | before.keys() if key not in _STATEFUL_MUTABLE]
    if all(after.get(key) == before.get(key) for key in fixed):
        return []
    why = (
        "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
        "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
    )
    return [faults.forbidden("spec", why)]


def status_counts(*fields: str, bounded: bool = True) -> Callable[[Object, Object], list[FieldError]]:
    """A status rule: the counts are not negative, and where `bounded` none exceeds status.replicas."""

    def check(new: Object, old: Object) -> list[FieldError]:
        status = status_of(new)
        found = _counts(status, "status", "replicas", *fields, "observedGeneration")
        replicas = status.get("replicas") or 0
        if found or not bounded:
            return found
        for field in fields:
            if field != "unavailableReplicas" and (status.get(field) or 0) > replicas:
                why = "cannot be greater than status.replicas"
                found.append(faults.invalid(f"status.{field}", status[field], why))
        if (status.get("availableReplicas") or 0) > (status.get("readyReplicas") or 0):
            why = "cannot be greater than readyReplicas"
            found.append(faults.invalid("status.availableReplicas", status["availableReplicas"], why))
        return found

    return check

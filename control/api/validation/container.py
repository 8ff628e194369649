"""Containers: what all three lists of a pod spec share, and what each forbids.

Init containers run to completion one after the other, so they have no probes and hooks, unless `restartPolicy: Always`
makes them sidecars. Names are unique over all containers of a pod, host ports over those that run together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from control.api import faults, names
from control.api.objects import Object
from control.api.status import FieldError
from control.api.validation.environment import validate_env, validate_env_from
from control.api.validation.probe import validate_probes
from control.api.validation.resources import validate_resources

PROTOCOLS = ("SCTP", "TCP", "UDP")
ID_MAX = 2**31 - 1
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_PROBES_AND_HOOKS = ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")
_NOT_IN_EPHEMERAL = (
    "ports", "resources", "resizePolicy", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle",
    "restartPolicy", "restartPolicyRules",
)  # fmt: skip

Volumes = Mapping[str, Object]
"""The pod's volumes by name."""


def validate_containers(spec: Object, path: str, volumes: Volumes, *, of_pod: bool) -> list[FieldError]:
    """containers, initContainers and ephemeralContainers of a pod spec."""
    grace = spec.get("terminationGracePeriodSeconds")
    claims = frozenset(claim.get("name") or "" for claim in spec.get("resourceClaims") or ())
    containers: Sequence[Object] = spec.get("containers") or ()
    found: list[FieldError] = []
    seen: set[str] = set()
    if not containers:
        found.append(faults.required(f"{path}.containers"))
    for index, container in enumerate(containers):
        at = f"{path}.containers[{index}]"
        found += _common(container, at, volumes, claims, seen, of_pod=of_pod)
        found += validate_probes(container, at, grace)
        found += _restart_rules(container, at)
    found += _host_ports(containers, f"{path}.containers")
    for index, container in enumerate(spec.get("initContainers") or ()):
        at = f"{path}.initContainers[{index}]"
        found += _common(container, at, volumes, claims, seen, of_pod=of_pod)
        found += _restart_rules(container, at)
        found += _host_ports([container], f"{path}.initContainers")
        if container.get("restartPolicy") == "Always":
            found += validate_probes(container, at, grace)
        else:
            why = "may not be set for init containers without restartPolicy=Always"
            found += [faults.forbidden(f"{at}.{field}", why) for field in _PROBES_AND_HOOKS if field in container]
    regular = frozenset(seen)
    for index, container in enumerate(spec.get("ephemeralContainers") or ()):
        at = f"{path}.ephemeralContainers[{index}]"
        found += _common(container, at, volumes, claims, seen, of_pod=True)
        target = container.get("targetContainerName")
        if target and target not in regular:
            found.append(faults.not_found(f"{at}.targetContainerName", target))
        why = "cannot be set for an Ephemeral Container"
        found += [faults.forbidden(f"{at}.{field}", why) for field in _NOT_IN_EPHEMERAL if container.get(field)]
    return found


def _common(
    container: Object, path: str, volumes: Volumes, claims: frozenset[str], seen: set[str], *, of_pod: bool
) -> list[FieldError]:
    found: list[FieldError] = []
    name = container.get("name") or ""
    if not name:
        found.append(faults.required(f"{path}.name"))
    else:
        found += faults.each_invalid(f"{path}.name", name, names.dns_label(name))
        if name in seen:
            found.append(faults.duplicate(f"{path}.name", name))
        seen.add(name)
    image = container.get("image") or ""
    if not image:
        found.append(faults.required(f"{path}.image"))
    elif of_pod and image != image.strip():
        found.append(faults.invalid(f"{path}.image", image, "must not have leading or trailing whitespace"))
    policy = container.get("terminationMessagePolicy")
    found += faults.one_of(f"{path}.terminationMessagePolicy", policy, _MESSAGE_POLICIES)
    found += faults.one_of(f"{path}.imagePullPolicy", container.get("imagePullPolicy"), _PULL_POLICIES)
    if container.get("ports"):
        found += _ports(container["ports"], f"{path}.ports")
    if container.get("env"):
        found += validate_env(container["env"], f"{path}.env")
    if container.get("envFrom"):
        found += validate_env_from(container["envFrom"], f"{path}.envFrom")
    if container.get("volumeMounts"):
        found += _mounts(container["volumeMounts"], f"{path}.volumeMounts", volumes)
    if container.get("volumeDevices"):
        found += _devices(container["volumeDevices"], f"{path}.volumeDevices", volumes)
    if container.get("resources"):
        found += validate_resources(container["resources"], f"{path}.resources", claims)
    if container.get("securityContext"):
        found += _security(container["securityContext"], f"{path}.securityContext")
    if container.get("resizePolicy"):
        found += _resize(container["resizePolicy"], f"{path}.resizePolicy")
    return found


def _ports(ports: Sequence[Object], path: str) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    for index, port in enumerate(ports):
        at = f"{path}[{index}]"
        name = port.get("name")
        if name:
            complaints = names.port_name(name)
            if complaints:
                found += faults.each_invalid(f"{at}.name", name, complaints)
            elif name in seen:
                found.append(faults.duplicate(f"{at}.name", name))
            seen.add(name)
        number = port.get("containerPort") or 0
        if number == 0:
            found.append(faults.required(f"{at}.containerPort"))
        else:
            found += faults.each_invalid(f"{at}.containerPort", number, names.port_number(number))
        host = port.get("hostPort")
        if host:
            found += faults.each_invalid(f"{at}.hostPort", host, names.port_number(host))
        found += faults.one_of(f"{at}.protocol", port.get("protocol"), PROTOCOLS)
    return found


def _host_ports(containers: Sequence[Object], path: str) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    for index, container in enumerate(containers):
        for number, port in enumerate(container.get("ports") or ()):
            if not port.get("hostPort"):
                continue
            text = f"{port.get('protocol') or ''}/{port.get('hostIP') or ''}/{port['hostPort']}"
            if text in seen:
                found.append(faults.duplicate(f"{path}[{index}].ports[{number}].hostPort", text))
            seen.add(text)
    return found


def _restart_rules(container: Object, path: str) -> list[FieldError]:
    """Restart policies of single containers (KEP-5307)."""
    policy, rules = container.get("restartPolicy"), container.get("restartPolicyRules") or ()
    found = faults.one_of(f"{path}.restartPolicy", policy, ("Always", "Never", "OnFailure"), optional=True)
    if rules and not policy:
        found.append(faults.required(f"{path}.restartPolicy", "must specify restartPolicy when restart rules are used"))
    for index, rule in enumerate(rules):
        at = f"{path}.restartPolicyRules[{index}]"
        found += faults.one_of(f"{at}.action", rule.get("action"), ("Restart", "RestartAllContainers"))
        codes = rule.get("exitCodes")
        if codes is None:
            found.append(faults.required(f"{at}.exitCodes", "must be specified"))
        else:
            found += faults.one_of(f"{at}.exitCodes.operator", codes.get("operator"), ("In", "NotIn"))
    return found


def _mounts(mounts: Sequence[Object], path: str, volumes: Volumes) -> list[FieldError]:
    found: list[FieldError] = []
    points: set[str] = set()
    for index, mount in enumerate(mounts):
        at = f"{path}[{index}]"
        name, point = mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            found.append(faults.required(f"{at}.name"))
        if name not in volumes:
            found.append(faults.not_found(f"{at}.name", name))
        if not point:
            found.append(faults.required(f"{at}.mountPath"))
        if point in points:
            found.append(faults.invalid(f"{at}.mountPath", point, "must be unique"))
        points.add(point)
        sub, sub_expression = mount.get("subPath"), mount.get("subPathExpr")
        if sub:
            found += descending_path(sub, f"{path}.subPath")
        if sub_expression:
            if sub:
                why = "subPathExpr and subPath are mutually exclusive"
                found.append(faults.invalid(f"{at}.subPathExpr", sub_expression, why))
            found += descending_path(sub_expression, f"{path}.subPathExpr")
        propagation = mount.get("mountPropagation")
        if propagation is not None:
            kinds = ("Bidirectional", "HostToContainer", "None")
            found += faults.one_of(f"{path}.mountPropagation", propagation, kinds)
    return found


def _devices(devices: Sequence[Object], path: str, volumes: Volumes) -> list[FieldError]:
    found: list[FieldError] = []
    for index, device in enumerate(devices):
        at = f"{path}[{index}]"
        name = device.get("name") or ""
        volume = volumes.get(name)
        if not name:
            found.append(faults.required(f"{at}.name"))
        if volume is None:
            found.append(faults.not_found(f"{at}.name", name))
        elif "persistentVolumeClaim" not in volume and "ephemeral" not in volume:
            why = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            found.append(faults.invalid(f"{at}.name", name, why))
        if not device.get("devicePath"):
            found.append(faults.required(f"{at}.devicePath"))
    return found


def descending_path(text: str, path: str) -> list[FieldError]:
    """A path that stays below where it starts."""
    found = [faults.invalid(path, text, "must be a relative path")] if text.startswith("/") else []
    if ".." in text.split("/"):
        found.append(faults.invalid(path, text, "must not contain '..'"))
    return found


def _security(context: Object, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    for field in ("runAsUser", "runAsGroup"):
        value = context.get(field)
        if value is not None and not 0 <= value <= ID_MAX:
            found.append(faults.invalid(f"{path}.{field}", value, names.outside(0, ID_MAX)))
    found += faults.one_of(f"{path}.procMount", context.get("procMount"), ("Default", "Unmasked"), optional=True)
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            found.append(faults.invalid(path, context, why))
        if "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or ()):
            why = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            found.append(faults.invalid(path, context, why))
    return found + seccomp(context.get("seccompProfile"), f"{path}.seccompProfile")


def seccomp(profile: Object | None, path: str) -> list[FieldError]:
    if profile is None:
        return []
    kind, local = profile.get("type"), profile.get("localhostProfile")
    found = faults.one_of(f"{path}.type", kind, ("Localhost", "RuntimeDefault", "Unconfined"))
    if kind == "Localhost" and not local:
        found.append(faults.required(f"{path}.localhostProfile", "must be set when seccomp type is Localhost"))
    elif kind != "Localhost" and local is not None:
        why = "can only be set when seccomp type is Localhost"
        found.append(faults.invalid(f"{path}.localhostProfile", local, why))
    return found


def _resize(policies: Sequence[Object], path: str) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    for index, policy in enumerate(policies):
        name = policy.get("resourceName") or ""
        if name in seen:
            found.append(faults.duplicate(f"{path}[{index}]", name))
        seen.add(name)
        found += faults.one_of(path, name, ("cpu", "memory"))
        found += faults.one_of(path, policy.get("restartPolicy"), ("NotRequired", "RestartContainer"))
    return found

"""Pods and pod templates: everything of a pod spec beside its containers and volumes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from control.api import faults, names
from control.api.objects import Object, annotations_of, labels_of, meta
from control.api.status import FieldError
from control.api.validation.affinity import validate_affinity, validate_spread, validate_tolerations
from control.api.validation.container import ID_MAX, seccomp, validate_containers
from control.api.validation.meta import validate_annotations, validate_labels
from control.api.validation.resources import validate_amount, validate_resources
from control.api.validation.volume import validate_volumes

RESTART_POLICIES = ("Always", "OnFailure", "Never")
DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
INT32_MAX = 2**31 - 1
NAMESERVERS_MAX, SEARCHES_MAX, SEARCH_CHARS_MAX = 3, 32, 2048
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_SYSCTL = re.compile(r"[a-z0-9]([-_a-z0-9]*[a-z0-9])?([./][a-z0-9]([-_a-z0-9]*[a-z0-9])?)*")


def validate_pod(pod: Object) -> list[FieldError]:
    """`spec` of a pod and what its annotations promise."""
    spec = pod.get("spec") or {}
    found = _annotations(annotations_of(pod), "metadata.annotations")
    found += validate_pod_spec(spec, "spec", of_pod=True)
    if not spec.get("serviceAccountName"):
        why = "must not be specified when serviceAccountName is not set"
        for index, volume in enumerate(spec.get("volumes") or ()):
            for number, source in enumerate((volume.get("projected") or {}).get("sources") or ()):
                if "serviceAccountToken" in source:
                    at = f"spec.volumes[{index}].projected.sources[{number}].serviceAccountToken"
                    found.append(faults.forbidden(at, why))
    return found


def validate_template(template: Object, path: str) -> list[FieldError]:
    """The pod template of a workload."""
    found = validate_labels(labels_of(template), f"{path}.labels")
    annotations = meta(template).get("annotations")
    if annotations:
        found += validate_annotations(annotations, f"{path}.annotations")
        found += _annotations(annotations, f"{path}.annotations")
    spec = template.get("spec") or {}
    found += validate_pod_spec(spec, f"{path}.spec", of_pod=False)
    if spec.get("ephemeralContainers"):
        why = "ephemeral containers not allowed in pod template"
        found.append(faults.forbidden(f"{path}.spec.ephemeralContainers", why))
    return found


def _annotations(annotations: Mapping[str, str], path: str) -> list[FieldError]:
    cost = annotations.get(DELETION_COST)
    if cost is None or re.fullmatch("0|-?[1-9][0-9]*", cost):
        return []
    return [faults.invalid(f"{path}[{DELETION_COST}]", cost, "must be a 32bit integer")]


def validate_pod_spec(spec: Object, path: str, *, of_pod: bool) -> list[FieldError]:
    volumes, found = validate_volumes(spec.get("volumes") or (), f"{path}.volumes")
    found += validate_containers(spec, path, volumes, of_pod=of_pod)
    if spec.get("resources"):
        found += _pod_resources(spec["resources"], f"{path}.resources")
    if spec.get("hostNetwork"):
        found += _host_network(spec, path, of_pod=of_pod)
    found += faults.one_of(f"{path}.restartPolicy", spec.get("restartPolicy"), RESTART_POLICIES)
    found += faults.one_of(f"{path}.dnsPolicy", spec.get("dnsPolicy"), DNS_POLICIES)
    if spec.get("nodeSelector"):
        found += validate_labels(spec["nodeSelector"], f"{path}.nodeSelector")
    if spec.get("securityContext"):
        found += _security(spec["securityContext"], f"{path}.securityContext")
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        why = "ShareProcessNamespace and HostPID cannot both be enabled"
        found.append(faults.invalid(f"{path}.shareProcessNamespace", True, why))
    if spec.get("affinity"):
        found += validate_affinity(spec["affinity"], f"{path}.affinity")
    if "dnsConfig" in spec or spec.get("dnsPolicy") == "None":
        found += _dns_config(spec.get("dnsConfig"), spec.get("dnsPolicy"), f"{path}.dnsConfig")
    found += _gates(spec, path)
    if spec.get("topologySpreadConstraints"):
        found += validate_spread(spec["topologySpreadConstraints"], f"{path}.topologySpreadConstraints")
    found += _names(spec, path)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= INT32_MAX:
        found.append(faults.invalid(f"{path}.activeDeadlineSeconds", deadline, names.outside(1, INT32_MAX)))
    if spec.get("tolerations"):
        found += validate_tolerations(spec["tolerations"], f"{path}.tolerations")
    if spec.get("hostAliases"):
        found += _host_aliases(spec["hostAliases"], f"{path}.hostAliases")
    if "preemptionPolicy" in spec:
        supported = ("PreemptLowerPriority", "Never")
        found += faults.one_of(f"{path}.preemptionPolicy", spec["preemptionPolicy"], supported)
    for name, amount in (spec.get("overhead") or {}).items():
        found += validate_amount(name, amount, f"{path}.overhead[{name}]")
    if "os" in spec:
        found += faults.one_of(f"{path}.os.name", spec["os"].get("name"), ("linux", "windows"))
    return found


def _pod_resources(resources: Object, path: str) -> list[FieldError]:
    found = validate_resources({key: resources[key] for key in resources if key != "claims"}, path)
    if resources.get("claims"):
        found.append(faults.forbidden(f"{path}.claims", "claims cannot be set for Resources at pod-level"))
    return found


def _host_network(spec: Object, path: str, *, of_pod: bool) -> list[FieldError]:
    found: list[FieldError] = []
    why = "must match `containerPort` when `hostNetwork` is true"
    for index, container in enumerate(spec.get("containers") or ()):
        for number, port in enumerate(container.get("ports") or ()):
            host = port.get("hostPort") or 0
            if (of_pod or host) and host != port.get("containerPort"):
                found.append(faults.invalid(f"{path}.containers[{index}].ports[{number}].hostPort", host, why))
    return found


def _security(context: Object, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    for field in ("runAsUser", "runAsGroup", "fsGroup"):
        value = context.get(field)
        if value is not None and not 0 <= value <= ID_MAX:
            found.append(faults.invalid(f"{path}.{field}", value, names.outside(0, ID_MAX)))
    for index, group in enumerate(context.get("supplementalGroups") or ()):
        if not 0 <= group <= ID_MAX:
            found.append(faults.invalid(f"{path}.supplementalGroups[{index}]", group, names.outside(0, ID_MAX)))
    seen: set[str] = set()
    for index, sysctl in enumerate(context.get("sysctls") or ()):
        name = sysctl.get("name") or ""
        at = f"{path}.sysctls[{index}].name"
        if not name:
            found.append(faults.required(at))
        elif len(name) > names.SUBDOMAIN_MAX or not _SYSCTL.fullmatch(name):
            why = f"must have at most {names.SUBDOMAIN_MAX} characters and match regex ^{_SYSCTL.pattern}$"
            found.append(faults.invalid(at, name, why))
        elif name in seen:
            found.append(faults.duplicate(at, name))
        seen.add(name)
    if "fsGroupChangePolicy" in context:
        supported = ("Always", "OnRootMismatch")
        policy = context["fsGroupChangePolicy"]
        if policy not in supported:
            found.append(faults.not_supported(f"{path}.fsGroupChangePolicy", policy, supported))
    return found + seccomp(context.get("seccompProfile"), f"{path}.seccompProfile")


def _dns_config(config: Object | None, policy: Any, path: str) -> list[FieldError]:
    servers = (config or {}).get("nameservers") or []
    if policy == "None":
        if config is None:
            return [faults.required(path, "must provide `dnsConfig` when `dnsPolicy` is None")]
        if not servers:
            why = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            return [faults.required(f"{path}.nameservers", why)]
    if config is None:
        return []
    found: list[FieldError] = []
    if len(servers) > NAMESERVERS_MAX:
        why = f"must not have more than {NAMESERVERS_MAX} nameservers"
        found.append(faults.invalid(f"{path}.nameservers", servers, why))
    for index, server in enumerate(servers):
        found += faults.each_invalid(f"{path}.nameservers[{index}]", server, names.ip_address(server))
    searches = config.get("searches") or []
    if len(searches) > SEARCHES_MAX:
        found.append(
            faults.invalid(f"{path}.searches", searches, f"must not have more than {SEARCHES_MAX} search paths")
        )
    if len(" ".join(searches)) > SEARCH_CHARS_MAX:
        why = f"must not have more than {SEARCH_CHARS_MAX} characters (including spaces) in the search list"
        found.append(faults.invalid(f"{path}.searches", searches, why))
    for index, search in enumerate(searches):
        if search != ".":
            plain = search.removesuffix(".").replace("_", "-").strip("-")
            found += faults.each_invalid(f"{path}.searches[{index}]", search, names.dns_subdomain(plain))
    for index, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            found.append(faults.required(f"{path}.options[{index}]", "must not be empty"))
    return found


def _gates(spec: Object, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    for index, gate in enumerate(spec.get("readinessGates") or ()):
        kind = gate.get("conditionType") or ""
        found += faults.each_invalid(f"{path}.readinessGates[{index}].conditionType", kind, names.qualified_name(kind))
    seen: set[str] = set()
    for index, gate in enumerate(spec.get("schedulingGates") or ()):
        name = gate.get("name") or ""
        found += faults.each_invalid(f"{path}.schedulingGates[{index}]", name, names.qualified_name(name))
        if name in seen:
            found.append(faults.duplicate(f"{path}.schedulingGates[{index}]", name))
        seen.add(name)
    return found


def _names(spec: Object, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    for field in ("serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName"):
        value = spec.get(field)
        if value:
            found += faults.each_invalid(f"{path}.{field}", value, names.dns_subdomain(value))
    for field in ("hostname", "subdomain"):
        value = spec.get(field)
        if value:
            found += faults.each_invalid(f"{path}.{field}", value, names.dns_label(value))
    return found


def _host_aliases(aliases: list[Object], path: str) -> list[FieldError]:
    found: list[FieldError] = []
    for index, alias in enumerate(aliases):
        address = alias.get("ip") or ""
        found += faults.each_invalid(f"{path}[{index}].ip", address, names.ip_address(address))
        for number, name in enumerate(alias.get("hostnames") or ()):
            found += faults.each_invalid(f"{path}[{index}].hostnames[{number}]", name, names.dns_subdomain(name))
    return found

"""Ingresses and their classes: every path has a type and a backend, every backend one port."""

from __future__ import annotations

from control.api import faults, names
from control.api.objects import Object, annotations_of, spec_of, status_of
from control.api.status import FieldError
from control.api.validation.service import validate_load_balancer

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
CONTROLLER_MAX = 250
PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_BAD_SEQUENCES = ("//", "/./", "/../", "%2f", "%2F")
_BAD_SUFFIXES = ("/..", "/.")


def validate_ingress(ingress: Object) -> list[FieldError]:
    spec = spec_of(ingress)
    rules, default = spec.get("rules") or [], spec.get("defaultBackend")
    found: list[FieldError] = []
    if not rules and default is None:
        found.append(faults.invalid("spec", rules, "either `defaultBackend` or `rules` must be specified"))
    if default is not None:
        found += _backend(default, "spec.defaultBackend")
    for index, rule in enumerate(rules):
        found += _rule(rule, f"spec.rules[{index}]")
    for index, tls in enumerate(spec.get("tls") or ()):
        for number, host in enumerate(tls.get("hosts") or ()):
            check = names.wildcard_subdomain if "*" in host else names.dns_subdomain
            found += faults.each_invalid(f"spec.tls[{index}].hosts[{number}]", host, check(host))
        secret = tls.get("secretName")
        if secret:
            found += faults.each_invalid(f"spec.tls[{index}].secretName", secret, names.dns_subdomain(secret))
    if "ingressClassName" in spec:
        name = spec["ingressClassName"]
        found += faults.each_invalid("spec.ingressClassName", name, names.dns_subdomain(name))
    return found


def validate_ingress_create(ingress: Object) -> list[FieldError]:
    """At birth a class is named once: by the field or by the annotation of old."""
    found = validate_ingress(ingress)
    annotation = annotations_of(ingress).get(CLASS_ANNOTATION)
    if annotation is not None and "ingressClassName" in spec_of(ingress):
        path = f"metadata.annotations.{CLASS_ANNOTATION}"
        found.append(faults.invalid(path, annotation, "can not be set when the class field is also set"))
    return found


def _rule(rule: Object, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    host = rule.get("host")
    if host:
        if not names.ip_address(host):
            found.append(faults.invalid(f"{path}.host", host, "must be a DNS name, not an IP address"))
        else:
            check = names.wildcard_subdomain if "*" in host else names.dns_subdomain
            found += faults.each_invalid(f"{path}.host", host, check(host))
    if "http" in rule:
        paths = rule["http"].get("paths") or ()
        if not paths:
            found.append(faults.required(f"{path}.http.paths"))
        for index, each in enumerate(paths):
            found += _path(each, f"{path}.http.paths[{index}]")
    return found


def _path(entry: Object, at: str) -> list[FieldError]:
    kind, path = entry.get("pathType"), entry.get("path") or ""
    found: list[FieldError] = []
    if kind is None:
        found.append(faults.required(f"{at}.pathType", "pathType must be specified"))
    elif kind in ("Exact", "Prefix"):
        if not path.startswith("/"):
            found.append(faults.invalid(f"{at}.path", path, "must be an absolute path"))
        problems = [f'must not contain "{sequence}"' for sequence in _BAD_SEQUENCES if sequence in path]
        problems += [f'cannot end with "{suffix}"' for suffix in _BAD_SUFFIXES if path.endswith(suffix)]
        found += faults.each_invalid(f"{at}.path", path, problems)
    elif kind == "ImplementationSpecific":
        if path and not path.startswith("/"):
            found.append(faults.invalid(f"{at}.path", path, "must be an absolute path"))
    else:
        found.append(faults.not_supported(f"{at}.pathType", kind, PATH_TYPES))
    return found + _backend(entry.get("backend") or {}, f"{at}.backend")


def _backend(backend: Object, path: str) -> list[FieldError]:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        return [faults.invalid(path, "", "cannot set both resource and service backends")]
    if resource is not None:
        missing = [field for field in ("kind", "name") if not resource.get(field)]
        return [faults.required(f"{path}.resource.{field}") for field in missing]
    if service is None:
        return [faults.required(f"{path}.service.name")]
    found: list[FieldError] = []
    name = service.get("name") or ""
    if not name:
        found.append(faults.required(f"{path}.service.name"))
    else:
        found += faults.each_invalid(f"{path}.service.name", name, names.dns_label(name))
    port = service.get("port") or {}
    port_name, number = port.get("name") or "", port.get("number") or 0
    if port_name and number:
        found.append(faults.invalid(path, "", "cannot set both port name & port number"))
    elif port_name:
        found += faults.each_invalid(f"{path}.service.port.name", port_name, names.port_name(port_name))
    elif number:
        found += faults.each_invalid(f"{path}.service.port.number", number, names.port_number(number))
    else:
        found.append(faults.required(path, "port name or number is required"))
    return found


def validate_ingress_status(new: Object, old: Object) -> list[FieldError]:
    return validate_load_balancer(status_of(new), "status.loadBalancer")


def validate_ingress_class(ingress_class: Object) -> list[FieldError]:
    spec = spec_of(ingress_class)
    controller = spec.get("controller") or ""
    found: list[FieldError] = []
    if len(controller) > CONTROLLER_MAX:
        found.append(faults.too_long("spec.controller", CONTROLLER_MAX))
    found += _domain_prefixed(controller, "spec.controller")
    parameters = spec.get("parameters")
    if parameters is not None:
        found += _parameters(parameters, "spec.parameters")
    return found


def _domain_prefixed(text: str, path: str) -> list[FieldError]:
    if not text:
        return [faults.required(path)]
    domain, slash, rest = text.partition("/")
    if not slash or not domain or not rest:
        return [faults.invalid(path, text, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    return faults.each_invalid(path, domain, names.dns_subdomain(domain))


def _parameters(parameters: Object, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    group = parameters.get("apiGroup")
    if group is not None:
        found += faults.each_invalid(f"{path}.apiGroup", group, names.dns_subdomain(group))
    found += [faults.required(f"{path}.{field}") for field in ("kind", "name") if not parameters.get(field)]
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    found += faults.one_of(f"{path}.scope", scope, ("Cluster", "Namespace"))
    if scope == "Namespace" and namespace is None:
        found.append(faults.required(f"{path}.namespace", "`parameters.scope` is set to 'Namespace'"))
    elif scope == "Cluster" and namespace is not None:
        found.append(faults.forbidden(f"{path}.namespace", "`parameters.scope` is set to 'Cluster'"))
    return found


def validate_ingress_class_update(new: Object, old: Object) -> list[FieldError]:
    after, before = spec_of(new).get("controller"), spec_of(old).get("controller")
    return faults.immutable("spec.controller", after, before)

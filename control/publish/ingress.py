"""What follows from an Ingress: its routes and certificates, and which backends it needs of Services.

Each path of each rule is a route; a rule without paths sends its host to the Ingress's default backend. The default
backend itself is a default route of every host that the Ingress names and of the whole table (KEP-1453: whatever none
of the Ingress's rules match). A Service or a port that does not exist is noted, and its route answers 503 by naming a
backend that is not there, as ingress controllers do: a missing Service must not change which route matches. Secrets
that are missing or broken are noted and leave the rest alone.

What ingress-nginx's annotations say (`annotations`) becomes one policy, which all its routes name, and the terms on
which its backends are used. Backends are shared by all Ingresses that route to a port, except where an Ingress has
terms of its own: then it gets a flavour of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple, cast

from control.api.kinds import INGRESS, INGRESS_CLASS, SECRET, SERVICE
from control.api.objects import Key, Object, annotations_of, key_of, meta, name_of, namespace_of, spec_of
from control.mirror.ingress_class import class_name_of, class_of, is_ours
from control.mirror.world import World
from control.publish.annotations.backend import NO_TERMS, BackendTerms, backend_terms
from control.publish.annotations.policy import config_map_of, route_policy, secret_of
from control.publish.annotations.reader import Reader
from control.publish.annotations.table import PREFIX
from control.publish.balancing import balancing_of
from control.publish.certificate import BadPair, pair_of
from control.publish.fronts import served_ports
from control.publish.service import Use, external_port, find_port
from control.publish.unit import TABLE, Built, Config, backend_name
from dataplane.snapshot.model import Certificate, PathType, Route, RoutePolicy

FOREIGN_ANNOTATIONS = ("nginx.org/", "haproxy.org/", "traefik.ingress.kubernetes.io/")
NOWHERE = "-"
"""The backend of a route that leads nowhere: no Service can have this name."""

PATTERN = re.compile(r"[\\^$()\[\]{}*+?|]")
"""What makes a path look like a pattern (ingress-nginx's strict-validate-path-type)."""


class Rule(NamedTuple):
    """One path, as the spec has it."""

    host: str
    path: str
    path_type: PathType
    is_default: bool
    backend: Object


def build_ingress(world: World, key: Key, config: Config) -> Built:
    """All resources of an Ingress; none if it is not ours."""
    ingress = world.get(INGRESS, *key)
    built = Built(ingress)
    if ingress is None:
        return built
    if not is_ours(world, ingress, config.controller):
        _note_that_nobody_serves_it(world, ingress, built)
        return built
    balancing_of(ingress, built)  # notes bad values
    reader = Reader(annotations_of(ingress))
    rules = list(_rules(ingress, reader))
    encrypted = _add_certificates(world, ingress, built)
    hosts = dict.fromkeys(rule.host for rule in rules)
    policy = route_policy(reader, world, key, [host for host in hosts if host in encrypted], hosts, config)
    policy = replace(policy, fallback=_fallback(world, ingress, reader, built))
    is_governed = policy != RoutePolicy(policy.name)
    if is_governed:
        built.add(policy)
    for index, rule in enumerate(rules):
        route = Route(
            name=f"{key}#{index}",
            table=TABLE,
            host=rule.host,
            path=rule.path,
            path_type=rule.path_type,
            backend=_backend(world, ingress, rule.backend, built),
            order=(meta(ingress).get("creationTimestamp") or "", str(key), index),
            is_default=rule.is_default,
            policy=policy.name if is_governed else "",
            is_canary=policy.canary is not None,
        )
        built.add(route)
        _note_patterns_that_are_none(ingress, reader, rule, built)
    if reader.get("from-to-www-redirect", False):
        _add_redirects(ingress, hosts, built)
    _terms(ingress, reader)
    _note_annotations(ingress, reader, built)
    return built


def uses_of(world: World, ingress: Object, config: Config) -> list[Use]:
    """The backends that an Ingress needs of Services, whether those exist or not."""
    if not is_ours(world, ingress, config.controller):
        return []
    reader = Reader(annotations_of(ingress))
    terms, flavour = _terms(ingress, reader)
    found = {}
    for rule in _rules(ingress, reader):
        service = rule.backend.get("service")
        if service:
            use = Use(Key(namespace_of(ingress), service.get("name") or ""), _port_of(service), flavour, terms)
            found[use.service, use.port] = use
    for use in _fallback_use(world, ingress, reader):
        found[use.service, use.port] = use
    return list(found.values())


def services_of(ingress: Object) -> set[str]:
    """The names of the Services that an Ingress names, whoever serves it."""
    spec = spec_of(ingress)
    backends = [spec.get("defaultBackend") or {}]
    for rule in spec.get("rules") or ():
        backends += [path.get("backend") or {} for path in (rule.get("http") or {}).get("paths") or ()]
    names = {(backend.get("service") or {}).get("name") for backend in backends}
    return {name for name in names | {Reader(annotations_of(ingress)).get("default-backend")} if name}


def secrets_of(ingress: Object) -> list[str]:
    named = secret_of(Reader(annotations_of(ingress)), key_of(ingress))
    tls = [tls["secretName"] for tls in spec_of(ingress).get("tls") or () if tls.get("secretName")]
    return [*tls, *([named] if named else [])]


def config_maps_of(ingress: Object) -> list[str]:
    named = config_map_of(Reader(annotations_of(ingress)), key_of(ingress))
    return [named] if named else []


def _terms(ingress: Object, reader: Reader) -> tuple[BackendTerms, str]:
    """The terms of its backends, and the flavour that stands for them."""
    terms = backend_terms(reader, balancing_of(ingress))
    return terms, "ingress" if terms == NO_TERMS else f"ingress/{name_of(ingress)}"


def _port_of(service: Object) -> int | str:
    port = service.get("port") or {}
    return cast("int | str", port.get("number") or port.get("name") or "")


def _rules(ingress: Object, reader: Reader) -> Iterator[Rule]:
    """All paths in the order of the rules, those of further hosts after them, then the defaults."""
    spec = spec_of(ingress)
    default = spec.get("defaultBackend")
    patterns = reader.get("use-regex", False) or bool(reader.get("rewrite-target", ""))
    hosts: dict[str, None] = {}
    written: list[Rule] = []
    for rule in spec.get("rules") or ():
        host = (rule.get("host") or "").lower()
        hosts[host] = None
        for path in (rule.get("http") or {}).get("paths") or ():
            type_: PathType = path.get("pathType") or "ImplementationSpecific"
            if patterns and type_ == "ImplementationSpecific":
                type_ = "Regex"
            written.append(Rule(host, path.get("path") or "/", type_, False, path["backend"]))
    yield from written
    for alias in reader.get("server-alias", ()):
        if alias not in hosts:
            hosts[alias] = None
            for rule in dict.fromkeys((each.path, each.path_type) for each in written if each.host):
                first = next(each for each in written if each.host and (each.path, each.path_type) == rule)
                yield first._replace(host=alias)
    if default is not None:
        for host in {**hosts, "": None}:
            yield Rule(host, "/", "Prefix", True, default)


def _backend(world: World, ingress: Object, backend: Object, built: Built) -> str:
    """The backend's name; what is wrong with it is noted."""
    service = backend.get("service")
    if not service:
        kind = (backend.get("resource") or {}).get("kind") or "nothing"
        built.note(ingress, "UnsupportedBackend", f"a backend that is a {kind} is not supported: only Services are")
        return NOWHERE
    key, wanted = Key(namespace_of(ingress), service.get("name") or ""), _port_of(service)
    _, flavour = _terms(ingress, Reader(annotations_of(ingress)))
    found = world.get(SERVICE, *key)
    if found is None:
        built.note(ingress, "ServiceNotFound", f"service {key} does not exist: its paths answer 503")
    elif spec_of(found).get("type") == "ExternalName":
        if not external_port(found, wanted):
            text = f"service {key} is an ExternalName without port {wanted}: its paths answer 503"
            built.note(ingress, "ServicePortNotFound", text)
    elif (port := find_port(found, wanted)) is None:
        built.note(ingress, "ServicePortNotFound", f"service {key} has no TCP port {wanted}: its paths answer 503")
    else:
        return backend_name(key, port["port"], flavour)
    return backend_name(key, wanted, flavour)


def _fallback_use(world: World, ingress: Object, reader: Reader) -> Iterator[Use]:
    """The Service of the annotation default-backend, by its first port."""
    name = reader.get("default-backend", "")
    service = world.get(SERVICE, namespace_of(ingress), name) if name else None
    ports = served_ports(service) if service is not None else []
    if ports:
        terms, flavour = _terms(ingress, reader)
        yield Use(Key(namespace_of(ingress), name), ports[0]["port"], flavour, terms)


def _fallback(world: World, ingress: Object, reader: Reader, built: Built) -> str:
    for use in _fallback_use(world, ingress, reader):
        return backend_name(use.service, use.port, use.flavour)
    name = reader.get("default-backend", "")
    if name:
        text = f"{PREFIX}default-backend: service {namespace_of(ingress)}/{name} does not exist or has no TCP port"
        built.note(ingress, "ServiceNotFound", text)
    return ""


def _add_redirects(ingress: Object, hosts: Iterable[str], built: Built) -> None:
    """from-to-www-redirect: hosts with www. to those without, or the other way; only where they have no rules."""
    key = key_of(ingress)
    wanted = [host for host in hosts if host and not host.startswith("*.")]
    for index, host in enumerate(wanted):
        other = host.removeprefix("www.") if host.startswith("www.") else f"www.{host}"
        if other not in wanted:
            policy = RoutePolicy(f"{key}:{other}", redirect_host=host)
            built.add(policy)
            order = (meta(ingress).get("creationTimestamp") or "", str(key), index)
            route = Route(policy.name, TABLE, other, "/", "Prefix", NOWHERE, order, is_default=True, policy=policy.name)
            built.add(route)


def _add_certificates(world: World, ingress: Object, built: Built) -> set[str]:
    """Adds what the Secrets hold; returns the hosts for which there is a certificate now, the default one included."""
    key = key_of(ingress)
    created = meta(ingress).get("creationTimestamp") or ""
    ruled = [rule["host"].lower() for rule in spec_of(ingress).get("rules") or () if rule.get("host")]
    encrypted: set[str] = set()
    for index, tls in enumerate(spec_of(ingress).get("tls") or ()):
        hosts = tuple(dict.fromkeys(host.lower() for host in tls.get("hosts") or ruled)) or ("",)
        name = tls.get("secretName")
        if not name:
            encrypted |= {*hosts}  # the default certificate serves these
            continue
        secret = world.get(SECRET, key.namespace, name)
        if secret is None:
            built.note(ingress, "SecretNotFound", f"secret {key.namespace}/{name} does not exist: no TLS with it")
            continue
        try:
            pair = pair_of(secret)
        except BadPair as error:
            built.note(ingress, "BadSecret", f"secret {key.namespace}/{name}: {error}: no TLS with it")
            continue
        built.add(Certificate(f"{key}#{index}", hosts, *pair, (created, str(key), index)))
        encrypted |= {*hosts}
    return encrypted


def _note_that_nobody_serves_it(world: World, ingress: Object, built: Built) -> None:
    """An Ingress of another controller's class is none of our business; one of no class at all is nobody's."""
    if class_of(world, ingress) is not None or not world.knows(INGRESS_CLASS):
        return
    name = class_name_of(ingress)
    why = f"ingress class {name} does not exist" if name else "it names no class, and none is the default"
    built.note(ingress, "IngressClassNotFound", f"not served: {why}")


def _note_patterns_that_are_none(ingress: Object, reader: Reader, rule: Rule, built: Built) -> None:
    wants = reader.get("use-regex", False) or bool(reader.get("rewrite-target", ""))
    if wants and rule.path_type in ("Exact", "Prefix") and not rule.is_default and PATTERN.search(rule.path):
        text = f"path {rule.path}: of type {rule.path_type}, so it is no pattern; those are ImplementationSpecific"
        built.note(ingress, "PathIsNoPattern", text)


def _note_annotations(ingress: Object, reader: Reader, built: Built) -> None:
    for text in reader.problems:
        built.note(ingress, "BadAnnotation", text)
    if reader.denied:
        built.note(ingress, "Denied", f"all paths answer 503: {reader.denied}")
    ignored = reader.unsupported()
    ignored += sorted(name for name in annotations_of(ingress) if name.startswith(FOREIGN_ANNOTATIONS))
    if ignored:
        built.note(ingress, "UnsupportedAnnotation", f"not implemented by loopkube, ignored: {', '.join(ignored)}")

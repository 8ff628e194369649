"""What follows from an Ingress: its routes and certificates, and which backends it needs of Services.

Each path of each rule is a route; a rule without paths sends its host to the Ingress's default backend. The default
backend itself is a default route of every host that the Ingress names and of the whole table (KEP-1453: whatever none
of the Ingress's rules match). A Service or a port that does not exist is noted, and its route answers 503 by naming a
backend that is not there, as ingress controllers do: a missing Service must not change which route matches. Secrets
that are missing or broken are noted and leave the rest alone.

Backends are shared by all Ingresses that route to a port, except where an Ingress chooses a policy of its own by
annotation: then it gets a flavour of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from control.api.kinds import INGRESS, SECRET, SERVICE
from control.api.objects import Key, Object, annotations_of, key_of, meta, name_of, namespace_of, spec_of
from control.mirror.ingress_class import is_ours
from control.mirror.world import World
from control.publish.certificate import BadPair, pair_of
from control.publish.service import Use, find_port
from control.publish.unit import TABLE, Built, Config, backend_name, balance_of, chosen_balance
from dataplane.snapshot.model import Certificate, PathType, Policy, Route

FOREIGN_ANNOTATIONS = ("nginx.ingress.kubernetes.io/", "nginx.org/", "haproxy.org/", "traefik.ingress.kubernetes.io/")
NOWHERE = "-"
"""The backend of a route that leads nowhere: no Service can have this name."""


def build_ingress(world: World, key: Key, config: Config) -> Built:
    """All resources of an Ingress; none if it is not ours."""
    ingress = world.get(INGRESS, *key)
    built = Built(ingress)
    if ingress is None or not is_ours(world, ingress, config.controller):
        return built
    balance_of(ingress, "round-robin", built)  # notes a bad value
    _note_foreign_annotations(ingress, built)
    created = meta(ingress).get("creationTimestamp") or ""
    for index, (host, path, path_type, is_default, backend) in enumerate(_paths(ingress)):
        built.add(
            Route(
                name=f"{key}#{index}",
                table=TABLE,
                host=host,
                path=path,
                path_type=path_type,
                backend=_backend(world, ingress, backend, built),
                order=(created, str(key), index),
                is_default=is_default,
            )
        )
    _add_certificates(world, ingress, built)
    return built


def uses_of(world: World, ingress: Object, config: Config) -> list[Use]:
    """The backends that an Ingress needs of Services, whether those exist or not."""
    if not is_ours(world, ingress, config.controller):
        return []
    policy, flavour = _flavour(ingress)
    found = {}
    for *_, backend in _paths(ingress):
        service = backend.get("service")
        if service:
            use = Use(Key(namespace_of(ingress), service.get("name") or ""), _port_of(service), flavour, policy)
            found[use.service, use.port] = use
    return list(found.values())


def secrets_of(ingress: Object) -> list[str]:
    return [tls["secretName"] for tls in spec_of(ingress).get("tls") or () if tls.get("secretName")]


def _flavour(ingress: Object) -> tuple[Policy | None, str]:
    policy = chosen_balance(ingress)
    return policy, f"ingress/{name_of(ingress)}" if policy else "ingress"


def _port_of(service: Object) -> int | str:
    port = service.get("port") or {}
    return cast("int | str", port.get("number") or port.get("name") or "")


def _paths(ingress: Object) -> Iterator[tuple[str, str, PathType, bool, Object]]:
    """(host, path, type, is default, backend) of every route, in the order of the rules."""
    spec = spec_of(ingress)
    default = spec.get("defaultBackend")
    hosts: dict[str, None] = {}
    for rule in spec.get("rules") or ():
        host = (rule.get("host") or "").lower()
        hosts[host] = None
        for path in (rule.get("http") or {}).get("paths") or ():
            yield (
                host,
                path.get("path") or "/",
                path.get("pathType") or "ImplementationSpecific",
                False,
                path["backend"],
            )
    if default is not None:
        for host in {**hosts, "": None}:
            yield host, "/", "Prefix", True, default


def _backend(world: World, ingress: Object, backend: Object, built: Built) -> str:
    """The backend's name; what is wrong with it is noted."""
    service = backend.get("service")
    if not service:
        kind = (backend.get("resource") or {}).get("kind") or "nothing"
        built.note(ingress, "UnsupportedBackend", f"a backend that is a {kind} is not supported: only Services are")
        return NOWHERE
    key, wanted = Key(namespace_of(ingress), service.get("name") or ""), _port_of(service)
    _, flavour = _flavour(ingress)
    found = world.get(SERVICE, *key)
    if found is None:
        built.note(ingress, "ServiceNotFound", f"service {key} does not exist: its paths answer 503")
    elif spec_of(found).get("type") == "ExternalName":
        built.note(ingress, "UnsupportedBackend", f"service {key} is an ExternalName: its paths answer 503")
    elif (port := find_port(found, wanted)) is None:
        built.note(ingress, "ServicePortNotFound", f"service {key} has no TCP port {wanted}: its paths answer 503")
    else:
        return backend_name(key, port["port"], flavour)
    return backend_name(key, wanted, flavour)


def _add_certificates(world: World, ingress: Object, built: Built) -> None:
    key = key_of(ingress)
    created = meta(ingress).get("creationTimestamp") or ""
    ruled = [rule["host"] for rule in spec_of(ingress).get("rules") or () if rule.get("host")]
    for index, tls in enumerate(spec_of(ingress).get("tls") or ()):
        name = tls.get("secretName")
        if not name:
            continue  # the default certificate serves these hosts
        secret = world.get(SECRET, key.namespace, name)
        if secret is None:
            built.note(ingress, "SecretNotFound", f"secret {key.namespace}/{name} does not exist: no TLS with it")
            continue
        try:
            pair = pair_of(secret)
        except BadPair as error:
            built.note(ingress, "BadSecret", f"secret {key.namespace}/{name}: {error}: no TLS with it")
            continue
        hosts = tuple(dict.fromkeys(host.lower() for host in tls.get("hosts") or ruled)) or ("",)
        order = (created, str(key), index)
        built.add(Certificate(f"{key}#{index}", hosts, *pair, order))


def _note_foreign_annotations(ingress: Object, built: Built) -> None:
    ignored = sorted(name for name in annotations_of(ingress) if name.startswith(FOREIGN_ANNOTATIONS))
    if ignored:
        built.note(ingress, "UnsupportedAnnotation", f"not implemented by loopkube, ignored: {', '.join(ignored)}")

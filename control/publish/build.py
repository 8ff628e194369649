"""From the API's objects to the data plane's resources: everything at once, or what one change touches.

`build` is the whole state, plainly: the slow, obviously right twin of what the publisher does by units. `affected` says
which units a changed object concerns; it is asked with the world after the change and with both versions of the
object, so it may name too many units, never too few.
"""

from __future__ import annotations

from collections.abc import Iterator

from control.api.kinds import CONFIG_MAP, ENDPOINT_SLICE, INGRESS, INGRESS_CLASS, NAMESPACE, NODE, SECRET, SERVICE, Kind
from control.api.objects import Key, Object, key_of, labels_of, namespace_of, spec_of
from control.mirror.ingress_class import is_ours
from control.mirror.world import World
from control.publish.endpoints import Pieces
from control.publish.fronts import addresses_of, location_of, nodes
from control.publish.ingress import build_ingress, config_maps_of, secrets_of, services_of, uses_of
from control.publish.names import build_names, build_namespace, build_server, is_headless
from control.publish.places import without_losers
from control.publish.service import Use, build_service
from control.publish.unit import FRAME, TABLE, Built, Config, Note, Unit
from dataplane.snapshot.model import Certificate, Listener, Resource, ResourceKey

__all__ = ["Built", "Config", "Note", "Unit", "affected", "build", "build_unit", "units", "uses_of_service"]

LAST = ("9999-12-31T23:59:59Z", "", 0)  # an Ingress's certificate for all hosts comes before ours

KINDS: tuple[Kind, ...] = (SERVICE, ENDPOINT_SLICE, INGRESS, INGRESS_CLASS, SECRET, CONFIG_MAP, NODE, NAMESPACE)
"""What must be mirrored."""


def build(world: World, config: Config) -> dict[ResourceKey, Resource]:
    """The whole state."""
    parts = [build_unit(world, unit, config) for unit in units(world, config)]
    held = without_losers(parts)
    return {
        key: resource
        for part in parts
        for key, resource in part.resources.items()
        if not isinstance(resource, Listener) or key in held
    }


def units(world: World, config: Config) -> Iterator[Unit]:
    """Every unit there is."""
    yield FRAME
    for service in world.list(SERVICE):
        yield Unit("service", key_of(service))
    for ingress in world.list(INGRESS):
        yield Unit("ingress", key_of(ingress))
    if config.dns_address:
        for service in world.list(SERVICE):
            yield Unit("names", key_of(service))
        for namespace in world.list(NAMESPACE):
            yield Unit("namespace", key_of(namespace))


def build_unit(world: World, unit: Unit, config: Config, pieces: Pieces | None = None) -> Built:
    """What one unit yields; `pieces` is a Service's memory of its slices, which saves making all of them again."""
    match unit.type:
        case "service":
            return build_service(world, unit.key, config, uses_of_service(world, unit.key, config), pieces)
        case "ingress":
            return build_ingress(world, unit.key, config)
        case "names":
            return build_names(world, unit.key, config, pieces)
        case "namespace":
            return build_namespace(world, unit.key, config)
    return _frame(world, config)


def uses_of_service(world: World, key: Key, config: Config) -> list[Use]:
    return [
        use
        for ingress in world.naming(INGRESS, services_of, key.name, key.namespace)
        for use in uses_of(world, ingress, config)
        if use.service == key
    ]


def _frame(world: World, config: Config) -> Built:
    """The ingress listeners, under the names by which a worker is handed their sockets; the dns listener; the nodes."""
    built = Built()
    for node in nodes(world):
        built.add(node)
    if config.http_port:
        built.add(Listener("ingress-http", config.ingress_address, config.http_port, "ingress", table=TABLE))
    if config.https_port:
        name = "ingress-https"
        built.add(Listener(name, config.ingress_address, config.https_port, "ingress", table=TABLE, tls=True))
    if config.default_chain_pem:
        pems = config.default_chain_pem, config.default_key_pem
        built.add(Certificate("default", ("",), *pems, LAST))
    build_server(config, built)
    return built


def affected(world: World, kind: Kind, old: Object | None, new: Object | None, config: Config) -> set[Unit]:
    """The units that a change concerns."""
    found: set[Unit] = set()
    versions = [obj for obj in (old, new) if obj is not None]
    for obj in versions:
        key = key_of(obj)
        if kind == ENDPOINT_SLICE:
            name = labels_of(obj).get("kubernetes.io/service-name")
            if name:
                of = Key(key.namespace, name)
                found.add(Unit("service", of))
                if config.dns_address and is_headless(world, of):
                    found.add(Unit("names", of))
        elif kind == NAMESPACE and config.dns_address:
            found.add(Unit("namespace", key))
        elif kind == SERVICE:
            found.add(Unit("service", key))
            if config.dns_address:
                found.add(Unit("names", key))
            if old is None or new is None or _ports_of(old) != _ports_of(new):
                named = world.naming(INGRESS, services_of, key.name, key.namespace)
                found |= {Unit("ingress", key_of(each)) for each in named if is_ours(world, each, config.controller)}
        elif kind == INGRESS:
            found |= _of_ingress(world, obj, config)
        elif kind == SECRET:
            named = world.naming(INGRESS, secrets_of, key.name, key.namespace)
            found |= {Unit("ingress", key_of(each)) for each in named}
        elif kind == CONFIG_MAP:
            named = world.naming(INGRESS, config_maps_of, key.name, key.namespace)
            found |= {Unit("ingress", key_of(each)) for each in named}
    if kind == INGRESS_CLASS:
        for ingress in world.list(INGRESS):
            found |= _of_ingress(world, ingress, config)
    elif kind == NODE:
        if old is None or new is None or location_of(old) != location_of(new):
            found.add(FRAME)
        if old is None or new is None or addresses_of(old) != addresses_of(new):
            for service in world.list(SERVICE):
                if spec_of(service).get("type") in ("NodePort", "LoadBalancer"):
                    found.add(Unit("service", key_of(service)))
    return found


def _of_ingress(world: World, ingress: Object, config: Config) -> set[Unit]:
    """An Ingress and the Services that it names, ours or not: whose it was before is not known here."""
    found = {Unit("ingress", key_of(ingress))}
    return found | {Unit("service", Key(namespace_of(ingress), name)) for name in services_of(ingress)}


def _ports_of(service: Object) -> tuple[object, object]:
    return spec_of(service).get("type"), spec_of(service).get("ports")

"""A container's environment and command line, put together as kubelet's makeEnvironmentVariables does.

Later sources win: envFrom in its order, then env in its order. `$(NAME)` in a value sees what was defined before it
and the service variables; `$$` stands for `$`, and a reference to nothing stays as it is written. Service variables
come from the namespace's Services (with enableServiceLinks) and always from default/kubernetes, and never override.
What a value refers to and does not exist, unless it is optional, keeps the container from starting:
`ConfigMissing` carries kubelet's words and says which object was looked for.

loopkube adds what a process needs that has no file system and network of its own: see `own_variables`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any

from control.api.kinds import CONFIG_MAP, SECRET, SERVICE, Kind
from control.api.objects import Object, name_of, namespace_of, spec_of
from control.kubelet.downward import FieldUnknown, Place, field_text, resource_text
from control.mirror.world import World

REFERENCE = re.compile(r"\$(?:\$|\(([^()]*)\))")
MASTER_SERVICE = ("default", "kubernetes")


class ConfigMissing(Exception):
    """A ConfigMap, Secret or key that is not there; `kind` is None when looking again at the API cannot help."""

    def __init__(self, message: str, kind: Kind | None = None, namespace: str = "", name: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.namespace = namespace
        self.name = name


def expand(text: str, *scopes: Mapping[str, str]) -> str:
    """Replaces `$(NAME)` by the first scope that has it."""

    def one(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return "$"
        return next((scope[name] for scope in scopes if name in scope), match[0])

    return REFERENCE.sub(one, text)


def environment(pod: Object, container: Mapping[str, Any], world: World, place: Place) -> dict[str, str]:
    """The container's variables, without loopkube's own; raises ConfigMissing."""
    namespace = namespace_of(pod)
    services = service_variables(world, namespace, links=spec_of(pod).get("enableServiceLinks", True) is not False)
    found: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        prefix = source.get("prefix") or ""
        for key, value in map_of(world, namespace, source).items():
            found[prefix + key] = value
    for variable in container.get("env") or ():
        name = variable["name"]
        if variable.get("valueFrom"):
            chosen = value_from(pod, container, variable["valueFrom"], world, place)
            if chosen is not None:
                found[name] = chosen
        else:
            found[name] = expand(variable.get("value") or "", found, services)
    return {**services, **found}


def map_of(world: World, namespace: str, source: Mapping[str, Any]) -> Mapping[str, str]:
    """All pairs of an envFrom source."""
    if source.get("configMapRef"):
        ref = source["configMapRef"]
        config = config_map(world, namespace, ref)
        return (config or {}).get("data") or {}
    ref = source.get("secretRef") or {}
    secret_object = secret(world, namespace, ref)
    return {key: secret_text(value) for key, value in ((secret_object or {}).get("data") or {}).items()}


def value_from(
    pod: Object, container: Mapping[str, Any], source: Mapping[str, Any], world: World, place: Place
) -> str | None:
    """One valueFrom; None leaves the variable undefined (an optional key that is not there)."""
    namespace = namespace_of(pod)
    try:
        if "fieldRef" in source:
            return field_text(pod, source["fieldRef"].get("fieldPath", ""), place)
        if "resourceFieldRef" in source:
            return resource_text(pod, container, source["resourceFieldRef"], place)
    except FieldUnknown as error:
        raise ConfigMissing(str(error)) from None
    if "configMapKeyRef" in source:
        ref = source["configMapKeyRef"]
        config = config_map(world, namespace, ref)
        data = (config or {}).get("data") or {}
        if ref["key"] in data:
            return str(data[ref["key"]])
        if config is None or ref.get("optional"):
            return None
        raise key_missing(ref["key"], "ConfigMap", CONFIG_MAP, namespace, ref["name"])
    if "secretKeyRef" in source:
        ref = source["secretKeyRef"]
        found = secret(world, namespace, ref)
        data = (found or {}).get("data") or {}
        if ref["key"] in data:
            return secret_text(data[ref["key"]])
        if found is None or ref.get("optional"):
            return None
        raise key_missing(ref["key"], "Secret", SECRET, namespace, ref["name"])
    raise ConfigMissing(f"unsupported valueFrom: {', '.join(source)}")


def key_missing(key: str, word: str, kind: Kind, namespace: str, name: str) -> ConfigMissing:
    return ConfigMissing(f"couldn't find key {key} in {word} {namespace}/{name}", kind, namespace, name)


def config_map(world: World, namespace: str, ref: Mapping[str, Any]) -> Object | None:
    found = world.get(CONFIG_MAP, namespace, ref.get("name") or "")
    if found is None and not ref.get("optional"):
        raise ConfigMissing(f'configmap "{ref.get("name")}" not found', CONFIG_MAP, namespace, ref.get("name") or "")
    return found


def secret(world: World, namespace: str, ref: Mapping[str, Any]) -> Object | None:
    found = world.get(SECRET, namespace, ref.get("name") or "")
    if found is None and not ref.get("optional"):
        raise ConfigMissing(f'secret "{ref.get("name")}" not found', SECRET, namespace, ref.get("name") or "")
    return found


def secret_text(value: str) -> str:
    return base64.b64decode(value).decode("utf-8", "surrogateescape")


def service_variables(world: World, namespace: str, *, links: bool) -> dict[str, str]:
    """`FOO_SERVICE_HOST` and its Docker-style relatives, for Services with a cluster IP."""
    services = world.list(SERVICE, namespace) if links else []
    master = world.get(SERVICE, *MASTER_SERVICE)
    if master is not None and name_of(master) not in {name_of(service) for service in services}:
        services = [*services, master]
    found: dict[str, str] = {}
    for service in services:
        address = spec_of(service).get("clusterIP")
        ports = spec_of(service).get("ports") or ()
        if not address or address == "None" or not ports:
            continue
        prefix = name_of(service).upper().replace("-", "_").replace(".", "_")
        found[f"{prefix}_SERVICE_HOST"] = address
        found[f"{prefix}_SERVICE_PORT"] = str(ports[0]["port"])
        found |= link_variables(prefix, address, ports)
    return found


def link_variables(prefix: str, address: str, ports: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, port in enumerate(ports):
        protocol = (port.get("protocol") or "TCP").lower()
        url = f"{protocol}://{address}:{port['port']}"
        if port.get("name"):
            found[f"{prefix}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
        if number == 0:
            found[f"{prefix}_PORT"] = url
        stem = f"{prefix}_PORT_{port['port']}_{protocol.upper()}"
        found[stem] = url
        found[f"{stem}_PROTO"] = protocol
        found[f"{stem}_PORT"] = str(port["port"])
        found[f"{stem}_ADDR"] = address
    return found


def hostname_of(pod: Object) -> str:
    """What `hostname` would say inside: spec.hostname or the pod's name, at most 63 characters."""
    name = str(spec_of(pod).get("hostname") or name_of(pod))
    return name[:63].rstrip("-.")


def own_variables(
    pod: Object, container: Mapping[str, Any], place: Place, root: str, machine: Mapping[str, str]
) -> dict[str, str]:
    """What loopkube gives besides: the image's share of a container's world, and how to behave in loopback mode.

    PATH, LANG and TZ are the machine's; HOME is the container's directory. POD_IP is the address to listen on and
    PORT the first containerPort. LOOPKUBE_ROOT is the container's directory, below which its volumes are found at
    their mountPath; LOOPKUBE_POD, _NAMESPACE, _NODE, _CONTAINER and _IMAGE say who it is.
    """
    found = {name: machine[name] for name in ("PATH", "LANG", "LC_ALL", "TZ") if name in machine}
    found |= {"HOSTNAME": hostname_of(pod), "HOME": root, "POD_IP": place.pod_ip}
    ports = [port["containerPort"] for port in container.get("ports") or () if port.get("protocol", "TCP") == "TCP"]
    if ports:
        found["PORT"] = str(ports[0])
    found |= {
        "LOOPKUBE_ROOT": root,
        "LOOPKUBE_POD": name_of(pod),
        "LOOPKUBE_NAMESPACE": namespace_of(pod),
        "LOOPKUBE_NODE": spec_of(pod).get("nodeName") or "",
        "LOOPKUBE_CONTAINER": container["name"],
        "LOOPKUBE_IMAGE": container.get("image") or "",
    }
    return found

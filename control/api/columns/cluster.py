"""Rows of the cluster's own objects: nodes, namespaces, events, leases, priorities, configuration."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from control.api.columns.cells import AGE, NAME, NONE, UNKNOWN, Cell, path, since
from control.api.objects import Object, condition_of, labels_of, meta, spec_of, status_of
from control.api.scheme import Column

ROLE_PREFIX, ROLE_LABEL = "node-role.kubernetes.io/", "kubernetes.io/role"


# --- nodes --------------------------------------------------------------------------------------------------------


def _node_status(node: Object, now: datetime) -> Any:
    ready = condition_of(node, "Ready")
    word = "Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"
    return f"{word},SchedulingDisabled" if spec_of(node).get("unschedulable") else word


def _roles(node: Object, now: datetime) -> Any:
    roles = set()
    for key, value in labels_of(node).items():
        if key.startswith(ROLE_PREFIX) and key != ROLE_PREFIX:
            roles.add(key.removeprefix(ROLE_PREFIX))
        elif key == ROLE_LABEL and value:
            roles.add(value)
    return ",".join(sorted(roles)) or NONE


def _node_address(kind: str) -> Cell:
    def cell(node: Object, now: datetime) -> Any:
        addresses = status_of(node).get("addresses") or ()
        return next((each.get("address") or NONE for each in addresses if each.get("type") == kind), NONE)

    return cell


def _info(field: str, name: str, description: str, priority: int = 1) -> Column:
    absent = "" if field == "kubeletVersion" else UNKNOWN
    return Column(
        name, path("status", "nodeInfo", field, absent=absent), description=description, priority=priority
    )  # fmt: skip


NODE_COLUMNS = (
    NAME,
    Column("Status", _node_status, description="The status of the node"),
    Column("Roles", _roles, description="The roles of the node"),
    AGE,
    _info("kubeletVersion", "Version", "The version of the kubelet.", priority=0),
    Column("Internal-IP", _node_address("InternalIP"), description="The node's address in the cluster.", priority=1),
    Column("External-IP", _node_address("ExternalIP"), description="The node's address outside.", priority=1),
    _info("osImage", "OS-Image", "The operating system."),
    _info("kernelVersion", "Kernel-Version", "The kernel."),
    _info("containerRuntimeVersion", "Container-Runtime", "What runs the containers."),
)

NAMESPACE_COLUMNS = (
    NAME,
    Column("Status", path("status", "phase", absent=""), description="The status of the namespace"),
    AGE,
)


# --- events -------------------------------------------------------------------------------------------------------


def _times(event: Mapping[str, Any]) -> tuple[Any, Any, int]:
    """First seen, last seen, how often: of both generations of the Event API."""
    first = event.get("firstTimestamp") or event.get("deprecatedFirstTimestamp") or event.get("eventTime")
    last = event.get("lastTimestamp") or event.get("deprecatedLastTimestamp") or first
    count = event.get("count") or event.get("deprecatedCount") or 0
    series = event.get("series")
    if series:
        return first, series.get("lastObservedTime"), series.get("count") or 0
    return first, last, count or 1


def _last_seen(event: Object, now: datetime) -> Any:
    return since(_times(event)[1], now)


def _first_seen(event: Object, now: datetime) -> Any:
    return since(_times(event)[0], now)


def _count(event: Object, now: datetime) -> Any:
    return str(_times(event)[2])


def _about(event: Mapping[str, Any]) -> Mapping[str, Any]:
    return event.get("involvedObject") or event.get("regarding") or {}


def _object(event: Object, now: datetime) -> Any:
    about = _about(event)
    kind, name = (about.get("kind") or "").lower(), about.get("name")
    return f"{kind}/{name}" if name else kind


def _subobject(event: Object, now: datetime) -> Any:
    return _about(event).get("fieldPath") or ""


def _source(event: Object, now: datetime) -> Any:
    source = event.get("source") or event.get("deprecatedSource") or {}
    component = source.get("component") or event.get("reportingComponent") or event.get("reportingController") or ""
    host = source.get("host") or event.get("reportingInstance") or ""
    return f"{component}, {host}" if host else component


def _message(event: Object, now: datetime) -> Any:
    return (event.get("message") or event.get("note") or "").strip()


EVENT_COLUMNS = (
    Column("Last Seen", _last_seen, description="When it was last seen."),
    Column("Type", path("type", absent=""), description="Normal or Warning."),
    Column("Reason", path("reason", absent=""), description="Why, in a word for machines."),
    Column("Object", _object, description="What it is about."),
    Column("Subobject", _subobject, description="Which part of the object.", priority=1),
    Column("Source", _source, description="Who reports it.", priority=1),
    Column("Message", _message, description="What happened, for people."),
    Column("First Seen", _first_seen, description="When it was first seen.", priority=1),
    Column("Count", _count, description="How often it was seen.", priority=1),
    Column("Name", NAME.cell, format="name", description=NAME.description, priority=1),
)


# --- configuration and the rest -----------------------------------------------------------------------------------


def _data(obj: Object, now: datetime) -> Any:
    return len(obj.get("data") or ()) + len(obj.get("binaryData") or ())


def _secrets(account: Object, now: datetime) -> Any:
    return len(account.get("secrets") or ())


CONFIG_MAP_COLUMNS = (NAME, Column("Data", _data, description="How many keys it has."), AGE)
SECRET_COLUMNS = (
    NAME,
    Column("Type", path("type", absent=""), description="What the secret is for."),
    Column("Data", _data, description="How many keys it has."),
    AGE,
)
SERVICE_ACCOUNT_COLUMNS = (NAME, Column("Secrets", _secrets, description="How many secrets it may use."), AGE)
LEASE_COLUMNS = (NAME, Column("Holder", path("spec", "holderIdentity", absent=""), description="Who holds it."), AGE)


def _global_default(priority_class: Object, now: datetime) -> Any:
    return bool(priority_class.get("globalDefault"))


PRIORITY_CLASS_COLUMNS = (
    NAME,
    Column("Value", path("value", absent=0), description="The priority of pods of this class."),
    Column("Global-Default", _global_default, "boolean", description="Whether pods without a class get it."),
    AGE,
    Column("PreemptionPolicy", path("preemptionPolicy", absent=""), description="Whether it evicts lower ones."),
)


def _requests(quota: Object, now: datetime) -> Any:
    return ", ".join(_used(quota, name) for name in sorted(_hard(quota)) if not name.startswith("limits."))


def _limits(quota: Object, now: datetime) -> Any:
    return ", ".join(_used(quota, name) for name in sorted(_hard(quota)) if name.startswith("limits."))


def _hard(quota: Object) -> Mapping[str, str]:
    return status_of(quota).get("hard") or {}


def _used(quota: Object, name: str) -> str:
    return f"{name}: {(status_of(quota).get('used') or {}).get(name, 0)}/{_hard(quota)[name]}"


def _created(obj: Object, now: datetime) -> Any:
    return meta(obj).get("creationTimestamp") or ""


RESOURCE_QUOTA_COLUMNS = (
    NAME,
    Column("Request", _requests, description="What is used of what may be requested, and of counts."),
    Column("Limit", _limits, description="What is used of the limits."),
    AGE,
)
LIMIT_RANGE_COLUMNS = (NAME, Column("Created At", _created, description="When it was created."))

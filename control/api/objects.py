"""API objects are plain JSON values, and everybody treats them as read-only.

A Kubernetes object travels through loopkube as the `dict` that its JSON says: the scheme has over twenty kinds,
users' patches reach any field, and a round trip through classes would lose what we do not know. The price is
discipline: an object that came out of a mirror, the store or an event is shared by all readers, so whoever wants to
change one makes a copy first (`copy_of`). Functions here read the parts that all kinds share (ObjectMeta, conditions,
owner references), so that no other file spells `obj["metadata"]["labels"]` with its three cases of absence.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

Object = dict[str, Any]
"""One API object (or a part of one) as its JSON says."""


class Key(NamedTuple):
    """Which object of a kind: `namespace` is "" for cluster-scoped kinds."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def meta(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    return obj.get("metadata") or {}


def name_of(obj: Mapping[str, Any]) -> str:
    return meta(obj).get("name") or ""


def namespace_of(obj: Mapping[str, Any]) -> str:
    return meta(obj).get("namespace") or ""


def key_of(obj: Mapping[str, Any]) -> Key:
    return Key(namespace_of(obj), name_of(obj))


def uid_of(obj: Mapping[str, Any]) -> str:
    return meta(obj).get("uid") or ""


def resource_version_of(obj: Mapping[str, Any]) -> str:
    return meta(obj).get("resourceVersion") or ""


def labels_of(obj: Mapping[str, Any]) -> Mapping[str, str]:
    return meta(obj).get("labels") or {}


def annotations_of(obj: Mapping[str, Any]) -> Mapping[str, str]:
    return meta(obj).get("annotations") or {}


def spec_of(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    return obj.get("spec") or {}


def status_of(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    return obj.get("status") or {}


def is_deleting(obj: Mapping[str, Any]) -> bool:
    """Whether a graceful or finalized deletion has begun (metadata.deletionTimestamp is set)."""
    return bool(meta(obj).get("deletionTimestamp"))


def owner_references(obj: Mapping[str, Any]) -> list[Object]:
    return list(meta(obj).get("ownerReferences") or [])


def controller_of(obj: Mapping[str, Any]) -> Object | None:
    """The one owner reference with `controller: true`, which may manage the object; at most one exists."""
    for ref in meta(obj).get("ownerReferences") or ():
        if ref.get("controller"):
            return ref  # type: ignore[no-any-return]
    return None


def is_controlled_by(obj: Mapping[str, Any], owner: Mapping[str, Any]) -> bool:
    ref = controller_of(obj)
    return ref is not None and ref.get("uid") == uid_of(owner)


def condition_of(obj: Mapping[str, Any], type_: str) -> Object | None:
    for condition in status_of(obj).get("conditions") or ():
        if condition.get("type") == type_:
            return condition  # type: ignore[no-any-return]
    return None


def is_condition_true(obj: Mapping[str, Any], type_: str) -> bool:
    condition = condition_of(obj, type_)
    return condition is not None and condition.get("status") == "True"


def copy_of(obj: Mapping[str, Any]) -> Object:
    """A deep copy that its caller may change."""
    return copy.deepcopy(dict(obj))


def find_named(items: Iterable[Mapping[str, Any]] | None, name: str) -> Mapping[str, Any] | None:
    """The item whose `name` is `name` (containers, ports, env, volumes...)."""
    for item in items or ():
        if item.get("name") == name:
            return item
    return None


def format_time(at: datetime) -> str:
    """An aware datetime as metav1.Time: RFC 3339, UTC, whole seconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_micro_time(at: datetime) -> str:
    """An aware datetime as metav1.MicroTime: RFC 3339, UTC, six decimals."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> datetime:
    """RFC 3339 with or without fractions; raises ValueError. The inverse of both formatters."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return at

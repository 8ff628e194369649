"""A tiny API in memory: performs controllers' actions with the server's preconditions, and keeps every past world.

It knows what the laws of controllers need: UIDs and one revision, resourceVersions as preconditions, no-op updates that
change nothing, generations, the status subresource, finalizers and propagation policies, graceful deletion of pods that
have a node, and strategic merges of owner references and conditions. It validates nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from control.api.decode import check
from control.api.kinds import NAMESPACE, POD, SERVICE_ACCOUNT, Kind, kind_of
from control.api.objects import (
    Key,
    Object,
    controller_of,
    copy_of,
    format_time,
    is_deleting,
    key_of,
    meta,
    name_of,
    spec_of,
    uid_of,
)
from control.api.rows import RESOURCES
from control.api.schema import schema_of
from control.api.status import StatusError
from control.controllers.action import (
    Absent,
    Action,
    Ask,
    Bind,
    Create,
    Delete,
    Emit,
    NoneOf,
    Patch,
    Purge,
    Rescale,
    Update,
)
from control.mirror.world import LiveWorld, World

START = datetime(2026, 1, 1, tzinfo=UTC)
GRACE = "deletionGracePeriodSeconds"
Place = tuple[Kind, Key]
Change = tuple[Kind, Object | None, Object | None]


class Stopped(Exception):
    """A precondition failed, or a question was answered no: the rest of an outcome must not happen."""


class Rejected(Exception):
    """The server will not have the object."""


class Cluster:
    """`refuses` may reject creates and scales, as admission does; `answers` are the documents that `Ask` reads;
    `listeners` hear (kind, old, new) after each change.

    With `drops_empty`, objects are kept as the server keeps them: without what Go leaves out when it is empty.
    """

    def __init__(self, *, drops_empty: bool = False) -> None:
        self.drops_empty = drops_empty
        self.world = LiveWorld()
        self.world._known = None
        self.now = START
        self.revision = 0
        self.objects: dict[Place, Object] = {}
        self.past: list[dict[Place, Object]] = [{}]
        self.events: list[str] = []
        self.listeners: list[Callable[[Kind, Object | None, Object | None], None]] = []
        self.refuses: Callable[[Kind, Object], str] = lambda kind, obj: ""
        self.answers: Callable[[str], Object | StatusError] = lambda path: StatusError(404, "NotFound", path)

    # What users and kubelets do

    def add(self, obj: Object) -> Object:
        """Creates an object as it is, status included."""
        kind = kind_of(obj)
        assert kind is not None, obj
        return self._create(kind, obj)

    def get(self, kind: Kind, name: str, namespace: str = "default") -> Object:
        return self.objects[kind, Key(namespace if kind.namespaced else "", name)]

    def all(self, kind: Kind) -> list[Object]:
        return self.world.list(kind)

    def edit(self, kind: Kind, name: str, change: Callable[[Object], None], namespace: str = "default") -> Object:
        """Changes a copy of an object, whatever its resourceVersion."""
        obj = copy_of(self.get(kind, name, namespace))
        change(obj)
        return self._replace(kind, obj)

    def past_world(self, age: int) -> World:
        """The world as it was `age` changes ago."""
        objects = self.past[max(0, len(self.past) - 1 - age)]
        return World.of(objects.values())

    # What controllers ask for

    def perform(self, actions: Iterable[Action]) -> None:
        """In order; raises Stopped or Rejected at the first that fails."""
        for action in actions:
            match action:
                case Create(kind, obj, refused):
                    self._perform_create(kind, obj, refused)
                case Update(kind, obj, subresource):
                    self._perform_update(kind, obj, subresource)
                case Patch():
                    self._perform_patch(action)
                case Delete():
                    self._perform_delete(action)
                case Bind(namespace, name, uid, node):
                    pod = self._seen(POD, namespace, name, uid)
                    if spec_of(pod).get("nodeName"):
                        raise Stopped("already bound")
                    self._replace(POD, {**pod, "spec": {**spec_of(pod), "nodeName": node}})
                case Emit(regarding, type_, reason, message):
                    self.events.append(f"{type_} {reason} {name_of(regarding)}: {message}")
                case Absent(kind, namespace, name, uid):
                    found = self.objects.get((kind, Key(namespace, name)))
                    if found is not None and (not uid or uid_of(found) == uid):
                        raise Stopped("it is there")
                case NoneOf(kind, namespace, matches):
                    if any(map(matches, self.world.list(kind, namespace))):
                        raise Stopped("there is one")
                case Purge(kind, namespace):
                    self._perform_purge(kind, namespace)
                case Ask(paths, then):
                    self.perform(then({path: self.answers(path) for path in paths}))
                case Rescale():
                    self._perform_rescale(action)

    def _perform_create(self, kind: Kind, obj: Object, refused: Callable[[str], tuple[Action, ...]] | None) -> None:
        why = self.refuses(kind, obj)
        if why:
            self.perform(refused(why) if refused else ())
            raise Rejected(why)
        found = self.objects.get((kind, key_of(obj)))
        if found is None:
            self._create(kind, {field: value for field, value in obj.items() if field != "status"})
        elif (controller_of(found) or {}).get("uid") != (controller_of(obj) or {}).get("uid"):
            raise Stopped(f"{name_of(obj)} already exists")

    def _perform_update(self, kind: Kind, obj: Object, subresource: str) -> None:
        current = self._seen(kind, meta(obj).get("namespace") or "", name_of(obj), uid_of(obj))
        version = meta(obj).get("resourceVersion")
        if version and version != meta(current)["resourceVersion"]:
            raise Stopped(f"{name_of(obj)} has been modified")
        if subresource == "status":
            wanted = {**current, "status": obj["status"]} if "status" in obj else current
        elif subresource == "finalize":
            wanted = {**current, "spec": obj["spec"]}
        else:
            wanted = {**obj, "status": current.get("status")} if "status" in current else obj
        self._replace(kind, copy_of(wanted))

    def _perform_patch(self, action: Patch) -> None:
        current = self._seen(action.kind, action.namespace, action.name, action.uid)
        version = (action.patch.get("metadata") or {}).get("resourceVersion")
        if version and version != meta(current)["resourceVersion"]:
            raise Stopped(f"{action.name} has been modified")
        strategic = action.patch_type == "application/strategic-merge-patch+json"
        self._replace(action.kind, merged(current, action.patch, strategic))

    def _perform_delete(self, action: Delete) -> None:
        current = self.objects.get((action.kind, Key(action.namespace, action.name)))
        if current is None or uid_of(current) != action.uid:
            return
        if action.resource_version and action.resource_version != meta(current)["resourceVersion"]:
            raise Stopped("it has been modified")
        self.delete(action.kind, current, action.propagation, action.grace_period_s)

    def _perform_purge(self, kind: Kind, namespace: str) -> None:
        found = [obj for (other, key), obj in self.objects.items() if other == kind and key.namespace == namespace]
        for obj in found:
            self.delete(kind, obj)
        if found:
            raise Stopped(f"{len(found)} {kind.plural} were left")

    def _perform_rescale(self, action: Rescale) -> None:
        current = self._seen(action.kind, action.namespace, action.name, action.uid)
        if action.resource_version != meta(current)["resourceVersion"]:
            raise Stopped(f"{action.name} has been modified")
        why = self.refuses(action.kind, current)
        if why:
            self.perform(action.refused(why))
            raise Rejected(why)
        self._replace(action.kind, {**current, "spec": {**spec_of(current), "replicas": action.replicas}})
        self.perform(action.done())

    def _seen(self, kind: Kind, namespace: str, name: str, uid: str) -> Object:
        found = self.objects.get((kind, Key(namespace, name)))
        if found is None or (uid and uid_of(found) != uid):
            raise Stopped(f"{name} is gone")
        return found

    # What the server does

    def delete(self, kind: Kind, obj: Object, propagation: str = "", grace_s: int | None = None) -> None:
        obj = copy_of(self.objects[kind, key_of(obj)])
        finalizers = list(meta(obj).get("finalizers") or ())
        added = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}.get(propagation)
        if added and added not in finalizers:
            finalizers.append(added)
        ended = (obj.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        graceful = kind == POD and bool(spec_of(obj).get("nodeName")) and grace_s != 0 and not ended
        if not (finalizers or graceful or (kind == NAMESPACE and spec_of(obj).get("finalizers"))):
            self._remove(kind, obj)
            return
        metadata = obj["metadata"]
        metadata.setdefault("deletionTimestamp", format_time(self.now))
        if kind == POD:
            metadata[GRACE] = 30 if graceful else 0
        if finalizers:
            metadata["finalizers"] = finalizers
        if kind == NAMESPACE:
            obj.setdefault("status", {})["phase"] = "Terminating"
        self._replace(kind, obj)

    def _create(self, kind: Kind, obj: Object) -> Object:
        obj = copy_of(obj)
        place = (kind, key_of(obj))
        assert place not in self.objects, place
        metadata = obj.setdefault("metadata", {})
        metadata.setdefault("uid", f"uid-{self.revision + 1}")
        metadata.setdefault("creationTimestamp", format_time(self.now))
        metadata.setdefault("generation", 1)
        if kind == NAMESPACE:
            obj.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
        return self._commit(kind, None, self._kept(kind, obj))

    def _replace(self, kind: Kind, obj: Object) -> Object:
        obj = self._kept(kind, obj)
        old = self.objects[kind, key_of(obj)]
        if without_version(obj) == without_version(old):
            return old
        finished = is_deleting(obj) and not meta(obj).get("finalizers") and not meta(obj).get(GRACE)
        if finished and not (kind == NAMESPACE and spec_of(obj).get("finalizers")):
            self._remove(kind, obj)
            return obj
        if obj.get("spec") != old.get("spec") or (is_deleting(obj) and not is_deleting(old)):
            obj["metadata"] = {**meta(obj), "generation": meta(old).get("generation", 0) + 1}
        return self._commit(kind, old, obj)

    def _kept(self, kind: Kind, obj: Object) -> Object:
        return check(obj, schema_of(RESOURCES[kind].definition)).obj if self.drops_empty else obj

    def _commit(self, kind: Kind, old: Object | None, obj: Object) -> Object:
        self.revision += 1
        obj["metadata"] = {**meta(obj), "resourceVersion": str(self.revision)}
        self.objects = {**self.objects, (kind, key_of(obj)): obj}
        self.world.put(kind, obj)
        self._tell(kind, old, obj)
        return obj

    def _remove(self, kind: Kind, obj: Object) -> None:
        self.revision += 1
        place = (kind, key_of(obj))
        old = self.objects[place]
        self.objects = {other: value for other, value in self.objects.items() if other != place}
        self.world.remove(kind, key_of(obj))
        self._tell(kind, old, None)

    def _tell(self, kind: Kind, old: Object | None, new: Object | None) -> None:
        self.past.append(self.objects)
        for listener in self.listeners:
            listener(kind, old, new)


def without_version(obj: Mapping[str, Any]) -> Object:
    return {**obj, "metadata": {name: value for name, value in meta(obj).items() if name != "resourceVersion"}}


def merged(current: Object, patch: Mapping[str, Any], strategic: bool) -> Object:
    """JSON merge patch; strategic: lists of owner references merge by uid, of conditions by type."""
    result = dict(current)
    for field, value in patch.items():
        if field.startswith("$deleteFromPrimitiveList/"):
            field = field.partition("/")[2]
            result[field] = [item for item in result.get(field) or () if item not in value]
        elif value is None:
            result.pop(field, None)
        elif isinstance(value, dict):
            result[field] = merged(result.get(field) or {}, value, strategic)
        elif strategic and field in ("ownerReferences", "conditions"):
            merge_key = "uid" if field == "ownerReferences" else "type"
            result[field] = _merged_list(result.get(field) or [], value, merge_key)
        else:
            result[field] = value
    return result


def _merged_list(current: list[Object], patch: list[Object], merge_key: str) -> list[Object]:
    items = {item[merge_key]: item for item in current}
    for item in patch:
        if item.get("$patch") == "delete":
            items.pop(item[merge_key], None)
        else:
            items[item[merge_key]] = {**items.get(item[merge_key], {}), **item}
    return list(items.values())


def service_account_exists(cluster: Cluster) -> Callable[[Kind, Object], str]:
    """Admission's rule for pods."""

    def refuses(kind: Kind, obj: Object) -> str:
        namespace = meta(obj).get("namespace") or ""
        if kind != POD or (SERVICE_ACCOUNT, Key(namespace, "default")) in cluster.objects:
            return ""
        return f'pods "{name_of(obj)}" is forbidden: error looking up service account {namespace}/default'

    return refuses

"""A namespace's beginning and end.

While it lives, every namespace has a ServiceAccount `default` and a ConfigMap `kube-root-ca.crt` with the cluster's CA,
so that pods and clients find both; whoever deletes or edits them gets them back.

Its deletion has begun when deletionTimestamp is set; the server then refuses new content. Everything that is seen is
deleted, and the status says what is left and what waits for finalizers. Once nothing is seen, each kind is purged: the
server is asked, because a mirror may lag and because Events are not mirrored. Only when a purge of every kind has
found nothing does the finalizer `kubernetes` go, which lets the server forget the namespace. Conditions, reasons and
messages are those of Kubernetes' namespace controller.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from control.api.kinds import CONFIG_MAP, EVENT, KINDS, NAMESPACE, SERVICE_ACCOUNT, VIEWED_AS, Kind
from control.api.objects import (
    Key,
    Object,
    format_time,
    is_deleting,
    key_of,
    meta,
    name_of,
    namespace_of,
    spec_of,
    status_of,
    uid_of,
)
from control.controllers.action import SETTLED, Action, Create, Delete, Outcome, Purge, Update
from control.controllers.conditions import find
from control.controllers.controller import Wakes
from control.mirror.world import World

FINALIZER = "kubernetes"
ROOT_CA = "kube-root-ca.crt"
ROOT_CA_ANNOTATION = "kubernetes.io/description"
ROOT_CA_TEXT = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)
CONTENT = tuple(kind for kind in KINDS if kind.namespaced and kind not in VIEWED_AS)
"""The kinds that live in namespaces, each once."""

MIRRORED = tuple(kind for kind in CONTENT if kind != EVENT)
"""Events come too often to be mirrored for the sake of a rare deletion."""


class NamespaceController:
    name = "namespace-controller"
    kind = NAMESPACE

    def __init__(self, ca_pem: str) -> None:
        self._ca_pem = ca_pem

    @property
    def watches(self) -> Mapping[Kind, Wakes]:
        wakes: dict[Kind, Wakes] = dict.fromkeys(MIRRORED, _if_leaving)
        wakes[NAMESPACE] = lambda world, obj: (key_of(obj),)
        wakes[SERVICE_ACCOUNT] = _if_named("default")
        wakes[CONFIG_MAP] = _if_named(ROOT_CA)
        return wakes

    def reconcile(self, world: World, key: Key, now: datetime) -> Outcome:
        namespace = world.get(NAMESPACE, *key)
        if namespace is None:
            return SETTLED
        if is_deleting(namespace):
            return _ending(world, namespace, now)
        return Outcome((*_default_account(world, key.name), *self._root_ca(world, key.name)))

    def _root_ca(self, world: World, namespace: str) -> Iterable[Action]:
        found = world.get(CONFIG_MAP, namespace, ROOT_CA)
        data = {"ca.crt": self._ca_pem}
        if found is None:
            metadata = {"name": ROOT_CA, "namespace": namespace, "annotations": {ROOT_CA_ANNOTATION: ROOT_CA_TEXT}}
            yield Create(CONFIG_MAP, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
        elif found.get("data") != data and not is_deleting(found):
            yield Update(CONFIG_MAP, {**found, "data": data})


def _default_account(world: World, namespace: str) -> Iterable[Action]:
    if world.get(SERVICE_ACCOUNT, namespace, "default") is None:
        metadata = {"name": "default", "namespace": namespace}
        yield Create(SERVICE_ACCOUNT, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})


def _ending(world: World, namespace: Object, now: datetime) -> Outcome:
    name = name_of(namespace)
    content = [(kind, obj) for kind in MIRRORED for obj in world.list(kind, name)]
    conditions = _conditions(namespace, content, now)
    deeds: list[Action] = []
    if conditions != status_of(namespace).get("conditions"):
        status = {**status_of(namespace), "conditions": conditions}
        deeds.append(Update(NAMESPACE, {**namespace, "status": status}, "status"))
    deeds += [
        Delete(kind, name, name_of(obj), uid_of(obj), propagation="Background")
        for kind, obj in content
        if not is_deleting(obj)
    ]
    finalizers = spec_of(namespace).get("finalizers") or []
    if not content and not deeds and FINALIZER in finalizers:
        rest = [finalizer for finalizer in finalizers if finalizer != FINALIZER]
        spec = {**spec_of(namespace), "finalizers": rest}
        deeds += [Purge(kind, name) for kind in CONTENT]
        deeds.append(Update(NAMESPACE, {**namespace, "spec": spec}, "finalize"))
    return Outcome(tuple(deeds))


def _conditions(namespace: Object, content: Sequence[tuple[Kind, Object]], now: datetime) -> list[Object]:
    kinds = Counter(kind for kind, _ in content)
    finalizers = Counter(text for _, obj in content for text in meta(obj).get("finalizers") or ())
    remaining = ", ".join(f"{kind.resource} has {count} resource instances" for kind, count in _sorted(kinds))
    waiting = ", ".join(f"{text} in {count} resource instances" for text, count in sorted(finalizers.items()))
    wanted = [
        ("NamespaceDeletionDiscoveryFailure", "", "ResourcesDiscovered", "All resources successfully discovered"),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            "",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        (
            "NamespaceDeletionContentFailure",
            "",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        ("NamespaceContentRemaining", remaining, "ContentRemoved", "All content successfully removed"),
        (
            "NamespaceFinalizersRemaining",
            waiting,
            "ContentHasNoFinalizers",
            "All content-preserving finalizers finished",
        ),
    ]
    known = status_of(namespace).get("conditions") or []
    return [_condition(find(known, type_), type_, found, reason, text, now) for type_, found, reason, text in wanted]


_FOUND = {
    "NamespaceContentRemaining": ("SomeResourcesRemain", "Some resources are remaining: {}"),
    "NamespaceFinalizersRemaining": (
        "SomeFinalizersRemain",
        "Some content in the namespace has finalizers remaining: {}",
    ),
}


def _condition(known: Object | None, type_: str, found: str, reason: str, message: str, now: datetime) -> Object:
    """The condition, with its old transition time if the status stays; `found` makes it True."""
    status = "False"
    if found:
        status = "True"
        reason, text = _FOUND[type_]
        message = text.format(found)
    since = known.get("lastTransitionTime") if known and known.get("status") == status else format_time(now)
    return {"type": type_, "status": status, "lastTransitionTime": since, "reason": reason, "message": message}


def _sorted(kinds: Counter[Kind]) -> list[tuple[Kind, int]]:
    return sorted(kinds.items(), key=lambda item: item[0].resource)


def _if_leaving(world: World, obj: Object) -> Iterable[Key]:
    """Content concerns its namespace only while that is being deleted."""
    namespace = world.get(NAMESPACE, "", namespace_of(obj))
    return (key_of(namespace),) if namespace is not None and is_deleting(namespace) else ()


def _if_named(name: str) -> Wakes:
    def wakes(world: World, obj: Object) -> Iterable[Key]:
        return (Key("", namespace_of(obj)),) if name_of(obj) == name else _if_leaving(world, obj)

    return wakes

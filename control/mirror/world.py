"""The world as one client has seen it: every mirrored object, indexed, read-only.

Controllers, kubelet and publisher decide over a `World` and nothing else. It may be stale, never inconsistent per
object: each object in it is one that the API server committed, and versions of one object only go forward. Objects
are shared; copy before changing (`control.api.objects.copy_of`). Iteration order is always that of the keys, so that
a decision depends on the world's content and not on the order in which news arrived.

Every index is kept with each change, never rebuilt by a read: a controller that wakes for one pod among thousands
must not pay for the thousands. Field, label and selector indexes come into being at their first use. `LiveWorld` adds
the writing face, which only a mirror (and a test's fake) uses; the deciding code is given the type `World`.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from control.api.kinds import Kind, kind_of
from control.api.objects import (
    Key,
    Object,
    controller_of,
    key_of,
    labels_of,
    namespace_of,
    owner_references,
    resource_version_of,
    spec_of,
)
from control.api.selectors import selector_of, selector_of_map
from control.mirror.changelog import ChangeLog

Objects = list[Object]  # by a name, since the classes here have a method called list

Selector = Mapping[str, Any] | Callable[[Object], bool]
"""A LabelSelector object, a plain map of labels, or any predicate over the object."""


NamesOf = Callable[[Object], Iterable[str]]
"""The names of other objects that an object mentions."""

SELECTOR = "spec.selector"


class World:
    """What is known of the cluster. Kinds that are not mirrored look empty: ask `knows`."""

    def __init__(self) -> None:
        self._shelves: dict[Kind, _Shelf] = {}
        self._owned: dict[str, dict[tuple[str, Key], tuple[Kind, Object]]] = {}
        self._known: set[Kind] | None = set()

    @classmethod
    def of(cls, objects: Iterable[Object] = (), *, kinds: Iterable[Kind] | None = None) -> LiveWorld:
        """A world of these values, for tests and simulations; it knows all kinds unless `kinds` says which."""
        world = LiveWorld()
        world._known = None if kinds is None else set(kinds)
        for obj in objects:
            kind = kind_of(obj)
            if kind is None:
                raise ValueError(f"not a served kind: {obj.get('apiVersion')} {obj.get('kind')}")
            world.put(kind, obj)
        return world

    def knows(self, kind: Kind) -> bool:
        """Whether all objects of the kind are here: it is mirrored and its first list has arrived.

        Only then does absence mean that something does not exist.
        """
        return self._known is None or kind in self._known

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        shelf = self._shelves.get(kind)
        return shelf.objects.get(Key(namespace, name)) if shelf else None

    def list(self, kind: Kind, namespace: str = "") -> Objects:
        """The objects of a kind, in one namespace or ("") everywhere, sorted by key."""
        shelf = self._shelves.get(kind)
        return shelf.in_order(namespace) if shelf else []

    def select(self, kind: Kind, namespace: str, selector: Selector | None) -> Objects:
        """The objects that `selector` matches, sorted by key; namespace "" is everywhere.

        A mapping with `matchLabels` or `matchExpressions`, or an empty one, is a metav1.LabelSelector (empty: all);
        any other mapping is a map of labels, as in a Service's spec.selector. None selects nothing.
        """
        if selector is None:
            return []
        if callable(selector):
            return [obj for obj in self.list(kind, namespace) if selector(obj)]
        matches = matcher_of(selector)
        return [obj for obj in self._labelled(kind, namespace, equalities(selector)) if matches(obj)]

    def _labelled(self, kind: Kind, namespace: str, wanted: Mapping[str, str]) -> Objects:
        """The objects with the rarest of the labels; all of them where none is asked for."""
        shelf = self._shelves.get(kind)
        if shelf is None or not wanted:
            return self.list(kind, namespace)
        bins = [shelf.index(f"metadata.labels['{label}']").bins.get(value, {}) for label, value in wanted.items()]
        return _within(_sorted(min(bins, key=len)), namespace)

    def selecting(self, kind: Kind, obj: Object) -> Objects:
        """The objects of `kind` in the namespace of `obj` whose spec.selector may match it; no other one does.

        A Service, a ReplicaSet or a budget is found by one of the labels that it asks for, so that a change of a pod
        does not ask a thousand of them. Whether it does match is the caller's to ask: kinds differ in what an empty
        selector means.
        """
        shelf = self._shelves.get(kind)
        if shelf is None:
            return []
        index = shelf.index(SELECTOR)
        bins = [index.bins.get(_pair(label, value), {}) for label, value in labels_of(obj).items()]
        found = {key: one for each in (*bins, index.bins.get("", {})) for key, one in each.items()}
        return _within(_sorted(found), namespace_of(obj))

    def controlled_by(self, kind: Kind, owner_uid: str) -> Objects:
        """The objects of `kind` whose controller reference has this UID; "" finds those without a controller."""
        shelf = self._shelves.get(kind)
        return _sorted(shelf.controlled.bins.get(owner_uid)) if shelf else []

    def owned_by(self, owner_uid: str) -> Objects:
        """The objects of all mirrored kinds with an owner reference (controlling or not) to this UID."""
        found = self._owned.get(owner_uid)
        return [found[place][1] for place in sorted(found)] if found else []

    def owned_kinds(self, owner_uid: str) -> Sequence[tuple[Kind, Object]]:
        """`owned_by` with each object's kind, for objects whose apiVersion or kind may be missing."""
        found = self._owned.get(owner_uid)
        return [found[place] for place in sorted(found)] if found else []

    def by_field(self, kind: Kind, path: str, value: str, namespace: str = "") -> Objects:
        """The objects whose field at `path` is `value` ("" where it is absent), sorted by key.

        A path is `spec.nodeName`, or `metadata.labels['kubernetes.io/service-name']` as the downward API spells it.
        """
        shelf = self._shelves.get(kind)
        if shelf is None:
            return []
        return _within(_sorted(shelf.index(path).bins.get(value)), namespace)

    def naming(self, kind: Kind, names_of: NamesOf, name: str, namespace: str = "") -> Objects:
        """The objects that name `name`, as `names_of` (a module's function, under which the index is kept) says."""
        shelf = self._shelves.get(kind)
        if shelf is None:
            return []
        return _within(_sorted(shelf.named(names_of).get(name)), namespace)

    def version(self, kind: Kind, path: str, value: str) -> int:
        """A number that changes whenever the answer of `by_field` for everywhere does: what to remember it by."""
        shelf = self._shelves.get(kind)
        return shelf.index(path).versions[value] if shelf else 0

    def changes(self, kind: Kind, since: int) -> tuple[int, Sequence[Key] | None]:
        """A number for now, and the keys that changed after `since` (a number from here); None: any may have.

        Ask first with -1, and take in all objects; only then are changes of the kind written down.
        """
        shelf = self._shelves.get(kind)
        return shelf.changes(since) if shelf else (0, None if since < 0 else ())

    def kinds(self) -> Sequence[Kind]:
        """The kinds of which at least one object has been seen."""
        return list(self._shelves)

    def __iter__(self) -> Iterator[tuple[Kind, Object]]:
        for kind, shelf in self._shelves.items():
            for obj in shelf.in_order(""):
                yield kind, obj

    def __len__(self) -> int:
        return sum(len(shelf.objects) for shelf in self._shelves.values())

    def __repr__(self) -> str:
        parts = [f"{len(shelf.objects)} {kind.plural}" for kind, shelf in self._shelves.items() if shelf.objects]
        return f"<World {', '.join(parts) or 'empty'}>"


class LiveWorld(World):
    """A world with its writing face."""

    def put(self, kind: Kind, obj: Object) -> Object | None:
        """Adds or replaces an object; returns the one that it replaces."""
        shelf = self._shelves.get(kind)
        if shelf is None:
            shelf = self._shelves[kind] = _Shelf()
        key = key_of(obj)
        old = shelf.put(key, obj)
        self._reown(kind, key, old, obj)
        return old

    def remove(self, kind: Kind, key: Key) -> Object | None:
        """Drops an object; returns it, or None when it was not there."""
        shelf = self._shelves.get(kind)
        old = shelf.remove(key) if shelf else None
        if old is not None:
            self._reown(kind, key, old, None)
        return old

    def learn(self, kind: Kind) -> None:
        """From now on the kind is known completely."""
        if self._known is not None:
            self._known.add(kind)

    def _reown(self, kind: Kind, key: Key, old: Object | None, new: Object | None) -> None:
        place = (kind.resource, key)
        for ref in owner_references(old) if old else ():
            uid = ref.get("uid", "")
            found = self._owned.get(uid)
            if found and found.pop(place, None) is not None and not found:
                del self._owned[uid]
        for ref in owner_references(new) if new else ():
            self._owned.setdefault(ref.get("uid", ""), {})[place] = (kind, new)  # type: ignore[assignment]


class _Index:
    """The objects of one kind in bins, and how often each bin has changed."""

    __slots__ = ("bin_of", "bins", "versions")

    def __init__(self, bin_of: Callable[[Object], str | None]) -> None:
        self.bin_of = bin_of
        self.bins: dict[str, dict[Key, Object]] = {}
        self.versions: Counter[str] = Counter()

    def move(self, key: Key, old: Object | None, new: Object | None) -> None:
        """Takes a key out of its old bin and puts its object into the new one."""
        before = self.bin_of(old) if old is not None else None
        after = self.bin_of(new) if new is not None else None
        if before is not None and before != after:
            held = self.bins.get(before)
            if held is not None:
                held.pop(key, None)
                self.versions[before] += 1
                if not held:
                    del self.bins[before]
        if after is not None and new is not None:
            self.bins.setdefault(after, {})[key] = new
            self.versions[after] += 1


class _Shelf:
    """The objects of one kind: by key, in order, by controller and by the fields that were asked for."""

    __slots__ = ("_indexes", "_keys", "_log", "_named", "controlled", "objects")

    def __init__(self) -> None:
        self.objects: dict[Key, Object] = {}
        self.controlled = _Index(_controller_uid)
        self._keys: list[Key] = []
        self._indexes: dict[str, _Index] = {}
        self._named: dict[NamesOf, dict[str, dict[Key, Object]]] = {}
        self._log: ChangeLog | None = None

    def in_order(self, namespace: str) -> Objects:
        objects = self.objects
        if not namespace:
            return [objects[key] for key in self._keys]
        start = bisect_left(self._keys, (namespace,))
        stop = bisect_left(self._keys, (namespace + "\0",), start)
        return [objects[key] for key in self._keys[start:stop]]

    def put(self, key: Key, obj: Object) -> Object | None:
        old = self.objects.get(key)
        if old is None:
            insort(self._keys, key)
        self.objects[key] = obj
        self._move(key, old, obj)
        return old

    def remove(self, key: Key) -> Object | None:
        old = self.objects.pop(key, None)
        if old is not None:
            del self._keys[bisect_left(self._keys, key)]
            self._move(key, old, None)
        return old

    def _move(self, key: Key, old: Object | None, new: Object | None) -> None:
        self.controlled.move(key, old, new)
        if self._log is not None:
            self._log.note(key, self.objects, len(self.objects))
        for index in self._indexes.values():
            index.move(key, old, new)
        for names_of, bins in self._named.items():
            _rename(bins, key, names_of(old) if old is not None else (), names_of(new) if new is not None else (), new)

    def changes(self, since: int) -> tuple[int, list[Key] | None]:
        if self._log is None:
            self._log = ChangeLog()
            return 0, None
        return self._log.since(since)

    def named(self, names_of: NamesOf) -> dict[str, dict[Key, Object]]:
        found = self._named.get(names_of)
        if found is None:
            found = self._named[names_of] = {}
            for key, obj in self.objects.items():
                _rename(found, key, (), names_of(obj), obj)
        return found

    def index(self, path: str) -> _Index:
        found = self._indexes.get(path)
        if found is None:
            found = self._indexes[path] = _Index(_bin_of(path))
            for key, obj in self.objects.items():
                found.move(key, None, obj)
        return found


def _rename(
    bins: dict[str, dict[Key, Object]], key: Key, before: Iterable[str], after: Iterable[str], new: Object | None
) -> None:
    """Takes a key out of the bins `before` and puts its object into those of `after`."""
    for name in before:
        held = bins.get(name)
        if held is not None:
            held.pop(key, None)
            if not held:
                del bins[name]
    if new is not None:
        for name in after:
            bins.setdefault(name, {})[key] = new


def _bin_of(path: str) -> Callable[[Object], str]:
    return _selector_bin if path == SELECTOR else partial(field_of, path=path)


def _selector_bin(obj: Object) -> str:
    """One of the labels that the object's selector asks for; "" where it asks for none."""
    wanted = equalities(spec_of(obj).get("selector") or {})
    return _pair(*min(wanted.items())) if wanted else ""


def _pair(label: str, value: str) -> str:
    return f"{label}={value}"


def equalities(selector: Mapping[str, Any]) -> Mapping[str, str]:
    """The labels with one value each that a selector (see `World.select`) asks for, beside whatever else it asks."""
    if "matchLabels" in selector or "matchExpressions" in selector:
        return selector.get("matchLabels") or {}
    return selector


def _controller_uid(obj: Object) -> str:
    ref = controller_of(obj)
    return ref.get("uid", "") if ref else ""


def _sorted(found: dict[Key, Object] | None) -> Objects:
    return [found[key] for key in sorted(found)] if found else []


def _within(found: Objects, namespace: str) -> Objects:
    return [obj for obj in found if namespace_of(obj) == namespace] if namespace else found


def field_of(obj: Object, path: str) -> str:
    """The text of a field, "" where any part of the path is absent."""
    node: Any = obj
    head, bracket, rest = path.partition("['")
    for part in head.split("."):
        node = node.get(part) if isinstance(node, dict) else None
    if bracket:
        node = node.get(rest.removesuffix("']")) if isinstance(node, dict) else None
    return "" if node is None else str(node)


def matcher_of(selector: Mapping[str, Any]) -> Callable[[Object], bool]:
    """A predicate over objects from a LabelSelector object or a plain map of labels (see `World.select`)."""
    if selector and not ("matchLabels" in selector or "matchExpressions" in selector):
        return selector_of_map(selector).matches
    return selector_of(selector).matches


def version_of(obj: Object) -> int:
    """The resourceVersion as a number: comparable since Kubernetes 1.35 (KEP-5504), 0 where there is none."""
    text = resource_version_of(obj)
    return int(text) if text.isdecimal() else 0

"""The worker's state: what the contract's updates add up to, in the form in which requests use it.

An update is taken whole or not at all. Everything that can be wrong with it is found before anything is changed, so a
TableError leaves the table exactly as it was (the worker answers Nack and goes on with its last good state); applying
what passed cannot fail. Nothing awaits in here: between two requests a worker has either the state before an update
or the state after it.

Objects that carry live things (`Backend`, `Endpoint`, the route finders) keep their identity over updates; what an
update costs is in proportion to what it changes, except for the one tuple of a touched backend's usable endpoints
(`balance/backend.py`).

A tcp or http listener is open while its backend has a usable endpoint and closed while it has none, so that clients
are refused by the kernel, as under kube-proxy. An ingress listener is always open: it answers 404 and 503; so is a
dns listener. Zones and records are checked and kept here, and handed on: what they mean is `dns`' concern. Which
listeners must be open follows from the table alone; whether their sockets could be opened is `listen`'s concern.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dataplane.balance.backend import Backend, Endpoint
from dataplane.balance.locality import Localities
from dataplane.balance.picker import Random
from dataplane.balance.usable import ANYWHERE, Place
from dataplane.routing import Match, Resolve, Routing
from dataplane.snapshot import model
from dataplane.snapshot.check import problem

__all__ = ["Backend", "Changes", "Endpoint", "Match", "Resolve", "Table", "TableError"]


class TableError(Exception):
    """An update that cannot be applied: names every resource that is wrong, and what is wrong with it."""


ALWAYS_OPEN: tuple[model.ListenerMode, ...] = ("ingress", "dns", "health")


@dataclass(frozen=True, slots=True)
class Changes:
    """What an update means to those who hold sockets and connections.

    A listener that changed is in both `closed` (as it was) and `opened` (as it is). `changed` are endpoints that may be
    used otherwise than before; `removed` ones will not come back, nor be picked, but may still be leased.
    """

    opened: tuple[model.Listener, ...] = ()
    closed: tuple[model.Listener, ...] = ()
    removed: tuple[Endpoint, ...] = ()
    changed: tuple[Endpoint, ...] = ()
    certificates: bool = False
    names_gone: tuple[model.Zone | model.Record, ...] = ()
    names_new: tuple[model.Zone | model.Record, ...] = ()


class Table:
    """All resources in force, and the ways through them."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.version = -1
        self.triggered_at = 0.0
        self._resources: dict[model.ResourceType, dict[str, model.Resource]] = {kind: {} for kind in model.TYPES}
        self._backends: dict[str, Backend] = {}
        self._views: dict[str, dict[tuple[bool, Place], Backend]] = {}  # the same ones as they look to some listeners
        self._localities = Localities()
        self._routing = Routing(
            lambda name, reads_terminating: self._backend(name, reads_terminating=reads_terminating)
        )
        self._fronts: dict[str, dict[str, model.Listener]] = {}  # backend -> its tcp and http listeners by name
        self._open: dict[str, model.Listener] = {}

    def __repr__(self) -> str:
        plurals = {"routepolicy": "policies"}
        counts = ", ".join(f"{len(items)} {plurals.get(kind, f'{kind}s')}" for kind, items in self._resources.items())
        return f"Table(version {self.version}: {counts})"

    @property
    def is_ready(self) -> bool:
        """Whether a full update has been applied."""
        return self.version >= 0

    @property
    def open_listeners(self) -> tuple[model.Listener, ...]:
        """The listeners that must accept connections now."""
        return tuple(self._open.values())

    @property
    def listeners(self) -> tuple[model.Listener, ...]:
        return tuple(item for item in self._resources["listener"].values() if isinstance(item, model.Listener))

    @property
    def routes(self) -> tuple[model.Route, ...]:
        return tuple(item for item in self._resources["route"].values() if isinstance(item, model.Route))

    @property
    def certificates(self) -> tuple[model.Certificate, ...]:
        return tuple(item for item in self._resources["certificate"].values() if isinstance(item, model.Certificate))

    @property
    def backends(self) -> tuple[Backend, ...]:
        """The backends that have a resource."""
        return tuple(backend for backend in self._backends.values() if backend.known)

    def backend(self, name: str) -> Backend | None:
        """The backend of this name if it has a resource."""
        backend = self._backends.get(name)
        return backend if backend is not None and backend.known else None

    def resolve(self, table: str, host: bytes, path: bytes) -> Match | None:
        """Where a request for this host and path goes among the routes of `table`."""
        return self._routing.finder(table, reads_terminating=True).find(host, path)

    def resolver(self, listener: model.Listener) -> Resolve:
        """The way from (host, path) to a match for requests of this listener; stays valid over updates."""
        if listener.mode == "ingress":
            return self._routing.resolver(listener)
        match = Match(self.backend_of(listener), "")
        return lambda host, path: match

    def backend_of(self, listener: model.Listener) -> Backend:
        """The backend of a listener, known or not, as it looks from the listener's node, or from nowhere."""
        place = self._localities.place(listener.node, local=True) if listener.local and listener.node else ANYWHERE
        return self._backend(listener.backend, listener.reads_terminating, place)

    def backend_for(self, listener: model.Listener, client: str) -> Backend:
        """The listener's backend as this client may use it: from where the client is."""
        backend = self.backend_of(listener)
        if not listener.local and not backend.has_hints:
            return backend
        node = listener.node or self._localities.node_of(client)
        place = self._localities.place(node, local=listener.local)
        return self._backend(listener.backend, listener.reads_terminating, place)

    def apply(self, update: model.Update) -> Changes:
        """Bring the update into force, or raise TableError and change nothing."""
        removes = self._validate(update)
        changes = _Collector()
        for kind, name in removes:
            self._remove(kind, name, changes)
        for resource in update.upserts:
            self._upsert(resource, changes)
        self.version = update.version
        self.triggered_at = update.triggered_at
        self._routing.compile()
        if changes.nodes:
            self._localities = Localities(
                item for item in self._resources["node"].values() if isinstance(item, model.Node)
            )
        opened, closed = self._reopen(changes)
        self._forget(changes.backends)
        names = tuple(changes.names_gone), tuple(changes.names_new)
        return Changes(opened, closed, tuple(changes.removed), tuple(changes.changed), changes.certificates, *names)

    # what can be wrong

    def _validate(self, update: model.Update) -> tuple[model.ResourceKey, ...]:
        """The keys to remove; TableError if the update may not be applied."""
        if not update.full:
            if not self.is_ready:
                raise TableError("the first update must be full")
            if update.version <= self.version:
                raise TableError(f"version {update.version} does not come after {self.version}")
        seen: set[model.ResourceKey] = set()
        wrong: list[str] = []
        for resource in update.upserts:
            key = model.key_of(resource)
            found = problem(resource)
            if found:
                wrong.append(found)
            if key in seen:
                wrong.append(f"{key[0]} {key[1]}: twice in one update")
            seen.add(key)
        wrong += [f"{key[0]} {key[1]}: both given and removed" for key in update.removes if key in seen]
        removes = update.removes
        if update.full:
            removes = tuple(
                (kind, name) for kind, items in self._resources.items() for name in items if (kind, name) not in seen
            )
        wrong += self._contested(update.upserts, removes)
        if wrong:
            raise TableError("; ".join(wrong))
        return removes

    def _contested(self, upserts: Iterable[model.Resource], removes: Iterable[model.ResourceKey]) -> Iterator[str]:
        """Listeners that would share a place."""
        changed = [item for item in upserts if isinstance(item, model.Listener)]
        if not changed:
            return
        after: dict[str, model.Listener] = {listener.name: listener for listener in self.listeners}
        for kind, name in removes:
            if kind == "listener":
                after.pop(name, None)
        after.update((listener.name, listener) for listener in changed)
        taken: dict[model.Place, str] = {}
        for listener in after.values():
            for place in listener.places:
                # SO_REUSEPORT would let both open and hand each of them some of the connections
                other = taken.setdefault(place, listener.name)
                if other == listener.name:
                    continue
                yield f"listener {listener.name}: {listener.address}:{listener.port} is also that of listener {other}"

    # what an update does; none of it can fail

    def _remove(self, kind: model.ResourceType, name: str, changes: _Collector) -> None:
        resource = self._resources[kind].pop(name, None)
        if isinstance(resource, model.Listener):
            changes.listeners.add(name)
            self._fronts.get(resource.backend, {}).pop(name, None)
        elif isinstance(resource, model.Route):
            self._routing.drop(resource)
            changes.backends.add(resource.backend)
        elif isinstance(resource, model.RoutePolicy):
            self._routing.set_policy(name, None)
            changes.backends.add(resource.fallback)
        elif isinstance(resource, model.Backend):
            self._set_backend(name, None, changes)
        elif isinstance(resource, model.Endpoint):
            self._remove_endpoint(resource, changes)
        elif isinstance(resource, model.Certificate):
            changes.certificates = True
        elif isinstance(resource, model.Zone | model.Record):
            changes.names_gone.append(resource)
        elif isinstance(resource, model.Node):
            changes.nodes = True

    def _upsert(self, resource: model.Resource, changes: _Collector) -> None:
        kind, name = model.key_of(resource)
        before = self._resources[kind].get(name)
        if before == resource:
            return
        self._resources[kind][name] = resource
        if isinstance(resource, model.Listener):
            changes.listeners.add(name)
            if isinstance(before, model.Listener):
                self._fronts.get(before.backend, {}).pop(name, None)
            if resource.backend:
                self._fronts.setdefault(resource.backend, {})[name] = resource
        elif isinstance(resource, model.Route):
            if isinstance(before, model.Route):
                self._routing.drop(before)
                changes.backends.add(before.backend)
            self._routing.add(resource)
        elif isinstance(resource, model.RoutePolicy):
            if isinstance(before, model.RoutePolicy):
                changes.backends.add(before.fallback)
            self._routing.set_policy(name, resource)
        elif isinstance(resource, model.Backend):
            self._set_backend(name, resource, changes)
        elif isinstance(resource, model.Endpoint):
            self._set_endpoint(resource, changes)
        elif isinstance(resource, model.Certificate):
            changes.certificates = True
        elif isinstance(resource, model.Node):
            changes.nodes = True
        else:
            if isinstance(before, model.Zone):
                changes.names_gone.append(before)
            changes.names_new.append(resource)

    def _set_backend(self, name: str, spec: model.Backend | None, changes: _Collector) -> None:
        backend = self._backend(name)
        backend.set_spec(spec)
        for view in self._views.get(name, {}).values():
            view.set_spec(spec)
            view.share_feedback(backend)
        changes.backends.add(name)

    def _set_endpoint(self, spec: model.Endpoint, changes: _Collector) -> None:
        backend = self._backend(spec.backend)
        endpoint = backend.endpoints.get(spec.id)
        if endpoint is not None and (endpoint.spec.address, endpoint.spec.port) != (spec.address, spec.port):
            endpoint.remove()
            changes.removed.append(endpoint)
            endpoint = None
        if endpoint is None:
            backend.endpoints[spec.id] = Endpoint(spec)
        elif endpoint.update(spec):
            changes.changed.append(endpoint)
        else:
            return
        self._touch(spec.backend, changes)

    def _remove_endpoint(self, spec: model.Endpoint, changes: _Collector) -> None:
        endpoint = self._backends[spec.backend].endpoints.pop(spec.id)
        endpoint.remove()
        changes.removed.append(endpoint)
        self._touch(spec.backend, changes)

    def _touch(self, name: str, changes: _Collector) -> None:
        self._backends[name].touch()
        for view in self._views.get(name, {}).values():
            view.touch()
        changes.backends.add(name)

    def _backend(self, name: str, reads_terminating: bool = True, place: Place = ANYWHERE) -> Backend:
        backend = self._backends.get(name)
        if backend is None:
            backend = self._backends[name] = Backend(name, self._random)
        if reads_terminating and place is ANYWHERE:
            return backend
        views = self._views.setdefault(name, {})
        view = views.get((reads_terminating, place))
        if view is None:
            view = Backend(
                name, self._random, endpoints=backend.endpoints, reads_terminating=reads_terminating, place=place
            )
            view.set_spec(backend.spec if backend.known else None)
            view.share_feedback(backend)
            views[reads_terminating, place] = view
        return view

    def _reopen(self, changes: _Collector) -> tuple[tuple[model.Listener, ...], tuple[model.Listener, ...]]:
        names = set(changes.listeners)
        for name in changes.backends:
            names.update(self._fronts.get(name, ()))
        opened, closed = [], []
        for name in sorted(names):
            listener = self._resources["listener"].get(name)
            wanted = listener if isinstance(listener, model.Listener) and self._is_wanted(listener) else None
            before = self._open.pop(name, None)
            if wanted is not None:
                self._open[name] = wanted
            if wanted != before:
                opened += [wanted] if wanted is not None else []
                closed += [before] if before is not None else []
        return tuple(opened), tuple(closed)

    def _is_wanted(self, listener: model.Listener) -> bool:
        return listener.mode in ALWAYS_OPEN or self.backend_of(listener).has_usable

    def _forget(self, names: Iterable[str]) -> None:
        """Let go of backends that nothing describes, fills or points at."""
        gone = [
            name
            for name in names
            if name in self._backends and not self._backends[name].known and not self._backends[name].endpoints
        ]
        if not gone:
            return
        pointed_at = {*self._routing.backends()} | {name for name, on in self._fronts.items() if on}
        for name in gone:
            if name not in pointed_at:
                del self._backends[name]
                self._views.pop(name, None)
                self._fronts.pop(name, None)


class _Collector:
    """What an update touched, while it is being applied."""

    __slots__ = ("backends", "certificates", "changed", "listeners", "names_gone", "names_new", "nodes",
                 "removed")  # fmt: skip

    def __init__(self) -> None:
        self.listeners: set[str] = set()
        self.backends: set[str] = set()
        self.removed: list[Endpoint] = []
        self.changed: list[Endpoint] = []
        self.certificates = False
        self.nodes = False
        self.names_gone: list[model.Zone | model.Record] = []
        self.names_new: list[model.Zone | model.Record] = []

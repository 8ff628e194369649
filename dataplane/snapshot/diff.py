"""What changed between two states: the smallest update that turns the one into the other.

Resources are compared by value, so a publisher may rebuild everything from its objects and only what really differs
goes over the wire. `triggered_at` of an endpoint is part of its value: a changed cause is a change, or its time from
cause to effect could not be measured. The order of upserts is that of the new state, removals come in the order of
the old one: the same two states always give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dataplane.snapshot.model import Endpoint, Resource, ResourceKey, Update, key_of

State = Mapping[ResourceKey, Resource]


def state_of(resources: Iterable[Resource]) -> dict[ResourceKey, Resource]:
    """Resources by key; of two with one key the later wins."""
    return {key_of(resource): resource for resource in resources}


def difference(old: State, new: State) -> tuple[tuple[Resource, ...], tuple[ResourceKey, ...]]:
    """(upserts, removes) that turn `old` into `new`."""
    upserts = tuple(resource for key, resource in new.items() if old.get(key) != resource)
    removes = tuple(key for key in old if key not in new)
    return upserts, removes


def diff(old: State, new: State, version: int, *, published_at: float = 0.0, triggered_at: float = 0.0) -> Update:
    """A partial update from `old` to `new`; `triggered_at` defaults to the oldest cause among changed endpoints."""
    upserts, removes = difference(old, new)
    if not triggered_at:
        causes = [item.triggered_at for item in upserts if isinstance(item, Endpoint) and item.triggered_at]
        triggered_at = min(causes, default=0.0)
    return Update(version, False, upserts, removes, triggered_at, published_at)


def patched(state: State, update: Update) -> dict[ResourceKey, Resource]:
    """The state after `update`: what a worker holds once it has acknowledged it."""
    result = {} if update.full else dict(state)
    for key in update.removes:
        result.pop(key, None)
    for resource in update.upserts:
        result[key_of(resource)] = resource
    return result

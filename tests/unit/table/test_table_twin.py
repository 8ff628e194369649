"""After any updates the table is what a table made of the resulting state would be."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from dataplane.snapshot.diff import patched
from dataplane.snapshot.model import Backend, Listener, Node, Resource, ResourceKey, Route, Update, key_of
from dataplane.table import Table
from tests.fakes.contract import endpoint, rule

BACKENDS = ("app", "other")
LISTENERS = st.builds(
    lambda number, backend, mode, reads, local, node: Listener(
        f"l{number}", "127.0.0.1", 8000 + number, mode, backend, "web", reads_terminating=reads,
        local=local and mode != "ingress", node=node,
    ),
    st.integers(0, 2),
    st.sampled_from(BACKENDS),
    st.sampled_from(["tcp", "udp", "http", "ingress"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["", "n0", "n1"]),
)  # fmt: skip
NODES = st.builds(
    lambda number, zone: Node(f"n{number}", (f"127.244.{number}.0/24",), zone),
    st.integers(0, 1),
    st.sampled_from(["z0", "z1"]),
)
ROUTES = st.builds(
    lambda number, host, path, backend: rule(f"r{number}", host, path, backend),
    st.integers(0, 3),
    st.sampled_from(["", "a.com", "*.com"]),
    st.sampled_from(["/", "/a", "/a/b"]),
    st.sampled_from(BACKENDS),
)
ENDPOINTS = st.builds(
    lambda id, backend, port, ready, serving, terminating, node, zones: endpoint(
        id, backend, port=port, ready=ready, serving=serving, terminating=terminating, node=node, hint_zones=zones
    ),
    st.sampled_from("abc"),
    st.sampled_from(BACKENDS),
    st.integers(1, 2),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["n0", "n1"]),
    st.sampled_from([(), ("z0",), ("z1",)]),
)
RESOURCES = st.one_of(LISTENERS, ROUTES, ENDPOINTS, NODES, st.builds(Backend, st.sampled_from(BACKENDS)))
STEPS = st.lists(
    st.tuples(
        st.booleans(), st.lists(RESOURCES, max_size=5, unique_by=key_of), st.lists(RESOURCES.map(key_of), max_size=3)
    ),
    min_size=1,
    max_size=5,
)
CLIENTS = ("127.244.0.1", "127.244.1.1", "127.0.0.1")
ASKED = [(host, path) for host in (b"", b"a.com", b"b.com", b"x.y.com") for path in (b"/", b"/a", b"/a/b", b"/ab")]


def face(table: Table) -> object:
    """Everything that can be seen of a table."""
    loose, strict = Listener("x", "::", 1, "ingress", table="web"), Listener("y", "::", 2, "ingress", table="web")
    strict = replace(strict, reads_terminating=False)
    found = [resolve(host, path) for resolve in map(table.resolver, (loose, strict)) for host, path in ASKED]
    return (
        {item.name: item for item in table.open_listeners},
        {item.name: item for item in table.listeners},
        {item.name: (item.spec, sorted(one.id for one in item.usable)) for item in table.backends},
        {
            (item.name, client): sorted(one.id for one in table.backend_for(item, client).usable)
            for item in table.listeners
            for client in CLIENTS
        },
        [
            match and (match.route, match.backend.name, sorted(one.id for one in match.backend.usable))
            for match in found
        ],
    )


@settings(max_examples=80)
@given(STEPS)
def test_updates_add_up_to_the_state(steps: list[tuple[bool, list[Resource], list[ResourceKey]]]) -> None:
    table = Table(random.Random(1).random)
    state: dict[ResourceKey, Resource] = {}
    for version, (full, upserts, removes) in enumerate(steps):
        keys = {key_of(resource) for resource in upserts}
        update = Update(version, full or version == 0, tuple(upserts), tuple(key for key in removes if key not in keys))
        before = {item.name: item for item in table.open_listeners}
        changes = table.apply(update)
        state = patched(state, update)
        fresh = Table(random.Random(1).random)
        fresh.apply(Update(0, True, tuple(state.values())))
        assert face(table) == face(fresh)
        for closed in changes.closed:
            assert before.pop(closed.name) == closed
        before.update((opened.name, opened) for opened in changes.opened)
        assert before == {item.name: item for item in table.open_listeners}


def test_routes_are_those_of_the_state() -> None:
    table = Table(random.Random(1).random)
    routes = [rule("a"), rule("b", path="/b")]
    table.apply(Update(1, True, tuple(routes)))
    assert all(isinstance(item, Route) for item in table.routes)
    assert list(table.routes) == routes


def test_of_two_equal_rules_the_name_decides_and_not_the_arrival() -> None:
    one, other = rule("r0", "a.com", "/a", "app"), rule("r1", "a.com", "/a", "app")
    for first, second in ((one, other), (other, one)):
        table = Table(random.Random(1).random)
        table.apply(Update(0, True, (first,)))
        table.apply(Update(1, False, (second,)))
        found = table.resolve("web", b"a.com", b"/a")
        assert found is not None
        assert found.route == "r0"

"""Updates: applied whole or not at all, objects that survive them, and what has to follow."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from dataplane.snapshot.model import TYPES, Backend, Certificate, Listener, Record, Resource, Update, Zone
from dataplane.table import Changes, Table, TableError
from tests.fakes.contract import endpoint, full, partial, rule

APP = Backend("app", policy="round-robin")
WEB = Listener("web", "127.0.0.1", 8080, "ingress", table="web")
TCP = Listener("tcp", "127.96.0.1", 80, "tcp", backend="app")


def table(*resources: Resource) -> Table:
    made = Table(random.Random(1).random)
    if resources:
        made.apply(full(*resources))
    return made


def names(changes: Changes) -> tuple[list[str], list[str]]:
    return [item.name for item in changes.opened], [item.name for item in changes.closed]


def test_a_full_update_is_the_state() -> None:
    made = table(APP, WEB, rule("r"), endpoint("a"))
    assert made.is_ready
    match = made.resolve("web", b"foo.com", b"/")
    assert match is not None
    assert (match.backend, match.route) == (made.backend("app"), "r")
    made.apply(full(Backend("other"), version=1))
    assert made.backend("app") is None
    assert made.resolve("web", b"foo.com", b"/") is None
    assert not made.listeners
    assert not made.open_listeners
    assert not made.routes


def test_objects_survive_updates_full_ones_too() -> None:
    made = table(APP, WEB, rule("r"), endpoint("a"), endpoint("b"))
    app = made.backend("app")
    assert app is not None
    leased = app.pick()
    assert leased is not None
    resolve = made.resolver(WEB)
    again = (replace(APP, policy="random"), WEB, rule("r", path="/x"), endpoint("a", target="x"), endpoint("b"))
    made.apply(full(*again, version=2))
    assert made.backend("app") is app
    assert app.endpoints[leased.id] is leased
    assert leased.active == 1
    match = resolve(b"", b"/x")
    assert match is not None
    assert match.backend is app
    assert resolve(b"", b"/") is None


def test_an_endpoint_with_another_address_is_another_endpoint() -> None:
    made = table(APP, endpoint("a", port=8000))
    app = made.backend("app")
    assert app is not None
    leased = app.pick()
    assert leased is not None
    changes = made.apply(partial(endpoint("a", port=8001), version=2))
    assert changes.removed == (leased,)
    assert leased.removed
    assert app.endpoints["a"] is not leased
    assert app.pick() is app.endpoints["a"]
    app.release(leased)


def test_changes_name_the_endpoints_that_left_and_those_of_another_phase() -> None:
    made = table(APP, endpoint("a"), endpoint("b"), endpoint("c"))
    app = made.backend("app")
    assert app is not None
    a, b = app.endpoints["a"], app.endpoints["b"]
    changes = made.apply(
        partial(endpoint("b", ready=False), endpoint("c", target="x"), version=2, removes=(("endpoint", "app|a"),))
    )
    assert (changes.removed, changes.changed) == ((a,), (b,))
    assert [item.id for item in app.usable] == ["c"]


def test_a_tcp_listener_is_open_while_its_backend_has_a_usable_endpoint() -> None:
    made = table(TCP)
    assert made.open_listeners == ()
    assert names(made.apply(partial(endpoint("a"), version=2))) == ([], [])  # no backend yet
    assert names(made.apply(partial(APP, version=3))) == (["tcp"], [])
    assert names(made.apply(partial(endpoint("a", ready=False), version=4))) == ([], ["tcp"])
    terminating = endpoint("a", ready=False, serving=True, terminating=True)
    assert names(made.apply(partial(terminating, version=5))) == (["tcp"], [])
    assert names(made.apply(partial(version=6, removes=(("backend", "app"),)))) == ([], ["tcp"])
    assert names(made.apply(partial(APP, version=7))) == (["tcp"], [])
    assert names(made.apply(partial(version=8, removes=(("endpoint", "app|a"),)))) == ([], ["tcp"])
    assert made.open_listeners == ()


def test_a_listener_that_does_not_read_terminating_closes_earlier() -> None:
    strict = replace(TCP, name="strict", port=81, reads_terminating=False)
    made = table(APP, TCP, strict, endpoint("a"))
    terminating = endpoint("a", ready=False, serving=True, terminating=True)
    assert names(made.apply(partial(terminating, version=2))) == ([], ["strict"])
    assert made.backend_of(TCP).pick() is made.backend_of(strict).endpoints["a"]
    assert made.backend_of(strict).pick() is None
    assert names(made.apply(partial(endpoint("a"), version=3))) == (["strict"], [])
    assert made.backend_of(strict).pick() is made.backend_of(TCP).endpoints["a"]


def test_an_ingress_listener_is_always_open_and_an_unknown_backend_matches() -> None:
    made = table(WEB, rule("r", backend="missing"))
    assert made.open_listeners == (WEB,)
    match = made.resolve("web", b"", b"/")
    assert match is not None
    assert not match.backend.has_usable
    assert match.backend.pick() is None
    made.apply(partial(Backend("missing"), endpoint("a", backend="missing"), version=2))
    assert made.backend("missing") is match.backend
    assert match.backend.has_usable


def test_ingress_listeners_of_one_table_may_differ_about_terminating_endpoints() -> None:
    strict = replace(WEB, name="strict", port=8443, reads_terminating=False)
    made = table(APP, WEB, strict, rule("r"), endpoint("a", ready=False, serving=True, terminating=True))
    loose_match, strict_match = made.resolver(WEB)(b"", b"/"), made.resolver(strict)(b"", b"/")
    assert loose_match is not None
    assert strict_match is not None
    assert loose_match.backend.has_usable
    assert not strict_match.backend.has_usable
    made.apply(partial(rule("r", path="/x"), version=2))
    assert made.resolver(strict)(b"", b"/") is made.resolver(WEB)(b"", b"/") is None


def test_a_changed_listener_closes_as_it_was_and_opens_as_it_is() -> None:
    made = table(APP, WEB)
    moved = replace(WEB, port=8081)
    changes = made.apply(partial(moved, version=2))
    assert (changes.closed, changes.opened) == ((WEB,), (moved,))
    assert names(made.apply(partial(moved, version=3))) == ([], [])
    assert names(made.apply(partial(version=4, removes=(("listener", "web"),)))) == ([], ["web"])


def test_a_listener_that_moves_to_another_backend_follows_that_one() -> None:
    made = table(APP, TCP, Backend("other"), endpoint("a"))
    assert names(made.apply(partial(replace(TCP, backend="other"), version=2))) == ([], ["tcp"])
    assert names(made.apply(partial(endpoint("a", ready=False), version=3))) == ([], [])
    assert names(made.apply(partial(endpoint("b", backend="other"), version=4))) == (["tcp"], [])


def test_a_route_that_moves_leaves_its_old_place() -> None:
    made = table(APP, rule("r", host="a.com"))
    made.apply(partial(rule("r", host="b.com", table="other"), version=2))
    assert made.resolve("web", b"a.com", b"/") is None
    assert made.resolve("web", b"b.com", b"/") is None
    assert made.resolve("other", b"b.com", b"/") is not None


def test_certificates_are_told() -> None:
    made = table(WEB)
    certificate = Certificate("c", ("a.com",), "chain", "key")
    assert made.apply(partial(certificate, version=2)).certificates
    assert made.certificates == (certificate,)
    assert not made.apply(partial(certificate, version=3)).certificates
    assert made.apply(partial(version=4, removes=(("certificate", "c"),))).certificates


def test_removing_what_is_not_there_is_no_error() -> None:
    made = table(APP)
    assert made.apply(partial(version=2, removes=tuple((kind, "x") for kind in TYPES))) == Changes()


@pytest.mark.parametrize(
    ("update", "message"),
    [
        (partial(APP, version=1), "version 1 does not come after 1"),
        (partial(endpoint("z"), endpoint("a", port=0), version=2), "endpoint app|a: port: 0 is no port"),
        (partial(APP, replace(APP, policy="random"), version=2), "backend app: twice in one update"),
        (partial(APP, version=2, removes=(("backend", "app"),)), "backend app: both given and removed"),
        (partial(replace(WEB, name="x"), version=2), "127.0.0.1:8080 is also that of listener web"),
        (full(WEB, replace(WEB, name="x"), version=2), "is also that of"),
    ],
)
def test_a_bad_update_changes_nothing(update: Update, message: str) -> None:
    made = table(APP, WEB, rule("r"), endpoint("a"))
    before = (made.version, made.listeners, made.routes, repr(made.backend("app")), made.resolve("web", b"", b"/"))
    with pytest.raises(TableError) as error:
        made.apply(update)
    assert message in str(error.value)
    assert before == (
        made.version, made.listeners, made.routes, repr(made.backend("app")), made.resolve("web", b"", b"/")
    )  # fmt: skip


def test_everything_that_is_wrong_is_named() -> None:
    bad: list[Resource] = [endpoint("a", port=0), rule("r", host="*"), rule("r")]
    bad += [rule("s", path="/(?=x)", path_type="Regex"), replace(WEB, name="x"), replace(WEB, name="y")]
    with pytest.raises(TableError) as error:
        Table(random.Random(1).random).apply(Update(1, True, tuple(bad), (("endpoint", "app|a"),)))
    assert [text.partition(": ")[0] for text in str(error.value).split("; ")] == [
        "endpoint app|a", "route r", "route r", "route s", "endpoint app|a", "listener y",
    ]  # fmt: skip


def test_the_first_update_must_be_full() -> None:
    with pytest.raises(TableError, match="the first update must be full"):
        table().apply(partial(APP, version=1))


def test_addresses_may_be_swapped_in_one_update() -> None:
    other = replace(WEB, name="other", port=9090)
    made = table(WEB, other)
    changes = made.apply(partial(replace(WEB, port=9090), replace(other, port=8080), version=2))
    assert len(changes.closed) == len(changes.opened) == 2
    made.apply(partial(replace(WEB, name="new", port=9090), version=3, removes=(("listener", "web"),)))
    assert {item.name for item in made.open_listeners} == {"new", "other"}


def test_what_nothing_describes_fills_or_points_at_is_forgotten() -> None:
    made = table(APP, TCP, WEB, rule("r"), endpoint("a"))
    kept = made._backends["app"]
    made.apply(partial(version=2, removes=(("backend", "app"), ("endpoint", "app|a"))))
    assert made._backends["app"] is kept  # a route and a listener still point at it
    made.apply(partial(version=3, removes=(("route", "r"), ("listener", "tcp"))))
    assert not made._backends
    assert not made._fronts.get("app")


def test_a_table_introduces_itself() -> None:
    assert repr(table(APP, endpoint("a"))) == (
        "Table(version 1: 0 listeners, 0 routes, 0 policies, 1 backends, 1 endpoints, 0 certificates, 0 zones, "
        "0 records, 0 nodes)"
    )


def test_names_are_handed_on_as_what_goes_and_what_comes() -> None:
    dns = Listener("dns", "127.96.0.10", 53, "dns")
    zone, record = Zone("c.", "ns.c.", 5), Record("a.c.", "A", "10.0.0.1")
    made = table()
    changes = made.apply(full(dns, zone, record))
    assert (changes.opened, changes.names_gone, changes.names_new) == ((dns,), (), (zone, record))
    other = replace(zone, ttl_s=30)
    changes = made.apply(partial(other, record, version=2))
    assert (changes.opened, changes.names_gone, changes.names_new) == ((), (zone,), (other,))
    changes = made.apply(partial(version=3, removes=(("record", record.name), ("record", "never there"))))
    assert (changes.names_gone, changes.names_new) == ((record,), ())
    changes = made.apply(full(version=4))
    assert (changes.closed, changes.names_gone, changes.names_new) == ((dns,), (other,), ())


def test_a_bad_record_refuses_the_update() -> None:
    with pytest.raises(TableError, match=r"record a\.c\. A nonsense 0: data"):
        table(Record("a.c.", "A", "nonsense"))

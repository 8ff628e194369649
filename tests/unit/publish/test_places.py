"""Who gets a place that several want: by rank, age and name, whatever came first."""

from __future__ import annotations

from typing import Any

from control.api.kinds import SERVICE
from control.api.objects import Object, key_of
from control.mirror.world import LiveWorld, World
from control.publish.build import build, build_unit
from control.publish.endpoints import Pieces
from control.publish.ledger import LANES, Ledger
from control.publish.unit import FRAME, Config, Unit
from tests.fakes.cluster_objects import endpoint, service, slice_

CONFIG = Config(http_port=8080, https_port=0)
PLACE = "127.0.0.1", 8080


def made(name: str, created: str = "2026-01-01T00:00:00Z", port: int = 80, **spec: Any) -> Object:
    found = service(name, {"port": port, "name": "http"}, **spec)
    return {**found, "metadata": {**found["metadata"], "creationTimestamp": created}}


class Books:
    """A ledger over a world that changes."""

    def __init__(self) -> None:
        self.world = LiveWorld()
        self.ledger = Ledger(1)

    def put(self, *services: Object) -> list[str]:
        """What is said when these come or change."""
        for each in services:
            self.world.put(SERVICE, each)
        return [text for each in services for text in self.rebuild(each)]

    def remove(self, gone: Object) -> list[str]:
        self.world.remove(SERVICE, key_of(gone))
        return self.rebuild(gone)

    def rebuild(self, of: Object) -> list[str]:
        unit = Unit("service", key_of(of))
        notes = self.ledger.rebuild(unit, build_unit(self.world, unit, CONFIG, Pieces()))
        self.ledger.take(LANES, 0.0)
        return [f"{note.regarding['metadata']['name']}: {note.message}" for note in notes]

    def holders(self) -> dict[tuple[str, int], str]:
        found: dict[tuple[str, int], str] = {}
        for each in self.ledger.published.values():
            if type(each).__name__ == "Listener":
                assert (each.address, each.port) not in found  # type: ignore[union-attr]
                found[each.address, each.port] = each.backend  # type: ignore[union-attr]
        return found


def test_the_older_of_two_services_has_an_external_ip_whatever_came_first() -> None:
    books = Books()
    old = made("old", "2026-01-01T00:00:00Z", clusterIP="127.96.0.5", externalIPs=["127.0.0.50"])
    new = made("new", "2026-02-01T00:00:00Z", clusterIP="127.96.0.6", externalIPs=["127.0.0.50"])
    assert books.put(new) == []
    assert books.holders()["127.0.0.50", 80] == "a/new:80"
    told = "new: 127.0.0.50:80 is not served for a/new:80: it is taken by the Service port a/old:80"
    assert books.put(old) == [told]
    assert books.holders()["127.0.0.50", 80] == "a/old:80"
    assert books.holders()["127.96.0.6", 80] == "a/new:80"  # its other places are its own
    assert books.put(new, old) == []  # nobody is told twice
    assert books.remove(old) == []
    assert books.holders()["127.0.0.50", 80] == "a/new:80"
    assert books.put(old) == [told]


def test_what_the_api_allocated_comes_before_what_a_user_wrote() -> None:
    books = Books()
    thief = made("thief", "2025-01-01T00:00:00Z", clusterIP="127.96.0.5", externalIPs=["127.96.0.6"])
    books.put(thief)
    assert books.put(made("owner", clusterIP="127.96.0.6"))[0].startswith("thief: 127.96.0.6:80 is not served")
    assert books.holders()["127.96.0.6", 80] == "a/owner:80"


def test_the_ingress_port_is_nobodys() -> None:
    books = Books()
    books.ledger.rebuild(FRAME, build_unit(books.world, FRAME, CONFIG))
    said = books.put(made("greedy", "2025-01-01T00:00:00Z", port=8080, externalIPs=["127.0.0.1"]))
    assert said == ["greedy: 127.0.0.1:8080 is not served for a/greedy:8080: it is taken by the Ingress"]
    assert books.holders()[PLACE] == ""


def test_a_claim_that_came_and_went_unsaid_is_never_said() -> None:
    books = Books()
    first = made("first", clusterIP="127.96.0.5", externalIPs=["127.0.0.50"])
    unit = Unit("service", key_of(first))
    books.world.put(SERVICE, first)
    books.ledger.rebuild(unit, build_unit(books.world, unit, CONFIG))
    books.put(made("before", clusterIP="127.96.0.6", externalIPs=["127.0.0.50"]))
    assert books.holders()["127.0.0.50", 80] == "a/before:80"


def test_the_whole_state_has_each_place_once() -> None:
    one = made("one", clusterIP="127.96.0.5", externalIPs=["127.0.0.50", "127.0.0.1"], port=8080)
    two = made("two", clusterIP="127.96.0.6", externalIPs=["127.0.0.50"], port=8080)
    found = [
        (each.address, each.port, each.backend)  # type: ignore[union-attr]
        for (kind, _), each in build(World.of([one, two]), CONFIG).items()
        if kind == "listener"
    ]
    assert sorted(found) == [
        ("127.0.0.1", 8080, ""),
        ("127.0.0.50", 8080, "a/one:8080"),
        ("127.96.0.5", 8080, "a/one:8080"),
        ("127.96.0.6", 8080, "a/two:8080"),
    ]


def test_an_address_that_is_none_is_no_endpoint() -> None:
    ends = [endpoint("127.244.0.2"), endpoint("nonsense"), endpoint("::1")]
    world = World.of(
        [made("web", clusterIP="127.96.0.5"), slice_("s", "web", ends, ports=[{"name": "http", "port": 1}])]
    )
    names = [name for kind, name in build(world, CONFIG) if kind == "endpoint"]
    assert names == ["a/web:80|127.244.0.2:1", "a/web:80|::1:1"]


def test_what_a_worker_would_refuse_is_noted_instead() -> None:
    books = Books()
    (said,) = books.put(made("odd", port=70000))
    assert said.startswith("odd: not served: listener a/odd:70000/")
    assert said.endswith("70000 is no port")
    assert books.put(made("fine", clusterIP="127.96.0.7")) == []
    assert ("127.96.0.7", 80) in books.holders()

"""Rules that several Ingresses want: the younger ones' authors are told."""

from __future__ import annotations

from typing import Any

from control.api.objects import Key, Object, key_of
from control.mirror.world import World
from control.publish.annotations.table import PREFIX
from control.publish.ingress import build_ingress
from control.publish.rules import Rules
from control.publish.unit import Config
from dataplane.snapshot.model import Route
from tests.fakes.cluster_objects import backend, ingress, ingress_class, path, rule, service

CANARY = {PREFIX + "canary": "true", PREFIX + "canary-weight": "10"}


class Book:
    """Ingresses come, change and go; `settle` returns who is told what."""

    def __init__(self) -> None:
        self.rules = Rules()
        self._known: dict[Key, dict[str, Route]] = {}

    def settle(self, made: Object, *, gone: bool = False) -> list[tuple[str, str, str]]:
        key = key_of(made)
        world = World.of([ingress_class(), service("web"), *([] if gone else [made])])
        built = build_ingress(world, key, Config())
        notes = self.rules.settle(self._known.get(key, {}), built)
        self._known[key] = {item.name: item for item in built.resources.values() if isinstance(item, Route)}
        return [(note.regarding["metadata"]["name"], note.reason, note.message) for note in notes]


def at(name: str, day: int, *rules: Object, **more: Any) -> Object:
    return ingress(name, *(rules or (rule("h", path("web", "/a")),)), created=f"2026-01-0{day}T00:00:00Z", **more)


def test_the_younger_one_is_told_whoever_comes_first() -> None:
    for order in ((0, 1), (1, 0)):
        book = Book()
        pair = [at("old", 1), at("new", 2)]
        told = [book.settle(pair[index]) for index in order]
        assert told[0] == []
        assert told[1] == [
            ("new", "RuleConflict", "host h, path /a (Prefix) is served by the older Ingress a/old: ignored here")
        ]
        assert book.rules.counts == {"RuleConflict": 1}
        assert [book.settle(each) for each in pair] == [[], []]  # and only once
        assert book.settle(pair[0], gone=True) == []
        assert book.rules.counts == {}
        assert book.settle(pair[0]) == told[1]  # it comes back, and takes the rule again


def test_the_same_rule_is_the_same_host_type_and_path() -> None:
    book = Book()
    book.settle(at("old", 1, rule("h", path("web", "/a/"), path("web", "/b", type_="Exact"), path("web", "/c"))))
    others = [
        rule("h", path("web", "/a", type_="ImplementationSpecific"), path("web", "/b"), path("web", "/C")),
        rule("g", path("web", "/c")),
    ]
    assert [text for *_, text in book.settle(at("new", 2, *others))] == [
        "host h, path /a (Prefix) is served by the older Ingress a/old: ignored here"
    ]


def test_one_ingress_does_not_conflict_with_itself() -> None:
    assert Book().settle(at("i", 1, rule("h", path("web"), path("web")))) == []


def test_defaults_conflict_too() -> None:
    book = Book()
    book.settle(at("old", 1, rule("h", path("web")), defaultBackend=backend("web")))
    assert [text for *_, text in book.settle(at("new", 2, rule("g", path("web")), defaultBackend=backend("web")))] == [
        "the default backend of all hosts is served by the older Ingress a/old: ignored here"
    ]


def test_a_canary_needs_one_and_only_one_main() -> None:
    book = Book()
    text = "host h, path /a (Prefix): no other Ingress has this rule: nothing goes to the canary"
    alone = ("canary", "CanaryAlone", text)
    assert book.settle(at("canary", 2, annotations=CANARY)) == [alone]
    assert book.settle(at("main", 3)) == []
    assert book.rules.counts == {}
    text = "host h, path /a (Prefix) already has a canary by the older Ingress a/canary: ignored here"
    assert book.settle(at("second", 4, annotations=CANARY)) == [("second", "RuleConflict", text)]
    assert book.settle(at("main", 3), gone=True) == [alone]

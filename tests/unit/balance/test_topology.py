"""CategorizeEndpoints with traffic policies and hints: rows of its rules, and a twin that spells them out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplane.balance.backend import Endpoint
from dataplane.balance.locality import Localities
from dataplane.balance.usable import ANYWHERE, Place, has_hints, usable
from dataplane.snapshot.model import Node
from tests.fakes.contract import endpoint

HERE = Place("n0", "z0")
LOCAL = Place("n0", "z0", local=True)


def made(text: str) -> list[Endpoint]:
    """`a@n0` is on node n0; `>z0` is hinted for zone z0, `>n0` for node n0; `!` not ready, `-` serving, terminating."""
    found = []
    for word in text.split():
        name, *hints = word.strip("!-").split(">")
        id, _, node = name.partition("@")
        found.append(
            Endpoint(
                endpoint(
                    id,
                    node=node,
                    hint_nodes=tuple(hint for hint in hints if hint[0] == "n"),
                    hint_zones=tuple(hint for hint in hints if hint[0] == "z"),
                    ready=not word.endswith(("!", "-")),
                    serving=not word.endswith("!"),
                    terminating=word.endswith("-"),
                )
            )
        )
    return found


@pytest.mark.parametrize(
    ("endpoints", "place", "expected"),
    [
        ("a@n0 b@n1", HERE, "ab"),  # no hints
        ("a>z0 b>z1", HERE, "a"),
        ("a>z0 b>z1", Place("n9", "z1"), "b"),
        ("a>z0 b>z1", Place("n9", "z9"), "ab"),  # none for this zone
        ("a>z0 b>z1", Place("n9", ""), "ab"),  # a node without a zone
        ("a>z0 b", HERE, "ab"),  # one has no hint
        ("a>z0 b! c>z1", HERE, "a"),  # but only ready ones must have one
        ("a>z1 b>z0!", HERE, "a"),  # and only ready ones count as being there
        ("a>z0- b>z1-", HERE, "ab"),  # no hints among terminating ones
        ("a>z0- b>z1", HERE, "b"),  # which are not for when a ready one is elsewhere
        ("a>z0>n0 b>z0>n1", HERE, "a"),  # node before zone
        ("a>z0>n1 b>z1>n2", HERE, "a"),  # nobody for this node: the zone
        ("a>z0>n0 b>z0", HERE, "ab"),  # one has no node hint: the zone
        ("a>n0 b>n1", HERE, "a"),  # node hints alone
        ("a>n1 b>n2", HERE, "ab"),
        ("a@n0 b@n1", LOCAL, "a"),
        ("a@n1 b@n1", LOCAL, ""),
        ("a@n0- b@n1", LOCAL, "a"),  # Local falls back on its own
        ("a@n0! b@n1", LOCAL, ""),
        ("a@n0>z1 b@n1>z0", LOCAL, "a"),  # and does not look at hints
    ],
)
def test_rows(endpoints: str, place: Place, expected: str) -> None:
    assert "".join(one.id for one in usable(made(endpoints), place=place)) == expected


def test_a_listener_may_do_without_terminating_ones_there_too() -> None:
    assert usable(made("a@n0- b@n1"), place=LOCAL, reads_terminating=False) == ()


def test_only_hints_make_a_place_matter() -> None:
    assert not has_hints(made("a@n0 b@n1"))
    assert has_hints(made("a b>z0"))
    assert has_hints(made("a>n0"))


WORDS = st.builds(
    lambda id, node, hints, state: f"{id}@{node}{''.join(hints)}{state}",
    st.sampled_from("abcdef"),
    st.sampled_from(["n0", "n1"]),
    st.lists(st.sampled_from([">z0", ">z1", ">n0", ">n1"]), max_size=2, unique=True),
    st.sampled_from(["", "", "", "!", "-"]),
)


@settings(max_examples=150)
@given(st.lists(WORDS, max_size=6, unique_by=lambda word: word[0]), st.sampled_from(["n0", "n1", ""]),
       st.sampled_from(["z0", "z1", ""]), st.booleans())  # fmt: skip
def test_the_twin_agrees(words: list[str], node: str, zone: str, local: bool) -> None:
    endpoints = made(" ".join(words))
    ready = [one for one in endpoints if one.spec.ready]
    fading = [one for one in endpoints if not one.spec.ready and one.spec.serving and one.spec.terminating]
    if local:
        ready = [one for one in ready if one.spec.node == node]
        fading = [one for one in fading if one.spec.node == node]
        expected = ready or fading
    else:
        for_node = [one for one in ready if node in one.spec.hint_nodes]
        for_zone = [one for one in ready if zone in one.spec.hint_zones]
        if not all(one.spec.hint_nodes for one in ready):
            for_node = []
        if not all(one.spec.hint_zones for one in ready):
            for_zone = []
        expected = for_node or for_zone or ready or fading
    assert list(usable(endpoints, place=Place(node, zone, local))) == expected


NODES = Localities(
    [Node("n0", ("127.244.0.0/24", "127.245.0.1/32", "127.0.0.0/8"), "z0"), Node("n1", ("127.244.1.0/24",), "z1")]
)


@pytest.mark.parametrize(
    ("client", "node"),
    [
        ("127.244.0.9", "n0"),
        ("127.244.1.9", "n1"),  # the longest prefix
        ("127.0.0.1", "n0"),
        ("10.0.0.1", ""),
        ("::1", ""),
        ("unknown", ""),
    ],
)
def test_a_client_is_on_the_node_whose_range_holds_its_address(client: str, node: str) -> None:
    assert NODES.node_of(client) == NODES.node_of(client) == node


def test_a_place_knows_its_zone() -> None:
    assert NODES.place("n1", local=False) == Place("n1", "z1")
    assert NODES.place("n9", local=True) == Place("n9", "", local=True)
    assert NODES.place("n9", local=False) is ANYWHERE

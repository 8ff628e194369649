"""Names that follow from what was seen."""

from __future__ import annotations

from itertools import islice

from hypothesis import given, settings
from hypothesis import strategies as st

from control.controllers.naming import ALPHABET, NAME_MAX, code, digest, fresh_names, generated, template_hash

PARTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)


@settings(max_examples=50)
@given(st.lists(PARTS, min_size=1, max_size=3), st.lists(PARTS, min_size=1, max_size=3))
def test_a_code_tells_its_parts_apart(one: list[str], other: list[str]) -> None:
    assert (code(*one, length=20) == code(*other, length=20)) == (one == other)
    assert set(code(*one)) <= set(ALPHABET)


def test_a_long_prefix_makes_room_for_the_suffix() -> None:
    name = generated("x" * 100 + "-", "abcde")
    assert len(name) == NAME_MAX
    assert name.endswith("abcde")


def test_taken_names_are_left_out_and_the_rest_stays() -> None:
    names = list(islice(fresh_names("web-", "uid", taken=()), 4))
    assert list(islice(fresh_names("web-", "uid", taken={names[1]}), 3)) == [names[0], *names[2:]]
    assert len(set(names)) == 4


def test_a_template_hash_ignores_the_order_of_fields_and_counts_collisions() -> None:
    one = template_hash({"a": 1, "b": [1, 2]})
    assert one == template_hash({"b": [1, 2], "a": 1})
    assert one != template_hash({"b": [2, 1], "a": 1})
    assert one != template_hash({"a": 1, "b": [1, 2]}, 1)
    assert digest({"a": 1}) != digest({"a": "1"})

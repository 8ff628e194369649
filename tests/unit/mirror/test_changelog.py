"""Who looked before is told what changed since."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from control.api.objects import Key
from control.mirror.changelog import FORGOTTEN_MIN, ChangeLog


@given(st.lists(st.one_of(st.integers(0, 9), st.none()), max_size=60))
def test_each_look_is_told_what_changed_after_the_one_before(steps: list[int | None]) -> None:
    log, seen, expected = ChangeLog(), 0, set[Key]()
    for step in steps:
        if step is None:
            seen, changed = log.since(seen)
            assert changed is not None
            assert len(changed) == len(expected)
            assert set(changed) == expected
            expected.clear()
        else:
            log.note(Key("", str(step)), (), 0)
            expected.add(Key("", str(step)))


def test_deleted_keys_are_forgotten_at_last_and_who_missed_them_starts_anew() -> None:
    log, there = ChangeLog(), {Key("", "stays")}
    log.note(Key("", "stays"), there, 1)
    early, _ = log.since(0)
    for number in range(FORGOTTEN_MIN + 5):
        log.note(Key("", f"gone-{number}"), there, 1)
    assert log.since(early)[1] is None
    late, _ = log.since(-1)
    log.note(Key("", "stays"), there, 1)
    assert log.since(late)[1] == [Key("", "stays")]

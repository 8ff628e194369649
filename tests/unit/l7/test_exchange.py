"""The machine: its shorthands are its steps, every state has a way out, and nothing follows the end."""

from __future__ import annotations

from dataplane.l7 import exchange as e


def run(state: str, *events: str) -> str:
    for event in events:
        state = e.NEXT[state][event]
    return state


def test_a_shorthand_is_its_steps() -> None:
    assert run(e.CONNECTING, e.SENT) == run(e.CONNECTING, e.CONNECTED, e.REQUEST_END)
    assert run(e.WAITING, e.ANSWERED) == run(e.WAITING, e.RESPONSE, e.RESPONSE_END)


def test_every_state_can_end_and_only_closed_is_the_end() -> None:
    for state, row in e.NEXT.items():
        assert row[e.ABORT] == e.CLOSED
        assert set(row.values()) <= set(e.NEXT)
        assert state == e.CLOSED or len(row) > 0
    assert set(e.NEXT[e.CLOSED].values()) == {e.CLOSED}


def test_every_state_is_reached() -> None:
    reached, todo = {e.IDLE}, [e.IDLE]
    while todo:
        for after in e.NEXT[todo.pop()].values():
            if after not in reached:
                reached.add(after)
                todo.append(after)
    assert reached == set(e.NEXT)


def test_nothing_is_tried_again_once_the_answer_has_begun() -> None:
    for state in e.ANSWER_BEGUN:
        assert e.RETRY not in e.NEXT[state]
        assert e.ANSWERED not in e.NEXT[state]
    assert e.ANSWER_BEGUN < e.OPEN


def test_a_connection_whose_request_is_not_over_never_persists() -> None:
    assert e.IDLE not in e.NEXT[e.CROSSING].values()
    assert e.IDLE not in e.NEXT[e.SENDING].values()


def test_the_table_prints() -> None:
    lines = e.table().splitlines()
    assert len(lines) == len(e.NEXT)
    assert lines[-1] == "closed      abort -> closed"

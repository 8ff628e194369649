"""Answers that are ready to be sent."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dataplane.dns.cache import Answers, end_of, is_plain, key_of, rotations

HEAD = b"\x00\x00\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
NAME = b"\x03web\x01a\x00"
QUESTION = HEAD + NAME + b"\x00\x01\x00\x01"


def reply_of(answers: Answers, question: bytes) -> bytes | None:
    end = end_of(question)
    turn = answers.turns.get(key_of(question, end))
    if turn is None:
        return None
    head, tail = turn()
    return question[:2] + head + question[12:end] + tail


def test_an_answer_comes_back_with_the_askers_id_and_letters() -> None:
    answers = Answers()
    answers.put(QUESTION, [b"\x00\x00" + b"H" * 10 + QUESTION[12:] + b"tail"], ["web.a."])
    asked = b"\xab\xcd" + QUESTION[2:].replace(b"web", b"wEB")
    assert reply_of(answers, asked) == b"\xab\xcd" + b"H" * 10 + asked[12:] + b"tail"


def test_another_type_class_or_option_is_another_question() -> None:
    answers = Answers()
    answers.put(QUESTION, [QUESTION + b"tail"], ["web.a."])
    # type 97 in another case would be type 65, if case were looked away in more than the name
    assert reply_of(answers, QUESTION[:-3] + b"\x1c\x00\x01") is None
    assert reply_of(answers, QUESTION + b"\x00") is None
    answers.put(QUESTION[:-3] + b"\x41\x00\x01", [QUESTION + b"https"], ["web.a."])
    assert reply_of(answers, QUESTION[:-3] + b"\x61\x00\x01") is None


def test_rotations_take_turns() -> None:
    answers = Answers()
    answers.put(QUESTION, [QUESTION + b"1", QUESTION + b"2"], [])
    assert [(reply_of(answers, QUESTION) or b"")[-1:] for _ in range(3)] == [b"1", b"2", b"1"]


def test_what_was_read_from_a_changed_name_is_forgotten_and_nothing_else() -> None:
    answers, other = Answers(), HEAD + b"\x01b\x00" + b"\x00\x01\x00\x01"
    answers.put(QUESTION, [QUESTION], ["web.a.", "x."])
    answers.put(other, [other], ["b.", "x."])
    answers.forget(["nobody.", "web.a."])
    assert reply_of(answers, QUESTION) is None
    assert reply_of(answers, other) == other
    answers.forget(["x."])
    assert len(answers) == 0
    assert answers._keys == {}
    answers.put(QUESTION, [QUESTION], ["web.a."])
    answers.forget(None)
    assert len(answers) == 0


def test_the_oldest_goes_when_there_is_no_room() -> None:
    answers = Answers(entries_max=2)
    questions = [HEAD + bytes((1, letter, 0)) + b"\x00\x01\x00\x01" for letter in b"abc"]
    for question in questions:
        answers.put(question, [question], [question[12:].decode()])
    assert [reply_of(answers, question) is not None for question in questions] == [False, True, True]
    assert len(answers._keys) == 2


def test_a_name_with_a_zero_byte_or_a_pointer_is_not_plain() -> None:
    assert is_plain(QUESTION, NAME)
    assert is_plain(HEAD + b"\x00" + b"\x00\x01\x00\x01", b"\x00")
    zero = b"\x02a\x00\x01b\x00"
    assert not is_plain(HEAD + zero + b"\x00\x01\x00\x01", zero)
    assert not is_plain(HEAD + b"\xc0\x0c\x00\x01\x00\x01", NAME)


@given(st.binary(max_size=60))
def test_any_bytes_have_a_key(message: bytes) -> None:
    answers = Answers()
    answers.put(QUESTION, [QUESTION], ["web.a."])
    reply_of(answers, message)


@given(st.integers(0, 40), st.sampled_from([16, 28]))
def test_rotations_hold_every_record_once_and_begin_with_different_ones(count: int, size: int) -> None:
    records = [bytes([at]) * size for at in range(count)]
    made = rotations(b"head" + b"".join(records) + b"rest", 4, size, count)
    blocks = [each[4:-4] for each in made]
    for each, block in zip(made, blocks, strict=True):
        assert (each[:4], each[-4:]) == (b"head", b"rest")
        assert sorted(block[at : at + size] for at in range(0, len(block), size)) == records
    assert len({block[:size] for block in blocks}) == len(made) == max(1, min(count, 16))

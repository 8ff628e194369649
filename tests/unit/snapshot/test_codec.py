"""What is encoded is decoded, in whatever pieces it arrives; everything else is refused by the name of its field."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplane.snapshot.codec import ContractError, Decoder, decode_json, encode, encode_json
from dataplane.snapshot.model import Ack, Backend, Listener, Message, Update
from dataplane.snapshot.strict import PROBLEMS_NAMED
from tests.fakes.contract import messages


@settings(max_examples=60)
@given(st.lists(messages, max_size=4), st.integers(1, 50))
def test_messages_survive_the_wire_in_any_pieces(sent: list[Message], piece: int) -> None:
    wire = b"".join(map(encode, sent))
    decoder = Decoder()
    received = [
        message for start in range(0, len(wire), piece) for message in decoder.feed(wire[start : start + piece])
    ]
    assert received == sent
    assert decoder.pending == 0


def test_one_byte_at_a_time_yields_each_message_with_its_last_byte() -> None:
    decoder = Decoder()
    wire = encode(Ack(1, 2.0))
    assert [decoder.feed(wire[index : index + 1]) for index in range(len(wire) - 1)] == [[]] * (len(wire) - 1)
    assert decoder.pending == len(wire) - 1
    assert decoder.feed(wire[-1:]) == [Ack(1, 2.0)]


def test_json_without_framing_is_one_line() -> None:
    update = Update(3, True, (Backend("app"),))
    line = encode_json(update)
    assert b"\n" not in line
    assert decode_json(line) == update


def body(upsert: object) -> bytes:
    return orjson.dumps({"update": {"version": 1, "full": True, "upserts": [upsert]}})


ENDPOINT = {
    "backend": "app", "id": "a", "address": "127.0.0.1", "port": 80,
    "ready": True, "serving": True, "terminating": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        (b"{", "message: not JSON"),
        (b"[]", "one object with one key"),
        (b'{"ack": {}, "nack": {}}', "one object with one key"),
        (b'{"hello": {}}', "'hello' is none of"),
        (b'{"update": []}', "update: an object belongs here"),
        (b'{"update": {"version": 1}}', "update.full: missing"),
        (b'{"update": {"version": true, "full": true}}', "update.version: true or false where an integer belongs"),
        (b'{"update": {"version": 1.5, "full": true}}', "update.version: a number where an integer belongs"),
        (b'{"update": {"version": 1, "full": 1}}', "update.full: a number where true or false belongs"),
        (b'{"update": {"version": 1, "full": true, "extra": 1}}', "update.extra: unknown field"),
        (b'{"update": {"version": 1, "full": true, "upserts": {}}}', "update.upserts: a list"),
        (b'{"update": {"version": 1, "full": true, "removes": ["a"]}}', r"update.removes\[0\]: a pair"),
        (b'{"update": {"version": 1, "full": true, "removes": [["pod", "a"]]}}', r"removes\[0\]: 'pod' is no resource"),
        (b'{"update": {"version": 1, "full": true, "removes": [["route", 1]]}}', r"removes\[0\]: a pair"),
        (b'{"ack": {"version": 1, "applied_at": "now"}}', "ack.applied_at: text where a number belongs"),
        (b'{"nack": null}', "nack: null where an object belongs"),
        (body(["endpoint"]), r"update.upserts\[0\]: a pair"),
        (body([[], {}]), r"update.upserts\[0\]: \[\] is no resource type"),
        (body(["endpoint", {**ENDPOINT, "port": "80"}]), r"upserts\[0\].endpoint.port: text where an integer"),
        (body(["endpoint", {**ENDPOINT, "ready": None}]), "endpoint.ready: null where true or false"),
        (body(["endpoint", {**ENDPOINT, "colour": 3}]), "endpoint.colour: unknown field"),
        (body(["endpoint", {key: value for key, value in ENDPOINT.items() if key != "id"}]), "endpoint.id: missing"),
        (body(["backend", {"name": "a", "policy": "best"}]), "backend.policy: 'best' is none of least-request, maglev"),
        (body(["backend", {"name": ["a"]}]), "backend.name: a list where text"),
        (
            body(["certificate", {"name": "c", "hosts": ["a", 1], "chain_pem": "", "key_pem": ""}]),
            r"certificate.hosts\[1\]: a number where text",
        ),
        (
            body(["route", {"name": "r", "table": "t", "host": "", "path": "/", "path_type": "Exact", "backend": "b",
                            "order": ["a", "b"]}]),
            "route.order: a list where a list of 3 belongs",
        ),
    ],
)  # fmt: skip
def test_what_the_contract_does_not_allow_is_refused_by_name(wire: bytes, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        decode_json(wire)


def test_every_problem_of_an_update_is_named() -> None:
    pairs = [
        ["endpoint", {**ENDPOINT, "port": "80", "ready": 1, "hint_zones": [1, "z", 2]}],
        ["backend", {"name": "fine"}],
        ["backend", {"policy": "best"}],
        ["pod", {}],
    ]
    fields = {"version": 1, "full": "yes", "upserts": pairs, "removes": [["route", 1]]}
    with pytest.raises(ContractError) as raised:
        decode_json(orjson.dumps({"update": fields}))
    fields_named = [problem.split(": ")[0] for problem in raised.value.args]
    assert fields_named == [
        "update.full",
        "update.upserts[0].endpoint.port",
        "update.upserts[0].endpoint.ready",
        "update.upserts[0].endpoint.hint_zones[0]",
        "update.upserts[0].endpoint.hint_zones[2]",
        "update.upserts[2].backend.policy",
        "update.upserts[2].backend.name",
        "update.upserts[3]",
        "update.removes[0]",
    ]


def test_a_text_names_so_many_problems_and_counts_the_others() -> None:
    text = str(ContractError(*(f"p{number}" for number in range(PROBLEMS_NAMED + 7))))
    assert text.endswith(f"p{PROBLEMS_NAMED - 1}; and 7 more")
    assert text.count(";") == PROBLEMS_NAMED


def test_an_integer_is_a_number_and_defaults_may_be_left_out() -> None:
    update = decode_json(
        body(["listener", {"name": "l", "address": "::", "port": 1, "mode": "tcp", "affinity_timeout_s": 10800}])
    )
    assert isinstance(update, Update)
    (listener,) = update.upserts
    assert isinstance(listener, Listener)
    assert type(listener.affinity_timeout_s) is float
    assert listener.reads_terminating


def test_a_message_that_is_too_long_is_refused_before_it_has_arrived() -> None:
    decoder = Decoder(bytes_max=100)
    with pytest.raises(ContractError, match="101 bytes announced, 100 are allowed"):
        decoder.feed((101).to_bytes(4, "big"))


def test_after_an_error_nothing_is_believed_any_more() -> None:
    decoder = Decoder()
    with pytest.raises(ContractError, match="not JSON"):
        decoder.feed((1).to_bytes(4, "big") + b"x")
    with pytest.raises(ContractError, match="not JSON"):
        decoder.feed(encode(Ack(1, 1.0)))

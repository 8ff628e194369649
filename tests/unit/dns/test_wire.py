"""Messages: what is refused and how, sizes, truncation, what is echoed."""

from __future__ import annotations

import dataclasses
import struct

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.tsigkeyring
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.dns import wire
from dataplane.dns.wire import Question, ask, completed, is_reply, read, render
from dataplane.dns.zone import Names
from dataplane.snapshot.model import Record
from tests.fakes.names import RECORDS, ZONE, data_in, question, svc

HEAD = struct.Struct("!HHHHHH")


def names(*more: Record) -> Names:
    made = Names()
    made.apply((), (ZONE, *RECORDS, *more))
    return made


def ask_of(message: bytes) -> Question:
    found = read(message)
    assert isinstance(found, Question)
    return found


def reply_to(message: bytes, known: Names | None = None, bytes_max: int | None = None, **more: bool) -> bytes:
    asked = ask_of(message)
    answer = (known or names()).find(asked.name, asked.type)
    return render(asked, answer, bytes_max or asked.bytes_max, has_upstream=more.get("has_upstream", False))[0]


def code_of(message: bytes) -> int:
    found = read(message)
    assert isinstance(found, bytes)
    return int(dns.message.from_wire(found).rcode())


def test_id_question_and_letters_are_echoed() -> None:
    asked = question("WeB.DEFAULT.svc.cluster.local.")
    reply = reply_to(asked)
    assert reply[:2] == asked[:2]
    assert reply[12 : len(asked)] == asked[12:]
    assert data_in(reply) == ["127.96.0.9"]


def test_flags() -> None:
    for recursion in (True, False):
        asked = dns.message.make_query(svc("web"), "A")
        asked.flags = dns.flags.RD if recursion else dns.flags.Flag(0)
        reply = dns.message.from_wire(reply_to(asked.to_wire(), has_upstream=recursion))
        assert bool(reply.flags & dns.flags.RD) is bool(reply.flags & dns.flags.RA) is recursion
        assert reply.flags & dns.flags.AA


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ((7, 0x2000, 1, 0, 0, 0), dns.rcode.NOTIMP),  # NOTIFY
        ((7, 0x2800, 1, 0, 0, 0), dns.rcode.NOTIMP),  # UPDATE
        ((7, 0x0100, 0, 0, 0, 0), dns.rcode.FORMERR),
        ((7, 0x0100, 2, 0, 0, 0), dns.rcode.FORMERR),
        ((7, 0x0100, 1, 2, 0, 0), dns.rcode.FORMERR),
        ((7, 0x0100, 1, 0, 2, 0), dns.rcode.FORMERR),
        ((7, 0x0100, 1, 0, 0, 3), dns.rcode.FORMERR),
        ((7, 0x0100, 1, 0, 0, 1), dns.rcode.FORMERR),  # announces what is not there
    ],
)
def test_what_is_no_question_is_refused_with_its_id(fields: tuple[int, ...], code: int) -> None:
    message = HEAD.pack(*fields) + question(svc("web"))[12:]
    assert code_of(message) == code
    reply = read(message)
    assert isinstance(reply, bytes)
    assert reply[:2] == b"\x00\x07"


def test_what_deserves_no_answer_gets_none() -> None:
    asked = question(svc("web"))
    assert read(b"") is None
    assert read(asked[:11]) is None
    assert read(reply_to(asked)) is None


def test_half_a_question_and_more_than_one_are_format_errors() -> None:
    asked = question(svc("web"))
    assert code_of(asked[:-1]) == dns.rcode.FORMERR
    assert code_of(asked + b"\x00") == dns.rcode.FORMERR
    pointer = asked[:12] + b"\xc0\x0c\x00\x01\x00\x01"  # to itself
    assert code_of(pointer) == dns.rcode.FORMERR


@pytest.mark.parametrize("type_", ["AXFR", "IXFR"])
def test_transfers_are_refused(type_: str) -> None:
    asked = question("cluster.local.", "TXT")
    number = {"AXFR": b"\x00\xfc", "IXFR": b"\x00\xfb"}[type_]
    assert code_of(asked[:-4] + number + asked[-2:]) == dns.rcode.REFUSED


def test_other_classes_are_refused() -> None:
    assert code_of(dns.message.make_query("version.bind.", "TXT", "CH").to_wire()) == dns.rcode.REFUSED


def test_a_later_edns_is_a_bad_version() -> None:
    asked = bytearray(question(svc("web"), edns=1232))
    asked[-5] = 1  # the version, second byte of the OPT record's TTL
    found = read(bytes(asked))
    assert isinstance(found, bytes)
    reply = dns.message.from_wire(found)
    assert (reply.rcode(), reply.edns) == (dns.rcode.BADVERS, 0)


def test_a_signed_question_is_refused() -> None:
    asked = dns.message.make_query(svc("web"), "A")
    asked.use_tsig(dns.tsigkeyring.from_text({"key.": "c2VjcmV0"}), "key.")
    assert code_of(asked.to_wire()) == dns.rcode.NOTAUTH


@pytest.mark.parametrize(("edns", "size"), [(None, 512), (100, 512), (512, 512), (1232, 1232), (65535, 4096)])
def test_a_client_says_how_much_it_takes_on_udp(edns: int | None, size: int) -> None:
    assert ask_of(question(svc("web"), edns=edns)).bytes_max == size


def test_edns_is_answered_in_kind() -> None:
    assert dns.message.from_wire(reply_to(question(svc("web")))).edns == -1
    asked = dns.message.make_query(svc("web"), "A", use_edns=0, payload=1232, want_dnssec=True)
    reply = dns.message.from_wire(reply_to(asked.to_wire()))
    assert (reply.edns, reply.payload) == (0, 4096)
    assert reply.ednsflags & dns.flags.DO
    assert reply.options == ()


def test_an_unknown_option_is_ignored() -> None:
    asked = dns.message.make_query(svc("web"), "A", use_edns=0, options=[dns.edns.GenericOption("65001", b"x")])
    assert data_in(reply_to(asked.to_wire())) == ["127.96.0.9"]


MANY = tuple(Record(svc("many"), "A", f"127.244.{at // 250}.{at % 250}") for at in range(600))


@pytest.mark.parametrize(("edns", "count"), [(None, 29), (1232, 73), (4096, 252)])
def test_what_does_not_fit_is_left_out_and_tc_says_so(edns: int | None, count: int) -> None:
    asked = question(svc("many"), edns=edns)
    reply = reply_to(asked, names(*MANY))
    assert wire.is_truncated(reply)
    assert len(reply) <= (edns or 512)
    assert len(data_in(reply)) == count
    assert len(reply) + 16 > (edns or 512)
    whole = reply_to(asked, names(*MANY), wire.TCP_BYTES_MAX)
    assert not wire.is_truncated(whole)
    assert len(data_in(whole)) == 600


def test_additional_records_are_left_out_without_tc() -> None:
    pods = [Record(svc(f"pod-{at}.big"), "A", f"127.244.0.{at}") for at in range(7)]
    ports = [Record(svc("_p._tcp.big"), "SRV", svc(f"pod-{at}.big"), 80) for at in range(7)]
    reply = reply_to(question(svc("_p._tcp.big"), "SRV"), names(*pods, *ports))
    assert not wire.is_truncated(reply)
    assert len(data_in(reply)) == 7
    assert 0 < len(dns.message.from_wire(reply).additional) < 7


def test_a_denial_carries_the_start_of_authority() -> None:
    reply = dns.message.from_wire(reply_to(question(svc("nobody"))))
    assert (reply.rcode(), reply.answer) == (dns.rcode.NXDOMAIN, [])
    (soa,) = reply.authority
    want = "cluster.local. 30 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 30"
    assert soa.to_text() == want


@pytest.mark.parametrize("edns", [None, 512, 1232])
@pytest.mark.parametrize("name", ["NoBody.default.svc.cluster.local.", "cluster.local.", f"{'x' * 63}.{svc('web')}"])
def test_a_denial_from_parts_is_what_the_library_makes(name: str, edns: int | None) -> None:
    for recursion, dnssec in ((True, False), (False, True)):
        asked = dns.message.make_query(name, "MX", use_edns=False if edns is None else 0, payload=edns or 0)
        asked.flags = dns.flags.RD if recursion else dns.flags.Flag(0)
        asked.ednsflags |= dns.flags.DO if dnssec and edns else 0
        message = ask_of(asked.to_wire())
        answer = names().find(message.name, message.type)
        made = [
            render(each, answer, 512, has_upstream=recursion)[0]
            for each in (message, dataclasses.replace(message, wire=b""))
        ]
        parts, library = map(dns.message.from_wire, made)
        assert parts.to_text() == library.to_text()
        assert parts.authority == library.authority != []
        assert (parts.flags, parts.ednsflags, parts.payload) == (library.flags, library.ednsflags, library.payload)


def test_ttl_is_the_zones() -> None:
    assert dns.message.from_wire(reply_to(question(svc("web")))).answer[0].ttl == 30


def test_text_is_quoted() -> None:
    reply = reply_to(question(svc("t"), "TXT"), names(Record(svc("t"), "TXT", 'a "b" \\ c')))
    assert data_in(reply) == ['"a \\"b\\" \\\\ c"']


def test_rotations_are_whole_answers_of_the_same_data() -> None:
    asked = ask_of(question(svc("db"), edns=1232))
    made = render(asked, names().find(asked.name, asked.type), 1232, has_upstream=False)
    assert [data_in(each)[0] for each in made] == ["127.244.0.1", "127.244.0.2", "127.244.0.3"]
    assert {tuple(sorted(data_in(each))) for each in made} == {("127.244.0.1", "127.244.0.2", "127.244.0.3")}


def test_a_chain_is_completed_with_what_an_upstream_said() -> None:
    asked = ask_of(question(svc("outside")))
    chain = names().find(asked.name, asked.type)
    reply = dns.message.make_response(dns.message.from_wire(ask("www.example.com.", 1)))
    reply.answer.append(dns.rrset.from_text("www.example.com.", 60, "IN", "A", "192.0.2.1"))
    assert data_in(completed(asked, chain, reply.to_wire(), 512)) == ["www.example.com.", "192.0.2.1"]
    denied = dns.message.make_response(dns.message.from_wire(ask("www.example.com.", 1)))
    denied.set_rcode(dns.rcode.NXDOMAIN)
    said = completed(asked, chain, denied.to_wire(), 512)
    assert dns.message.from_wire(said).rcode() == dns.rcode.NXDOMAIN
    for nothing in (None, b"garbage"):
        said = completed(asked, chain, nothing, 512)
        assert (dns.message.from_wire(said).rcode(), data_in(said)) == (dns.rcode.SERVFAIL, ["www.example.com."])


def test_a_reply_has_the_questions_id_and_name() -> None:
    asked = question(svc("web"))
    reply = reply_to(asked)
    assert is_reply(reply, asked)
    assert is_reply(reply.replace(b"web", b"WEB"), asked)
    assert not is_reply(asked, asked)
    assert not is_reply(b"\x00\x00" + reply[2:], b"\x00\x01" + asked[2:])
    assert not is_reply(reply.replace(b"web", b"wob"), asked)
    assert not is_reply(reply[:20], asked)


SEEDS = [question(svc("web"), edns=1232), question(svc("db")), question("example.com.", "ANY", edns=4096)]
EDITS = st.lists(st.tuples(st.integers(0, 80), st.integers(0, 255)), max_size=6)


@given(st.one_of(st.binary(max_size=80), st.tuples(st.sampled_from(SEEDS), EDITS, st.integers(0, 80)).map(
    lambda made: edited(*made))))  # fmt: skip
def test_any_bytes_are_answered_within_bounds_or_dropped(message: bytes) -> None:
    found = read(message)
    if isinstance(found, Question):
        answer = names().find(found.name, found.type)
        for reply in render(found, answer, found.bytes_max, has_upstream=False):
            assert len(reply) <= found.bytes_max
            assert reply[:2] == message[:2]
            assert reply[2] & 0x80
    elif found is not None:
        assert found[:2] == message[:2]
        assert found[2] & 0x80


def edited(seed: bytes, edits: list[tuple[int, int]], cut: int) -> bytes:
    made = bytearray(seed)
    for at, value in edits:
        made[at % len(made)] = value
    return bytes(made[: len(made) - cut // 8])

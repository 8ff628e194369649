"""DNS messages: the one module that knows the library of their wire format.

What is refused, and how, before a question is looked at (RFC 1035, RFC 6891, RFC 8906; as CoreDNS and its library do):

    shorter than a header, or itself a response     dropped: an answer could make two servers talk for ever
    opcode other than QUERY                         NOTIMP
    not exactly one question, or other sections     FORMERR
      fuller than any known query's
    does not parse                                  FORMERR
    EDNS version above 0                            BADVERS
    signed with a key (TSIG)                        NOTAUTH
    class other than IN                             REFUSED
    AXFR, IXFR                                      REFUSED

A UDP answer is as large as the client says it can take, between 512 bytes (RFC 1035) and `PAYLOAD_MAX`. Records that
do not fit are left out, one by one, and TC says so; additional ones without a word. RA is set if there is somebody to
ask for other names. The serial in an SOA is constant: it matters to zone transfers, which do not exist here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from dataplane.dns.cache import is_plain, rotations
from dataplane.dns.zone import Answer, RRset
from dataplane.snapshot.model import Record, Zone

HEADER = struct.Struct("!HHHHHH")
HEADER_BYTES = 12
UDP_BYTES_MIN = 512  # RFC 1035 4.2.1
PAYLOAD_MAX = 4096  # RFC 6891 6.2.5; fragmentation, the reason for 1232 elsewhere, does not happen on a loopback
TCP_BYTES_MAX = 65535
QR, OPCODE, AA, RD, RA = 0x8000, 0x7800, 0x0400, 0x0100, 0x0080
SERIAL, REFRESH_S, RETRY_S, EXPIRE_S = 1, 7200, 1800, 86400  # the last three as CoreDNS' plugin/backend_lookup.go
PRIORITY, WEIGHT = 0, 100  # of every SRV: the specification prescribes none, all are equal
ADDRESS_BYTES = {"A": 16, "AAAA": 28}  # of a record whose owner is a pointer
TRANSFERS = (dns.rdatatype.AXFR, dns.rdatatype.IXFR)


@dataclass(frozen=True, slots=True)
class Question:
    """A message that asks something we may answer. `bytes_max` is what its sender takes on UDP."""

    message: dns.message.Message
    name: str  # in lower case
    type: str
    bytes_max: int
    wire: bytes  # the question as it came, if it is plain (`cache.is_plain`)

    @property
    def is_plain(self) -> bool:
        return bool(self.wire)

    @property
    def rdtype(self) -> int:
        return int(self.message.question[0].rdtype)


def read(data: bytes) -> Question | bytes | None:
    """A question, or the answer to what is none, or nothing to be said."""
    if len(data) < HEADER_BYTES:
        return None
    id_, flags, questions, answers, authorities, additionals = HEADER.unpack_from(data)
    if flags & QR:
        return None
    if flags & OPCODE:
        return _bare(id_, flags, dns.rcode.NOTIMP)
    if questions != 1 or answers > 1 or authorities > 1 or additionals > 2:
        return _bare(id_, flags, dns.rcode.FORMERR)
    try:
        message = dns.message.from_wire(data)
    except dns.message.UnknownTSIGKey:
        return _bare(id_, flags, dns.rcode.NOTAUTH)
    except (dns.exception.DNSException, ValueError):
        return _bare(id_, flags, dns.rcode.FORMERR)
    question = message.question[0]
    name = question.name.to_wire() or b""
    if message.edns > 0:
        return refusal(message, dns.rcode.BADVERS)
    if question.rdclass != dns.rdataclass.IN or question.rdtype in TRANSFERS:
        return refusal(message, dns.rcode.REFUSED)
    return Question(
        message,
        question.name.to_text().lower(),
        dns.rdatatype.to_text(question.rdtype),
        min(max(message.payload, UDP_BYTES_MIN), PAYLOAD_MAX) if message.edns == 0 else UDP_BYTES_MIN,
        data[HEADER_BYTES : HEADER_BYTES + len(name) + 4] if is_plain(data, name) else b"",
    )


def _bare(id_: int, flags: int, code: int) -> bytes:
    """A header and nothing else, for a message that was not understood."""
    return HEADER.pack(id_, QR | flags & (OPCODE | RD) | code, 0, 0, 0, 0)


def refusal(message: dns.message.Message, code: int) -> bytes:
    """An answer that is a code and nothing else."""
    reply = _reply(message, has_upstream=False)
    reply.set_rcode(dns.rcode.Rcode(code))
    return reply.to_wire()


def render(question: Question, answer: Answer, bytes_max: int, *, has_upstream: bool) -> list[bytes]:
    """The message that says this, in the rotations of its address set."""
    if not answer.answer and answer.denial is not None and question.wire:
        made = _denial(question, answer.code, answer.denial, has_upstream=has_upstream)
        if len(made) <= bytes_max:
            return [made]
    reply = _reply(question.message, has_upstream=has_upstream)
    reply.set_rcode(dns.rcode.Rcode(answer.code))
    if answer.is_authoritative:
        reply.flags |= dns.flags.AA
    asked = question.message.question[0].name  # in the case in which it was asked
    for rrset in answer.answer:
        reply.answer.append(_rrset(rrset, asked if rrset.owner == question.name else None))
    if answer.denial is not None:
        reply.authority.append(_rrset(RRset(answer.denial.name, "SOA", answer.denial)))
    reply.additional.extend(map(_rrset, answer.additional))
    wire = _wire(reply, bytes_max)
    size = ADDRESS_BYTES.get(answer.answer[0].type, 0) if len(answer.answer) == 1 else 0
    count = HEADER.unpack_from(wire)[3]
    return rotations(wire, HEADER_BYTES + len(asked.to_wire() or b"") + 4, size, count) if size else [wire]


def _denial(question: Question, code: int, zone: Zone, *, has_upstream: bool) -> bytes:
    """A denial put together from parts that the library made before.

    It is the answer that is most often new (each name of the outer world, below each search domain), and the library
    takes 120 us for one, most of it to compress the same three names again; these are not compressed.
    """
    message = question.message
    flags = QR | AA | (RA if has_upstream else 0) | int(message.flags) & RD | code
    opt = _opt(bool(message.ednsflags & dns.flags.DO)) if message.edns == 0 else b""
    return HEADER.pack(message.id, flags, 1, 0, 1, bool(opt)) + question.wire + _start(zone) + opt


@lru_cache(64)
def _start(zone: Zone) -> bytes:
    """The zone's SOA as it stands in a message."""
    made = BytesIO()
    _rrset(RRset(zone.name, "SOA", zone)).to_wire(made)
    return made.getvalue()


@lru_cache(2)
def _opt(is_dnssec_ok: bool) -> bytes:
    """Our OPT record as it stands in a message."""
    asked = dns.message.make_query(".", "A", use_edns=0, want_dnssec=is_dnssec_ok)
    return _reply(asked, has_upstream=False).to_wire()[HEADER_BYTES + 5 :]  # the root's question has five bytes


def ask(name: str, rdtype: int) -> bytes:
    """A question of our own, for the rest of a chain of aliases."""
    return dns.message.make_query(dns.name.from_text(name), dns.rdatatype.RdataType(rdtype), use_edns=0).to_wire()


def completed(question: Question, answer: Answer, reply: bytes | None, bytes_max: int) -> bytes:
    """An answer whose chain was followed upstream; without a reply it ends where it ends, as a failure."""
    said = _reply(question.message, has_upstream=True)
    asked = question.message.question[0].name
    said.answer.extend(_rrset(rrset, asked if rrset.owner == question.name else None) for rrset in answer.answer)
    try:
        rest = dns.message.from_wire(reply or b"")
    except (dns.exception.DNSException, ValueError):
        said.set_rcode(dns.rcode.SERVFAIL)
    else:
        said.set_rcode(rest.rcode())
        said.answer.extend(rest.answer)
        said.authority.extend(rest.authority)
    return _wire(said, bytes_max)


def is_truncated(message: bytes) -> bool:
    return len(message) >= HEADER_BYTES and bool(message[2] & 0x02)


def is_reply(data: bytes, question: bytes) -> bool:
    """Whether a message answers the question that was sent: same id, same question, whatever its letters' case."""
    end = question.find(0, HEADER_BYTES) + 5
    return (
        len(data) >= end
        and data[:2] == question[:2]
        and bool(data[2] & 0x80)
        and data[HEADER_BYTES:end].lower() == question[HEADER_BYTES:end].lower()
    )


def _reply(message: dns.message.Message, *, has_upstream: bool) -> dns.message.Message:
    reply = dns.message.make_response(message, recursion_available=has_upstream, our_payload=PAYLOAD_MAX)
    reply.ednsflags |= message.ednsflags & dns.flags.DO  # RFC 3225 section 3
    return reply


def _wire(message: dns.message.Message, bytes_max: int) -> bytes:
    wire = message.to_wire(max_size=bytes_max, prefer_truncation=True, want_shuffle=False)
    if not is_truncated(wire):
        return wire
    # the library leaves out a set as a whole; resolvers that do not know TC (musl before 1.2.4) live on what is there
    message.answer = [dns.rrset.from_rdata(rrset.name, rrset.ttl, rdata) for rrset in message.answer for rdata in rrset]
    return message.to_wire(max_size=bytes_max, prefer_truncation=True, want_shuffle=False)


def _rrset(rrset: RRset, owner: dns.name.Name | None = None) -> dns.rrset.RRset:
    zone = rrset.zone
    made: Iterable[dns.rdata.Rdata]
    if rrset.type == "SOA":
        made = [_rdata("SOA", _soa(zone))]
    elif rrset.type == "NS":
        made = [_rdata("NS", zone.nameserver)]
    else:
        made = [_rdata(record.type, TEXTS.get(record.type, _data)(record)) for record in rrset.records]
    return dns.rrset.from_rdata_list(owner or _name(rrset.owner), zone.ttl_s, made)


@lru_cache(4096)
def _name(text: str) -> dns.name.Name:
    return dns.name.from_text(text)


@lru_cache(4096)  # reading the text of a record costs more than all else about it
def _rdata(type_: str, text: str) -> dns.rdata.Rdata:
    return dns.rdata.from_text("IN", type_, text)


def _soa(zone: Zone) -> str:
    hostmaster = f"hostmaster.{zone.name}" if zone.name != "." else "hostmaster."
    return f"{zone.nameserver} {hostmaster} {SERIAL} {REFRESH_S} {RETRY_S} {EXPIRE_S} {zone.ttl_s}"


def _data(record: Record) -> str:
    return record.data


def _srv(record: Record) -> str:
    return f"{PRIORITY} {WEIGHT} {record.port} {record.data}"


def _txt(record: Record) -> str:
    escaped = record.data.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


TEXTS: dict[str, Callable[[Record], str]] = {"SRV": _srv, "TXT": _txt}

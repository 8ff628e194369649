"""What a name means: the zones and records in force, and the answer to a question about them.

The rules are those of an authoritative server (RFC 1034 section 4.3.2, RFC 2308, RFC 4592, RFC 6604, RFC 8020). Of the
zones that a name lies in the longest counts. A name exists if a record is at it or below it, and the apex of a zone
always does. A name that exists but has nothing of the type asked for is NOERROR without an answer (NODATA), one that
does not exist is NXDOMAIN; both carry the zone's SOA, so that a resolver knows how long to remember it. An alias is
followed as far as its target lies in these zones; where the chain leaves them, whoever asks upstream goes on
(`Answer.follow`). A chain's code is that of its last name.

A zone with `upstreams` answers only for names that have records and leaves all others to them (`Answer.upstreams`), as
CoreDNS does for reverse lookups with `fallthrough`. A name in no zone is SERVFAIL: nobody is here to ask, and that may
change. Names are compared without regard to case by being in lower case throughout; wildcards do not exist.

A record costs one entry in the set of its owner and one count at each of its ancestors, so an answer is a handful of
dictionary lookups however many names there are. `apply` says at which names answers may differ now, and each answer
says which names it was read from (`consulted`): that is all a cache of answers needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from dataplane.snapshot.model import Record, RecordType, Zone

NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5  # RFC 1035 4.1.1
NO_DATA = ("EMPTY", "DASHED")
CHAIN_MAX = 8  # aliases followed within one answer, as in CoreDNS' plugin/backend_lookup.go

Upstreams = tuple[tuple[str, int], ...]


class RRset(NamedTuple):
    """Records of one owner and type in a zone; an SOA and an NS have none, they are made of the zone itself."""

    owner: str
    type: str
    zone: Zone
    records: tuple[Record, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What is to be said; or, with `upstreams` and nothing else, who is to be asked instead."""

    code: int
    answer: tuple[RRset, ...] = ()
    additional: tuple[RRset, ...] = ()
    denial: Zone | None = None  # whose SOA goes into the authority section
    consulted: tuple[str, ...] = ()
    follow: str = ""  # a name of the `upstreams` at which the chain of aliases in `answer` ends
    upstreams: Upstreams = ()
    is_authoritative: bool = True


class Names:
    """All zones and records of a worker."""

    def __init__(self) -> None:
        self.zones: dict[str, Zone] = {}
        self._sets: dict[str, dict[str, dict[Record, None]]] = {}  # owner -> type -> records in order of arrival
        self._below: dict[str, int] = {}  # name -> records at it and below it

    def __repr__(self) -> str:
        return f"Names({len(self.zones)} zones, {len(self._sets)} names, {self._below.get('.', 0)} records)"

    def apply(self, gone: Iterable[Zone | Record], new: Iterable[Zone | Record]) -> frozenset[str] | None:
        """Brings a change into force; the names at which answers may differ now, or None for all."""
        touched: set[str] = set()
        everything = False
        for item in gone:
            if isinstance(item, Zone):
                del self.zones[item.name]
                everything = True
            else:
                self._remove(item, touched)
        for item in new:
            if isinstance(item, Zone):
                self.zones[item.name] = item
                everything = True
            else:
                self._add(item, touched)
        return None if everything else frozenset(touched)

    def _add(self, record: Record, touched: set[str]) -> None:
        self._sets.setdefault(record.owner, {}).setdefault(record.type, {})[record] = None
        touched.add(record.owner)
        for name in lineage(record.owner):
            count = self._below.get(name, 0)
            self._below[name] = count + 1
            if not count:
                touched.add(name)

    def _remove(self, record: Record, touched: set[str]) -> None:
        sets = self._sets[record.owner]
        del sets[record.type][record]
        if not sets[record.type]:
            del sets[record.type]
            if not sets:
                del self._sets[record.owner]
        touched.add(record.owner)
        for name in lineage(record.owner):
            self._below[name] -= 1
            if not self._below[name]:
                del self._below[name]
                touched.add(name)

    def zone_of(self, name: str) -> Zone | None:
        """The longest zone that the name lies in."""
        return next((self.zones[each] for each in lineage(name) if each in self.zones), None)

    def find(self, name: str, type_: str) -> Answer:
        """The answer to a question; `name` is absolute and in lower case."""
        chain: list[RRset] = []
        consulted: list[str] = []
        while True:
            zone = self.zone_of(name)
            if zone is None:
                code = NOERROR if chain else SERVFAIL
                return Answer(code, tuple(chain), consulted=(*consulted, name), is_authoritative=bool(chain))
            consulted.append(name)
            sets = self._sets_at(name, consulted)
            if sets is None and zone.upstreams:
                return Answer(
                    NOERROR,
                    tuple(chain),
                    consulted=tuple(consulted),
                    follow=name if chain else "",
                    upstreams=zone.upstreams,
                    is_authoritative=bool(chain),
                )
            found = _chosen(name, sets or {}, type_, zone)
            if found is not None:
                more = self._additional(found, consulted)
                return Answer(NOERROR, (*chain, found), more, consulted=tuple(consulted))
            alias = next(iter((sets or {}).get("CNAME", ())), None)
            if alias is None:
                exists = name == zone.name or name in self._below or sets is not None
                return Answer(NOERROR if exists else NXDOMAIN, tuple(chain), denial=zone, consulted=tuple(consulted))
            chain.append(RRset(name, "CNAME", zone, (alias,)))
            name = alias.data
            if name in consulted or len(chain) == CHAIN_MAX:
                return Answer(NOERROR, tuple(chain), consulted=tuple(consulted))

    def _sets_at(self, name: str, consulted: list[str]) -> Mapping[str, Iterable[Record]] | None:
        """The records at a name by type; None if there are none."""
        sets = self._sets.get(name)
        label, _, parent = name.partition(".")
        if sets is None and parent and "DASHED" in self._sets.get(parent, ()):
            consulted.append(parent)
            address = dashed(label)
            if address:
                type_: RecordType = "AAAA" if ":" in address else "A"
                return {type_: (Record(name, type_, address),)}
        return sets

    def _additional(self, found: RRset, consulted: list[str]) -> tuple[RRset, ...]:
        """The addresses of what an answer points at (RFC 2782: a server should add them)."""
        targets = dict.fromkeys(record.data for record in found.records) if found.type == "SRV" else {}
        if found.type == "NS":
            targets = {found.zone.nameserver: None}
        more = []
        for target in targets:
            zone, sets = self.zone_of(target), self._sets.get(target, {})
            consulted.append(target)
            if zone is not None:
                more += [RRset(target, kind, zone, tuple(sets[kind])) for kind in ("A", "AAAA") if kind in sets]
        return tuple(more)


def _chosen(name: str, sets: Mapping[str, Iterable[Record]], type_: str, zone: Zone) -> RRset | None:
    """The set that answers the question; for ANY one of them is enough (RFC 8482 section 4.1)."""
    if name == zone.name and type_ in ("SOA", "NS", "ANY"):
        return RRset(name, "NS" if type_ == "NS" else "SOA", zone)
    if type_ == "ANY":
        type_ = next((each for each in sets if each not in NO_DATA), "")
    records = tuple(sets.get(type_, ()))
    return RRset(name, type_, zone, records) if records else None


def lineage(name: str) -> Iterable[str]:
    """The name and all its ancestors, up to the root."""
    while name != ".":
        yield name
        name = name.partition(".")[2] or "."
    yield name


def dashed(label: str) -> str:
    """The address that a label spells with dashes, or "": 10-0-0-1, 2001-db8--1 (CoreDNS' pod records)."""
    try:
        if label.count("-") == 3 and "--" not in label:
            return str(IPv4Address(label.replace("-", ".")))
        return str(IPv6Address(label.replace("-", ":")))
    except ValueError:
        return ""

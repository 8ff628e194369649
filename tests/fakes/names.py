"""A small cluster's names, a plain twin of how they are found, and raw questions."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable

import dns.message

from dataplane.dns.zone import CHAIN_MAX, NOERROR, NXDOMAIN, SERVFAIL, Answer, dashed
from dataplane.snapshot.model import Record, Zone

ZONE = Zone("cluster.local.", "ns.dns.cluster.local.", 30)
SVC = "default.svc.cluster.local."


def svc(name: str) -> str:
    return f"{name}.{SVC}"


RECORDS = (
    Record("ns.dns.cluster.local.", "A", "127.96.0.10"),
    Record("dns-version.cluster.local.", "TXT", "1.1.0"),
    Record(SVC, "EMPTY"),
    Record("default.pod.cluster.local.", "DASHED"),
    Record(svc("web"), "A", "127.96.0.9"),
    Record(svc("_http._tcp.web"), "SRV", svc("web"), 80),
    *(Record(svc("db"), "A", f"127.244.0.{last}") for last in (1, 2, 3)),
    *(Record(svc(f"db-{last}.db"), "A", f"127.244.0.{last}") for last in (1, 2, 3)),
    *(Record(svc("_pg._tcp.db"), "SRV", svc(f"db-{last}.db"), 5432) for last in (1, 2, 3)),
    Record(svc("alias"), "CNAME", svc("web")),
    Record(svc("broken"), "CNAME", svc("nobody")),
    Record(svc("ring-a"), "CNAME", svc("ring-b")),
    Record(svc("ring-b"), "CNAME", svc("ring-a")),
    Record(svc("outside"), "CNAME", "www.example.com."),
)


def spell(answer: Answer) -> tuple[int, list[tuple[str, str, list[str]]], bool, str]:
    """What an answer says, without where it was read from."""
    sets = [(rrset.owner, rrset.type, sorted(each.data for each in rrset.records)) for rrset in answer.answer]
    return answer.code, sets, answer.denial is not None, answer.follow


def found_plainly(
    zones: Iterable[Zone], records: Iterable[Record], name: str, type_: str
) -> tuple[int, list[tuple[str, str, list[str]]], bool, str]:
    """What `Names.find` must say about A, AAAA, CNAME, SRV and TXT, by looking at every record each time."""
    zones, records = list(zones), list(records)
    said: list[tuple[str, str, list[str]]] = []
    seen: list[str] = []
    while True:
        within = [zone for zone in zones if zone.name == "." or name == zone.name or name.endswith(f".{zone.name}")]
        if not within:
            return (NOERROR if said else SERVFAIL), said, False, ""
        zone = max(within, key=lambda zone: len(zone.name))
        here = [record for record in records if record.owner == name]
        label, _, parent = name.partition(".")
        if not here and any(record.owner == parent and record.type == "DASHED" for record in records):
            address = dashed(label)
            here = [Record(name, "AAAA" if ":" in address else "A", address)] if address else []
        if not here and zone.upstreams:
            return NOERROR, said, False, name if said else ""
        data = sorted(record.data for record in here if record.type == type_)
        if data:
            return NOERROR, [*said, (name, type_, data)], False, ""
        alias = next((record.data for record in here if record.type == "CNAME"), None)
        if alias is None:
            exists = here or name == zone.name or any(record.owner.endswith(f".{name}") for record in records)
            return (NOERROR if exists else NXDOMAIN), said, True, ""
        seen.append(name)
        said.append((name, "CNAME", [alias]))
        name = alias
        if name in seen or len(said) == CHAIN_MAX:
            return NOERROR, said, False, ""


def question(name: str, type_: str = "A", *, edns: int | None = None) -> bytes:
    """A query as a resolver sends it."""
    if edns is None:
        return dns.message.make_query(name, type_).to_wire()
    return dns.message.make_query(name, type_, use_edns=0, payload=edns).to_wire()


def data_in(reply: bytes) -> list[str]:
    """What the answer section says, without owners and times, in its order."""
    return [rdata.to_text() for rrset in dns.message.from_wire(reply).answer for rdata in rrset]


async def exchange(address: tuple[str, int], *messages: bytes, wait_s: float = 5.0) -> list[bytes]:
    """Sends each datagram and waits for its answer."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect(address)
        replies = []
        for message in messages:
            await loop.sock_sendall(sock, message)
            async with asyncio.timeout(wait_s):
                replies.append(await loop.sock_recv(sock, 65536))
        return replies

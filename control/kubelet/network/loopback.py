"""Pod addresses in loopback mode: each pod gets its own address of its node's /24, and must listen on it.

Addresses go round: the next free one after the last given, so that one is not reused until all others had their turn;
a client with an old address is refused instead of meeting a stranger. Who holds which address is not kept here but in
the pods' statuses and the processes' labels, from which `claim` restores it after a crash.

All pods share one network namespace, so a process that listens on 0.0.0.0 takes its port from every pod of the
machine. `bind_conflict` recognises the victim (its log ends in "address already in use"), `wildcard_ports` the culprit
(a listening wildcard socket in /proc/net/tcp that belongs to the pod's processes); the event that follows says what
to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Network

IN_USE = re.compile(
    r"EADDRINUSE|address (is )?already in use|Errno 98|errno: 98|bind: address|could not bind", re.IGNORECASE
)
LISTENING = "0A"
ADVICE = (
    "in loopback network mode all pods share the machine's network: "
    "listen on $POD_IP ({ip}) instead of 0.0.0.0 or localhost"
)


class PoolEmpty(Exception):
    """No address is left in the node's range."""


class Pool:
    """The addresses of one node's pods; the network's own, the first and the last are not given out."""

    def __init__(self, cidr: str) -> None:
        network = IPv4Network(cidr)
        self.cidr = cidr
        self._addresses = [str(network.network_address + offset) for offset in range(2, network.num_addresses - 1)]
        self._place = {address: place for place, address in enumerate(self._addresses)}
        self._held: dict[str, str] = {}
        self._next = 0

    def __repr__(self) -> str:
        return f"<Pool {self.cidr} {len(self._held)} of {len(self._addresses)} in use>"

    def allocate(self, uid: str) -> str:
        """The pod's address; the same one when it has one already."""
        for address, holder in self._held.items():
            if holder == uid:
                return address
        for step in range(len(self._addresses)):
            place = (self._next + step) % len(self._addresses)
            address = self._addresses[place]
            if address not in self._held:
                self._held[address] = uid
                self._next = place + 1
                return address
        raise PoolEmpty(f"no free address in {self.cidr}: {len(self._addresses)} pods hold one each")

    def claim(self, uid: str, address: str) -> bool:
        """The pod has this address already; False if it is another's or none of this range."""
        if address not in self._place or self._held.get(address, uid) != uid:
            return False
        self._held[address] = uid
        self._next = max(self._next, self._place[address] + 1)
        return True

    def release(self, uid: str) -> None:
        for address in [address for address, holder in self._held.items() if holder == uid]:
            del self._held[address]


class Loopback:
    """The network of all nodes of the machine; `nodes` are (name, pod range)."""

    def __init__(self, nodes: Iterable[tuple[str, str]]) -> None:
        self.pools = {name: Pool(cidr) for name, cidr in nodes}

    def __repr__(self) -> str:
        return f"<Loopback {', '.join(map(repr, self.pools.values()))}>"

    def allocate(self, node: str, uid: str) -> str:
        return self.pools[node].allocate(uid)

    def claim(self, node: str, uid: str, address: str) -> bool:
        return node in self.pools and self.pools[node].claim(uid, address)

    def release(self, node: str, uid: str) -> None:
        if node in self.pools:
            self.pools[node].release(uid)


def bind_conflict(log_tail: str) -> bool:
    """Whether the last words of a process say that its port was taken."""
    return bool(IN_USE.search(log_tail))


def wildcard_ports(proc_net_tcp: str, inodes: Iterable[str]) -> list[int]:
    """The ports on which sockets of `inodes` listen on all addresses, from /proc/net/tcp's (or tcp6's) text."""
    wanted = set(inodes)
    found = set()
    for line in proc_net_tcp.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 10 or fields[3] != LISTENING or fields[9] not in wanted:
            continue
        address, _, port = fields[1].partition(":")
        if not address.strip("0"):
            found.add(int(port, 16))
    return sorted(found)


def wildcard_message(container: str, ports: Iterable[int], ip: str) -> str:
    listed = ", ".join(map(str, ports))
    return f"Container {container} listens on all addresses (0.0.0.0) at port {listed}; {ADVICE.format(ip=ip)}"


def conflict_message(container: str, ip: str) -> str:
    why = "its port was taken, perhaps by a process that listens on all addresses"
    return f"Container {container} ended because {why}; {ADVICE.format(ip=ip)}"

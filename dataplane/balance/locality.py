"""From a client's address to the node that it counts as being on.

On one machine all clients are here. What tells them apart is the address that they come from: a pod that binds its
own address is on its node, and so is whoever binds one of that node's range; everybody else is where the widest range
says. Of the ranges that hold an address the longest prefix counts, as in a routing table.

Answers are remembered, at most `KNOWN_MAX` of them: a client's address does not change its node.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from dataplane.balance.usable import ANYWHERE, Place
from dataplane.snapshot.model import Node

KNOWN_MAX = 4096


class Localities:
    """All nodes; immutable: another set of nodes is another object."""

    def __init__(self, nodes: Iterable[Node] = ()) -> None:
        self._nodes = {node.name: node for node in nodes}
        ranges: list[tuple[IPv4Network | IPv6Network, str]] = [
            (ip_network(text), node.name) for node in self._nodes.values() for text in node.ranges
        ]
        self._ranges = sorted(ranges, key=lambda item: (-item[0].prefixlen, item[1]))
        self._known: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Localities({len(self._nodes)} nodes, {len(self._ranges)} ranges)"

    def node_of(self, client: str) -> str:
        """The node that an address counts as being on; "" if none."""
        known = self._known.get(client)
        if known is None:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            known = self._known[client] = self._find(client)
        return known

    def place(self, node: str, *, local: bool) -> Place:
        """The place of traffic from a node."""
        found = self._nodes.get(node)
        if found is None and not local:
            return ANYWHERE
        return Place(node, found.zone if found is not None else "", local)

    def _find(self, client: str) -> str:
        try:
            address = ip_address(client)
        except ValueError:  # a client without an address: a unix socket
            return ""
        return next((name for network, name in self._ranges if address in network), "")

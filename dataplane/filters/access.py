"""Who may come in, by address: nginx's allow and deny as ingress-nginx writes them.

First all networks of `deny`, then those of `allow`, then everybody else: out if there is an `allow`, in if there is
none. The answer is 403. The address is that of the connection; what a client says about itself in X-Forwarded-For
counts for nothing.
"""

from __future__ import annotations

from http import HTTPStatus
from ipaddress import ip_address, ip_network

from dataplane.filters.passage import Answer, Asked, Passage, refusal

REMEMBERED_MAX = 1024  # addresses whose answer is remembered: taking one apart costs more than all the rest


class Networks:
    """A set of networks and addresses."""

    __slots__ = ("_known", "_networks")

    def __init__(self, networks: tuple[str, ...]) -> None:
        self._networks = tuple(ip_network(each, strict=False) for each in networks)
        self._known: dict[str, bool] = {}

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, client: str) -> bool:
        known = self._known.get(client)
        if known is None:
            if len(self._known) >= REMEMBERED_MAX:
                self._known.clear()
            known = self._known[client] = self._look(client)
        return known

    def _look(self, client: str) -> bool:
        try:
            address = ip_address(client.partition("%")[0])
        except ValueError:
            return False  # a client without an address (a unix socket) is in no network
        return any(address in network for network in self._networks)


class Access:
    """The filter."""

    __slots__ = ("_allow", "_deny")

    def __init__(self, allow: tuple[str, ...], deny: tuple[str, ...]) -> None:
        self._allow = Networks(allow)
        self._deny = Networks(deny)

    def __call__(self, asked: Asked, passage: Passage) -> Answer | None:
        if asked.client in self._deny or (self._allow and asked.client not in self._allow):
            return refusal(HTTPStatus.FORBIDDEN)
        return None

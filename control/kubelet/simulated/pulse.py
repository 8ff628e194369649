"""Keeps simulated nodes alive: one task walks round them all, renewing a lease at a time.

A node that is new is told its status, labels and lease at once. Afterwards the walk is spread evenly and bounded in its
rate (`nodes.renew_s`): a thousand nodes cost no more than fifty, with leases that last accordingly longer. A status is
written anew when it would say something else, or every five minutes or the second walk, whichever is later.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from datetime import datetime

from control.api.kinds import LEASE, NODE
from control.api.objects import Object, format_micro_time, name_of, spec_of, status_of, uid_of
from control.api.status import StatusError
from control.config.clock import Clock
from control.kubelet.knobs import Knobs
from control.kubelet.nodes import LEASE_NAMESPACE, NodeIdentity, has_changed, lease
from control.kubelet.simulated.addresses import Addresses
from control.kubelet.simulated.nodes import (
    BEATS_A_LEASE,
    internal_address,
    made_node,
    missing_labels,
    renew_s,
    status_of_node,
)
from control.mirror.client import Client
from control.mirror.recorder import Recorder

logger = logging.getLogger(__name__)
NODE_CIDR = "198.18.0.0/15"


class Pulse:
    """`put` and `remove` say which nodes there are; `make` are created once, if they do not exist."""

    def __init__(
        self,
        client: Client,
        knobs: Knobs,
        clock: Clock,
        recorder: Recorder,
        *,
        make: Sequence[str] = (),
    ) -> None:
        self.client, self.knobs, self.clock, self.recorder = client, knobs, clock, recorder
        self.make = make
        self.nodes: dict[str, Object] = {}
        self.fresh: dict[str, None] = {}  # names of nodes that were not told anything yet
        self.status_at: dict[str, datetime] = {}
        self.leased: set[str] = set()
        self.addresses = Addresses(NODE_CIDR)
        self.news = asyncio.Event()
        self.renewals = 0

    def __repr__(self) -> str:
        return f"<Pulse {len(self.nodes)} nodes, {self.renewals} renewals>"

    def put(self, node: Object) -> None:
        name = name_of(node)
        known = self.nodes.get(name)
        self.nodes[name] = node
        if known is None or uid_of(known) != uid_of(node):
            self.addresses.give(name, internal_address(node))
            self.fresh[name] = None
            self.news.set()
        elif has_changed(node, self.status(node)):
            self.fresh[name] = None
            self.news.set()

    def remove(self, name: str) -> None:
        del self.nodes[name]
        self.fresh.pop(name, None)
        self.status_at.pop(name, None)
        self.leased.discard(name)
        self.addresses.take_back(name)

    def address_of(self, name: str) -> str:
        return self.addresses.give(name) if name in self.nodes else ""

    def status(self, node: Object) -> Object:
        return status_of_node(node, self.address_of(name_of(node)), self.clock.now())

    async def run(self) -> None:
        for name in self.make:
            await self.attempt(name, self.create(name))
        place = 0
        while True:
            while self.fresh:
                name = next(iter(self.fresh))
                del self.fresh[name]
                await self.attempt(name, self.welcome(name))
            self.news.clear()
            try:
                async with asyncio.timeout(self.pause_s()):
                    await self.news.wait()
                continue
            except TimeoutError:
                pass
            names = list(self.nodes)
            place = (place + 1) % len(names)
            await self.attempt(names[place], self.beat(names[place]))

    def pause_s(self) -> float | None:
        """Until the next renewal; None without nodes."""
        count = len(self.nodes)
        return self.clock.delay_s(renew_s(count, self.knobs.lease_renew_s) / count) if count else None

    async def attempt(self, name: str, work: Awaitable[None]) -> None:
        try:
            await work
        except StatusError as error:
            if error.reason not in ("NotFound", "Conflict"):
                logger.warning("simulated node %s: %s", name, error.message)
        except (ConnectionError, TimeoutError) as error:
            logger.debug("simulated node %s: %s", name, error or type(error).__name__)
            await asyncio.sleep(self.knobs.reconnect_s)
            self.fresh[name] = None

    async def create(self, name: str) -> None:
        try:
            await self.client.create(NODE, made_node(name))
        except StatusError as error:
            if error.reason != "AlreadyExists":
                raise

    async def welcome(self, name: str) -> None:
        node = self.nodes.get(name)
        if node is None:
            return
        labels = missing_labels(node)
        if labels:
            await self.client.patch(NODE, "", name, {"metadata": {"labels": labels}})
        if spec_of(node).get("podCIDR"):
            text = "spec.podCIDR is not used: pods of simulated nodes have addresses of a range of their own"
            self.recorder.emit({**node, "apiVersion": "v1", "kind": "Node"}, "Warning", "PodCIDRNotUsed", text)
        await self.report(node)
        await self.renew(node)

    async def beat(self, name: str) -> None:
        node = self.nodes[name]
        await self.renew(node)
        told = self.status_at.get(name)
        if told is None or (self.clock.now() - told).total_seconds() >= self.knobs.node_status_s:
            await self.report(node)

    async def report(self, node: Object) -> None:
        wanted = self.status(node)
        self.status_at[name_of(node)] = self.clock.now()
        if status_of(node) != wanted:
            await self.client.patch(NODE, "", name_of(node), {"status": wanted}, subresource="status")

    async def renew(self, node: Object) -> None:
        name = name_of(node)
        duration_s = int(BEATS_A_LEASE * renew_s(len(self.nodes), self.knobs.lease_renew_s))
        self.renewals += 1
        if name in self.leased:
            times = {"renewTime": format_micro_time(self.clock.now()), "leaseDurationSeconds": duration_s}
            patch = {"spec": {"holderIdentity": name, **times}}
            try:
                await self.client.patch(LEASE, LEASE_NAMESPACE, name, patch)
                return
            except StatusError as error:
                if error.reason != "NotFound":
                    raise
        made = lease(NodeIdentity(name, "", ""), uid_of(node), duration_s, self.clock.now())
        try:
            await self.client.create(LEASE, made)
        except StatusError as error:
            if error.reason != "AlreadyExists":
                raise
        self.leased.add(name)

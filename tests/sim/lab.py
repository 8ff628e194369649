"""A whole cluster in one event loop whose time is a number: the real store, API server, mirrors and controllers.

What is simulated is only what would need processes: kubelets (`SimulatedKubelet`) and the wire between control and its
server (`FaultyClient`). `control` runs as it does in production, and may be killed: all that it had in memory is lost,
and its successor lists everything anew. Every write is seen at the instant at which it takes effect (`WatchedStore`),
by the kubelets and by whoever checks laws.

All chance comes from one seed, and nothing waits on a real clock, so that a run can be had again, write by write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from control.api.kinds import EVENT, Kind
from control.api.objects import Key, Object
from control.apiserver.auth import Authenticator
from control.apiserver.local import LocalClient
from control.apiserver.server import ApiServer
from control.config.clock import Clock
from control.controllers.action import Action, Emit
from control.controllers.controller import Controller
from control.controllers.run import Runner
from control.controllers.table import all_controllers
from control.mirror.mirror import Mirror
from tests.fakes.faulty_client import Faults, FaultyClient, Rates
from tests.fakes.simulated_kubelet import SimulatedKubelet
from tests.fakes.virtual_loop import VirtualLoop
from tests.fakes.watched_store import WatchedStore

RESTART_S = 1.0  # the supervisor starts a killed control again at once; lists and imports take about this long
QUIET_S = 700.0  # longer than what a controller waits for here: back-offs (360 s at most) and deadlines
SETTLED_MAX_S = 20_000.0


class Control:
    """One life of the control process."""

    def __init__(self, lab: Lab) -> None:
        self.client = FaultyClient(lab.client, lab.faults, lab.note)
        self.controllers: Sequence[Controller] = all_controllers(ca_pem="PEM")
        kinds = {kind for controller in self.controllers for kind in controller.watches}
        self.mirror = Mirror(self.client, sorted(kinds, key=str))
        self.runner = Runner(self.client, self.mirror, self.controllers, clock=Clock(machine=lab.loop.clock))
        self.mirror.start()
        self.runner.start()

    async def end(self) -> None:
        self.client.is_alive = False
        await self.runner.close()
        await self.mirror.close()


class Lab:
    """`async with` it on a virtual loop."""

    def __init__(self, seed: int) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.loop = loop
        self.rng = Random(seed)
        self.faults = Faults(Random(self.rng.random()))
        self.faults.die = self._killed
        self.transcript: list[str] = []
        self.broken_laws: list[str] = []
        self.store = WatchedStore(clock=loop.time)
        self.world = self.store.world
        auth = Authenticator(signing_key=b"a key of the simulation", clock=loop.clock)
        self.server = ApiServer(
            self.store, auth=auth, service_cidr="127.96.0.0/16", clock=loop.clock, rng=Random(self.rng.random())
        )
        self.client: LocalClient = self.server.client()
        self.kubelet = SimulatedKubelet(self.client, self.world, loop.clock, Random(self.rng.random()), self.note)
        self.store.listeners += [self.kubelet.changed, self._heard]
        self.control: Control | None = None
        self.lives = 0
        self._last_write = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Lab:
        await self.server.prepare("127.0.0.1", 6443)
        self._begin()
        return self

    async def __aexit__(self, *error: object) -> None:
        self.kubelet.close()
        if self.control is not None:
            await self.control.end()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.server.stop()
        await self.store.close()

    def note(self, who: str, what: str) -> None:
        self.transcript.append(f"{self.loop.time():10.3f}  {who:28} {what}")

    def check(self, laws: Sequence[Callable[[Kind, Object | None, Object | None], str]]) -> None:
        """From now on each write is judged; a law answers with what is wrong, or ""."""

        def judge(kind: Kind, old: Object | None, new: Object | None) -> None:
            for law in laws:
                wrong = law(kind, old, new)
                if wrong:
                    self.broken_laws.append(f"{self.loop.time():.3f} s: {wrong}")
                    self.note("LAW BROKEN", wrong)

        self.store.listeners.append(judge)

    # The control process

    def kill(self) -> None:
        """Control dies now; a successor comes."""
        if self.control is not None:
            self.faults.injected["killed"] += 1
            self._killed()

    def _begin(self) -> None:
        self.lives += 1
        self.control = Control(self)

    def _killed(self) -> None:
        dead, self.control = self.control, None
        if dead is None:
            return
        dead.client.is_alive = False
        self.note("control", "is killed")
        task = asyncio.ensure_future(self._succeed(dead))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _succeed(self, dead: Control) -> None:
        await dead.end()
        await asyncio.sleep(RESTART_S)
        self.note("control", "starts")
        self._begin()

    # Time and rest

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def _heard(self, kind: Kind, old: Object | None, new: Object | None) -> None:
        if kind != EVENT:
            self._last_write = self.loop.time()

    async def settle(self) -> None:
        """Without faults, until nothing was written for longer than anybody waits."""
        self.faults.rates = Rates()
        end = self.loop.time() + SETTLED_MAX_S
        while self.loop.time() < end:
            rest_s = self._last_write + QUIET_S - self.loop.time()
            if rest_s <= 0 and self.control is not None:
                return
            await asyncio.sleep(max(rest_s, 1.0))
        raise AssertionError(f"not settled after {SETTLED_MAX_S:.0f} s: writes go on")

    def writes_at_rest(self) -> list[tuple[str, Key, Action]]:
        """What controllers that know nothing but the world would still write."""
        found: list[tuple[str, Key, Action]] = []
        now = self.loop.clock()
        for controller in all_controllers(ca_pem="PEM"):
            keys = {
                key
                for kind, wakes in controller.watches.items()
                for obj in self.world.list(kind)
                for key in wakes(self.world, obj)
            }
            for key in sorted(keys):
                outcome = controller.reconcile(self.world, key, now)
                found += [(controller.name, key, action) for action in outcome.actions if not isinstance(action, Emit)]
        return found

    def calmer(self, **rates: float) -> None:
        self.faults.rates = replace(self.faults.rates, **rates)  # type: ignore[arg-type]

"""The shell of all controllers: wakes keys, asks `reconcile`, performs what it answers.

A change in the mirror wakes the keys that each controller's `watches` names, for the old and the new version. A key is
reconciled on the world as it is then; its actions are performed in order (new pods in waves, see `waves`), and the
first that fails stops the rest and brings the key back after a back-off. One key of a controller at a time by default
(`concurrency` on a controller allows more), different controllers side by side: a decision that counts over many
objects, as the scheduler's, must not be taken while the one before is still on its way.

Own writes are taken into the mirror at once, and after a deletion or a binding the key waits until the mirror shows
it, so that no controller decides again on a world without its own deeds (client-go's controllers keep "expectations"
for this). What the server refuses falls in three classes: the goal is reached already (a create that finds its object,
a delete that finds nothing) and the list goes on; the world moved on (Conflict, NotFound) and the key comes back,
which is everyday life; anything else is a failure, logged. A key that makes `reconcile` raise harms no other key.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from control.api.kinds import Kind
from control.api.objects import Key, Object
from control.config.clock import REAL, Clock
from control.controllers.action import Action, Emit, Outcome
from control.controllers.controller import Controller, Wakes
from control.controllers.perform import Performer, Refused, Stopped
from control.controllers.queue import BACKOFF_MAX_S, Queue
from control.controllers.waves import Deed, waves
from control.mirror.client import Client
from control.mirror.mirror import Mirror
from control.mirror.recorder import Recorder

logger = logging.getLogger(__name__)

KEYS_AT_ONCE = 32
"""Reconciled before other tasks of the loop get their turn; one reconcile takes some 0.1 ms."""


@dataclass(slots=True)
class Tally:
    """What a controller has done."""

    reconciles: int = 0
    failures: int = 0  # reconcile raised, or the server refused
    conflicts: int = 0  # the world had moved on
    actions: Counter[str] = field(default_factory=Counter)  # by the action's name


@dataclass(slots=True)
class _Desk:
    """One controller at work."""

    controller: Controller
    recorder: Recorder
    concurrency: int
    queue: Queue
    tally: Tally = field(default_factory=Tally)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


class Runner:
    """Runs `controllers` over `mirror` (which somebody else starts and closes) from when it is synced.

    `clock` tells the time of day that `reconcile` gets, and how long its durations take here.
    """

    def __init__(
        self,
        client: Client,
        mirror: Mirror,
        controllers: Sequence[Controller],
        *,
        clock: Clock = REAL,
    ) -> None:
        self._mirror = mirror
        self._clock = clock
        self._performer = Performer(client, mirror)
        self._desks = [
            _Desk(
                each,
                Recorder(client, each.name, clock=clock.now),
                int(getattr(each, "concurrency", 1)),
                Queue(clock.delay_s(BACKOFF_MAX_S)),
            )
            for each in controllers
        ]
        self._watchers: dict[Kind, list[tuple[_Desk, Wakes]]] = {}
        for desk in self._desks:
            for kind, wakes in desk.controller.watches.items():
                self._watchers.setdefault(kind, []).append((desk, wakes))
        self._awake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._synced = False
        mirror.subscribe(self._changed)

    def start(self) -> None:
        self._task = asyncio.ensure_future(self._work())

    async def run(self) -> None:
        """Works until it is cancelled."""
        self.start()
        assert self._task is not None
        try:
            await self._task
        finally:
            await self.close()

    async def close(self) -> None:
        """Stops; actions that are under way are cut off (they are safe to repeat), events are sent."""
        tasks = [task for desk in self._desks for task in desk.tasks]
        if self._task is not None:
            tasks.append(self._task)
            self._task = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(desk.recorder.close() for desk in self._desks))

    def statistics(self) -> dict[str, dict[str, object]]:
        """By controller: its tally, and how many keys wait."""
        return {
            desk.controller.name: {
                "reconciles": desk.tally.reconciles,
                "failures": desk.tally.failures,
                "conflicts": desk.tally.conflicts,
                "actions": dict(desk.tally.actions),
                "events_written": desk.recorder.written,
                "events_dropped": desk.recorder.dropped,
                "queue_added": desk.queue.added,
                "queue_length": len(desk.queue),
            }
            for desk in self._desks
        }

    async def settled(self) -> None:
        """Returns when no key waits or is worked on (timed ones aside); for tests and orderly ends."""
        while not self._synced or any(desk.tasks or len(desk.queue) for desk in self._desks):
            await asyncio.sleep(0)

    # Waking

    def _changed(self, kind: Kind, old: Object | None, new: Object | None) -> None:
        for desk, wakes in self._watchers.get(kind, ()):
            for obj in (old, new):
                if obj is not None:
                    self._wake(desk, wakes, kind, obj)

    def _wake(self, desk: _Desk, wakes: Wakes, kind: Kind, obj: Object) -> None:
        try:
            for key in wakes(self._mirror.world, obj):
                desk.queue.add(key)
        except Exception:
            desk.tally.failures += 1
            logger.exception("%s cannot tell whom a change of a %s concerns", desk.controller.name, kind.kind)
        self._awake.set()

    # Working

    async def _work(self) -> None:
        await self._mirror.synced.wait()
        # What was told during the first lists was judged on half a world.
        for kind, watchers in self._watchers.items():
            for desk, wakes in watchers:
                for obj in self._mirror.world.list(kind):
                    self._wake(desk, wakes, kind, obj)
        self._synced = True
        loop = asyncio.get_running_loop()
        while True:
            self._awake.clear()
            worked = 0
            for desk in self._desks:
                worked += self._serve(desk, loop)
            if worked:
                await asyncio.sleep(0)
                continue
            wait_s = self._idle_s(loop.time())
            if wait_s is None:
                await self._awake.wait()
            elif wait_s > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._awake.wait()

    def _idle_s(self, now: float) -> float | None:
        """Until a key is due of a controller that may take one; None: not before something happens."""
        due = [desk.queue.next_at() for desk in self._desks if len(desk.tasks) < desk.concurrency]
        return max(0.0, min(at for at in due if at is not None) - now) if any(at is not None for at in due) else None

    def _serve(self, desk: _Desk, loop: asyncio.AbstractEventLoop) -> int:
        """Reconciles some keys of a controller; returns how many."""
        for count in range(KEYS_AT_ONCE):
            if len(desk.tasks) >= desk.concurrency:
                return count
            key = desk.queue.pop(loop.time())
            if key is None:
                return count
            outcome = self._reconcile(desk, key, loop)
            if outcome is None:
                desk.queue.done(key)
                continue
            if outcome.wake_at is not None:
                delay_s = self._clock.delay_s((outcome.wake_at - self._clock.now()).total_seconds())
                desk.queue.add_at(key, loop.time() + max(0.0, delay_s))
            if outcome.actions:
                task = loop.create_task(self._perform(desk, key, outcome), name=desk.controller.name)
                desk.tasks.add(task)
                task.add_done_callback(partial(self._performed, desk, key))
            else:
                desk.queue.forget(key)
                desk.queue.done(key)
        return KEYS_AT_ONCE

    def _reconcile(self, desk: _Desk, key: Key, loop: asyncio.AbstractEventLoop) -> Outcome | None:
        desk.tally.reconciles += 1
        try:
            return desk.controller.reconcile(self._mirror.world, key, self._clock.now())
        except Exception as error:
            desk.tally.failures += 1
            first = desk.queue.failures(key) == 0
            delay_s = desk.queue.fail(key, loop.time())
            text = "%s failed on %s %s: %r; again in %.3f s"
            logger.error(text, desk.controller.name, desk.controller.kind.kind, key, error, delay_s, exc_info=first)
            return None

    def _performed(self, desk: _Desk, key: Key, done: asyncio.Task[None]) -> None:
        desk.tasks.discard(done)
        desk.queue.done(key)
        self._awake.set()

    async def _perform(self, desk: _Desk, key: Key, outcome: Outcome) -> None:
        try:
            await self._in_order(desk, outcome.actions)
        except Stopped as stopped:
            desk.tally.conflicts += 1
            self._again(desk, key, stopped, logging.DEBUG)
        except Refused as refused:
            desk.tally.failures += 1
            self._again(desk, key, refused, logging.WARNING)
            if refused.instead:
                await self._tell(desk, key, refused.instead)
        except (ConnectionError, TimeoutError) as error:
            desk.tally.failures += 1
            self._again(desk, key, error, logging.WARNING)
        except Exception as error:
            desk.tally.failures += 1
            self._again(desk, key, error, logging.ERROR)
            logger.exception("%s could not act on %s %s", desk.controller.name, desk.controller.kind.kind, key)
        else:
            desk.queue.forget(key)

    def _again(self, desk: _Desk, key: Key, error: Exception, level: int) -> None:
        failures = desk.queue.failures(key)
        delay_s = desk.queue.fail(key, asyncio.get_running_loop().time())
        if level == logging.WARNING and failures & (failures + 1):
            level = logging.DEBUG  # say it again only after 1, 2, 4, 8 ... failures
        text = "%s stopped on %s %s: %s; again in %.3f s"
        logger.log(level, text, desk.controller.name, desk.controller.kind.kind, key, error, delay_s)

    async def _tell(self, desk: _Desk, key: Key, actions: Sequence[Action]) -> None:
        """What is to be written when the server refused an object; its own failures change nothing any more."""
        try:
            await self._in_order(desk, actions)
        except (Stopped, Refused, ConnectionError, TimeoutError) as error:
            logger.debug("%s could not tell about %s: %s", desk.controller.name, key, error)

    async def _in_order(self, desk: _Desk, actions: Sequence[Action]) -> None:
        for wave in waves(actions):
            if len(wave) == 1:
                await self._do(desk, wave[0])
                continue
            answers = await asyncio.gather(*(self._do(desk, deed) for deed in wave), return_exceptions=True)
            failures = [answer for answer in answers if isinstance(answer, BaseException)]
            if failures:
                raise _joined(failures)

    async def _do(self, desk: _Desk, deed: Deed) -> None:
        action = deed.action
        desk.tally.actions[type(action).__name__] += 1
        if isinstance(action, Emit):
            desk.recorder.emit(action.regarding, action.type, action.reason, action.message)
            return
        followed = await self._performer.perform(action)
        for event in deed.events:
            desk.tally.actions["Emit"] += 1
            desk.recorder.emit(event.regarding, event.type, event.reason, event.message)
        await self._in_order(desk, followed)


def _joined(failures: Sequence[BaseException]) -> BaseException:
    """The first failure of a wave; if it was refused, with the events of all that were."""
    first = next((one for one in failures if isinstance(one, Refused)), failures[0])
    if not isinstance(first, Refused):
        return first
    others = [one for one in failures if isinstance(one, Refused) and one is not first]
    events = [action for one in others for action in one.instead if isinstance(action, Emit)]
    return Refused(first.error, (*events, *first.instead))

"""What a controller is: a name, the kind of its keys, what wakes it, and one pure function.

The shell (`run`) calls `watches[kind](world, obj)` for the old and the new version of every object that changed, after
the world has taken the change in, and puts the keys that it yields into the controller's queue; a removed object is
passed once, as it was last seen. Keys are names of work, not promises: the same key may come twice, late, or for an
object that is gone, and `reconcile` looks at the world alone. So the three laws hold for every controller: it settles
(no writes once the world is as wanted), it ignores order, and it is safe on a stale world.

How the last law is kept, since a mirror may lag behind: whatever a decision depends on is checked again by the server,
as the resourceVersion of an update, the UID of a delete, or a name that only this decision can make up. Where a
decision depends on several objects, the update of one of them comes first, as a fence, and stops the rest when it
fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Protocol

from control.api.kinds import Kind
from control.api.objects import Key, Object
from control.controllers.action import Outcome
from control.mirror.world import World

Wakes = Callable[[World, Object], Iterable[Key]]
"""Which keys of a controller an object concerns."""


class Controller(Protocol):
    """`name` is also the source of its events (`deployment-controller`); keys are those of objects of `kind`.

    An attribute `concurrency` says how many keys may be worked on side by side (default 1). One key never is twice.
    """

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> Kind: ...

    @property
    def watches(self) -> Mapping[Kind, Wakes]: ...

    def reconcile(self, world: World, key: Key, now: datetime) -> Outcome: ...

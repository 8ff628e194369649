"""What a controller may ask for: writes to the API, as values.

A controller never calls the API. It returns actions, and the shell (`run`) performs them in order, stopping at the
first that fails; the key is then retried with a back-off. Every write is safe on a stale world: creates have
deterministic names (a repeat is AlreadyExists, which the shell treats as done), updates carry the resourceVersion
that the decision was made on, deletes carry the UID. Conflict and NotFound mean "the world moved on": the shell waits
for the mirror. An update is performed even if it changes nothing, because it may stand there as a fence: what follows
it happens only if the object is still the one that was decided on. `Absent`, `NoneOf` and `Purge` are the questions
that a mirror cannot answer ("is it really not there?"); the shell asks the server and stops the list if the answer is
no. `Ask` reads what no mirror can have, and `Rescale` has consequences that depend on the server's answer; both say
what to do next as a function of the answer, so that the decision stays pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from control.api.kinds import Kind
from control.api.objects import Object
from control.api.status import StatusError


@dataclass(frozen=True, slots=True)
class Create:
    """POST. `refused(message)` says what to write when the server rejects the object (any 4xx but AlreadyExists,
    Conflict, 429): events and conditions that tell the user. The key is retried with a back-off all the same."""

    kind: Kind
    obj: Object
    refused: Callable[[str], tuple[Action, ...]] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Update:
    """PUT of the whole object; obj.metadata.resourceVersion is the precondition. "finalize" is for namespaces."""

    kind: Kind
    obj: Object
    subresource: Literal["", "status", "finalize"] = ""


@dataclass(frozen=True, slots=True)
class Patch:
    """A merge patch, for a change that must not overwrite what others write (owner references, labels, finalizers).

    The shell adds metadata.uid as a precondition, so that a patch never hits another object of the same name.
    """

    kind: Kind
    namespace: str
    name: str
    uid: str
    patch: Any
    subresource: Literal["", "status"] = ""
    patch_type: Literal["application/merge-patch+json", "application/strategic-merge-patch+json"] = (
        "application/merge-patch+json"
    )


@dataclass(frozen=True, slots=True)
class Delete:
    kind: Kind
    namespace: str
    name: str
    uid: str
    resource_version: str = ""
    propagation: Literal["", "Background", "Foreground", "Orphan"] = ""
    grace_period_s: int | None = None
    refused: Callable[[str], tuple[Action, ...]] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Bind:
    """The scheduler's decision: POST of pods/binding."""

    namespace: str
    name: str
    uid: str
    node: str


@dataclass(frozen=True, slots=True)
class Emit:
    """An Event about `regarding`; the shell joins repeats into one with a count, as client-go's correlator does."""

    regarding: Object
    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Absent:
    """Go on only if the server has no object of this kind and name with this UID ("" any): a GET, not the mirror."""

    kind: Kind
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class NoneOf:
    """Go on only if nothing that the server lists of a kind in a namespace matches: a LIST, not the mirror."""

    kind: Kind
    namespace: str
    matches: Callable[[Object], bool] = field(compare=False)


@dataclass(frozen=True, slots=True)
class Purge:
    """Delete everything of a kind that the server lists in a namespace; go on only if it listed nothing."""

    kind: Kind
    namespace: str


@dataclass(frozen=True, slots=True)
class Ask:
    """GETs of documents that are not objects (metrics). `then` gets the answers by path, an error as what it is, and
    says what to do."""

    paths: tuple[str, ...]
    then: Callable[[Mapping[str, Object | StatusError]], tuple[Action, ...]] = field(compare=False)


@dataclass(frozen=True, slots=True)
class Rescale:
    """PUT of the scale subresource: `replicas` for the workload of this version. `done()` and `refused(message)` say
    what to do next."""

    kind: Kind
    namespace: str
    name: str
    uid: str
    resource_version: str
    replicas: int
    done: Callable[[], tuple[Action, ...]] = field(compare=False)
    refused: Callable[[str], tuple[Action, ...]] = field(compare=False)


Action = Create | Update | Patch | Delete | Bind | Emit | Absent | NoneOf | Purge | Ask | Rescale


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `reconcile` decided: writes in order, and when to look again even if nothing changes (None: never)."""

    actions: tuple[Action, ...] = ()
    wake_at: datetime | None = None


SETTLED = Outcome()
"""The world is as the spec says."""

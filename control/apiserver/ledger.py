"""The ledger: how much of each quota is used, to the object, at any moment.

A write must be checked and counted in one breath, or fifty creates side by side all see the same room. So the ledger
answers from two parts. *Settled* is what committed objects use: counted once in full and from then on moved along the
store's own history, so that a pod in a namespace of thousands costs one addition. *Claimed* is what writes have been
let through for that are not committed yet: `claim` decides and books at once. A claim ends when the history shows its
object, or when it is closed, whichever is first; so between the two nothing is counted twice or missed.

Kubernetes keeps the truth in status.used, which admission raises and a controller corrects; a create that fails after
admission stays counted there until the next resync. Here status.used is the controller's report, and this is the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from control.api.kinds import RESOURCE_QUOTA, Kind
from control.api.objects import Key, Object, spec_of, uid_of
from control.api.podresources import Amounts, minus, plus
from control.api.quota import COUNTED, forgotten_at, hard_of, meets, resources_of, usage
from control.apiserver.admission.resource_quota import Demand, check, demands, may_use_more
from control.store.records import Compacted, Stored, StoreEvent


class History(Protocol):
    """What the ledger needs of a store."""

    @property
    def revision(self) -> int: ...

    def list(self, resource: str, namespace: str = "") -> Iterable[Stored]: ...

    def read(self, resource: str, namespace: str, after: int) -> tuple[Sequence[StoreEvent], int]: ...


@dataclass(slots=True, eq=False)
class Claim:
    """What one write was let through for, until it is committed or has failed: `close` it in either case."""

    uid: str
    parts: list[tuple[_Account, Amounts]] = field(default_factory=list)

    def close(self) -> None:
        for account, _ in self.parts:
            account.claims.pop(self, None)


@dataclass(slots=True, eq=False)
class _Account:
    """One quota's books; `uses` says what each counted object contributes, so that it can be taken back."""

    quota: Object
    namespace: str
    resources: frozenset[str]
    names: frozenset[str]
    revision: int = 0
    settled: Amounts = field(default_factory=dict)
    uses: dict[tuple[str, Key], Amounts] = field(default_factory=dict)
    leaving: dict[tuple[str, Key], datetime] = field(default_factory=dict)  # pods that stop to count by themselves
    claims: dict[Claim, Amounts] = field(default_factory=dict)

    def used(self) -> Amounts:
        found = self.settled
        for amounts in self.claims.values():
            found = plus(found, amounts)
        return found

    def recount(self, history: History, now: datetime) -> None:
        self.settled, self.uses, self.leaving = {}, {}, {}
        for resource in self.resources:
            for stored in history.list(resource, self.namespace):
                self._enter(resource, stored, now)
        self.revision = history.revision

    def catch_up(self, history: History, now: datetime) -> None:
        upto = history.revision
        if self.revision == upto and not self.leaving:
            return
        try:
            for resource in self.resources:
                position = self.revision
                while position < upto:
                    events, position = history.read(resource, self.namespace, position)
                    for event in events:
                        self._follow(resource, event, now)
        except Compacted:
            self.recount(history, now)
        self.revision = upto
        for place, at in list(self.leaving.items()):
            if now >= at:
                self._leave(place)

    def _follow(self, resource: str, event: StoreEvent, now: datetime) -> None:
        self._leave((resource, event.stored.key))
        if event.type != "DELETED":
            self._enter(resource, event.stored, now)

    def _enter(self, resource: str, stored: Stored, now: datetime) -> None:
        obj, kind, place = stored.obj, COUNTED[resource], (resource, stored.key)
        for claim in [claim for claim in self.claims if claim.uid == uid_of(obj)]:
            del self.claims[claim]
        if not meets(self.quota, kind, obj):
            return
        amounts = {name: amount for name, amount in usage(kind, obj, now).items() if name in self.names}
        self.uses[place] = amounts
        self.settled = plus(self.settled, amounts)
        at = forgotten_at(obj)
        if at is not None and at > now:
            self.leaving[place] = at

    def _leave(self, place: tuple[str, Key]) -> None:
        self.leaving.pop(place, None)
        amounts = self.uses.pop(place, None)
        if amounts:
            self.settled = minus(self.settled, amounts)


class Ledger:
    """All quotas' books. A server has one."""

    def __init__(self, history: History, clock: Callable[[], datetime]) -> None:
        self._history = history
        self._clock = clock
        self._accounts: dict[str, _Account] = {}

    def __repr__(self) -> str:
        claims = sum(len(account.claims) for account in self._accounts.values())
        return f"<Ledger of {len(self._accounts)} quotas, {claims} claims>"

    def claim(self, namespace: str, kind: Kind, new: Object, old: Object | None) -> Claim | None:
        """Lets a write through and books what it will use, or raises 403; None where no quota is concerned.

        The write must be decided in the same breath.
        """
        if kind.resource not in COUNTED or not may_use_more(kind, old):
            return None
        quotas = [stored.obj for stored in self._history.list(RESOURCE_QUOTA.resource, namespace)]
        if not quotas:
            return None
        now = self._clock()
        claim = Claim(uid_of(new))
        for demand in demands(quotas, kind, new, old, now):
            account = self._account(demand, namespace, now)
            check(demand, account.used(), kind, new)
            claim.parts.append((account, demand.more))
        for account, amounts in claim.parts:
            account.claims[claim] = amounts
        return claim

    def used(self, quota: Object, namespace: str) -> Amounts:
        """What is used of a quota, claims included."""
        return self._account(Demand(quota, {}), namespace, self._clock()).used()

    def _account(self, demand: Demand, namespace: str, now: datetime) -> _Account:
        uid = uid_of(demand.quota)
        account = self._accounts.get(uid)
        if account is None or spec_of(account.quota) != spec_of(demand.quota):
            claims = account.claims if account else {}
            names = frozenset(hard_of(demand.quota))
            account = _Account(demand.quota, namespace, resources_of(demand.quota), names, claims=claims)
            account.recount(self._history, now)
            self._accounts[uid] = account
            self._drop_gone()
        else:
            account.catch_up(self._history, now)
        return account

    def _drop_gone(self) -> None:
        there = {uid_of(stored.obj) for stored in self._history.list(RESOURCE_QUOTA.resource)}
        self._accounts = {uid: account for uid, account in self._accounts.items() if uid in there}

"""The ledger against its slow twin: after any history, what it says is used is what a recount finds."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from control.api.kinds import POD, RESOURCE_QUOTA, SERVICE, Kind
from control.api.objects import Object
from control.api.podresources import Amounts, plus
from control.api.quota import hard_of, meets, usage
from control.api.status import StatusError
from control.apiserver.ledger import Ledger
from control.store.store import Knobs, Store

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HARD = {"pods": "4", "count/pods": "9", "requests.cpu": "2", "services.nodeports": "3"}
NAMES = st.sampled_from("abcd")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pod"), NAMES, st.sampled_from(["0", "250m", "1"])),
        st.tuples(st.just("service"), NAMES, st.sampled_from(["ClusterIP", "NodePort"])),
        st.tuples(st.just("end"), NAMES, st.just("")),
        st.tuples(st.just("delete"), NAMES, st.sampled_from(["pods", "services"])),
        st.tuples(st.just("compact"), st.just(""), st.just("")),
        st.tuples(st.just("limit"), st.just(""), st.sampled_from(["3", "5"])),
    ),
    max_size=30,
)


def obj(kind: Kind, name: str, uid: str, **body: Any) -> Object:
    metadata = {"name": name, "namespace": "n", "uid": uid}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **body}


class Books:
    """A store with one quota, its ledger, and the recount."""

    def __init__(self) -> None:
        self.store = Store.open(None, knobs=Knobs(window_events_max=4))
        self.ledger = Ledger(self.store, lambda: NOW)
        self.count = 0

    async def limit(self, hard: Object) -> None:
        quota = obj(RESOURCE_QUOTA, "q", "uid-q", spec={"hard": hard})
        await self.store.put("resourcequotas", "n", "q", quota, expect=None)

    @property
    def quota(self) -> Object:
        stored = self.store.get("resourcequotas", "n", "q")
        assert stored is not None
        return stored.obj

    async def write(self, kind: Kind, name: str, **body: Any) -> bool:
        stored = self.store.get(kind.resource, "n", name)
        self.count += 1
        new = obj(kind, name, stored.obj["metadata"]["uid"] if stored else f"uid-{self.count}", **body)
        try:
            claim = self.ledger.claim("n", kind, new, stored.obj if stored else None)
        except StatusError:
            return False
        await self.store.put(kind.resource, "n", name, new, expect=stored.revision if stored else 0)
        if claim is not None:
            claim.close()
        return True

    def recount(self) -> Amounts:
        found: Amounts = {}
        for kind in (POD, SERVICE):
            for stored in self.store.list(kind.resource, "n"):
                if meets(self.quota, kind, stored.obj):
                    found = plus(found, usage(kind, stored.obj, NOW))
        return {name: amount for name, amount in found.items() if name in hard_of(self.quota) and amount.nano}

    def used(self) -> Amounts:
        return {name: amount for name, amount in self.ledger.used(self.quota, "n").items() if amount.nano}


async def step(books: Books, what: str, name: str, value: str) -> None:
    if what == "pod" and books.store.get("pods", "n", name) is None:
        resources = {"requests": {"cpu": value}}
        await books.write(POD, name, spec={"containers": [{"name": "c", "resources": resources}]})
    elif what == "service":
        await books.write(SERVICE, name, spec={"type": value, "ports": [{"port": 80}]})
    elif what == "end" and (stored := books.store.get("pods", "n", name)):
        await books.store.put("pods", "n", name, {**stored.obj, "status": {"phase": "Failed"}}, expect=None)
    elif what == "delete" and books.store.get(value, "n", name):
        await books.store.delete(value, "n", name, expect=None)
    elif what == "compact":
        books.store.compact(books.store.revision)
    elif what == "limit":
        await books.limit({**HARD, "pods": value})


@given(STEPS)
def test_what_is_used_is_what_a_recount_finds(steps: list[tuple[str, str, str]]) -> None:
    async def play() -> None:
        books = Books()
        await books.limit(HARD)
        for what, name, value in steps:
            await step(books, what, name, value)
            assert {n: a.nano for n, a in books.used().items()} == {n: a.nano for n, a in books.recount().items()}
        await books.store.close()

    asyncio.run(play())


async def test_a_claim_counts_until_its_object_does() -> None:
    books = Books()
    await books.limit({"pods": "1"})
    new = obj(POD, "a", "uid-1", spec={"containers": [{"name": "c"}]})
    claim = books.ledger.claim("n", POD, new, None)
    assert claim is not None
    assert str(books.used()["pods"]) == "1"
    assert repr(books.ledger) == "<Ledger of 1 quotas, 1 claims>"
    await books.store.put("pods", "n", "a", new, expect=0)
    assert str(books.used()["pods"]) == "1"  # committed and not yet closed: counted once
    claim.close()
    assert str(books.used()["pods"]) == "1"
    await books.store.delete("pods", "n", "a", expect=None)
    assert books.used() == {}
    await books.store.close()


async def test_a_claim_that_failed_leaves_nothing() -> None:
    books = Books()
    await books.limit({"pods": "1"})
    new = obj(POD, "a", "uid-1", spec={"containers": [{"name": "c"}]})
    claim = books.ledger.claim("n", POD, new, None)
    assert claim is not None
    claim.close()
    assert books.used() == {}
    await books.store.close()


async def test_books_of_quotas_that_are_gone_are_closed() -> None:
    books = Books()
    await books.limit({"pods": "1"})
    assert books.used() == {}
    await books.store.delete("resourcequotas", "n", "q", expect=None)
    other = obj(RESOURCE_QUOTA, "r", "uid-r", spec={"hard": {"pods": "1"}})
    await books.store.put("resourcequotas", "n", "r", other, expect=0)
    books.ledger.used(other, "n")
    assert repr(books.ledger) == "<Ledger of 1 quotas, 0 claims>"
    await books.store.close()

"""The runner: wakes, performs in order, tells "done", "moved on" and "refused" apart, and outlives bad keys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import datetime, timedelta

import pytest

from control.api.kinds import CONFIG_MAP, EVENT, POD, SERVICE, Kind
from control.api.objects import Key, Object, copy_of, key_of, uid_of
from control.api.status import StatusError
from control.config.clock import Clock
from control.controllers.action import (
    Absent,
    Action,
    Bind,
    Create,
    Delete,
    Emit,
    Outcome,
    Patch,
    Purge,
    Update,
)
from control.controllers.run import Runner
from control.mirror.mirror import Mirror
from control.mirror.world import World
from tests.fakes.store_client import StoreClient


def config_map(name: str, namespace: str = "a", **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


def pod(name: str, owner: str = "") -> Object:
    metadata: Object = {"name": name, "namespace": "a"}
    if owner:
        metadata["ownerReferences"] = [{"uid": owner, "controller": True, "kind": "ConfigMap", "name": "x"}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}


Decide = Callable[[World, Key, datetime], Iterable[Action] | Outcome]


class Probe:
    """A controller of ConfigMaps whose decision the test writes."""

    name = "probe-controller"
    kind = CONFIG_MAP

    def __init__(self, decide: Decide) -> None:
        self.decide = decide
        self.seen: list[str] = []

    @property
    def watches(self) -> Mapping[Kind, Callable[[World, Object], Iterable[Key]]]:
        return {CONFIG_MAP: lambda world, obj: [key_of(obj)]}

    def reconcile(self, world: World, key: Key, now: datetime) -> Outcome:
        self.seen.append(key.name)
        outcome = self.decide(world, key, now)
        return outcome if isinstance(outcome, Outcome) else Outcome(tuple(outcome))


class Setting:
    def __init__(self) -> None:
        self.client = StoreClient()
        self.mirror = Mirror(self.client, [CONFIG_MAP, POD])
        self.runner: Runner | None = None

    async def begin(self, decide: Decide, *others: Probe) -> Probe:
        probe = Probe(decide)
        self.runner = Runner(self.client, self.mirror, [probe, *others])
        self.mirror.start()
        self.runner.start()
        await self.settled()
        return probe

    async def settled(self) -> None:
        assert self.runner is not None
        await asyncio.wait_for(self.runner.settled(), 5)

    def tally(self, name: str = "probe-controller") -> dict[str, object]:
        assert self.runner is not None
        return self.runner.statistics()[name]

    def pods(self) -> list[str]:
        return [stored.key.name for stored in self.client.store.list("pods")]


@pytest.fixture
async def setting() -> AsyncIterator[Setting]:
    setting = Setting()
    yield setting
    if setting.runner is not None:
        await setting.runner.close()
    await setting.mirror.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


async def test_what_is_there_and_what_changes_is_reconciled(setting: Setting) -> None:
    await setting.client.create(CONFIG_MAP, config_map("old"))
    probe = await setting.begin(lambda world, key, now: [])
    assert set(probe.seen) == {"old"}
    probe.seen.clear()
    await setting.client.create(CONFIG_MAP, config_map("new"))
    await setting.client.delete(CONFIG_MAP, "a", "old")
    await until(lambda: sorted(set(probe.seen)) == ["new", "old"])


async def test_own_deeds_are_known_before_the_next_look(setting: Setting) -> None:
    """A controller that makes pods up to three, named by what it counts, makes exactly three."""

    def decide(world: World, key: Key, now: datetime) -> list[Action]:
        pods = world.list(POD, "a")
        return [Create(POD, pod(f"p{len(pods)}"))] if len(pods) < 3 else []

    probe = await setting.begin(decide)
    await setting.client.create(CONFIG_MAP, config_map("c"))
    for _ in range(5):
        await setting.client.patch(CONFIG_MAP, "a", "c", {"data": {"n": str(_)}})
        await until(lambda: probe.seen)
        await setting.settled()
    assert setting.pods() == ["p0", "p1", "p2"]
    assert setting.tally()["failures"] == 0


async def test_a_deletion_is_seen_before_the_next_decision(setting: Setting) -> None:
    """With a mirror that lags, a second look would delete a second pod, since the first still seems to be there."""
    for n in range(4):
        await setting.client.create(POD, pod(f"p{n}"))

    def decide(world: World, key: Key, now: datetime) -> list[Action]:
        pods = world.list(POD, "a")
        chosen = pods[len(probe.seen) % len(pods)]  # another one at every look
        return [Delete(POD, *key_of(chosen), uid_of(chosen))] if len(pods) > 3 else []

    probe = Probe(decide)
    await setting.begin(lambda world, key, now: [], probe)
    setting.client.hold(POD)
    await setting.client.create(CONFIG_MAP, config_map("c"))
    await until(lambda: len(setting.pods()) == 3)
    for n in range(3):
        await setting.client.patch(CONFIG_MAP, "a", "c", {"data": {"n": str(n)}})
        for _ in range(20):
            await asyncio.sleep(0)
    assert len(probe.seen) == 1
    setting.client.release(POD)
    await setting.settled()
    assert len(setting.pods()) == 3
    assert len(probe.seen) > 1


async def test_a_controller_may_allow_several_keys_at_once(setting: Setting) -> None:
    """Each key makes one pod and then another: both steps of all keys are done, and no key is ever held twice."""

    def decide(world: World, key: Key, now: datetime) -> list[Action]:
        have = [each for each in ("x", "y") if world.get(POD, "a", f"{key.name}{each}")]
        return [Create(POD, pod(f"{key.name}{'xy'[len(have)]}"))] if len(have) < 2 else []

    class Wide(Probe):
        concurrency = 3

        @property
        def watches(self) -> Mapping[Kind, Callable[[World, Object], Iterable[Key]]]:
            return {**super().watches, POD: lambda world, obj: [Key("a", key_of(obj).name[:-1])]}

    wide = Wide(decide)
    wide.name = "wide"
    await setting.begin(lambda world, key, now: [], wide)
    await asyncio.gather(*(setting.client.create(CONFIG_MAP, config_map(f"c{n}")) for n in range(7)))
    await until(lambda: len(setting.pods()) == 14)
    await setting.settled()
    assert setting.tally("wide")["actions"] == {"Create": 14}


async def test_a_create_that_finds_its_own_object_is_done(setting: Setting) -> None:
    theirs = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "mine", "namespace": "a"}}
    await setting.client.create(SERVICE, theirs)

    def decide(world: World, key: Key, now: datetime) -> list[Action]:
        return [Create(SERVICE, theirs), Create(POD, pod("after"))] if not world.list(POD) else []

    await setting.begin(decide)
    await setting.client.create(CONFIG_MAP, config_map("c"))
    await until(lambda: setting.pods() == ["after"])
    assert setting.tally()["failures"] == 0


async def test_a_create_that_finds_somebody_elses_object_fails_and_stops_the_rest(setting: Setting) -> None:
    await setting.client.create(POD, pod("p", owner="other"))
    await setting.begin(lambda world, key, now: [Create(POD, pod("p", owner="me")), Create(POD, pod("after"))])
    await setting.client.create(CONFIG_MAP, config_map("c"))
    await until(lambda: int(str(setting.tally()["failures"])) >= 3)
    assert setting.pods() == ["p"]


async def test_conflict_stops_the_list_and_the_key_comes_back(setting: Setting) -> None:
    stale = await setting.client.create(CONFIG_MAP, config_map("c", v="1"))
    await setting.client.patch(CONFIG_MAP, "a", "c", {"data": {"v": "2"}})
    decided: list[str] = []

    def decide(world: World, key: Key, now: datetime) -> list[Action]:
        current = world.get(CONFIG_MAP, *key)
        assert current is not None
        base = stale if not decided else current
        decided.append(current["data"]["v"])
        if current["data"]["v"] == "3":
            return []
        return [Update(CONFIG_MAP, {**copy_of(base), "data": {"v": "3"}}), Create(POD, pod(f"p{len(decided)}"))]

    await setting.begin(decide)
    await until(lambda: setting.pods() == ["p2"])
    await setting.settled()
    assert (setting.tally()["conflicts"], setting.tally()["failures"]) == (1, 0)


async def test_a_patch_or_a_delete_never_hits_a_namesake(setting: Setting) -> None:
    await setting.client.create(POD, pod("p"))
    actions = [Patch(POD, "a", "p", "another-uid", {"metadata": {"labels": {"x": "y"}}})]
    await setting.begin(lambda world, key, now: actions)
    await setting.client.create(CONFIG_MAP, config_map("c"))
    await until(lambda: int(str(setting.tally()["conflicts"])) >= 2)
    (stored,) = setting.client.store.list("pods")
    assert "labels" not in stored.obj["metadata"]
    actions[:] = [Delete(POD, "a", "p", "another-uid"), Create(POD, pod("after"))]  # type: ignore[list-item]
    await until(lambda: setting.pods() == ["after", "p"])


async def test_refusal_is_told_and_retried(setting: Setting) -> None:
    def told(message: str) -> tuple[Action, ...]:
        return (Create(CONFIG_MAP, config_map("told", why=message)),)

    def decide(world: World, key: Key, now: datetime) -> list[Action]:
        return [Create(POD, pod("p"), refused=told)] if key.name == "c" and not world.list(POD) else []

    setting.client.refuse("create", POD, StatusError(403, "Forbidden", "exceeded quota"))
    await setting.begin(decide)
    await setting.client.create(CONFIG_MAP, config_map("c"))
    await until(lambda: setting.client.store.get("configmaps", "a", "told"))
    stored = setting.client.store.get("configmaps", "a", "told")
    assert stored is not None
    assert stored.obj["data"] == {"why": "exceeded quota"}
    setting.client.refuse("create", POD, None)
    await until(lambda: setting.pods() == ["p"])


async def test_a_refused_deletion_is_told_and_retried(setting: Setting) -> None:
    def told(message: str) -> tuple[Action, ...]:
        return (Create(CONFIG_MAP, config_map("told", why=message)),)

    def decide(world: World, key: Key, now: datetime) -> list[Action]:
        return [Delete(POD, *key_of(one), uid_of(one), refused=told) for one in world.list(POD) if key.name == "c"]

    await setting.client.create(POD, pod("p"))
    setting.client.refuse("delete", POD, StatusError(403, "Forbidden", "a webhook says no"))
    await setting.begin(decide)
    await setting.client.create(CONFIG_MAP, config_map("c"))
    await until(lambda: setting.client.store.get("configmaps", "a", "told"))
    stored = setting.client.store.get("configmaps", "a", "told")
    assert stored is not None
    assert stored.obj["data"] == {"why": "a webhook says no"}
    setting.client.refuse("delete", POD, None)
    await until(lambda: setting.pods() == [])


async def test_a_key_that_raises_harms_no_other(setting: Setting, caplog: pytest.LogCaptureFixture) -> None:
    def decide(world: World, key: Key, now: datetime) -> list[Action]:
        if key.name == "bad":
            raise ZeroDivisionError("mine")
        return [Create(POD, pod(key.name))] if world.get(POD, "a", key.name) is None else []

    await setting.begin(decide)
    await setting.client.create(CONFIG_MAP, config_map("bad"))
    await setting.client.create(CONFIG_MAP, config_map("good"))
    await until(lambda: setting.pods() == ["good"] and int(str(setting.tally()["failures"])) >= 2)
    assert [bool(record.exc_info) for record in caplog.records if "bad" in record.message][:2] == [True, False]


@pytest.mark.parametrize(("scale", "length"), [(1.0, timedelta(milliseconds=2)), (1e6, timedelta(hours=1))])
async def test_wake_at_comes_back_without_a_change(setting: Setting, scale: float, length: timedelta) -> None:
    began = time.time()
    clock = Clock(scale, began, began)

    def decide(world: World, key: Key, now: datetime) -> Outcome:
        return Outcome((), now + length) if len(probe.seen) < 4 else Outcome()

    probe = Probe(decide)
    await setting.begin(lambda world, key, now: [])
    assert setting.runner is not None
    await setting.runner.close()
    setting.runner = Runner(setting.client, setting.mirror, [probe], clock=clock)
    setting.runner.start()
    await setting.client.create(CONFIG_MAP, config_map("c"))
    await until(lambda: len(probe.seen) == 4)


async def test_events_are_emitted_in_the_controllers_name(setting: Setting) -> None:
    obj = await setting.client.create(CONFIG_MAP, config_map("c"))
    await setting.begin(lambda world, key, now: [Emit(obj, "Normal", "Noticed", "there it is")])
    await until(lambda: setting.client.store.list(EVENT.resource))
    event = setting.client.store.list(EVENT.resource)[0].obj
    assert (event["source"], event["reason"]) == ({"component": "probe-controller"}, "Noticed")
    assert event["involvedObject"]["name"] == "c"


async def test_bind_is_seen_by_the_next_decision(setting: Setting) -> None:
    """Two pods, one place: the second look must know of the first binding."""
    for name in ("p", "q"):
        await setting.client.create(POD, pod(name))

    def decide(world: World, key: Key, now: datetime) -> list[Action]:
        if world.by_field(POD, "spec.nodeName", "n"):
            return []
        free = world.get(POD, "a", key.name)
        return [Bind("a", key.name, uid_of(free), "n")] if free else []

    for name in ("p", "q"):
        await setting.client.create(CONFIG_MAP, config_map(name))
    await setting.begin(decide)
    bound = [stored.key.name for stored in setting.client.store.list("pods") if "spec" in stored.obj]
    assert bound == ["p"]


async def test_absent_asks_the_server_and_not_the_mirror(setting: Setting) -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "a"}}
    there = await setting.client.create(SERVICE, service)
    question = [Absent(SERVICE, "a", "s", uid_of(there))]

    def decide(world: World, key: Key, now: datetime) -> list[Action]:
        return [*question, Create(POD, pod("after"))] if not world.list(POD) else []

    await setting.begin(decide)
    await setting.client.create(CONFIG_MAP, config_map("c"))
    await until(lambda: int(str(setting.tally()["conflicts"])) >= 2)
    assert setting.pods() == []
    question[:] = [Absent(SERVICE, "a", "s", "another-uid"), Absent(SERVICE, "a", "nothing", "")]
    await until(lambda: setting.pods() == ["after"])


async def test_purge_empties_and_goes_on_only_when_empty(setting: Setting) -> None:
    for n in range(45):
        await setting.client.create(CONFIG_MAP, config_map(f"x{n}", namespace="doomed"))
    await setting.client.create(CONFIG_MAP, config_map("c"))

    def decide(world: World, key: Key, now: datetime) -> list[Action]:
        if key.name != "c" or world.list(POD):
            return []
        left = len(setting.client.store.list("configmaps", "doomed"))
        return [Purge(CONFIG_MAP, "doomed"), Create(POD, pod(f"when-{left}"))]

    await setting.begin(decide)
    await until(setting.pods)
    assert setting.pods() == ["when-0"]
    assert setting.client.store.list("configmaps", "doomed") == []


async def test_lost_connections_are_retried(setting: Setting) -> None:
    await setting.client.create(CONFIG_MAP, config_map("c"))
    setting.client.refuse("create", POD, ConnectionError("away"))
    await setting.begin(lambda world, key, now: [] if world.list(POD) else [Create(POD, pod("p"))])
    await until(lambda: int(str(setting.tally()["failures"])) >= 2)
    setting.client.refuse("create", POD, None)
    await until(lambda: setting.pods() == ["p"])
    await setting.settled()


async def test_pods_are_made_in_waves_and_a_refusal_stops_the_next_one(setting: Setting) -> None:
    """Of ten pods and room for three: one, two, then four at once, which are refused and told of; and no more."""
    web = config_map("x")

    def told(message: str) -> tuple[Action, ...]:
        return (Emit(web, "Warning", "FailedCreate", message), Update(CONFIG_MAP, config_map("x", why=message)))

    def decide(world: World, key: Key, now: datetime) -> Iterable[Action]:
        if world.list(POD):
            return ()
        return [Create(POD, pod(f"p{number}", "u"), told) for number in range(10)]

    setting.client.allow("create", POD, 3, StatusError(403, "Forbidden", "exceeded quota"))
    await setting.client.create(CONFIG_MAP, web)
    await setting.begin(decide)
    await until(lambda: setting.client.store.list("events") and setting.tally()["failures"])
    assert setting.pods() == ["p0", "p1", "p2"]
    assert [name for verb, kind, name in setting.client.calls if (verb, kind) == ("create", "pods")] == [
        f"p{number}" for number in range(7)
    ]
    await until(lambda: [stored.obj.get("count") for stored in setting.client.store.list("events")] == [4])

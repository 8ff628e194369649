"""The fleet answers as asking every node would, whatever came and went before."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from control.api.kinds import NODE, POD
from control.api.objects import Key, Object, is_deleting, name_of
from control.controllers.fleet import Fleet, pinned_to
from control.controllers.occupancy import Occupancy
from control.controllers.placement import Refusal, Seat, place
from control.controllers.pods import is_finished
from control.mirror.world import LiveWorld, World
from tests.fakes.objects import node, pod

TAINT = [{"key": "k", "value": "v", "effect": "NoSchedule"}]
PREFER = [{"key": "k", "value": "v", "effect": "PreferNoSchedule"}]
NODES: list[dict[str, Any]] = [
    {},
    {"cpu": "1"},
    {"pods": "2"},
    {"unschedulable": True},
    {"taints": TAINT},
    {"taints": PREFER},
]
PINNED = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}
AFFINITY = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [PINNED]}}}
PODS: list[dict[str, Any]] = [
    {},
    {"tolerations": [{"operator": "Exists"}]},
    {"nodeSelector": {"a": "b"}},
    {"affinity": AFFINITY},
]


def by_asking_all(world: World, obj: Object) -> str | Refusal:
    """The slow, obviously right way."""
    seats = []
    for each in world.list(NODE):
        if not is_deleting(each):
            pods = world.by_field(POD, "spec.nodeName", name_of(each))
            seats.append(Seat.of(each, Occupancy.of(one for one in pods if not is_finished(one))))
    return place(obj, seats)


def a_pod(
    number: int, *, sort: int, owner: int, where: str = "", cpu: str = "", port: int = 0, phase: str = ""
) -> Object:
    made = pod(f"p{number}", uid=f"u{number}", **PODS[sort])
    if owner:
        made["metadata"]["ownerReferences"] = [
            {"kind": "ReplicaSet", "name": "r", "uid": f"r{owner}", "controller": True}
        ]
    container = made["spec"]["containers"][0]
    if cpu:
        container["resources"] = {"requests": {"cpu": cpu}}
    if port:
        container["ports"] = [{"containerPort": port, "hostPort": port}]
    if where:
        made["spec"]["nodeName"] = where
    made["status"] = {"phase": phase or "Running"}
    return made


NAMES = st.sampled_from([f"n{index}" for index in range(5)])
POD_STEP = st.fixed_dictionaries(
    {
        "number": st.integers(0, 8),
        "sort": st.integers(0, len(PODS) - 1),
        "owner": st.integers(0, 2),
        "where": st.one_of(st.just(""), NAMES),
        "cpu": st.sampled_from(["", "500m", "3"]),
        "port": st.sampled_from([0, 0, 80]),
        "phase": st.sampled_from(["", "", "Succeeded"]),
    }
)
STEPS = st.lists(
    st.one_of(
        POD_STEP.map(lambda said: ("pod", said)),
        st.integers(0, 8).map(lambda number: ("no pod", number)),
        st.tuples(NAMES, st.integers(0, len(NODES) - 1)).map(lambda said: ("node", said)),
        NAMES.map(lambda name: ("no node", name)),
    ),
    max_size=40,
)


def take(world: LiveWorld, step: tuple[str, Any]) -> None:
    what, said = step
    if what == "pod":
        world.put(POD, a_pod(**said))
    elif what == "no pod":
        world.remove(POD, Key("default", f"p{said}"))
    elif what == "node":
        world.put(NODE, node(said[0], **NODES[said[1]]))
    else:
        world.remove(NODE, Key("", said))


@settings(max_examples=60, deadline=None)
@given(STEPS, POD_STEP)
def test_it_answers_as_asking_every_node_does(steps: list[tuple[str, Any]], asked: dict[str, Any]) -> None:
    world, fleet = World.of(), Fleet()
    for step in steps:
        take(world, step)
        new = a_pod(**{**asked, "where": "", "phase": "Pending"})
        fleet.look(world)
        assert fleet.place(new) == by_asking_all(world, new)


def test_another_world_starts_it_over() -> None:
    fleet = Fleet()
    fleet.look(World.of([node("a")]))
    fleet.look(World.of([node("b")]))
    assert fleet.place(pod("p")) == "b"


def test_many_pods_of_a_controller_are_spread_over_many_nodes() -> None:
    world, fleet = World.of([node(f"m{index}") for index in range(50)]), Fleet()
    for number in range(100):
        fleet.look(world)
        found = fleet.place(a_pod(number, sort=0, owner=1))
        assert isinstance(found, str)
        world.put(POD, a_pod(number, sort=0, owner=1, where=found))
    held = [len(world.by_field(POD, "spec.nodeName", f"m{index}")) for index in range(50)]
    assert held == [2] * 50


def test_only_a_field_pins() -> None:
    assert pinned_to(pod("p", affinity=AFFINITY)) == {"n1"}
    assert pinned_to(pod("p")) is None

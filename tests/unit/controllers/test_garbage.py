"""Owner references: who goes with whom, in which order, and what must never go."""

from __future__ import annotations

from typing import Any

import pytest

from control.api.kinds import CONFIG_MAP, KINDS, POD, REPLICA_SET, Kind, kind_of
from control.api.objects import Object, is_deleting, meta, name_of, owner_references, uid_of
from control.controllers.action import Absent, Delete, Outcome
from control.controllers.garbage import GarbageController, work_key
from control.mirror.world import World
from tests.fakes.objects import owned_by, pod, replica_set
from tests.fakes.simulation import Simulation
from tests.fakes.tiny_api import Cluster, Stopped

CONTROLLER = GarbageController()


def config(name: str, *owners: Object, namespace: str = "default") -> Object:
    metadata = {"name": name, "namespace": namespace, "ownerReferences": list(owners)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def decide(cluster: Cluster, obj: Object, world: World | None = None) -> Outcome:
    kind = kind_of(obj)
    assert kind is not None
    return CONTROLLER.reconcile(world or cluster.world, work_key(kind, obj), cluster.now)


def settled(cluster: Cluster) -> Simulation:
    simulation = Simulation(cluster, [CONTROLLER])
    simulation.settle()
    return simulation


def names(cluster: Cluster, kind: Kind = CONFIG_MAP) -> list[str]:
    return [name_of(obj) for obj in cluster.all(kind)]


def family() -> tuple[Cluster, Object]:
    """An owner with two dependents, one of which has a dependent itself."""
    cluster = Cluster()
    owner = cluster.add(config("owner"))
    child = cluster.add(config("child", owned_by(owner)))
    cluster.add(config("other", owned_by(owner, controller=False, blocks=False)))
    cluster.add(config("grandchild", owned_by(child)))
    return cluster, owner


def test_dependents_go_with_their_owner() -> None:
    cluster, owner = family()
    settled(cluster)
    assert len(names(cluster)) == 4
    cluster.delete(CONFIG_MAP, owner, "Background")
    settled(cluster)
    assert names(cluster) == []


def test_in_the_foreground_the_owner_goes_last() -> None:
    cluster, owner = family()
    simulation = Simulation(cluster, [CONTROLLER])
    gone: list[str] = []
    cluster.listeners.append(lambda kind, old, new: gone.append(name_of(old)) if new is None and old else None)
    cluster.delete(CONFIG_MAP, owner, "Foreground")
    simulation.settle()
    order = [name for name in gone if name != "other"]  # which does not block
    assert order == ["grandchild", "child", "owner"]
    assert names(cluster) == []


def test_orphans_are_cut_loose_first() -> None:
    cluster, owner = family()
    cluster.delete(CONFIG_MAP, owner, "Orphan")
    settled(cluster)
    assert names(cluster) == ["child", "grandchild", "other"]
    assert owner_references(cluster.get(CONFIG_MAP, "child")) == []
    assert owner_references(cluster.get(CONFIG_MAP, "grandchild")) != []


def test_one_living_owner_is_enough_and_the_dead_reference_is_cut() -> None:
    cluster = Cluster()
    one, two = cluster.add(config("one")), cluster.add(config("two"))
    cluster.add(config("child", owned_by(one), owned_by(two, controller=False)))
    cluster.delete(CONFIG_MAP, one)
    settled(cluster)
    assert [ref["uid"] for ref in owner_references(cluster.get(CONFIG_MAP, "child"))] == [uid_of(two)]


def test_an_owner_of_the_same_name_is_another_one() -> None:
    cluster = Cluster()
    owner = cluster.add(config("owner"))
    cluster.add(config("child", owned_by(owner)))
    cluster.delete(CONFIG_MAP, owner)
    cluster.add(config("owner"))
    settled(cluster)
    assert names(cluster) == ["owner"]


def test_an_owner_that_is_merely_unseen_keeps_its_dependents() -> None:
    """The mirror of pods may run ahead of that of ReplicaSets: the server is asked before anything is deleted."""
    cluster = Cluster()
    owner = cluster.add(replica_set())
    made = cluster.add(pod("web-1", owner=owner))
    blind = cluster.past_world(0)
    blind.remove(REPLICA_SET, work_key(REPLICA_SET, owner)._replace(name="web"))  # type: ignore[attr-defined]
    outcome = decide(cluster, made, blind)
    assert [type(action) for action in outcome.actions] == [Absent, Delete]
    with pytest.raises(Stopped):
        cluster.perform(outcome.actions)
    assert not is_deleting(cluster.get(POD, "web-1"))


def test_a_delete_is_void_when_the_references_changed() -> None:
    cluster = Cluster()
    owner = cluster.add(config("owner"))
    child = cluster.add(config("child", owned_by(owner)))
    cluster.delete(CONFIG_MAP, owner)
    outcome = decide(cluster, child)
    cluster.edit(CONFIG_MAP, "child", lambda obj: obj["metadata"].update(ownerReferences=[]))
    with pytest.raises(Stopped):
        cluster.perform(outcome.actions)
    assert names(cluster) == ["child"]


@pytest.mark.parametrize(
    "reference",
    [
        {"apiVersion": "example.com/v1", "kind": "Widget", "name": "w", "uid": "u"},
        {"apiVersion": "apps/v1", "kind": "Widget", "name": "w", "uid": "u"},
    ],
)
def test_an_unknown_kind_of_owner_is_never_held_absent(reference: Object) -> None:
    cluster = Cluster()
    assert decide(cluster, cluster.add(config("child", reference))) == Outcome()


def test_a_kind_that_is_not_mirrored_is_never_held_absent() -> None:
    cluster = Cluster()
    owner = cluster.add(replica_set())
    made = cluster.add(pod("web-1", owner=owner))
    world = World.of([made], kinds=[kind for kind in KINDS if kind != REPLICA_SET])
    assert decide(cluster, made, world) == Outcome()
    assert decide(cluster, made, World.of([made], kinds=KINDS)).actions


def test_a_version_of_a_served_group_is_the_same_kind() -> None:
    cluster = Cluster()
    owner = cluster.add(replica_set())
    reference = {**owned_by(owner), "apiVersion": "apps/v1beta2"}
    child = cluster.add(config("child", reference))
    assert decide(cluster, child) == Outcome()
    cluster.delete(REPLICA_SET, owner)
    settled(cluster)
    assert names(cluster) == []


def test_nobody_owns_across_namespaces() -> None:
    cluster = Cluster()
    owner = cluster.add(config("owner", namespace="elsewhere"))
    cluster.add(config("child", owned_by(owner)))
    settled(cluster)
    assert names(cluster) == ["owner"]
    assert cluster.events == [
        "Warning OwnerRefInvalidNamespace child: ownerRef [v1/ConfigMap, namespace: default, name: owner, "
        f'uid: {uid_of(owner)}] does not exist in namespace "default"'
    ]


def test_a_cluster_scoped_dependent_of_a_namespaced_owner_is_kept() -> None:
    cluster = Cluster()
    reference: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "u"}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n0", "ownerReferences": [reference]}}
    outcome = decide(cluster, cluster.add(node))
    cluster.perform(outcome.actions)
    assert cluster.events[0].startswith("Warning OwnerRefInvalidNamespace n0")
    assert len(cluster.objects) == 1


def test_a_finalizer_of_its_own_decides_how_a_dependent_goes() -> None:
    cluster = Cluster()
    owner = cluster.add(config("owner"))
    child = config("child", owned_by(owner))
    child["metadata"]["finalizers"] = ["orphan"]
    child = cluster.add(child)
    cluster.add(config("grandchild", owned_by(child)))
    cluster.delete(CONFIG_MAP, owner)
    settled(cluster)
    assert names(cluster) == ["grandchild"]
    assert owner_references(cluster.get(CONFIG_MAP, "grandchild")) == []


def test_two_who_own_each_other_both_go_with_what_owned_them() -> None:
    """A foreground deletion does not wait for ever for dependents that wait for it."""
    cluster = Cluster()
    one = cluster.add(config("one"))
    two = cluster.add(config("two", owned_by(one)))
    cluster.edit(CONFIG_MAP, "one", lambda obj: obj["metadata"].update(ownerReferences=[owned_by(two)]))
    cluster.delete(CONFIG_MAP, cluster.get(CONFIG_MAP, "one"), "Foreground")
    settled(cluster)
    assert names(cluster) == []


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
def test_a_circle_of_three_goes_as_a_whole(propagation: str) -> None:
    """Conformance: Garbage collector should not be blocked by dependency circle."""
    cluster = Cluster()
    for name in ("a", "b", "c"):
        cluster.add(config(name))
    for name, owner in (("a", "c"), ("b", "a"), ("c", "b")):
        references = [owned_by(cluster.get(CONFIG_MAP, owner))]
        cluster.edit(CONFIG_MAP, name, lambda obj: obj["metadata"].update(ownerReferences=references))  # noqa: B023
    settled(cluster)
    assert names(cluster) == ["a", "b", "c"], "who owns himself over others lives"
    cluster.delete(CONFIG_MAP, cluster.get(CONFIG_MAP, "a"), propagation)
    settled(cluster)
    assert names(cluster) == []


def test_an_owner_that_waits_gives_up_a_dependent_that_another_owner_holds() -> None:
    """Conformance: should not delete dependents that have both valid owner and owner that's waiting for dependents to
    be deleted."""
    cluster = Cluster()
    going, staying = cluster.add(config("going")), cluster.add(config("staying"))
    cluster.add(config("child", owned_by(going), owned_by(staying, controller=False)))
    cluster.delete(CONFIG_MAP, going, "Foreground")
    settled(cluster)
    assert names(cluster) == ["child", "staying"]
    assert [ref["uid"] for ref in owner_references(cluster.get(CONFIG_MAP, "child"))] == [uid_of(staying)]


def test_a_foreground_deletion_waits_for_a_dependents_finalizer() -> None:
    cluster = Cluster()
    owner = cluster.add(config("owner"))
    child = config("child", owned_by(owner))
    child["metadata"]["finalizers"] = ["example.com/mine"]
    cluster.add(child)
    cluster.delete(CONFIG_MAP, owner, "Foreground")
    settled(cluster)
    assert names(cluster) == ["child", "owner"]
    assert is_deleting(cluster.get(CONFIG_MAP, "child"))
    cluster.edit(CONFIG_MAP, "child", lambda obj: obj["metadata"].update(finalizers=[]))
    settled(cluster)
    assert names(cluster) == []


def test_changes_without_owners_wake_nothing() -> None:
    cluster = Cluster()
    lonely = cluster.add(config("lonely"))
    wakes = CONTROLLER.watches[CONFIG_MAP]
    assert list(wakes(cluster.world, lonely)) == []
    child = cluster.add(config("child", owned_by(lonely)))
    assert list(wakes(cluster.world, child)) == [work_key(CONFIG_MAP, child)]
    cluster.delete(CONFIG_MAP, lonely)
    assert list(wakes(cluster.world, lonely)) == [work_key(CONFIG_MAP, child)]
    assert meta(child)["ownerReferences"]

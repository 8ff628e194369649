"""What a namespace starts with, and how it ends."""

from __future__ import annotations

from typing import Any

import pytest

from control.api.kinds import CONFIG_MAP, EVENT, NAMESPACE, POD, SERVICE_ACCOUNT
from control.api.objects import Key, Object, status_of
from control.controllers.action import Outcome, Purge
from control.controllers.namespace import CONTENT, ROOT_CA, NamespaceController
from tests.fakes.objects import namespace, pod
from tests.fakes.tiny_api import Cluster, Stopped

KEY = Key("", "default")
CONTROLLER = NamespaceController("PEM")


def decide(cluster: Cluster) -> Outcome:
    return CONTROLLER.reconcile(cluster.world, KEY, cluster.now)


def act(cluster: Cluster) -> Outcome:
    outcome = decide(cluster)
    cluster.perform(outcome.actions)
    return outcome


def ending(*objects: Object) -> Cluster:
    cluster = Cluster()
    cluster.add(namespace())
    for obj in objects:
        cluster.add(obj)
    cluster.delete(NAMESPACE, cluster.get(NAMESPACE, "default"))
    return cluster


def conditions(cluster: Cluster) -> dict[str, tuple[str, str, str]]:
    found: list[dict[str, Any]] = status_of(cluster.get(NAMESPACE, "default")).get("conditions") or []
    return {each["type"]: (each["status"], each["reason"], each["message"]) for each in found}


def test_every_namespace_has_a_service_account_and_the_ca() -> None:
    cluster = Cluster()
    cluster.add(namespace())
    act(cluster)
    assert cluster.get(SERVICE_ACCOUNT, "default")
    assert cluster.get(CONFIG_MAP, ROOT_CA)["data"] == {"ca.crt": "PEM"}
    assert decide(cluster) == Outcome()
    cluster.edit(CONFIG_MAP, ROOT_CA, lambda obj: obj.update(data={"ca.crt": "forged"}))
    cluster.delete(SERVICE_ACCOUNT, cluster.get(SERVICE_ACCOUNT, "default"))
    act(cluster)
    assert cluster.get(CONFIG_MAP, ROOT_CA)["data"] == {"ca.crt": "PEM"}
    assert cluster.get(SERVICE_ACCOUNT, "default")


def test_content_is_deleted_and_what_is_left_is_said() -> None:
    blocked = {"apiVersion": "v1", "kind": "ConfigMap"}
    blocked["metadata"] = {"name": "c", "namespace": "default", "finalizers": ["example.com/wait"]}  # type: ignore[assignment]
    cluster = ending(pod("a", node="n0"), pod("b"), blocked)
    act(cluster)
    said = conditions(cluster)
    assert said["NamespaceContentRemaining"] == (
        "True",
        "SomeResourcesRemain",
        "Some resources are remaining: configmaps has 1 resource instances, pods has 2 resource instances",
    )
    assert said["NamespaceFinalizersRemaining"] == (
        "True",
        "SomeFinalizersRemain",
        "Some content in the namespace has finalizers remaining: example.com/wait in 1 resource instances",
    )
    assert said["NamespaceDeletionContentFailure"][0] == "False"
    assert [key.name for kind, key in cluster.objects if kind == POD] == ["a"], "the kubelet ends the one on a node"
    act(cluster)
    assert not any(isinstance(action, Purge) for action in decide(cluster).actions)
    cluster.delete(POD, cluster.get(POD, "a"), grace_s=0)
    cluster.edit(CONFIG_MAP, "c", lambda obj: obj["metadata"].pop("finalizers"))
    act(cluster)
    assert conditions(cluster)["NamespaceContentRemaining"][1] == "ContentRemoved"
    act(cluster)
    assert cluster.objects == {}


def test_the_finalizer_goes_only_when_the_server_has_nothing_left() -> None:
    """Events are not mirrored, and a mirror may lag: a purge of every kind has to find nothing."""
    cluster = ending()
    cluster.add({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "default"}})
    act(cluster)
    outcome = decide(cluster)
    assert [action.kind for action in outcome.actions if isinstance(action, Purge)] == list(CONTENT)
    with pytest.raises(Stopped):
        cluster.perform(outcome.actions)
    assert cluster.all(EVENT) == []
    assert cluster.get(NAMESPACE, "default")
    act(cluster)
    assert cluster.all(NAMESPACE) == []


def test_finalizers_of_others_stay() -> None:
    cluster = ending()
    cluster.edit(NAMESPACE, "default", lambda obj: obj["spec"].update(finalizers=["kubernetes", "example.com/x"]))
    act(cluster)
    act(cluster)
    assert cluster.get(NAMESPACE, "default")["spec"]["finalizers"] == ["example.com/x"]
    assert decide(cluster) == Outcome()


def test_an_ending_namespace_gets_nothing_new() -> None:
    cluster = ending()
    act(cluster)
    assert cluster.all(SERVICE_ACCOUNT) == []


def test_content_wakes_its_namespace_only_while_it_ends() -> None:
    cluster = Cluster()
    cluster.add(namespace())
    wakes = CONTROLLER.watches[POD]
    assert list(wakes(cluster.world, pod("a"))) == []
    cluster.delete(NAMESPACE, cluster.get(NAMESPACE, "default"))
    assert list(wakes(cluster.world, pod("a"))) == [KEY]
    assert EVENT not in CONTROLLER.watches

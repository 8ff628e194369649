"""Signing Ingresses and LoadBalancers: only ours, only when it is news."""

from __future__ import annotations

from datetime import UTC, datetime

from control.api.kinds import INGRESS, INGRESS_CLASS, SERVICE
from control.api.objects import Key, Object
from control.controllers.action import SETTLED, Emit, Update
from control.controllers.ingress import IngressStatusController
from control.controllers.loadbalancer import LoadBalancerController
from control.mirror.world import World
from tests.fakes.cluster_objects import ingress, ingress_class, service

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def sign(obj: Object, *others: Object) -> Object | None:
    """The status that the controller writes; None if it writes none."""
    outcome = IngressStatusController().reconcile(World.of([obj, *others]), Key("a", "i"), NOW)
    for action in outcome.actions:
        assert isinstance(action, Update)
        assert (action.kind, action.subresource) == (INGRESS, "status")
        assert action.obj["metadata"] == obj["metadata"]
        status: Object = action.obj["status"]
        return status
    return None


def test_our_ingress_is_signed_once() -> None:
    signed = {"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}}
    assert sign(ingress("i"), ingress_class()) == signed
    assert sign({**ingress("i"), "status": signed}, ingress_class()) is None
    assert (
        sign({**ingress("i"), "status": {"loadBalancer": {"ingress": [{"ip": "9.9.9.9"}]}}}, ingress_class()) == signed
    )


def test_others_ingresses_are_left_alone_and_our_signature_is_withdrawn() -> None:
    other = ingress_class(controller="example.com/x")
    assert sign(ingress("i"), other) is None
    theirs = {"loadBalancer": {"ingress": [{"hostname": "lb.example"}]}}
    assert sign({**ingress("i"), "status": theirs}, other) is None
    ours = {"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}}
    assert sign({**ingress("i"), "status": ours}, other) == {"loadBalancer": {}}
    assert sign({**ingress("i"), "status": ours}) == {"loadBalancer": {}}


def test_nothing_is_decided_before_the_classes_are_known() -> None:
    ours = {**ingress("i"), "status": {"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}}}
    world = World.of([ours], kinds=[INGRESS])
    assert IngressStatusController().reconcile(world, Key("a", "i"), NOW) == SETTLED
    assert IngressStatusController().reconcile(world, Key("a", "gone"), NOW) == SETTLED


def test_a_class_wakes_every_ingress() -> None:
    world = World.of([ingress("i"), ingress("j", namespace="b")])
    assert list(IngressStatusController().watches[INGRESS_CLASS](world, ingress_class())) == [("a", "i"), ("b", "j")]


def balance(obj: Object) -> tuple[Object | None, list[str]]:
    outcome = LoadBalancerController().reconcile(World.of([obj]), Key("a", "web"), NOW)
    written = [action.obj["status"]["loadBalancer"] for action in outcome.actions if isinstance(action, Update)]
    assert all(action.kind == SERVICE for action in outcome.actions if isinstance(action, Update))
    return written[0] if written else None, [action.reason for action in outcome.actions if isinstance(action, Emit)]


def test_a_load_balancer_gets_its_cluster_ip() -> None:
    signed = {"ingress": [{"ip": "127.96.0.9", "ipMode": "VIP"}]}
    events = ["EnsuringLoadBalancer", "EnsuredLoadBalancer"]
    assert balance(service("web", type="LoadBalancer")) == (signed, events)
    assert balance({**service("web", type="LoadBalancer"), "status": {"loadBalancer": signed}}) == (None, [])
    assert balance(service("web", type="LoadBalancer", loadBalancerClass="loopkube.io/loopback")) == (signed, events)
    assert balance(service("web", type="LoadBalancer", loadBalancerClass="example.com/x")) == (None, [])
    assert balance(service("web", type="NodePort")) == (None, [])


def test_the_address_goes_with_the_type() -> None:
    signed = {"loadBalancer": {"ingress": [{"ip": "127.96.0.9", "ipMode": "VIP"}]}}
    assert balance({**service("web"), "status": signed}) == ({}, ["DeletedLoadBalancer"])
    theirs = {"loadBalancer": {"ingress": [{"hostname": "x"}]}}
    assert balance({**service("web"), "status": theirs}) == (None, [])

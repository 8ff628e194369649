"""Which units a change concerns, and that a Service's memory of its slices is no more than that."""

from __future__ import annotations

import pytest

from control.api.kinds import ENDPOINT_SLICE, SERVICE, kind_of
from control.api.objects import Key, Object
from control.mirror.world import LiveWorld, World
from control.publish.build import affected, build, build_unit
from control.publish.endpoints import Pieces
from control.publish.unit import FRAME, Config, Unit
from dataplane.snapshot.model import Endpoint, Listener
from tests.fakes.cluster_objects import (
    endpoint,
    ingress,
    ingress_class,
    node,
    path,
    rule,
    secret,
    service,
    slice_,
)

WEB, ING = Unit("service", Key("a", "web")), Unit("ingress", Key("a", "i"))
TLS = [{"hosts": ["h"], "secretName": "s"}]
WORLD = World.of(
    [
        ingress_class(),
        service("web", {"port": 80, "nodePort": 30080}, type="NodePort"),
        service("api"),
        ingress("i", rule("h", path("web")), tls=TLS),
        ingress("j", rule("h", path("api")), namespace="b"),
    ]
)


@pytest.mark.parametrize(
    ("old", "new", "units"),
    [
        (None, secret("s"), {ING}),
        (secret("s"), None, {ING}),
        (None, secret("other"), set()),
        (None, secret("s", namespace="b"), set()),
        (None, slice_("x", "web", []), {WEB}),
        (slice_("x", "web", []), slice_("x", "api", []), {WEB, Unit("service", Key("a", "api"))}),
        (None, service("web"), {WEB, ING}),
        (service("web"), service("web", clusterIP="127.96.0.77"), {WEB}),
        (service("web"), service("web", {"port": 81}), {WEB, ING}),
        (service("web"), service("web", type="ExternalName"), {WEB, ING}),
        (None, ingress("i", rule("h", path("api"))), {ING, Unit("service", Key("a", "api"))}),
        (ingress("i", rule("h", path("api"))), ingress("i", rule("h", path("web"))),
         {ING, WEB, Unit("service", Key("a", "api"))}),
        (None, ingress_class(), {ING, WEB, Unit("ingress", Key("b", "j")), Unit("service", Key("b", "api"))}),
        (None, node("n", "127.245.0.1"), {WEB, FRAME}),
        (node("n", "127.245.0.1"), node("n", "127.245.0.2"), {WEB, FRAME}),
        (node("n", "127.245.0.1"), node("n", "127.245.0.1"), set()),
        (node("n", "127.245.0.1"), node("n", "127.245.0.1", zone="z"), {FRAME}),
        (node("n", "127.245.0.1"), node("n", "127.245.0.1", pods="127.244.0.0/24"), {FRAME}),
        (node("n", "127.245.0.1"), None, {WEB, FRAME}),
    ],
)  # fmt: skip
def test_what_a_change_concerns(old: Object | None, new: Object | None, units: set[Unit]) -> None:
    kind = kind_of(new or old or {})
    assert kind is not None
    assert affected(WORLD, kind, old, new, Config()) == units


def test_a_renamed_port_takes_other_slice_ports() -> None:
    ports = [{"name": "x", "port": 8080}, {"name": "y", "port": 9090}]
    world, pieces = LiveWorld(), Pieces()
    world.put(ENDPOINT_SLICE, slice_("s", "web", [endpoint("127.244.0.2", "p")], ports=ports))
    for name, number in (("x", 8080), ("y", 9090), ("", None)):
        world.put(SERVICE, service("web", {"name": name, "port": 80}))
        found = build_unit(world, WEB, Config(), pieces).resources.values()
        assert [each.port for each in found if isinstance(each, Endpoint)] == ([number] if number else [])


def test_what_a_service_no_longer_uses_is_forgotten() -> None:
    world, pieces = LiveWorld(), Pieces()
    world.put(SERVICE, service("web"))
    for name in ("s1", "s2"):
        world.put(ENDPOINT_SLICE, slice_(name, "web", [endpoint("127.244.0.2", "p")]))
    build_unit(world, WEB, Config(), pieces)
    assert set(pieces.new) == {("a/web:80", "s1"), ("a/web:80", "s2")}
    world.remove(ENDPOINT_SLICE, Key("a", "s1"))
    build_unit(world, WEB, Config(), pieces)
    assert set(pieces.new) == {("a/web:80", "s2")}


def test_the_frame_is_the_ingress_listeners_under_the_names_of_their_sockets() -> None:
    config = Config(ingress_address="127.0.0.1", http_port=8080, https_port=8443)
    assert list(build(World.of(), config).values()) == [
        Listener("ingress-http", "127.0.0.1", 8080, "ingress", table="ingress"),
        Listener("ingress-https", "127.0.0.1", 8443, "ingress", table="ingress", tls=True),
    ]
    assert list(build(World.of(), Config(http_port=0, https_port=0))) == []
    found = build(World.of(), Config(http_port=0, https_port=0, default_chain_pem="C", default_key_pem="K"))
    assert list(found) == [("certificate", "default")]

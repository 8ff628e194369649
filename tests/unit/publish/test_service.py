"""What follows from a Service."""

from __future__ import annotations

from typing import Any

import pytest

from control.api.objects import Key, Object
from control.mirror.world import World
from control.publish.annotations.backend import NO_TERMS, BackendTerms
from control.publish.balancing import Balancing
from control.publish.fronts import nodes
from control.publish.service import Use, build_service
from control.publish.unit import Built, Config
from dataplane.snapshot.model import Backend, Endpoint, Listener, Node
from tests.fakes.cluster_objects import endpoint, node, service, slice_

WEB = Key("a", "web")


def built(*objects: Object, uses: tuple[Use, ...] = (), config: Config = Config()) -> Built:  # noqa: B008
    return build_service(World.of(objects), WEB, config, uses)


def listeners(found: Built) -> list[Listener]:
    return [each for each in found.resources.values() if isinstance(each, Listener)]


def backends(found: Built) -> list[Backend]:
    return [each for each in found.resources.values() if isinstance(each, Backend)]


def endpoints(found: Built) -> list[Endpoint]:
    return [each for each in found.resources.values() if isinstance(each, Endpoint)]


def test_a_cluster_ip_port_is_a_listener_a_backend_and_its_endpoints() -> None:
    slices = slice_("web-1", "web", [endpoint("127.244.0.2", "p")], trigger="17.25")
    found = built(service("web"), slices)
    assert list(found.resources.values()) == [
        Listener("a/web:80/127.96.0.9:80", "127.96.0.9", 80, "tcp", "a/web:80"),
        Backend("a/web:80", "random", "none"),
        Endpoint("a/web:80", "uid-p", "127.244.0.2", 8080, True, True, False, "n0", target="a/p", triggered_at=17.25),
    ]
    assert found.notes == []


def test_no_service_no_resources() -> None:
    assert built(slice_("s", "web", [endpoint("127.244.0.2")])).resources == {}
    assert built(service("web", type="ExternalName", externalName="example.com")).resources == {}


@pytest.mark.parametrize(
    ("protocol", "mode"),
    [(None, "tcp"), ("http", "http"), ("kubernetes.io/ws", "http"), ("kubernetes.io/h2c", "http"),
     ("kubernetes.io/wss", "tcp"), ("https", "tcp"), ("HTTP", "tcp")],
)  # fmt: skip
def test_app_protocol_chooses_the_mode(protocol: str | None, mode: str) -> None:
    port = {"port": 80, **({"appProtocol": protocol} if protocol else {})}
    assert [each.mode for each in listeners(built(service("web", port)))] == [mode]


@pytest.mark.parametrize(("protocol", "spoken"), [(None, "http1"), ("http", "http1"), ("kubernetes.io/h2c", "h2c")])
def test_app_protocol_says_what_endpoints_speak(protocol: str | None, spoken: str) -> None:
    port = {"port": 80, **({"appProtocol": protocol} if protocol else {})}
    found = backends(built(service("web", port), uses=(Use(WEB, 80, "ingress", NO_TERMS),)))
    assert [each.protocol for each in found] == [spoken, spoken]


def test_a_node_port_is_on_every_node_and_on_localhost_once() -> None:
    port = {"port": 80, "nodePort": 30080}
    nodes = [node("n0", "127.245.0.1"), node("n1", "127.245.0.2"), node("far", "192.0.2.7"), node("n2", "127.0.0.1")]
    for type_ in ("NodePort", "LoadBalancer"):
        found = listeners(built(service("web", port, type=type_), *nodes))
        assert [(each.address, each.port) for each in found] == [
            ("127.96.0.9", 80), ("127.0.0.1", 30080), ("127.245.0.1", 30080), ("127.245.0.2", 30080),
        ]  # fmt: skip
        assert {each.backend for each in found} == {"a/web:80"}
    found = listeners(built(service("web", {"port": 80, "nodePort": 30080}), *nodes))
    assert len(found) == 1, "a leftover nodePort of a ClusterIP Service opens nothing"


def test_a_headless_service_has_no_listeners_but_an_ingress_may_use_it() -> None:
    objects = service("web", clusterIP="None"), slice_("s", "web", [endpoint("127.244.0.2")])
    assert built(*objects).resources == {}
    use = Use(WEB, 80, "ingress", NO_TERMS)
    found = built(*objects, uses=(use,))
    assert [each.name for each in backends(found)] == ["a/web:80@ingress"]
    assert [each.backend for each in endpoints(found)] == ["a/web:80@ingress"]
    assert listeners(found) == []


def test_external_ips_only_on_loopback_and_the_rest_is_said() -> None:
    found = built(service("web", externalIPs=["127.1.2.3", "192.0.2.1"]))
    assert [each.address for each in listeners(found)] == ["127.96.0.9", "127.1.2.3"]
    assert [(note.reason, "192.0.2.1" in note.message) for note in found.notes] == [("UnsupportedExternalIP", True)]


def test_one_number_may_be_a_port_of_tcp_and_one_of_udp() -> None:
    found = built(
        service("web", {"port": 53, "protocol": "UDP", "name": "u"}, {"port": 53, "name": "t"}),
        slice_(
            "s", "web", [endpoint("127.244.0.2", "p")],
            ports=[{"name": "u", "port": 5353, "protocol": "UDP"}, {"name": "t", "port": 5300}],
        ),
    )  # fmt: skip
    assert [(each.name, each.mode, each.backend) for each in listeners(found)] == [
        ("a/web:53/udp/127.96.0.9:53", "udp", "a/web:53/udp"),
        ("a/web:53/127.96.0.9:53", "tcp", "a/web:53"),
    ]
    assert [(each.backend, each.port) for each in endpoints(found)] == [("a/web:53/udp", 5353), ("a/web:53", 5300)]
    assert found.notes == []


def test_sctp_is_not_served_and_said() -> None:
    found = built(service("web", {"port": 53, "protocol": "SCTP"}))
    assert listeners(found) == []
    assert [note.reason for note in found.notes] == ["UnsupportedProtocol"]


def test_a_port_that_this_user_may_not_open_is_said() -> None:
    low, high = {"port": 80, "name": "low"}, {"port": 8080, "name": "high"}
    (note,) = built(service("web", low, high), config=Config(first_port=1024)).notes
    assert note.reason == "PortNeedsPrivilege"
    assert "port 80 cannot be opened" in note.message
    assert "8080" not in note.message
    assert built(service("web", low), config=Config(first_port=80)).notes == []
    assert built(service("web", low, clusterIP="None"), config=Config(first_port=1024)).notes == []


def test_fields_that_do_nothing_are_said() -> None:
    mode = {"service.kubernetes.io/topology-mode": "Auto"}
    found = built(service("web", loadBalancerSourceRanges=["10.0.0.0/8"], annotations=mode))
    assert [note.reason for note in found.notes] == ["UnsupportedField", "UnsupportedAnnotation"]
    assert "loadBalancerSourceRanges" in found.notes[0].message
    assert built(service("web", annotations={"service.kubernetes.io/topology-mode": "Disabled"})).notes == []


NODES = (
    node("n0", "127.245.0.1", zone="z0", pods="127.244.0.0/24", created="2026-01-01T00:00:01Z"),
    node("n1", "127.245.0.2", zone="z1", pods="127.244.1.0/24", created="2026-01-01T00:00:00Z"),
)
PORT = {"port": 80, "nodePort": 30080}


@pytest.mark.parametrize(
    ("within", "outside", "local"),
    [
        ("Cluster", "Cluster", {}),
        ("Local", "Cluster", {"127.96.0.9": ""}),
        ("Cluster", "Local", {"127.245.0.1": "n0", "127.245.0.2": "n1", "127.1.2.3": ""}),
    ],
)
def test_whose_traffic_policy_counts_where(within: str, outside: str, local: dict[str, str]) -> None:
    policies = {"internalTrafficPolicy": within, "externalTrafficPolicy": outside}
    found = built(service("web", PORT, type="NodePort", externalIPs=["127.1.2.3"], **policies), *NODES)
    at = {each.address: each for each in listeners(found)}
    assert {*at} == {"127.96.0.9", "127.0.0.1", "127.245.0.1", "127.245.0.2", "127.1.2.3"}
    assert {address: each.node for address, each in at.items() if each.local} == local
    assert (at["127.245.0.1"].node, at["127.245.0.2"].node, at["127.0.0.1"].node) == ("n0", "n1", "")


def test_a_load_balancer_with_policy_local_has_its_health_check_port_on_every_node() -> None:
    spec: dict[str, Any] = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 31000}
    found = built(service("web", PORT, {"port": 81, "name": "other"}, **spec), *NODES)
    health = [each for each in listeners(found) if each.mode == "health"]
    assert [(each.address, each.port, each.node, each.backend) for each in health] == [
        ("127.245.0.1", 31000, "n0", "a/web:80"),
        ("127.245.0.2", 31000, "n1", "a/web:80"),
    ]
    others = {**spec, "type": "NodePort"}, {**spec, "externalTrafficPolicy": "Cluster"}
    for other in others:
        assert not [each for each in listeners(built(service("web", PORT, **other), *NODES)) if each.mode == "health"]


def test_hints_of_slices_are_handed_on() -> None:
    hinted = {**endpoint("127.244.0.2"), "hints": {"forZones": [{"name": "z0"}], "forNodes": [{"name": "n0"}]}}
    (found,) = endpoints(built(service("web"), slice_("s", "web", [hinted])))
    assert (found.hint_nodes, found.hint_zones) == (("n0",), ("z0",))


def test_the_oldest_node_is_where_everybody_else_comes_from() -> None:
    assert nodes(World.of(NODES)) == [
        Node("n0", ("127.244.0.0/24", "127.245.0.1/32"), "z0"),
        Node("n1", ("127.244.1.0/24", "127.245.0.2/32", "127.0.0.0/8"), "z1"),
    ]


@pytest.mark.parametrize(
    ("config", "timeout"),
    [({}, 0.0), ({"sessionAffinity": "None"}, 0.0), ({"sessionAffinity": "ClientIP"}, 10800.0),
     ({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 7}}}, 7.0)],
)  # fmt: skip
def test_session_affinity(config: Object, timeout: float) -> None:
    assert [each.affinity_timeout_s for each in listeners(built(service("web", **config)))] == [timeout]


def test_policies_come_from_the_annotation_and_bad_ones_are_said() -> None:
    use = Use(WEB, 80, "ingress", NO_TERMS)
    own = Use(WEB, 80, "ingress/i", BackendTerms(Balancing("random")))

    def policies(**annotations: str) -> tuple[list[str], list[str]]:
        marked = service("web", annotations={f"loopkube.io/{key}": value for key, value in annotations.items()})
        found = built(marked, uses=(use, own))
        return [each.policy for each in backends(found)], [note.reason for note in found.notes]

    assert policies() == (["random", "round-robin", "random"], [])
    assert policies(balance="least-request") == (["least-request", "least-request", "random"], [])
    assert policies(balance="random") == (["random", "random", "random"], [])
    assert policies(balance="best") == (["random", "round-robin", "random"], ["BadAnnotation"])


def test_retries_are_the_profiles() -> None:
    config = Config(ingress_retry="ingress-nginx", ingress_tries_max=3)
    found = backends(built(service("web"), uses=(Use(WEB, 80, "ingress", NO_TERMS),), config=config))
    assert [(each.retry, each.tries_max) for each in found] == [("none", 1), ("ingress-nginx", 3)]


def test_conditions_absent_mean_what_kep_1672_says() -> None:
    bare = {"addresses": ["127.244.0.1"]}
    unready = {"addresses": ["127.244.0.2"], "conditions": {"ready": False}}
    leaving = endpoint("127.244.0.3", "p", ready=False, serving=True, terminating=True)
    unknown = {"addresses": ["127.244.0.4"], "conditions": {"ready": None, "serving": None, "terminating": None}}
    found = endpoints(built(service("web"), slice_("s", "web", [bare, unready, leaving, unknown])))
    assert [(each.ready, each.serving, each.terminating) for each in found] == [
        (True, True, False), (False, False, False), (False, True, True), (True, True, False),
    ]  # fmt: skip
    assert [each.id for each in found] == ["127.244.0.1:8080", "127.244.0.2:8080", "uid-p", "127.244.0.4:8080"]


def test_ports_meet_by_name_and_protocol() -> None:
    ports = [{"name": "http", "port": 80}, {"name": "admin", "port": 81}]
    slices = slice_(
        "s", "web", [endpoint("127.244.0.2", "p")],
        ports=[{"name": "http", "port": 8080, "protocol": "UDP"}, {"name": "admin", "port": 9000}, {"name": "http"}],
    )  # fmt: skip
    found = endpoints(built(service("web", *ports), slices))
    assert [(each.backend, each.port) for each in found] == [("a/web:81", 9000)]


def test_only_ipv4_slices_of_this_service_count() -> None:
    six = slice_("six", "web", [endpoint("::1", "p")], address_type="IPv6")
    other = slice_("other", "webber", [endpoint("127.244.0.3", "q")])
    elsewhere = slice_("s", "web", [endpoint("127.244.0.4", "r")], namespace="b")
    assert endpoints(built(service("web"), six, other, elsewhere)) == []


def test_an_address_in_two_slices_is_one_endpoint_and_the_better_copy_wins() -> None:
    worse = slice_("a", "web", [endpoint("127.244.0.2", "p", ready=False)])
    better = slice_("b", "web", [endpoint("127.244.0.2", "p")])
    for order in ((worse, better), (better, worse)):
        (found,) = endpoints(built(service("web"), *order))
        assert (found.id, found.ready) == ("uid-p", True)


def test_one_pod_with_two_addresses_keeps_ids_unique() -> None:
    found = endpoints(
        built(service("web"), slice_("s", "web", [endpoint("127.244.0.2", "p"), endpoint("127.244.0.3", "p")]))
    )
    assert [each.id for each in found] == ["uid-p", "127.244.0.3:8080"]


@pytest.mark.parametrize(("value", "at"), [("12.5", 12.5), ("soon", 0.0), ("", 0.0)])
def test_the_time_of_the_cause(value: str, at: float) -> None:
    (found,) = endpoints(built(service("web"), slice_("s", "web", [endpoint("127.244.0.2")], trigger=value)))
    assert found.triggered_at == at


def test_the_coarse_time_of_the_cause_is_kubernetes_own() -> None:
    slices = slice_("s", "web", [endpoint("127.244.0.2")])
    slices["metadata"]["annotations"] = {"endpoints.kubernetes.io/last-change-trigger-time": "1970-01-01T00:01:00Z"}
    (found,) = endpoints(built(service("web"), slices))
    assert found.triggered_at == 60.0


def test_one_pod_in_two_slices_at_two_addresses_is_two_endpoints() -> None:
    slices = [slice_(name, "web", [endpoint(f"127.244.0.{n}", "p")]) for n, name in enumerate("ab")]
    found = endpoints(built(service("web"), *slices))
    assert [(each.id, each.address) for each in found] == [
        ("uid-p", "127.244.0.0"),
        ("127.244.0.1:8080", "127.244.0.1"),
    ]


@pytest.mark.parametrize(
    ("ports", "wanted", "port"),
    [
        ([], 8080, 8080),  # no port is declared: the Ingress's number
        ([], "web", 0),
        ([{"name": "web", "port": 80}], "web", 80),
        ([{"name": "web", "port": 80, "targetPort": 8443}], "web", 8443),
        ([{"name": "web", "port": 80, "targetPort": "named"}], 80, 80),
        ([{"name": "web", "port": 80, "targetPort": 8443}], 80, 8443),
        ([{"name": "web", "port": 80}], 81, 81),
    ],
)
def test_an_external_name_is_an_endpoint_for_ingresses(ports: list[Object], wanted: int | str, port: int) -> None:
    external = service("web", type="ExternalName", externalName="Db.example.", clusterIP="")
    external["spec"]["ports"] = ports
    made = list(built(external, uses=(Use(WEB, wanted, "ingress", NO_TERMS),)).resources.values())
    if not port:
        assert made == []
        return
    name = f"a/web:{wanted}@ingress"
    assert made == [
        Backend(name, "round-robin"),
        Endpoint(name, f"db.example:{port}", "db.example", port, True, True, False, target="db.example", by_name=True),
    ]


def test_a_service_that_another_proxy_serves_is_left_alone_but_for_ingresses() -> None:
    label = {"service.kubernetes.io/service-proxy-name": "other"}
    made = service("web", {"port": 80, "protocol": "TCP"}, {"port": 81, "protocol": "UDP"}, labels=label)
    assert built(made).resources == {}
    assert built(made).notes == []
    use = Use(WEB, 80, "ingress", NO_TERMS)
    assert [each.name for each in backends(built(made, uses=(use,)))] == ["a/web:80@ingress"]

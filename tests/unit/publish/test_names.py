"""The Kubernetes DNS specification 1.1.0, row by row, and what is said beyond it."""

from __future__ import annotations

from typing import Any

import pytest

from control.api.kinds import ENDPOINT_SLICE, NAMESPACE, SERVICE, kind_of
from control.api.objects import Key, Object
from control.mirror.world import LiveWorld, World
from control.publish.build import affected, build, build_unit, units
from control.publish.endpoints import Pieces
from control.publish.names import build_names, build_namespace, reverse
from control.publish.unit import Built, Config, Unit
from dataplane.snapshot.model import Listener, Record, Zone
from tests.fakes.cluster_objects import endpoint, namespace, service, slice_

CONFIG = Config(http_port=0, https_port=0, dns_address="127.96.0.10")
WEB = Key("a", "web")
NAME = "web.a.svc.cluster.local."
HTTP, UNNAMED = {"name": "http", "port": 80}, {"port": 81}
SLICE_PORTS = [{"name": "http", "port": 8080, "protocol": "TCP"}]


def headless(*ports: Object, **spec: Any) -> Object:
    return service("web", *ports, **{"clusterIP": "None", **spec})


def named(address: str, hostname: str, *, ready: bool | None = True) -> Object:
    return {**endpoint(address, ready=ready), "hostname": hostname}


def built(*objects: Object, config: Config = CONFIG) -> Built:
    return build_names(World.of(objects), WEB, config)


def records(*objects: Object) -> set[tuple[str, str, str, int]]:
    found = built(*objects)
    return {
        (item.owner, item.type, item.data, item.port) for item in found.resources.values() if isinstance(item, Record)
    }


class TestServiceWithClusterIp:
    """2.3"""

    def test_2_3_1_its_address_is_under_its_name(self) -> None:
        assert (NAME, "A", "127.96.0.9", 0) in records(service("web"))

    def test_2_3_1_an_ipv6_address_is_an_aaaa(self) -> None:
        found = records(service("web", clusterIPs=["127.96.0.9", "2001:db8::1"]))
        assert {(NAME, "A", "127.96.0.9", 0), (NAME, "AAAA", "2001:db8::1", 0)} <= found

    def test_2_3_2_each_named_port_has_an_srv(self) -> None:
        found = records(service("web", HTTP, {"name": "dns", "port": 53, "protocol": "UDP"}))
        assert (f"_http._tcp.{NAME}", "SRV", NAME, 80) in found
        assert (f"_dns._udp.{NAME}", "SRV", NAME, 53) in found

    def test_2_3_2_an_unnamed_port_has_none(self) -> None:
        assert not [row for row in records(service("web", UNNAMED)) if row[0].startswith("_")]

    def test_2_3_3_the_address_leads_back_to_the_name(self) -> None:
        found = records(service("web", clusterIPs=["127.96.0.9", "2001:db8::1"]))
        assert ("9.0.96.127.in-addr.arpa.", "PTR", NAME, 0) in found
        nibbles = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."
        assert (nibbles, "PTR", NAME, 0) in found

    def test_endpoints_do_not_matter(self) -> None:
        assert records(service("web"), slice_("s", "web", [endpoint("127.244.0.2")])) == records(service("web"))


class TestHeadlessService:
    """2.4"""

    ONE = slice_("s", "web", [named("127.244.0.1", "my-pet"), endpoint("127.244.0.2")], ports=SLICE_PORTS)

    def test_2_4_1_every_ready_endpoint_is_under_the_services_name(self) -> None:
        found = records(headless(), self.ONE)
        assert {row[2] for row in found if row[:2] == (NAME, "A")} == {"127.244.0.1", "127.244.0.2"}

    def test_2_4_1_and_under_its_own(self) -> None:
        assert (f"my-pet.{NAME}", "A", "127.244.0.1", 0) in records(headless(), self.ONE)

    def test_2_4_1_an_endpoint_without_hostname_has_a_name_of_its_own_too(self) -> None:
        assert (f"127-244-0-2.{NAME}", "A", "127.244.0.2", 0) in records(headless(), self.ONE)

    def test_2_4_1_several_addresses_of_one_hostname_are_one_set(self) -> None:
        both = slice_("s", "web", [named("127.244.0.1", "pet"), named("127.244.0.2", "pet")])
        found = records(headless(), both)
        assert {row[2] for row in found if row[:2] == (f"pet.{NAME}", "A")} == {"127.244.0.1", "127.244.0.2"}

    def test_2_4_1_ipv6_endpoints_are_aaaa(self) -> None:
        six = slice_("s", "web", [endpoint("2001:db8::")], address_type="IPv6")
        assert {(NAME, "AAAA", "2001:db8::", 0), (f"2001-db8--0.{NAME}", "AAAA", "2001:db8::", 0)} <= records(
            headless(), six
        )

    def test_2_4_1_without_ready_endpoints_there_is_no_name(self) -> None:
        assert records(headless(), slice_("s", "web", [endpoint("127.244.0.2", ready=False)])) == set()
        assert records(headless()) == set()

    def test_2_1_ready_is_what_does_not_say_otherwise(self) -> None:
        assert (NAME, "A", "127.244.0.2", 0) in records(
            headless(), slice_("s", "web", [endpoint("127.244.0.2", ready=None)])
        )

    def test_2_1_publish_not_ready_addresses_makes_all_ready(self) -> None:
        unready = slice_("s", "web", [named("127.244.0.2", "pet", ready=False)])
        found = records(headless(publishNotReadyAddresses=True), unready)
        assert {(NAME, "A", "127.244.0.2", 0), (f"pet.{NAME}", "A", "127.244.0.2", 0)} <= found

    def test_2_4_2_each_pair_of_endpoint_and_named_port_has_an_srv(self) -> None:
        ports = [*SLICE_PORTS, {"name": "ctl", "port": 9090, "protocol": "UDP"}, {"name": "", "port": 1}]
        ends = [named("127.244.0.1", "x"), named("127.244.0.2", "y"), named("127.244.0.3", "z", ready=False)]
        found = {row for row in records(headless(), slice_("s", "web", ends, ports=ports)) if row[0].startswith("_")}
        assert found == {
            (f"_{port}._{protocol}.{NAME}", "SRV", f"{host}.{NAME}", number)
            for port, protocol, number in (("http", "tcp", 8080), ("ctl", "udp", 9090))
            for host in "xy"
        }

    def test_2_4_3_the_address_leads_back_to_the_endpoints_name(self) -> None:
        found = records(headless(), self.ONE)
        assert ("1.0.244.127.in-addr.arpa.", "PTR", f"my-pet.{NAME}", 0) in found
        assert ("2.0.244.127.in-addr.arpa.", "PTR", f"127-244-0-2.{NAME}", 0) in found

    def test_slices_add_up_and_names_without_a_family_do_not_count(self) -> None:
        more = slice_("t", "web", [endpoint("127.244.0.7")])
        names = slice_("u", "web", [endpoint("example.com")], address_type="FQDN")
        other = slice_("v", "api", [endpoint("127.244.0.8")])
        found = records(headless(), self.ONE, more, names, other)
        assert {row[2] for row in found if row[:2] == (NAME, "A")} == {"127.244.0.1", "127.244.0.2", "127.244.0.7"}


class TestExternalName:
    """2.5"""

    @pytest.mark.parametrize("target", ["www.example.com", "www.example.com.", "WWW.example.com"])
    def test_it_is_an_alias_and_nothing_else(self, target: str) -> None:
        made = service("web", HTTP, type="ExternalName", externalName=target, clusterIP="")
        assert records(made) == {(NAME, "CNAME", "www.example.com.", 0)}

    def test_an_address_is_no_name_and_the_user_is_told(self) -> None:
        found = built(service("web", type="ExternalName", externalName="10.0.0.1"))
        assert not found.resources
        (note,) = found.notes
        assert note.reason == "ExternalNameIsAddress"
        assert "10.0.0.1" in note.message


class TestTheRest:
    def test_2_2_the_version_of_the_schema(self) -> None:
        assert Record("dns-version.cluster.local.", "TXT", "1.1.0") in build(World.of([]), CONFIG).values()

    def test_a_namespace_exists_with_or_without_services_and_names_pods(self) -> None:
        found = build_namespace(World.of([namespace("a")]), Key("", "a"), CONFIG).resources.values()
        assert list(found) == [
            Record("a.svc.cluster.local.", "EMPTY"),
            Record("a.pod.cluster.local.", "DASHED"),
        ]
        assert not build_namespace(World.of([]), Key("", "a"), CONFIG).resources

    def test_beyond_it_a_service_itself_has_an_srv_for_every_port(self) -> None:
        assert {(NAME, "SRV", NAME, 80), (NAME, "SRV", NAME, 81)} <= records(service("web", HTTP, UNNAMED))
        unnamed = slice_("s", "web", [named("127.244.0.1", "pet")], ports=[{"port": 9}, {"name": "all"}])
        assert {row for row in records(headless(), unnamed) if row[1] == "SRV"} == {(NAME, "SRV", f"pet.{NAME}", 9)}

    def test_a_service_that_is_gone_or_has_no_address_yet_has_no_names(self) -> None:
        assert records() == set()
        assert not [row for row in records(service("web", clusterIP="")) if row[1] == "A"]

    def test_the_server_and_its_zones(self) -> None:
        found = build(World.of([]), CONFIG)
        assert found["listener", "dns"] == Listener("dns", "127.96.0.10", 53, "dns")
        assert found["zone", "cluster.local."] == Zone("cluster.local.", "ns.dns.cluster.local.", 0)
        assert ("zone", ".") not in found
        config = Config(dns_address="127.96.0.10", dns_ttl_s=30, dns_upstreams=(("10.0.0.1", 53),))
        found = build(World.of([]), config)
        for name in (".", "in-addr.arpa.", "ip6.arpa."):
            assert found["zone", name] == Zone(name, "ns.dns.cluster.local.", 30, (("10.0.0.1", 53),))

    def test_without_an_address_there_are_no_names(self) -> None:
        world, config = World.of([service("web"), headless(), namespace("a")]), Config()
        assert not [key for key in build(world, config) if key[0] in ("zone", "record")]
        assert {unit.type for unit in units(world, config)} == {"frame", "service"}

    def test_another_port_than_53_is_told_at_the_dns_service(self) -> None:
        dns = service("kube-dns", namespace="kube-system")
        for port, told in ((53, []), (1053, ["DNSPortInUse"])):
            config = Config(dns_address="127.96.0.10", dns_port=port)
            found = build_names(World.of([dns]), Key("kube-system", "kube-dns"), config)
            assert [note.reason for note in found.notes] == told

    @pytest.mark.parametrize("address", ["", "example.com", "127.0.0"])
    def test_what_is_no_address_leads_nowhere(self, address: str) -> None:
        assert reverse(address) == ""


@pytest.mark.parametrize(
    ("old", "new", "concerned"),
    [
        (None, service("web"), {"web"}),
        (service("web"), None, {"web"}),
        (None, slice_("s", "web", []), set()),  # has a cluster IP
        (None, slice_("s", "db", []), {"db"}),
        (slice_("s", "db", []), slice_("s", "web", []), {"db"}),
        (None, namespace("x"), {"x"}),
    ],
)
def test_what_a_change_concerns(old: Object | None, new: Object | None, concerned: set[str]) -> None:
    world, kind = World.of([service("web"), service("db", clusterIP="None")]), kind_of(new or old or {})
    assert kind is not None
    found = affected(world, kind, old, new, CONFIG)
    assert {unit.key.name for unit in found if unit.type in ("names", "namespace")} == concerned
    assert not [unit for unit in affected(world, kind, old, new, Config()) if unit.type in ("names", "namespace")]


def test_one_endpoints_flip_remakes_one_endpoints_records() -> None:
    world, pieces, unit = LiveWorld(), Pieces(), Unit("names", WEB)
    world.put(SERVICE, headless())
    world.put(ENDPOINT_SLICE, slice_("s", "web", [named("127.244.0.1", "x"), named("127.244.0.2", "y")]))
    before = build_unit(world, unit, CONFIG, pieces).resources
    flipped = [named("127.244.0.1", "x"), named("127.244.0.2", "y", ready=False)]
    world.put(ENDPOINT_SLICE, slice_("s", "web", flipped))
    after = build_unit(world, unit, CONFIG, pieces).resources
    assert {key for key in before if key not in after} == {
        ("record", f"{NAME} A 127.244.0.2 0"),
        ("record", f"y.{NAME} A 127.244.0.2 0"),
        ("record", f"2.0.244.127.in-addr.arpa. PTR y.{NAME} 0"),
        ("record", f"{NAME} SRV y.{NAME} 8080"),
    }
    assert all(after[key] is before[key] for key in after)


def test_a_changed_port_remakes_them_all() -> None:
    world, pieces, unit = LiveWorld(), Pieces(), Unit("names", WEB)
    world.put(NAMESPACE, namespace("a"))
    world.put(SERVICE, headless())
    for number in (8080, 9090):
        world.put(ENDPOINT_SLICE, slice_("s", "web", [named("127.244.0.1", "x")], ports=[{"port": number}]))
        found = build_unit(world, unit, CONFIG, pieces).resources.values()
        assert [item.port for item in found if isinstance(item, Record) and item.port] == [number]
    world.remove(SERVICE, WEB)
    assert not build_unit(world, unit, CONFIG, pieces).resources

"""What Services get from the cluster, keep, and give back."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.api.objects import Key
from control.apiserver.allocate import Books, Full, OutOfRange, Range, Taken, address_band, port_band
from control.apiserver.services import addresses_of, occupy, ports_of
from control.store.store import Store
from tests.fakes.cluster import CORE, Cluster, cluster, service

URL = f"{CORE}/services"


def test_the_bands_of_the_proposals() -> None:
    assert [address_band(1 << (32 - bits)) for bits in (16, 22, 26, 28, 30)] == [256, 64, 16, 0, 0]
    assert [port_band(2768), port_band(100), port_band(16)] == [86, 16, 0]


def test_dynamic_numbers_come_from_the_upper_band_first() -> None:
    numbers = Range(1, 40, 10)
    upper = {numbers.take_any(Key("", str(i)), Random(i)) for i in range(30)}
    assert upper == set(range(11, 41))
    lower = {numbers.take_any(Key("", str(i)), Random(i)) for i in range(10)}
    assert lower == set(range(1, 11))
    with pytest.raises(Full):
        numbers.take_any(Key("", "x"), Random(0))


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(["take", "any", "release"]), st.integers(0, 12), st.sampled_from("ab"))))
def test_a_number_has_one_owner(steps: list[tuple[str, int, str]]) -> None:
    numbers, twin, rng = Range(1, 10, 3), dict[int, str](), Random(1)
    for what, number, owner in steps:
        key = Key("", owner)
        if what == "release":
            numbers.release(number, key)
            if twin.get(number) == owner:
                del twin[number]
        elif what == "any":
            try:
                got = numbers.take_any(key, rng)
            except Full:
                assert len(twin) == 10
            else:
                assert got not in twin
                assert got > 3 or {4, 5, 6, 7, 8, 9, 10} <= twin.keys()
                twin[got] = owner
        else:
            expected = OutOfRange if not 1 <= number <= 10 else Taken if number in twin else None
            if expected is None:
                numbers.take(number, key)
                twin[number] = owner
            else:
                with pytest.raises(expected):
                    numbers.take(number, key)
        for each in range(1, 11):
            found = numbers.owner(each)
            assert (found.name if found else None) == twin.get(each)


async def _create(api: Cluster, name: str = "web", **spec: Any) -> dict[str, Any]:
    reply = await api.post(URL, service(name, **spec))
    assert reply.status == 201, reply.body
    return reply.body["spec"]  # type: ignore[no-any-return]


async def test_a_service_gets_an_address_of_the_upper_band() -> None:
    async with cluster() as api:
        spec = await _create(api)
        assert IPv4Address(spec["clusterIP"]) in IPv4Network("127.96.0.0/16")
        assert IPv4Address(spec["clusterIP"]) > IPv4Address("127.96.1.0")
        assert spec["clusterIPs"] == [spec["clusterIP"]]
        assert (spec["ipFamilies"], spec["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")
        assert api.server.context.books.addresses.owner(int(IPv4Address(spec["clusterIP"]))) == ("default", "web")


async def test_headless_and_external_names_get_none() -> None:
    async with cluster() as api:
        assert (await _create(api, "headless", clusterIP="None"))["clusterIPs"] == ["None"]
        external = await _create(api, "external", type="ExternalName", externalName="example.com", ports=[])
        assert "clusterIP" not in external
        assert "ipFamilies" not in external


async def test_fixed_numbers_are_given_once_and_in_range() -> None:
    async with cluster() as api:
        await _create(api, "a", clusterIP="127.96.0.9", type="NodePort", ports=[{"port": 80, "nodePort": 30001}])
        taken = await api.post(URL, service("b", clusterIP="127.96.0.9"))
        assert taken.message == (
            'Service "b" is invalid: spec.clusterIPs: Invalid value: ["127.96.0.9"]: '
            "failed to allocate IP 127.96.0.9: provided IP is already allocated"
        )
        outside = await api.post(URL, service("b", clusterIP="10.0.0.1"))
        assert "The range of valid IPs is 127.96.0.0/16" in outside.message
        taken = await api.post(URL, service("b", type="NodePort", ports=[{"port": 80, "nodePort": 30001}]))
        assert taken.message == (
            'Service "b" is invalid: spec.ports[0].nodePort: Invalid value: 30001: provided port is already allocated'
        )
        outside = await api.post(URL, service("b", type="NodePort", ports=[{"port": 80, "nodePort": 80}]))
        assert "The range of valid ports is 30000-32767" in outside.message


async def test_what_a_refused_create_took_is_given_back() -> None:
    async with cluster() as api:
        before = repr(api.server.context.books)
        ports = [{"name": "a", "port": 1, "nodePort": 30000}, {"name": "b", "port": 2, "nodePort": 1}]
        assert (await api.post(URL, service("b", type="NodePort", ports=ports))).status == 422
        assert (await api.post(URL, service("B_"))).status == 422
        assert (await api.post(f"{URL}?dryRun=All", service("b", type="NodePort"))).status == 201
        assert repr(api.server.context.books) == before


async def test_node_ports_and_the_health_port() -> None:
    async with cluster() as api:
        ports = [{"name": "t", "port": 53}, {"name": "u", "port": 53, "protocol": "UDP"}, {"name": "w", "port": 80}]
        spec = await _create(api, type="LoadBalancer", externalTrafficPolicy="Local", ports=ports)
        tcp, udp, web = (port["nodePort"] for port in spec["ports"])
        assert tcp == udp != web
        assert all(30086 <= port <= 32767 for port in (tcp, web, spec["healthCheckNodePort"]))
        without = await _create(api, "none", type="LoadBalancer", allocateLoadBalancerNodePorts=False)
        assert "nodePort" not in without["ports"][0]


async def test_an_update_keeps_what_it_leaves_out_and_frees_what_it_drops() -> None:
    async with cluster() as api:
        spec = await _create(api, type="NodePort")
        port = spec["ports"][0]["nodePort"]
        kept = (await api.put(f"{URL}/web", service(type="NodePort"))).body["spec"]
        assert (kept["clusterIP"], kept["ports"][0]["nodePort"]) == (spec["clusterIP"], port)
        back = (await api.patch(f"{URL}/web", {"spec": {"type": "ClusterIP"}})).body["spec"]
        assert "nodePort" not in back["ports"][0]
        assert api.server.context.books.ports.owner(port) is None
        patch = {"spec": {"type": "ExternalName", "externalName": "example.com"}}
        external = (await api.patch(f"{URL}/web", patch)).body["spec"]
        assert "clusterIP" not in external
        books = api.server.context.books
        assert books.addresses.owner(int(IPv4Address(spec["clusterIP"]))) is None
        again = (await api.patch(f"{URL}/web", {"spec": {"type": "ClusterIP", "externalName": None}})).body["spec"]
        assert again["clusterIPs"] == [again["clusterIP"]]


async def test_a_changed_address_is_refused() -> None:
    async with cluster() as api:
        spec = await _create(api)
        reply = await api.patch(f"{URL}/web", {"spec": {"clusterIP": "127.96.9.9", "clusterIPs": ["127.96.9.9"]}})
        assert (reply.status, "field is immutable" in reply.message or "may not change" in reply.message) == (422, True)
        owner = api.server.context.books.addresses.owner(int(IPv4Address(spec["clusterIP"])))
        assert owner == ("default", "web")


async def test_a_deleted_service_gives_everything_back() -> None:
    async with cluster() as api:
        before = repr(api.server.context.books)
        await _create(api, type="NodePort")
        assert repr(api.server.context.books) != before
        await api.delete(f"{URL}/web")
        assert repr(api.server.context.books) == before


async def test_other_families_are_refused() -> None:
    async with cluster() as api:
        reply = await api.post(URL, service(ipFamilies=["IPv6"]))
        assert 'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster' in reply.message
        reply = await api.post(URL, service(ipFamilyPolicy="RequireDualStack"))
        assert "this cluster is not configured for dual-stack services" in reply.message


async def test_the_books_of_a_restart_are_the_stored_services() -> None:
    async with cluster() as api:
        await _create(api, "a", type="NodePort")
        await _create(api, "b", type="LoadBalancer", externalTrafficPolicy="Local")
        books = Books("127.96.0.0/16", (30000, 32767), Random(1))
        store: Store = api.store
        for stored in store.list("services"):
            assert occupy(stored.obj, books) == []
            assert addresses_of(stored.obj)
        assert repr(books) == repr(api.server.context.books)
        lone = next(stored for stored in store.list("services") if ports_of(stored.obj))
        assert len(occupy(lone.obj, books)) == 2

"""Values of the right type that no worker could act upon."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dataplane.snapshot.check import problem
from dataplane.snapshot.model import Backend, Certificate, Listener, Record, Resource, Zone
from tests.fakes.contract import endpoint, rule

TCP = Listener("l", "127.96.0.1", 80, "tcp", backend="app")
DNS = Listener("dns", "127.96.0.10", 53, "dns")
ZONE = Zone("cluster.local.", "ns.dns.cluster.local.", 5, (("10.0.0.1", 53), ("::1", 5353)))
INGRESS = Listener("l", "127.0.0.1", 80, "ingress", table="web")


@pytest.mark.parametrize(
    "good",
    [
        TCP,
        INGRESS,
        replace(TCP, address="::1", affinity_timeout_s=10800.0),
        replace(INGRESS, tls=True),
        rule("r", host="*.example.com"),
        rule("r", host="a_b.example.com", path="", path_type="ImplementationSpecific"),
        rule("r", path="", is_default=True),
        Backend("app", pending_max=0),
        endpoint("a", address="255.1.20.0", port=65535),
        endpoint("a", address="db.example", by_name=True),
        Certificate("c", ("", "*.a.b"), "", ""),
        DNS,
        ZONE,
        Zone(".", ".", 0),
        Record("_http._tcp.a.b.", "SRV", "a.b.", 80),
        Record("a.", "A", "10.0.0.1"),
        Record("a.", "AAAA", "2001:db8::1"),
        Record("a.", "TXT", "x" * 255),
        Record(f"{'a' * 63}.b.", "EMPTY"),
    ],
    ids=repr,
)
def test_what_can_be_acted_upon_passes(good: Resource) -> None:
    assert problem(good) == ""


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (replace(TCP, name=""), "listener without a name"),
        (replace(TCP, address="localhost"), "listener l: address: 'localhost' is no IP address"),
        (replace(TCP, address="1.2.3.256"), "no IP address"),
        (replace(TCP, address="1.2.3.4\n"), "no IP address"),
        (replace(TCP, port=0), "listener l: port: 0 is no port"),
        (replace(TCP, port=65536), "65536 is no port"),
        (replace(TCP, backend=""), "backend: a tcp listener needs one"),
        (replace(INGRESS, table=""), "table: an ingress listener needs one"),
        (replace(TCP, affinity_timeout_s=-1.0), "affinity_timeout_s: below zero"),
        (replace(INGRESS, affinity_timeout_s=1.0), "affinity_timeout_s: an ingress listener has none"),
        (replace(TCP, tls=True), "tls: a tcp listener"),
        (rule("r", host="*"), "host: '*'"),
        (rule("r", host="a.*.b"), "host"),
        (rule("r", host="Upper.example.com"), "lowercase"),
        (rule("r", path="foo"), "path: 'foo' does not begin with '/'"),
        (rule("r", path="", path_type="Exact"), "does not begin with '/'"),
        (rule("r", table=""), "table"),
        (Backend("app", tries_max=-1), "backend app: tries_max: below zero"),
        (Backend("app", send_timeout_s=0.0), "send_timeout_s: not above zero"),
        (rule("r", path="/(?=a)", path_type="Regex"), "path: '/(?=a)': invalid perl operator"),
        (rule("r", path="/(a)\\1", path_type="Regex"), "invalid escape sequence"),
        (rule("r", path="a", path_type="Regex"), "does not begin with '/'"),
        (rule("r", is_canary=True), "policy: a canary needs one"),
        (Backend("app", connections_max=0), "connections_max"),
        (Backend("app", pending_max=-1), "pending_max"),
        (Backend("app", connect_timeout_s=0.0), "connect_timeout_s: not above zero"),
        (endpoint(""), "backend and id"),
        (endpoint("a", address=""), "endpoint app|a: address"),
        (endpoint("a", port=-1), "port"),
        (endpoint("a", address="a.example"), "'a.example' is no IP address"),
        (endpoint("a", address="127.0.0.1", by_name=True), "'127.0.0.1' is no lowercase DNS name"),
        (Certificate("c", (), "", ""), "hosts: at least one"),
        (Certificate("c", ("*",), "", ""), "hosts"),
        (replace(DNS, tls=True), "tls: a dns listener"),
        (replace(DNS, affinity_timeout_s=1.0), "affinity_timeout_s: a dns listener has none"),
        (replace(ZONE, name="cluster.local"), "zone cluster.local: name: 'cluster.local' is no absolute"),
        (replace(ZONE, name="Cluster.local."), "lowercase"),
        (replace(ZONE, nameserver=""), "nameserver: ''"),
        (replace(ZONE, ttl_s=-1), "ttl_s: -1"),
        (replace(ZONE, upstreams=(("resolver", 53),)), "upstreams: 'resolver', 53"),
        (replace(ZONE, upstreams=(("10.0.0.1", 0),)), "upstreams: '10.0.0.1', 0"),
        (Record("a", "A", "10.0.0.1"), "owner: 'a'"),
        (Record("a..b.", "A", "10.0.0.1"), "owner"),
        (Record(f"{'a' * 64}.", "EMPTY"), "owner"),
        (Record("a." * 127 + "b.", "EMPTY"), "owner"),
        (Record("a.", "A", "::1"), "data: '::1' is no address for A"),
        (Record("a.", "A", "010.0.0.1"), "no address"),
        (Record("a.", "AAAA", "fe80::1%lo"), "no address"),
        (Record("a.", "CNAME", "b"), "data: 'b' is no absolute"),
        (Record("a.", "TXT", "x" * 256), "more than 255"),
        (Record("a.", "EMPTY", "x"), "EMPTY has none"),
        (Record("a.", "SRV", "b.", 65536), "port: 65536"),
        (Record("a.", "A", "10.0.0.1", 80), "port: 80 belongs to no A"),
    ],
)
def test_what_cannot_is_named(bad: Resource, text: str) -> None:
    assert text in problem(bad)

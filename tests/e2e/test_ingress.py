"""Ingresses: which request goes where, and what is said when it cannot."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial

import pytest

from tests.e2e.clients import (
    Answer,
    Client,
    Ingress,
    admin,
    backend,
    delete,
    echo_pod,
    get,
    ingress,
    phases,
    service,
    switch,
    wait_ready,
    wait_warning,
    warnings,
    worker_socket,
)
from tests.e2e.conftest import Cluster, echo_app, until
from tests.e2e.loads import running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
NAMED = [{"name": "web", "port": 80, "targetPort": "http"}, {"name": "alt", "port": 8081, "targetPort": 8080}]


@pytest.fixture(scope="module")
def at(cluster: Cluster) -> Ingress:
    """The Ingress of a cluster with pods and Services a, b and c."""
    for name in "abc":
        cluster.apply(echo_pod(name), service(name, app=name, ports=NAMED))
    wait_ready(cluster, "a", "b", "c")
    return Ingress(cluster)


def who(answer: Answer) -> str:
    return answer.pod if answer.status == 200 else str(answer.status)


def routed(cluster: Cluster, name: str) -> None:
    """The worker has the routes of this Ingress."""
    wanted = f"default/{name}#"
    until(f"routes of {name}", lambda: any(wanted in r["name"] for r in admin(cluster, "/table").json["routes"]))


def test_hosts_exact_wildcard_and_none(cluster: Cluster, at: Ingress) -> None:
    rules = [("shop.test", backend("a")), ("*.shop.test", backend("b")), ("exact.shop.test", backend("c"))]
    cluster.apply(ingress("hosts", *((host, "Prefix", "/", to) for host, to in rules)))
    routed(cluster, "hosts")
    for host, expected in {
        "shop.test": "a",
        "SHOP.test": "a",
        "shop.test:8080": "a",
        "shop.test.": "a",
        "any.shop.test": "b",
        "exact.shop.test": "c",
        "two.labels.shop.test": "404",
        "shop.test.org": "404",
        "other.test": "404",
    }.items():
        assert who(at.get(host)) == expected, host
    delete(cluster, "ingress", "hosts")
    until("no routes", lambda: at.status("shop.test") == 404)


# KEP-1453's table: (path type, rule's path, request's path, whether it matches)
TRUTH = [
    ("Prefix", "/", "/any/path", True),
    ("Exact", "/foo", "/foo", True),
    ("Exact", "/foo", "/bar", False),
    ("Exact", "/foo", "/foo/", False),
    ("Exact", "/foo/", "/foo", False),
    ("Prefix", "/foo", "/foo", True),
    ("Prefix", "/foo", "/foo/", True),
    ("Prefix", "/foo/", "/foo", True),
    ("Prefix", "/foo/", "/foo/", True),
    ("Prefix", "/aaa/bb", "/aaa/bbb", False),
    ("Prefix", "/aaa/bbb", "/aaa/bbb", True),
    ("Prefix", "/aaa/bbb/", "/aaa/bbb", True),
    ("Prefix", "/aaa/bbb", "/aaa/bbb/", True),
    ("Prefix", "/aaa/bbb", "/aaa/bbb/ccc", True),
    ("Prefix", "/aaa/bbb", "/aaa/bbbxyz", False),
    ("Prefix", "/foo", "/FOO", False),
    ("Prefix", "/foo", "/foo?x=/bar", True),
    ("ImplementationSpecific", "/foo", "/foo/bar", True),
]


def test_paths_by_the_truth_table(cluster: Cluster, at: Ingress) -> None:
    rules = [(f"t{n}.test", kind, path, backend("a")) for n, (kind, path, _, _) in enumerate(TRUTH)]
    cluster.apply(ingress("truth", *rules))
    routed(cluster, "truth")
    for number, (kind, path, asked, matches) in enumerate(TRUTH):
        assert who(at.get(f"t{number}.test", asked)) == ("a" if matches else "404"), (kind, path, asked)
    delete(cluster, "ingress", "truth")


def test_exact_wins_over_prefix_and_long_over_short(cluster: Cluster, at: Ingress) -> None:
    cluster.apply(
        ingress(
            "order",
            ("order.test", "Prefix", "/", backend("a")),
            ("order.test", "Prefix", "/foo", backend("b")),
            ("order.test", "Exact", "/foo", backend("c")),
        )
    )
    routed(cluster, "order")
    found = {path: who(at.get("order.test", path)) for path in ("/", "/x", "/foo", "/foo/", "/foo/x", "/fooo")}
    assert found == {"/": "a", "/x": "a", "/foo": "c", "/foo/": "b", "/foo/x": "b", "/fooo": "a"}
    delete(cluster, "ingress", "order")


def test_default_backends(cluster: Cluster, at: Ingress) -> None:
    assert who(at.get("nobody.test")) == "404"
    assert b"404" in at.get("nobody.test").body
    cluster.apply(ingress("fallback", ("known.test", "Exact", "/in", backend("a")), defaultBackend=backend("b")))
    until("the default backend", lambda: who(at.get("nobody.test")) == "b")
    assert who(at.get("known.test", "/in")) == "a"
    assert who(at.get("known.test", "/out")) == "b"
    # another Ingress's host without a match of path: its own default, not a stranger's
    cluster.apply(
        ingress("own", ("own.test", "Exact", "/in", backend("a")), defaultBackend=backend("c")),
        ingress("none", ("none.test", "Exact", "/in", backend("a"))),
    )
    routed(cluster, "none")
    assert who(at.get("own.test", "/out")) == "c"
    assert who(at.get("nobody.test")) == "b"  # the older default stays in charge of the rest
    delete(cluster, "ingress", "fallback", "own", "none")
    until("no default backend", lambda: who(at.get("nobody.test")) == "404")


def test_ports_by_number_and_by_name(cluster: Cluster, at: Ingress) -> None:
    ports: list[int | str] = [80, 8081, "web", "alt", 99, "nix"]
    cluster.apply(ingress("ports", *(("ports.test", "Exact", f"/{p}", backend("a", p)) for p in ports)))
    routed(cluster, "ports")
    found = [who(at.get("ports.test", f"/{port}")) for port in ports]
    assert found == ["a", "a", "a", "a", "503", "503"]
    assert "has no TCP port" in wait_warning(cluster, "ports", "ServicePortNotFound")
    delete(cluster, "ingress", "ports")


def test_503_without_endpoints_or_service(cluster: Cluster, at: Ingress) -> None:
    cluster.apply(echo_pod("weak"), service("weak", app="weak"))
    wait_ready(cluster, "weak")
    cluster.apply(
        ingress("sick", ("weak.test", "Prefix", "/", backend("weak")), ("miss.test", "Prefix", "/", backend("miss")))
    )
    until("the Ingress", lambda: who(at.get("weak.test")) == "weak")
    assert who(at.get("miss.test")) == "503"
    assert "default/miss" in wait_warning(cluster, "sick", "ServiceNotFound")
    switch(cluster, "weak", ready=False)
    until("503", lambda: who(at.get("weak.test")) == "503")
    switch(cluster, "weak", ready=True)
    until("200", lambda: who(at.get("weak.test")) == "weak")
    cluster.apply(service("miss", app="a"))
    until("the Service that was missing", lambda: who(at.get("miss.test")) == "a")
    delete(cluster, "ingress", "sick")
    delete(cluster, "pod", "weak")


def test_classes(cluster: Cluster, at: Ingress) -> None:
    foreign = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": "foreign"},
        "spec": {"controller": "example.com/other"},
    }
    annotated = ingress("c-annotated", ("annotated.test", "Prefix", "/", backend("a")))
    annotated["metadata"]["annotations"] = {"kubernetes.io/ingress.class": "foreign"}
    cluster.apply(foreign)
    cluster.apply(
        ingress("c-foreign", ("foreign.test", "Prefix", "/", backend("a")), ingressClassName="foreign"),
        ingress("c-unknown", ("unknown.test", "Prefix", "/", backend("a")), ingressClassName="unknown"),
        annotated,
        ingress("c-ours", ("ours.test", "Prefix", "/", backend("a")), ingressClassName="loopkube"),
        ingress("c-default", ("default.test", "Prefix", "/", backend("a"))),
    )
    until("the last of them", lambda: who(at.get("default.test")) == "a")
    hosts = ["ours.test", "foreign.test", "unknown.test", "annotated.test"]
    assert [who(at.get(host)) for host in hosts] == ["a", "404", "404", "404"]
    for name in ("c-ours", "c-default"):
        until(f"{name}'s address", partial(has_address, cluster, name, at.address))
    assert address_of(cluster, "c-foreign") == ""
    assert cluster.get("ingress", "c-default")["spec"]["ingressClassName"] == "loopkube"  # admission names it
    cluster.kubectl("patch", "ingress", "c-foreign", "-p", '{"spec":{"ingressClassName":"loopkube"}}')
    until("it is ours now", lambda: who(at.get("foreign.test")) == "a")
    cluster.kubectl("patch", "ingress", "c-ours", "-p", '{"spec":{"ingressClassName":"foreign"}}')
    until("it is not ours any more", lambda: who(at.get("ours.test")) == "404")
    delete(cluster, "ingress", "--all")
    delete(cluster, "ingressclass", "foreign")


def has_address(cluster: Cluster, name: str, address: str) -> bool:
    return address_of(cluster, name) == address


def address_of(cluster: Cluster, name: str) -> str:
    found = cluster.get("ingress", name)["status"]["loadBalancer"].get("ingress") or [{"ip": ""}]
    return str(found[0]["ip"])


def test_the_origin_learns_who_asks(cluster: Cluster, at: Ingress) -> None:
    cluster.apply(ingress("who", ("who.test", "Prefix", "/", backend("a"))))
    until("the Ingress", lambda: who(at.get("who.test")) == "a")
    spoofed = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "gopher", "X-Real-IP": "6.6.6.6"}
    seen = at.get("who.test", "/p%2Fq?x=1", source="127.0.0.9", headers=spoofed).json
    assert (seen["path"], seen["query"]) == ("/p%2Fq", {"x": "1"})
    headers = seen["headers"]
    assert headers["host"] == "who.test"
    assert headers["x-forwarded-for"] == headers["x-real-ip"] == "127.0.0.9"
    assert headers["x-forwarded-proto"] == "http"
    assert headers["x-forwarded-host"] == "who.test"
    assert headers["x-forwarded-port"] == str(at.port)
    assert "connection" not in headers
    delete(cluster, "ingress", "who")


def test_connections_are_kept_on_both_sides(cluster: Cluster, at: Ingress) -> None:
    cluster.apply(ingress("keep", ("keep.test", "Prefix", "/", backend("a"))))
    until("the Ingress", lambda: who(at.get("keep.test")) == "a")
    address = cluster.get("pod", "a")["status"]["podIP"]
    with Client(at.address, at.port, host="keep.test") as client:
        local = client.connection.sock
        clients = {client.get(f"/{n}").json["client"] for n in range(50)}
        assert client.connection.sock is local
    assert len(clients) == 1  # the proxy came over one connection, too
    open_ = get(address, 8080, "/stats").json["connections"]
    assert open_ < 10, open_
    delete(cluster, "ingress", "keep")


def test_balance_by_annotation(cluster: Cluster, at: Ingress) -> None:
    deployment, service_, ingress_ = echo_app("many")
    cluster.apply(deployment, service_, ingress_)
    cluster.kubectl("rollout", "status", "deployment/many", "--timeout=60s")
    until("three endpoints", lambda: len(phases(cluster, "default/many:80@ingress")) == 3)
    in_turn = [at.get("many.local").pod for _ in range(99)]
    assert len(set(in_turn[:3])) == 3
    assert in_turn[3:] == in_turn[:-3]  # round-robin, exactly
    ingress_["metadata"]["annotations"] = {"loopkube.io/balance": "random"}
    cluster.apply(ingress_)
    until("the policy", lambda: policy_of(cluster, "many.local") == "random")
    in_turn = [at.get("many.local").pod for _ in range(99)]
    assert in_turn[3:] != in_turn[:-3]  # at random, once in 1e45 runs it would look like taking turns
    ingress_["metadata"]["annotations"] = {"loopkube.io/balance": "fastest"}
    cluster.apply(ingress_)
    assert "'fastest' is none of random, round-robin" in wait_warning(cluster, "many", "BadAnnotation")
    until("the default", lambda: policy_of(cluster, "many.local") == "round-robin")
    with Client(at.address, at.port, host="many.local") as client:  # per request, whatever the connection
        assert list(Counter(client.get().pod for _ in range(30)).values()) == [10, 10, 10]
    delete(cluster, "deployment,service,ingress", "many")


def test_least_request_spares_a_slow_pod(cluster: Cluster, at: Ingress) -> None:
    deployment, service_, ingress_ = echo_app("uneven")
    ingress_["metadata"]["annotations"] = {"loopkube.io/balance": "least-request"}
    cluster.apply(deployment, service_, ingress_)
    cluster.kubectl("rollout", "status", "deployment/uneven", "--timeout=60s")
    until("three endpoints", lambda: len(phases(cluster, "default/uneven:80@ingress/uneven")) == 3)
    until("the Ingress", lambda: at.status("uneven.local") == 200)
    slow = cluster.get("pods", "-l", "app=uneven")["items"][0]["metadata"]["name"]
    switch(cluster, slow, delay_ms=400)
    with running(at.address, at.port, "uneven.local", rate=100) as run:
        until("300 answers", lambda: len(run.sampler.samples) > 300)
    found = run.end().count
    assert found.lost == 0
    # by turns it would get a third; of two random choices it is taken only while it has nothing to do
    assert 0 < found.by_pod[slow] < found.answered / 5, found.by_pod
    delete(cluster, "deployment,service,ingress", "uneven")


def policy_of(cluster: Cluster, host: str) -> str:
    table = admin(cluster, "/table").json
    name = next(route["backend"] for route in table["routes"] if route["host"] == host)
    return str(next((each["policy"] for each in table["backends"] if each["name"] == name), ""))


def test_foreign_annotations_are_said_to_be_ignored(cluster: Cluster, at: Ingress) -> None:
    mirrored = ingress("mirrored", ("mirrored.test", "Prefix", "/", backend("a")))
    mirrored["metadata"]["annotations"] = {"nginx.ingress.kubernetes.io/mirror-target": "http://x"}
    cluster.apply(mirrored)
    assert "mirror-target" in wait_warning(cluster, "mirrored", "UnsupportedAnnotation")
    cluster.apply(ingress("plain", ("plain.test", "Prefix", "/", backend("a"))))
    until("the Ingress", lambda: who(at.get("plain.test")) == "a")
    assert warnings(cluster, "plain") == {}
    delete(cluster, "ingress", "mirrored", "plain")


def test_the_worker_says_what_it_does(cluster: Cluster, at: Ingress) -> None:
    cluster.apply(ingress("seen", ("seen.test", "Prefix", "/", backend("a"))))
    until("the Ingress", lambda: who(at.get("seen.test")) == "a")
    before = requests_total(cluster)
    flows: list[dict[str, object]] = []
    follower = threading.Thread(target=lambda: flows.extend(follow(cluster, 50)))
    follower.start()  # it also gets what was recorded before it came
    for _ in range(50):
        assert at.get("seen.test").status == 200
    follower.join(20)
    assert len(flows) == 50
    assert requests_total(cluster) - before >= 50
    assert {(flow["target"], flow["status"], flow["outcome"]) for flow in flows} == {("default/a", 200, "ok")}
    kept = [json.loads(line) for line in admin(cluster, "/flows?outcome=ok").body.splitlines()]
    assert kept[-1]["route"].startswith("default/seen#")
    page = admin(cluster, "/")
    assert page.headers["Content-Type"].startswith("text/html")
    assert b"default/a:80@ingress" in page.body
    assert admin(cluster, "/readyz").status == 200
    assert admin(cluster, "/flows?nonsense=1").status == 400
    delete(cluster, "ingress", "seen")


def requests_total(cluster: Cluster) -> float:
    """Requests to service a through the Ingress that were answered 200, by the metrics."""
    text = admin(cluster, "/metrics").body.decode()
    wanted = 'backend="default/a:80@ingress",code="200",outcome="ok"'
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if wanted in line)


def follow(cluster: Cluster, wanted: int) -> Iterator[dict[str, object]]:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20)
        sock.connect(str(worker_socket(cluster)))
        sock.sendall(b"GET /flows?follow=1&backend=default/a:80@ingress HTTP/1.0\r\n\r\n")
        lines = sock.makefile("rb")
        while lines.readline().strip():
            pass
        for _ in range(wanted):
            yield json.loads(lines.readline())

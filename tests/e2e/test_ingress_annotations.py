"""ingress-nginx's annotations through a real cluster: what clients see."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.e2e.clients import (
    Answer,
    Ingress,
    admin,
    backend,
    delete,
    echo_pod,
    ingress,
    service,
    wait_ready,
    wait_warning,
)
from tests.e2e.conftest import Cluster, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
PREFIX = "nginx.ingress.kubernetes.io/"
APR1 = "jo:$apr1$xxxxxxxx$dxHfLAsjHkDRmG83UXe8K0"  # openssl passwd -apr1 -salt xxxxxxxx password


def marked(
    name: str, annotations: dict[str, str], *, path: str = "/", kind: str = "Prefix", to: str = "a", **spec: Any
) -> dict[str, Any]:
    """An Ingress `name` for the host `name`.test."""
    made = ingress(name, (spec.pop("host", f"{name}.test"), kind, path, backend(to)), **spec)
    made["metadata"]["annotations"] = {PREFIX + key: value for key, value in annotations.items()}
    return made


INGRESSES = [
    marked("plain", {}),
    marked("rewrite", {"rewrite-target": "/$2"}, path="/api(/|$)(.*)", kind="ImplementationSpecific"),
    marked("moved", {"permanent-redirect": "https://new.example/x", "permanent-redirect-code": "308"}),
    marked("forced", {"force-ssl-redirect": "true"}),
    marked("encrypted", {}, tls=[{"hosts": ["encrypted.test"]}]),
    marked("root", {"app-root": "/app"}),
    marked("bare", {"from-to-www-redirect": "true"}),
    marked("through", {"service-upstream": "true"}),
    marked("cors", {"enable-cors": "true", "cors-allow-origin": "https://*.shop.example"}),
    marked("inside", {"whitelist-source-range": "127.0.0.0/8", "denylist-source-range": "127.9.9.9"}),
    marked("outside", {"whitelist-source-range": "10.0.0.0/8"}),
    marked("secret", {"auth-type": "basic", "auth-secret": "users", "auth-realm": "the realm"}),
    marked("limited", {"limit-rpm": "1", "limit-burst-multiplier": "2"}),
    marked("small", {"proxy-body-size": "1k"}),
    marked("fields", {"custom-headers": "answers", "upstream-vhost": "inner.local"}),
    marked("sticky", {"affinity": "cookie", "session-cookie-name": "S", "affinity-mode": "persistent"}, to="both"),
    marked("canary", {"canary": "true", "canary-by-header": "X-New", "canary-weight": "0"}, to="b", host="plain.test"),
    marked("alias", {"server-alias": "other.test"}),
    marked("spare", {"default-backend": "b"}, to="empty"),
    marked("evil", {"use-regex": "true"}, path="/(?=x)(a+)+$", kind="ImplementationSpecific"),
    marked("closed", {"auth-type": "basic", "auth-secret": "gone"}),
]


@pytest.fixture(scope="module")
def at(cluster: Cluster) -> Ingress:
    """The Ingress of a cluster with pods a and b, Services for each, for both and for none, and all Ingresses."""
    users = {"auth": base64.b64encode(APR1.encode()).decode()}
    cluster.apply(
        *(echo_pod(name) | {"metadata": {"name": name, "labels": {"app": name, "of": "both"}}} for name in "ab"),
        *(service(name, app=name) for name in ("a", "b", "empty")),
        service("both", selector={"of": "both"}),
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "users"}, "data": users},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "answers"}, "data": {"X-Frame-Options": "DENY"}},
        *INGRESSES,
    )
    wait_ready(cluster, "a", "b")
    made = Ingress(cluster)
    until("the Ingress", lambda: made.status("closed.test") == 503 and made.status("plain.test") == 200)
    return made


def location(answer: Answer) -> tuple[int, str | None]:
    return answer.status, answer.headers["Location"]


def test_the_path_is_rewritten(at: Ingress) -> None:
    for asked, got in {"/api": "/", "/api/": "/", "/api/v1/x?y=z": "/v1/x?y=z", "/API/Up": "/Up"}.items():
        assert at.get("rewrite.test", asked).json["path"] == got.partition("?")[0]
    assert at.status("rewrite.test", "/apis") == 404


def test_clients_are_sent_elsewhere(at: Ingress) -> None:
    assert location(at.get("moved.test", "/any")) == (308, "https://new.example/x")
    https = f"https://{{}}.test:{at.tls_port}/x?y"
    assert location(at.get("forced.test", "/x?y")) == (308, https.format("forced"))
    assert location(at.get("encrypted.test", "/x?y")) == (308, https.format("encrypted"))
    assert location(at.get("root.test")) == (302, "http://root.test/app")
    assert at.status("root.test", "/app") == 200
    assert location(at.get("www.bare.test", "/x?y")) == (308, "http://bare.test/x?y")


def test_scripts_of_some_origins_may_read(at: Ingress) -> None:
    origin = "https://www.shop.example"
    answer = at.get("cors.test", headers={"Origin": origin})
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, origin)
    preflight = at.get("cors.test", method="OPTIONS", headers={"Origin": origin})
    assert (preflight.status, preflight.headers["Access-Control-Max-Age"]) == (204, "1728000")
    stranger = at.get("cors.test", headers={"Origin": "https://evil.example"})
    assert stranger.headers["Access-Control-Allow-Origin"] is None


def test_who_may_come_in(at: Ingress) -> None:
    assert (at.status("inside.test"), at.status("outside.test")) == (200, 403)
    assert at.get("inside.test", source="127.9.9.9").status == 403
    refused = at.get("secret.test")
    assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, 'Basic realm="the realm"')
    for password, status in (("password", 200), ("guess", 401)):
        credentials = base64.b64encode(f"jo:{password}".encode()).decode()
        assert at.get("secret.test", headers={"Authorization": f"Basic {credentials}"}).status == status
    assert [at.get("limited.test", source="127.7.7.7").status for _ in range(5)] == [200, 200, 200, 503, 503]
    assert at.get("limited.test", source="127.7.7.8").status == 200
    assert [at.get("small.test", method="POST", body=b"x" * size).status for size in (1024, 1025)] == [200, 413]


def test_heads_change_on_both_ways(at: Ingress) -> None:
    answer = at.get("fields.test")
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert {name.lower(): value for name, value in answer.json["headers"].items()}["host"] == "inner.local"


def test_clients_come_back_by_their_cookie(at: Ingress) -> None:
    for _ in range(6):
        first = at.get("sticky.test")
        cookie = first.headers["Set-Cookie"].partition(";")[0]
        again = [at.get("sticky.test", headers={"Cookie": cookie}) for _ in range(4)]
        assert {answer.pod for answer in again} == {first.pod}
        assert {answer.headers["Set-Cookie"] for answer in again} == {None}


def test_a_canary_is_asked_for(cluster: Cluster, at: Ingress) -> None:
    assert {at.get("plain.test").pod for _ in range(5)} == {"a"}
    assert at.get("plain.test", headers={"X-New": "always"}).pod == "b"
    delete(cluster, "ingress", "canary")
    until("no canary", lambda: at.get("plain.test", headers={"X-New": "always"}).pod == "a")


def test_further_hosts_and_spare_backends(at: Ingress) -> None:
    assert at.get("other.test").pod == "a"
    assert at.get("spare.test").pod == "b"
    assert at.get("through.test").pod == "a"


def test_what_cannot_be_served_is_said_and_harms_nobody(cluster: Cluster, at: Ingress) -> None:
    assert "invalid perl operator" in wait_warning(cluster, "evil", "Unpublishable")
    assert "secret gone does not exist" in wait_warning(cluster, "closed", "Denied")
    assert at.status("evil.test", "/aaaa") == 404
    metrics = admin(cluster, "/metrics").body
    assert b'loopkube_warnings{reason="Unpublishable"} 1' in metrics
    younger = marked("younger", {}, host="plain.test", to="b")
    cluster.apply(younger)
    assert "default/plain" in wait_warning(cluster, "younger", "RuleConflict")
    assert at.get("plain.test").pod == "a"
    delete(cluster, "ingress", "younger")


def test_what_annotations_name_is_watched(cluster: Cluster, at: Ingress) -> None:
    users = {"auth": base64.b64encode(b"al:{PLAIN}pw").decode()}
    cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "gone"}, "data": users})
    credentials = {"Authorization": "Basic " + base64.b64encode(b"al:pw").decode()}
    until("the Secret", lambda: at.get("closed.test", headers=credentials).status == 200)
    assert at.status("closed.test") == 401
    answers = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "answers"}, "data": {"X-New": "yes"}}
    cluster.apply(answers)
    until("the ConfigMap", lambda: at.get("fields.test").headers["X-New"] == "yes")
    flows = [json.loads(line) for line in admin(cluster, "/flows").body.splitlines()]
    assert any(flow["outcome"] == "policy" and flow["status"] == 401 for flow in flows)


def test_an_external_name_is_looked_up(cluster: Cluster, at: Ingress) -> None:
    """The name is this machine's, and the port our own: so the request comes through twice, as two hosts."""
    ports = [{"port": 80, "targetPort": at.port}]
    outside = service("outside", type="ExternalName", externalName="localhost", ports=ports)
    cluster.apply(outside, marked("external", {"upstream-vhost": "plain.test"}, to="outside"))
    until("the ExternalName", lambda: at.status("external.test") == 200)
    assert at.get("external.test").pod == "a"
    delete(cluster, "ingress,service", "external", "outside")

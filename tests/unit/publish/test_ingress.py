"""What follows from an Ingress."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from control.api.objects import Key, Object
from control.mirror.ingress_class import class_of
from control.mirror.world import World
from control.publish.build import uses_of_service
from control.publish.ingress import build_ingress
from control.publish.unit import Built, Config
from dataplane.snapshot.model import Certificate, Route
from tests.fakes.certificates import self_signed
from tests.fakes.cluster_objects import backend, ingress, ingress_class, path, rule, secret, service

INGRESS = Key("a", "i")
CLASS = ingress_class()
WEB = service("web", {"port": 80, "name": "http"})


def built(*objects: Object) -> Built:
    return build_ingress(World.of(objects), INGRESS, Config())


def routes(found: Built) -> list[tuple[str, str, str, bool, str]]:
    made = [each for each in found.resources.values() if isinstance(each, Route)]
    return [(each.host, each.path, each.path_type, each.is_default, each.backend) for each in made]


def reasons(found: Built) -> list[str]:
    return [note.reason for note in found.notes]


def test_paths_are_routes_in_their_order() -> None:
    rules = [
        rule("One.example", path("web", "/a"), path("web", "/b", "http", "Exact")),
        rule("*.two.example", path("web", "", 80, "ImplementationSpecific")),
    ]
    found = built(CLASS, WEB, ingress("i", *rules))
    assert routes(found) == [
        ("one.example", "/a", "Prefix", False, "a/web:80@ingress"),
        ("one.example", "/b", "Exact", False, "a/web:80@ingress"),
        ("*.two.example", "/", "ImplementationSpecific", False, "a/web:80@ingress"),
    ]
    made = [each for each in found.resources.values() if isinstance(each, Route)]
    assert [each.order for each in made] == [("2026-01-01T00:00:00Z", "a/i", n) for n in range(3)]
    assert {each.table for each in made} == {"ingress"}
    assert found.notes == []


def test_a_default_backend_serves_its_hosts_and_all_others() -> None:
    found = built(CLASS, WEB, ingress("i", rule("h", path("web", "/a")), rule("bare"), defaultBackend=backend("web")))
    assert routes(found)[1:] == [
        ("h", "/", "Prefix", True, "a/web:80@ingress"),
        ("bare", "/", "Prefix", True, "a/web:80@ingress"),
        ("", "/", "Prefix", True, "a/web:80@ingress"),
    ]
    assert routes(built(CLASS, WEB, ingress("i", rule("bare")))) == []


@pytest.mark.parametrize(
    ("objects", "ours"),
    [
        ([CLASS, ingress("i", rule("h", path("web")))], True),
        ([ingress("i", rule("h", path("web")))], False),
        ([ingress_class(controller="example.com/other"), ingress("i", rule("h", path("web")))], False),
        ([CLASS, ingress("i", rule("h", path("web")), ingressClassName="nginx")], False),
        ([CLASS, ingress("i", rule("h", path("web")), ingressClassName=None)], False),
        ([ingress_class(default=True), ingress("i", rule("h", path("web")), ingressClassName=None)], True),
        ([CLASS, ingress("i", rule("h", path("web")), ingressClassName=None,
                         annotations={"kubernetes.io/ingress.class": "loopkube"})], True),
        ([ingress_class(default=True), ingress("i", rule("h", path("web")), ingressClassName=None,
                                               annotations={"kubernetes.io/ingress.class": "nginx"})], False),
    ],
)  # fmt: skip
def test_which_ingresses_are_ours(objects: list[Object], ours: bool) -> None:
    found = built(WEB, *objects)
    assert bool(found.resources) is ours
    assert bool(uses_of_service(World.of([WEB, *objects]), Key("a", "web"), Config())) is ours


def test_of_several_default_classes_the_newest_counts() -> None:
    old, new = ingress_class("a-old", default=True), ingress_class("z-new", default=True)
    old["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    new["metadata"]["creationTimestamp"] = "2026-01-02T00:00:00Z"
    found = class_of(World.of([old, new]), ingress("i", ingressClassName=None))
    assert found is new


def test_what_leads_nowhere_is_a_route_all_the_same_and_is_said() -> None:
    objects = [CLASS, WEB, service("ext", type="ExternalName"), service("dns", {"port": 53, "protocol": "UDP"})]
    resource = {"path": "/r", "pathType": "Prefix", "backend": {"resource": {"kind": "Bucket", "name": "b"}}}
    paths = [
        path("gone"),
        path("web", "/p", 81),
        path("web", "/q", "admin"),
        path("ext", "/e", "named"),
        path("dns", "/d", 53),
        resource,
    ]
    found = built(*objects, ingress("i", rule("h", *paths)))
    assert [backend for *_, backend in routes(found)] == [
        "a/gone:80@ingress", "a/web:81@ingress", "a/web:admin@ingress", "a/ext:named@ingress", "a/dns:53@ingress", "-",
    ]  # fmt: skip
    assert reasons(found) == [
        "ServiceNotFound", "ServicePortNotFound", "ServicePortNotFound", "ServicePortNotFound", "ServicePortNotFound",
        "UnsupportedBackend",
    ]  # fmt: skip


def test_an_ingress_with_a_policy_has_a_backend_of_its_own() -> None:
    own = ingress("i", rule("h", path("web")), annotations={"loopkube.io/balance": "least-request"})
    plain = ingress("j", rule("k", path("web")))
    assert [backend for *_, backend in routes(built(CLASS, WEB, own))] == ["a/web:80@ingress/i"]
    uses = uses_of_service(World.of([CLASS, WEB, own, plain]), Key("a", "web"), Config())
    assert [(use.flavour, use.terms.balancing.policy) for use in uses] == [
        ("ingress/i", "least-request"),
        ("ingress", None),
    ]
    bad = ingress("i", rule("h", path("web")), annotations={"loopkube.io/balance": "x"})
    assert [backend for *_, backend in routes(built(CLASS, WEB, bad))] == ["a/web:80@ingress"]
    assert reasons(built(CLASS, WEB, bad)) == ["BadAnnotation"]


def test_foreign_annotations_are_said() -> None:
    marked = ingress("i", rule("h", path("web")), annotations={"nginx.org/rewrites": "/"})
    assert reasons(built(CLASS, WEB, marked)) == ["UnsupportedAnnotation"]


@pytest.fixture(scope="module")
def pairs() -> list[tuple[str, str]]:
    """Two self-signed certificates with their keys."""
    return [self_signed("one"), self_signed("two")]


def test_tls_secrets_are_certificates(pairs: list[tuple[str, str]]) -> None:
    chain, key = pairs[0]
    tls = [{"hosts": ["H.example", "*.w"], "secretName": "s"}, {"secretName": "s"}, {"hosts": ["k"]}]
    found = built(CLASS, WEB, ingress("i", rule("h", path("web")), tls=tls), secret("s", tls_crt=chain, tls_key=key))
    made = [each for each in found.resources.values() if isinstance(each, Certificate)]
    assert [(each.name, each.hosts) for each in made] == [("a/i#0", ("h.example", "*.w")), ("a/i#1", ("h",))]
    assert (made[0].chain_pem, made[0].key_pem) == (chain, key)
    assert found.notes == []
    assert [each.order for each in made] == [("2026-01-01T00:00:00Z", "a/i", index) for index in (0, 1)]
    catch_all = ingress("i", defaultBackend=backend("web"), tls=[{"secretName": "s"}])
    found = built(CLASS, WEB, catch_all, secret("s", tls_crt=chain, tls_key=key))
    assert [each.hosts for each in found.resources.values() if isinstance(each, Certificate)] == [("",)]


def test_broken_secrets_are_said_and_spoil_nothing_else(pairs: list[tuple[str, str]]) -> None:
    (chain, key), (_, other_key) = pairs

    def said(*secrets: Object) -> str:
        found = built(CLASS, WEB, ingress("i", rule("h", path("web")), tls=[{"secretName": "s"}]), *secrets)
        assert len(routes(found)) == 1
        assert len(found.resources) == 1
        (note,) = found.notes
        return f"{note.reason}: {note.message}"

    assert said() == "SecretNotFound: secret a/s does not exist: no TLS with it"
    assert said(secret("s", namespace="b", tls_crt=chain, tls_key=key)).startswith("SecretNotFound")
    assert "tls.key is missing" in said(secret("s", tls_crt=chain))
    assert "tls.crt: " in said(secret("s", tls_crt="hello", tls_key=key))
    assert "tls.key: " in said(secret("s", tls_crt=chain, tls_key="hello"))
    assert "does not belong" in said(secret("s", tls_crt=chain, tls_key=other_key))
    small = self_signed("small", key=rsa.generate_private_key(65537, 1024))
    assert "tls.key: 1024 bits are too few" in said(secret("s", tls_crt=small[0], tls_key=small[1]))
    broken = secret("s", tls_crt=chain, tls_key=key)
    broken["data"]["tls.crt"] = "%%%"
    assert "not base64" in said(broken)


@pytest.mark.parametrize(
    ("class_name", "more", "message"),
    [
        ("gone", [CLASS], "not served: ingress class gone does not exist"),
        (None, [CLASS], "not served: it names no class, and none is the default"),
        ("other", [CLASS, ingress_class("other", "example.com/other")], ""),
        (None, [ingress_class("other", "example.com/other", default=True)], ""),
    ],
)
def test_an_ingress_that_nobody_serves_is_said(class_name: str | None, more: list[Object], message: str) -> None:
    found = built(WEB, *more, ingress("i", rule("h", path("web")), ingressClassName=class_name))
    assert [note.message for note in found.notes] == ([message] if message else [])
    assert [note.reason for note in found.notes] == (["IngressClassNotFound"] if message else [])

"""ingress-nginx's annotations: what each becomes, and that none is ignored in silence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import control.publish.annotations as package
from control.api.objects import Key, Object
from control.mirror.world import World
from control.publish.annotations.table import ALIASES, PREFIX, REFUSED, SUPPORTED, markdown
from control.publish.build import build, uses_of_service
from control.publish.ingress import build_ingress
from control.publish.unit import Built, Config
from dataplane.snapshot.model import Backend, Endpoint, Route, RoutePolicy
from dataplane.snapshot.policy import (
    BasicAuth,
    Canary,
    CookieAffinity,
    Cors,
    HttpsRedirect,
    RateLimits,
    Redirect,
)
from tests.fakes.cluster_objects import backend, ingress, ingress_class, metadata, path, rule, secret, service

CLASS, WEB = ingress_class(), service("web")
APR1 = "$apr1$xxxxxxxx$dxHfLAsjHkDRmG83UXe8K0"
CREATED = {"creationTimestamp": "2026-01-01T00:00:00Z"}


def config_map(name: str, **data: str) -> Object:
    data = {key.replace("_", "-"): value for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(name, "a"), "data": data}


OBJECTS = [
    CLASS,
    WEB,
    secret("users", auth=f"# all\njo:{APR1}\nal:{{SHA}}x:comment\n\nbroken"),
    secret("map", jo="{SHA}x"),
    secret("sha512", auth="jo:$6$a$b"),
    config_map("fields", X_B="2", X_A="1; b"),
    config_map("framing", Content_Length="1"),
    config_map("newline", X="a\nb"),
]


def annotated(annotations: dict[str, str], *more: Object, **spec: Any) -> Built:
    given = {PREFIX + name: value for name, value in annotations.items()}
    made = ingress("i", rule("h", path("web")), annotations=given, **spec)
    return build_ingress(World.of([*OBJECTS, made, *more]), Key("a", "i"), Config())


def policy(built: Built) -> RoutePolicy | None:
    return next((item for item in built.resources.values() if isinstance(item, RoutePolicy)), None)


CORS = Cors(
    ("*",),
    "GET, PUT, POST, DELETE, PATCH, OPTIONS",
    "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization",
)
URL = "https://new.example/a?b=c"


@pytest.mark.parametrize(
    ("annotations", "parts"),
    [
        ({"rewrite-target": "/$1", "x-forwarded-prefix": "/p"}, {"rewrite_target": "/$1", "forwarded_prefix": "/p"}),
        ({"app-root": "/app"}, {"app_root": "/app"}),
        ({"permanent-redirect": URL}, {"redirect": Redirect(URL, 301)}),
        ({"permanent-redirect": URL, "permanent-redirect-code": "308"}, {"redirect": Redirect(URL, 308)}),
        ({"temporal-redirect": URL, "permanent-redirect": "https://x"}, {"redirect": Redirect(URL, 302)}),
        ({"temporal-redirect": URL, "temporal-redirect-code": "307"}, {"redirect": Redirect(URL, 307)}),
        ({"force-ssl-redirect": "true"}, {"https": HttpsRedirect(("h",), 8443)}),
        (
            {"force-ssl-redirect": "T", "use-port-in-redirects": "false", "preserve-trailing-slash": "1"},
            {"https": HttpsRedirect(("h",), 0, keeps_slash=True)},
        ),
        ({"enable-cors": "true"}, {"cors": CORS}),
        (
            {"enable-cors": "true", "cors-allow-origin": "https://*.a.example:8443, null", "cors-allow-methods": "GET",
             "cors-allow-headers": "X-A", "cors-expose-headers": "*", "cors-allow-credentials": "false",
             "cors-max-age": "600"},
            {"cors": Cors(("https://*.a.example:8443", "null"), "GET", "X-A", "*", False, 600)},
        ),
        ({"enable-cors": "true", "cors-allow-origin": "https://a.example,*"}, {"cors": CORS}),
        ({"limit-rps": "5"}, {"limits": RateLimits(per_second=5)}),
        (
            {"limit-rpm": "5", "limit-connections": "2", "limit-burst-multiplier": "3",
             "limit-whitelist": "10.0.0.0/8"},
            {"limits": RateLimits(0, 5, 2, 3, ("10.0.0.0/8",))},
        ),
        ({"whitelist-source-range": "10.0.0.0/8, 192.0.2.1"}, {"allow": ("10.0.0.0/8", "192.0.2.1")}),
        ({"allowlist-source-range": "::1", "whitelist-source-range": "10.0.0.0/8"}, {"allow": ("::1",)}),
        ({"denylist-source-range": "10.0.0.0/8"}, {"deny": ("10.0.0.0/8",)}),
        (
            {"auth-type": "basic", "auth-secret": "users", "auth-realm": "the realm"},
            {"auth": BasicAuth("the realm", (("jo", APR1), ("al", "{SHA}x")))},
        ),
        (
            {"auth-type": "basic", "auth-secret": "a/map", "auth-secret-type": "auth-map"},
            {"auth": BasicAuth("", (("jo", "{SHA}x"),))},
        ),
        (
            {"auth-type": "basic", "auth-secret": "map", "auth-secret-type": "auth-map", "satisfy": "any"},
            {"auth": BasicAuth("", (("jo", "{SHA}x"),)), "any_suffices": True},
        ),
        ({"proxy-body-size": "8m"}, {"body_max": 8 << 20}),
        ({"proxy-body-size": "1K"}, {"body_max": 1024}),
        ({"upstream-vhost": "inner.local"}, {"host": "inner.local"}),
        ({"custom-headers": "fields"}, {"response_fields": (("X-A", "1; b"), ("X-B", "2"))}),
        (
            {"proxy-redirect-from": "http://inner/", "proxy-redirect-to": "/"},
            {"location_from": "http://inner/", "location_to": "/"},
        ),
        ({"affinity": "cookie"}, {"affinity": CookieAffinity()}),
        (
            {"affinity": "cookie", "affinity-mode": "persistent", "session-cookie-name": "S",
             "session-cookie-path": "/p", "session-cookie-domain": "d.example",
             "session-cookie-expires": "60", "session-cookie-max-age": "-1",
             "session-cookie-samesite": "Lax", "session-cookie-secure": "true",
             "session-cookie-change-on-failure": "true", "affinity-canary-behavior": "legacy"},
            {"affinity": CookieAffinity("S", True, "/p", "d.example", "60", "-1", "Lax", "always", True, False)},
        ),
        ({"canary": "true", "canary-weight": "20"}, {"canary": Canary(weight=20)}),
        (
            {"canary": "true", "canary-by-header": "X-C", "canary-by-header-value": "v",
             "canary-by-header-pattern": "^p", "canary-by-cookie": "c", "canary-weight-total": "1000"},
            {"canary": Canary("X-C", "v", "^p", "c", 0, 1000)},
        ),
    ],
)  # fmt: skip
def test_what_annotations_become(annotations: dict[str, str], parts: dict[str, Any]) -> None:
    found = annotated(annotations)
    assert [note.message for note in found.notes] == []
    assert policy(found) == RoutePolicy("a/i", **parts)
    routes = [item for item in found.resources.values() if isinstance(item, Route)]
    assert {item.policy for item in routes} == {"a/i"}
    assert {item.is_canary for item in routes} == {"canary" in parts}


@pytest.mark.parametrize(
    "annotations", [{}, {"ssl-redirect": "true"}, {"proxy-body-size": "0"}, {"use-regex": "true"}, {"enable-cors": "f"}]
)
def test_nothing_to_do_is_no_policy(annotations: dict[str, str]) -> None:
    found = annotated(annotations)
    assert policy(found) is None
    assert [item.policy for item in found.resources.values() if isinstance(item, Route)] == [""]
    assert found.notes == []


@pytest.mark.parametrize(
    ("annotations", "text"),
    [
        ({"rewrite-target": "/a b"}, "rewrite-target: '/a b' is no path"),
        ({"app-root": "app"}, "app-root: 'app' does not begin with '/'"),
        ({"permanent-redirect": "ftp://x"}, "is no http or https URL"),
        ({"permanent-redirect": "https://x/$host"}, "characters that do not belong into a URL"),
        ({"temporal-redirect": URL, "temporal-redirect-code": "308"}, "308 is not one of 300 to 307, 302 is used"),
        ({"proxy-body-size": "many"}, "proxy-body-size: 'many' is no size like 8m"),
        ({"proxy-connect-timeout": "5s"}, "is no integer"),
        ({"proxy-read-timeout": "0"}, "is no number of seconds above zero"),
        ({"proxy-next-upstream": "error sometimes"}, "holds sometimes, which is none of"),
        ({"enable-cors": "yes"}, "is neither true nor false"),
        ({"enable-cors": "true", "cors-allow-origin": "a.example"}, "'a.example', which is no origin"),
        ({"affinity": "ip"}, "is none of cookie"),
        ({"affinity": "cookie", "session-cookie-name": "a=b"}, "is no name"),
        ({"canary-weight": "5"}, "canary: canary-* are configured but canary is not true"),
        ({"canary": "true", "canary-by-header-pattern": "(?=x)"}, "is no pattern here"),
        ({"canary": "true", "canary-weight": "-5"}, "is below zero"),
        ({"load-balance": "ip_hash"}, "is none of round_robin, ewma"),
        ({"upstream-hash-by": "$request_id"}, "has no such variable: $request_id"),
        ({"backend-protocol": "HTTPS"}, "backend-protocol: 'HTTPS' is none of http, grpc"),
        ({"server-alias": "~^www\\d+$"}, "is no host name; patterns are not supported"),
        ({"x-forwarded-prefix": "/p"}, "only rewrite-target makes it mean anything"),
        ({"affinity": "cookie", "use-regex": "true"}, "session-cookie-path: is needed"),
    ],
)
def test_a_bad_value_is_said_and_the_rest_is_served(annotations: dict[str, str], text: str) -> None:
    found = annotated({**annotations, "upstream-vhost": "inner"})
    (note,) = found.notes
    assert note.reason == "BadAnnotation"
    assert text in note.message
    made = policy(found)
    assert made is not None
    assert (made.host, made.denied) == ("inner", "")


@pytest.mark.parametrize(
    ("annotations", "reasons", "why"),
    [
        ({"whitelist-source-range": "10.0.0.0/33"}, ["BadAnnotation", "Denied"], "'10.0.0.0/33'"),
        ({"denylist-source-range": "x"}, ["BadAnnotation", "Denied"], "denylist-source-range"),
        ({"limit-rps": "many"}, ["BadAnnotation", "Denied"], "limit-rps"),
        ({"auth-type": "digest", "auth-secret": "users"}, ["BadAnnotation", "Denied"], "auth-type: 'digest'"),
        ({"auth-type": "basic"}, ["Denied"], "auth-secret is missing"),
        ({"auth-type": "basic", "auth-secret": "gone"}, ["Denied"], "secret gone does not exist"),
        ({"auth-type": "basic", "auth-secret": "b/users"}, ["Denied"], "b/users"),
        ({"auth-type": "basic", "auth-secret": "map"}, ["Denied"], "has no key auth"),
        ({"auth-url": "http://x"}, ["Denied", "UnsupportedAnnotation"], "no external authentication"),
        ({"auth-tls-secret": "a/ca"}, ["Denied", "UnsupportedAnnotation"], "not asked for certificates"),
        ({"custom-headers": "gone"}, ["Denied"], "config map gone does not exist"),
        ({"custom-headers": "framing"}, ["Denied"], "'Content-Length' may not be set"),
        ({"custom-headers": "newline"}, ["Denied"], "the value of X"),
    ],
)
def test_what_keeps_people_out_closes_when_it_is_broken(
    annotations: dict[str, str], reasons: list[str], why: str
) -> None:
    found = annotated(annotations)
    assert [note.reason for note in found.notes] == reasons
    made = policy(found)
    assert made is not None
    assert why in made.denied


def test_a_policy_that_no_worker_would_take_is_said_and_its_routes_stay_closed() -> None:
    found = annotated({"auth-type": "basic", "auth-secret": "sha512"})
    assert [note.reason for note in found.notes] == ["Unpublishable"]
    assert "the hash of 'jo'" in found.notes[0].message
    assert policy(found) is None
    assert [item.policy for item in found.resources.values() if isinstance(item, Route)] == ["a/i"]


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_every_refused_annotation_is_said_with_its_reason(name: str) -> None:
    found = annotated({name: "something"})
    said = [note for note in found.notes if note.reason == "UnsupportedAnnotation"]
    assert len(said) == 1
    assert f"{name} ({REFUSED[name].why})" in said[0].message
    for value in REFUSED[name].moot:
        assert annotated({name: value}).notes == []


def test_what_is_no_annotation_is_said() -> None:
    (note,) = annotated({"rewrite-traget": "/"}).notes
    assert "rewrite-traget (ingress-nginx has no such annotation)" in note.message


def test_the_table_names_each_annotation_once_and_the_readme_has_it() -> None:
    assert not SUPPORTED.keys() & REFUSED.keys()
    assert not ALIASES.keys() & (SUPPORTED.keys() | REFUSED.keys())
    assert len(SUPPORTED) + len(REFUSED) + len(ALIASES) == 138  # of controller 1.15.1, counted in its source
    assert markdown() in (Path(package.__path__[0]) / "README.md").read_text()


def backends(annotations: dict[str, str], config: Config = Config()) -> list[Backend]:  # noqa: B008
    given = {PREFIX + name: value for name, value in annotations.items()}
    made = ingress("i", rule("h", path("web")), annotations=given)
    state = build(World.of([*OBJECTS, made]), config)
    return [item for item in state.values() if isinstance(item, Backend) and "@" in item.name]


NGINX = Backend("a/web:80@ingress/i", "round-robin", "ingress-nginx", 3)


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({}, Backend("a/web:80@ingress", "round-robin")),
        ({"load-balance": "round_robin"}, Backend("a/web:80@ingress/i", "round-robin")),
        ({"load-balance": "ewma"}, Backend("a/web:80@ingress/i", "peak-ewma")),
        (
            {"upstream-hash-by": "$cookie_user", "load-balance": "ewma"},
            Backend("a/web:80@ingress/i", "ring-hash", hash_on="$cookie_user"),
        ),
        (
            {"proxy-connect-timeout": "1", "proxy-send-timeout": "2", "proxy-read-timeout": "3"},
            Backend(
                "a/web:80@ingress/i", "round-robin", connect_timeout_s=1.0, send_timeout_s=2.0, response_timeout_s=3.0
            ),
        ),
        ({"backend-protocol": "grpc"}, Backend(NGINX.name, "round-robin", protocol="h2c")),
        ({"proxy-next-upstream-tries": "5"}, replace(NGINX, tries_max=5)),
        ({"proxy-next-upstream-timeout": "7"}, replace(NGINX, retry_timeout_s=7.0)),
        ({"proxy-next-upstream": "off"}, replace(NGINX, retry="none", tries_max=1, retry_on=())),
        (
            {"proxy-next-upstream": "error http_502 non_idempotent"},
            replace(NGINX, retry_on=("error", "http_502"), retries_any_method=True),
        ),
    ],
)
def test_terms_of_backends(annotations: dict[str, str], expected: Backend) -> None:
    assert backends(annotations) == [expected]


def test_a_default_backend_serves_while_another_has_no_endpoints() -> None:
    marked = ingress("i", rule("h", path("web")), annotations={PREFIX + "default-backend": "spare"})
    world = World.of([*OBJECTS, service("spare", {"port": 8080}, {"port": 9090}), marked])
    found = build_ingress(world, Key("a", "i"), Config())
    made = policy(found)
    assert made is not None
    assert made.fallback == "a/spare:8080@ingress"
    assert [(use.service.name, use.port) for use in uses_of_service(world, Key("a", "spare"), Config())] == [
        ("spare", 8080)
    ]
    found = annotated({"default-backend": "gone"})
    assert [note.reason for note in found.notes] == ["ServiceNotFound"]


def routes(built: Built) -> list[tuple[str, str, str]]:
    return [(item.host, item.path, item.path_type) for item in built.resources.values() if isinstance(item, Route)]


def test_paths_are_patterns_where_kubernetes_leaves_it_open() -> None:
    paths = [
        path("web", "/a(.*)", 80, "ImplementationSpecific"),
        path("web", "/b", 80, "Prefix"),
        path("web", "/c(", 80, "Exact"),
    ]
    for name, value in (("use-regex", "true"), ("rewrite-target", "/$1")):
        made = ingress("i", rule("h", *paths), annotations={PREFIX + name: value})
        found = build_ingress(World.of([*OBJECTS, made]), Key("a", "i"), Config())
        assert routes(found) == [("h", "/a(.*)", "Regex"), ("h", "/b", "Prefix"), ("h", "/c(", "Exact")]
        assert [note.reason for note in found.notes] == ["PathIsNoPattern"]


def test_a_pattern_that_cannot_be_is_left_out_alone() -> None:
    paths = [path("web", at, 80, "ImplementationSpecific") for at in ("/(?=x)", "/ok")]
    made = ingress("i", rule("h", *paths), annotations={PREFIX + "use-regex": "true"})
    found = build_ingress(World.of([*OBJECTS, made]), Key("a", "i"), Config())
    assert routes(found) == [("h", "/ok", "Regex")]
    (note,) = found.notes
    assert note.reason == "Unpublishable"
    assert "invalid perl operator" in note.message


def test_aliases_are_further_hosts_of_the_rules() -> None:
    rules = [rule("h", path("web", "/a")), rule("g", path("web", "/a"), path("web", "/b")), rule("", path("web", "/c"))]
    made = ingress("i", *rules, defaultBackend=backend("web"), annotations={PREFIX + "server-alias": "W, h,*.x"})
    found = build_ingress(World.of([*OBJECTS, made]), Key("a", "i"), Config())
    assert [each for each in routes(found) if each[0] in ("w", "*.x")] == [
        ("w", "/a", "Prefix"), ("w", "/b", "Prefix"), ("*.x", "/a", "Prefix"), ("*.x", "/b", "Prefix"),
        ("w", "/", "Prefix"), ("*.x", "/", "Prefix"),
    ]  # fmt: skip


def test_hosts_with_a_certificate_are_sent_to_https(pair: tuple[str, str]) -> None:
    chain, key = pair
    certificate = secret("s", tls_crt=chain, tls_key=key)
    rules = [rule("h", path("web")), rule("g", path("web")), rule("k", path("web"))]
    tls = [{"hosts": ["h"], "secretName": "s"}, {"hosts": ["g"], "secretName": "gone"}, {"hosts": ["k"]}]

    def https(config: Config, **annotations: str) -> HttpsRedirect | None:
        given = {PREFIX + name.replace("_", "-"): value for name, value in annotations.items()}
        made = ingress("i", *rules, tls=tls, annotations=given)
        found = policy(build_ingress(World.of([*OBJECTS, certificate, made]), Key("a", "i"), config))
        return found.https if found is not None else None

    assert https(Config()) == HttpsRedirect(("h", "k"), 8443)  # g's certificate is not there
    assert https(Config(https_port=443)) == HttpsRedirect(("h", "k"), 0)
    assert https(Config(), ssl_redirect="false") is None
    assert https(Config(ssl_redirect=False)) is None
    assert https(Config(https_port=0)) is None
    assert https(Config(), force_ssl_redirect="true") == HttpsRedirect(("h", "g", "k"), 8443)


@pytest.fixture(scope="module")
def pair() -> tuple[str, str]:
    from tests.fakes.certificates import self_signed

    return self_signed("h")


def test_hosts_with_and_without_www_lead_to_each_other() -> None:
    rules = [rule(host, path("web")) for host in ("a.x", "www.b.x", "c.x", "www.c.x", "*.d.x", "")]
    made = ingress("i", *rules, annotations={PREFIX + "from-to-www-redirect": "true"})
    found = build_ingress(World.of([*OBJECTS, made]), Key("a", "i"), Config())
    assert found.notes == []
    sent = {item.host: item.policy for item in found.resources.values() if isinstance(item, Route) and item.is_default}
    policies = {item.name: item.redirect_host for item in found.resources.values() if isinstance(item, RoutePolicy)}
    assert {host: policies[name] for host, name in sent.items()} == {"www.a.x": "a.x", "b.x": "www.b.x"}


def test_a_service_may_be_the_endpoint_itself() -> None:
    made = ingress("i", rule("h", path("web")), annotations={PREFIX + "service-upstream": "true"})
    state = build(World.of([*OBJECTS, made]), Config())
    found = [item for item in state.values() if isinstance(item, Endpoint)]
    assert [(item.backend, item.address, item.port, item.ready) for item in found] == [
        ("a/web:80@ingress/i", "127.96.0.9", 80, True)
    ]

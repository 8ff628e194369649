"""What an Ingress's annotations want done to its requests: a RoutePolicy.

Values and defaults are ingress-nginx's. Secrets and ConfigMaps that annotations name are read here; one that is missing
or unusable closes the Ingress's routes (503), since it may be what keeps strangers out or what a browser relies on.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Literal, cast

from control.api.kinds import CONFIG_MAP, SECRET
from control.api.objects import Key, Object
from control.mirror.world import World
from control.publish.annotations.reader import Reader
from control.publish.unit import Config
from dataplane.snapshot.policy import (
    BasicAuth,
    Canary,
    CookieAffinity,
    Cors,
    HttpsRedirect,
    RateLimits,
    Redirect,
    RoutePolicy,
    SameSite,
)
from dataplane.snapshot.policy_check import FRAMING

CORS_METHODS = "GET, PUT, POST, DELETE, PATCH, OPTIONS"
CORS_HEADERS = (
    "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization"
)
FIELD_NAME = re.compile(r"[a-zA-Z\d\-_]+", re.ASCII)
FIELD_VALUE = re.compile(r"[a-zA-Z\d_ :;.,\\/\"'?!(){}\[\]@<>=\-+*#$&`|~^%]+", re.ASCII)


def route_policy(
    reader: Reader, world: World, key: Key, tls_hosts: Iterable[str], hosts: Iterable[str], config: Config
) -> RoutePolicy:
    """The policy of an Ingress, perhaps an empty one. `tls_hosts` are those of `hosts` with a certificate."""
    rewrite = reader.get("rewrite-target", "")
    if "x-forwarded-prefix" in reader and not rewrite:
        reader.problem("x-forwarded-prefix", "only rewrite-target makes it mean anything")
    location_from = reader.get("proxy-redirect-from", "off")
    location_to = reader.get("proxy-redirect-to", "")
    parts = {
        "redirect": _redirect(reader),
        "https": _https(reader, tuple(tls_hosts), tuple(hosts), config),
        "app_root": reader.get("app-root", ""),
        "cors": _cors(reader),
        "limits": _limits(reader),
        "allow": reader.strict("allowlist-source-range", ()),
        "deny": reader.strict("denylist-source-range", ()),
        "auth": _auth(reader, world, key),
        "any_suffices": reader.get("satisfy", "all") == "any",
        "body_max": reader.get("proxy-body-size", 0),
        "rewrite_target": rewrite,
        "forwarded_prefix": reader.get("x-forwarded-prefix", ""),
        "host": reader.get("upstream-vhost", ""),
        "response_fields": _fields(reader, world, key),
        "location_from": "" if location_from in ("off", "default") or location_to in ("", "off") else location_from,
        "location_to": location_to,
        "affinity": _affinity(reader),
        "canary": _canary(reader),
    }
    return RoutePolicy(str(key), denied=reader.denied, **parts)


def secret_of(reader: Reader, key: Key) -> str:
    """The name of the Secret with the users, in the Ingress's namespace; "" if there is none."""
    if "auth-type" not in reader:
        return ""
    namespace, slash, name = str(reader.get("auth-secret", "")).rpartition("/")
    return name if not slash or namespace == key.namespace else ""


def config_map_of(reader: Reader, key: Key) -> str:
    """The name of the ConfigMap with the fields of every answer."""
    namespace, slash, name = str(reader.get("custom-headers", "")).rpartition("/")
    return name if not slash or namespace == key.namespace else ""


def _redirect(reader: Reader) -> Redirect | None:
    for name, first, last, usual in (("temporal", 300, 307, 302), ("permanent", 300, 308, 301)):
        to = reader.get(f"{name}-redirect", "")
        status = reader.get(f"{name}-redirect-code", usual)
        if not first <= status <= last:
            reader.problem(f"{name}-redirect-code", f"{status} is not one of {first} to {last}, {usual} is used")
            status = usual
        if to:
            return Redirect(to, status)
    return None


def _https(reader: Reader, tls: tuple[str, ...], hosts: tuple[str, ...], config: Config) -> HttpsRedirect | None:
    forced = reader.get("force-ssl-redirect", False)
    wanted = hosts if forced else tls if reader.get("ssl-redirect", config.ssl_redirect) else ()
    named = reader.get("use-port-in-redirects", config.https_port != 443)
    if forced and not config.https_port:
        reader.problem("force-ssl-redirect", "there is no https listener")
    if not wanted or not config.https_port:
        return None
    keeps_slash = reader.get("preserve-trailing-slash", False)
    return HttpsRedirect(wanted, config.https_port if named else 0, keeps_slash=keeps_slash)


def _cors(reader: Reader) -> Cors | None:
    origins = reader.get("cors-allow-origin", ("*",))
    methods = reader.get("cors-allow-methods", CORS_METHODS)
    headers = reader.get("cors-allow-headers", CORS_HEADERS)
    expose = reader.get("cors-expose-headers", "")
    credentials = reader.get("cors-allow-credentials", True)
    max_age_s = reader.get("cors-max-age", 1728000)
    if not reader.get("enable-cors", False):
        return None
    return Cors(origins, methods, headers, expose, credentials, max_age_s)


def _limits(reader: Reader) -> RateLimits | None:
    """A limit that cannot be read closes the routes: ingress-nginx does not take such an Ingress at all."""
    per_second, per_minute, connections = (
        reader.strict(name, 0) for name in ("limit-rps", "limit-rpm", "limit-connections")
    )
    factor = reader.get("limit-burst-multiplier", 5)
    exempt = reader.strict("limit-allowlist", ())
    if not per_second and not per_minute and not connections:
        return None
    return RateLimits(per_second, per_minute, connections, factor, exempt)


def _auth(reader: Reader, world: World, key: Key) -> BasicAuth | None:
    realm = reader.get("auth-realm", "")
    form = reader.strict("auth-secret-type", "auth-file")
    if "auth-type" not in reader:
        return None
    if reader.strict("auth-type") is None:
        return None  # and nobody passes
    name = secret_of(reader, key)
    secret = world.get(SECRET, key.namespace, name) if name else None
    if secret is None:
        where = name or reader.get("auth-secret", "") or "auth-secret is missing, or in another namespace"
        reader.deny(f"auth-secret: secret {where} does not exist in namespace {key.namespace}")
        return BasicAuth(realm, ())
    return BasicAuth(realm, tuple(_users(reader, secret, form)))


def _users(reader: Reader, secret: Object, form: str) -> list[tuple[str, str]]:
    texts = {}
    for name, data in (secret.get("data") or {}).items():
        try:
            texts[name] = base64.b64decode(data, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            reader.problem("auth-secret", f"key {name} of secret {secret['metadata']['name']} is no text")
    if form == "auth-map":
        return [(name, text.strip()) for name, text in sorted(texts.items())]
    if "auth" not in texts:
        reader.deny(f"auth-secret: secret {secret['metadata']['name']} has no key auth")
    lines = [line.strip() for line in texts.get("auth", "").splitlines()]
    pairs = [line.split(":", 2)[:2] for line in lines if ":" in line and not line.startswith("#")]
    return [(user, hashed) for user, hashed in pairs]


def _fields(reader: Reader, world: World, key: Key) -> tuple[tuple[str, str], ...]:
    wanted = reader.strict("custom-headers", "")
    if not wanted:
        return ()
    name = config_map_of(reader, key)
    config_map = world.get(CONFIG_MAP, key.namespace, name) if name else None
    if config_map is None:
        reader.deny(f"custom-headers: config map {wanted} does not exist in namespace {key.namespace}")
        return ()
    found = []
    for field, value in sorted((config_map.get("data") or {}).items()):
        if not FIELD_NAME.fullmatch(field) or field.lower() in FRAMING:
            reader.deny(f"custom-headers: {field!r} may not be set")
        elif not FIELD_VALUE.fullmatch(value):
            reader.deny(f"custom-headers: the value of {field} has characters that do not belong there")
        else:
            found.append((field, value))
    return tuple(found)


def _affinity(reader: Reader) -> CookieAffinity | None:
    secure = reader.get("session-cookie-secure")
    same_site = reader.get("session-cookie-samesite", "").capitalize()
    affinity = CookieAffinity(
        cookie=reader.get("session-cookie-name", "INGRESSCOOKIE"),
        persistent=reader.get("affinity-mode", "balanced") == "persistent",
        path=reader.get("session-cookie-path", ""),
        domain=reader.get("session-cookie-domain", ""),
        expires_s=reader.get("session-cookie-expires", ""),
        max_age_s=reader.get("session-cookie-max-age", ""),
        same_site=cast(SameSite, same_site),
        secure=cast(Literal["auto", "always", "never"], {None: "auto", True: "always", False: "never"}[secure]),
        changes_on_failure=reader.get("session-cookie-change-on-failure", False),
        with_canary=reader.get("affinity-canary-behavior", "sticky") == "sticky",
    )
    if not reader.get("affinity"):
        return None
    if not affinity.path and (reader.get("use-regex") or reader.get("rewrite-target")):
        reader.problem("session-cookie-path", "is needed: the path of the rule is a pattern; '/' is used")
        return CookieAffinity(**{name: getattr(affinity, name) for name in affinity.__slots__} | {"path": "/"})
    return affinity


def _canary(reader: Reader) -> Canary | None:
    canary = Canary(
        header=reader.get("canary-by-header", ""),
        header_value=reader.get("canary-by-header-value", ""),
        header_pattern=reader.get("canary-by-header-pattern", ""),
        cookie=reader.get("canary-by-cookie", ""),
        weight=reader.get("canary-weight", 0),
        weight_total=reader.get("canary-weight-total", 100),
    )
    if reader.get("canary", False):
        return canary
    if canary != Canary():
        reader.problem("canary", "canary-* are configured but canary is not true: they mean nothing")
    return None

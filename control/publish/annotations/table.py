"""Every annotation of ingress-nginx there is (controller 1.15.1), in one table: what we do with it, or why not.

An annotation is *supported* with the grammar of its values, or *refused* with a reason. A refused one with a value that
says what is so anyway (`moot`) is left in peace; any other gets a Warning event. Where ignoring an annotation would let
in whom it keeps out, its routes answer 503 instead (`closes`). What is not in this table is no annotation of
ingress-nginx, and that is said too. The README's table is made of this one, and a test compares them.
"""

from __future__ import annotations

from typing import NamedTuple

from control.publish.annotations import grammar
from control.publish.annotations.grammar import Grammar

PREFIX = "nginx.ingress.kubernetes.io/"


class Supported(NamedTuple):
    values: Grammar
    text: str


class Refused(NamedTuple):
    why: str
    moot: tuple[str, ...] = ()
    closes: bool = False


SUPPORTED: dict[str, Supported] = {
    # where a request goes
    "use-regex": Supported(grammar.boolean, "paths of type ImplementationSpecific are patterns (RE2, case ignored)"),
    "rewrite-target": Supported(grammar.path, "the path that endpoints get; $1 to $9 are groups; implies use-regex"),
    "server-alias": Supported(grammar.hosts, "further hosts of all rules with a host; names, not patterns"),
    "default-backend": Supported(grammar.basic, "a Service whose first port serves while a backend has no endpoints"),
    "app-root": Supported(grammar.absolute_path, "`/` is sent there, 302"),
    "permanent-redirect": Supported(grammar.url, "every request is sent there, 301"),
    "permanent-redirect-code": Supported(grammar.integer, "300 to 308 instead of 301"),
    "temporal-redirect": Supported(grammar.url, "every request is sent there, 302; comes before permanent-redirect"),
    "temporal-redirect-code": Supported(grammar.integer, "300 to 307 instead of 302"),
    "from-to-www-redirect": Supported(grammar.boolean, "`www.h` is sent to `h`, or the other way, 308"),
    "ssl-redirect": Supported(grammar.boolean, "default true: hosts with TLS and a certificate are sent to https, 308"),
    "force-ssl-redirect": Supported(grammar.boolean, "all hosts are"),
    "preserve-trailing-slash": Supported(grammar.boolean, "and keep a slash at the end"),
    "use-port-in-redirects": Supported(grammar.boolean, "the https port in them; default: unless it is 443"),
    # canaries
    "canary": Supported(grammar.boolean, "these paths are alternatives of the same ones in another Ingress"),
    "canary-by-header": Supported(grammar.token, "`always` and `never` in this field decide"),
    "canary-by-header-value": Supported(grammar.basic, "this value does, instead"),
    "canary-by-header-pattern": Supported(grammar.pattern, "a value that matches (RE2) does, instead"),
    "canary-by-cookie": Supported(grammar.token, "`always` and `never` in this cookie decide"),
    "canary-weight": Supported(grammar.natural, "so many requests of canary-weight-total go there, at random"),
    "canary-weight-total": Supported(grammar.natural, "default and least 100"),
    # coming back
    "affinity": Supported(grammar.one_of("cookie"), "clients come back to their endpoint"),
    "affinity-mode": Supported(grammar.one_of("balanced", "persistent"), "default balanced: new endpoints get a share"),
    "affinity-canary-behavior": Supported(grammar.one_of("sticky", "legacy"), "default sticky: also with canaries"),
    "session-cookie-name": Supported(grammar.token, "default INGRESSCOOKIE"),
    "session-cookie-path": Supported(
        grammar.matching(r"[-._~a-zA-Z0-9/:,?&=]*", "a path"), "default the path of the rule; needed with patterns"
    ),
    "session-cookie-domain": Supported(grammar.basic, "default none"),
    "session-cookie-expires": Supported(grammar.matching(r"0|-?[1-9]\d{0,9}", "a number of seconds"), "seconds"),
    "session-cookie-max-age": Supported(grammar.matching(r"0|-?[1-9]\d{0,9}", "a number of seconds"), "seconds"),
    "session-cookie-samesite": Supported(grammar.one_of("none", "lax", "strict"), "default none of them"),
    "session-cookie-secure": Supported(grammar.boolean, "default: as the request came"),
    "session-cookie-change-on-failure": Supported(grammar.boolean, "default false"),
    # endpoints
    "service-upstream": Supported(grammar.boolean, "the Service's cluster IP is the one endpoint: kube-proxy balances"),
    "load-balance": Supported(
        grammar.one_of("round_robin", "ewma"), "`ewma` is peak EWMA; see also loopkube.io/balance"
    ),
    "upstream-hash-by": Supported(grammar.hash_key, "ring hash by text and nginx's variables"),
    "backend-protocol": Supported(grammar.one_of("http", "grpc"), "HTTP, or GRPC in the clear; the others not"),
    "proxy-connect-timeout": Supported(grammar.seconds, "default 5 s"),
    "proxy-send-timeout": Supported(grammar.seconds, "default 60 s, between two writes"),
    "proxy-read-timeout": Supported(grammar.seconds, "default 60 s, between two reads"),
    "proxy-next-upstream": Supported(grammar.causes, "default `error timeout` as soon as one of these three is set"),
    "proxy-next-upstream-tries": Supported(grammar.natural, "default 3; 0: no limit; without any of these: no retry"),
    "proxy-next-upstream-timeout": Supported(grammar.natural, "default 0, no limit"),
    # what is let in
    "proxy-body-size": Supported(grammar.size, "413 beyond it; default and 0: no limit (ingress-nginx: 1m)"),
    "limit-rps": Supported(grammar.natural, "requests a second and client, 503 beyond; per worker"),
    "limit-rpm": Supported(grammar.natural, "the same a minute"),
    "limit-connections": Supported(grammar.natural, "requests under way of a client, 503 beyond; per worker"),
    "limit-burst-multiplier": Supported(grammar.natural, "default 5"),
    "limit-allowlist": Supported(grammar.networks, "clients without limit; also called limit-whitelist"),
    "allowlist-source-range": Supported(grammar.networks, "others get 403; also called whitelist-source-range"),
    "denylist-source-range": Supported(grammar.networks, "these get 403; asked first"),
    "auth-type": Supported(grammar.one_of("basic"), "401 without a name and its password; digest: 503 for everybody"),
    "auth-secret": Supported(grammar.basic, "in the Ingress's namespace; hashes: apr1, md5, bcrypt, SHA, SSHA, PLAIN"),
    "auth-secret-type": Supported(grammar.one_of("auth-file", "auth-map"), "default auth-file: htpasswd in key `auth`"),
    "satisfy": Supported(grammar.one_of("all", "any"), "any: an allowed address or a password; default all: both"),
    "auth-realm": Supported(grammar.words, "default none"),
    "enable-cors": Supported(grammar.boolean, "preflights are answered, 204; other answers get the fields"),
    "cors-allow-origin": Supported(grammar.origins, "default *; `https://*.a.example` is one label more"),
    "cors-allow-methods": Supported(
        grammar.matching(r"[A-Za-z][A-Za-z, ]*", "a list of methods"), "default GET, PUT, POST, DELETE, PATCH, OPTIONS"
    ),
    "cors-allow-headers": Supported(
        grammar.matching(r"[A-Za-z0-9-_, ]*", "a list of field names"), "default nine usual ones"
    ),
    "cors-expose-headers": Supported(
        grammar.matching(r"[A-Za-z0-9-_*][A-Za-z0-9-_*, ]*", "a list of field names"), "default none"
    ),
    "cors-allow-credentials": Supported(grammar.boolean, "default true"),
    "cors-max-age": Supported(grammar.natural, "default 1728000 s"),
    # heads
    "upstream-vhost": Supported(
        grammar.matching(r"[-._~a-zA-Z0-9]+(?::[0-9]{1,5})?", "a host"), "the Host that endpoints see"
    ),
    "x-forwarded-prefix": Supported(grammar.path, "X-Forwarded-Prefix; only with rewrite-target, as in ingress-nginx"),
    "custom-headers": Supported(grammar.basic, "a ConfigMap of the Ingress's namespace: fields of every answer"),
    "proxy-redirect-from": Supported(
        grammar.matching(r"[-._~a-zA-Z0-9/:,?&=]*", "a URL or path"), "`off` is the default; `default` does nothing"
    ),
    "proxy-redirect-to": Supported(
        grammar.matching(r"[-._~a-zA-Z0-9/:,?&=]*", "a URL or path"), "the beginning of a Location becomes this"
    ),
}

_SNIPPET = Refused("nginx's configuration language is not spoken here")
_BUFFERS = Refused("bodies are streamed under back-pressure: there are no such buffers")
_CLIENT_TLS = Refused("clients are not asked for certificates")
_EXTERNAL = Refused("there is no external authentication (auth-url)")
_TELEMETRY = Refused("there is no tracing; flow records say what happened to each request", ("false", ""))
_WAF = Refused("there is no web application firewall", ("false",))
_MIRROR = Refused("requests go to one endpoint")
_FASTCGI = Refused("FastCGI is not spoken here")
_SET_COOKIE = Refused("endpoints' cookies are passed on as they are", ("off",))
_TO_TLS = Refused("connections to endpoints are plain", ("off",))
_SUBSET = Refused("a key has one endpoint, not a subset of them")

REFUSED: dict[str, Refused] = {
    "auth-url": Refused("there is no external authentication: nobody passes", closes=True),
    **dict.fromkeys(
        ("auth-always-set-cookie", "auth-cache-duration", "auth-cache-key", "auth-keepalive", "auth-keepalive-requests",
         "auth-keepalive-share-vars", "auth-keepalive-timeout", "auth-method", "auth-proxy-set-headers",
         "auth-request-redirect", "auth-response-headers", "auth-signin", "auth-signin-redirect-param", "auth-snippet"),
        _EXTERNAL,
    ),
    "enable-global-auth": Refused("there is no global authentication", ("false", "true")),
    "auth-tls-secret": Refused("clients are not asked for certificates: nobody passes", closes=True),
    **dict.fromkeys(
        ("auth-tls-error-page", "auth-tls-match-cn", "auth-tls-pass-certificate-to-upstream", "auth-tls-verify-client",
         "auth-tls-verify-depth"),
        _CLIENT_TLS,
    ),
    "client-body-buffer-size": _BUFFERS,
    "configuration-snippet": _SNIPPET,
    "connection-proxy-header": Refused("connections to endpoints are pooled", ("keep-alive",)),
    "custom-http-errors": Refused("endpoints' answers are passed on as they are"),
    "disable-proxy-intercept-errors": Refused("endpoints' answers are passed on as they are", ("true", "false")),
    "enable-access-log": Refused("flow records are kept of every request", ("true",)),
    "enable-modsecurity": _WAF,
    "enable-opentelemetry": _TELEMETRY,
    "enable-owasp-core-rules": _WAF,
    "enable-rewrite-log": Refused("flow records name the route of every request", ("false",)),
    "fastcgi-index": _FASTCGI,
    "fastcgi-params-configmap": _FASTCGI,
    "http2-push-preload": Refused("browsers have given up server push", ("false",)),
    "limit-rate": Refused("bytes a second are not limited", ("0",)),
    "limit-rate-after": Refused("bytes a second are not limited", ("0",)),
    **dict.fromkeys(("mirror-host", "mirror-request-body", "mirror-target"), _MIRROR),
    "modsecurity-snippet": _SNIPPET,
    "modsecurity-transaction-id": _WAF,
    "opentelemetry-operation-name": _TELEMETRY,
    "opentelemetry-trust-incoming-span": _TELEMETRY,
    "proxy-buffer-size": _BUFFERS,
    "proxy-buffering": Refused(_BUFFERS.why, ("off",)),
    "proxy-buffers-number": _BUFFERS,
    "proxy-busy-buffers-size": _BUFFERS,
    "proxy-cookie-domain": _SET_COOKIE,
    "proxy-cookie-path": _SET_COOKIE,
    "proxy-http-version": Refused("endpoints are spoken to in HTTP/1.1", ("1.1",)),
    "proxy-max-temp-file-size": Refused(_BUFFERS.why, ("0",)),
    "proxy-request-buffering": Refused(_BUFFERS.why, ("off",)),
    **dict.fromkeys(
        ("proxy-ssl-ciphers", "proxy-ssl-name", "proxy-ssl-protocols", "proxy-ssl-secret", "proxy-ssl-server-name",
         "proxy-ssl-verify", "proxy-ssl-verify-depth"),
        _TO_TLS,
    ),
    "relative-redirects": Refused("redirects name scheme and host", ("false",)),
    "server-snippet": _SNIPPET,
    "session-cookie-conditional-samesite-none": Refused("browsers know SameSite=None since 2019", ("false",)),
    "ssl-ciphers": Refused("all hosts have the same, modern TLS settings"),
    "ssl-passthrough": Refused("TLS ends here", ("false",)),
    "ssl-prefer-server-ciphers": Refused("all hosts have the same, modern TLS settings"),
    "stream-snippet": _SNIPPET,
    "upstream-hash-by-subset": Refused(_SUBSET.why, ("false",)),
    "upstream-hash-by-subset-size": _SUBSET,
}  # fmt: skip

ALIASES = {"whitelist-source-range": "allowlist-source-range", "limit-whitelist": "limit-allowlist"}
"""Older names of the same thing; the newer one counts if there are both."""


def markdown() -> str:
    """The table for people."""
    rows = [(name, "supported", item.text) for name, item in SUPPORTED.items()]
    rows += [(name, "**503**" if item.closes else "refused", _why(item)) for name, item in sorted(REFUSED.items())]
    lines = ["| annotation | | what |", "|---|---|---|"]
    return "\n".join(lines + [f"| {name} | {state} | {text} |" for name, state, text in rows])


def _why(item: Refused) -> str:
    moot = " or ".join(f"`{value}`" for value in item.moot if value)
    return f"{item.why}; {moot} is what is so anyway" if moot else item.why

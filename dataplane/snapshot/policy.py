"""What is done to the requests of a route besides passing them on: the words of the contract for it.

A `RoutePolicy` is a resource of its own that routes name, because an Ingress with a hundred paths has one policy, and
because what it counts (requests of a client) it counts over all of them. Its parts are values without behaviour; what
they mean is said in `dataplane.filters`, one file a part. The words and the defaults are those of ingress-nginx and
nginx, where people know them from.

A part that is None, empty or zero is absent. A route whose policy is not there answers 503: a policy may be what
keeps strangers out, so its absence must not let them in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SameSite = Literal["", "None", "Lax", "Strict"]
Secure = Literal["auto", "always", "never"]


@dataclass(frozen=True, slots=True)
class Redirect:
    """Every request is answered with this status and Location `to`, a URL."""

    to: str
    status: int


@dataclass(frozen=True, slots=True)
class HttpsRedirect:
    """Requests that came without TLS are sent to https with 308 (RFC 9110 15.4.9: the method stays).

    `hosts` are the routes' hosts for which it holds. `port` is put into the URL; 0 leaves it out.
    """

    hosts: tuple[str, ...]
    port: int = 0
    status: int = 308
    keeps_slash: bool = False  # ingress-nginx takes a trailing slash away unless preserve-trailing-slash


@dataclass(frozen=True, slots=True)
class Cors:
    """Cross-origin resource sharing (Fetch standard 3.2). `origins` are "*", "null" or scheme://host[:port] where the
    host may begin with "*." for one label more."""

    origins: tuple[str, ...]
    methods: str
    headers: str
    expose: str = ""
    credentials: bool = True
    max_age_s: int = 1728000


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Per client address and worker: nginx's limit_req without delay, and limit_conn. `exempt` are networks."""

    per_second: int = 0
    per_minute: int = 0
    connections: int = 0
    burst_factor: int = 5
    exempt: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """RFC 7617. `users` are (name, hash) in the form of an htpasswd file."""

    realm: str
    users: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Canary:
    """Which requests go to this route instead of the one that it is a canary of: header, then cookie, then weight."""

    header: str = ""
    header_value: str = ""
    header_pattern: str = ""
    cookie: str = ""
    weight: int = 0
    weight_total: int = 100


@dataclass(frozen=True, slots=True)
class CookieAffinity:
    """A client comes back to its endpoint by a cookie. `persistent`: also when there are new endpoints."""

    cookie: str = "INGRESSCOOKIE"
    persistent: bool = False
    path: str = ""  # "" is the route's
    domain: str = ""
    expires_s: str = ""  # a number of seconds, negative ones included; "" leaves the attribute out
    max_age_s: str = ""
    same_site: SameSite = ""
    secure: Secure = "auto"  # auto: as the request came
    changes_on_failure: bool = False
    with_canary: bool = True  # whoever was served by the canary, or was not, stays there


@dataclass(frozen=True, slots=True)
class RoutePolicy:
    """All that is done to the requests of the routes that name it."""

    name: str
    denied: str = ""  # why no request may pass: each is answered 503, as ingress-nginx does
    redirect: Redirect | None = None
    redirect_host: str = ""  # every request is sent to this host, 308, with scheme, port and target as they came
    https: HttpsRedirect | None = None
    app_root: str = ""  # where requests for "/" are sent
    cors: Cors | None = None
    limits: RateLimits | None = None
    allow: tuple[str, ...] = ()  # networks; others get 403
    deny: tuple[str, ...] = ()  # networks that get 403
    auth: BasicAuth | None = None
    any_suffices: bool = False  # of `allow` and `auth`, as nginx's "satisfy any"; else both must fit
    body_max: int = 0
    rewrite_target: str = ""  # the whole path is replaced by it; $1 to $9 are the groups of the route's path
    forwarded_prefix: str = ""  # X-Forwarded-Prefix, with the same groups
    host: str = ""  # the Host that endpoints see
    response_fields: tuple[tuple[str, str], ...] = ()
    location_from: str = ""  # a Location that begins so begins with `location_to` instead
    location_to: str = ""
    affinity: CookieAffinity | None = None
    canary: Canary | None = None
    fallback: str = ""  # the backend to use while the route's has no usable endpoint

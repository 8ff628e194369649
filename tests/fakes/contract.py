"""Resources of the contract with few words, and strategies that make any of them."""

from __future__ import annotations

import string
from typing import Any

from hypothesis import strategies as st

from dataplane.snapshot.model import (
    Ack,
    Backend,
    Certificate,
    Endpoint,
    Listener,
    Message,
    Nack,
    Node,
    Record,
    Resource,
    ResourceKey,
    Route,
    RoutePolicy,
    Update,
    Zone,
)
from dataplane.snapshot.policy import BasicAuth, Canary, CookieAffinity, Cors, HttpsRedirect, RateLimits, Redirect

NAMES = st.text(string.ascii_lowercase + "/:@", min_size=1, max_size=8)
TEXTS = st.text(max_size=8)
SECONDS = st.floats(0, 2e9, allow_nan=False)


def endpoint(id: str, backend: str = "app", *, ready: bool = True, port: int = 8000, **more: Any) -> Endpoint:
    serving = more.pop("serving", ready)
    return Endpoint(
        backend, id, more.pop("address", "127.0.0.1"), port, ready, serving, more.pop("terminating", False), **more
    )


def rule(name: str, host: str = "", path: str = "/", backend: str = "app", **more: Any) -> Route:
    order = more.pop("order", ("2026-01-01T00:00:00Z", "default/web", 0))
    return Route(name, more.pop("table", "web"), host, path, more.pop("path_type", "Prefix"), backend, order, **more)


def full(*resources: Resource, version: int = 1) -> Update:
    return Update(version, True, resources)


def partial(
    *resources: Resource, version: int, removes: tuple[ResourceKey, ...] = (), triggered_at: float = 0.0
) -> Update:
    return Update(version, False, resources, removes, triggered_at)


listeners = st.builds(
    Listener,
    name=NAMES,
    address=TEXTS,
    port=st.integers(-(2**63), 2**63 - 1),  # any that the wire can say
    mode=st.sampled_from(["tcp", "udp", "http", "ingress", "dns", "health"]),
    backend=TEXTS,
    tls=st.booleans(),
    affinity_timeout_s=SECONDS,
)
routes = st.builds(
    Route,
    name=NAMES,
    table=TEXTS,
    host=TEXTS,
    path=TEXTS,
    path_type=st.sampled_from(["Exact", "Prefix", "ImplementationSpecific", "Regex"]),
    backend=TEXTS,
    order=st.tuples(TEXTS, TEXTS, st.integers(0, 99)),
    is_default=st.booleans(),
    policy=TEXTS,
    is_canary=st.booleans(),
)
NUMBERS = st.integers(-2, 1000)
policies = st.builds(
    RoutePolicy,
    name=NAMES,
    denied=TEXTS,
    redirect=st.none() | st.builds(Redirect, TEXTS, NUMBERS),
    https=st.none() | st.builds(HttpsRedirect, st.tuples(TEXTS), NUMBERS, keeps_slash=st.booleans()),
    cors=st.none() | st.builds(Cors, st.tuples(TEXTS), TEXTS, TEXTS, credentials=st.booleans()),
    limits=st.none() | st.builds(RateLimits, NUMBERS, NUMBERS, NUMBERS),
    allow=st.lists(TEXTS, max_size=2).map(tuple),
    auth=st.none() | st.builds(BasicAuth, TEXTS, st.lists(st.tuples(TEXTS, TEXTS), max_size=2).map(tuple)),
    body_max=NUMBERS,
    rewrite_target=TEXTS,
    response_fields=st.lists(st.tuples(TEXTS, TEXTS), max_size=2).map(tuple),
    affinity=st.none() | st.builds(CookieAffinity, TEXTS, same_site=st.sampled_from(["", "Lax"])),
    canary=st.none() | st.builds(Canary, TEXTS, weight=NUMBERS),
)
backends = st.builds(Backend, name=NAMES, policy=st.sampled_from(["random", "round-robin", "least-request"]))
endpoints = st.builds(
    Endpoint,
    backend=NAMES,
    id=NAMES,
    address=TEXTS,
    port=st.integers(-(2**63), 2**63 - 1),  # any that the wire can say
    ready=st.booleans(),
    serving=st.booleans(),
    terminating=st.booleans(),
    triggered_at=SECONDS,
    node=TEXTS,
    hint_nodes=st.lists(TEXTS, max_size=2).map(tuple),
    hint_zones=st.lists(TEXTS, max_size=2).map(tuple),
)
certificates = st.builds(
    Certificate, name=NAMES, hosts=st.lists(TEXTS, max_size=3).map(tuple), chain_pem=TEXTS, key_pem=TEXTS
)
zones = st.builds(
    Zone, NAMES, TEXTS, st.integers(-9, 2**40), st.lists(st.tuples(TEXTS, st.integers(0, 99999)), max_size=2).map(tuple)
)
records = st.builds(
    Record, NAMES, st.sampled_from(["A", "AAAA", "CNAME", "PTR", "SRV", "TXT", "EMPTY", "DASHED"]), TEXTS,
    st.integers(-9, 99999),
)  # fmt: skip
nodes = st.builds(Node, NAMES, st.lists(TEXTS, max_size=2).map(tuple), TEXTS)
resources: st.SearchStrategy[Resource] = st.one_of(
    listeners, routes, policies, backends, endpoints, certificates, zones, records, nodes
)
keys: st.SearchStrategy[ResourceKey] = st.tuples(
    st.sampled_from(
        ["listener", "route", "routepolicy", "backend", "endpoint", "certificate", "zone", "record", "node"]
    ),
    NAMES,
)
updates = st.builds(
    Update,
    version=st.integers(0, 2**53),
    full=st.booleans(),
    upserts=st.lists(resources, max_size=4).map(tuple),
    removes=st.lists(keys, max_size=3).map(tuple),
    triggered_at=SECONDS,
    published_at=SECONDS,
)
messages: st.SearchStrategy[Message] = st.one_of(
    updates,
    st.builds(Ack, version=st.integers(0, 2**53), applied_at=SECONDS),
    st.builds(Nack, st.integers(-1, 99), TEXTS),
)

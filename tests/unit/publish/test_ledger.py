"""Units beside their twin: whatever changes in whatever order, what has been said equals `build` of the world."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from control.api.kinds import ENDPOINT_SLICE, SERVICE, kind_of
from control.api.objects import Key, Object, key_of
from control.mirror.world import LiveWorld
from control.publish.annotations.table import PREFIX
from control.publish.build import affected, build, build_unit, units
from control.publish.endpoints import Pieces
from control.publish.ledger import LANES, Lane, Ledger
from control.publish.unit import Built, Config, Unit
from dataplane.snapshot.diff import patched
from dataplane.snapshot.model import Endpoint, Resource, ResourceKey
from tests.fakes.certificates import self_signed
from tests.fakes.cluster_objects import (
    backend,
    endpoint,
    ingress,
    ingress_class,
    metadata,
    namespace,
    node,
    path,
    rule,
    secret,
    service,
    slice_,
)

CONFIG = Config(http_port=81, dns_address="127.96.0.10")  # a port that a Service may want at the same address
PAIR = self_signed("one")
EXTERNAL = {"type": "ExternalName", "externalName": "db"}
names = st.sampled_from(["web", "api"])
marks = st.sampled_from(
    [
        None,
        {"loopkube.io/balance": "least-request"},
        {"loopkube.io/balance": "?"},
        {PREFIX + "default-backend": "api"},
        {PREFIX + "auth-type": "basic", PREFIX + "auth-secret": "s"},
        {PREFIX + "custom-headers": "c"},
        {PREFIX + "canary": "true", PREFIX + "canary-weight": "5"},
        {PREFIX + "proxy-read-timeout": "5", PREFIX + "server-alias": "g"},
        {PREFIX + "use-regex": "true", PREFIX + "mirror-target": "x"},
    ]
)
balances = st.sampled_from([None, {"loopkube.io/balance": "least-request"}, {"loopkube.io/balance": "?"}])
services = st.builds(
    lambda name, port, spec, annotations: service(name, port, annotations=annotations, **spec),
    names,
    st.sampled_from(
        [{"port": 80}, {"port": 80, "name": "http", "nodePort": 30080}, {"port": 81, "appProtocol": "http"}]
    ),
    st.sampled_from(
        [
            {},
            {"type": "NodePort"},
            {"externalIPs": ["127.0.0.1"]},
            {"clusterIP": "None"},
            {"clusterIP": "None", "publishNotReadyAddresses": True},
            {"type": "ExternalName", "externalName": "db"},
        ]
    ),
    balances,
)
endpoints = st.builds(
    endpoint, st.sampled_from(["127.244.0.2", "127.244.0.3"]), st.sampled_from(["", "p", "q"]), st.booleans()
)
slices = st.builds(
    lambda name, of, ends, port, at: slice_(name, of, ends, ports=[{"name": port, "port": 8080}], trigger=at),
    st.sampled_from(["s1", "s2"]),
    names,
    st.lists(endpoints, max_size=3),
    st.sampled_from(["", "http"]),
    st.sampled_from(["1.0", "2.0"]),
)
paths = st.builds(path, names, st.sampled_from(["/", "/a"]), st.sampled_from([80, 81, "http"]))
ingresses = st.builds(
    lambda name, made, class_name, default, tls, annotations: ingress(
        name, rule("h", *made), ingressClassName=class_name, defaultBackend=default, tls=tls, annotations=annotations
    ),
    st.sampled_from(["i", "j"]),
    st.lists(paths, min_size=1, max_size=2),
    st.sampled_from(["loopkube", "other", None]),
    st.sampled_from([None, backend("web")]),
    st.sampled_from([[], [{"hosts": ["h"], "secretName": "s"}]]),
    marks,
)
classes = st.builds(
    lambda controller, default: ingress_class("loopkube", controller, default=default),
    st.sampled_from(["loopkube.io/ingress", "example.com/x"]),
    st.booleans(),
)
nodes = st.builds(node, st.sampled_from(["n0", "n1"]), st.sampled_from(["127.245.0.1", "127.245.0.2"]))
secrets = st.sampled_from(
    [secret("s", tls_crt="x"), secret("s", tls_crt=PAIR[0], tls_key=PAIR[1]), secret("s", auth="jo:{SHA}x")]
)
config_maps = st.sampled_from([{"X-A": "b"}, {"Connection": "close"}]).map(
    lambda data: {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("c", "a"), "data": data}
)
namespaces = st.builds(namespace, st.sampled_from(["a", "b"]))
objects = st.one_of(
    namespaces, services, slices, slices, ingresses, ingresses, ingresses, classes, nodes, secrets, config_maps
)


def timeless(resources: dict[ResourceKey, Resource]) -> dict[ResourceKey, Resource]:
    return {
        key: replace(resource, triggered_at=0.0) if isinstance(resource, Endpoint) else resource
        for key, resource in resources.items()
    }


@settings(max_examples=150, deadline=None)
@given(st.lists(objects, max_size=8), st.lists(st.tuples(objects, st.booleans(), st.integers(0, 2)), max_size=12))
def test_what_was_said_is_what_the_world_means(first: list[Object], changes: list[tuple[Object, bool, int]]) -> None:
    world = LiveWorld()
    usual = [ingress_class(default=True), service("web"), ingress("i", rule("h", path("web", "/", "http")))]
    for obj in [*usual, *first]:
        world.put(kind_of(obj), obj)  # type: ignore[arg-type]
    ledger = Ledger(1)
    memory: dict[Unit, Pieces] = {}
    for unit in units(world, CONFIG):
        ledger.rebuild(unit, build_unit(world, unit, CONFIG, memory.setdefault(unit, Pieces())))
    ledger.take(LANES, 0.0)
    worker: dict[ResourceKey, Resource] = patched({}, ledger.full(0.0))
    dirty: set[Unit] = set()
    for obj, gone, wait in changes:
        kind = kind_of(obj)
        assert kind is not None
        old = world.remove(kind, key_of(obj)) if gone else world.put(kind, obj)
        dirty |= affected(world, kind, old, None if gone else obj, CONFIG)
        if wait:  # else the next change joins this one
            lanes = LANES if wait == 1 else LANES[:1]
            worker = publish(ledger, world, dirty, lanes, worker, memory)
    worker = publish(ledger, world, dirty, LANES, worker, memory)
    assert timeless(worker) == timeless(ledger.published) == timeless(build(world, CONFIG))
    fresh = Ledger(1)
    for unit in units(world, CONFIG):
        fresh.rebuild(unit, build_unit(world, unit, CONFIG))
    assert ledger.warnings == fresh.warnings


def publish(
    ledger: Ledger,
    world: LiveWorld,
    dirty: set[Unit],
    lanes: tuple[Lane, ...],
    worker: dict[ResourceKey, Resource],
    memory: dict[Unit, Pieces],
) -> dict[ResourceKey, Resource]:
    for unit in sorted(dirty):
        ledger.rebuild(unit, build_unit(world, unit, CONFIG, memory.setdefault(unit, Pieces())))
    dirty.clear()
    version = ledger.version
    update = ledger.take(lanes, 0.0)
    if update is None:
        return worker
    assert update.version == version + 1
    return patched(worker, update)


WEB = Unit("service", Key("a", "web"))


def built(*resources: Endpoint) -> Built:
    found = Built()
    for resource in resources:
        found.add(resource)
    return found


def end(id_: str, at: float, ready: bool = True) -> Endpoint:
    return Endpoint("a/web:80", id_, "127.244.0.2", 80, ready, ready, False, triggered_at=at)


def test_one_flip_is_one_endpoint_and_carries_its_cause() -> None:
    """Whatever else is in its slice, and however often others in it have flipped before."""
    ledger, pieces, world = Ledger(1), Pieces(), LiveWorld()
    world.put(SERVICE, service("web"))
    for number, ready in enumerate([(True, True), (False, True), (False, False), (True, False)]):
        ends = [endpoint(f"127.244.0.{n}", f"p{n}", is_ready) for n, is_ready in enumerate(ready)]
        world.put(ENDPOINT_SLICE, slice_("s", "web", [*ends, endpoint("127.244.0.9", "q")], trigger=f"{number}.5"))
        ledger.rebuild(WEB, build_unit(world, WEB, CONFIG, pieces))
        update = ledger.take(LANES, 9.0)
        assert update is not None
        assert (update.triggered_at, update.published_at) == (number + 0.5, 9.0)
        if number:
            assert [(each.triggered_at, type(each)) for each in update.upserts] == [(number + 0.5, Endpoint)]  # type: ignore[union-attr]
    assert ledger.published["endpoint", "a/web:80|uid-q"].triggered_at == 0.5  # type: ignore[union-attr]
    assert ledger.take(LANES, 9.0) is None


def test_what_came_and_went_unsaid_is_never_said() -> None:
    ledger = Ledger(1)
    ledger.rebuild(WEB, built(end("p", 1.0)))
    ledger.rebuild(WEB, built())
    assert ledger.take(LANES, 0.0) is None
    assert ledger.version == 1


def test_the_oldest_cause_counts() -> None:
    ledger = Ledger(1)
    ledger.rebuild(WEB, built(end("p", 7.0), end("q", 5.0), end("r", 0.0)))
    update = ledger.take(LANES, 0.0)
    assert update is not None
    assert update.triggered_at == 5.0


def test_a_note_is_new_once() -> None:
    ledger = Ledger(1)

    def noted(*messages: str) -> list[str]:
        found = Built()
        for message in messages:
            found.note({}, "R", message)
        return [note.message for note in ledger.rebuild(WEB, found)]

    assert [noted("x"), noted("x", "y"), noted("y"), noted("x")] == [["x"], ["y"], [], ["x"]]


def test_warnings_are_counted_by_reason_and_said_by_themselves() -> None:
    ledger = Ledger(0)
    web, other = Unit("ingress", Key("a", "web")), Unit("ingress", Key("a", "other"))

    def said(*reasons: str) -> Built:
        built = Built(ingress("web"))
        for reason in reasons:
            built.note(ingress("web"), reason, reason)
        return built

    ledger.rebuild(web, said("SecretNotFound", "BadAnnotation"))
    ledger.rebuild(other, said("BadAnnotation"))
    assert ledger.has_changes("ingress")
    update = ledger.take(LANES, 0.0)
    assert update is not None
    assert (update.upserts, update.warnings) == ((), (("BadAnnotation", 2), ("SecretNotFound", 1)))
    assert ledger.full(0.0).warnings == update.warnings
    assert not ledger.has_changes("ingress")
    ledger.rebuild(web, said())
    update = ledger.take(LANES, 0.0)
    assert update is not None
    assert update.warnings == (("BadAnnotation", 1),)
    ledger.rebuild(other, said("BadAnnotation"))
    assert ledger.take(LANES, 0.0) is None

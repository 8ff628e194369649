"""Environment, command lines and what keeps a container from starting."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from control.api.objects import Object
from control.kubelet.downward import FieldUnknown, Place, field_text, map_text, resource_text
from control.kubelet.environment import ConfigMissing, environment, expand, own_variables, service_variables
from control.kubelet.images.table import ImageTable
from control.kubelet.knobs import FAST
from control.kubelet.launch import Ready, Refusal, folders_of, launch, working_directory
from control.mirror.world import World
from tests.fakes.pods import container, pod, record_of

PLACE = Place("127.245.0.1", "127.244.0.2", {"cpu": "2", "memory": "1Gi"})


def config(name: str, kind: str = "ConfigMap", **data: str) -> Object:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "default"}, "data": data}


def secret(name: str, **data: str) -> Object:
    return config(name, "Secret", **{key: base64.b64encode(value.encode()).decode() for key, value in data.items()})


def service(name: str, ip: str, *ports: Object, namespace: str = "default") -> Object:
    spec = {"clusterIP": ip, "ports": list(ports)}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "1"), ("x$(A)y$(B)", "x1y2"), ("$$(A)", "$(A)"), ("$$$(A)", "$1"), ("$(NONE)", "$(NONE)"),
        ("$A", "$A"), ("$(A", "$(A"), ("100$", "100$"), ("$$", "$"),
    ],
)  # fmt: skip
def test_expansion(text: str, expected: str) -> None:
    assert expand(text, {"A": "1"}, {"A": "hidden", "B": "2"}) == expected


def test_sources_in_order_of_strength() -> None:
    world = World.of(
        [config("cm", A="map", B="map"), secret("s", C="hidden"), service("db", "127.96.0.9", {"port": 5432})]
    )
    spec = container(
        envFrom=[{"configMapRef": {"name": "cm"}}, {"prefix": "S_", "secretRef": {"name": "s"}}],
        env=[
            {"name": "A", "value": "own"},
            {"name": "D", "value": "$(A)-$(B)-$(S_C)-$(DB_SERVICE_HOST)-$(LATER)"},
            {"name": "LATER", "value": "x"},
        ],
    )
    found = environment(pod(spec), spec, world, PLACE)
    assert (found["A"], found["B"], found["S_C"]) == ("own", "map", "hidden")
    assert found["D"] == "own-map-hidden-127.96.0.9-$(LATER)"


def test_references_to_keys_fields_and_amounts() -> None:
    world = World.of([config("cm", a="1"), secret("s", b="2")])
    sources: dict[str, Any] = {
        "KEY": {"configMapKeyRef": {"name": "cm", "key": "a"}},
        "SECRET": {"secretKeyRef": {"name": "s", "key": "b"}},
        "GONE": {"configMapKeyRef": {"name": "cm", "key": "z", "optional": True}},
        "NAME": {"fieldRef": {"fieldPath": "metadata.name"}},
        "IP": {"fieldRef": {"fieldPath": "status.podIP"}},
        "CPU": {"resourceFieldRef": {"resource": "limits.cpu"}},
        "MEM": {"resourceFieldRef": {"resource": "requests.memory", "divisor": "1Mi"}},
    }
    env = [{"name": name, "valueFrom": source} for name, source in sources.items()]
    spec = container(env=env, resources={"requests": {"memory": "100M"}})
    found = environment(pod(spec), spec, world, PLACE)
    assert found == {"KEY": "1", "SECRET": "2", "NAME": "p", "IP": "127.244.0.2", "CPU": "2", "MEM": "96"}


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"configMapKeyRef": {"name": "x", "key": "a"}}, 'configmap "x" not found'),
        ({"secretKeyRef": {"name": "x", "key": "a"}}, 'secret "x" not found'),
        ({"configMapKeyRef": {"name": "cm", "key": "z"}}, "couldn't find key z in ConfigMap default/cm"),
        ({"fieldRef": {"fieldPath": "spec.nope"}}, "unsupported fieldPath: spec.nope"),
    ],
)
def test_what_is_missing_is_told_in_kubernetes_words(env: Object, message: str) -> None:
    spec = container(env=[{"name": "A", "valueFrom": env}])
    with pytest.raises(ConfigMissing, match="^" + message.replace("'", ".") + "$"):
        environment(pod(spec), spec, World.of([config("cm", a="1")]), PLACE)


def test_optional_sources_may_be_missing() -> None:
    spec = container(
        envFrom=[{"configMapRef": {"name": "x", "optional": True}}],
        env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "x", "key": "a", "optional": True}}}],
    )
    assert environment(pod(spec), spec, World.of([]), PLACE) == {}


def test_service_variables() -> None:
    web = service("my-web", "127.96.0.7", {"port": 80, "name": "http"}, {"port": 53, "protocol": "UDP"})
    master = service("kubernetes", "127.96.0.1", {"port": 443, "name": "https"})
    headless = service("headless", "None", {"port": 80})
    world = World.of([{**web, "metadata": {"name": "my-web", "namespace": "shop"}}, master, headless])
    found = service_variables(world, "shop", links=True)
    assert found["MY_WEB_SERVICE_HOST"] == "127.96.0.7"
    assert (found["MY_WEB_SERVICE_PORT"], found["MY_WEB_SERVICE_PORT_HTTP"]) == ("80", "80")
    assert (found["MY_WEB_PORT"], found["MY_WEB_PORT_53_UDP"]) == ("tcp://127.96.0.7:80", "udp://127.96.0.7:53")
    assert found["KUBERNETES_SERVICE_HOST"] == "127.96.0.1"
    assert not any(name.startswith("HEADLESS") for name in found)
    assert set(service_variables(world, "shop", links=False)) == {n for n in found if n.startswith("KUBERNETES")}


def test_downward_fields() -> None:
    obj = pod()
    obj["metadata"] |= {"labels": {"b": 'x"y', "a": "1"}, "annotations": {"n": "v"}}
    assert field_text(obj, "metadata.labels['a']", PLACE) == "1"
    assert field_text(obj, "metadata.annotations['nope']", PLACE) == ""
    assert map_text(obj["metadata"]["labels"]) == 'a="1"\nb="x\\"y"'
    with pytest.raises(FieldUnknown):
        resource_text(obj, container(), {"resource": "limits"}, PLACE)


def test_own_variables_say_where_to_listen() -> None:
    spec = container(ports=[{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 8080}])
    found = own_variables(pod(spec), spec, PLACE, "/data/c", {"PATH": "/bin", "SECRET": "x"})
    assert (found["POD_IP"], found["PORT"], found["HOSTNAME"], found["HOME"]) == ("127.244.0.2", "8080", "p", "/data/c")
    assert found["PATH"] == "/bin"
    assert "SECRET" not in found, "the kubelet's own environment stays with the kubelet"


def start(spec: Object, world: World | None = None) -> Ready | Refusal:
    obj = pod(spec)
    folders = folders_of("/data", "default", "p", "uid-p")
    images = ImageTable(python="/py")
    return launch(
        obj,
        spec,
        3,
        record_of(obj),
        world or World.of([]),
        images,
        PLACE,
        folders,
        {"PATH": "/bin"},
        FAST,
        lambda d: False,
    )


def test_a_launch() -> None:
    found = start(container(args=["--name", "$(HOSTNAME)"], env=[{"name": "PORT", "value": "9"}]))
    assert isinstance(found, Ready)
    spec = found.process
    assert (spec.id, spec.cwd) == ("uid-p/c/3", "/data/pods/uid-p/c")
    assert spec.log_path == "/data/logs/pods/default_p_uid-p/c/3.log"
    assert spec.argv == ("/py", "-m", "control.kubelet.images.echo", "--name", "p")
    assert spec.env["PORT"] == "9", "the user's word counts"
    labels = spec.labels or {}
    assert (labels["uid"], labels["container"], labels["attempt"], labels["pod-ip"]) == (
        "uid-p",
        "c",
        "3",
        "127.244.0.2",
    )


def test_refusals_in_the_kubelet_s_order() -> None:
    broken: dict[str, Any] = {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "x", "key": "a"}}}]}
    for spec, reason in (
        (container(image="a b"), "InvalidImageName"),
        (container(image="foo/bar", **broken), "ErrImagePull"),
        (container(image="foo/bar", imagePullPolicy="Never"), "ErrImageNeverPull"),
        (container(**broken), "CreateContainerConfigError"),
    ):
        found = start(spec)
        assert isinstance(found, Refusal)
        assert found.reason == reason


def test_the_working_directory() -> None:
    for asked, mounts, exists, expected in (
        ("", [], True, "/r"), ("/app", [], True, "/app"), ("/app", [], False, "/r/app"),
        ("/app/x", [{"mountPath": "/app"}], True, "/r/app/x"), ("../..", [], True, "/r"),
    ):  # fmt: skip
        spec = container(workingDir=asked, volumeMounts=mounts)
        assert working_directory(spec, "/r", lambda path, there=exists: there) == expected  # type: ignore[misc]

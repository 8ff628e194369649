"""Request bodies in protobuf: kubectl's own, and that JSON comes back as it went."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.api.decode import check
from control.api.kinds import DEPLOYMENT, POD
from control.api.rows import RESOURCES
from control.api.schema import schema_of
from control.apiserver.protobuf import ProtobufError, envelope, message
from tests.fakes import protobuf
from tests.fakes.cluster import APPS, CORE, cluster

MEDIA = "application/vnd.kubernetes.protobuf"
POD_DEFINITION = RESOURCES[POD].definition

# As kubectl 1.37 sent them.
DEPLOYMENT_BODY = (
    "azhzAAoVCgdhcHBzL3YxEgpEZXBsb3ltZW50EroBCh8KA3dlYhIAGgAiACoAMgA4AEIAWgoKA2FwcBIDd2ViEogBCAISDAoKCgNhcHASA3dlYhpu"
    "ChwKABIAGgAiACoAMgA4AEIAWgoKA2FwcBIDd2ViEk4SMAoFbmdpbngSB25naW54OjEqADIKCgAQABhQIgAqAEIAagByAIABAIgBAJABAKIBABoA"
    "MgBCAEoAUgBYAGAAaACCAQCKAQCaAQDCAQAiAgoAKAA4ABoMCAAQABgAIAAoADgAGgAiAA=="
)
REVIEW_BODY = (
    "azhzAAoyChdhdXRob3JpemF0aW9uLms4cy5pby92MRIXU2VsZlN1YmplY3RBY2Nlc3NSZXZpZXcSPwoQCgASABoAIgAqADIAOABCABIhCh8KB2Rl"
    "ZmF1bHQSBmNyZWF0ZRoAIgAqBHBvZHMyADoAGggIABIAGgAgABoAIgA="
)
SECRET_BODY = "azhzAAoMCgJ2MRIGU2VjcmV0Eh0KEQoBcxIAGgAiACoAMgA4AEIAEgYKAXASAXEaABoAIgA="


def test_a_deployment_of_kubectl() -> None:
    version, kind, raw = envelope(b64decode(DEPLOYMENT_BODY))
    assert (version, kind) == ("apps/v1", "Deployment")
    result = check(message(raw, RESOURCES[DEPLOYMENT].definition), schema_of(RESOURCES[DEPLOYMENT].definition))
    assert (result.unknown, result.error) == ([], "")
    assert result.obj["spec"] == {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "strategy": {},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "containers": [
                    {"name": "nginx", "image": "nginx:1", "ports": [{"containerPort": 80}], "resources": {}}
                ],
            },
        },
    }


async def test_kubectl_s_bodies_through_the_handlers() -> None:
    async with cluster() as api:
        url = f"{APPS}/deployments?fieldValidation=Strict"
        reply = await api.post(url, b64decode(DEPLOYMENT_BODY), Content_Type=MEDIA)
        assert (reply.status, reply.body["spec"]["replicas"]) == (201, 2)
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        reply = await api.post(path, b64decode(REVIEW_BODY), Content_Type=MEDIA)
        assert reply.body["status"] == {"allowed": True}
        assert reply.body["spec"]["resourceAttributes"]["resource"] == "pods"
        reply = await api.post(f"{CORE}/secrets", b64decode(SECRET_BODY), Content_Type=MEDIA)
        assert reply.body["data"] == {"p": "cQ=="}


async def test_a_body_of_another_kind_or_none_is_refused() -> None:
    async with cluster() as api:
        reply = await api.post(f"{CORE}/pods", b64decode(SECRET_BODY), Content_Type=MEDIA)
        assert (reply.status, reply.message.startswith('Secret in version "v1" cannot be handled as a Pod')) == (
            400,
            True,
        )
        reply = await api.post(f"{CORE}/secrets", b"{}", Content_Type=MEDIA)
        assert (reply.status, "does not appear to be a protobuf message" in reply.message) == (400, True)


async def test_delete_options_in_protobuf() -> None:
    async with cluster() as api:
        await api.post(f"{CORE}/secrets", b64decode(SECRET_BODY), Content_Type=MEDIA)
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "other"}}
        body = protobuf.body(options, "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions")
        reply = await api.ask("DELETE", f"{CORE}/secrets/s", body, Content_Type=MEDIA)
        assert reply.reason == "Conflict"


RICH = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "p",
        "labels": {"a": "b"},
        "creationTimestamp": "2026-01-02T03:04:05Z",
        "managedFields": [{"manager": "m", "fieldsV1": {"f:spec": {}}}],
    },
    "spec": {
        "volumes": [{"name": "v", "emptyDir": {}}, {"name": "c", "configMap": {"name": "cm", "defaultMode": 420}}],
        "containers": [
            {
                "name": "c",
                "image": "i",
                "resources": {"requests": {"cpu": "100m"}},
                "livenessProbe": {"httpGet": {"path": "/", "port": "web"}, "periodSeconds": 3},
                "readinessProbe": {"tcpSocket": {"port": 80}},
                "env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": True}}}],
                "securityContext": {"runAsUser": 0},
            }
        ],
        "tolerations": [{"key": "k", "tolerationSeconds": -5}],
        "hostNetwork": True,
    },
}


def test_everything_that_is_written_differently_in_json() -> None:
    _, _, raw = envelope(protobuf.body(RICH, POD_DEFINITION))
    assert {"apiVersion": "v1", "kind": "Pod", **message(raw, POD_DEFINITION)} == RICH


EVENT_DEFINITION = "io.k8s.api.events.v1.Event"
TEXT = st.text(max_size=5)


@settings(max_examples=50)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "note": TEXT.filter(bool),
            "deprecatedCount": st.integers(-(2**31), 2**31 - 1),
            "metadata": st.fixed_dictionaries(
                {}, optional={"labels": st.dictionaries(TEXT, TEXT, min_size=1, max_size=3)}
            ),
            "eventTime": st.just("2026-01-02T03:04:05.000006Z"),
        },
    )
)
def test_what_goes_in_comes_out(value: dict[str, Any]) -> None:
    assert message(protobuf.message(value, EVENT_DEFINITION), EVENT_DEFINITION) == value


@settings(max_examples=100)
@given(st.binary(max_size=40), st.integers(0, 200), st.integers(0, 255))
def test_malformed_bytes_raise_one_error_only(junk: bytes, at: int, byte: int) -> None:
    damaged = bytearray(b64decode(DEPLOYMENT_BODY))
    damaged[at % len(damaged)] = byte
    for body in (b"k8s\x00" + junk, bytes(damaged), bytes(damaged[:at])):
        try:
            _, _, raw = envelope(body)
            message(raw, RESOURCES[DEPLOYMENT].definition)
        except ProtobufError:
            continue


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\x05a", b"\x0b", b"\x08" + b"\xff" * 11])
def test_truncated_fields(data: bytes) -> None:
    with pytest.raises(ProtobufError):
        message(data, POD_DEFINITION)

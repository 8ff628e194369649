"""Decoding: Kubernetes' texts for what does not fit, and the same object for what does."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.api import decode
from control.api.decode import Irregular, cannot_handle, check, loads_strict, strict_error
from control.api.kinds import DEPLOYMENT
from control.api.objects import Object, copy_of
from control.api.schema import schema_of
from control.api.status import StatusError
from tests.fakes.generated import values
from tests.fakes.manifests import container, deployment, metadata, pod, pod_spec

POD = schema_of("io.k8s.api.core.v1.Pod")
DEPLOYED = schema_of("io.k8s.api.apps.v1.Deployment")
SECRET = schema_of("io.k8s.api.core.v1.Secret")
LEASE = schema_of("io.k8s.api.coordination.v1.Lease")


def test_a_regular_object_is_returned_as_it_is() -> None:
    obj = pod()
    result = check(obj, POD)
    assert result.obj is obj
    assert (result.unknown, result.error) == ([], "")


def test_unknown_fields_are_named_with_their_path_and_pruned() -> None:
    obj = deployment(replcas=3)
    obj["spec"]["template"]["spec"]["containers"][0]["imge"] = "x"
    result = check(obj, DEPLOYED)
    assert result.unknown == [
        'unknown field "spec.template.spec.containers[0].imge"',
        'unknown field "spec.replcas"',
    ]
    assert result.error == ""
    assert "replcas" not in result.obj["spec"]
    assert obj["spec"]["replcas"] == 3, "the caller's object is left alone"


def test_the_error_of_strict_validation() -> None:
    error = cannot_handle(DEPLOYMENT, strict_error(['unknown field "spec.a"', 'duplicate field "spec.b"']))
    assert (error.code, error.reason) == (400, "BadRequest")
    assert error.message == (
        'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: '
        'unknown field "spec.a", duplicate field "spec.b"'
    )


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (
            {"replicas": "3"},
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            {"replicas": 1.5},
            "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            {"replicas": 2**31},
            "json: cannot unmarshal number 2147483648 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        ({"paused": 1}, "json: cannot unmarshal number into Go struct field DeploymentSpec.spec.paused of type bool"),
        (
            {"template": []},
            "json: cannot unmarshal array into Go struct field DeploymentSpec.spec.template of type v1.PodTemplateSpec",
        ),
        (
            {"template": {"spec": {"containers": {}}}},
            "json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type "
            "[]v1.Container",
        ),
        (
            {"selector": {"matchLabels": {"a": 1}}},
            "json: cannot unmarshal number into Go struct field LabelSelector.spec.selector.matchLabels of type string",
        ),
        (
            {"template": {"spec": {"containers": [{"env": [{"name": "A", "value": 1}]}]}}},
            "json: cannot unmarshal number into Go struct field EnvVar.spec.template.spec.containers.env.value of type "
            "string",
        ),
        (
            {"strategy": {"rollingUpdate": {"maxSurge": True}}},
            "json: cannot unmarshal bool into Go value of type int32",
        ),
    ],
)
def test_type_errors_in_the_words_of_go(change: Object, error: str) -> None:
    assert check(deployment(**change), DEPLOYED).error == error


def resources(**amounts: Any) -> Object:
    return pod(pod_spec(containers=[container(resources={"limits": amounts})]))


@pytest.mark.parametrize(
    ("amount", "spelled"), [("0.5", "500m"), (1, "1"), (0.25, "250m"), ("1000m", "1"), ("1024Mi", "1Gi")]
)
def test_quantities_become_canonical(amount: Any, spelled: str) -> None:
    result = check(resources(cpu=amount), POD)
    assert result.obj["spec"]["containers"][0]["resources"]["limits"]["cpu"] == spelled


def test_a_bad_quantity() -> None:
    assert check(resources(cpu="lots"), POD).error.startswith("quantities must match the regular expression")
    assert check(resources(cpu="1Q"), POD).error.startswith("quantities must match")
    assert check(resources(cpu="1ki"), POD).error == "unable to parse quantity's suffix"


def test_nulls_are_absent_fields_and_zero_items() -> None:
    obj = pod(pod_spec(volumes=None, containers=[container(args=[None, "x"])]), creationTimestamp=None)
    obj["metadata"]["labels"] = {"a": None}
    found = check(obj, POD).obj
    assert "creationTimestamp" not in found["metadata"]
    assert "volumes" not in found["spec"]
    assert found["spec"]["containers"][0]["args"] == ["", "x"]
    assert found["metadata"]["labels"] == {"a": ""}


def test_what_go_omits_when_empty_is_absent() -> None:
    obj = pod(pod_spec(hostNetwork=False, nodeName="", tolerations=[], nodeSelector={}))
    obj["spec"]["containers"][0]["env"] = [{"name": "A", "value": ""}]
    found = check(obj, POD).obj["spec"]
    assert found.keys() == {"containers"}
    assert found["containers"][0]["env"] == [{"name": "A"}]


def test_what_go_keeps_when_empty_stays() -> None:
    assert check(deployment(replicas=0), DEPLOYED).obj["spec"]["replicas"] == 0
    config = {"metadata": metadata(), "data": {"empty": ""}}
    assert check(config, schema_of("io.k8s.api.core.v1.ConfigMap")).obj == config
    volumes = pod(pod_spec(volumes=[{"name": "v", "emptyDir": {}}]))
    assert check(volumes, POD).obj is volumes


def test_times_become_utc() -> None:
    obj = pod(creationTimestamp="2026-01-01T02:00:00+02:00")
    assert check(obj, POD).obj["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00Z"
    lease = {"metadata": metadata(), "spec": {"renewTime": "2026-01-01T00:00:00Z"}}
    assert check(lease, LEASE).obj["spec"]["renewTime"] == "2026-01-01T00:00:00.000000Z"
    assert check(pod(creationTimestamp="yesterday"), POD).error.startswith('parsing time "yesterday" as')


def test_secrets_are_base64() -> None:
    assert check({"metadata": metadata(), "data": {"k": "YQ=="}}, SECRET).error == ""
    assert check({"metadata": metadata(), "data": {"k": "YQ\n=="}}, SECRET).obj["data"] == {"k": "YQ=="}
    bad = check({"metadata": metadata(), "data": {"k": "Y!=="}}, SECRET)
    assert bad.error == "illegal base64 data at input byte 1"


def test_free_form_fields_are_not_pruned() -> None:
    entry = {"manager": "m", "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": {"f:x": {}}}
    obj = pod(managedFields=[entry])
    assert check(obj, POD).obj is obj


def test_not_an_object() -> None:
    assert check([], POD).error == "json: cannot unmarshal array into Go value of type v1.Pod"  # type: ignore[arg-type]


# --- duplicates ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "duplicates"),
    [
        (b'{"a":1}', []),
        (b'{ "a" : 1, "b": [1, {"c": "\\u003c"}] }\n', []),
        (b'{"a":1,"a":2}', ['duplicate field "a"']),
        (b'{"spec":{"x":1,"x":2},"l":[{"k":1,"k":2}]}', ['duplicate field "spec.x"', 'duplicate field "l[0].k"']),
    ],
)
def test_duplicate_fields(body: bytes, duplicates: list[str]) -> None:
    obj, found = loads_strict(body)
    assert found == duplicates
    assert obj == orjson.loads(body)


@pytest.mark.parametrize("body", [b"", b"{", b'{"a":NaN}', b"[" * 5000])
def test_a_body_that_is_no_json(body: bytes) -> None:
    with pytest.raises(StatusError) as caught:
        loads_strict(body)
    assert caught.value.code == 400
    assert caught.value.message.startswith("couldn't get version/kind; json parse error: ")


# --- the two decoders ---------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_both_decoders_agree(data: st.DataObject) -> None:
    schema = schema_of(data.draw(st.sampled_from(["io.k8s.api.core.v1.Container", "io.k8s.api.core.v1.ServiceSpec"])))
    obj = data.draw(values(schema, 4).filter(lambda each: isinstance(each, dict)))
    before = copy_of(obj)
    walk = decode._Walk()
    slow = walk.value(obj, schema, "", "", "")
    try:
        fast = decode._compiled(schema)(obj)
    except Irregular:
        assert walk.unknown or walk.error, "the fast decoder gives up only where there is something to say"
    else:
        assert fast == slow
        assert not walk.unknown
        assert not walk.error
        assert check(fast, schema).obj == fast, "decoding twice changes nothing"
    assert obj == before

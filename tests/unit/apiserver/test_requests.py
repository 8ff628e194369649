"""What requests say: paths, representations, options."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.api.kinds import KINDS, Kind
from control.api.status import StatusError
from control.apiserver.negotiate import accepted, sent
from control.apiserver.options import DeleteOptions, delete_options, list_options, write_options
from control.apiserver.paths import Target, parse

CORE_MAPS = ("", "v1", "configmaps")


@pytest.mark.parametrize(
    ("method", "path", "query", "target"),
    [
        ("GET", "/api/v1/configmaps", {}, Target("list", *CORE_MAPS, "", "", "")),
        ("GET", "/api/v1/configmaps", {"watch": "true"}, Target("watch", *CORE_MAPS, "", "", "")),
        ("GET", "/api/v1/configmaps", {"watch": ""}, Target("watch", *CORE_MAPS, "", "", "")),
        ("GET", "/api/v1/configmaps", {"watch": "0"}, Target("list", *CORE_MAPS, "", "", "")),
        ("GET", "/api/v1/namespaces/d/configmaps/a", {}, Target("get", *CORE_MAPS, "d", "a", "")),
        ("GET", "/api/v1/namespaces/d/configmaps/a%3Ab", {}, Target("get", *CORE_MAPS, "d", "a:b", "")),
        ("DELETE", "/api/v1/namespaces/d/configmaps", {}, Target("deletecollection", *CORE_MAPS, "d", "", "")),
        ("PUT", "/apis/g/v1/namespaces/d/rs/a/scale", {}, Target("update", "g", "v1", "rs", "d", "a", "scale")),
        ("GET", "/api/v1/namespaces", {}, Target("list", "", "v1", "namespaces", "", "", "")),
        ("GET", "/api/v1/namespaces/n", {}, Target("get", "", "v1", "namespaces", "", "n", "")),
        ("PUT", "/api/v1/namespaces/n/finalize", {}, Target("update", "", "v1", "namespaces", "", "n", "finalize")),
        ("PATCH", "/api/v1/namespaces/n/status", {}, Target("patch", "", "v1", "namespaces", "", "n", "status")),
        ("BREW", "/api/v1/configmaps", {}, Target("", *CORE_MAPS, "", "", "")),
        ("GET", "/api/v1", {}, None),
        ("GET", "/apis/apps/v1", {}, None),
        ("GET", "/version", {}, None),
    ],
)  # fmt: skip
def test_paths(method: str, path: str, query: dict[str, str], target: Target | None) -> None:
    assert parse(method, path, query) == target


NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)


@given(st.sampled_from(KINDS), NAMES, NAMES)
def test_every_kind_s_own_path_leads_to_it(kind: Kind, namespace: str, name: str) -> None:
    namespace = namespace if kind.namespaced else ""
    target = parse("GET", kind.path(namespace, name), {})
    assert target == Target("get", kind.group, kind.version, kind.plural, namespace, name, "")


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", ("application/json", "")),
        ("*/*", ("application/json", "")),
        ("application/yaml", ("application/yaml", "")),
        ("text/html, application/json;q=0.5", ("application/json", "")),
        ("application/json;q=0.1, application/yaml", ("application/yaml", "")),
        ("application/vnd.kubernetes.protobuf,application/json", ("application/json", "")),
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", ("application/json", "Table")),
        ("application/json;as=Table;v=v9;g=meta.k8s.io,application/json", ("application/json", "")),
        ("*/*; as=PartialObjectMetadata; v=v1; g=meta.k8s.io", ("application/json", "PartialObjectMetadata")),
    ],
)  # fmt: skip
def test_accepted(accept: str, expected: tuple[str, str]) -> None:
    form = accepted(accept)
    assert (form.media, form.as_) == expected


@pytest.mark.parametrize("accept", ["text/html", "application/cbor", "application/json;as=Foo;v=v1;g=meta.k8s.io"])
def test_not_acceptable(accept: str) -> None:
    with pytest.raises(StatusError) as caught:
        accepted(accept)
    assert caught.value.code == 406


def test_sent() -> None:
    assert sent("application/json; charset=utf-8") == sent("") == "application/json"
    assert sent("application/x-yaml") == "application/yaml"
    with pytest.raises(StatusError, match="accepted media types include: application/json, application/yaml"):
        sent("application/cbor")


def test_managers_come_from_the_query_or_the_agent() -> None:
    assert write_options("CreateOptions", {}, "kubectl/v1.37.0 (linux/amd64)").manager == "kubectl"
    assert write_options("CreateOptions", {"fieldManager": "me"}, "kubectl/v1").manager == "me"
    for manager, why in (("x" * 129, "may not be more than 128 bytes"), ("a\n", "only contain printable characters")):
        with pytest.raises(StatusError, match=why):
            write_options("PatchOptions", {"fieldManager": manager}, "")
    with pytest.raises(StatusError, match='supported values: "Ignore", "Strict", "Warn"'):
        write_options("PatchOptions", {"fieldValidation": "Loud"}, "")


@pytest.mark.parametrize(
    ("query", "body", "expected"),
    [
        ({}, None, DeleteOptions()),
        ({"gracePeriodSeconds": "5"}, None, DeleteOptions(grace_period_s=5)),
        ({"gracePeriodSeconds": "-5"}, None, DeleteOptions(grace_period_s=1)),
        ({"propagationPolicy": "Orphan"}, None, DeleteOptions(propagation="Orphan")),
        ({"orphanDependents": "false"}, None, DeleteOptions(orphan_dependents=False)),
        ({"gracePeriodSeconds": "5"}, {"gracePeriodSeconds": 0}, DeleteOptions(grace_period_s=0)),
        ({}, {"preconditions": {"uid": "u"}, "dryRun": ["All"]}, DeleteOptions(uid="u", dry_run=True)),
    ],
)  # fmt: skip
def test_delete_options(query: dict[str, str], body: dict[str, Any] | None, expected: DeleteOptions) -> None:
    assert delete_options(query, body) == expected


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "Pod"},
        {"gracePeriodSeconds": "x"},
        {"propagationPolicy": "x"},
        {"propagationPolicy": "Orphan", "orphanDependents": True},
        {"dryRun": ["Some"]},
        {"preconditions": []} | {"dryRun": 5},
    ],
)
def test_bad_delete_options(body: dict[str, Any]) -> None:
    with pytest.raises(StatusError):
        delete_options({}, body)


@pytest.mark.parametrize(
    ("query", "watch"),
    [
        ({"resourceVersionMatch": "Sideways", "resourceVersion": "1"}, False),
        ({"resourceVersionMatch": "Exact", "resourceVersion": "0"}, False),
        ({"resourceVersionMatch": "Exact", "continue": "x"}, False),
        ({"sendInitialEvents": "true"}, False),
        ({"sendInitialEvents": "true", "resourceVersionMatch": "Exact"}, True),
    ],
)
def test_list_options_that_mean_nothing(query: dict[str, str], watch: bool) -> None:
    with pytest.raises(StatusError) as caught:
        list_options(query, watch=watch)
    assert (caught.value.code, caught.value.reason) == (422, "Invalid")

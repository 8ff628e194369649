"""What deleting means, as a table."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from control.api.kinds import CONFIG_MAP, NAMESPACE, POD
from control.apiserver.deletion import Leave, Mark, Remove, decide, is_finished
from control.apiserver.options import DeleteOptions

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DELETING = {"deletionTimestamp": "2026-01-01T00:00:10Z", "deletionGracePeriodSeconds": 30}


def _obj(metadata: dict[str, Any] | None = None, **parts: Any) -> dict[str, Any]:
    return {"metadata": {"name": "a", **(metadata or {})}, **parts}


def _decide(obj: dict[str, Any], *, graceful: bool = False, **options: Any) -> Any:
    return decide(POD if graceful else CONFIG_MAP, obj, DeleteOptions(**options), NOW, graceful=graceful)


@pytest.mark.parametrize(
    ("finalizers", "options", "expected"),
    [
        ([], {}, None),
        (["x"], {}, ["x"]),
        ([], {"propagation": "Background"}, None),
        ([], {"propagation": "Foreground"}, ["foregroundDeletion"]),
        ([], {"propagation": "Orphan"}, ["orphan"]),
        (["x"], {"propagation": "Orphan"}, ["x", "orphan"]),
        (["orphan"], {}, ["orphan"]),
        (["orphan"], {"propagation": "Background"}, None),
        (["foregroundDeletion", "x"], {"propagation": "Orphan"}, ["x", "orphan"]),
        ([], {"orphan_dependents": True}, ["orphan"]),
        (["foregroundDeletion"], {"orphan_dependents": False}, None),
    ],
)
def test_finalizers_follow_the_policy(
    finalizers: list[str], options: dict[str, Any], expected: list[str] | None
) -> None:
    decision = _decide(_obj({"finalizers": finalizers}), **options)
    if expected is None:
        assert decision == Remove()
    else:
        assert isinstance(decision, Mark)
        assert decision.obj["metadata"]["finalizers"] == expected
        assert decision.obj["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:00Z"


def test_a_marked_object_is_marked_once() -> None:
    obj = _obj({"finalizers": ["x"], "generation": 1})
    first = _decide(obj)
    assert isinstance(first, Mark)
    assert first.obj["metadata"]["generation"] == 2
    assert "deletionTimestamp" not in obj["metadata"]
    assert _decide(first.obj) == Leave()


@pytest.mark.parametrize(
    ("pod", "asked", "expected"),
    [
        (_obj(spec={"nodeName": "n", "terminationGracePeriodSeconds": 30}), None, 30),
        (_obj(spec={"nodeName": "n", "terminationGracePeriodSeconds": 30}), 7, 7),
        (_obj(spec={"nodeName": "n", "terminationGracePeriodSeconds": 30}), 0, None),
        (_obj(spec={"nodeName": "n", "terminationGracePeriodSeconds": 0}), None, None),
        (_obj(spec={"terminationGracePeriodSeconds": 30}), None, None),
        (_obj(spec={"nodeName": "n", "terminationGracePeriodSeconds": 30}, status={"phase": "Failed"}), None, None),
    ],
)
def test_grace(pod: dict[str, Any], asked: int | None, expected: int | None) -> None:
    decision = _decide(pod, graceful=True, grace_period_s=asked)
    if expected is None:
        assert decision == Remove()
    else:
        assert isinstance(decision, Mark)
        assert decision.obj["metadata"]["deletionGracePeriodSeconds"] == expected


@pytest.mark.parametrize(("asked", "kept"), [(None, True), (30, True), (60, True), (10, False), (0, False)])
def test_grace_under_way_only_shrinks(asked: int | None, kept: bool) -> None:
    decision = _decide(_obj(DELETING, spec={"nodeName": "n"}), graceful=True, grace_period_s=asked)
    assert (decision == Leave()) is kept


def test_a_pod_with_finalizers_stays_even_without_grace() -> None:
    decision = _decide(_obj({**DELETING, "finalizers": ["x"]}, spec={"nodeName": "n"}), graceful=True, grace_period_s=0)
    assert isinstance(decision, Mark)
    assert decision.obj["metadata"]["deletionGracePeriodSeconds"] == 0
    assert decision.obj["metadata"]["deletionTimestamp"] == "2025-12-31T23:59:40Z"


@pytest.mark.parametrize(
    ("kind", "obj", "finished"),
    [
        (CONFIG_MAP, _obj(), False),
        (CONFIG_MAP, _obj({"deletionTimestamp": "t", "deletionGracePeriodSeconds": 0}), True),
        (CONFIG_MAP, _obj({"deletionTimestamp": "t", "finalizers": ["x"]}), False),
        (POD, _obj({"deletionTimestamp": "t", "deletionGracePeriodSeconds": 5}), False),
        (NAMESPACE, _obj({"deletionTimestamp": "t"}, spec={"finalizers": ["kubernetes"]}), False),
        (NAMESPACE, _obj({"deletionTimestamp": "t"}, spec={}), True),
    ],
)
def test_what_is_finished(kind: Any, obj: dict[str, Any], finished: bool) -> None:
    assert is_finished(kind, obj) is finished

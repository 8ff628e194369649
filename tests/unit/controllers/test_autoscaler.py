"""The HorizontalPodAutoscaler's controller on a tiny API whose metrics are what a test says."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from control.api.kinds import (
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    STATEFUL_SET,
    Kind,
)
from control.api.objects import Key, Object, condition_of, format_time, spec_of, status_of
from control.api.status import StatusError
from control.controllers.horizontalpodautoscaler.controller import HorizontalPodAutoscalerController
from tests.fakes.autoscalers import autoscaler, container_resource, described, external, pods, resource, rules
from tests.fakes.objects import deployment, pod
from tests.fakes.tiny_api import START, Cluster, Rejected

WEB = Key("default", "web")
REQUESTS: dict[str, Any] = {
    "containers": [{"name": "app", "resources": {"requests": {"cpu": "100m", "memory": "100Mi"}}}]
}
HITS = "http_requests_per_second"


class Stage:
    """A Deployment `web` whose pods are up and use `cpu_milli` each; other metrics answer with `value`."""

    def __init__(self, hpa: Object, replicas: int = 2, kind: Kind = DEPLOYMENT) -> None:
        self.cluster = Cluster()
        self.cluster.now = START + timedelta(hours=1)
        workload = deployment(replicas=replicas)
        workload |= {"apiVersion": kind.api_version, "kind": kind.kind}
        if kind == REPLICATION_CONTROLLER:
            workload["spec"]["selector"] = {"app": "web"}
        workload["status"] = {"replicas": replicas}
        self.kind = kind
        self.cluster.add(workload)
        for index in range(replicas):
            made = pod(f"web-{index}", ip=f"127.244.0.{index + 1}", ready=True, **REQUESTS)
            made["status"]["startTime"] = format_time(START)
            self.cluster.add(made)
        self.cluster.add(hpa)
        self.cpu_milli = 50
        self.value = "10"
        self.failing: tuple[str, ...] = ()
        self.asked: list[str] = []
        self.cluster.answers = self.answer
        self.controller = HorizontalPodAutoscalerController()

    def answer(self, path: str) -> Object | StatusError:
        self.asked.append(path)
        if any(part in path for part in self.failing):
            return StatusError(404, "NotFound", "the server could not find the requested resource")
        at = format_time(self.cluster.now)
        names = [name for kind, (_, name) in self.cluster.objects if kind.plural == "pods"]
        if path.startswith("/apis/metrics.k8s.io"):
            usage = {"cpu": f"{self.cpu_milli}m", "memory": "50Mi"}
            containers = [{"name": "app", "usage": usage}]
            metadata = {"namespace": "default"}
            items: list[Any] = [
                {"metadata": {**metadata, "name": name}, "timestamp": at, "window": "15s", "containers": containers}
                for name in names
            ]
        elif "/pods/*/" in path:
            items = [{"describedObject": {"name": name}, "timestamp": at, "value": self.value} for name in names]
        else:
            items = [{"timestamp": at, "value": self.value}]
        return {"items": items}

    def look(self, after_s: float = 15.0) -> None:
        self.cluster.now += timedelta(seconds=after_s)
        outcome = self.controller.reconcile(self.cluster.world, WEB, self.cluster.now)
        self.cluster.perform(outcome.actions)

    @property
    def replicas(self) -> int:
        return int(spec_of(self.cluster.get(self.kind, "web"))["replicas"])

    @property
    def hpa(self) -> Object:
        return self.cluster.get(HORIZONTAL_POD_AUTOSCALER, "web")

    def condition(self, type_: str) -> tuple[str, str]:
        found = condition_of(self.hpa, type_) or {}
        return str(found.get("status")), str(found.get("reason"))


def test_it_scales_up_and_says_so() -> None:
    stage = Stage(autoscaler())
    stage.cpu_milli = 100  # of 100m requested, 50 % wanted
    stage.look()
    assert stage.replicas == 4
    assert stage.cluster.events == [
        "Normal SuccessfulRescale web: New size: 4; reason: cpu resource utilization (percentage of request) above "
        "target"
    ]
    status = status_of(stage.hpa)
    assert (status["currentReplicas"], status["desiredReplicas"]) == (2, 4)
    assert status["lastScaleTime"] == format_time(stage.cluster.now)
    current = {"averageUtilization": 100, "averageValue": "100m"}
    assert status["currentMetrics"] == [{"type": "Resource", "resource": {"name": "cpu", "current": current}}]
    assert stage.condition("AbleToScale") == ("True", "SucceededRescale")
    assert stage.condition("ScalingActive") == ("True", "ValidMetricFound")
    assert stage.condition("ScalingLimited") == ("False", "DesiredWithinRange")


def test_it_scales_down_once_the_window_has_passed() -> None:
    stage = Stage(autoscaler(), replicas=4)
    stage.cpu_milli = 10
    stage.look()
    assert (stage.replicas, stage.condition("AbleToScale")) == (4, ("True", "ScaleDownStabilized"))
    for _ in range(19):
        stage.look()
    assert stage.replicas == 4
    stage.look(20)
    assert stage.replicas == 1
    assert "reason: All metrics below target" in stage.cluster.events[-1]


def test_within_the_tolerance_nothing_happens() -> None:
    stage = Stage(autoscaler())
    stage.cpu_milli = 54
    stage.look()
    assert (stage.replicas, stage.cluster.events) == (2, [])
    assert stage.condition("AbleToScale") == ("True", "ReadyForNewScale")


def test_a_tolerance_of_its_own() -> None:
    stage = Stage(autoscaler(behavior={"scaleUp": rules(("Pods", 4, 15), tolerance="50m"), "scaleDown": rules()}))
    stage.cpu_milli = 54
    stage.look()
    assert stage.replicas == 3


def test_one_look_a_period_and_one_at_once_for_a_new_spec() -> None:
    stage = Stage(autoscaler())
    stage.look()
    stage.look(5)
    assert len(stage.asked) == 1
    stage.cluster.edit(HORIZONTAL_POD_AUTOSCALER, "web", lambda obj: obj["spec"].update(maxReplicas=5))
    stage.look(1)
    assert len(stage.asked) == 2
    assert status_of(stage.hpa)["observedGeneration"] == 2


def test_a_settled_one_writes_nothing() -> None:
    stage = Stage(autoscaler())
    stage.look()
    before = stage.cluster.revision
    stage.look()
    assert stage.cluster.revision == before


@pytest.mark.parametrize("kind", [DEPLOYMENT, REPLICA_SET, STATEFUL_SET, REPLICATION_CONTROLLER], ids=str)
def test_every_scalable_kind_is_scaled(kind: Kind) -> None:
    stage = Stage(autoscaler(kind=kind.kind), kind=kind)
    stage.cpu_milli = 100
    stage.look()
    assert stage.replicas == 4


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ({"kind": "Deployment", "name": "other", "apiVersion": "apps/v1"}, 'deployments.apps "other" not found'),
        ({"kind": "Moon", "name": "web", "apiVersion": "sky/v1"}, 'no matches for kind "Moon" in group "sky"'),
        ({"kind": "Pod", "name": "web", "apiVersion": "v1"}, "the server could not find the requested resource"),
        ({"kind": "Pod", "name": "web", "apiVersion": "a/b/c"}, "unexpected GroupVersion string: a/b/c"),
    ],
)
def test_a_target_that_cannot_be_had_is_told(reference: Object, why: str) -> None:
    hpa = autoscaler()
    hpa["spec"]["scaleTargetRef"] = reference
    stage = Stage(hpa)
    stage.look()
    assert stage.condition("AbleToScale") == ("False", "FailedGetScale")
    assert stage.cluster.events == [f"Warning FailedGetScale web: {why}"]


@pytest.mark.parametrize(
    ("replicas", "bounds", "expected", "why"),
    [
        (6, (1, 3), 3, "Current number of replicas above Spec.MaxReplicas"),
        (1, (2, 3), 2, "Current number of replicas below Spec.MinReplicas"),
    ],
)
def test_out_of_bounds_no_metric_is_read(replicas: int, bounds: tuple[int, int], expected: int, why: str) -> None:
    stage = Stage(autoscaler(minimum=bounds[0], maximum=bounds[1]), replicas=replicas)
    stage.look()
    assert (stage.replicas, stage.asked) == (expected, [])
    assert stage.cluster.events == [f"Normal SuccessfulRescale web: New size: {expected}; reason: {why}"]


def test_zero_replicas_switch_it_off() -> None:
    stage = Stage(autoscaler(), replicas=0)
    stage.look()
    assert (stage.replicas, stage.asked) == (0, [])
    assert stage.condition("ScalingActive") == ("False", "ScalingDisabled")


def test_from_zero_by_an_external_metric_where_the_minimum_is_zero() -> None:
    stage = Stage(autoscaler("web", external("queue", value="4"), minimum=0), replicas=0)
    stage.look()
    assert stage.replicas == 3


@pytest.mark.parametrize(
    ("metric", "path", "name"),
    [
        (pods(HITS, averageValue="5"), f"/pods/*/{HITS}?labelSelector=app%3Dweb", f"pods metric {HITS}"),
        (described(HITS, value="5"), "/services/web/http_requests_per_second", f"Service metric {HITS}"),
        (
            described(HITS, averageValue="2500m"),
            "/services/web/http_requests_per_second",
            f"external metric {HITS}(nil)",
        ),
        (
            external("q", {"a": "b"}, averageValue="2500m"),
            "/apis/external.metrics.k8s.io/v1beta1/namespaces/default/q?labelSelector=a%3Db",
            "external metric q(&LabelSelector{MatchLabels:map[string]string{a: b,},"
            "MatchExpressions:[]LabelSelectorRequirement{},})",
        ),
        (external("q", value="5"), "/namespaces/default/q", "external metric q(nil)"),
        (resource("memory", averageValue="25Mi"), "/v1beta1/namespaces/default/pods?", "memory resource"),
        (
            container_resource("app", averageUtilization=25),
            "/v1beta1/namespaces/default/pods?",
            "cpu container resource utilization (percentage of request)",
        ),
    ],
)  # fmt: skip
def test_every_kind_of_metric_scales(metric: Object, path: str, name: str) -> None:
    """Twice of what is wanted: twice the replicas."""
    stage = Stage(autoscaler("web", metric))
    stage.look()
    (asked,) = stage.asked
    assert path in asked
    assert stage.replicas == 4
    assert stage.cluster.events == [f"Normal SuccessfulRescale web: New size: 4; reason: {name} above target"]


def test_one_container_is_measured() -> None:
    stage = Stage(autoscaler("web", container_resource("other", averageUtilization=25)))
    stage.look()
    assert stage.condition("ScalingActive") == ("False", "FailedGetContainerResourceMetric")
    assert "container other not present in metrics for pod default/web-0" in stage.cluster.events[0]


def test_the_largest_proposal_counts() -> None:
    stage = Stage(autoscaler("web", resource(averageUtilization=50), pods(HITS, averageValue="5")))
    stage.look()
    assert stage.replicas == 4
    assert f"pods metric {HITS} above target" in stage.cluster.events[0]


def test_with_a_failing_metric_it_only_scales_up() -> None:
    stage = Stage(autoscaler("web", external("q", value="5"), resource(averageUtilization=50)))
    stage.failing = ("external.metrics",)
    stage.cpu_milli = 10
    stage.look()
    assert stage.replicas == 2
    assert stage.condition("ScalingActive") == ("False", "FailedGetExternalMetric")
    cause = (
        "unable to get external metric default/q/nil: unable to fetch metrics from external metrics API: the server "
        "could not find the requested resource"
    )
    assert stage.cluster.events == [
        f"Warning FailedGetExternalMetric web: {cause}",
        "Warning FailedComputeMetricsReplicas web: invalid metrics (1 invalid out of 2), first error is: failed to get "
        f"q external metric value: failed to get external metric q: {cause}",
    ]
    assert [each["type"] for each in status_of(stage.hpa)["currentMetrics"]] == ["", "Resource"]
    stage.cpu_milli = 100
    stage.look()
    assert stage.replicas == 4


def test_pods_of_two_autoscalers_are_ambiguous() -> None:
    stage = Stage(autoscaler())
    other = autoscaler("other")
    other["spec"]["scaleTargetRef"]["name"] = "web"
    stage.cluster.add(other)
    stage.look()
    text = "pods by selector app=web are controlled by multiple HPAs: [default/other default/web]"
    assert stage.condition("ScalingActive") == ("False", "AmbiguousSelector")
    assert stage.cluster.events[0] == f"Warning AmbiguousSelector web: {text}"
    assert stage.asked == []


def test_a_refused_scale_is_told_and_tried_again_a_period_later() -> None:
    stage = Stage(autoscaler())
    stage.cpu_milli = 100
    stage.cluster.refuses = lambda kind, obj: "no" if kind == DEPLOYMENT else ""
    with pytest.raises(Rejected):
        stage.look()
    assert stage.condition("AbleToScale") == ("False", "FailedUpdateScale")
    assert "FailedRescale web: New size: 4; reason:" in stage.cluster.events[0]
    stage.cluster.refuses = lambda kind, obj: ""
    stage.look(1)
    assert stage.replicas == 2
    stage.look()
    assert stage.replicas == 4


def test_a_forgotten_object_is_forgotten() -> None:
    stage = Stage(autoscaler())
    stage.look()
    stage.cluster.delete(HORIZONTAL_POD_AUTOSCALER, stage.hpa)
    stage.look()
    assert stage.controller.histories == {}

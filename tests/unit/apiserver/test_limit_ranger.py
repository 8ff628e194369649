"""LimitRanges at work: what a pod gets, and what it is refused for."""

from __future__ import annotations

from typing import Any

import pytest

from control.api.objects import Object
from control.api.status import StatusError
from control.apiserver.admission.limit_ranger import check_claim, check_claim_update
from tests.fakes.cluster import CORE, Cluster, cluster, pod

PODS = f"{CORE}/pods"
FORBIDDEN = 'pods "p" is forbidden: '


async def limited(api: Cluster, name: str = "l", **item: Any) -> None:
    body = {"metadata": {"name": name}, "spec": {"limits": [{"type": "Container", **item}]}}
    assert (await api.post(f"{CORE}/limitranges", body)).status == 201


def asking(name: str = "p", limits: Object | None = None, **requests: str) -> Object:
    resources = {"requests": requests, "limits": limits or {}}
    return pod(name, containers=[{"name": "c", "image": "nginx:1", "resources": resources}])


async def test_a_container_gets_the_defaults_that_it_leaves_open() -> None:
    """Conformance: LimitRange should create a LimitRange with defaults and ensure pod has those defaults applied."""
    async with cluster() as api:
        await limited(api, default={"cpu": "500m", "memory": "1Gi"}, defaultRequest={"cpu": "100m", "memory": "200Mi"})
        body = (await api.post(PODS, pod())).body
        assert body["spec"]["containers"][0]["resources"] == {
            "requests": {"cpu": "100m", "memory": "200Mi"},
            "limits": {"cpu": "500m", "memory": "1Gi"},
        }
        assert body["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
            "LimitRanger plugin set: cpu, memory request for container c; cpu, memory limit for container c"
        )
        assert body["status"]["qosClass"] == "Burstable"
        partial = (await api.post(PODS, asking("q", {"memory": "2Gi"}, cpu="150m", memory="1Gi"))).body
        assert partial["spec"]["containers"][0]["resources"] == {
            "requests": {"cpu": "150m", "memory": "1Gi"},
            "limits": {"cpu": "500m", "memory": "2Gi"},
        }
        assert partial["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
            "LimitRanger plugin set: cpu limit for container c"
        )


async def test_init_containers_have_a_word_of_their_own() -> None:
    async with cluster() as api:
        await limited(api, default={"cpu": "1"}, defaultRequest={"cpu": "1"})
        body = (await api.post(PODS, pod(initContainers=[{"name": "i", "image": "nginx:1"}]))).body
        assert body["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
            "LimitRanger plugin set: cpu request for container c; cpu limit for container c; "
            "cpu request for init container i; cpu limit for init container i"
        )
        assert body["status"]["qosClass"] == "Burstable"


@pytest.mark.parametrize(
    ("item", "obj", "why"),
    [
        (
            {"min": {"cpu": "100m"}},
            asking(cpu="50m"),
            "minimum cpu usage per Container is 100m, but request is 50m",
        ),
        (
            {"type": "Pod", "min": {"cpu": "100m"}},
            pod(),
            "minimum cpu usage per Pod is 100m.  No request is specified",
        ),
        (
            {"type": "Pod", "min": {"cpu": "1"}, "max": {"cpu": "2"}},
            asking(limits={"cpu": "3"}, cpu="1"),
            "maximum cpu usage per Pod is 2, but limit is 3",
        ),
        (
            {"type": "Pod", "max": {"memory": "1Gi"}},
            pod(),
            "maximum memory usage per Pod is 1Gi.  No limit is specified",
        ),
        (
            {"maxLimitRequestRatio": {"cpu": "2"}},
            asking(limits={"cpu": "3"}, cpu="1"),
            "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000",
        ),
        (
            {"maxLimitRequestRatio": {"cpu": "1500m"}},
            pod(),
            "cpu max limit to request ratio per Container is 1500m, but no request is specified or request is 0",
        ),
        (
            {"maxLimitRequestRatio": {"cpu": "2"}},
            asking(cpu="1"),
            "cpu max limit to request ratio per Container is 2, but no limit is specified or limit is 0",
        ),
        (
            {"max": {"cpu": "1", "memory": "1Gi"}},
            asking(limits={"cpu": "2", "memory": "2Gi"}),
            "[maximum cpu usage per Container is 1, but limit is 2, "
            "maximum memory usage per Container is 1Gi, but limit is 2Gi]",
        ),
    ],
)
async def test_who_asks_for_too_much_or_too_little_is_refused(item: Object, obj: Object, why: str) -> None:
    async with cluster() as api:
        await limited(api, **item)
        reply = await api.post(PODS, obj)
        assert (reply.status, reply.message) == (403, FORBIDDEN + why)


async def test_a_pod_is_measured_by_its_sum_and_only_when_it_is_created() -> None:
    async with cluster() as api:
        two = [{"name": name, "image": "nginx:1", "resources": {"limits": {"cpu": "1"}}} for name in "ab"]
        assert (await api.post(PODS, pod("early", containers=two))).status == 201
        await limited(api, type="Pod", max={"cpu": "1500m"})
        reply = await api.post(PODS, pod(containers=two))
        assert reply.message == FORBIDDEN + "maximum cpu usage per Pod is 1500m, but limit is 2"
        assert (await api.patch(f"{PODS}/early", {"metadata": {"labels": {"a": "b"}}})).status == 200


class Ranges:
    """A lookup that knows one LimitRange."""

    def __init__(self, *items: Object) -> None:
        self.items = list(items)

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        return None

    def list(self, resource: str, namespace: str = "") -> list[Object]:
        return [{"spec": {"limits": self.items}}] if resource == "limitranges" else []


@pytest.mark.parametrize(
    ("storage", "why"),
    [
        ("2Gi", "maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi"),
        ("1Mi", "minimum storage usage per PersistentVolumeClaim is 10Mi, but request is 1Mi"),
        ("1Gi", ""),
    ],
)
def test_claims_are_measured_by_what_they_request(storage: str, why: str) -> None:
    lookup = Ranges({"type": "PersistentVolumeClaim", "min": {"storage": "10Mi"}, "max": {"storage": "1Gi"}})
    claim = {"metadata": {"name": "c"}, "spec": {"resources": {"requests": {"storage": storage}}}}
    if not why:
        check_claim(claim, lookup)
        return
    with pytest.raises(StatusError, match="persistentvolumeclaims") as refused:
        check_claim(claim, lookup)
    assert refused.value.message == f'persistentvolumeclaims "c" is forbidden: {why}'


def test_a_claim_that_grows_is_measured_again_and_one_that_goes_is_not() -> None:
    lookup = Ranges({"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}})
    grown = {"metadata": {"name": "c"}, "spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    with pytest.raises(StatusError, match="maximum storage usage"):
        check_claim_update(grown, {"metadata": {"name": "c"}}, lookup)
    check_claim_update(grown, {"metadata": {"name": "c", "deletionTimestamp": "2026-01-01T00:00:00Z"}}, lookup)

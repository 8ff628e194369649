"""The Python clients, unmodified: the official one and kr8s."""

from __future__ import annotations

import copy
import threading
from typing import Any

import pytest

from tests.e2e.conftest import Cluster, echo_app, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def deployment(name: str) -> dict[str, Any]:
    """A Deployment of one echo pod that ends quickly."""
    found = copy.deepcopy(echo_app(name, replicas=1)[0])
    found["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 1
    return found


def test_the_official_client_creates_watches_and_deletes(cluster: Cluster) -> None:
    from kubernetes import client, config, watch

    config.load_kube_config(str(cluster.kubeconfig))
    apps = client.AppsV1Api()
    seen: list[tuple[str, int]] = []
    ready = threading.Event()
    gone = threading.Event()

    def follow() -> None:
        stream = watch.Watch().stream(
            apps.list_namespaced_deployment, "default", label_selector="by=official", timeout_seconds=90
        )
        for event in stream:
            available = event["object"].status.available_replicas or 0
            seen.append((event["type"], available))
            if available == 1:
                ready.set()
            if event["type"] == "DELETED":
                gone.set()
                return

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    body: Any = deployment("official")
    body["metadata"]["labels"] = {"by": "official"}
    created = apps.create_namespaced_deployment("default", body)
    assert created.metadata is not None
    assert created.metadata.uid
    assert ready.wait(60), seen
    scale = apps.patch_namespaced_deployment_scale("official", "default", {"spec": {"replicas": 2}})
    assert scale.spec is not None
    assert scale.spec.replicas == 2
    apps.delete_namespaced_deployment("official", "default", propagation_policy="Foreground")
    assert gone.wait(60), seen
    thread.join(10)
    assert seen[0][0] == "ADDED"
    assert seen[-1][0] == "DELETED"


def test_the_official_client_gets_typed_errors(cluster: Cluster) -> None:
    from kubernetes import client, config

    config.load_kube_config(str(cluster.kubeconfig))
    core = client.CoreV1Api()
    with pytest.raises(client.ApiException) as error:
        core.read_namespaced_pod("nobody", "default")
    assert (error.value.status, error.value.reason) == (404, "Not Found")
    misnamed: Any = {"metadata": {"name": "Not_Valid"}}
    with pytest.raises(client.ApiException) as error:
        core.create_namespaced_config_map("default", misnamed)
    assert error.value.status == 422


async def test_kr8s_creates_watches_and_deletes(cluster: Cluster) -> None:
    import kr8s.asyncio
    from kr8s.asyncio.objects import Deployment

    api = await kr8s.asyncio.api(kubeconfig=str(cluster.kubeconfig))
    created = await Deployment(deployment("with-kr8s"), api=api)
    await created.create()
    await created.wait("condition=Available", timeout=60)
    pods = [pod async for pod in api.get("pods", namespace="default", label_selector={"app": "with-kr8s"})]
    assert len(pods) == 1
    await created.scale(2)
    await created.delete(propagation_policy="Foreground")
    until("the end", lambda: not cluster.get("pods", "-l", "app=with-kr8s")["items"])
    assert not await created.exists()

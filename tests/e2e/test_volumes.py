"""Claims and volumes with real processes and directories, driven by kubectl.

Of [sig-apps]: `StatefulSet Non-retain StatefulSetPersistentVolumeClaimPolicy` (should delete PVCs with a
WhenDeleted policy, should delete PVCs with a OnScaledown policy) and `Basic StatefulSet functionality should provide
basic identity`, whose pods write to their claims.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Cluster, until
from tests.e2e.pods import pod, sh

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

Object = dict[str, Any]


def claim(name: str, size: str = "1Gi", **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **spec},
    }


def keeper(name: str, replicas: int = 2, **spec: Any) -> Object:
    """A StatefulSet whose pods add a line to a file of their claim each time they start."""
    main = sh("date >> data/starts; exec sleep 1000", volumeMounts=[{"name": "data", "mountPath": "/data"}])
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [main], "terminationGracePeriodSeconds": 1},
    }
    body = {
        "replicas": replicas,
        "serviceName": name,
        "selector": {"matchLabels": {"app": name}},
        "template": template,
        "volumeClaimTemplates": [claim("data")],
        **spec,
    }
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name}, "spec": body}


def ready(cluster: Cluster, name: str, replicas: int) -> None:
    def settled() -> bool:
        status = cluster.get("statefulset", name)["status"]
        return (status.get("replicas", 0), status.get("readyReplicas", 0)) == (replicas, replicas)

    until(f"{replicas} pods of {name}", settled)


def directory(cluster: Cluster, claim_name: str) -> Path:
    volume = cluster.get("pvc", claim_name)["spec"]["volumeName"]
    return Path(cluster.get("pv", volume)["spec"]["hostPath"]["path"])


def starts(cluster: Cluster, claim_name: str) -> int:
    return len((directory(cluster, claim_name) / "starts").read_text().splitlines())


def claims(cluster: Cluster, prefix: str) -> list[str]:
    names = [item["metadata"]["name"] for item in cluster.get("pvc")["items"]]
    return [name for name in names if name.startswith(prefix)]


def test_data_outlive_pods_scaling_and_the_set(cluster: Cluster) -> None:
    cluster.apply(keeper("db"))
    ready(cluster, "db", 2)
    uid = cluster.get("pod", "db-0")["metadata"]["uid"]
    cluster.kubectl("delete", "pod", "db-0")
    until("db-0 again", lambda: cluster.get("pod", "db-0")["metadata"]["uid"] != uid)
    ready(cluster, "db", 2)
    assert starts(cluster, "data-db-0") == 2
    cluster.kubectl("scale", "statefulset", "db", "--replicas", "0")
    ready(cluster, "db", 0)
    assert claims(cluster, "data-db") == ["data-db-0", "data-db-1"]
    cluster.kubectl("scale", "statefulset", "db", "--replicas", "2")
    ready(cluster, "db", 2)
    assert (starts(cluster, "data-db-0"), starts(cluster, "data-db-1")) == (3, 2)
    cluster.kubectl("delete", "statefulset", "db")
    assert claims(cluster, "data-db") == ["data-db-0", "data-db-1"]

    folder = directory(cluster, "data-db-1")
    cluster.kubectl("delete", "pvc", "data-db-0", "data-db-1")
    until("the directories go with their claims", lambda: not folder.exists())
    until("and the volumes", lambda: not cluster.get("pv")["items"])


def test_the_policy_deletes_what_it_says(cluster: Cluster) -> None:
    policy = {"whenScaled": "Delete", "whenDeleted": "Delete"}
    cluster.apply(keeper("cache", persistentVolumeClaimRetentionPolicy=policy))
    ready(cluster, "cache", 2)
    (owner,) = cluster.get("pvc", "data-cache-1")["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("StatefulSet", "cache", True)
    folder = directory(cluster, "data-cache-1")
    cluster.kubectl("scale", "statefulset", "cache", "--replicas", "1")
    until("the condemned pod's claim goes", lambda: claims(cluster, "data-cache") == ["data-cache-0"])
    until("with its directory", lambda: not folder.exists())
    cluster.kubectl("delete", "statefulset", "cache")
    until("all claims go with the set", lambda: not claims(cluster, "data-cache"))


def test_kubectl_shows_claims_volumes_and_classes(cluster: Cluster) -> None:
    cluster.apply(claim("lazy", storageClassName="standard"))
    waiting = until(
        "the claim says what it waits for",
        lambda: "waiting for first consumer" in (text := cluster.kubectl("describe", "pvc", "lazy").stdout) and text,
    )
    assert "WaitForFirstConsumer" in str(waiting)
    assert "Used By:       <none>" in str(waiting)
    mounted = sh("echo hi > data/x; exec sleep 1000", volumeMounts=[{"name": "v", "mountPath": "/data"}])
    user = pod("user", mounted, volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "lazy"}}])
    cluster.apply(user)
    until("the pod runs", lambda: cluster.get("pod", "user")["status"]["phase"] == "Running")
    bound = cluster.get("pvc", "lazy")
    volume = bound["spec"]["volumeName"]
    assert bound["metadata"]["annotations"]["volume.kubernetes.io/selected-node"].startswith("loopkube-")

    row = cluster.kubectl("get", "pvc", "lazy", "--no-headers").stdout.split()
    assert row[:7] == ["lazy", "Bound", volume, "1Gi", "RWO", "standard", "<unset>"]
    row = cluster.kubectl("get", "pv", volume, "--no-headers").stdout.split()
    assert row[:7] == [volume, "1Gi", "RWO", "Delete", "Bound", "default/lazy", "standard"]
    row = cluster.kubectl("get", "sc", "--no-headers").stdout.split()
    assert row[:6] == ["standard", "(default)", "loopkube.io/directory", "Delete", "WaitForFirstConsumer", "true"]
    text = cluster.kubectl("describe", "pvc", "lazy").stdout
    assert "Used By:       user" in text
    for reason in ("ExternalProvisioning", "Provisioning", "ProvisioningSucceeded"):
        assert reason in text
    assert "HostPath" in cluster.kubectl("describe", "pv", volume).stdout
    assert "VolumeBindingMode:     WaitForFirstConsumer" in cluster.kubectl("describe", "sc", "standard").stdout

    cluster.kubectl("patch", "pvc", "lazy", "-p", '{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}')
    until("it grows", lambda: cluster.get("pvc", "lazy")["status"]["capacity"]["storage"] == "2Gi")
    cluster.kubectl("delete", "pvc", "lazy", "--wait=false")
    row = cluster.kubectl("get", "pvc", "lazy", "--no-headers").stdout.split()
    assert row[1] == "Terminating"
    cluster.kubectl("delete", "pod", "user")
    until("a claim goes when its pod is gone", lambda: not claims(cluster, "lazy"))


def test_a_pod_says_why_its_volume_keeps_it_waiting(cluster: Cluster) -> None:
    mounted = sh("exec sleep 1000", volumeMounts=[{"name": "v", "mountPath": "/data"}])
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "missing"}}]
    cluster.apply(pod("unscheduled", mounted, volumes=volumes))
    cluster.apply(pod("placed", mounted, volumes=volumes, nodeName="loopkube-0"))
    said = 'persistentvolumeclaim "missing" not found'
    until("the scheduler says so", lambda: said in cluster.kubectl("describe", "pod", "unscheduled").stdout)
    said = 'failed to fetch PVC from API server: persistentvolumeclaims "missing" not found'
    until("the kubelet says so", lambda: said in cluster.kubectl("describe", "pod", "placed").stdout)
    disk = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "disk"}, "spec": {
        "capacity": {"storage": "5Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "by-hand",
        "hostPath": {"path": str(cluster.folder / "by-hand")},
    }}  # fmt: skip
    cluster.apply(disk, claim("missing", storageClassName="by-hand"))
    for name in ("unscheduled", "placed"):
        until(f"{name} runs", lambda name=name: cluster.get("pod", name)["status"]["phase"] == "Running")  # type: ignore[misc]
    assert cluster.get("pvc", "missing")["spec"]["volumeName"] == "disk"
    cluster.kubectl("delete", "pod", "unscheduled", "placed")
    cluster.kubectl("delete", "pvc", "missing")
    until("what was kept by hand is", lambda: cluster.get("pv", "disk")["status"]["phase"] == "Released")
    assert (cluster.folder / "by-hand").is_dir()
    cluster.kubectl("delete", "pv", "disk")


def test_a_scratch_volume_comes_and_goes_with_its_pod(cluster: Cluster) -> None:
    mounted = sh("echo hi > data/x; exec sleep 1000", volumeMounts=[{"name": "v", "mountPath": "/data"}])
    template = {"metadata": {"labels": {"of": "scratch"}}, "spec": claim("x")["spec"]}
    cluster.apply(pod("scratch", mounted, volumes=[{"name": "v", "ephemeral": {"volumeClaimTemplate": template}}]))
    until("the pod runs", lambda: cluster.get("pod", "scratch")["status"]["phase"] == "Running")
    folder = directory(cluster, "scratch-v")
    until("it writes", lambda: (folder / "x").exists())
    cluster.kubectl("delete", "pod", "scratch")
    until("its claim goes", lambda: not claims(cluster, "scratch-v"))
    until("and its directory", lambda: not folder.exists())

"""Defaults: what Kubernetes writes into the fields that a client left out."""

from __future__ import annotations

from typing import Any

import pytest

from control.api import kinds
from control.api.defaults.pod import pull_policy
from control.api.kinds import Kind
from control.api.objects import Object, copy_of
from control.api.rows import RESOURCES
from tests.fakes.manifests import container, cron_job, deployment, job, metadata, pod, pod_spec, service, workload


def defaulted(kind: Kind, obj: Object) -> Object:
    RESOURCES[kind].default(obj)
    return obj


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.29", "IfNotPresent"),
        ("host:5000/nginx", "Always"),
        ("host:5000/nginx:1", "IfNotPresent"),
        ("nginx@sha256:0", "IfNotPresent"),
        ("nginx:latest@sha256:0", "Always"),
    ],
)
def test_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


def test_a_minimal_pod() -> None:
    assert defaulted(kinds.POD, pod())["spec"] == {
        "containers": [
            {
                "name": "c",
                "image": "nginx:1.29",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "imagePullPolicy": "IfNotPresent",
            }
        ],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "enableServiceLinks": True,
    }


def test_templates_get_no_service_links_and_no_requests() -> None:
    limited = container(resources={"limits": {"cpu": "1"}})
    spec = defaulted(kinds.DEPLOYMENT, deployment(template={"spec": pod_spec(containers=[limited])}))
    found = spec["spec"]["template"]["spec"]
    assert "enableServiceLinks" not in found
    assert found["containers"][0]["resources"] == {"limits": {"cpu": "1"}}


def test_pods_request_what_they_limit() -> None:
    limited = container(resources={"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}})
    found = defaulted(kinds.POD, pod(pod_spec(containers=[limited])))["spec"]["containers"][0]
    assert found["resources"]["requests"] == {"cpu": "500m", "memory": "1Gi"}


def test_probes_and_handlers() -> None:
    probe = {"httpGet": {"port": 80}, "periodSeconds": 3}
    hook = {"preStop": {"httpGet": {"port": 80}}}
    own = container(readinessProbe=probe, livenessProbe={"grpc": {"port": 1}}, lifecycle=hook)
    found = defaulted(kinds.POD, pod(pod_spec(containers=[own])))["spec"]["containers"][0]
    assert found["readinessProbe"] == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "periodSeconds": 3,
        "timeoutSeconds": 1,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert found["livenessProbe"]["grpc"] == {"port": 1, "service": ""}
    assert found["lifecycle"]["preStop"]["httpGet"] == {"port": 80, "path": "/", "scheme": "HTTP"}


def test_ports_variables_and_the_old_account_name() -> None:
    own = container(ports=[{"containerPort": 80}], env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}])
    found = defaulted(kinds.POD, pod(pod_spec(containers=[own], serviceAccount="robot", hostNetwork=True)))["spec"]
    assert found["containers"][0]["ports"] == [{"containerPort": 80, "protocol": "TCP", "hostPort": 80}]
    assert found["containers"][0]["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"
    assert found["serviceAccountName"] == found["serviceAccount"] == "robot"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"emptyDir": {}}),
        ({"secret": {"secretName": "s"}}, {"secret": {"secretName": "s", "defaultMode": 420}}),
        ({"configMap": {"name": "c", "defaultMode": 256}}, {"configMap": {"name": "c", "defaultMode": 256}}),
        ({"hostPath": {"path": "/"}}, {"hostPath": {"path": "/", "type": ""}}),
        (
            {"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
            {
                "projected": {
                    "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}],
                    "defaultMode": 420,
                }
            },
        ),
    ],
)
def test_volumes(given: Object, expected: Object) -> None:
    found = defaulted(kinds.POD, pod(pod_spec(volumes=[{"name": "v", **given}])))
    assert found["spec"]["volumes"] == [{"name": "v", **expected}]


def test_deployments() -> None:
    found = defaulted(kinds.DEPLOYMENT, deployment())["spec"]
    assert found["replicas"] == 1
    assert found["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}
    assert (found["revisionHistoryLimit"], found["progressDeadlineSeconds"]) == (10, 600)
    recreate = defaulted(kinds.DEPLOYMENT, deployment(strategy={"type": "Recreate"}, replicas=0))["spec"]
    assert recreate["strategy"] == {"type": "Recreate"}
    assert recreate["replicas"] == 0


def test_other_workloads() -> None:
    stateful = defaulted(kinds.STATEFUL_SET, workload("StatefulSet"))["spec"]
    assert stateful["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    assert stateful["podManagementPolicy"] == "OrderedReady"
    daemon = defaulted(kinds.DAEMON_SET, workload("DaemonSet"))["spec"]
    assert daemon["updateStrategy"]["rollingUpdate"] == {"maxUnavailable": 1, "maxSurge": 0}
    controller = workload("ReplicationController", "v1")
    del controller["spec"]["selector"]
    defaulted(kinds.REPLICATION_CONTROLLER, controller)
    assert controller["spec"]["selector"] == controller["metadata"]["labels"] == {"app": "web"}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, {"completions": 1, "parallelism": 1, "backoffLimit": 6, "podReplacementPolicy": "TerminatingOrFailed"}),
        ({"completions": 3}, {"completions": 3, "parallelism": 1}),
        ({"backoffLimitPerIndex": 1}, {"backoffLimit": 2**31 - 1}),
        ({"podFailurePolicy": {"rules": []}}, {"podReplacementPolicy": "Failed"}),
    ],
)
def test_jobs(spec: Object, expected: Object) -> None:
    found = defaulted(kinds.JOB, job(**spec))["spec"]
    assert {key: found[key] for key in expected} == expected
    assert (found["completionMode"], found["suspend"]) == ("NonIndexed", False)


def test_a_job_of_parallel_workers_has_no_completions() -> None:
    assert "completions" not in defaulted(kinds.JOB, job(parallelism=2))["spec"]


def test_cron_jobs_default_their_pods_but_not_their_jobs() -> None:
    found = defaulted(kinds.CRON_JOB, cron_job())["spec"]
    assert found["concurrencyPolicy"] == "Allow"
    assert (found["successfulJobsHistoryLimit"], found["failedJobsHistoryLimit"]) == (3, 1)
    assert "backoffLimit" not in found["jobTemplate"]["spec"]
    assert found["jobTemplate"]["spec"]["template"]["spec"]["dnsPolicy"] == "ClusterFirst"


@pytest.mark.parametrize(
    ("given", "expected", "absent"),
    [
        (
            {},
            {"type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster"},
            {"externalTrafficPolicy", "allocateLoadBalancerNodePorts"},
        ),
        ({"type": "NodePort"}, {"externalTrafficPolicy": "Cluster"}, {"allocateLoadBalancerNodePorts"}),
        ({"type": "LoadBalancer"}, {"allocateLoadBalancerNodePorts": True}, set()),
        ({"externalIPs": ["192.0.2.1"]}, {"externalTrafficPolicy": "Cluster"}, set()),
        ({"type": "ExternalName"}, {}, {"internalTrafficPolicy", "externalTrafficPolicy"}),
        ({"sessionAffinity": "ClientIP"}, {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}}}, set()),
    ],
)
def test_services(given: Object, expected: Object, absent: set[str]) -> None:
    found = defaulted(kinds.SERVICE, service(**given))["spec"]
    assert {key: found[key] for key in expected} == expected
    assert not absent & found.keys()
    assert found["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]


def test_a_named_target_port_stays() -> None:
    found = defaulted(kinds.SERVICE, service(ports=[{"port": 80, "targetPort": "http"}]))
    assert found["spec"]["ports"][0]["targetPort"] == "http"


def test_secrets_fold_their_string_data() -> None:
    secret: Object = {"metadata": metadata(), "data": {"a": "MQ==", "b": "Mg=="}, "stringData": {"b": "three"}}
    defaulted(kinds.SECRET, secret)
    assert (secret["type"], secret["data"]) == ("Opaque", {"a": "MQ==", "b": "dGhyZWU="})
    assert "stringData" not in secret


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        (
            kinds.NAMESPACE,
            {"metadata": {"name": "n"}},
            {"metadata": {"name": "n", "labels": {"kubernetes.io/metadata.name": "n"}}},
        ),
        (
            kinds.NODE,
            {"status": {"capacity": {"cpu": "2"}}},
            {"status": {"capacity": {"cpu": "2"}, "allocatable": {"cpu": "2"}}},
        ),
        (
            kinds.ENDPOINTS,
            {"subsets": [{"ports": [{"port": 1}]}]},
            {"subsets": [{"ports": [{"port": 1, "protocol": "TCP"}]}]},
        ),
        (
            kinds.ENDPOINT_SLICE,
            {"ports": [{"port": 1}], "endpoints": [{"addresses": []}]},
            {"ports": [{"port": 1, "name": "", "protocol": "TCP"}], "endpoints": [{"addresses": [], "conditions": {}}]},
        ),
        (
            kinds.INGRESS_CLASS,
            {"spec": {"parameters": {"name": "p"}}},
            {"spec": {"parameters": {"name": "p", "scope": "Cluster"}}},
        ),
        (kinds.PRIORITY_CLASS, {"value": 1}, {"value": 1, "preemptionPolicy": "PreemptLowerPriority"}),
        (kinds.CONFIG_MAP, {"data": {}}, {"data": {}}),
    ],
    ids=lambda each: each.kind if isinstance(each, Kind) else "",
)
def test_small_kinds(kind: Kind, given: Any, expected: Any) -> None:
    assert defaulted(kind, copy_of(given)) == expected

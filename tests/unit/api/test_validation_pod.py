"""Validation of pods: containers, probes, volumes, placement, and updates."""

from __future__ import annotations

from typing import Any

import pytest

from control.api import kinds
from control.api.objects import Object, copy_of
from tests.fakes.manifests import container, deployment, metadata, pod, pod_spec
from tests.fakes.validated import complaints, update_complaints

C = "spec.containers[0]"
POD_UPDATE = (
    "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
    "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"
)


def in_container(**fields: Any) -> list[str]:
    volumes = [{"name": "v", "emptyDir": {}}]
    return complaints(kinds.POD, pod(pod_spec(containers=[container(**fields)], volumes=volumes)))


def in_spec(**fields: Any) -> list[str]:
    return complaints(kinds.POD, pod(pod_spec(**fields)))


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({"name": ""}, [f"{C}.name: Required value"]),
        ({"image": ""}, [f"{C}.image: Required value"]),
        ({"image": " a:1"}, [f'{C}.image: Invalid value: " a:1": must not have leading or trailing whitespace']),
        ({"imagePullPolicy": "Often"}, [f'{C}.imagePullPolicy: Unsupported value: "Often": supported values: "Always", '
                                        '"IfNotPresent", "Never"']),
        ({"ports": [{"containerPort": 0}]}, [f"{C}.ports[0].containerPort: Required value"]),
        ({"ports": [{"containerPort": 70000}]}, [f"{C}.ports[0].containerPort: Invalid value: 70000: must be between 1 "
                                                 "and 65535, inclusive"]),
        ({"ports": [{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]},
         [f'{C}.ports[1].name: Duplicate value: "a"']),
        ({"ports": [{"containerPort": 1, "hostPort": 9}, {"containerPort": 2, "hostPort": 9}]},
         [f'{C}.ports[1].hostPort: Duplicate value: "TCP//9"']),
        ({"ports": [{"containerPort": 1, "protocol": "ICMP"}]}, [f'{C}.ports[0].protocol: Unsupported value: "ICMP": '
                                                                'supported values: "SCTP", "TCP", "UDP"']),
        ({"env": [{"name": ""}]}, [f"{C}.env[0].name: Required value"]),
        ({"env": [{"name": "A", "valueFrom": {}}]}, [f'{C}.env[0].valueFrom: Invalid value: "": must specify one of: '
                                                     "`fieldRef`, `resourceFieldRef`, `configMapKeyRef` or "
                                                     "`secretKeyRef`"]),
        ({"env": [{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
         [f'{C}.env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty']),
        ({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}}]}, []),
        ({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s"}}}]},
         [f"{C}.env[0].valueFrom.secretKeyRef.key: Required value"]),
        ({"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "3"}}}]},
         [f'{C}.env[0].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.cpu": only divisor\'s values '
          '1m and 1 '
          "are supported with the cpu resource"]),
        ({"envFrom": [{}]}, [f'{C}.envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`']),
        ({"volumeMounts": [{"name": "w", "mountPath": "/a"}]}, [f'{C}.volumeMounts[0].name: Not found: "w"']),
        ({"volumeMounts": [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/a"}]},
         [f'{C}.volumeMounts[1].mountPath: Invalid value: "/a": must be unique']),
        ({"volumeMounts": [{"name": "v", "mountPath": "/a", "subPath": "../b"}]},
         [f"{C}.volumeMounts.subPath: Invalid value: \"../b\": must not contain '..'"]),
        ({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}},
         [f'{C}.resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1']),
        ({"resources": {"limits": {"memory": "-1"}, "requests": {"memory": "-1"}}},
         [f'{C}.resources.limits[memory]: Invalid value: "-1": must be greater than or equal to 0',
          f'{C}.resources.requests[memory]: Invalid value: "-1": must be greater than or equal to 0']),
        ({"resources": {"requests": {"example.com/gpu": "1"}}},
         [f"{C}.resources.limits: Required value: Limit must be set for non overcommitable resources"]),
        ({"resources": {"limits": {"disk": "1"}, "requests": {}}}, [
            f'{C}.resources.limits: Invalid value: "disk": must be a standard resource type or fully qualified',
            f'{C}.resources.limits: Invalid value: "disk": must be a standard resource for containers',
            f'{C}.resources.requests: Invalid value: "disk": must be a standard resource type or fully qualified',
            f'{C}.resources.requests: Invalid value: "disk": must be a standard resource for containers']),
        ({"securityContext": {"runAsUser": -1}},
         [f"{C}.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive"]),
        ({"terminationMessagePolicy": "Shout"}, [f'{C}.terminationMessagePolicy: Unsupported value: "Shout": supported '
                                                 'values: "File", "FallbackToLogsOnError"']),
    ],
)  # fmt: skip
def test_containers(fields: Object, faults: list[str]) -> None:
    assert in_container(**fields) == faults


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({"livenessProbe": {}}, [f"{C}.livenessProbe: Required value: must specify a handler type"]),
        ({"livenessProbe": {"exec": {}}}, [f"{C}.livenessProbe.exec.command: Required value"]),
        ({"livenessProbe": {"tcpSocket": {"port": 80}, "successThreshold": 2}},
         [f"{C}.livenessProbe.successThreshold: Invalid value: 2: must be 1"]),
        ({"readinessProbe": {"tcpSocket": {"port": 80}, "successThreshold": 2}}, []),
        ({"readinessProbe": {"tcpSocket": {"port": 80}, "terminationGracePeriodSeconds": 1}},
         [f"{C}.readinessProbe.terminationGracePeriodSeconds: Invalid value: 1: must not be set for readinessProbes"]),
        ({"startupProbe": {"tcpSocket": {"port": 80}, "periodSeconds": -1}},
         [f"{C}.startupProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0"]),
        ({"readinessProbe": {"httpGet": {"port": 0}}},
         [f"{C}.readinessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive"]),
        ({"readinessProbe": {"httpGet": {"port": 80, "scheme": "GOPHER"}}},
         [f'{C}.readinessProbe.httpGet.scheme: Unsupported value: "GOPHER": supported values: "HTTP", "HTTPS"']),
        ({"readinessProbe": {"httpGet": {"port": "http"}, "exec": {"command": ["x"]}}},
         [f"{C}.readinessProbe.httpGet: Forbidden: may not specify more than 1 handler type"]),
        ({"lifecycle": {"preStop": {"sleep": {"seconds": 31}}}},
         [f"{C}.lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than "
          "terminationGracePeriodSeconds (30)"]),
        ({"lifecycle": {"preStop": {"sleep": {"seconds": 0}}}}, []),
    ],
)  # fmt: skip
def test_probes_and_hooks(fields: Object, faults: list[str]) -> None:
    assert in_container(**fields) == faults


def test_names_are_unique_over_all_containers() -> None:
    spec = pod_spec(containers=[container("a"), container("a")], initContainers=[container("a")])
    assert complaints(kinds.POD, pod(spec)) == [
        'spec.containers[1].name: Duplicate value: "a"',
        'spec.initContainers[0].name: Duplicate value: "a"',
    ]


def test_init_containers_have_no_probes_unless_they_are_sidecars() -> None:
    init = container("i", readinessProbe={"tcpSocket": {"port": 1}})
    assert in_spec(initContainers=[init]) == [
        "spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers without "
        "restartPolicy=Always"
    ]
    assert in_spec(initContainers=[{**init, "restartPolicy": "Always"}]) == []


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({"containers": []}, ["spec.containers: Required value"]),
        ({"restartPolicy": "Maybe"}, ['spec.restartPolicy: Unsupported value: "Maybe": supported values: "Always", '
                                      '"OnFailure", "Never"']),
        ({"dnsPolicy": "None"}, ["spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"]),
        ({"activeDeadlineSeconds": 0},
         ["spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"]),
        ({"hostname": "a.b"}, ['spec.hostname: Invalid value: "a.b": must not contain dots']),
        ({"tolerations": [{"operator": "Equal"}]}, ['spec.tolerations[0].operator: Invalid value: "Equal": '
                                                    'operator must '
                                                    'be Exists when `key` is empty, which means "match all values and '
                                                    'all keys"']),
        ({"tolerations": [{"key": "a", "tolerationSeconds": 1}]}, ['spec.tolerations[0].effect: Invalid value: "": '
                                                                   "effect must be 'NoExecute' when "
                                                                   "`tolerationSeconds` "
                                                                   "is set"]),
        ({"preemptionPolicy": "Always"}, ['spec.preemptionPolicy: Unsupported value: "Always": supported values: '
                                          '"PreemptLowerPriority", "Never"']),
        ({"volumes": [{"name": "a", "emptyDir": {}, "secret": {"secretName": "s"}}]},
         ["spec.volumes[0].secret: Forbidden: may not specify more than 1 volume type"]),
        ({"volumes": [{"name": "a"}, {"name": "a"}]}, ['spec.volumes[1].name: Duplicate value: "a"']),
        ({"volumes": [{"name": "a", "configMap": {}}]}, ["spec.volumes[0].configMap.name: Required value"]),
        ({"volumes": [{"name": "a", "nfs": {"server": "x"}}]}, ["spec.volumes[0].nfs.path: Required value"]),
        ({"volumes": [{"name": "a", "secret": {"secretName": "s", "defaultMode": 512}}]},
         ["spec.volumes[0].secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both "
          "inclusive"]),
        ({"volumes": [{"name": "a", "configMap": {"name": "c", "items": [{"key": "k", "path": "/abs"}]}}]},
         ['spec.volumes[0].configMap.items[0].path: Invalid value: "/abs": must be a relative path']),
        ({"topologySpreadConstraints": [{"maxSkew": 0, "topologyKey": "k", "whenUnsatisfiable": "DoNotSchedule"}]},
         ["spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero"]),
        ({"schedulingGates": [{"name": "a"}, {"name": "a"}]}, ['spec.schedulingGates[1]: Duplicate value: "a"']),
        ({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}},
         ["spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: "
          "Required value: "
          "must have at least one node selector term"]),
        ({"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{}]}}},
         ["spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Required "
          "value: can "
          "not be empty"]),
        ({"securityContext": {"fsGroup": -1}},
         ["spec.securityContext.fsGroup: Invalid value: -1: must be between 0 and 2147483647, inclusive"]),
        ({"hostAliases": [{"ip": "x"}]}, ['spec.hostAliases[0].ip: Invalid value: "x": must be a valid IP '
                                          'address, (e.g. '
                                          "10.9.8.7 or 2001:db8::ffff)"]),
        ({"os": {"name": "plan9"}}, ['spec.os.name: Unsupported value: "plan9": supported values: "linux", "windows"']),
    ],
)  # fmt: skip
def test_pod_specs(fields: Object, faults: list[str]) -> None:
    assert in_spec(**fields) == faults


def test_host_ports_follow_container_ports_on_the_host_network() -> None:
    spec = pod_spec(hostNetwork=True, containers=[container(ports=[{"containerPort": 80, "hostPort": 81}])])
    why = "hostPort: Invalid value: 81: must match `containerPort` when `hostNetwork` is true"
    assert complaints(kinds.POD, pod(spec)) == [f"spec.containers[0].ports[0].{why}"]


def test_templates_may_have_spaces_around_images_but_no_ephemeral_containers() -> None:
    spec = pod_spec(containers=[container(image=" ")], ephemeralContainers=[container("e")])
    obj = deployment()
    obj["spec"]["template"]["spec"] = spec
    assert complaints(kinds.DEPLOYMENT, obj) == [
        "spec.template.spec.ephemeralContainers: Forbidden: ephemeral containers not allowed in pod template"
    ]


def test_a_deletion_cost_is_a_number() -> None:
    obj = pod(annotations={"controller.kubernetes.io/pod-deletion-cost": "cheap"})
    (fault,) = complaints(kinds.POD, obj)
    assert fault.endswith('Invalid value: "cheap": must be a 32bit integer')


# --- updates ------------------------------------------------------------------------------------------------------


def change(**fields: Any) -> list[str]:
    """The faults of changing a pod with a deadline of 100 s and one toleration."""
    old = pod(pod_spec(activeDeadlineSeconds=100, tolerations=[{"key": "a", "operator": "Exists"}]))
    new = copy_of(old)
    new["spec"] |= fields
    return update_complaints(kinds.POD, new, old)


def test_what_may_change() -> None:
    assert change(containers=[container(image="nginx:1.30")]) == []
    assert change(activeDeadlineSeconds=50) == []
    assert change(tolerations=[{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "Exists"}]) == []


def test_what_may_not_change() -> None:
    assert change(nodeName="n") == [POD_UPDATE + '+ spec.nodeName: "n"']
    assert change(containers=[container(args=["x"])]) == [POD_UPDATE + '+ spec.containers[0].args: ["x"]']
    assert change(containers=[container(), container("d")]) == [
        "spec.containers: Forbidden: pod updates may not add or remove containers"
    ]
    assert change(activeDeadlineSeconds=101) == [
        "spec.activeDeadlineSeconds: Invalid value: 101: must be less than or equal to previous value"
    ]
    assert change(tolerations=[]) == [
        "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"
    ]


def test_gated_pods() -> None:
    old = pod(pod_spec(schedulingGates=[{"name": "g"}], nodeSelector={"a": "b"}))
    narrower = copy_of(old)
    narrower["spec"]["nodeSelector"] = {"a": "b", "c": "d"}
    assert update_complaints(kinds.POD, narrower, old) == []
    freed = copy_of(old)
    del freed["spec"]["schedulingGates"]
    assert update_complaints(kinds.POD, freed, old) == []
    assert update_complaints(kinds.POD, old, freed) == [
        "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'g'"
    ]


def status(state: str, policy: str, code: int = 0, qos: str = "BestEffort") -> Object:
    inner = {"terminated": {"exitCode": code}} if state == "terminated" else {"running": {}}
    found = {"qosClass": qos, "containerStatuses": [{"name": "c", "state": inner}]}
    return {"metadata": metadata(), "spec": pod_spec(restartPolicy=policy), "status": found}


@pytest.mark.parametrize(
    ("policy", "code", "forbidden"),
    [("Never", 0, True), ("OnFailure", 0, True), ("OnFailure", 1, False), ("Always", 0, False)],
)  # fmt: skip
def test_an_ended_container_stays_ended(policy: str, code: int, forbidden: bool) -> None:
    old, new = status("terminated", policy, code), status("running", policy)
    expected = "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"
    assert update_complaints(kinds.POD, new, old, status=True) == ([expected] if forbidden else [])


def test_the_class_of_a_pod_does_not_change() -> None:
    old, new = status("running", "Always"), status("running", "Always", qos="Guaranteed")
    assert update_complaints(kinds.POD, new, old, status=True) == [
        'status.qosClass: Invalid value: "Guaranteed": field is immutable'
    ]

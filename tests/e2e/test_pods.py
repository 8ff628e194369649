"""What a container is given and what becomes of it: environment, command line, exit codes, restarts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Cluster, until
from tests.e2e.pods import Document, Pods, config_map, namespace, pod, sh

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
ONCE = {"restartPolicy": "Never"}
PRINT = "env | sort"


def from_map(name: str, key: str, *, optional: bool = False) -> Document:
    return {"valueFrom": {"configMapKeyRef": {"name": name, "key": key, "optional": optional}}}


def from_secret(name: str, key: str) -> Document:
    return {"valueFrom": {"secretKeyRef": {"name": name, "key": key}}}


def field(path: str) -> Document:
    return {"valueFrom": {"fieldRef": {"fieldPath": path}}}


def resource(name: str, **more: str) -> Document:
    return {"valueFrom": {"resourceFieldRef": {"resource": name, **more}}}


def variables(**values: Any) -> list[Document]:
    return [
        {"name": name, **(value if isinstance(value, dict) else {"value": value})} for name, value in values.items()
    ]


@pytest.fixture(scope="module")
def pods(cluster: Cluster) -> Iterator[Pods]:
    """All pods of this module start at once; each test looks at its own."""
    with namespace(cluster, "containers") as pods:
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "s"},
            "stringData": {"k": "hush", "w": "x"},
        }
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "my-db"},
            "spec": {"selector": {"app": "db"}, "ports": [{"name": "sql", "port": 5432}, {"name": "web", "port": 80}]},
        }
        pods.apply(config_map("c", k="value", other="two"), secret, service)
        described = pod("described", sh(PRINT, env=described_env(), resources=RESOURCES), **ONCE)
        described["metadata"]["labels"]["tier"] = "back"
        described["metadata"]["annotations"] = {"note": "a b"}
        pods.apply(
            pod("env", sh(PRINT, env=literal_env(), envFrom=sources()), **ONCE),
            described,
            pod("unlinked", sh(PRINT), enableServiceLinks=False, **ONCE),
            pod("no-map", sh(PRINT, env=variables(A=from_map("later", "k"))), **ONCE),
            pod("no-key", sh(PRINT, env=variables(A=from_map("c", "absent"))), **ONCE),
            pod("no-secret", sh(PRINT, envFrom=[{"secretRef": {"name": "later-secret"}}]), **ONCE),
            pod("optional", sh(PRINT, env=variables(A=from_map("nowhere", "k", optional=True))), **ONCE),
            pod("args", {"image": "busybox", "command": ["echo"], "args": ["$(A)", "$$(A)", "$(B)"],
                         "env": variables(A="a b")}, **ONCE),
            pod("image-args", {"image": "busybox", "args": ["echo", "no command"]}, **ONCE),
            pod("directory", sh("pwd", workingDir="/usr"), **ONCE),
            pod("own-directory", sh("pwd; echo kept > file; cat file"), **ONCE),
            pod("new-directory", sh("pwd; touch here", workingDir="/not/on/this/machine"), **ONCE),
            pod("no-such-program", {"image": "busybox", "command": ["/no/such/program"]}, **ONCE),
            pod("not-in-path", {"image": "busybox", "command": ["no-such-program"]}, **ONCE),
            pod("not-executable", {"image": "busybox", "command": ["/etc/passwd"]}, **ONCE),
            pod("succeeds", sh("exit 0"), **ONCE),
            pod("fails", sh("echo no >&2; exit 3"), **ONCE),
            pod("killed", sh("kill -9 $$$$"), **ONCE),  # Kubernetes makes $$ of it
            pod("segfaults", sh("kill -SEGV $$$$"), **ONCE),
            pod("one-fails", sh("exit 0"), {**sh("exit 1"), "name": "second"}, **ONCE),
            pod("one-stays", sh("exit 0"), {**sh("exec sleep 600"), "name": "second"}, **ONCE),
            pod("on-failure-ok", sh("exit 0"), restartPolicy="OnFailure"),
            pod("on-failure-once", sh("test -e again || { touch again; exit 5; }"), restartPolicy="OnFailure"),
            pod("on-failure", sh("exit 7"), restartPolicy="OnFailure"),
            pod("always", sh("exit 0")),
            pod("always-fails", sh("echo attempt; exit 1")),
            pod("message", sh("printf 'the reason' > dev/termination-log; exit 1"), **ONCE),
            pod("log-message", sh("echo last words; exit 1", terminationMessagePolicy="FallbackToLogsOnError"), **ONCE),
        )  # fmt: skip
        yield pods


RESOURCES = {"limits": {"cpu": "1500m", "memory": "64Mi"}, "requests": {"cpu": "250m", "memory": "32Mi"}}


def literal_env() -> list[Document]:
    return variables(
        A="1",
        B="$(A)/$(PREFIX_k)/$(LATER)/$$(A)",
        LATER="x",
        HOST="$(MY_DB_SERVICE_HOST)",
        KEY=from_map("c", "k"),
        SECRET=from_secret("s", "k"),
        other="mine",
        EMPTY="",
    )


def sources() -> list[Document]:
    return [
        {"configMapRef": {"name": "c"}},
        {"prefix": "PREFIX_", "configMapRef": {"name": "c"}},
        {"prefix": "S_", "secretRef": {"name": "s"}},
        {"configMapRef": {"name": "nowhere", "optional": True}},
    ]


def described_env() -> list[Document]:
    return variables(
        NAME=field("metadata.name"),
        NAMESPACE=field("metadata.namespace"),
        UID=field("metadata.uid"),
        LABEL=field("metadata.labels['tier']"),
        ANNOTATION=field("metadata.annotations['note']"),
        NODE=field("spec.nodeName"),
        ACCOUNT=field("spec.serviceAccountName"),
        IP=field("status.podIP"),
        IPS=field("status.podIPs"),
        HOST_IP=field("status.hostIP"),
        CPU=resource("limits.cpu"),
        CPU_M=resource("requests.cpu", divisor="1m"),
        MEMORY=resource("limits.memory", divisor="1Mi"),
        MEMORY_B=resource("requests.memory"),
    )


def environment(pods: Pods, name: str) -> dict[str, str]:
    pods.until_phase(name, "Succeeded")
    return dict(line.split("=", 1) for line in pods.logs(name).splitlines())


def test_literals_references_and_sources(pods: Pods) -> None:
    env = environment(pods, "env")
    assert env["B"] == "1/value/$(LATER)/$(A)"  # only what was defined before; $$ is $
    assert (env["KEY"], env["SECRET"], env["EMPTY"]) == ("value", "hush", "")
    assert (env["k"], env["PREFIX_k"], env["PREFIX_other"], env["S_k"]) == ("value", "value", "two", "hush")
    assert env["other"] == "mine"  # env wins over envFrom
    assert env["HOSTNAME"] == "env"


def test_service_variables(pods: Pods, cluster: Cluster) -> None:
    env = environment(pods, "env")
    address = cluster.get("service", "my-db", "-n", pods.namespace)["spec"]["clusterIP"]
    assert env["HOST"] == env["MY_DB_SERVICE_HOST"] == address
    assert (env["MY_DB_SERVICE_PORT"], env["MY_DB_SERVICE_PORT_WEB"]) == ("5432", "80")
    assert env["MY_DB_PORT"] == env["MY_DB_PORT_5432_TCP"] == f"tcp://{address}:5432"
    assert env["MY_DB_PORT_80_TCP_ADDR"] == address
    assert env["KUBERNETES_SERVICE_HOST"]
    unlinked = environment(pods, "unlinked")
    assert "MY_DB_SERVICE_HOST" not in unlinked
    assert unlinked["KUBERNETES_SERVICE_HOST"] == env["KUBERNETES_SERVICE_HOST"]
    assert unlinked["KUBERNETES_SERVICE_PORT_HTTPS"] == unlinked["KUBERNETES_SERVICE_PORT"] == "443"


def test_downward_api(pods: Pods) -> None:
    env = environment(pods, "described")
    found = pods.get("described")
    status = found["status"]
    assert (env["NAME"], env["NAMESPACE"], env["UID"]) == ("described", "containers", found["metadata"]["uid"])
    assert (env["LABEL"], env["ANNOTATION"], env["ACCOUNT"]) == ("back", "a b", "default")
    assert (env["NODE"], env["IP"], env["HOST_IP"]) == (found["spec"]["nodeName"], status["podIP"], status["hostIP"])
    assert env["IPS"] == env["POD_IP"] == status["podIP"]
    assert (env["CPU"], env["CPU_M"], env["MEMORY"], env["MEMORY_B"]) == ("2", "250", "64", str(32 << 20))


def test_a_missing_config_map_delays_the_container_until_it_comes(pods: Pods) -> None:
    said = pods.until_state("no-map", "CreateContainerConfigError")
    assert said["state"]["waiting"]["message"] == 'configmap "later" not found'
    assert pods.phase("no-map") == "Pending"
    assert pods.until_event("no-map", "Failed") == 'Error: configmap "later" not found'
    pods.apply(config_map("later", k="came"))
    assert environment(pods, "no-map")["A"] == "came"


def test_a_missing_key_and_a_missing_secret(pods: Pods) -> None:
    said = pods.until_state("no-key", "CreateContainerConfigError")
    assert said["state"]["waiting"]["message"] == "couldn't find key absent in ConfigMap containers/c"
    said = pods.until_state("no-secret", "CreateContainerConfigError")
    assert said["state"]["waiting"]["message"] == 'secret "later-secret" not found'
    pods.kubectl("create", "secret", "generic", "later-secret", "--from-literal=FROM=secret")
    assert environment(pods, "no-secret")["FROM"] == "secret"
    pods.apply(config_map("c", k="value", other="two", absent="now"))
    assert environment(pods, "no-key")["A"] == "now"


def test_optional_references_leave_variables_out(pods: Pods) -> None:
    assert "A" not in environment(pods, "optional")


def test_command_and_args(pods: Pods) -> None:
    pods.until_phase("args", "Succeeded")
    assert pods.logs("args") == "a b $(A) $(B)\n"
    pods.until_phase("image-args", "Succeeded")
    assert pods.logs("image-args") == "no command\n"


def test_working_directory(pods: Pods) -> None:
    for name in ("directory", "own-directory", "new-directory"):
        pods.until_phase(name, "Succeeded")
    assert pods.logs("directory") == "/usr\n"
    own, kept = pods.logs("own-directory").splitlines()
    assert own.startswith(str(pods.cluster.folder))
    assert kept == "kept"
    assert pods.logs("new-directory").strip().endswith("/main/not/on/this/machine")


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("no-such-program", 127, 'exec: "/no/such/program": no such file or directory'),
        ("not-in-path", 127, 'exec: "no-such-program": executable file not found in $PATH'),
        ("not-executable", 126, 'exec: "/etc/passwd": permission denied'),
    ],
)
def test_programs_that_cannot_start(pods: Pods, name: str, code: int, message: str) -> None:
    pods.until_phase(name, "Failed")
    ended = pods.container(name)["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (code, "StartError")
    assert message in ended["message"]
    assert message in pods.until_event(name, "Failed")


@pytest.mark.parametrize(
    ("name", "phase", "code", "reason"),
    [
        ("succeeds", "Succeeded", 0, "Completed"),
        ("fails", "Failed", 3, "Error"),
        ("killed", "Failed", 137, "Error"),
        ("segfaults", "Failed", 139, "Error"),
        ("one-fails", "Failed", 0, "Completed"),
        ("on-failure-ok", "Succeeded", 0, "Completed"),
    ],
)
def test_exit_codes(pods: Pods, name: str, phase: str, code: int, reason: str) -> None:
    found = pods.until_phase(name, phase)
    ended = pods.container(name)["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (code, reason)
    assert ended["finishedAt"] >= ended["startedAt"]
    assert re.fullmatch(r"loopkube://[0-9a-f]{64}", ended["containerID"])
    assert pods.container(name)["restartCount"] == 0
    conditions = {c["type"]: (c["status"], c.get("reason")) for c in found["status"]["conditions"]}
    assert conditions["Ready"] == ("False", "PodCompleted" if phase == "Succeeded" else "PodFailed")
    assert conditions["PodScheduled"] == ("True", None)
    assert conditions["PodReadyToStartContainers"][0] == "False"


def test_a_pod_of_which_one_container_stays_runs(pods: Pods) -> None:
    pods.until_state("one-stays", "terminated")
    pods.until_state("one-stays", "running", "second")
    assert pods.phase("one-stays") == "Running"
    ready = pods.condition("one-stays", "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ContainersNotReady")
    assert ready["message"] == "containers with unready status: [main]"


def test_on_failure_restarts_until_success(pods: Pods) -> None:
    pods.until_phase("on-failure-once", "Succeeded")
    said = pods.container("on-failure-once")
    assert said["restartCount"] == 1
    assert said["lastState"]["terminated"]["exitCode"] == 5


@pytest.mark.parametrize(("name", "code"), [("on-failure", 7), ("always", 0), ("always-fails", 1)])
def test_crash_loop_back_off(pods: Pods, name: str, code: int) -> None:
    said = pods.until_state(name, "CrashLoopBackOff")
    uid = pods.get(name)["metadata"]["uid"]
    message = said["state"]["waiting"]["message"]
    assert re.fullmatch(rf"back-off [12]0s restarting failed container=main pod={name}_containers\({uid}\)", message)
    assert said["lastState"]["terminated"]["exitCode"] == code
    assert said["restartCount"] >= 1  # the first restart does not wait
    assert pods.phase(name) == "Running"
    pods.until_event(name, "BackOff", f"Back-off restarting failed container main in pod {name}_containers({uid})")
    again = pods.until_restarts(name, 2)
    first, second = (again["lastState"]["terminated"]["finishedAt"], said["lastState"]["terminated"]["finishedAt"])
    assert first >= second


def test_back_off_grows(pods: Pods) -> None:
    pods.until_restarts("always-fails", 2)
    said = pods.until_state("always-fails", "CrashLoopBackOff")
    assert said["state"]["waiting"]["message"].startswith("back-off 20s restarting")
    row = pods.kubectl("get", "pod", "always-fails").splitlines()[1].split()
    assert row[:3] == ["always-fails", "0/1", "CrashLoopBackOff"]


def test_termination_messages(pods: Pods) -> None:
    pods.until_phase("message", "Failed")
    assert pods.container("message")["state"]["terminated"]["message"] == "the reason"
    pods.until_phase("log-message", "Failed")
    assert pods.container("log-message")["state"]["terminated"]["message"].strip() == "last words"


def test_events_of_an_ordinary_life(pods: Pods) -> None:
    name = "one-stays"
    until("the events", lambda: len(pods.events(name)) >= 9)
    events = pods.events(name)
    node = pods.get(name)["spec"]["nodeName"]
    assert f"Normal Scheduled: Successfully assigned containers/{name} to {node}" in events
    for of_each in (
        'Normal Pulling: Pulling image "busybox"',  # without a tag the policy is Always
        'Normal Pulled: Successfully pulled image "busybox" in',
        "Normal Created: Container created",
        "Normal Started: Container started",
    ):
        assert sum(event.startswith(of_each) for event in events) == 2

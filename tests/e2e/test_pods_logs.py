"""kubectl logs: every option, restarts, rotation, following to the end."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Cluster, until
from tests.e2e.pods import Pods, namespace, pod, sh

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"
LINES = 60_000  # of 200 characters: more than one file of 10 MiB
COUNT = f"import sys, time; [print(f'{{n:08d}}', 'x' * 190) for n in range({LINES})]"
STAY = "sys.stdout.flush(); time.sleep(600)"


@pytest.fixture(scope="module")
def pods(cluster: Cluster) -> Iterator[Pods]:
    with namespace(cluster, "logs") as pods:
        init = {**sh("echo from init"), "name": "init"}
        pods.apply(
            pod("ten", sh("seq 10; echo problem >&2; exec sleep 600"), {**sh("echo beside"), "name": "second"},
                initContainers=[init]),
            pod("again", sh("if test -e again; then echo new; exec sleep 600; fi; touch again; echo old; exit 1")),
            pod("unended", sh("printf 'no newline'; exit 0"), restartPolicy="Never"),
            pod("long", sh("head -c 50000 /dev/zero | tr '\\0' y; echo; echo after"), restartPolicy="Never"),
            pod("much", {"image": "python", "command": ["python", "-c", f"{COUNT}; {STAY}"]}),
            pod("waits", {"image": "no/such/image"}),
            pod("old", sh("echo first; sleep 3; echo second; exec sleep 600")),
        )  # fmt: skip
        yield pods


def test_all_of_it(pods: Pods) -> None:
    pods.until_state("ten", "running")
    numbers = [str(number) for number in range(1, 11)]
    until("the lines", lambda: len(pods.logs("ten", "-c", "main").splitlines()) == 11)
    said = pods.logs("ten", "-c", "main").splitlines()
    assert [line for line in said if line != "problem"] == numbers
    assert "problem" in said


def test_tail_limit_and_timestamps(pods: Pods) -> None:
    pods.until_ready("old")
    until("the lines", lambda: len(pods.logs("ten", "-c", "main").splitlines()) == 11)
    whole = pods.logs("ten", "-c", "main").splitlines()
    assert pods.logs("ten", "-c", "main", "--tail=3").splitlines() == whole[-3:]
    assert pods.logs("ten", "-c", "main", "--tail=0") == ""
    assert pods.logs("ten", "-c", "main", "--limit-bytes=5") == "\n".join(whole)[:5]
    for line, text in zip(pods.logs("ten", "-c", "main", "--timestamps").splitlines(), whole, strict=True):
        assert re.fullmatch(rf"{STAMP} {text}", line)


def test_containers(pods: Pods) -> None:
    pods.until_state("ten", "running")
    assert pods.logs("ten", "-c", "init") == "from init\n"
    until("the second", lambda: pods.logs("ten", "-c", "second") == "beside\n")
    both = pods.logs("ten", "--all-containers", "--prefix")
    assert "[pod/ten/init] from init" in both
    assert "[pod/ten/second] beside" in both
    assert "[pod/ten/main] 10" in both
    assert "Defaulted container" in pods.kubectl("logs", "ten", check=False)
    wrong = pods.kubectl("logs", "ten", "-c", "third", check=False)
    assert "container third is not valid for pod ten" in wrong


def test_since(pods: Pods) -> None:
    until("the second line", lambda: "second" in pods.logs("old"))
    stamps = [line.split()[0] for line in pods.logs("old", "--timestamps").splitlines()]
    assert len(stamps) == 2
    assert pods.logs("old", f"--since-time={stamps[1]}") == "second\n"
    assert pods.logs("old", "--since=1h") == "first\nsecond\n"
    until("time to pass", lambda: pods.logs("old", "--since=2s") == "")


def test_previous(pods: Pods) -> None:
    pods.until_restarts("again", 1)
    until("the new attempt's words", lambda: pods.logs("again") == "new\n")
    assert pods.logs("again", "--previous") == "old\n"
    refused = pods.kubectl("logs", "ten", "-c", "main", "--previous", check=False)
    assert 'previous terminated container "main" in pod "ten" not found' in refused


def test_a_name_as_long_as_names_may_be(pods: Pods) -> None:
    name = f"{'long-' * 50}pod"
    document = pod(name, sh("echo $HOSTNAME; exec sleep 600"))
    del document["metadata"]["labels"]
    pods.apply(document)
    pods.until_ready(name)
    assert pods.logs(name) == name[:63].rstrip("-") + "\n"
    pods.delete(name)


def test_what_has_no_end(pods: Pods) -> None:
    pods.until_phase("unended", "Succeeded")
    assert pods.logs("unended") == "no newline"
    pods.until_phase("long", "Succeeded")
    assert pods.logs("long").splitlines() == ["y" * 50_000, "after"]


def test_rotation(pods: Pods) -> None:
    """Lines come in order, none twice; those that fell off with the oldest file are the first ones."""
    last = f"{LINES - 1:08d}"
    until("the last line", lambda: pods.logs("much", "--tail=1").startswith(last))
    numbers = [int(line[:8]) for line in pods.logs("much").splitlines()]
    assert numbers == list(range(LINES))
    folder = next(Path(pods.cluster.folder, "logs", "pods").glob("logs_much_*")) / "main"
    assert {path.name for path in folder.iterdir()} == {"0.log", "0.log.1"}


def test_a_pod_that_never_started(pods: Pods) -> None:
    pods.until_state("waits", "ImagePullBackOff")
    refused = pods.kubectl("logs", "waits", check=False)
    assert 'container "main" in pod "waits" is waiting to start: trying and failing to pull image' in refused
    assert pods.kubectl("logs", "nobody", check=False).find('pods "nobody" not found') > 0


def test_follow_ends_with_the_container(pods: Pods) -> None:
    """All lines arrive while they are written, across the rotation of their file, and then the command ends."""
    script = f"import os\nwhile not os.path.exists('go'): __import__('time').sleep(0.02)\n{COUNT}"
    opens = {"lifecycle": {"postStart": {"exec": {"command": ["sh", "-c", "sleep 1; touch go"]}}}}
    pods.apply(
        pod("followed", {"image": "python", "command": ["python", "-c", script], **opens}, restartPolicy="Never")
    )
    pods.until_state("followed", "running")
    kubectl = [str(Path(sys.executable).parent / "kubectl"), "--kubeconfig", str(pods.cluster.kubeconfig)]
    command = subprocess.Popen(
        [*kubectl, "-n", pods.namespace, "logs", "-f", "followed"], stdout=subprocess.PIPE, text=True
    )
    seen: list[str] = []

    def read() -> None:
        assert command.stdout is not None
        seen.extend(line[:8] for line in command.stdout)

    reader = threading.Thread(target=read)
    reader.start()
    reader.join(60)
    assert command.wait(5) == 0
    assert [int(line) for line in seen] == list(range(LINES))


def test_follow_ends_with_the_pod(pods: Pods) -> None:
    pods.apply(pod("leaves", sh("echo here; exec sleep 600")))
    pods.until_ready("leaves")
    kubectl = [str(Path(sys.executable).parent / "kubectl"), "--kubeconfig", str(pods.cluster.kubeconfig)]
    command = subprocess.Popen(
        [*kubectl, "-n", pods.namespace, "logs", "-f", "leaves"], stdout=subprocess.PIPE, text=True
    )
    assert command.stdout is not None
    assert command.stdout.readline() == "here\n"
    pods.delete("leaves")
    assert command.stdout.read() == ""
    assert command.wait(10) == 0

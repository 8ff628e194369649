"""A node whose time is sixty times as fast: so is what the cluster waits for, and what programs need is not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any

from control.api.kinds import LEASE, NODE, POD
from control.api.objects import parse_time
from control.config.clock import Clock
from control.config.settings import Settings
from control.kubelet.clocked import in_cluster_time
from control.kubelet.process import ProcessSpec
from control.supervise.node_plane import knobs_of
from tests.fakes.node_lab import Lab, first, is_ready, is_running
from tests.fakes.pods import container, pod
from tests.fakes.process_host import FakeHost
from tests.fakes.virtual_loop import EPOCH, run_virtually

SCALE = 60.0
BEGAN = EPOCH.timestamp()
CLOCK = Clock(SCALE, BEGAN, BEGAN)
KNOBS = knobs_of(Settings("a", "/d"), CLOCK)


def in_lab(folder: Path, scenario: Callable[[Lab], Awaitable[None]]) -> None:
    async def whole() -> None:
        lab = Lab(folder, KNOBS, SCALE)
        await lab.start()
        try:
            await scenario(lab)
        finally:
            await lab.crash()

    run_virtually(whole())


def test_back_offs_are_cluster_time(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.create(pod(container()))
        starts = []
        for attempt in range(5):
            await lab.until(lambda p, attempt=attempt: is_running(p) and first(p)["restartCount"] == attempt)  # type: ignore[misc]
            starts.append(lab.loop.time())
            lab.host.exit("c", 1)
        gaps = [round((later - earlier) * SCALE / 10) * 10 for earlier, later in pairwise(starts)]
        assert gaps == [0, 10, 20, 40]

    in_lab(tmp_path, scenario)


def test_statuses_say_cluster_time_of_what_the_machine_did(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.elapse(5.0)
        await lab.create(pod(container(), restartPolicy="Never"))
        await lab.until(is_running)
        await lab.elapse(10.0)
        lab.host.exit("c", 0)
        over = first(await lab.until(lambda p: "terminated" in first(p)["state"]))["state"]["terminated"]
        began, ended = parse_time(over["startedAt"]).timestamp(), parse_time(over["finishedAt"]).timestamp()
        assert 300 <= began - BEGAN < 310
        assert 600 <= ended - began < 610

    in_lab(tmp_path, scenario)


def test_a_program_has_its_grace_in_machine_time(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        lab.host.stubborn.add("c")
        await lab.create(pod(container(), terminationGracePeriodSeconds=5))
        await lab.until(is_running)
        await lab.client.delete(POD, "default", "p")
        assert 4.9 < await lab.gone() < 5.2
        assert lab.host.signals == [("c", SIGTERM), ("c", SIGKILL)]

    in_lab(tmp_path, scenario)


def test_a_shorter_grace_is_machine_time_too(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        lab.host.stubborn.add("c")
        await lab.create(pod(container(), terminationGracePeriodSeconds=30))
        await lab.until(is_running)
        await lab.client.delete(POD, "default", "p")
        await lab.elapse(1.0)
        await lab.client.delete(POD, "default", "p", grace_period_s=4)
        assert 3.9 < await lab.gone() < 4.2

    in_lab(tmp_path, scenario)


def test_a_simulated_pod_and_its_node_are_cluster_time(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        metadata = {"name": "fake", "labels": {"loopkube.io/simulated": "true"}}
        await lab.client.create(NODE, {"apiVersion": "v1", "kind": "Node", "metadata": metadata})
        made = pod(container(), nodeName="fake")
        slow = {"loopkube.io/start-after": "60s", "loopkube.io/ready-after": "120s"}
        began = lab.loop.time()
        await lab.create({**made, "metadata": {**made["metadata"], "annotations": slow}})
        await lab.until(is_running)
        assert 1.0 <= lab.loop.time() - began < 1.1
        await lab.until(is_ready)
        assert 3.0 <= lab.loop.time() - began < 3.1
        before = lab.agent.simulated.pulse.renewals
        await lab.elapse(3.0)
        assert lab.agent.simulated.pulse.renewals - before == 3  # a beat a second, as a real node's

    in_lab(tmp_path, scenario)


def test_probes_and_deadlines_are_cluster_time_and_looks_have_a_least_distance(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        probe: dict[str, Any] = {"exec": {"command": ["ready"]}, "periodSeconds": 1, "initialDelaySeconds": 60}
        began = lab.loop.time()
        await lab.create(pod(container(readinessProbe=probe), activeDeadlineSeconds=600))
        await lab.until(is_ready)
        assert 1.0 <= lab.loop.time() - began < 1.1
        looked = len(lab.host.commands)
        await lab.elapse(1.0)
        assert 18 <= len(lab.host.commands) - looked <= 21  # not 60: one in 50 ms
        await lab.until(lambda p: p["status"].get("reason") == "DeadlineExceeded")
        assert 10.0 <= lab.loop.time() - began < 10.2

    in_lab(tmp_path, scenario)


def test_a_node_lives_in_cluster_time_but_beats_at_most_once_a_second(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.elapse(1.5)
        found = (await lab.client.list(LEASE, "kube-node-lease")).items
        (spec,) = [lease["spec"] for lease in found]
        assert parse_time(spec["renewTime"]).timestamp() - BEGAN == 60.0
        assert spec["leaseDurationSeconds"] == 240  # four beats, as 40 s are of 10 s

    in_lab(tmp_path, scenario)


async def test_every_way_to_hear_of_a_process_is_translated() -> None:
    machine = FakeHost(lambda: BEGAN + 2.0)
    host = in_cluster_time(machine, CLOCK)
    spec = ProcessSpec("u/c/0", ("sleep",), {}, "/", "/l", labels={"container": "c"})
    assert (await host.start(spec)).started_at == BEGAN + 120.0
    heard = asyncio.ensure_future(anext(aiter(host.exits())))
    await asyncio.sleep(0)
    machine.clock = lambda: BEGAN + 3.0
    await host.signal("u/c/0", SIGTERM)
    (state,) = await host.processes()
    assert state.exit is not None
    assert (state.started_at, state.exit.finished_at) == (BEGAN + 120.0, BEGAN + 180.0)
    assert await heard == state
    assert in_cluster_time(machine, Clock()) is machine

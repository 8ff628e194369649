"""A machine that went down: what the agent makes of pods whose processes are all gone."""

from __future__ import annotations

from pathlib import Path

from control.api.objects import status_of
from tests.fakes.node_lab import Lab
from tests.fakes.pods import container, pod
from tests.fakes.virtual_loop import run_virtually


def test_a_finished_pod_with_init_containers_stays_as_it_is(tmp_path: Path) -> None:
    async def scenario() -> None:
        lab = Lab(tmp_path)
        await lab.start()
        try:
            await lab.create(pod(initContainers=[container("i")], restartPolicy="Never"))
            for name in ("i", "c"):
                await lab.until(lambda _, name=name: name in lab.host.running())  # type: ignore[misc]
                lab.host.exit(name)
            before = await lab.until(lambda p: status_of(p).get("phase") == "Succeeded")
            await lab.crash()
            lab.host.states.clear()
            await lab.start()
            await lab.elapse(1)
            assert await lab.pod() == before
            assert lab.host.running() == []
        finally:
            await lab.crash()

    run_virtually(scenario())

"""`loopkube demo`: a cluster of its own in a temporary folder, a load, three disturbances, and what they cost."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from control.cli.up import prepare, start, wait_until_ready
from control.config.folders import Folders
from control.config.settings import Settings, check, choose_network
from control.supervise.host import SupervisorHost

if TYPE_CHECKING:
    from bench.lab.experiment import Result

RATE_MAX = 20_000


@click.command(
    epilog="""\b
Examples:
  loopkube demo
  loopkube demo --rate 2000 --seconds 30 --json result.json --html report.html
"""
)
@click.option("--rate", default=1000.0, show_default=True, help="Requests per second, half over new connections.")
@click.option("--seconds", default=20.0, show_default=True, help="At least this long; the three steps set the minimum.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False), help="Write the result as JSON.")
@click.option("--html", "html_file", type=click.Path(dir_okay=False), default="loopkube-demo.html", show_default=True,
              help="Write the report as one self-contained page.")  # fmt: skip
def command(rate: float, seconds: float, json_file: str | None, html_file: str) -> None:
    """Roll, kill and flap pods under load, and show what was lost.

    Brings a cluster up in a temporary folder on free ports, puts three pods of loopkube/echo behind an Ingress and
    sends an open-loop load through it. Then: a rolling update, a pod's process killed with SIGKILL, a readiness probe
    that fails for a while. The exit code is 0 when the rolling update lost nothing.
    """
    if not 1 <= rate <= RATE_MAX:
        raise click.BadParameter(f"{rate:g}: between 1 and {RATE_MAX}", param_hint="--rate")
    if not 1 <= seconds <= 3600:
        raise click.BadParameter(f"{seconds:g}: between 1 and 3600", param_hint="--seconds")
    folders = Folders(Path(tempfile.mkdtemp(prefix="loopkube-demo-")))
    try:
        result = _run(folders, rate, seconds)
    finally:
        shutil.rmtree(folders.run, ignore_errors=True)
        shutil.rmtree(folders.data, ignore_errors=True)
    _tell(result, json_file, html_file)
    if result.step("rolling update").count.lost:
        raise click.ClickException("the rolling update lost requests")


def _run(folders: Folders, rate: float, seconds: float) -> Result:
    mode, reason = choose_network("auto")
    settings = check(
        Settings("demo", str(folders.data), network=mode, network_reason=reason, api_port=0, http_port=0, https_port=0)
    )
    begin = time.monotonic()
    prepare(settings, folders)
    supervisor = start(folders, detach=False)
    try:
        click.secho("A cluster of its own", bold=True)
        ports = wait_until_ready(supervisor, settings)
        click.secho("\nThe experiment", bold=True)

        def say(line: str) -> None:
            click.echo(f"  {time.monotonic() - begin:5.1f} s  {line}")

        return asyncio.run(_experiment(settings, folders, ports["http"], rate, seconds, say))
    finally:
        supervisor.send_signal(signal.SIGTERM)
        supervisor.wait()


async def _experiment(
    settings: Settings, folders: Folders, port: int, rate: float, seconds: float, say: Callable[[str], None]
) -> Result:
    from bench.lab.scenario import ApiError, Target, demonstrate

    host = await SupervisorHost.connect(folders.supervisor_socket)
    workers = [folders.worker_socket(index) for index in range(settings.workers)]
    target = Target(folders.kubeconfig, settings.addresses.host, port, _killer(host), workers)
    try:
        return await demonstrate(target, rate, seconds, say)
    except (ApiError, TimeoutError, OSError) as error:
        raise click.ClickException(f"the experiment stopped: {error}") from error
    finally:
        await host.close()


def _killer(host: SupervisorHost) -> Callable[[str], Awaitable[None]]:
    """SIGKILL for a pod's processes, as the kernel's OOM killer or a person would do it: nobody is told."""

    async def kill(pod: str) -> None:
        for state in await host.processes():
            if state.labels.get("pod") == pod and state.exit is None:
                os.kill(state.pid, signal.SIGKILL)

    return kill


def _tell(result: Result, json_file: str | None, html_file: str) -> None:
    from bench.lab.page import page
    from bench.lab.report import text

    click.echo("\n" + text(result))
    if json_file:
        Path(json_file).write_text(json.dumps(result.as_json(), indent=1))
        click.echo(f"JSON:   {json_file}")
    Path(html_file).write_text(page(result))
    click.echo(f"Report: {html_file}")

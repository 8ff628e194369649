"""`loopkube up`: start a cluster, say what becomes ready when, stay until Ctrl-C (or --detach)."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from control.cli.connection import folders_of, options_of, which_cluster
from control.config.folders import Folders
from control.config.settings import SLOTS, Settings, SettingsError, check, choose_network, loopback, time_scale_of

READY_MAX_S = 60.0
WANTED = {"control": {"API server", "controllers", "publisher"}, "node": {"nodes"}}  # and each worker's "routes"
PR_SET_PDEATHSIG = 1


@click.command(
    epilog="""\b
Examples:
  loopkube up                               three parts and a prompt; Ctrl-C ends the cluster
  loopkube up --detach -f app.yaml          start, apply a manifest, return
  loopkube up --name second --api-port 0 --http-port 0 --https-port 0
"""
)
@which_cluster
@click.option("--nodes", default=1, show_default=True, help="Virtual nodes.")
@click.option("--simulated-nodes", default=0, show_default=True,
              help="Nodes whose pods have no processes: taint and label loopkube.io/simulated=true.")  # fmt: skip
@click.option("--workers", default=1, show_default=True, help="Data plane processes; one keeps one core busy.")
@click.option("--network", default="auto", show_default=True, help="auto or loopback.")
@click.option("--profile", type=click.Choice(["fast", "realistic"]), default="fast", show_default=True,
              help="Delays between a change and its effect: none, or as Kubernetes has them.")  # fmt: skip
@click.option("--time-scale", default="1", show_default=True, metavar="N",
              help="Controllers' and kubelets' time runs N times as fast; the data plane's never does.")  # fmt: skip
@click.option("--api-port", default=6443, show_default=True, help="Kubernetes API, HTTPS; 0 takes any free port.")
@click.option("--http-port", default=8080, show_default=True, help="Ingress, HTTP.")
@click.option("--https-port", default=8443, show_default=True, help="Ingress, HTTPS.")
@click.option("--images", "images_file", type=click.Path(exists=True, dir_okay=False),
              help="YAML with further images: a name pattern and how to start it.")  # fmt: skip
@click.option("-f", "manifests", multiple=True, type=click.Path(exists=True, dir_okay=True, allow_dash=True),
              help="Apply a manifest once the cluster is ready; may be given several times.")  # fmt: skip
@click.option("--detach", is_flag=True, help="Return when the cluster is ready and leave it running.")
@click.option("--in-process", is_flag=True, help="Everything in this one process (for debuggers and tests).")
def command(
    name: str,
    data_dir: str | None,
    nodes: int,
    simulated_nodes: int,
    workers: int,
    network: str,
    profile: Any,
    time_scale: str,
    api_port: int,
    http_port: int,
    https_port: int,
    images_file: str | None,
    manifests: tuple[str, ...],
    detach: bool,
    in_process: bool,
) -> None:
    """Start a cluster: the Kubernetes API, its controllers, a node and the data plane."""
    if in_process and detach:
        raise click.UsageError("--in-process and --detach exclude each other: there is no process to leave behind")
    folders = folders_of(name, data_dir)
    mode, reason = choose_network(network)
    settings = check(
        Settings(
            name=name,
            data_dir=str(folders.data),
            nodes=nodes,
            simulated_nodes=simulated_nodes,
            workers=workers,
            network=mode,
            network_reason=reason,
            profile=profile,
            time_scale=time_scale_of(time_scale),
            api_port=api_port,
            http_port=http_port,
            https_port=https_port,
            images_file=str(Path(images_file).resolve()) if images_file else "",
        )
    )
    prepare(settings, folders)
    click.echo(
        f"{name}: network {mode} ({reason})" + (f", time {time_scale} times as fast" if settings.time_scale > 1 else "")
    )
    if in_process:
        _run_here(settings, folders, manifests)
        return
    supervisor = start(folders, detach=detach)
    try:
        ports = wait_until_ready(supervisor, settings)
        _greet(settings, folders, manifests, ports)
        if not detach:
            _stay(supervisor)
    except (Exception, KeyboardInterrupt):
        supervisor.terminate()
        supervisor.wait()
        raise


def _run_here(settings: Settings, folders: Folders, manifests: tuple[str, ...]) -> None:
    from control.store.records import StoreError
    from control.supervise.inprocess import run

    def on_ready(ports: dict[str, int]) -> None:
        _greet(settings, folders, manifests, ports)
        click.echo("\nCtrl-C ends the cluster.")

    try:
        run(settings, folders, _line, on_ready)
    except StoreError as error:
        raise SettingsError(" ".join(str(error).split())) from error


def _greet(settings: Settings, folders: Folders, manifests: tuple[str, ...], ports: dict[str, int]) -> None:
    for manifest in manifests:
        _apply(folders, manifest)
    _next_steps(settings, folders, ports)


def prepare(settings: Settings, folders: Folders) -> None:
    """Folders, keys and settings on disk; raises SettingsError for a cluster that is up or a folder of a newer one."""
    folders.create()
    before = folders.load()
    held = folders.lock(settings.name)
    try:
        from control.supervise import pki

        pki.ensure(
            folders.pki, host=settings.addresses.host, service_ips=[loopback(n).api_service_ip() for n in range(SLOTS)]
        )
        folders.save(replace(settings, slot=before.slot if before is not None else None))
    finally:
        os.close(held)


def start(folders: Folders, *, detach: bool) -> subprocess.Popen[bytes]:
    """The supervisor, in a session of its own; unless detached it ends in order when this process dies."""
    parent = os.getpid()

    def at_birth() -> None:
        if not detach:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

    (folders.logs / "system").mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(folders.logs / "system" / "supervisor.log", "ab") as log:
        return subprocess.Popen(
            (sys.executable, "-m", "control.supervise.supervisor", str(folders.data)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            preexec_fn=at_birth,
        )


def reports(supervisor: subprocess.Popen[bytes], deadline: float) -> Iterator[dict[str, Any]]:
    """What the supervisor reports; raises click.ClickException when it fails or nothing comes in time."""
    import select

    assert supervisor.stdout is not None
    fd = supervisor.stdout.fileno()
    rest = b""
    while True:
        readable, _, _ = select.select([fd], [], [], max(deadline - time.monotonic(), 0))
        if not readable:
            raise click.ClickException("the cluster did not become ready in time; see the logs with the path above")
        data = os.read(fd, 65536)
        if not data:
            raise click.ClickException("the supervisor ended unexpectedly; see logs/system in the cluster's folder")
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield json.loads(line)


def wait_until_ready(supervisor: subprocess.Popen[bytes], settings: Settings) -> dict[str, int]:
    """Prints a line a part; returns the ports by purpose (api, http, https)."""
    wanted = {(part, what) for part, whats in WANTED.items() for what in whats}
    wanted |= {(f"worker-{i}", "routes") for i in range(settings.workers)}
    ports: dict[str, int] = {}
    for report in reports(supervisor, time.monotonic() + READY_MAX_S):
        part, what = report["part"], report["what"]
        if what == "failed":
            supervisor.wait()
            raise SettingsError(report["message"])
        ports = report.get("ports", ports)
        _line(part, what, report["seconds"])
        if what == "ended" and report["seconds"] > READY_MAX_S / 6:
            raise click.ClickException(f"{part} keeps ending; see logs/system/{part}.log in {settings.data_dir}")
        wanted.discard((part, what))
        if not wanted:
            return ports
    return ports


def _line(part: str, what: str, seconds: float) -> None:
    good = what not in ("ended", "failed")
    click.secho("  ✓ " if good else "  ✗ ", fg="green" if good else "red", nl=False)
    click.echo(f"{part:<11} {what:<12} {seconds * 1000:6.0f} ms")


def _apply(folders: Folders, manifest: str) -> None:
    from control.cli.manifest import apply_file

    for outcome in apply_file(folders.kubeconfig, manifest):
        click.echo(f"    {outcome}")


def _next_steps(settings: Settings, folders: Folders, ports: dict[str, int]) -> None:
    option = options_of(settings.name, folders)
    host = settings.addresses.host
    click.echo(f"""
Kubernetes API   https://{host}:{ports["api"]}
Ingress          http://{host}:{ports["http"]}  https://{host}:{ports["https"]}

What next:
  export KUBECONFIG=$(loopkube kubeconfig{option} --path)
  loopkube kubectl{option} create deployment hello --image=loopkube/echo:1 --port=8080
  loopkube kubectl{option} expose deployment hello && curl http://<cluster-ip>:8080/
  loopkube down{option}""")


def _stay(supervisor: subprocess.Popen[bytes]) -> None:
    """Until the supervisor ends or Ctrl-C ends it."""
    click.echo("\nCtrl-C ends the cluster.")
    signal.signal(signal.SIGTERM, lambda *_: supervisor.terminate())
    assert supervisor.stdout is not None
    try:
        for line in supervisor.stdout:
            report = json.loads(line)
            if report["what"] == "ended" or report["part"] != "supervisor":
                _line(report["part"], report["what"], report["seconds"])
    except KeyboardInterrupt:
        click.echo("\nending...")
        supervisor.terminate()
    code = supervisor.wait()
    if code not in (0, -signal.SIGTERM):
        raise click.ClickException(f"the supervisor ended with code {code}")

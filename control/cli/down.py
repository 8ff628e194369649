"""`loopkube down`: end a cluster; nothing of it keeps running. Its state stays unless --purge."""

from __future__ import annotations

import fcntl
import shutil
import time

import click

from control.cli.connection import NotUp, ask, folders_of, which_cluster
from control.config.folders import Folders

DOWN_MAX_S = 30.0


@click.command(epilog="\b\nExamples:\n  loopkube down\n  loopkube down --name second --purge")
@which_cluster
@click.option("--purge", is_flag=True, help="Also delete the cluster's folder: objects, certificates, logs.")
def command(name: str, data_dir: str | None, purge: bool) -> None:
    """End a cluster."""
    folders = folders_of(name, data_dir)
    try:
        ask(folders, name, "shutdown")
        wait_until_down(folders)
        click.echo(f"{name}: down")
    except NotUp:
        if not purge:
            raise
    if purge:
        remove(folders)
        click.echo(f"{name}: {folders.data} deleted")


def wait_until_down(folders: Folders) -> None:
    """Until the supervisor lets go of the cluster's lock, which is the last thing that it does."""
    deadline = time.monotonic() + DOWN_MAX_S
    said = False
    with open(folders.data / "lock", "a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise click.ClickException(f"still not down after {DOWN_MAX_S:.0f} s") from None
                if not said and time.monotonic() > deadline - DOWN_MAX_S + 1:
                    said = True
                    click.echo("waiting for pods to end ...", err=True)
                time.sleep(0.02)


def remove(folders: Folders) -> None:
    """Deletes the cluster's folders; refuses a folder that is not a cluster's."""
    if not folders.data.exists():
        return
    if not folders.cluster_file.exists():
        raise click.ClickException(f"{folders.data} has no cluster.json: not deleted")
    shutil.rmtree(folders.run, ignore_errors=True)
    shutil.rmtree(folders.data)

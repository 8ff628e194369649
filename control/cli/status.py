"""`loopkube status`: a cluster's addresses and processes."""

from __future__ import annotations

import json
from typing import Any

import click

from control.cli.connection import ask, folders_of, which_cluster


@click.command(epilog="\b\nExamples:\n  loopkube status\n  loopkube status -o json | jq .ingress.http")
@which_cluster
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def command(name: str, data_dir: str | None, output: str) -> None:
    """Show a cluster's parts, addresses and memory."""
    status = ask(folders_of(name, data_dir), name, "status")
    if output == "json":
        click.echo(json.dumps(status, indent=2))
    else:
        show(status)


def show(status: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print(f"[bold]{status['name']}[/]  loopkube {status['version']}, up {status['uptimeSeconds']:.0f} s")
    console.print(f"API        {status['apiServer']}")
    console.print(f"Ingress    {status['ingress']['http']}  {status['ingress']['https']}")
    console.print(f"Services   {status['serviceCIDR']}   Pods {status['podCIDR']}   network {status['network']}")
    ask = f"dig @{status['dns'].replace(':', ' -p ')} kubernetes.default.svc.cluster.local"
    console.print(f"DNS        {status['dns']}   ({ask})", soft_wrap=True)
    if status["timeScale"] != 1:
        console.print(f"Time       {status['timeScale']:g} times as fast as the machine's")
    console.print(f"kubeconfig {status['kubeconfig']}", soft_wrap=True)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading, justify in (("PROCESS", "left"), ("PID", "right"), ("RESTARTS", "right"), ("PSS", "right"),
                             ("RSS", "right"), ("READY", "left")):  # fmt: skip
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for process in status["processes"]:
        table.add_row(
            process["name"],
            str(process["pid"] or "-"),
            str(process["restarts"]),
            f"{process['pssBytes'] / 1e6:.1f} MB",
            f"{process['rssBytes'] / 1e6:.1f} MB",
            "[green]yes[/]" if process["ready"] else "[red]no[/]",
        )
    total = sum(process["pssBytes"] for process in status["processes"])
    table.add_row("[bold]all[/]", "", "", f"[bold]{total / 1e6:.1f} MB[/]", "", "")
    console.print(table)

"""The `loopkube` command: a group of subcommands, each in the file of its name, loaded when it is called."""

from __future__ import annotations

import importlib
import os
import sys

import click

from control.config.settings import SettingsError

COMMANDS = {
    "up": "Start a cluster.",
    "down": "End a cluster.",
    "status": "Show a cluster's parts, addresses and memory.",
    "kubeconfig": "Print a cluster's kubeconfig.",
    "kubectl": "Run kubectl against a cluster.",
    "demo": "Roll, kill and flap pods under load, and show what was lost.",
}


class Lazy(click.Group):
    """Imports a subcommand's module when it is called or asked for help, not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return importlib.import_module(f"control.cli.{cmd_name}").command  # type: ignore[no-any-return]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="loopkube", prog_name="loopkube")
def group() -> None:
    """A Kubernetes data plane on one machine, without containers.

    \b
    Examples:
      loopkube demo                        see it all in half a minute
      loopkube up                          start a cluster; Ctrl-C ends it
      loopkube kubectl get pods -A         any kubectl command
    """


def main() -> None:
    """The console script. Every failure is one line; exit codes: 2 bad input, 1 it failed, 70 a bug, 130 Ctrl-C."""
    try:
        sys.exit(group.main(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except SettingsError as error:
        click.secho("Error: ", fg="red", bold=True, err=True, nl=False)
        click.echo(str(error), err=True)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # `loopkube status | head`: the reader has enough
        sys.exit(0)
    except Exception as error:
        if os.environ.get("LOOPKUBE_DEBUG"):
            raise
        click.secho("Error: ", fg="red", bold=True, err=True, nl=False)
        click.echo(f"{type(error).__name__}: {error} (a bug; LOOPKUBE_DEBUG=1 shows where)", err=True)
        sys.exit(70)  # EX_SOFTWARE of sysexits.h


if __name__ == "__main__":
    main()

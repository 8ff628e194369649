"""A subcommand's way to a cluster: which one is meant, and a word with its supervisor."""

from __future__ import annotations

import json
import shlex
import socket
from collections.abc import Callable
from typing import Any, TypeVar

import click

from control.config.folders import Folders
from control.config.settings import NAME, SettingsError

ANSWER_MAX_S = 10.0
F = TypeVar("F", bound=Callable[..., Any])


def which_cluster(function: F) -> F:
    """Adds --name and --data-dir, which say what cluster a command is about."""
    function = click.option(
        "--data-dir", metavar="DIR", help="The cluster's folder. [default: under $XDG_STATE_HOME/loopkube]"
    )(function)
    return click.option("--name", default="default", show_default=True, help="The cluster's name.")(function)


def folders_of(name: str, data_dir: str | None) -> Folders:
    if not NAME.fullmatch(name):
        raise SettingsError(f"--name {name!r}: use at most 40 lower case letters, digits and '-'")
    return Folders.of(name, data_dir)


class NotUp(click.ClickException):
    """The cluster has no supervisor that answers."""

    def __init__(self, name: str, folders: Folders) -> None:
        super().__init__(f"cluster {name!r} is not up: start it with `loopkube up{options_of(name, folders)}`")


def options_of(name: str, folders: Folders) -> str:
    """The options that say which cluster is meant, to be put into advice; empty for the usual one."""
    said = "" if name == "default" else f" --name {name}"
    return said if folders == Folders.of(name) else f"{said} --data-dir {shlex.quote(str(folders.data))}"


def ask(folders: Folders, name: str, op: str) -> Any:
    """One operation of the supervisor (`control.supervise.wire`); raises NotUp."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ANSWER_MAX_S)
            connection.connect(str(folders.supervisor_socket))
            connection.sendall(json.dumps({"id": 1, "op": op}).encode() + b"\n")
            with connection.makefile("rb") as lines:
                answer = json.loads(lines.readline())
    except (OSError, ValueError) as error:
        raise NotUp(name, folders) from error
    return answer.get("result")

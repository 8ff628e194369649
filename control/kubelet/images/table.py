"""Images are a table: a pattern on the repository's name says how to start the process that stands for the image.

There are no containers, so nothing is pulled: an image is "present" when a row knows it, or when the container brings
its own `command`. The rules, in order:

1. A `command` whose first word is some row's own entrypoint (`/agnhost`, `/pause`) means that row's program, whatever
   the image is called; a row that matches the image is preferred.
2. Any other `command` runs on the host, `args` appended, exactly as an image's ENTRYPOINT is overridden.
3. No `command`: the first matching row's entrypoint with `args`, or with the row's `cmd` where there are none (Docker's
   ENTRYPOINT and CMD).
4. No row: ErrImagePull, with a message that says how to add one.

Patterns are shell globs over the normalised repository: no tag, no digest, no `docker.io/`, no `library/`. User rows
come before shipped ones, and the first match wins. Words in argv and env may hold `{python}` and `{tag}`.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

ROOT = str(Path(__file__).resolve().parents[3])
PROGRAM = "control.kubelet.images."
STOP_SIGNALS = frozenset({"SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGKILL"})


class ImageTableError(Exception):
    """A user's row makes no sense; the message names the row and the field."""


@dataclass(frozen=True, slots=True)
class Row:
    """How to start the images whose repository matches `pattern`."""

    pattern: str
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    entrypoints: tuple[str, ...] = ()  # first words of a command that mean this row's program
    stop_signal: str = "SIGTERM"  # the image's STOPSIGNAL


@dataclass(frozen=True, slots=True)
class Launch:
    """What to start for a container."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    image_id: str
    stop_signal: str = "SIGTERM"


@dataclass(frozen=True, slots=True)
class ErrImagePull:
    """No row knows the image."""

    message: str


def program(module: str, *args: str) -> tuple[str, ...]:
    return ("{python}", "-m", PROGRAM + module, *args)


OWN = {"PYTHONPATH": ROOT}  # where this package is importable from, before a slower look through site-packages
SHELLS = ("busybox", "alpine", "debian", "ubuntu", "bash")

SHIPPED: tuple[Row, ...] = (
    Row("*/agnhost", program("agnhost"), ("pause",), OWN, entrypoints=("/agnhost", "agnhost")),
    Row("agnhost", program("agnhost"), ("pause",), OWN, entrypoints=("/agnhost", "agnhost")),
    Row("*/pause", program("pause"), (), OWN, entrypoints=("/pause", "pause")),
    Row("pause", program("pause"), (), OWN, entrypoints=("/pause", "pause")),
    Row("loopkube/echo", program("echo"), (), OWN, entrypoints=("/echo",)),
    Row(
        "nginx", program("web", "nginx"), (), OWN, entrypoints=("nginx", "/docker-entrypoint.sh"), stop_signal="SIGQUIT"
    ),
    Row("*/nginx", program("web", "nginx"), (), OWN, entrypoints=("nginx",), stop_signal="SIGQUIT"),
    Row("httpd", program("web", "httpd"), (), OWN, entrypoints=("httpd-foreground", "httpd"), stop_signal="SIGWINCH"),
    Row("*/httpd", program("web", "httpd"), (), OWN, entrypoints=("httpd-foreground", "httpd"), stop_signal="SIGWINCH"),
    *(Row(name, (), ("sh",)) for name in SHELLS),
    *(Row(f"*/{name}", (), ("sh",)) for name in SHELLS),
    Row("python", (), ("{python}",), entrypoints=("python", "python3")),
)
ANY_IMAGE = ("/agnhost", "/pause")  # absolute entrypoints: they cannot exist on the host by accident


def repository_of(image: str) -> str:
    """The repository's name without tag, digest and Docker Hub's silent prefixes."""
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    name = head + slash + last.partition(":")[0]
    for prefix in ("docker.io/", "index.docker.io/", "library/"):
        name = name.removeprefix(prefix)
    return name


def tag_of(image: str) -> str:
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2] or "latest"


@dataclass(frozen=True, slots=True)
class ImageTable:
    """User rows, then shipped ones."""

    rows: tuple[Row, ...] = SHIPPED
    python: str = sys.executable

    def __repr__(self) -> str:
        return f"{len(self.rows)} image rows, {len(self.rows) - len(SHIPPED)} of them the user's"

    def with_rows(self, rows: Iterable[Row]) -> ImageTable:
        """A table in which `rows` come first."""
        return ImageTable((*rows, *self.rows), self.python)

    def row_of(self, image: str) -> Row | None:
        repository = repository_of(image)
        return next((row for row in self.rows if fnmatchcase(repository, row.pattern)), None)

    def row_of_command(self, image: str, word: str) -> Row | None:
        own = self.row_of(image)
        if own is not None and word in own.entrypoints:
            return own
        if word in ANY_IMAGE:
            return next((row for row in self.rows if word in row.entrypoints), None)
        return None

    def resolve(self, image: str, command: Sequence[str], args: Sequence[str]) -> Launch | ErrImagePull:
        row = self.row_of(image)
        if command:
            meant = self.row_of_command(image, command[0])
            if meant is None:
                return Launch((*command, *args), {}, image_id(image), row.stop_signal if row else "SIGTERM")
            start = meant.entrypoint or (("{python}",) if command[0].startswith("python") else (command[0],))
            return self.launch(image, meant, start, (*command[1:], *args))
        if row is None:
            return ErrImagePull(unknown(image))
        if row.entrypoint:
            return self.launch(image, row, row.entrypoint if args else (*row.entrypoint, *row.cmd), args)
        return self.launch(image, row, () if args else row.cmd, args)

    def launch(self, image: str, row: Row, own: Sequence[str], given: Sequence[str]) -> Launch:
        """The row's own words are filled in; the user's are left as they are."""

        def fill(text: str) -> str:
            return text.replace("{python}", self.python).replace("{tag}", tag_of(image))

        env = {name: fill(value) for name, value in row.env.items()}
        return Launch((*map(fill, own), *given), env, image_id(image), row.stop_signal)


def image_id(image: str) -> str:
    """What a container status shows as imageID: differs when the reference does, as another image's digest would."""
    return f"{repository_of(image)}@sha256:{hashlib.sha256(image.encode()).hexdigest()}"


def unknown(image: str) -> str:
    return (
        f'failed to pull image "{image}": loopkube runs no containers, and its image table has no row for '
        f'"{repository_of(image)}". Give the container a command that exists on this machine, or add a row: '
        f"`loopkube up --images FILE`, or the ConfigMap kube-system/loopkube-images with "
        f'"- {{pattern: {repository_of(image)}, entrypoint: [PROGRAM, ARGUMENT]}}"'
    )


def parse_rows(document: Any, source: str) -> tuple[Row, ...]:
    """User rows from a decoded YAML or JSON document: a list of rows, or a mapping with the list under `images`."""
    if isinstance(document, Mapping) and set(document) == {"images"}:
        document = document["images"]
    if document is None:
        return ()
    if not isinstance(document, list):
        raise ImageTableError(f"{source}: expected a list of rows, each with a pattern")
    return tuple(parse_row(item, f"{source}: row {number}") for number, item in enumerate(document, 1))


def parse_row(item: Any, source: str) -> Row:
    if not isinstance(item, Mapping):
        raise ImageTableError(f"{source}: expected a mapping with a pattern")
    known = {"pattern", "entrypoint", "cmd", "env", "entrypoints", "stopSignal"}
    for name in item:
        if name not in known:
            raise ImageTableError(f"{source}: unknown field {name!r}; there are {', '.join(sorted(known))}")
    pattern = item.get("pattern")
    if not isinstance(pattern, str) or not pattern:
        raise ImageTableError(f"{source}: pattern must be the repository's name or a glob")
    env = item.get("env") or {}
    if not isinstance(env, Mapping) or not all(isinstance(k, str) and isinstance(v, str) for k, v in env.items()):
        raise ImageTableError(f"{source}: env must map names to strings")
    stop_signal = item.get("stopSignal", "SIGTERM")
    if stop_signal not in STOP_SIGNALS:
        raise ImageTableError(f"{source}: stopSignal must be one of {', '.join(sorted(STOP_SIGNALS))}")
    row = Row(
        pattern.removeprefix("docker.io/").removeprefix("library/"),
        words_of(item, "entrypoint", source),
        words_of(item, "cmd", source),
        dict(env),
        words_of(item, "entrypoints", source),
        stop_signal,
    )
    if not row.entrypoint and not row.cmd:
        raise ImageTableError(f"{source}: needs an entrypoint or a cmd: what to start")
    return row


def words_of(item: Mapping[str, Any], name: str, source: str) -> tuple[str, ...]:
    value = item.get(name) or []
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise ImageTableError(f"{source}: {name} must be a list of strings")
    return tuple(value)

"""Manifests of `loopkube up -f`: YAML or JSON documents, applied server-side as `kubectl apply --server-side` does."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from control.api.kinds import kind_of
from control.api.objects import Object, namespace_of
from control.api.status import StatusError

FIELD_MANAGER = "loopkube-up"


def documents(source: str) -> Iterator[tuple[str, Object]]:
    """(where, object) for each document of a file, of all *.yaml, *.yml, *.json in a folder, or of standard input."""
    import yaml

    path = Path(source)
    files = sorted(p for p in path.iterdir() if p.suffix in (".yaml", ".yml", ".json")) if path.is_dir() else [path]
    for file in files:
        try:
            text = sys.stdin.read() if source == "-" else file.read_text()
            values = list(yaml.safe_load_all(text))
        except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
            raise click.ClickException(f"{file}: {' '.join(str(error).split())}") from error
        for number, value in enumerate(values, 1):
            where = f"{file} document {number}"
            if value is None:
                continue
            if not isinstance(value, dict):
                raise click.ClickException(f"{where}: an object with apiVersion and kind is expected")
            for item in value["items"] if value.get("kind") == "List" else [value]:
                yield where, item


def apply_file(kubeconfig: Path, source: str) -> list[str]:
    """Applies everything in `source`, in order; lines to print. Raises click.ClickException, naming the document."""
    return asyncio.run(_apply(kubeconfig, list(documents(source))))


async def _apply(kubeconfig: Path, found: list[tuple[str, Object]]) -> list[str]:
    from control.mirror.remote import RemoteClient

    lines = []
    async with RemoteClient.from_kubeconfig(kubeconfig) as client:
        for where, obj in found:
            kind = kind_of(obj)
            if kind is None:
                raise click.ClickException(
                    f"{where}: loopkube does not serve {obj.get('apiVersion')} {obj.get('kind')} "
                    "(see `loopkube kubectl api-resources`)"
                )
            metadata: dict[str, Any] = obj.get("metadata") or {}
            namespace = (namespace_of(obj) or "default") if kind.namespaced else ""
            try:
                await client.patch(
                    kind,
                    namespace,
                    str(metadata.get("name", "")),
                    obj,
                    patch_type="application/apply-patch+yaml",
                    field_manager=FIELD_MANAGER,
                )
            except StatusError as error:
                raise click.ClickException(f"{where}: {error.message}") from error
            lines.append(f"{kind.singular}/{metadata.get('name')} applied")
    return lines

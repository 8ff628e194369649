"""The published schemas of Kubernetes' types, as data. `generate.py` writes the two files, nobody edits them."""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path

import orjson

from control.api.objects import Object


def _load(name: str) -> dict[str, Object]:
    found: dict[str, Object] = orjson.loads(gzip.decompress(Path(__file__).with_name(name).read_bytes()))
    return found


@cache
def load_structure() -> dict[str, Object]:
    """Every definition by its name (io.k8s.api.core.v1.Pod), in OpenAPI v2 form, without descriptions. Read-only."""
    return _load("structure.json.gz")


def load_definitions() -> dict[str, Object]:
    """The same with descriptions. Not kept: some megabytes that only the OpenAPI documents are made from."""
    return _load("definitions.json.gz")

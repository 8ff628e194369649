"""Writes fields.json.gz: the field numbers of Kubernetes' protobuf messages.

Run by a developer when the Kubernetes release that loopkube speaks changes, with folders that hold the release's
`generated.proto` files (check-outs of kubernetes/api and kubernetes/apimachinery):

    python -m control.apiserver.protobuf.generate FOLDER...

Keeps what can be reached from the definitions of `control.api.schemas`, which also tell what Go embeds: a nested
message whose name is no property in JSON. The output has no time stamp: the same input gives the same bytes.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from control.api.schemas import load_structure
from control.apiserver.protobuf.wire import SPECIAL

SCALARS = {
    "string": "s",
    "bytes": "y",
    "bool": "b",
    "double": "d",
    "int32": "i",
    "int64": "i",
    "uint32": "i",
    "uint64": "i",
}
_PACKAGE = re.compile(r"^package ([\w.]+);", re.MULTILINE)
_MESSAGE = re.compile(r"^message (\w+) \{(.*?)^\}", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^ *(optional|repeated|map<string, ([\w.]+)>) ?([\w.]*) (\w+) = (\d+);", re.MULTILINE)

Messages = dict[str, dict[str, list[str]]]


def definition_name(type_: str, package: str) -> str:
    """k8s.io.api.core.v1.Pod, however a file refers to it, by its name in OpenAPI."""
    full = type_.lstrip(".") if "." in type_ else f"{package}.{type_}"
    return "io.k8s." + full.removeprefix("k8s.io.")


def messages_of(text: str) -> Messages:
    """Every message of one .proto file: number -> [name, type as in `wire`]."""
    found = _PACKAGE.search(text)
    assert found is not None
    package = found[1]
    without_comments = re.sub(r"^ *//.*$", "", text, flags=re.MULTILINE)
    return {
        definition_name(name, package): {
            number: [field, _type(label, map_type, type_, package)]
            for label, map_type, type_, field, number in _FIELD.findall(body)
        }
        for name, body in _MESSAGE.findall(without_comments)
    }


def _type(label: str, map_type: str, type_: str, package: str) -> str:
    mark = "*" if label == "repeated" else "%" if map_type else ""
    spelt = map_type or type_
    return mark + (SCALARS.get(spelt) or definition_name(spelt, package))


def fitted(messages: Messages) -> Messages:
    """Only what is reachable from the served definitions; embedded structs marked, what JSON does not have left out."""
    structure = load_structure()
    kept: Messages = {}
    waiting: list[tuple[str, bool]] = [(name, False) for name in structure if name in messages]
    while waiting:
        name, embedded = waiting.pop()
        if name in kept or name in SPECIAL:
            continue
        properties = structure.get(name, {}).get("properties", {})
        fields: dict[str, list[str]] = {}
        for number, (field, type_) in messages[name].items():
            target = type_.lstrip("*%")
            spelt = {each.lower(): each for each in properties}.get(field.lower(), "")  # protobuf says uID, aPIGroup
            if embedded or spelt:
                fields[number] = [spelt or field, type_]
            elif target in messages and type_ == target:
                fields[number] = [field, "<" + type_]
            else:
                continue
            if target in messages:
                waiting.append((target, fields[number][1].startswith("<") and target not in structure))
        kept[name] = fields
    return dict(sorted(kept.items()))


def proto_files(folders: Iterable[str]) -> list[Path]:
    return sorted(path for folder in folders for path in Path(folder).rglob("generated.proto"))


def main() -> None:
    messages: Messages = {}
    for path in proto_files(sys.argv[1:]):
        messages.update(messages_of(path.read_text()))
    kept = fitted(messages)
    text = json.dumps(kept, separators=(",", ":"), sort_keys=True)
    Path(__file__).with_name("fields.json.gz").write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    print(f"{len(kept)} messages")


if __name__ == "__main__":
    main()

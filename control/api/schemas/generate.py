"""Writes structure.json.gz and definitions.json.gz from the package kubernetes-validate.

Run by a developer who installed the extra `schemas`, when the Kubernetes release that loopkube speaks changes:

    python -m control.api.schemas.generate

The package carries the OpenAPI definitions of a release, bent into JSON Schema (`"type": ["string", "null"]`, `$defs`).
This bends them back into what an API server publishes, keeps what is reachable from the kinds that loopkube serves, and
writes them twice: `structure` without a word of prose, read whenever a server starts, and `definitions` with the
descriptions, read only when somebody asks for the OpenAPI documents. The files have no time stamps, so the same input
gives the same bytes.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

from control.api.kinds import KINDS

RELEASE = "v1.37.0"
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
OTHERS = (
    "io.k8s.api.authorization.v1.SelfSubjectAccessReview",
    "io.k8s.api.authorization.v1.SelfSubjectRulesReview",
    "io.k8s.api.authorization.v1.SubjectAccessReview",
    "io.k8s.api.authorization.v1.LocalSubjectAccessReview",
    "io.k8s.api.authentication.v1.SelfSubjectReview",
    "io.k8s.api.authentication.v1.TokenReview",
    "io.k8s.api.authentication.v1.TokenRequest",
    "io.k8s.api.autoscaling.v1.Scale",
    "io.k8s.api.policy.v1.Eviction",
    "io.k8s.api.core.v1.Binding",
    *(META + name for name in ("Status", "DeleteOptions", "WatchEvent", "APIVersions", "APIResourceList")),
    *(META + name for name in ("APIGroup", "APIGroupList", "Patch")),
    "io.k8s.apimachinery.pkg.version.Info",
)
"""Served without being stored: reviews, subresources' bodies, and what the API says about itself."""

SCALARS: dict[str, dict[str, Any]] = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": "string", "format": "int-or-string"},
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": "string"},
    META + "Time": {"type": "string", "format": "date-time"},
    META + "MicroTime": {"type": "string", "format": "date-time"},
}
"""Go types that marshal themselves: their published form says what JSON they are, not how they are built."""

DEFAULTS: dict[tuple[str, str], Any] = {
    ("io.k8s.api.core.v1.ContainerPort", "protocol"): "TCP",
    ("io.k8s.api.core.v1.ServicePort", "protocol"): "TCP",
    ("io.k8s.api.core.v1.LocalObjectReference", "name"): "",
    ("io.k8s.api.core.v1.GRPCAction", "service"): "",
}
"""Kubernetes publishes few defaults, and the package none. List map keys need theirs: without a default, an element
that omits `protocol` could not be told from one that says TCP."""

PROSE = ("description", "x-kubernetes-unions")


def source() -> dict[str, Any]:
    """The definitions of the release, as the package has them."""
    folder = resources.files("kubernetes_validate") / "kubernetes-json-schema" / f"{RELEASE}-local"
    found: dict[str, Any] = json.loads((folder / "_definitions.json").read_text())["$defs"]
    return found


def published(name: str, schema: dict[str, Any], served: set[tuple[str, str]]) -> dict[str, Any]:
    """One definition, or a part of one, in the form of an API server's OpenAPI v2."""
    if name in SCALARS:
        prose = {key: schema[key] for key in ("description",) if key in schema}
        return prose | SCALARS[name]
    result: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "$ref":
            result[key] = "#/definitions/" + value.rsplit("/", 1)[1]
        elif key == "type":
            result[key] = value if isinstance(value, str) else next(each for each in value if each != "null")
        elif key == "properties":
            result[key] = {field: published("", part, served) for field, part in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            result[key] = published("", value, served)
        elif key == "x-kubernetes-group-version-kind":
            result[key] = [gvk for gvk in value if (gvk["group"], gvk["version"]) in served]
        elif key != "enum":  # only apiVersion and kind have one: an artefact of the package
            result[key] = value
    for (definition, field), default in DEFAULTS.items():
        if definition == name:
            result["properties"][field]["default"] = default
    return result


def references(schema: Any) -> Iterable[str]:
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref" and isinstance(value, str):  # JSONSchemaProps has a property of that name
                yield value.rsplit("/", 1)[1]
            else:
                yield from references(value)


def reachable(definitions: dict[str, Any], roots: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(references(definitions[name]))
    return sorted(seen)


def roots_of(definitions: dict[str, Any]) -> list[str]:
    """The definitions of our kinds and their lists, found by the group, version and kind that they carry."""
    named = {
        (gvk["group"], gvk["version"], gvk["kind"]): name
        for name, schema in definitions.items()
        for gvk in schema.get("x-kubernetes-group-version-kind", ())
        if len(schema["x-kubernetes-group-version-kind"]) == 1
    }
    return [named[kind.group, kind.version, each] for kind in KINDS for each in (kind.kind, kind.list_kind)]


def without_prose(schema: Any) -> Any:
    """Properties are never dropped, even one that is called `description`."""
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties":
            kept[key] = {field: without_prose(part) for field, part in value.items()}
        elif key not in PROSE:
            kept[key] = without_prose(value)
    return kept


def write(path: Path, value: Any) -> None:
    text = json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    path.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


def main() -> None:
    bent = source()
    served = {(kind.group, kind.version) for kind in KINDS} | {
        ("authorization.k8s.io", "v1"), ("authentication.k8s.io", "v1"),
    }  # fmt: skip
    kept = reachable(bent, [*roots_of(bent), *OTHERS])
    definitions = {name: published(name, bent[name], served) for name in kept}
    folder = Path(__file__).parent
    write(folder / "definitions.json.gz", definitions)
    write(folder / "structure.json.gz", without_prose(definitions))
    print(f"{len(definitions)} definitions of {RELEASE}")


if __name__ == "__main__":
    main()

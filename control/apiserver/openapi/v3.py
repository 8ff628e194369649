"""OpenAPI v3: a document for each group version, so that a client fetches what it needs.

The definitions are kept in OpenAPI v2 form; v3 differs in where references point, in that a reference takes no siblings
(it goes into an allOf beside them), and in that types with two forms can say so. An operation keeps its body apart
from its parameters and names the media types there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from control.api.objects import Object
from control.apiserver.openapi.operations import JSON_TYPES, PATCH, PATCH_TYPES, Operation, Parameter

PREFIX = "#/components/schemas/"
_TWO_FORMS: dict[str, list[Object]] = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": [{"type": "integer"}, {"type": "string"}],
    "io.k8s.apimachinery.pkg.api.resource.Quantity": [{"type": "string"}, {"type": "number"}],
}


def schema(name: str, definition: Mapping[str, Any]) -> Object:
    """A definition in v3 form."""
    converted = _convert(definition)
    if name in _TWO_FORMS:
        converted.pop("type", None)
        converted["oneOf"] = _TWO_FORMS[name]
    return converted


def _convert(part: Mapping[str, Any]) -> Object:
    converted: Object = {}
    for key, value in part.items():
        if key == "properties":
            converted[key] = {name: _convert(field) for name, field in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            converted[key] = _convert(value)
        elif key != "$ref":
            converted[key] = value
    reference = part.get("$ref")
    if reference is None:
        return converted
    target = {"$ref": PREFIX + reference.rsplit("/", 1)[1]}
    return {"allOf": [target], **converted} if converted else target


def paths(operations: Iterable[Operation]) -> Object:
    """The paths object of a document."""
    found: Object = {}
    for operation in operations:
        found.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return found


def _operation(operation: Operation) -> Object:
    described: Object = {
        "tags": [operation.tag],
        "description": operation.description,
        "operationId": operation.id,
        "parameters": [_parameter(parameter) for parameter in operation.parameters],
    }
    if operation.body:
        types = PATCH_TYPES if operation.body == PATCH else JSON_TYPES
        described["requestBody"] = {"content": _content(types, operation.body)}
        if operation.method != "delete":
            described["requestBody"]["required"] = True
    answer = _content(JSON_TYPES, operation.answer) if operation.answer else {"text/plain": {"schema": _TEXT}}
    described["responses"] = {
        **{str(code): {"description": _SUCCESS[code], "content": answer} for code in operation.success},
        "401": {"description": "Unauthorized"},
    }
    kind = operation.kind
    described["x-kubernetes-action"] = operation.action
    described["x-kubernetes-group-version-kind"] = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    return described


_SUCCESS = {200: "OK", 201: "Created", 202: "Accepted"}
_TEXT = {"type": "string"}


def _content(types: Iterable[str], definition: str) -> Object:
    return {media: {"schema": {"$ref": PREFIX + definition}} for media in types}


def _parameter(parameter: Parameter) -> Object:
    described: Object = {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "schema": {"type": parameter.type, "uniqueItems": True},
    }
    if parameter.place == "path":
        described["required"] = True
    return described

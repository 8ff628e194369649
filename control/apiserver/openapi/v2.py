"""OpenAPI v2 (Swagger): one document of everything, for clients from before v3.

The definitions are kept in this form already. An operation's body is a parameter here, and its media types stand in
`consumes` and `produces`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from control.api.objects import Object
from control.apiserver.discovery import GIT_VERSION
from control.apiserver.openapi.operations import JSON_TYPES, PATCH, PATCH_TYPES, Operation, Parameter

PREFIX = "#/definitions/"
_SUCCESS = {200: "OK", 201: "Created", 202: "Accepted"}


def document(definitions: Mapping[str, Object], operations: Iterable[Operation]) -> Object:
    """The document of `definitions` and `operations`."""
    paths: Object = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": GIT_VERSION},
        "paths": paths,
        "definitions": definitions,
    }


def _operation(operation: Operation) -> Object:
    parameters = [_parameter(parameter) for parameter in operation.parameters]
    if operation.body:
        body: Object = {"name": "body", "in": "body", "schema": {"$ref": PREFIX + operation.body}}
        if operation.method != "delete":
            body["required"] = True
        parameters.insert(0, body)
    kind = operation.kind
    described: Object = {
        "tags": [operation.tag],
        "description": operation.description,
        "operationId": operation.id,
        "consumes": list(PATCH_TYPES) if operation.body == PATCH else ["*/*"],
        "produces": list(JSON_TYPES) if operation.answer else ["text/plain"],
        "parameters": parameters,
        "responses": _responses(operation),
        "x-kubernetes-action": operation.action,
        "x-kubernetes-group-version-kind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
    }
    return described


def _responses(operation: Operation) -> Object:
    answer: Object = {"$ref": PREFIX + operation.answer} if operation.answer else {"type": "string"}
    found: Object = {str(code): {"description": _SUCCESS[code], "schema": answer} for code in operation.success}
    found["401"] = {"description": "Unauthorized"}
    return found


def _parameter(parameter: Parameter) -> Object:
    described: Object = {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "type": parameter.type,
        "uniqueItems": True,
    }
    if parameter.place == "path":
        described["required"] = True
    return described

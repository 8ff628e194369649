"""PATCH: the three ways to say a change, behind one door.

A client says what it wants changed (RFC 6902), how the result differs (RFC 7386), or the same with the schema's merge
keys (strategic merge). Each is a function of values; this door reads the body, picks one, and hands the caller an
object of its own: what comes out shares nothing with `current`, because defaulting and the strategies change it in
place. The fourth content type, apply, is not a patch but a merge of owners: `control.apiserver.apply`.

Whose fault: a body that is no patch is the client's 400, a patch that does not fit the object is its 422. Kubernetes
answers some unfitting strategic patches with 500, as an accident of Go; here they are 400 with the same words.
"""

from __future__ import annotations

from typing import Any

import orjson

from control.api.objects import Object
from control.api.schema import Schema
from control.api.status import StatusError, bad_request
from control.apiserver.patch import json_patch, strategic
from control.apiserver.patch.merge import merge_patch

__all__ = ["CONTENT_TYPES", "JSON_PATCH", "MERGE_PATCH", "STRATEGIC_MERGE_PATCH", "apply_patch", "merge_patch"]

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
CONTENT_TYPES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH)

_GO_TYPES = {list: "array", str: "string", int: "number", float: "number", bool: "bool"}


def apply_patch(content_type: str, current: Object, body: bytes, schema: Schema) -> Object:
    """`current` as changed by `body`; a new object that shares nothing with `current`. Raises StatusError."""
    try:
        return _apply(content_type, current, orjson.loads(body), schema)
    except orjson.JSONDecodeError as error:
        raise bad_request("invalid JSON patch") from error
    except (RecursionError, orjson.JSONEncodeError) as error:
        raise bad_request("invalid JSON patch: it is nested too deeply") from error


def _apply(content_type: str, current: Object, patch: Any, schema: Schema) -> Object:
    if content_type == STRATEGIC_MERGE_PATCH:
        return _strategic(current, patch, schema)
    if content_type == MERGE_PATCH:
        if not isinstance(patch, dict | list):
            raise bad_request("Invalid JSON Patch")
        return _own_object(merge_patch(current, patch))
    if content_type == JSON_PATCH:
        return _json(current, patch)
    accepted = ", ".join((*CONTENT_TYPES, "application/apply-patch+yaml"))
    message = f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    raise StatusError(415, "UnsupportedMediaType", message)


def _json(current: Object, patch: Any) -> Object:
    try:
        operations = json_patch.decode(patch)
    except json_patch.MalformedPatchError as error:
        raise bad_request(str(error)) from error
    if len(operations) > json_patch.OPERATIONS_MAX:
        limit = f"is {json_patch.OPERATIONS_MAX}, got {len(operations)}"
        message = f"Request entity too large: The allowed maximum operations in a JSON patch {limit}"
        raise StatusError(413, "RequestEntityTooLarge", message)
    try:
        return _own_object(json_patch.apply(orjson.loads(orjson.dumps(current)), operations))
    except json_patch.PatchError as error:
        raise _unprocessable() from error


def _strategic(current: Object, patch: Any, schema: Schema) -> Object:
    if not isinstance(patch, dict):
        raise bad_request(f"json: cannot unmarshal {_go_type(patch)} into Go value of type map[string]interface {{}}")
    try:
        return _own_object(strategic.merge(orjson.loads(orjson.dumps(current)), patch, schema))
    except strategic.ListOfListsError as error:
        raise _unprocessable() from error
    except strategic.PatchFormatError as error:
        raise bad_request(str(error)) from error


def _unprocessable() -> StatusError:
    """What apimachinery's NewGenericServerResponse says for 422; the reason proper stays in the error's cause."""
    return StatusError(422, "Invalid", "the server rejected our request due to an error in our request", {})


def _own_object(patched: Any) -> Object:
    """`patched` without what it shares with its inputs: through JSON is the fastest deep copy there is.

    The encoder refuses what is nested more than 254 deep, here and not where the object is stored.
    """
    text = orjson.dumps(patched)
    if isinstance(patched, dict):
        own: Object = orjson.loads(text)
        return own
    message = (
        f"Invalid value: {orjson.dumps(text.decode()).decode()}: cannot unmarshal {_go_type(patched)} into an object"
    )
    details: Object = {"causes": [{"reason": "FieldValueInvalid", "message": message, "field": "patch"}]}
    raise StatusError(422, "Invalid", f' "" is invalid: patch: {message}', details)


def _go_type(value: Any) -> str:
    return _GO_TYPES.get(type(value), "null")

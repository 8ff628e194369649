"""The v2 document as protobuf: message openapi.v2.Document of gnostic's OpenAPIv2.proto.

client-go asks for `application/com.github.proto-openapi.spec.v2@v1.0+protobuf` and older ones take nothing else. The
message mirrors the JSON, so a table a message is all there is to write: JSON member -> (field number, how to encode).
What is not in a message's table is a vendor extension (`x-...`), written as YAML, which JSON is.

Wire format: each field is a varint of (number << 3 | type) and, for type 2, a length and the bytes; type 0 is a varint.
Absent fields are not written, and neither are false and "".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

Encode = Callable[[Any], bytes]
Fields = Mapping[str, tuple[int, Encode]]


def varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _bytes(number: int, value: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(value)) + value


def _text(value: str) -> bytes:
    return value.encode()


def _any(value: Any) -> bytes:
    """Message Any: the value as YAML."""
    return _bytes(2, orjson.dumps(value) + b"\n")


def _strings(value: Any) -> bytes:
    """TypeItem, StringArray: one repeated string."""
    return b"".join(_bytes(1, _text(item)) for item in ([value] if isinstance(value, str) else value))


def _named(number: int, encode: Encode) -> Encode:
    """A JSON object as a repeated field of messages with the key as `name` (1) and the value as `value` (2)."""

    def encoded(value: Mapping[str, Any]) -> bytes:
        return b"".join(
            _bytes(number, _bytes(1, _text(name)) + _bytes(2, encode(part))) for name, part in value.items()
        )

    return encoded


class Repeated:
    """A JSON list as a repeated field."""

    def __init__(self, encode: Encode) -> None:
        self.encode = encode

    def __call__(self, value: Any) -> bytes:
        raise TypeError("a repeated field has no encoding of its own")


def _message(value: Mapping[str, Any], fields: Fields, extension: int) -> bytes:
    parts = []
    for key, part in value.items():
        known = fields.get(key)
        if known is None:
            parts.append(_bytes(extension, _bytes(1, _text(key)) + _bytes(2, _any(part))))
            continue
        number, encode = known
        if isinstance(encode, Repeated):
            parts.extend(_bytes(number, encode.encode(item)) for item in part)
        elif isinstance(part, bool):
            if part:
                parts.append(varint(number << 3) + b"\x01")
        elif part != "":
            parts.append(_bytes(number, encode(part)))
    return b"".join(parts)


def _schema(value: Mapping[str, Any]) -> bytes:
    return _message(value, _SCHEMA, 31)


def _additional(value: Any) -> bytes:
    """AdditionalPropertiesItem: a schema, or whether any."""
    return varint(2 << 3) + (b"\x01" if value else b"\x00") if isinstance(value, bool) else _bytes(1, _schema(value))


def _schema_item(value: Mapping[str, Any]) -> bytes:
    """ItemsItem, and SchemaItem of a response: a schema as field 1."""
    return _bytes(1, _schema(value))


_SCHEMA: Fields = {
    "$ref": (1, _text),
    "format": (2, _text),
    "title": (3, _text),
    "description": (4, _text),
    "default": (5, _any),
    "required": (19, Repeated(_text)),
    "enum": (20, Repeated(_any)),
    "additionalProperties": (21, _additional),
    "type": (22, _strings),
    "items": (23, _schema_item),
    "allOf": (24, Repeated(_schema)),
    "properties": (25, _named(1, _schema)),
}
_BODY: Fields = {
    "description": (1, _text),
    "name": (2, _text),
    "in": (3, _text),
    "required": (4, _text),
    "schema": (5, _schema),
}
_QUERY: Fields = {
    "required": (1, _text),
    "in": (2, _text),
    "description": (3, _text),
    "name": (4, _text),
    "type": (6, _text),
    "format": (7, _text),
    "uniqueItems": (20, _text),
}
_PATH: Fields = {
    "required": (1, _text),
    "in": (2, _text),
    "description": (3, _text),
    "name": (4, _text),
    "type": (5, _text),
    "format": (6, _text),
    "uniqueItems": (18, _text),
}


def _parameter(value: Mapping[str, Any]) -> bytes:
    """ParametersItem: parameter (1) is a body (1) or another (2), which is a query's (3) or a path's (4)."""
    if value["in"] == "body":
        return _bytes(1, _bytes(1, _message(value, _BODY, 6)))
    if value["in"] == "path":
        return _bytes(1, _bytes(2, _bytes(4, _message(value, _PATH, 22))))
    return _bytes(1, _bytes(2, _bytes(3, _message(value, _QUERY, 23))))


def _response(value: Mapping[str, Any]) -> bytes:
    return _bytes(1, _message(value, {"description": (1, _text), "schema": (2, _schema_item)}, 5))


_OPERATION: Fields = {
    "tags": (1, Repeated(_text)),
    "description": (3, _text),
    "operationId": (5, _text),
    "produces": (6, Repeated(_text)),
    "consumes": (7, Repeated(_text)),
    "parameters": (8, Repeated(_parameter)),
    "responses": (9, _named(1, _response)),
}


def _operation(value: Mapping[str, Any]) -> bytes:
    return _message(value, _OPERATION, 13)


_PATH_ITEM: Fields = {
    "get": (2, _operation),
    "put": (3, _operation),
    "post": (4, _operation),
    "delete": (5, _operation),
    "patch": (8, _operation),
}
_DOCUMENT: Fields = {
    "swagger": (1, _text),
    "info": (2, lambda value: _message(value, {"title": (1, _text), "version": (2, _text)}, 7)),
    "paths": (8, _named(2, lambda value: _message(value, _PATH_ITEM, 10))),
    "definitions": (9, _named(1, _schema)),
}


def document(value: Mapping[str, Any]) -> bytes:
    """A v2 document, as `v2.document` makes it, on the wire."""
    return _message(value, _DOCUMENT, 16)

"""The way back of `control.apiserver.protobuf`: JSON values into bytes, as a Go client writes them."""

from __future__ import annotations

from base64 import b64decode
from datetime import datetime
from typing import Any

import orjson

from control.apiserver.protobuf.wire import MAGIC, Field, table_of

_META = "io.k8s.apimachinery.pkg.apis.meta.v1."


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def piece(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def number(number_: int, value: int) -> bytes:
    return varint(number_ << 3) + varint(value)


def body(obj: dict[str, Any], definition: str) -> bytes:
    kind = piece(1, obj["apiVersion"].encode()) + piece(2, obj["kind"].encode())
    return MAGIC + piece(1, kind) + piece(2, message(obj, definition))


def message(value: Any, definition: str) -> bytes:
    short = definition.rpartition(".")[2]
    if short in ("Time", "MicroTime"):
        at = datetime.fromisoformat(value)
        return number(1, int(at.timestamp())) + number(2, at.microsecond * 1000)
    if short == "Quantity":
        return piece(1, value.encode())
    if short == "IntOrString":
        return number(1, 0) + number(2, value) if isinstance(value, int) else number(1, 1) + piece(3, value.encode())
    if short in ("FieldsV1", "RawExtension"):
        return piece(1, orjson.dumps(value))
    if short == "ExtraValue":
        return b"".join(piece(1, item.encode()) for item in value)
    encoded = b""
    for at_, field in table_of(definition).items():
        if field.inline:
            own = message(value, field.type)
            encoded += piece(at_, own) if own else b""
        elif field.name in value:
            encoded += _field(at_, value[field.name], field)
    return encoded


def _field(at: int, value: Any, field: Field) -> bytes:
    if field.map_value:
        return b"".join(piece(at, piece(1, key.encode()) + _scalar(2, item, field.type)) for key, item in value.items())
    if field.repeated:
        return b"".join(_scalar(at, item, field.type) for item in value)
    return _scalar(at, value, field.type)


def _scalar(at: int, value: Any, type_: str) -> bytes:
    if type_ in ("i", "b"):
        return number(at, int(value))
    if type_ == "s":
        return piece(at, value.encode())
    if type_ == "y":
        return piece(at, b64decode(value))
    return piece(at, message(value, type_))

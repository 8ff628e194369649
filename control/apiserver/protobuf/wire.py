"""Kubernetes' protobuf, read into the same values as JSON.

A body is four bytes of magic and a `runtime.Unknown`: what kind it is, and the message's bytes. A message is a sequence
of fields, each a varint of (number << 3 | wire type) and a value; which name and type a number has is in
`fields.json.gz` (written by `generate.py` from the .proto files that Kubernetes publishes), per definition:

    {"io.k8s.api.core.v1.ServicePort": {"1": ["name", "s"], "3": ["port", "i"], ...}}

Types: `s` string, `y` bytes (base64 in JSON), `i` integer, `b` boolean, `d` double, or a definition's name. A `*`
before it says repeated, a `%` that it is the value of a map, a `<` that the message's fields belong to the parent
itself: Go embeds some structs (VolumeSource in Volume), protobuf nests them, JSON does not.

Go writes every field that is not a pointer, zero or not, and which are pointers the bytes do not tell. An empty string
is taken for an absent one (no client means more by it); zero numbers and false are left to `control.api.decode`, which
knows where they mean something (`replicas: 0`). Unknown field numbers are skipped, as Go does.
"""

from __future__ import annotations

import gzip
import struct
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from control.api.objects import Object

MAGIC = b"k8s\x00"
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_NOTHING = memoryview(b"")
DEPTH_MAX = 100  # gogo's generated code and upb stop nested messages there too
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."


class ProtobufError(ValueError):
    """The bytes are no message."""


class Field(NamedTuple):
    name: str
    type: str
    repeated: bool = False
    map_value: bool = False
    inline: bool = False


def envelope(body: bytes) -> tuple[str, str, bytes]:
    """(apiVersion, kind, the message) of a request body."""
    if not body.startswith(MAGIC):
        raise ProtobufError("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    parts = _numbered(memoryview(body)[len(MAGIC) :])
    names = _numbered(_bytes(parts.get(1, _NOTHING)))
    version, kind = (_text(_bytes(names.get(number, _NOTHING))) for number in (1, 2))
    return version, kind, bytes(_bytes(parts.get(2, _NOTHING)))


def message(data: bytes, definition: str) -> Object:
    """The message of a definition as JSON has it."""
    try:
        value = _message(memoryview(data), definition, 0)
    except (KeyError, orjson.JSONDecodeError, struct.error) as error:
        raise ProtobufError(f"proto: {definition} is malformed: {error}") from None
    if not isinstance(value, dict):
        raise ProtobufError(f"proto: {definition} is no object")
    return value


def _message(data: memoryview, definition: str, depth: int) -> Any:
    special = _SPECIAL.get(definition)
    if special is not None:
        return special(data)
    if depth > DEPTH_MAX:
        raise ProtobufError("proto: exceeded max recursion depth")
    fields = table_of(definition)
    found: Object = {}
    for number, raw in _fields(data):
        field = fields.get(number)
        if field is None:
            continue
        if field.map_value:
            key, value = _entry(raw, field.type, depth)
            found.setdefault(field.name, {})[key] = value
        elif field.inline:
            found.update(_value(raw, field.type, depth))
        elif field.repeated:
            found.setdefault(field.name, []).extend(_values(raw, field.type, depth))
        else:
            value = _value(raw, field.type, depth)
            if value != "":
                found[field.name] = value
    return found


def _entry(raw: int | memoryview, type_: str, depth: int) -> tuple[str, Any]:
    """A map's entry: a message of key (1) and value (2), either of which is left out when it is zero."""
    key, value = "", _ZEROS.get(type_)
    for number, part in _fields(_bytes(raw)):
        if number == 1:
            key = _text(_bytes(part))
        elif number == 2:
            value = _value(part, type_, depth)
    return key, value


def _values(raw: int | memoryview, type_: str, depth: int) -> list[Any]:
    """One item of a repeated field, or all of them where numbers are packed."""
    if type_ in ("i", "b") and isinstance(raw, memoryview):
        items, at = [], 0
        while at < len(raw):
            number, at = _varint(raw, at)
            items.append(_value(number, type_, depth))
        return items
    return [_value(raw, type_, depth)]


def _value(raw: int | memoryview, type_: str, depth: int) -> Any:
    if type_ == "s":
        return _text(_bytes(raw))
    if type_ == "i":
        number = _integer(raw)
        return number - (1 << 64) if number >= 1 << 63 else number
    if type_ == "b":
        return bool(_integer(raw))
    if type_ == "y":
        return b64encode(_bytes(raw)).decode()
    if type_ == "d":
        return struct.unpack("<d", _bytes(raw))[0]
    return _message(_bytes(raw), type_, depth + 1)


_ZEROS: Mapping[str, Any] = {"s": "", "y": "", "i": 0, "b": False, "d": 0.0}


def _bytes(raw: int | memoryview) -> memoryview:
    if isinstance(raw, int):
        raise ProtobufError("proto: wrong wire type: a number where bytes belong")
    return raw


def _text(data: memoryview) -> str:
    try:
        return bytes(data).decode()
    except UnicodeDecodeError:
        raise ProtobufError("proto: string field contains invalid UTF-8") from None


def _integer(raw: int | memoryview) -> int:
    if not isinstance(raw, int):
        raise ProtobufError("proto: wrong wire type: bytes where a number belongs")
    return raw


def _fields(data: memoryview) -> list[tuple[int, int | memoryview]]:
    """Every field as (number, value): an int for a varint, the bytes for everything else."""
    found: list[tuple[int, int | memoryview]] = []
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        wire = tag & 7
        if wire == VARINT:
            value: int | memoryview
            value, at = _varint(data, at)
        else:
            size, at = _varint(data, at) if wire == BYTES else ({FIXED64: 8, FIXED32: 4}.get(wire, -1), at)
            if size < 0 or at + size > end:
                raise ProtobufError("proto: unexpected EOF or illegal wire type")
            value = data[at : at + size]
            at += size
        found.append((tag >> 3, value))
    return found


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ProtobufError("proto: unexpected EOF or integer overflow")
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & 0xFFFF_FFFF_FFFF_FFFF, at
        shift += 7


# --- types that marshal themselves to something else in JSON ------------------------------------------------------


def _numbered(data: memoryview) -> dict[int, int | memoryview]:
    return dict(_fields(data))


def _seconds(data: memoryview) -> tuple[int, int]:
    parts = _numbered(data)
    seconds = _value(parts.get(1, 0), "i", 0)
    return seconds, _integer(parts.get(2, 0))


def _time(data: memoryview) -> str | None:
    """An empty message is Go's zero time, which is null."""
    seconds, nanos = _seconds(data)
    if not seconds and not nanos:
        return None
    return _utc(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def _micro_time(data: memoryview) -> str | None:
    seconds, nanos = _seconds(data)
    if not seconds and not nanos:
        return None
    return f"{_utc(seconds).strftime('%Y-%m-%dT%H:%M:%S')}.{nanos // 1000:06d}Z"


def _utc(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise ProtobufError(f"proto: {seconds} is no time") from None


def _quantity(data: memoryview) -> str:
    return _text(_bytes(_numbered(data).get(1, memoryview(b"0"))))


def _int_or_string(data: memoryview) -> int | str:
    parts = _numbered(data)
    if parts.get(1, 0) == 1:
        return _text(_bytes(parts.get(3, _NOTHING)))
    number: int = _value(parts.get(2, 0), "i", 0)
    return number


def _raw_json(data: memoryview) -> Any:
    raw = bytes(_bytes(_numbered(data).get(1, _NOTHING)))
    return orjson.loads(raw) if raw else None


def _items(data: memoryview) -> list[str]:
    return [_text(_bytes(raw)) for number, raw in _fields(data) if number == 1]


_SPECIAL: Mapping[str, Callable[[memoryview], Any]] = {
    _META + "Time": _time,
    _META + "MicroTime": _micro_time,
    _META + "FieldsV1": _raw_json,
    "io.k8s.apimachinery.pkg.api.resource.Quantity": _quantity,
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": _int_or_string,
    "io.k8s.apimachinery.pkg.runtime.RawExtension": _raw_json,
    "io.k8s.api.authentication.v1.ExtraValue": _items,
    "io.k8s.api.authorization.v1.ExtraValue": _items,
}
SPECIAL = frozenset(_SPECIAL)


# --- which number is which field ----------------------------------------------------------------------------------


@cache
def _all_fields() -> dict[str, Object]:
    """Read when the first protobuf body comes; many clients never send one."""
    found: dict[str, Object] = orjson.loads(gzip.decompress(Path(__file__).with_name("fields.json.gz").read_bytes()))
    return found


@cache
def table_of(definition: str) -> dict[int, Field]:
    return {int(number): field_of(name, text) for number, (name, text) in _all_fields()[definition].items()}


def field_of(name: str, text: str) -> Field:
    mark, type_ = (text[0], text[1:]) if text[0] in "*%<" else ("", text)
    return Field(name, type_, mark == "*", mark == "%", mark == "<")

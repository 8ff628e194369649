"""The contract on the wire: a length, then JSON, the same in both directions.

Each message is a 4-byte big-endian length and that many bytes of one JSON object with exactly one key, which is the
message's type: `{"update": {...}}`, `{"ack": {...}}` or `{"nack": {...}}`. A resource inside an update is the pair
`["endpoint", {...}]`, its type and its fields under the model's own names. JSON because a person can read it with
`jq` when something is odd, a length because a reader must know where a message ends without parsing it and must be
able to refuse one that is too big before it has arrived.

`bytes_max` bounds what a peer can make us hold. 256 MiB is about 500,000 endpoints at 300 to 500 bytes each, ten times
what one machine is expected to hold; more is a fault and not a big cluster.

A decoder that has refused something is broken for good: what follows in the stream cannot be trusted to begin at a
message, so the connection is closed and a new one starts with a full update.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from dataplane.snapshot.model import TYPES, Ack, Message, Nack, Resource, ResourceKey, Update, type_of
from dataplane.snapshot.strict import ContractError, decode, every

__all__ = ["BYTES_MAX", "ContractError", "Decoder", "decode_json", "encode", "encode_json"]

BYTES_MAX = 256 * 1024 * 1024
LENGTH_BYTES = 4

T = TypeVar("T")


def encode(message: Message) -> bytes:
    """The message with its length in front, ready for a socket."""
    body = encode_json(message)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def encode_json(message: Message) -> bytes:
    """The message as one line of JSON without framing: what a `--snapshot` file holds, one message a line."""
    if isinstance(message, Update):
        fields: Any = {
            "version": message.version,
            "full": message.full,
            "upserts": [(type_of(resource), resource) for resource in message.upserts],
            "removes": message.removes,
            "triggered_at": message.triggered_at,
            "published_at": message.published_at,
            "warnings": message.warnings,
        }
        return orjson.dumps({"update": fields})
    return orjson.dumps({"ack" if isinstance(message, Ack) else "nack": message})


def decode_json(body: bytes) -> Message:
    """One message from its JSON; ContractError names every field that is wrong."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ContractError(f"message: not JSON: {error}") from None
    if type(value) is not dict or len(value) != 1:
        raise ContractError("message: one object with one key belongs here: update, ack or nack")
    ((kind, fields),) = value.items()
    if kind == "update":
        return _update(fields)
    if kind == "ack":
        return decode(Ack, fields, "ack")
    if kind == "nack":
        return decode(Nack, fields, "nack")
    raise ContractError(f"message: {kind!r} is none of update, ack, nack")


def _update(fields: Any) -> Update:
    if type(fields) is not dict:
        raise ContractError("update: an object belongs here")
    wrong: list[str] = []
    head = _or_wrong(wrong, lambda: _head(fields))
    upserts = _or_wrong(wrong, lambda: _each(_resource, fields, "upserts"))
    removes = _or_wrong(wrong, lambda: _each(_key, fields, "removes"))
    if head is None or upserts is None or removes is None:
        raise ContractError(*wrong)
    return Update(head.version, head.full, upserts, removes, head.triggered_at, head.published_at, head.warnings)


def _or_wrong(wrong: list[str], part: Callable[[], T]) -> T | None:
    """A part of a message, or None, and then its problems are added."""
    try:
        return part()
    except ContractError as error:
        wrong += error.args
        return None


def _head(fields: dict[str, Any]) -> _Head:
    rest = {name: value for name, value in fields.items() if name not in ("upserts", "removes")}
    return decode(_Head, rest, "update")


def _each(check: Callable[[Any, str], T], fields: dict[str, Any], name: str) -> tuple[T, ...]:
    return every((check, item, f"update.{name}[{index}]") for index, item in enumerate(_list(fields, name)))


def _list(fields: dict[str, Any], name: str) -> list[Any]:
    value = fields.get(name, [])
    if type(value) is not list:
        raise ContractError(f"update.{name}: a list belongs here")
    return value


def _resource(item: Any, path: str) -> Resource:
    if type(item) is not list or len(item) != 2:
        raise ContractError(f"{path}: a pair of type and resource belongs here")
    kind, fields = item
    if type(kind) is not str or kind not in TYPES:
        raise ContractError(f"{path}: {kind!r} is no resource type; there are {', '.join(TYPES)}")
    return decode(TYPES[kind], fields, f"{path}.{kind}")


def _key(item: Any, path: str) -> ResourceKey:
    if type(item) is not list or len(item) != 2 or type(item[1]) is not str:
        raise ContractError(f"{path}: a pair of type and name belongs here")
    kind, name = item
    if type(kind) is not str or kind not in TYPES:
        raise ContractError(f"{path}: {kind!r} is no resource type; there are {', '.join(TYPES)}")
    return kind, name


@dataclass(frozen=True, slots=True)
class _Head:
    """The fields of an Update that are no resources, as the model has them."""

    version: int
    full: bool
    triggered_at: float = 0.0
    published_at: float = 0.0
    warnings: tuple[tuple[str, int], ...] = ()


class Decoder:
    """Bytes in whatever pieces they arrive -> messages. Refuses a length above `bytes_max` before buffering it."""

    __slots__ = ("_buffer", "_bytes_max", "_error")

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._buffer = bytearray()
        self._bytes_max = bytes_max
        self._error: ContractError | None = None

    @property
    def pending(self) -> int:
        """Bytes of a message that has begun and not ended: not zero at end of stream means a torn message."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Message]:
        """The messages that `data` completes, in order; ContractError on the first bad one, and ever after."""
        if self._error is not None:
            raise self._error
        self._buffer += data
        try:
            return self._take()
        except ContractError as error:
            self._error = error
            self._buffer.clear()
            raise

    def _take(self) -> list[Message]:
        buffer, messages, start = self._buffer, [], 0
        while len(buffer) - start >= LENGTH_BYTES:
            length = int.from_bytes(buffer[start : start + LENGTH_BYTES], "big")
            if length > self._bytes_max:
                raise ContractError(f"message: {length} bytes announced, {self._bytes_max} are allowed")
            end = start + LENGTH_BYTES + length
            if end > len(buffer):
                break
            messages.append(decode_json(bytes(buffer[start + LENGTH_BYTES : end])))
            start = end
        del buffer[:start]
        return messages

"""JSON patch, RFC 6902, with the readings that Kubernetes users depend on.

A patch is a list of operations applied in order, all or nothing (the caller passes a copy and drops it on an error).
Kubernetes applies it with evanphx/json-patch v4, which differs from the RFC in four ways, kept here because patches in
the wild rely on them:

- `replace` of a member that an object does not have adds it (of a list index it is an error);
- the path "" (the whole document) is fine for `test` and `replace`, an error elsewhere;
- an index may be negative and then counts from the end;
- `test` of an absent member against null (or no value) succeeds.

Limits: 10,000 operations a patch; all `copy` operations together may add 3 MiB (kube-apiserver's numbers: a patch of a
few bytes could otherwise double a document forty times).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import orjson

OPERATIONS_MAX = 10_000
COPIED_BYTES_MAX = 3 * 1024 * 1024

_INDEX = re.compile(r"[+-]?[0-9]+\Z")
_ABSENT = object()


class MalformedPatchError(Exception):
    """The body is JSON, but no JSON patch."""


class PatchError(Exception):
    """An operation does not apply to this document; the text is evanphx/json-patch's."""


class Operation(NamedTuple):
    op: str
    path: str | None
    source: str | None  # "from"
    value: Any  # _ABSENT where the patch has none


def decode(patch: Any) -> list[Operation]:
    """The operations of a parsed patch body. Raises MalformedPatchError."""
    if not isinstance(patch, list):
        raise MalformedPatchError("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    operations = []
    for item in patch:
        if not isinstance(item, dict):
            raise MalformedPatchError("json: cannot unmarshal value into Go value of type jsonpatch.Operation")
        op, path, source = item.get("op"), item.get("path"), item.get("from")
        operations.append(
            Operation(
                op if isinstance(op, str) else "unknown",
                path if isinstance(path, str) else None,
                source if isinstance(source, str) else None,
                item.get("value", _ABSENT),
            )
        )
    return operations


def apply(document: Any, operations: Sequence[Operation]) -> Any:
    """The document after all operations. Changes `document`; raises PatchError and leaves it half changed."""
    root = [document]  # a container of its own, so that an operation can replace the whole document
    copied_bytes = 0
    for operation in operations:
        if operation.op == "copy":
            copied_bytes += _copy(root, operation, COPIED_BYTES_MAX - copied_bytes, copied_bytes)
            continue
        perform = _PERFORM.get(operation.op)
        if perform is None:
            raise PatchError(f"Unexpected kind: {operation.op}")
        perform(root, operation)
    return root[0]


def _path(operation: Operation) -> str:
    if operation.path is None:
        raise PatchError(f"{operation.op} operation failed to decode path: missing value")
    return operation.path


def _source(operation: Operation) -> str:
    if operation.source is None:
        raise PatchError(f"{operation.op} operation failed to decode from: missing value")
    return operation.source


def _find(document: Any, pointer: str) -> tuple[Any, str] | None:
    """The container that `pointer`'s last token names a member of, and that token; None where there is none."""
    tokens = pointer.split("/")
    if len(tokens) < 2:
        return None
    found = document
    for token in tokens[1:-1]:
        try:
            found = _get(found, _unescape(token))
        except PatchError:
            return None
        if not isinstance(found, dict | list):
            return None
    return (found, _unescape(tokens[-1])) if isinstance(found, dict | list) else None


def _unescape(token: str) -> str:
    return token.replace("~1", "/").replace("~0", "~") if "~" in token else token


def _index(key: str) -> int:
    if _INDEX.match(key) is None:
        raise PatchError(f'strconv.Atoi: parsing "{key}": invalid syntax')
    return int(key)


def _position(key: str, size: int, last: int) -> int:
    """Where index `key` points in a list of `size`; at most `last`."""
    index = _index(key)
    if index > last or index < -size:
        raise PatchError(f"Unable to access invalid index: {index}: invalid index referenced")
    return index + size if index < 0 else index


def _get(container: Any, key: str) -> Any:
    """The member `key`; _ABSENT in an object that has none, PatchError in a list."""
    if isinstance(container, dict):
        return container.get(key, _ABSENT)
    return container[_position(key, len(container), len(container) - 1)]


def _add(container: Any, key: str, value: Any) -> None:
    value = None if value is _ABSENT else value
    if isinstance(container, dict):
        container[key] = value
    elif key == "-":
        container.append(value)
    else:
        if _INDEX.match(key) is None:
            raise PatchError(f"value was not a proper array index: '{key}': strconv.Atoi: invalid syntax")
        container.insert(_position(key, len(container) + 1, len(container)), value)


def _remove(container: Any, key: str) -> None:
    if isinstance(container, list):
        del container[_position(key, len(container), len(container) - 1)]
    elif key in container:
        del container[key]
    else:
        raise PatchError(f"Unable to remove nonexistent key: {key}: missing value")


def _perform_add(root: list[Any], operation: Operation) -> None:
    path = _path(operation)
    place = _find(root[0], path)
    if place is None:
        raise PatchError(f'add operation does not apply: doc is missing path: "{path}": missing value')
    _within("add", path, _add, *place, operation.value)


def _perform_remove(root: list[Any], operation: Operation) -> None:
    path = _path(operation)
    place = _find(root[0], path)
    if place is None:
        raise PatchError(f'remove operation does not apply: doc is missing path: "{path}": missing value')
    _within("remove", path, _remove, *place)


def _perform_replace(root: list[Any], operation: Operation) -> None:
    path = _path(operation)
    if path == "":
        if not isinstance(operation.value, dict | list):
            raise PatchError("replace operation value must be object or array")
        root[0] = operation.value
        return
    place = _find(root[0], path)
    if place is None:
        raise PatchError(f"replace operation does not apply: doc is missing path: {path}: missing value")
    container, key = place
    try:
        _get(container, key)
    except PatchError:
        raise PatchError(f"replace operation does not apply: doc is missing key: {path}: missing value") from None
    value = None if operation.value is _ABSENT else operation.value
    if isinstance(container, dict):
        container[key] = value
    else:
        container[int(key)] = value


def _perform_move(root: list[Any], operation: Operation) -> None:
    source = _source(operation)
    place = _find(root[0], source)
    if place is None:
        raise PatchError(f"move operation does not apply: doc is missing from path: {source}: missing value")
    value = _within("move", place[1], _get, *place)
    _within("move", place[1], _remove, *place)
    path = _path(operation)
    place = _find(root[0], path)
    if place is None:
        raise PatchError(f"move operation does not apply: doc is missing destination path: {path}: missing value")
    _within("move", path, _add, *place, value)


def _perform_test(root: list[Any], operation: Operation) -> None:
    path = _path(operation)
    expected = None if operation.value is _ABSENT else operation.value
    if path == "":
        found = root[0]
    else:
        place = _find(root[0], path)
        if place is None:
            raise PatchError(f"test operation does not apply: is missing path: {path}: missing value")
        found = _within("test", path, _get, *place)
        found = None if found is _ABSENT else found
    if not same(found, expected):
        raise PatchError(f"testing value {path} failed: test failed")


def _copy(root: list[Any], operation: Operation, left_bytes: int, copied_bytes: int) -> int:
    """Perform a copy; the bytes that it added to the document."""
    source = _source(operation)
    place = _find(root[0], source)
    if place is None:
        raise PatchError(f"copy operation does not apply: doc is missing from path: {source}: missing value")
    value = _within("copy", source, _get, *place, joint="for from")
    path = _path(operation)
    place = _find(root[0], path)
    if place is None:
        raise PatchError(f"copy operation does not apply: doc is missing destination path: {path}: missing value")
    text = b"" if value is _ABSENT else orjson.dumps(value)
    if len(text) > left_bytes:
        total = f"the accumulated size increase of copy is {copied_bytes + len(text)}"
        raise PatchError(f"Unable to complete the copy, {total}, exceeding the limit {COPIED_BYTES_MAX}")
    try:
        _add(*place, orjson.loads(text) if text else None)
    except PatchError as error:
        raise PatchError(f"error while adding value during copy: {error}") from None
    return len(text)


def _within(op: str, path: str, act: Callable[..., Any], *arguments: Any, joint: str = "for path") -> Any:
    """`act`, whose failure is told with the operation and the path."""
    try:
        return act(*arguments)
    except PatchError as error:
        raise PatchError(f"error in {op} {joint}: '{path}': {error}") from None


def same(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal; unlike Python's ==, true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and left.keys() == right.keys()
            and all(same(value, right[key]) for key, value in left.items())
        )
    if isinstance(left, list):
        return isinstance(right, list) and len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


_PERFORM: dict[str, Callable[[list[Any], Operation], None]] = {
    "add": _perform_add,
    "remove": _perform_remove,
    "replace": _perform_replace,
    "move": _perform_move,
    "test": _perform_test,
}

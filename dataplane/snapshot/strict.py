"""Strict types: a JSON object becomes a dataclass only if every field is there by name, by type and by value.

The contract is between two programs of ours, so a surprise is a mistake in one of them and never something to be
lenient about: a field too many, a field too few (unless the model gives it a default), `1` where text belongs, `true`
where a number belongs, a word that the model's Literal does not list. Each is refused with the path of the offending
field, and all that is wrong is said at once, because the publisher logs what the worker says and a person has to find
the objects.

The checks are compiled once per dataclass from its type hints, so the model stays the only place that lists fields.
A field of type `X | None` holds null or what an X is; a field that is a dataclass holds an object.
Integers are accepted where a float belongs (JSON writers drop `.0`), never the other way round; infinities and NaN
cannot be written in JSON and need no check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

Check = Callable[[Any, str], Any]
"""(value, path of the field within its object) -> the value as the model wants it, or ContractError."""

T = TypeVar("T")


PROBLEMS_NAMED = 50  # in one text: what a person reads of a log line; the others are counted


class ContractError(Exception):
    """Bytes or values that the contract does not allow: one argument for each problem, naming the field."""

    def __str__(self) -> str:
        more = len(self.args) - PROBLEMS_NAMED
        return "; ".join(self.args[:PROBLEMS_NAMED]) + (f"; and {more} more" if more > 0 else "")


def decode(cls: type[T], value: Any, path: str) -> T:
    """Turn a decoded JSON object into `cls`, refusing whatever the dataclass does not declare."""
    checks, required = _plan(cls)
    if type(value) is not dict:
        raise ContractError(f"{path}: {_kind(value)} where an object belongs")
    arguments: dict[str, Any] = {}
    wrong: list[str] = []
    for name, item in value.items():
        check = checks.get(name)
        if check is None:
            wrong.append(f"{name}: unknown field")
            continue
        try:
            arguments[name] = check(item, name)
        except ContractError as error:  # the whole path is put together only where somebody will read it
            wrong += error.args
    wrong += [f"{name}: missing" for name in required if name not in value]
    if wrong:
        raise ContractError(*(f"{path}.{each}" for each in wrong))
    return cls(**arguments)


def every(checks: Iterable[tuple[Callable[[Any, str], T], Any, str]]) -> tuple[T, ...]:
    """What (check, value, path) yield, all of them, or one ContractError with everything that is wrong."""
    made: list[T] = []
    wrong: list[str] = []
    for check, value, path in checks:
        try:
            made.append(check(value, path))
        except ContractError as error:
            wrong += error.args
    if wrong:
        raise ContractError(*wrong)
    return tuple(made)


_PLANS: dict[type[Any], tuple[dict[str, Check], tuple[str, ...]]] = {}


def _plan(cls: type[Any]) -> tuple[dict[str, Check], tuple[str, ...]]:
    """(check of each field, names of fields without a default), found out once per class."""
    plan = _PLANS.get(cls)
    if plan is not None:
        return plan
    hints = get_type_hints(cls)
    checks = {field.name: _check(hints[field.name]) for field in fields(cls)}
    required = tuple(
        field.name for field in fields(cls) if field.default is MISSING and field.default_factory is MISSING
    )
    _PLANS[cls] = checks, required
    return checks, required


def _check(hint: Any) -> Check:
    origin = get_origin(hint)
    if origin is Literal:
        return _one_of(frozenset(get_args(hint)))
    if origin is tuple:
        inner = get_args(hint)
        if len(inner) == 2 and inner[1] is Ellipsis:
            return _many(_check(inner[0]))
        return _record(tuple(_check(item) for item in inner))
    if origin is UnionType:
        (part,) = (item for item in get_args(hint) if item is not NoneType)
        return _or_null(_check(part))
    if isinstance(hint, type) and is_dataclass(hint):
        return lambda value, path: decode(hint, value, path)
    return _SCALARS[hint]


def _text(value: Any, path: str) -> str:
    if type(value) is not str:
        raise ContractError(f"{path}: {_kind(value)} where text belongs")
    return value


def _integer(value: Any, path: str) -> int:
    if type(value) is not int:  # bool is an int to isinstance
        raise ContractError(f"{path}: {_kind(value)} where an integer belongs")
    return value


def _number(value: Any, path: str) -> float:
    if type(value) is not float and type(value) is not int:
        raise ContractError(f"{path}: {_kind(value)} where a number belongs")
    return float(value)


def _truth(value: Any, path: str) -> bool:
    if type(value) is not bool:
        raise ContractError(f"{path}: {_kind(value)} where true or false belongs")
    return value


_SCALARS: dict[Any, Check] = {str: _text, int: _integer, float: _number, bool: _truth}


def _one_of(allowed: frozenset[str]) -> Check:
    def check(value: Any, path: str) -> str:
        if type(value) is not str or value not in allowed:
            raise ContractError(f"{path}: {value!r} is none of {', '.join(sorted(allowed))}")
        return value

    return check


def _or_null(inner: Check) -> Check:
    return lambda value, path: None if value is None else inner(value, path)


def _many(inner: Check) -> Check:
    def check(value: Any, path: str) -> tuple[Any, ...]:
        if type(value) is not list:
            raise ContractError(f"{path}: {_kind(value)} where a list belongs")
        return every((inner, item, f"{path}[{index}]") for index, item in enumerate(value))

    return check


def _record(inner: tuple[Check, ...]) -> Check:
    def check(value: Any, path: str) -> tuple[Any, ...]:
        if type(value) is not list or len(value) != len(inner):
            raise ContractError(f"{path}: {_kind(value)} where a list of {len(inner)} belongs")
        return every((one, value[index], f"{path}[{index}]") for index, one in enumerate(inner))

    return check


_KINDS = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "a number")

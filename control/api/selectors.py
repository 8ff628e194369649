"""Selectors: the three small languages that choose objects by their labels and fields.

- a label selector as text (`app=web,tier in (a,b),!canary`), from `labelSelector=` and `kubectl -l`;
- a LabelSelector object (matchLabels, matchExpressions), from workloads, disruption budgets and so on;
- a field selector (`status.phase!=Running,spec.nodeName=n`), from `fieldSelector=`.

Each parses into a `Selector`: requirements that must all hold. An absent LabelSelector selects nothing, an empty one
everything. Keys that are absent satisfy `!=` and `notin`. Parsing follows apimachinery's lexer and parser to the letter
of its errors; texts are cached, since clients repeat theirs with every list and watch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from control.api import names
from control.api.objects import labels_of

BINARY = "in, notin, =, ==, !=, gt, lt"
"""As the parser lists its operators in an error."""

_TOKEN = re.compile(r"[ \t\r\n]*(?:(==|!=|[=!(),><])|([^=!(),><\s]+))")
_END = ""


class Requirement(NamedTuple):
    """`operator`: in, notin, exists, !, gt, lt. `=` is an `in` of one value, `!=` a `notin` of one."""

    key: str
    operator: str
    values: frozenset[str]

    def __call__(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "in":
                return value is not None and value in self.values
            case "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
        wanted, found = _integer(next(iter(self.values))), _integer(value)
        if found is None or wanted is None:
            return False
        return found > wanted if self.operator == "gt" else found < wanted


class Selector:
    """All of `requirements` together; called with labels (or a field map)."""

    __slots__ = ("_equal", "_rest", "nothing", "requirements")

    def __init__(self, requirements: Sequence[Requirement] = (), *, nothing: bool = False) -> None:
        self.requirements = tuple(requirements)
        self.nothing = nothing
        single = [each for each in self.requirements if each.operator == "in" and len(each.values) == 1]
        self._equal = tuple((each.key, next(iter(each.values))) for each in single)
        self._rest = tuple(each for each in self.requirements if each not in single)

    @property
    def everything(self) -> bool:
        return not self.requirements and not self.nothing

    def __call__(self, labels: Mapping[str, str]) -> bool:
        if self.nothing:
            return False
        get = labels.get
        for key, value in self._equal:
            if get(key) != value:
                return False
        return all(requirement(labels) for requirement in self._rest)

    def matches(self, obj: Mapping[str, Any]) -> bool:
        """Whether an object's labels are selected."""
        return self(labels_of(obj))

    def required(self, key: str) -> str | None:
        """The one value that `key` must have, where the selector says so: what an index can be asked for."""
        for name, value in self._equal:
            if name == key:
                return value
        return None

    def __repr__(self) -> str:
        if self.nothing:
            return "Selector(nothing)"
        return f"Selector({', '.join(f'{r.key} {r.operator} {sorted(r.values)}' for r in self.requirements)})"


EVERYTHING = Selector()
NOTHING = Selector(nothing=True)


def _integer(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch("[+-]?[0-9]+", text) else None


# --- labels, as text ----------------------------------------------------------------------------------------------


@lru_cache(maxsize=512)
def parse_labels(text: str) -> Selector:
    """A label selector's text; ValueError with apimachinery's message."""
    if not text.strip():
        return EVERYTHING
    return Selector(sorted(_Parser(text).requirements(), key=lambda each: each.key))


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []  # (kind, literal); kind is the symbol, "word", or the end
        at = 0
        while found := _TOKEN.match(text, at):
            symbol, word = found.groups()
            self.tokens.append((symbol, symbol) if symbol else ("word", word))
            at = found.end()
        self.tokens.append((_END, ""))
        self.at = 0

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at]

    def take(self) -> tuple[str, str]:
        token = self.tokens[self.at]
        self.at += 1
        return token

    def requirements(self) -> list[Requirement]:
        found: list[Requirement] = []
        while True:
            kind, literal = self.peek()
            if kind == _END:
                return found
            if kind not in ("word", "!"):
                raise ValueError(f"found '{literal}', expected: !, identifier, or 'end of string'")
            try:
                found.append(self.requirement())
            except ValueError as error:
                raise ValueError(f"unable to parse requirement: {error}") from None
            kind, literal = self.take()
            if kind == _END:
                return found
            if kind != ",":
                raise ValueError(f"found '{literal}', expected: ',' or 'end of string'")
            kind, literal = self.peek()
            if kind not in ("word", "!"):
                raise ValueError(f"found '{literal}', expected: identifier after ','")

    def requirement(self) -> Requirement:
        kind, key = self.take()
        negated = kind == "!"
        if negated:
            kind, key = self.take()
        if kind != "word":
            raise ValueError(f"found '{key}', expected: identifier")
        complaints = names.qualified_name(key)
        if complaints:
            raise ValueError(f"<nil>: Invalid value: {_quoted(key)}: {'; '.join(complaints)}")
        if self.peek()[0] in (_END, ","):
            return Requirement(key, "!" if negated else "exists", frozenset())
        if negated:
            return Requirement(key, "!", frozenset())
        kind, literal = self.take()
        operator = literal if kind == "word" else {"=": "in", "==": "in", "!=": "notin", ">": "gt", "<": "lt"}.get(kind)
        if operator is None or (kind == "word" and literal not in ("in", "notin")):
            raise ValueError(f"found '{literal}', expected: {BINARY}")
        values = self.values() if kind == "word" else self.value()
        for index, value in enumerate(sorted(values)):
            if operator in ("gt", "lt") and _integer(value) is None:
                why = "for 'Gt', 'Lt' operators, the value must be an integer"
                raise ValueError(f"values[{index}]: Invalid value: {_quoted(value)}: {why}")
            if complaints := names.label_value(value):
                raise ValueError(f"values[{index}][{key}]: Invalid value: {_quoted(value)}: {'; '.join(complaints)}")
        return Requirement(key, operator, frozenset(values))

    def value(self) -> set[str]:
        if self.peek()[0] in (_END, ","):
            return {""}
        kind, literal = self.take()
        if kind != "word":
            raise ValueError(f"found '{literal}', expected: identifier")
        return {literal}

    def values(self) -> set[str]:
        kind, literal = self.take()
        if kind != "(":
            raise ValueError(f"found '{literal}' expected: '('")
        kind, literal = self.peek()
        if kind not in ("word", ",", ")"):
            raise ValueError(f"found '{literal}', expected: ',', ')' or identifier")
        found: set[str] = set()
        last = "("
        while True:
            kind, literal = self.take()
            if kind == "word" and last != "word":
                found.add(literal)
            elif kind in (",", ")"):
                if last != "word":
                    found.add("")
                if kind == ")":
                    return found
            elif last == "word":
                raise ValueError(f"found '{literal}', expected: ',' or ')'")
            else:
                raise ValueError(f"found '{literal}', expected: ',', or identifier")
            last = kind


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


# --- labels, as an object -----------------------------------------------------------------------------------------

_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


def selector_of(selector: Mapping[str, Any] | None) -> Selector:
    """A LabelSelector object; ValueError for an unknown operator (validation refuses it before)."""
    if selector is None:
        return NOTHING
    equal = [Requirement(key, "in", frozenset((value,))) for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        operator = _OPERATORS.get(expression.get("operator", ""))
        if operator is None:
            raise ValueError(f'"{expression.get("operator", "")}" is not a valid label selector operator')
        equal.append(Requirement(expression.get("key", ""), operator, frozenset(expression.get("values") or ())))
    return Selector(equal)


def selector_of_map(labels: Mapping[str, str] | None) -> Selector:
    """A plain map, as Services and ReplicationControllers have it: absent and empty select nothing."""
    if not labels:
        return NOTHING
    return Selector([Requirement(key, "in", frozenset((value,))) for key, value in labels.items()])


def format_selector(selector: Mapping[str, Any] | None) -> str:
    """As metav1.FormatLabelSelector writes it: for printer columns and scale's status.selector."""
    if selector is None:
        return "<none>"
    parts = [(key, f"{key}={value}") for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        key, values = expression.get("key", ""), ",".join(sorted(expression.get("values") or ()))
        text = {
            "In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key, "DoesNotExist": f"!{key}",
        }.get(expression.get("operator", ""), "<error>")  # fmt: skip
        parts.append((key, text))
    return ",".join(text for _, text in sorted(parts, key=lambda part: part[0])) or "<none>"


# --- fields -------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=512)
def parse_fields(text: str) -> Selector:
    """A field selector's text; ValueError with apimachinery's message. Which fields exist is the caller's to check."""
    requirements = []
    for term in sorted(_split_terms(text)):
        if not term:
            continue
        found = re.search("!=|==|=", term)
        if found is None:
            raise ValueError(f"invalid selector: '{text}'; can't understand '{term}'")
        operator = "notin" if found[0] == "!=" else "in"
        value = _unescaped(term[found.end() :])
        requirements.append(Requirement(term[: found.start()], operator, frozenset((value,))))
    return Selector(requirements) if requirements else EVERYTHING


def unsupported_field(selector: Selector, fields: Mapping[str, str]) -> str:
    """The first field of the selector that the kind cannot select by; "" where all are known."""
    return next((each.key for each in selector.requirements if each.key not in fields), "")


def _split_terms(text: str) -> list[str]:
    terms, start, escaped = [], 0, False
    for index, char in enumerate(text):
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == ",":
            terms.append(text[start:index])
            start = index + 1
    return [*terms, text[start:]]


def _unescaped(value: str) -> str:
    if not any(char in value for char in "\\,="):
        return value
    result, escaped = [], False
    for char in value:
        if escaped:
            if char not in "\\,=":
                raise ValueError(f"invalid field selector: invalid escape sequence: \\{char}")
            result.append(char)
            escaped = False
        elif char == "\\":
            escaped = True
        elif char in ",=":
            raise ValueError(f"invalid field selector: unescaped character in value: {ord(char)}")
        else:
            result.append(char)
    if escaped:
        raise ValueError("invalid field selector: invalid escape sequence: \\")
    return "".join(result)

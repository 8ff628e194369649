"""One Ingress's annotations, read by the table; what is wrong with them is collected on the way.

A bad value is ignored and its annotation absent, as ingress-nginx does it with most - except where the annotation keeps
somebody out (`strict`): then the Ingress's routes are closed, as ingress-nginx "denies the location".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from control.publish.annotations.grammar import BadValue
from control.publish.annotations.table import ALIASES, PREFIX, REFUSED, SUPPORTED


class Reader:
    """`problems` are sentences about values, `denied` is the first reason why nobody may pass."""

    def __init__(self, annotations: Mapping[str, str]) -> None:
        ours = {name.removeprefix(PREFIX): value for name, value in annotations.items() if name.startswith(PREFIX)}
        self._given = {ALIASES[name]: value for name, value in ours.items() if name in ALIASES}
        self._given |= {name: value for name, value in ours.items() if name not in ALIASES}
        self.problems: list[str] = []
        self.denied = ""
        for name, value in self._given.items():
            if (refused := REFUSED.get(name)) is not None and refused.closes and value not in refused.moot:
                self.deny(f"{name}: {refused.why}")

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def has(self, *names: str) -> bool:
        return any(name in self._given for name in names)

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a supported annotation, or the default if there is none or a bad one."""
        text = self._given.get(name)
        if text is None:
            return default
        try:
            return SUPPORTED[name].values(text)
        except BadValue as error:
            self._complain(f"{PREFIX}{name}: {text!r} {error}")
            return default

    def strict(self, name: str, default: Any = None) -> Any:
        """The same, and a bad value closes the Ingress's routes."""
        before = len(self.problems)
        value = self.get(name, default)
        if len(self.problems) > before:
            self.deny(self.problems[-1])
        return value

    def deny(self, why: str) -> None:
        self.denied = self.denied or why

    def problem(self, name: str, text: str) -> None:
        """Something that is wrong with this annotation's value beyond its grammar."""
        self._complain(f"{PREFIX}{name}: {text}")

    def _complain(self, text: str) -> None:
        if text not in self.problems:
            self.problems.append(text)

    def unsupported(self) -> list[str]:
        """What is refused or unknown, each with the reason."""
        found = []
        for name, value in sorted(self._given.items()):
            refused = REFUSED.get(name)
            if refused is not None and value not in refused.moot:
                found.append(f"{name} ({refused.why})")
            elif refused is None and name not in SUPPORTED:
                found.append(f"{name} (ingress-nginx has no such annotation)")
        return found

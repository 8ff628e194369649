"""How a Service's or an Ingress's backends are balanced, by annotations of our own.

    loopkube.io/balance             a policy: random, round-robin, weighted-round-robin, least-request, peak-ewma,
                                    ring-hash or maglev
    loopkube.io/hash-on             what ring-hash and maglev go by: text and nginx's variables ("$cookie_session");
                                    the client's address without it, and for connections that are only relayed
    loopkube.io/weights             of a Service's pods, by name: "web-v2-*=1, *=9"; the first pattern that fits counts
    loopkube.io/slow-start          seconds in which the share of an endpoint grows after it has become ready
    loopkube.io/outlier-ejection    failures in a row that eject an endpoint, and for how long at first: "5", "5 30s"
    loopkube.io/retry-budget        retries as a share of requests, and how many a second always: "20%", "20% 10/s"

What an object says is its own; what an Ingress does not say, the Service says that it routes to; else the defaults
hold, which are Kubernetes' and ingress-nginx's. A value that makes no sense is noted and as if it were not there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from typing import Any, get_args

from control.api.objects import Object, annotations_of
from control.publish.endpoints import Weights
from control.publish.unit import Built
from dataplane.snapshot.check import WEIGHT_MAX
from dataplane.snapshot.hash_key import unknown_in
from dataplane.snapshot.model import Backend, Policy

PREFIX = "loopkube.io/"
POLICIES: tuple[Policy, ...] = get_args(Policy)
SECONDS = r"(\d{1,6}(?:\.\d{1,3})?)s?"
HASHED = ("ring-hash", "maglev")


@dataclass(frozen=True, slots=True)
class Balancing:
    """What an object asks for; None: nothing. Names and units as in `Backend`."""

    policy: Policy | None = None
    hash_on: str | None = None
    slow_start_s: float | None = None
    eject_after: int | None = None
    eject_s: float | None = None
    retry_budget: float | None = None
    retries_min_per_s: float | None = None

    def over(self, other: Balancing) -> Balancing:
        """This, and where it says nothing, `other`."""
        return replace(other, **self._said())

    def of(self, backend: Backend) -> Backend:
        """The backend, balanced as this says."""
        return replace(backend, **self._said())

    def _said(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


class BadValue(ValueError):
    """The message says what is allowed."""


def balancing_of(obj: Object, built: Built | None = None) -> Balancing:
    """What an object's annotations ask for; what is wrong with them is noted."""
    found: dict[str, Any] = {}
    for name, read in _READERS.items():
        text = annotations_of(obj).get(PREFIX + name)
        if text is None:
            continue
        try:
            found.update(read(text.strip()))
        except BadValue as error:
            if built is not None:
                built.note(obj, "BadAnnotation", f"{PREFIX}{name}: {text!r} {error}; it is ignored")
    made = Balancing(**found)
    if built is not None and made.hash_on and made.policy is not None and made.policy not in HASHED:
        built.note(obj, "BadAnnotation", f"{PREFIX}hash-on: {made.policy} hashes nothing; it is ignored")
    return made


def weights_of(service: Object, built: Built) -> Weights:
    """(pattern of a pod's name, weight), the first one that fits counts; what is wrong is noted."""
    text = annotations_of(service).get(f"{PREFIX}weights")
    found: list[tuple[str, int]] = []
    for part in (text or "").split(","):
        if not part.strip():
            continue
        pattern, equals, number = (each.strip() for each in part.partition("="))
        if not pattern or not equals or not re.fullmatch(r"\d{1,4}", number) or not 1 <= int(number) <= WEIGHT_MAX:
            why = f"is no list of PATTERN=WEIGHT with weights from 1 to {WEIGHT_MAX}"
            built.note(service, "BadAnnotation", f"{PREFIX}weights: {text!r} {why}; it is ignored")
            return ()
        found.append((pattern, int(number)))
    return tuple(found)


def _balance(text: str) -> dict[str, Any]:
    if text not in POLICIES:
        raise BadValue(f"is none of {', '.join(POLICIES)}")
    return {"policy": text}


def _hash_on(text: str) -> dict[str, Any]:
    unknown = unknown_in(text)
    if unknown:
        raise BadValue(f"has no such variable: {', '.join(f'${name}' for name in unknown)}")
    return {"hash_on": text}


def _slow_start(text: str) -> dict[str, Any]:
    match = re.fullmatch(SECONDS, text, re.ASCII)
    if match is None:
        raise BadValue("is no number of seconds (30s)")
    return {"slow_start_s": float(match[1])}


def _outlier_ejection(text: str) -> dict[str, Any]:
    match = re.fullmatch(rf"(\d{{1,6}})(?:\s+{SECONDS})?", text, re.ASCII)
    if match is None or (match[2] and not float(match[2])):
        raise BadValue("is no number of failures, perhaps with a number of seconds (5 30s)")
    return {"eject_after": int(match[1]), **({"eject_s": float(match[2])} if match[2] else {})}


def _retry_budget(text: str) -> dict[str, Any]:
    match = re.fullmatch(r"(\d{1,3}(?:\.\d{1,3})?)%(?:\s+(\d{1,6}(?:\.\d{1,3})?)/s)?", text, re.ASCII)
    if match is None:
        raise BadValue("is no percentage, perhaps with a rate (20% 10/s)")
    return {"retry_budget": float(match[1]) / 100, **({"retries_min_per_s": float(match[2])} if match[2] else {})}


_READERS = {
    "balance": _balance,
    "hash-on": _hash_on,
    "slow-start": _slow_start,
    "outlier-ejection": _outlier_ejection,
    "retry-budget": _retry_budget,
}

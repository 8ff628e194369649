"""Outlier ejection: an endpoint that fails again and again gets nothing for a while, whatever its readiness says.

    healthy     gets its share; so many failures in a row eject it
    ejected     gets nothing until its time is over; what was under way when it was ejected changes nothing
    probation   gets one request at a time: success clears it, failure ejects it again

As Envoy's outlier detection by consecutive failures (a 5xx answer, or none): an ejection lasts `base_s` times the
number of ejections, `EJECTED_MAX_S` at most, and no more than a tenth of a backend's endpoints are ejected at a time,
but one always may be if there is another. The number of ejections is forgotten after `EJECTED_MAX_S` without one.
Probation is nginx's rule (max_fails: one live request decides), for readiness says nothing here.

A backend all of whose usable endpoints are ejected or on probation uses them all: a doubtful one is better than none.
"""

from __future__ import annotations

from typing import Literal

State = Literal["healthy", "ejected", "probation"]
Event = Literal["success", "failure", "limit", "time"]

EJECTED_MAX_S = 300.0  # Envoy's max_ejection_time
EJECTED_SHARE_MAX = 0.1  # Envoy's max_ejection_percent

NEXT: dict[State, dict[Event, State]] = {
    "healthy": {"success": "healthy", "failure": "healthy", "limit": "ejected"},
    "ejected": {"success": "ejected", "failure": "ejected", "limit": "ejected", "time": "probation"},
    "probation": {"success": "healthy", "failure": "ejected", "limit": "ejected"},
}


class Health:
    """One endpoint's."""

    __slots__ = ("_ejected_at", "_ejections", "_failures", "_until", "state")

    def __init__(self) -> None:
        self.state: State = "healthy"
        self._failures = 0  # in a row
        self._ejections = 0
        self._ejected_at = float("-inf")
        self._until = 0.0

    def __repr__(self) -> str:
        return f"Health({self.state}, {self._failures} failures in a row, ejected {self._ejections} times)"

    def admits(self, now: float, active: int) -> bool:
        """Whether it may get a request, of which `active` are under way."""
        if self.state == "healthy":
            return True
        if self.state == "ejected":
            if now < self._until:
                return False
            self.state = NEXT[self.state]["time"]
        return not active

    def take(self, success: bool, limit: int, base_s: float, now: float, *, may_eject: bool) -> bool:
        """The outcome of a request; True if it ejects the endpoint. `limit` failures in a row do, if any may be."""
        if success:
            self._failures = 0
            self.state = NEXT[self.state]["success"]
            return False
        self._failures += 1
        event: Event = "limit" if self._failures >= limit else "failure"
        after = NEXT[self.state][event]
        if after != "ejected" or self.state == "ejected":
            return False
        if not may_eject:
            return False
        if now - self._ejected_at > EJECTED_MAX_S:
            self._ejections = 0
        self._ejections += 1
        self._ejected_at = now
        self._until = now + min(base_s * self._ejections, EJECTED_MAX_S)
        self._failures = 0
        self.state = after
        return True


def ejected_max(endpoints: int) -> int:
    """How many of a backend's endpoints may be ejected at a time."""
    return min(max(1, int(endpoints * EJECTED_SHARE_MAX)), endpoints - 1) if endpoints else 0

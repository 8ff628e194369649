"""The status and the events of one look at an autoscaler, as they come together while it is decided."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from control.api.kinds import HORIZONTAL_POD_AUTOSCALER
from control.api.objects import Object, format_time, meta, status_of
from control.controllers.action import Action, Emit, Update
from control.controllers.conditions import with_observed_condition


class Draft:
    def __init__(self, hpa: Object, now: datetime) -> None:
        self.hpa = hpa
        self.now = now
        self._conditions = list(status_of(hpa).get("conditions") or ())
        self._events: list[Action] = []

    def condition(self, type_: str, status: str, reason: str, message: str) -> None:
        new = {"type": type_, "status": status, "reason": reason, "message": message}
        self._conditions = with_observed_condition(self._conditions, new, self.now)

    def conditions(self, several: Iterable[tuple[str, str, str, str]]) -> None:
        for each in several:
            self.condition(*each)

    def warn(self, reason: str, message: str) -> None:
        self._events.append(Emit(self.hpa, "Warning", reason, message))

    def tell(self, reason: str, message: str) -> None:
        self._events.append(Emit(self.hpa, "Normal", reason, message))

    def written(self) -> tuple[Action, ...]:
        """The events, and the conditions if they changed; of the rest of the status nothing is known."""
        status = {**status_of(self.hpa), "conditions": self._conditions}
        return self._with(status)

    def concluded(
        self, current: int, desired: int | None, metrics: Sequence[Object], *, rescaled: bool = False
    ) -> tuple[Action, ...]:
        """The events and the whole status; `desired` None keeps what it said."""
        old = status_of(self.hpa)
        status: Object = {
            "observedGeneration": meta(self.hpa).get("generation") or 0,
            "desiredReplicas": (old.get("desiredReplicas") or 0) if desired is None else desired,
            "conditions": self._conditions,
        }
        if current:
            status["currentReplicas"] = current
        if metrics:
            status["currentMetrics"] = list(metrics)
        last = format_time(self.now) if rescaled else old.get("lastScaleTime")
        if last:
            status["lastScaleTime"] = last
        return self._with(status)

    def _with(self, status: Object) -> tuple[Action, ...]:
        if status == status_of(self.hpa):
            return tuple(self._events)
        return (*self._events, Update(HORIZONTAL_POD_AUTOSCALER, {**self.hpa, "status": status}, "status"))

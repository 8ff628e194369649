"""Printer columns of the autoscaling group: `cpu: 12%/80%` is what a metric is now and what it should be."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from control.api.autoscaling import from_v1, source_of
from control.api.columns.cells import AGE, NAME, Cell, number
from control.api.objects import Object, spec_of, status_of
from control.api.scheme import Column

SHOWN_MAX = 2  # metrics; of the others only the number
UNKNOWN = "<unknown>"


def _reference(hpa: Object, now: datetime) -> Any:
    target = spec_of(hpa).get("scaleTargetRef") or {}
    return f"{target.get('kind', '')}/{target.get('name', '')}"


def _minimum(hpa: Object, now: datetime) -> Any:
    minimum = spec_of(hpa).get("minReplicas")
    return "<unset>" if minimum is None else str(minimum)


def _targets(hpa: Object, now: datetime) -> Any:
    return targets(hpa)


def targets(hpa: Object) -> str:
    """Every metric as `current/target`, the first two of them."""
    wanted = spec_of(hpa).get("metrics") or ()
    if not wanted:
        return "<none>"
    current = status_of(hpa).get("currentMetrics") or ()
    shown = [_target(metric, current[index] if index < len(current) else {}) for index, metric in enumerate(wanted)]
    more = len(shown) - SHOWN_MAX
    return f"{', '.join(shown[:SHOWN_MAX])} + {more} more..." if more > 0 else ", ".join(shown)


def _target(metric: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    source = source_of(metric)
    said = metric.get(source) or {}
    target = said.get("target") or {}
    current = (status.get(source) or {}).get("current") or {}
    if source in ("resource", "containerResource"):
        name = said.get("name", "")
        if target.get("averageValue") is not None:
            return f"{name}: {current.get('averageValue', UNKNOWN)}/{target['averageValue']}"
        percent = current.get("averageUtilization")
        wanted = target.get("averageUtilization")
        return f"{name}: {UNKNOWN if percent is None else f'{percent}%'}/{'<auto>' if wanted is None else f'{wanted}%'}"
    if source == "pods":
        return f"{current.get('averageValue', UNKNOWN)}/{target.get('averageValue', UNKNOWN)}"
    if target.get("averageValue") is not None:
        return f"{current.get('averageValue', UNKNOWN)}/{target['averageValue']} (avg)"
    return f"{current.get('value', UNKNOWN)}/{target.get('value', UNKNOWN)}"


def _of_v1(cell: Cell) -> Cell:
    return lambda hpa, now: cell(from_v1(hpa), now)


def _columns(targets_cell: Cell) -> tuple[Column, ...]:
    return (
        NAME,
        Column("Reference", _reference, description="What is scaled."),
        Column("Targets", targets_cell, description="Each metric: what it is now, what it should be."),
        Column("MinPods", _minimum, description="The lower limit for the number of replicas."),
        Column("MaxPods", number("spec", "maxReplicas"), description="The upper limit for the number of replicas."),
        Column("Replicas", number("status", "currentReplicas"), description="How many replicas there are."),
        AGE,
    )


AUTOSCALER_COLUMNS = _columns(_targets)
AUTOSCALER_V1_COLUMNS = _columns(_of_v1(_targets))

"""Printer columns: what `kubectl get` shows of each kind (pkg/printers/internalversion/printers.go)."""

from __future__ import annotations

from control.api.columns.cells import AGE, NAME
from control.api.kinds import Kind
from control.api.scheme import Column

COLUMNS: dict[Kind, tuple[Column, ...]] = {}


def columns_of(kind: Kind) -> tuple[Column, ...]:
    return COLUMNS.get(kind, (NAME, AGE))

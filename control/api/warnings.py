"""Warnings: fields that loopkube accepts, keeps and does not act on. A table of paths, not code."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from control.api.kinds import Kind
from control.api.objects import Object


def nothing(new: Object, old: Object | None) -> Sequence[str]:
    return ()


def warnings_of(kind: Kind) -> Callable[[Object, Object | None], Sequence[str]]:
    return nothing

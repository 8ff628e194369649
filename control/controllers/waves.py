"""Waves: which actions of an outcome may be under way together.

Actions are performed in order, one by one, because what stands behind a fence must not happen before it. Only pods that
are created one after the other depend on nothing of each other. They start slowly: one, then two, four, eight at once,
each wave only if none of the wave before was refused. So a thousand pods take ten round trips, and where the first is
refused (a quota is used up, the template is not valid) one request has failed and not a thousand (Kubernetes'
slowStartBatch). The events that follow a creation are told when it has succeeded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from control.api.kinds import POD
from control.controllers.action import Action, Create, Emit

FIRST = 1  # Kubernetes' SlowStartInitialBatchSize


@dataclass(frozen=True, slots=True)
class Deed:
    """An action, and the events that tell of it."""

    action: Action
    events: tuple[Emit, ...] = ()


def waves(actions: Sequence[Action]) -> Iterator[tuple[Deed, ...]]:
    """The actions in order, those that may be under way together in one tuple."""
    pods: list[Deed] = []
    for action in actions:
        if isinstance(action, Create) and action.kind == POD:
            pods.append(Deed(action))
        elif isinstance(action, Emit) and pods:
            pods[-1] = Deed(pods[-1].action, (*pods[-1].events, action))
        else:
            yield from _slowly(pods)
            pods = []
            yield (Deed(action),)
    yield from _slowly(pods)


def _slowly(deeds: Sequence[Deed]) -> Iterator[tuple[Deed, ...]]:
    start, size = 0, FIRST
    while start < len(deeds):
        yield tuple(deeds[start : start + size])
        start, size = start + size, size * 2

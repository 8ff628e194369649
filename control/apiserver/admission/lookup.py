"""What admission may look at: the committed state of the store, and nothing else of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from control.api.objects import Object


class Lookup(Protocol):
    """Reads by group-qualified resource (`pods`, `deployments.apps`); the objects are shared and read-only."""

    def get(self, resource: str, namespace: str, name: str) -> Object | None: ...

    def list(self, resource: str, namespace: str = "") -> Iterable[Object]: ...

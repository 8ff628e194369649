"""The scheme: what the API server does with each kind, one row a kind.

A `Resource` joins a kind's identity with its schema, defaults, validation, strategy and printer columns. Handlers are
generic over it: no handler names a kind. Rows are assembled in `control.api.rows`; a new kind is a new row there
plus, where Kubernetes has special rules for it, a file of its own under `defaults/` and `validation/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from control.api.kinds import Kind
from control.api.objects import Object
from control.api.status import FieldError


@dataclass(frozen=True, slots=True)
class Column:
    """A printer column of `kubectl get`; `cell` gets the object and now. `priority` 1 shows only with -o wide."""

    name: str
    cell: Callable[[Object, datetime], Any]
    type: str = "string"  # string, integer, number, boolean, date
    format: str = ""  # "name" for the name column
    description: str = ""
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Strategy:
    """What Kubernetes' registry strategy does around a write, all on objects that the caller may change.

    `prepare_create(obj)` and `prepare_update(new, old)` wipe what clients may not set (status on the main resource),
    keep what they may not change silently, and set metadata.generation. `prepare_status_update(new, old)` keeps
    everything but status. Run before defaulting's result is validated.
    """

    prepare_create: Callable[[Object], None]
    prepare_update: Callable[[Object, Object], None]
    prepare_status_update: Callable[[Object, Object], None]
    allows_create_on_update: bool = False  # Leases, Events, Endpoints: PUT creates
    allows_unconditional_update: bool = True  # PUT without a resourceVersion


@dataclass(frozen=True, slots=True)
class Resource:
    """One served resource."""

    kind: Kind
    definition: str  # OpenAPI definition, e.g. io.k8s.api.apps.v1.Deployment
    default: Callable[[Object], None]  # fills absent fields in place, as apis/<group>/<version>/defaults.go does
    validate: Callable[[Object], Sequence[FieldError]]
    validate_update: Callable[[Object, Object], Sequence[FieldError]]  # (new, old); includes `validate` of new
    validate_status_update: Callable[[Object, Object], Sequence[FieldError]]
    strategy: Strategy
    columns: tuple[Column, ...]
    selectable_fields: Callable[[Object], Mapping[str, str]]  # metadata.name, metadata.namespace and the kind's own
    warnings: Callable[[Object, Object | None], Sequence[str]]  # (new, old): Warning headers, e.g. unimplemented fields
    verbs: tuple[str, ...] = (
        "create", "delete", "deletecollection", "get", "list", "patch", "update", "watch",
    )  # fmt: skip
    has_status: bool = True
    has_scale: bool = False
    scale_selector_is_map: bool = False  # ReplicationController: spec.selector is a plain map
    subresources: tuple[str, ...] = ()  # beyond status and scale: log, eviction, binding, ...
    validate_name: Callable[[str, bool], Sequence[str]] | None = None  # (name, is a generateName prefix) -> messages
    graceful: bool = False  # pods: deletion waits for the kubelet (grace period)

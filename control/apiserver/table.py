"""Tables: `kubectl get` shows what the server prints.

A client that accepts `as=Table` gets for each object a row of cells, made by the kind's columns, so a client need not
know the kind. Beside the cells goes as much of the object as the client asks for (`includeObject`): its metadata by
default, which is enough to sort, to label and to watch by.

In a watch only the first table has the column definitions; later ones have null, as Kubernetes sends them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from control.api.kinds import POD
from control.api.objects import Object, meta, status_of
from control.api.scheme import Column, Resource

Include = Literal["Metadata", "Object", "None"]
INCLUDES: tuple[Include, ...] = ("Metadata", "Object", "None")

_FINISHED = {
    "Succeeded": ("Succeeded", "The pod has completed successfully."),
    "Failed": ("Failed", "The pod failed."),
}


def table(
    resource: Resource,
    objects: Sequence[Object],
    now: datetime,
    *,
    include: Include = "Metadata",
    with_headers: bool = True,
    resource_version: str = "",
    continue_: str = "",
    remaining: int | None = None,
) -> Object:
    """The meta.k8s.io/v1 Table of `objects`; the list's own metadata is `resource_version` and the rest."""
    metadata: Object = {}
    if resource_version:
        metadata["resourceVersion"] = resource_version
    if continue_:
        metadata["continue"] = continue_
    if remaining is not None:
        metadata["remainingItemCount"] = remaining
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": [_definition(column) for column in resource.columns] if with_headers else None,
        "rows": [_row(resource, obj, now, include) for obj in objects],
    }


def plain_table(columns: Sequence[Column], objects: Sequence[Object], now: datetime, include: Include) -> Object:
    """The Table of objects that are not stored."""
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": [_definition(column) for column in columns],
        "rows": [
            {"cells": [column.cell(obj, now) for column in columns], "object": _shown(obj, include)} for obj in objects
        ],
    }


def _definition(column: Column) -> Object:
    return {
        "name": column.name,
        "type": column.type,
        "format": column.format,
        "description": column.description,
        "priority": column.priority,
    }


def _row(resource: Resource, obj: Object, now: datetime, include: Include) -> Object:
    row: Object = {"cells": [column.cell(obj, now) for column in resource.columns]}
    conditions = _conditions(resource, obj)
    if conditions:
        row["conditions"] = conditions
    row["object"] = _shown(obj, include)
    return row


def _shown(obj: Object, include: Include) -> Object | None:
    if include == "None":
        return None
    return obj if include == "Object" else partial(obj)


def partial(obj: Object) -> Object:
    """An object's PartialObjectMetadata."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": meta(obj)}


def _conditions(resource: Resource, obj: Object) -> list[dict[str, Any]]:
    """A finished thing's row says so, which lets clients grey it out; pods are the only things that finish."""
    if resource.kind != POD:
        return []
    finished = _FINISHED.get(status_of(obj).get("phase", ""))
    if finished is None:
        return []
    reason, message = finished
    return [{"type": "Completed", "status": "True", "reason": reason, "message": message}]

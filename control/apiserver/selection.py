"""Which stored objects a list or a watch is about: both selectors of one request, ready to be asked often.

Asking by labels needs no decoding (the store keeps labels apart), and neither does asking by name or namespace; only
other fields look into the object. Wherever an event changes whether an object is selected, a watch says ADDED or
DELETED instead of MODIFIED (`transition`), so its client's copy is always exactly what the selector chooses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Protocol

from control.api.kinds import Kind
from control.api.objects import Key, Object
from control.api.scheme import Resource
from control.api.selectors import Selector, parse_fields, parse_labels, unsupported_field
from control.api.status import bad_request

NAME, NAMESPACE = "metadata.name", "metadata.namespace"


class Item(Protocol):
    """What is asked of a stored object."""

    @property
    def key(self) -> Key: ...

    @property
    def obj(self) -> Object: ...

    @property
    def labels(self) -> object: ...


class Selection:
    """`outward` is how the kind is seen, where that is not as it is stored."""

    def __init__(
        self,
        labels: Selector,
        fields: Selector,
        resource: Resource,
        outward: Callable[[Object], Object] | None = None,
    ) -> None:
        self._labels = None if labels.everything else labels
        self._fields = None if fields.everything else fields
        self._resource = resource
        self._outward = outward
        self.everything = labels.everything and fields.everything
        self.name = fields.required(NAME)
        self._by_key_only = all(each.key in (NAME, NAMESPACE) for each in fields.requirements)

    def __repr__(self) -> str:
        return f"<Selection of {self._resource.kind.resource}: {self._labels!r} {self._fields!r}>"

    def __call__(self, stored: Item) -> bool:
        if self._labels is not None and not self._labels(stored.labels):  # type: ignore[arg-type]
            return False
        if self._fields is None:
            return True
        if self._by_key_only:
            return self._fields({NAME: stored.key.name, NAMESPACE: stored.key.namespace})
        obj = stored.obj if self._outward is None else self._outward(stored.obj)
        return self._fields(self._resource.selectable_fields(obj))


def selection(
    resource: Resource, label_selector: str, field_selector: str, outward: Callable[[Object], Object] | None = None
) -> Selection:
    """Parses both selectors; raises 400 in Kubernetes' words."""
    try:
        labels = parse_labels(label_selector)
        fields = parse_fields(field_selector)
    except ValueError as error:
        raise bad_request(str(error)) from None
    if not fields.everything:
        _check_fields(resource, fields)
    return Selection(labels, fields, resource, outward)


def _check_fields(resource: Resource, fields: Selector) -> None:
    known = _selectable(resource.kind, resource.selectable_fields)
    unknown = unsupported_field(fields, known)
    if not unknown:
        return
    if set(known) <= {NAME, NAMESPACE}:
        raise bad_request(f'"{unknown}" is not a known field selector: only "{NAME}", "{NAMESPACE}"')
    raise bad_request(f"field label not supported: {unknown}")


@lru_cache(maxsize=64)
def _selectable(kind: Kind, fields: Callable[[Object], object]) -> dict[str, str]:
    known = fields({"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {}})
    return dict(known)  # type: ignore[call-overload, no-any-return]


def transition(type_: str, now: bool, before: bool) -> str:
    """What an event means to who sees only what is selected; "" for nothing."""
    if type_ == "DELETED":
        return "DELETED" if before else ""
    if now:
        return "MODIFIED" if before else "ADDED"
    return "DELETED" if before else ""


def select(items: Iterable[Item], chosen: Selection) -> list[Item]:
    return list(items) if chosen.everything else [item for item in items if chosen(item)]

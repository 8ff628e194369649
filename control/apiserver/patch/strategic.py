"""Strategic merge patch: a merge patch that knows which lists are sets and which are keyed.

The schema says for each list how it merges (x-kubernetes-patch-strategy) and by which key
(x-kubernetes-patch-merge-key); without a strategy a list is replaced, as in RFC 7386. Maps always merge. Inside the
patch, members with a dollar are orders:

    $patch: replace                       take this map, or this list's other items, instead of merging
    $patch: delete                        empty this map; in a keyed list: drop the item with this key
    $retainKeys: [a, b]                   first drop every member of the map that is not listed (unions like a volume)
    $deleteFromPrimitiveList/finalizers   drop these values from the list of scalars
    $setElementOrder/containers           the order in which the client saw the list; what only the server has keeps its
                                          place relative to its neighbours, as far as that is possible

An order of elements without the directive is the patch's own. The algorithm and its words are those of apimachinery's
strategicpatch; `$patch: merge`, the default, is refused there when spelt out, and so it is here.

Both arguments of `merge` are consumed: they are changed and the result is built of their parts.
"""

from __future__ import annotations

from typing import Any

import orjson

from control.api.schema import Schema

DIRECTIVE = "$patch"
RETAIN_KEYS = "$retainKeys"
DELETE_FROM = "$deleteFromPrimitiveList"
ELEMENT_ORDER = "$setElementOrder"


class PatchFormatError(Exception):
    """The patch is no strategic merge patch for this object."""


class ListOfListsError(PatchFormatError):
    """Strategic merge has no meaning for lists in lists."""


def merge(original: dict[str, Any], patch: dict[str, Any], schema: Schema | None) -> dict[str, Any]:
    """`original` changed by `patch`, both of type `schema` (None: unknown, lists are replaced)."""
    if DIRECTIVE in patch:
        return _directed_map(patch)
    _retain_keys(original, patch)
    _order_elements(original, patch, schema)
    for key, value in patch.items():
        if key.startswith(DELETE_FROM):
            _delete_from(original, _directive_field(key, DELETE_FROM), value)
        elif value is None:
            original.pop(key, None)
        elif isinstance(value, dict) and isinstance(original.get(key), dict):
            original[key] = _merge_map(original[key], value, _field(schema, key))
        elif isinstance(value, list) and isinstance(original.get(key), list):
            original[key] = _merge_list(original[key], value, _field(schema, key))
        else:
            _take(original, key, value)
    return original


def _field(schema: Schema | None, key: str) -> Schema | None:
    return schema.field(key) if schema is not None else None


def _directed_map(patch: dict[str, Any]) -> dict[str, Any]:
    directive = patch.pop(DIRECTIVE)
    if directive == "replace":
        return patch
    if directive == "delete":
        return {}
    raise PatchFormatError(f"unknown patch type: {directive} in map: {_text(patch)}")


def _merge_map(original: dict[str, Any], patch: dict[str, Any], schema: Schema | None) -> dict[str, Any]:
    if schema is not None and "replace" in schema.patch_strategy:
        return patch
    return merge(original, patch, schema)


def _take(original: dict[str, Any], key: str, value: Any) -> None:
    """The original has no such member, or one of another type: the patch's, without nulls and directives."""
    taken, keep = _without_directives(_without_nulls(value))
    if keep:
        original[key] = taken
    else:
        original.pop(key, None)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(part) for key, part in value.items() if part is not None}
    if isinstance(value, list):
        return [_without_nulls(part) for part in value]
    return value


def _without_directives(value: Any) -> tuple[Any, bool]:
    """The value to take, and whether to take it at all: what only says how to merge is nothing to merge with."""
    if isinstance(value, dict):
        if DIRECTIVE in value:
            return None, False
        kept = ((key, *_without_directives(part)) for key, part in value.items() if not _is_list_directive(key))
        return {key: part for key, part, keep in kept if keep}, True
    if isinstance(value, list):
        return [part for part, keep in map(_without_directives, value) if keep], True
    return value, True


def _is_list_directive(key: str) -> bool:
    return key.startswith("$") and (key == RETAIN_KEYS or key.startswith((DELETE_FROM, ELEMENT_ORDER)))


def _retain_keys(original: dict[str, Any], patch: dict[str, Any]) -> None:
    if RETAIN_KEYS not in patch:
        return
    retained = patch.pop(RETAIN_KEYS)
    if not isinstance(retained, list):
        raise PatchFormatError("invalid patch format of retainKeys")
    for key, value in patch.items():
        if value is not None and not key.startswith((DELETE_FROM, ELEMENT_ORDER)) and key not in retained:
            raise PatchFormatError("invalid patch format of retainKeys")
    for key in [key for key in original if key not in retained]:
        del original[key]


def _directive_field(key: str, prefix: str) -> str:
    """The field that a directive like $setElementOrder/containers is about."""
    before, slash, field = key.partition("/")
    if before != prefix or not slash:
        which = "primitive list" if prefix == DELETE_FROM else "setElementOrder list"
        raise PatchFormatError(f"invalid patch format of {which}")
    return field


def _delete_from(original: dict[str, Any], field: str, values: Any) -> None:
    if values is None:
        original.pop(field, None)
    elif isinstance(values, list) and isinstance(original.get(field), list):
        if _element_type(original[field], values) is dict:
            raise PatchFormatError("invalid patch format of primitive list")
        gone = {_identity(value, "") for value in values}
        original[field] = [value for value in original[field] if _identity(value, "") not in gone]


def _order_elements(original: dict[str, Any], patch: dict[str, Any], schema: Schema | None) -> None:
    """Merge every list that has a $setElementOrder, and take both out of the patch."""
    for directive in [key for key in patch if key.startswith(ELEMENT_ORDER)]:
        order = patch.pop(directive)
        field = _directive_field(directive, ELEMENT_ORDER)
        live, change = original.get(field), patch.get(field)
        for part in (order, live, change):
            if not isinstance(part, list) and (part is order or part is not None):
                raise PatchFormatError(f"expected a []interface {{}}, but received a {_go_type(part)}")
        type_ = _field(schema, field)
        merge_key = type_.merge_key if type_ is not None else ""
        _check_order(change or [], order, merge_key)
        if live is None and change is None:
            continue
        if live is None:
            merged = _without_directives(change)[0]
        else:
            merged = _merge_list(live, change, type_) if change is not None else live
        patch.pop(field, None)
        if not live and not change:
            original[field] = merged
            continue
        if _element_type(live or [], change or []) is not dict:
            merge_key = ""
        original[field] = _arranged(merged, order, live or [], merge_key)


def _check_order(change: list[Any], order: list[Any], merge_key: str) -> None:
    """The patch's items must come in the order that it names them in."""
    wanted = [_identity(item, merge_key) for item in order]
    place = 0
    for item in change:
        if isinstance(item, dict) and DIRECTIVE in item:
            continue
        try:
            place = wanted.index(_identity(item, merge_key), place) + 1
        except ValueError:
            raise PatchFormatError(
                f"The order in patch list:\n{_text(change)}\n doesn't match {ELEMENT_ORDER} list:\n{_text(order)}\n"
            ) from None


def _merge_list(original: list[Any], patch: list[Any], schema: Schema | None) -> list[Any]:
    if schema is None or "merge" not in schema.patch_strategy:
        return patch
    if not original and not patch:
        return original
    if _element_type(original, patch) is not dict:
        return _arranged(_distinct(original + patch), patch, original, "")
    if not schema.merge_key:
        raise PatchFormatError(f"cannot merge lists without merge key for {schema.name or schema.type}")
    kept, changes = _obey_item_directives(original, patch, schema.merge_key)
    merged = _merge_items(kept, changes, schema)
    return _arranged(merged, [item for item in patch if DIRECTIVE not in item], original, schema.merge_key)


def _obey_item_directives(original: list[Any], patch: list[Any], merge_key: str) -> tuple[list[Any], list[Any]]:
    """The original without deleted items, and the patch without directives; all of the patch where it replaces."""
    replace = False
    changes: list[Any] = []
    for item in patch:
        directive = item.get(DIRECTIVE)
        if DIRECTIVE not in item:
            changes.append(item)
        elif directive == "delete":
            gone = _identity(item, merge_key)
            original = [other for other in original if _identity(other, merge_key) != gone]
        elif directive == "replace":
            replace = True
        elif directive == "merge":
            raise PatchFormatError("merging lists cannot yet be specified in the patch")
        else:
            raise PatchFormatError(f"unknown patch type: {directive} in map: {_text(item)}")
    return (changes, []) if replace else (original, changes)


def _merge_items(original: list[Any], changes: list[Any], schema: Schema) -> list[Any]:
    merged = list(original)
    places: dict[Any, int] = {}
    for place, item in enumerate(merged):
        if schema.merge_key in item:
            places.setdefault(_identity(item, schema.merge_key), place)
    for change in changes:
        identity = _identity(change, schema.merge_key)
        place = places.get(identity, -1)
        if place >= 0:
            merged[place] = merge(merged[place], change, schema.items)
        else:
            places[identity] = len(merged)
            merged.append(_without_directives(_without_nulls(change))[0])
    return merged


def _arranged(merged: list[Any], order: list[Any], live: list[Any], merge_key: str) -> list[Any]:
    """`merged` in the order of `order`, with what is not in it put where `live` had it, as far as possible."""
    ordered = _places(order, merge_key)
    before = _places(live, merge_key)
    named = [(_identity(item, merge_key), item) for item in merged]
    chosen = sorted((pair for pair in named if pair[0] in ordered), key=lambda pair: ordered[pair[0]])
    others = sorted((pair for pair in named if pair[0] not in ordered), key=lambda pair: before.get(pair[0], len(live)))
    arranged = []
    next_other = 0
    for identity, item in chosen:
        place = before.get(identity, -1)
        while next_other < len(others) and before.get(others[next_other][0], len(live)) < place:
            arranged.append(others[next_other][1])
            next_other += 1
        arranged.append(item)
    return arranged + [item for _, item in others[next_other:]]


def _places(items: list[Any], merge_key: str) -> dict[Any, int]:
    places: dict[Any, int] = {}
    for place, item in enumerate(items):
        places.setdefault(_identity(item, merge_key), place)
    return places


def _identity(item: Any, merge_key: str) -> Any:
    """What two items have in common when they are the same one; hashable."""
    value = item
    if merge_key:
        if not isinstance(item, dict):
            raise PatchFormatError(f"expected a map[string]interface {{}}, but received a {_go_type(item)}")
        if merge_key not in item:
            raise PatchFormatError(f"map: {_text(item)} does not contain declared merge key: {merge_key}")
        value = item[merge_key]
    return orjson.dumps(value) if isinstance(value, dict | list) else (type(value), value)


def _distinct(values: list[Any]) -> list[Any]:
    return list({_identity(value, ""): value for value in values}.values())


def _element_type(*lists: list[Any]) -> type:
    """The one type that all elements have."""
    types = {type(item) for items in lists for item in items}
    if list in types:
        raise ListOfListsError("lists of lists are not supported")
    if len(types) > 1 or type(None) in types:
        raise PatchFormatError(f"list element types are not identical: {_text(list(lists))}")
    return types.pop() if types else str


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()


def _go_type(value: Any) -> str:
    names = {dict: "map[string]interface {}", list: "[]interface {}", str: "string", bool: "bool", int: "int64"}
    return names.get(type(value), "float64" if isinstance(value, float) else "nil")

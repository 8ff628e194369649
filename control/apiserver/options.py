"""What the query says beside the path: how to write, list, watch and delete.

Each reader takes the raw query and answers with a value that has no strings left to interpret, or raises the error that
apimachinery's option validation raises (422 of kind CreateOptions, ListOptions and so on, 400 where a number is none).
Delete options may also come as a body; a body wins over the query as in Kubernetes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from control.api.kinds import Kind
from control.api.objects import Object
from control.api.status import FieldError, StatusError, bad_request, invalid
from control.apiserver.paths import is_true

MANAGER_MAX = 128  # apimachinery's FieldManagerMaxLength
Propagation = Literal["", "Background", "Foreground", "Orphan"]


@dataclass(slots=True)
class WriteOptions:
    """`warnings` collects what the client should hear about its request; everything else is read-only."""

    manager: str
    dry_run: bool = False
    validation: Literal["Strict", "Warn", "Ignore"] = "Warn"
    force: bool = False
    warns: bool = True  # whether anybody reads the warnings: the local client does not
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ListOptions:
    label_selector: str = ""
    field_selector: str = ""
    limit: int = 0
    continue_: str = ""
    resource_version: str = ""
    match: Literal["", "Exact", "NotOlderThan"] = ""
    timeout_s: float | None = None
    bookmarks: bool = False
    initial_events: bool | None = None


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    grace_period_s: int | None = None
    uid: str = ""
    resource_version: str = ""
    propagation: Propagation = ""
    orphan_dependents: bool | None = None  # the field that propagationPolicy replaced
    dry_run: bool = False


def _options_kind(name: str) -> Kind:
    return Kind("meta.k8s.io", "v1", name, name.lower(), namespaced=False)


def refuse(kind: str, *errors: FieldError) -> StatusError:
    return invalid(_options_kind(kind), "", errors)


def unsupported(field_: str, value: str, supported: tuple[str, ...]) -> FieldError:
    listed = ", ".join(f'"{one}"' for one in supported)
    message = f'Unsupported value: "{value}": supported values: {listed}'
    return FieldError(field_, "FieldValueNotSupported", message)


def agent_name(user_agent: str) -> str:
    """The field manager of a client that names none: the first part of its User-Agent."""
    return user_agent.partition("/")[0][:MANAGER_MAX] or "unknown"


def write_options(kind: str, query: Mapping[str, str], user_agent: str) -> WriteOptions:
    """CreateOptions, UpdateOptions or PatchOptions (`kind` says which) from a query."""
    if not query:
        return WriteOptions(agent_name(user_agent))
    validation = query.get("fieldValidation", "") or "Warn"
    if validation not in ("Strict", "Warn", "Ignore"):
        raise refuse(kind, unsupported("fieldValidation", validation, ("Ignore", "Strict", "Warn")))
    manager = query.get("fieldManager", "")
    if len(manager) > MANAGER_MAX:
        message = f"Too long: may not be more than {MANAGER_MAX} bytes"
        raise refuse(kind, FieldError("fieldManager", "FieldValueTooLong", message))
    if not manager.isprintable():
        message = f'Invalid value: "{manager}": should only contain printable characters'
        raise refuse(kind, FieldError("fieldManager", "FieldValueInvalid", message))
    return WriteOptions(
        manager or agent_name(user_agent),
        _dry_run(kind, query.get("dryRun", "")),
        validation,  # type: ignore[arg-type]
        is_true(query.get("force")),
    )


def _dry_run(kind: str, text: str) -> bool:
    if text not in ("", "All"):
        raise refuse(kind, unsupported("dryRun", text, ("All",)))
    return text == "All"


def list_options(query: Mapping[str, str], *, watch: bool) -> ListOptions:
    if not query:
        return ListOptions()
    match = query.get("resourceVersionMatch", "")
    initial = query.get("sendInitialEvents")
    options = ListOptions(
        label_selector=query.get("labelSelector", ""),
        field_selector=query.get("fieldSelector", ""),
        limit=max(0, _integer(query, "limit") or 0),
        continue_=query.get("continue", ""),
        resource_version=query.get("resourceVersion", ""),
        match=match,  # type: ignore[arg-type]
        timeout_s=_integer(query, "timeoutSeconds"),
        bookmarks=is_true(query.get("allowWatchBookmarks")),
        initial_events=None if initial is None else is_true(initial),
    )
    errors = _version_match_errors(options, watch)
    if errors:
        raise refuse("ListOptions", *errors)
    return options


def _version_match_errors(options: ListOptions, watch: bool) -> list[FieldError]:
    """Which combinations of resourceVersion, its match, continue and sendInitialEvents have a meaning."""

    def forbidden(field_: str, why: str) -> FieldError:
        return FieldError(field_, "FieldValueForbidden", f"Forbidden: {why}")

    match, version = options.match, options.resource_version
    if watch:
        if options.initial_events is not None:
            if match != "NotOlderThan":
                why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
                return [forbidden("resourceVersionMatch", why)]
        elif match:
            why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            return [forbidden("resourceVersionMatch", why)]
        return []
    if options.initial_events is not None:
        return [forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")]
    if not match:
        return []
    if options.continue_:
        return [forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided")]
    if not version:
        why = "resourceVersionMatch is forbidden unless resourceVersion is provided"
        return [forbidden("resourceVersionMatch", why)]
    if match not in ("Exact", "NotOlderThan"):
        return [unsupported("resourceVersionMatch", match, ("Exact", "NotOlderThan", ""))]
    if match == "Exact" and version == "0":
        why = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        return [forbidden("resourceVersionMatch", why)]
    return []


def _integer(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name, "")
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def revision_of(text: str, *, kind: str = "ListOptions") -> int:
    """A resourceVersion as the number that it is here; raises 400 or, in lists, 422's sibling as Kubernetes does."""
    if not text.isdecimal():
        message = f'Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        raise refuse(kind, FieldError("resourceVersion", "FieldValueInvalid", message))
    return int(text)


def too_large(wanted: int, current: int) -> StatusError:
    """A revision from the future, e.g. of another data folder: the client may retry, or list anew."""
    message = f"Too large resource version: {wanted}, current: {current}"
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    details: Object = {"causes": causes, "retryAfterSeconds": 1}
    return StatusError(504, "Timeout", f"Timeout: {message}", details)


def delete_options(query: Mapping[str, str], body: Object | None) -> DeleteOptions:
    """DeleteOptions from a body, or else from the query."""
    if body:
        return _from_body(body)
    if not query:
        return DeleteOptions()
    orphan = query.get("orphanDependents")
    options = DeleteOptions(
        grace_period_s=_grace(_integer(query, "gracePeriodSeconds")),
        propagation=query.get("propagationPolicy", ""),  # type: ignore[arg-type]
        orphan_dependents=None if orphan is None else is_true(orphan),
        dry_run=_dry_run("DeleteOptions", query.get("dryRun", "")),
    )
    return _checked(options)


def _from_body(body: Object) -> DeleteOptions:
    kind = body.get("kind", "DeleteOptions")
    if kind not in ("DeleteOptions", ""):
        raise bad_request(f"invalid object kind {kind!r} in the body, expected DeleteOptions".replace("'", '"'))
    preconditions = body.get("preconditions") or {}
    grace = body.get("gracePeriodSeconds")
    if grace is not None and not isinstance(grace, int):
        raise bad_request("json: cannot unmarshal into Go struct field DeleteOptions.gracePeriodSeconds of type int64")
    runs = body.get("dryRun") or []
    if not isinstance(runs, list) or not isinstance(preconditions, dict):
        raise bad_request("json: cannot unmarshal into Go value of type v1.DeleteOptions")
    options = DeleteOptions(
        grace_period_s=_grace(grace),
        uid=preconditions.get("uid") or "",
        resource_version=preconditions.get("resourceVersion") or "",
        propagation=body.get("propagationPolicy") or "",
        orphan_dependents=body.get("orphanDependents"),
        dry_run=bool([_dry_run("DeleteOptions", str(run)) for run in runs]),
    )
    return _checked(options)


def _grace(seconds: int | None) -> int | None:
    """Negative values are treated as one second on the delete path."""
    return 1 if seconds is not None and seconds < 0 else seconds


def _checked(options: DeleteOptions) -> DeleteOptions:
    if options.propagation not in ("", "Background", "Foreground", "Orphan"):
        supported = ("Background", "Foreground", "Orphan")
        raise refuse("DeleteOptions", unsupported("propagationPolicy", options.propagation, supported))
    if options.propagation and options.orphan_dependents is not None:
        message = "Invalid value: orphanDependents and deletionPropagation cannot be both set"
        raise refuse("DeleteOptions", FieldError("propagationPolicy", "FieldValueInvalid", message))
    return options

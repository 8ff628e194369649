"""What can be asked, path by path, in a form that knows neither OpenAPI version.

Clients read little of it, but what they read must be right: kubectl looks for the PATCH of a kind (by
x-kubernetes-group-version-kind) and in it for `fieldValidation` and `dryRun`, before it trusts the server to validate;
code generators want the rest. So there is an operation for each verb of each path that the handlers serve, with
Kubernetes' operation ids and parameters, and none for what they refuse.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from control.api.kinds import Kind
from control.api.rows import RESOURCES
from control.api.scheme import Resource
from control.apiserver.subresources import VIRTUAL, Subresource, subresources_of

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
STATUS = META + "Status"
DELETE_OPTIONS = META + "DeleteOptions"
PATCH = META + "Patch"
PATCH_TYPES = (
    "application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)  # fmt: skip
JSON_TYPES = ("application/json", "application/yaml")


class Parameter(NamedTuple):
    name: str
    type: str
    description: str
    place: str = "query"


class Operation(NamedTuple):
    """One method of one path. `body` and `answer` are definitions; an answer of "" is plain text."""

    path: str
    method: str
    action: str  # x-kubernetes-action
    id: str
    description: str
    kind: Kind  # x-kubernetes-group-version-kind
    tag: str
    parameters: tuple[Parameter, ...]
    body: str
    answer: str
    success: tuple[int, ...]


def _query(name: str, type_: str, description: str) -> Parameter:
    return Parameter(name, type_, description)


PRETTY = _query("pretty", "string", "If 'true', then the output is pretty printed.")
DRY_RUN = _query("dryRun", "string", "All: every stage is run, and nothing is stored.")
FIELD_MANAGER = _query("fieldManager", "string", "The name of the actor who makes these changes; required for apply.")
FIELD_VALIDATION = _query(
    "fieldValidation",
    "string",
    "What to do about unknown or duplicate fields: Ignore, Warn (the default) or Strict.",
)
FORCE = _query("force", "boolean", "Apply even where other managers own a field with another value. Only for apply.")
_WRITE = (DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION)
_PATCH = (*_WRITE, FORCE)
_DELETE = (
    DRY_RUN,
    _query("gracePeriodSeconds", "integer", "How long the object may take to go; 0 is at once."),
    _query("orphanDependents", "boolean", "Deprecated: use propagationPolicy."),
    _query("propagationPolicy", "string", "What becomes of dependents: Orphan, Background or Foreground."),
)
_LIST = (
    _query("allowWatchBookmarks", "boolean", "Whether a watch sends events of type BOOKMARK."),
    _query("continue", "string", "Where the previous chunk of this list ended."),
    _query("fieldSelector", "string", "Restrict the list by fields."),
    _query("labelSelector", "string", "Restrict the list by labels."),
    _query("limit", "integer", "The most items that one answer may have."),
    _query("resourceVersion", "string", "How new the answer must be, or where a watch starts."),
    _query("resourceVersionMatch", "string", "How resourceVersion is meant: Exact or NotOlderThan."),
    _query("sendInitialEvents", "boolean", "Whether a watch starts with the objects that there are."),
    _query("timeoutSeconds", "integer", "How long the request may take."),
    _query("watch", "boolean", "Watch for changes instead of listing."),
)
_LOG = (
    _query("container", "string", "The container; needed where the pod has several."),
    _query("follow", "boolean", "Go on as the log grows."),
    _query("limitBytes", "integer", "The most bytes to answer with."),
    _query("previous", "boolean", "The log of the container's previous run."),
    _query("sinceSeconds", "integer", "Only lines newer than this."),
    _query("tailLines", "integer", "Only so many lines from the end."),
    _query("timestamps", "boolean", "Begin each line with its time."),
)

_NAME = Parameter("name", "string", "name of the object", "path")
_NAMESPACE = Parameter("namespace", "string", "object name and auth scope, such as for teams and projects", "path")


def operations(group: str, version: str) -> Iterator[Operation]:
    """Every operation of a group version, path by path."""
    for kind, resource in RESOURCES.items():
        if (kind.group, kind.version) == (group, version):
            yield from _of_resource(resource)
    for review in VIRTUAL:
        kind = review.kind
        if (kind.group, kind.version) == (group, version):
            path = kind.path("{namespace}")
            make = _Maker(kind, review.definition, path)
            yield make.operation("post", "post", "create", _WRITE, review.definition, review.definition)


class _Maker:
    """Operations of one resource, or one of its subresources, on one path."""

    def __init__(self, kind: Kind, definition: str, path: str, suffix: str = "", spoken: Kind | None = None) -> None:
        self.kind = kind
        self.definition = definition
        self.path = path
        self.suffix = suffix
        self.spoken = spoken or kind

    def operation(
        self,
        method: str,
        action: str,
        verb: str,
        parameters: tuple[Parameter, ...],
        body: str,
        answer: str,
    ) -> Operation:
        kind = self.kind
        group = _camel(kind.group.removesuffix(".k8s.io") or "core")
        scope = "Namespaced" if "{namespace}" in self.path else ""
        everywhere = "ForAllNamespaces" if kind.namespaced and not scope else ""
        collection = "Collection" if action == "deletecollection" else ""
        middle = f"{group}{_camel(kind.version)}{collection}{scope}{kind.kind}"
        path_parameters = [parameter for parameter in (_NAME, _NAMESPACE) if f"{{{parameter.name}}}" in self.path]
        success = (200, 201, 202) if method == "post" else (200, 202) if method == "delete" else (200,)
        return Operation(
            path=self.path,
            method=method,
            action=action,
            id=f"{verb}{middle}{self.suffix}{everywhere}",
            description=f"{verb} {self.suffix.lower() + ' of ' if self.suffix else ''}{kind.kind}",
            kind=self.spoken,
            tag=f"{group[0].lower()}{group[1:]}_{kind.version}",
            parameters=(*path_parameters, *parameters, PRETTY),
            body=body,
            answer=answer,
            success=(200, 201) if method in ("put", "patch") else success,
        )


def _camel(text: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in text.replace(".", "-").split("-"))


def _of_resource(resource: Resource) -> Iterator[Operation]:
    kind, definition = resource.kind, resource.definition
    collection = _Maker(kind, definition, kind.path("{namespace}"))
    item = _Maker(kind, definition, kind.path("{namespace}", "{name}"))
    listed = definition + "List"
    for verb in resource.verbs:
        if verb == "list":
            yield collection.operation("get", "list", "list", _LIST, "", listed)
            if kind.namespaced:
                yield _Maker(kind, definition, kind.path()).operation("get", "list", "list", _LIST, "", listed)
        elif verb == "create":
            yield collection.operation("post", "post", "create", _WRITE, definition, definition)
        elif verb == "deletecollection":
            parameters = (*_DELETE, *(parameter for parameter in _LIST if parameter.name not in ("watch",)))
            yield collection.operation("delete", "deletecollection", "delete", parameters, DELETE_OPTIONS, STATUS)
        elif verb == "delete":
            answer = definition if resource.graceful else STATUS
            yield item.operation("delete", "delete", "delete", _DELETE, DELETE_OPTIONS, answer)
        else:
            yield from _on_item(item, verb, definition, ())
    for subresource in subresources_of(resource):
        yield from _of_subresource(resource, subresource)


def _on_item(make: _Maker, verb: str, definition: str, read: tuple[Parameter, ...]) -> Iterator[Operation]:
    """get, update and patch of an object or of its subresource; create of a subresource."""
    if verb == "get":
        yield make.operation("get", "get", "read", read, "", definition)
    elif verb == "update":
        yield make.operation("put", "put", "replace", _WRITE, definition, definition)
    elif verb == "patch":
        yield make.operation("patch", "patch", "patch", _PATCH, PATCH, definition)
    elif verb == "create":
        yield make.operation("post", "post", "create", _WRITE, definition, definition)


def _of_subresource(resource: Resource, subresource: Subresource) -> Iterator[Operation]:
    kind = resource.kind
    definition = subresource.definition or resource.definition
    path = kind.path("{namespace}", "{name}", subresource.name)
    make = _Maker(kind, definition, path, _camel(subresource.name), subresource.kind)
    is_log = subresource.name == "log"
    for verb in subresource.verbs:
        yield from _on_item(make, verb, "" if is_log else definition, _LOG if is_log else ())

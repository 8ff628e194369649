"""Discovery: what this server serves, as documents from which clients learn names, kinds and verbs.

Two dialects of the same facts, both derived from the scheme's rows, so that a new row is discovered by itself: the
plain one is a tree (versions, groups, a list of resources for each group version) that a client walks with a request
each; the aggregated one (apidiscovery.k8s.io) is all of it in two documents, with subresources inside their resource.

The order of groups is the one in which Kubernetes installs them, because kubectl resolves a short name that two groups
have (`ev`) to the first. A storageVersionHash is derived from the kind that is stored, so both kinds of Event have the
same.
"""

from __future__ import annotations

import base64
import hashlib
import platform
import sys

from control.api.kinds import VIEWED_AS, Kind
from control.api.objects import Object
from control.api.rows import RESOURCES
from control.api.scheme import Resource
from control.apiserver import metrics_objects
from control.apiserver.subresources import VIRTUAL, Subresource, subresources_of

GIT_VERSION = "v1.37.0+loopkube"
GROUPS = (
    "apps", "events.k8s.io", "authentication.k8s.io", "authorization.k8s.io", "autoscaling", "batch",
    "networking.k8s.io", "policy", "scheduling.k8s.io", "coordination.k8s.io", "discovery.k8s.io",
)  # fmt: skip
"""In the order of kube-apiserver's legacy group list; groups that the scheme does not have yet are left out. The
metrics groups come last, as aggregated APIs do; they are no part of the scheme, and OpenAPI does not describe them."""

_REVIEW_VERBS = ("create",)


def _versions() -> dict[str, list[str]]:
    """Every named group with its versions, the preferred one first."""
    found: dict[str, list[str]] = {}
    for kind in (*RESOURCES, *(review.kind for review in VIRTUAL)):
        versions = found.setdefault(kind.group, [])
        if kind.version not in versions:
            versions.append(kind.version)
    found.pop("", None)
    known = [group for group in GROUPS if group in found]
    return {group: found[group] for group in (*known, *sorted(found.keys() - set(GROUPS)))}


def _served() -> dict[str, list[str]]:
    """The same with what is served beside the scheme."""
    return {**_versions(), **{group: [metrics_objects.version_of(group)] for group in metrics_objects.GROUPS}}


def group_versions() -> list[tuple[str, str]]:
    """Every (group, version) of the scheme, the core group first."""
    named = [(group, version) for group, versions in _versions().items() for version in versions]
    return [("", "v1"), *named]


def api_versions(host: str) -> Object:
    """GET /api; `host` is the address, with port, at which clients reach this server."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": host}],
    }


def group_list() -> Object:
    """GET /apis."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(*row) for row in _served().items()]}


def group(name: str) -> Object | None:
    """GET /apis/{group}; None: not served."""
    versions = _served().get(name)
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)} if versions else None


def _group(name: str, versions: list[str]) -> Object:
    rows = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": rows, "preferredVersion": rows[0]}


def core_resources() -> Object:
    """GET /api/v1."""
    found = group_resources("", "v1")
    assert found is not None
    return found


def group_resources(group: str, version: str) -> Object | None:
    """GET /apis/{group}/{version}; None: not served."""
    if group in metrics_objects.GROUPS and version == metrics_objects.version_of(group):
        found = metrics_objects.resources_of(group)
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{group}/{version}", "resources": found}
    if (group, version) not in group_versions():
        return None
    rows: list[Object] = []
    for resource in _resources(group, version):
        rows.append(_row(resource))
        rows.extend(_subresource_row(resource, subresource) for subresource in subresources_of(resource))
    rows.extend(_review_row(kind) for kind in _reviews(group, version))
    rows.sort(key=lambda row: row["name"])
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": rows}


def _resources(group: str, version: str) -> list[Resource]:
    found = [resource for kind, resource in RESOURCES.items() if (kind.group, kind.version) == (group, version)]
    return sorted(found, key=lambda resource: resource.kind.plural)


def _reviews(group: str, version: str) -> list[Kind]:
    return [review.kind for review in VIRTUAL if (review.kind.group, review.kind.version) == (group, version)]


def _row(resource: Resource) -> Object:
    kind = resource.kind
    row = _names(kind)
    row["verbs"] = list(resource.verbs)
    if kind.short_names:
        row["shortNames"] = list(kind.short_names)
    if kind.categories:
        row["categories"] = list(kind.categories)
    row["storageVersionHash"] = storage_version_hash(VIEWED_AS.get(kind, kind))
    return row


def _names(kind: Kind) -> Object:
    return {"name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced, "kind": kind.kind}


def _review_row(kind: Kind) -> Object:
    return {**_names(kind), "verbs": list(_REVIEW_VERBS)}


def _subresource_row(resource: Resource, subresource: Subresource) -> Object:
    kind = resource.kind
    row: Object = {"name": f"{kind.plural}/{subresource.name}", "singularName": "", "namespaced": kind.namespaced}
    spoken = subresource.kind
    if spoken is not None and (spoken.group, spoken.version) != (kind.group, kind.version):
        row["group"] = spoken.group
        row["version"] = spoken.version
    row["kind"] = (spoken or kind).kind
    row["verbs"] = list(subresource.verbs)
    return row


def storage_version_hash(kind: Kind) -> str:
    """Kubernetes' own: eight bytes of the SHA-256 of group/version/kind."""
    digest = hashlib.sha256(f"{kind.group}/{kind.version}/{kind.kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()


def aggregated_core(version: str = "v2") -> Object:
    """GET /api as APIGroupDiscoveryList of apidiscovery.k8s.io/`version` (v2 or v2beta1: they say the same)."""
    return _aggregated(version, {"": ["v1"]})


def aggregated_groups(version: str = "v2") -> Object:
    """GET /apis likewise."""
    return _aggregated(version, _served())


def _aggregated(version: str, groups: dict[str, list[str]]) -> Object:
    items = [
        {
            "metadata": {"name": group, "creationTimestamp": None} if group else {"creationTimestamp": None},
            "versions": [_aggregated_version(group, served) for served in versions],
        }
        for group, versions in groups.items()
    ]
    api_version = f"apidiscovery.k8s.io/{version}"
    return {"kind": "APIGroupDiscoveryList", "apiVersion": api_version, "metadata": {}, "items": items}


def _aggregated_version(group: str, version: str) -> Object:
    if group in metrics_objects.GROUPS:
        resources = _aggregated_metrics(group, version)
        return {"version": version, "resources": resources, "freshness": "Current"}
    rows = [_aggregated_row(resource) for resource in _resources(group, version)]
    rows.extend(_aggregated_names(kind, list(_REVIEW_VERBS)) for kind in _reviews(group, version))
    rows.sort(key=lambda row: row["resource"])
    return {"version": version, "resources": rows, "freshness": "Current"}


def _aggregated_metrics(group: str, version: str) -> list[Object]:
    """As the aggregator makes it of a plain list: `pods/hits` is a subresource of a resource without verbs."""
    found: dict[str, Object] = {}
    for row in metrics_objects.resources_of(group):
        name, _, below = row["name"].partition("/")
        spoken = {"group": group, "version": version, "kind": row["kind"]}
        resource = found.setdefault(
            name,
            {
                "resource": name,
                "responseKind": {"group": "", "version": "", "kind": ""} if below else spoken,
                "scope": "Namespaced" if row["namespaced"] else "Cluster",
                "singularResource": "",
                "verbs": None if below else row["verbs"],
            },
        )
        if below:
            subresource = {"subresource": below, "responseKind": spoken, "verbs": row["verbs"]}
            resource.setdefault("subresources", []).append(subresource)
    return list(found.values())


def _aggregated_row(resource: Resource) -> Object:
    kind = resource.kind
    row = _aggregated_names(kind, list(resource.verbs))
    if kind.short_names:
        row["shortNames"] = list(kind.short_names)
    if kind.categories:
        row["categories"] = list(kind.categories)
    below = [
        {
            "subresource": subresource.name,
            "responseKind": _gvk(subresource.kind or kind),
            "verbs": list(subresource.verbs),
        }
        for subresource in subresources_of(resource)
    ]
    if below:
        row["subresources"] = below
    return row


def _aggregated_names(kind: Kind, verbs: list[str]) -> Object:
    return {
        "resource": kind.plural,
        "responseKind": _gvk(kind),
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": verbs,
    }


def _gvk(kind: Kind) -> Object:
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}


def version_info() -> Object:
    """GET /version: the Kubernetes version whose API this is, and by its suffix that it is not Kubernetes."""
    major, minor, _ = GIT_VERSION.removeprefix("v").split(".", 2)
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return {
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": str(int(minor) - 1),
        "gitVersion": GIT_VERSION,
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": sys.implementation.name,
        "platform": f"{sys.platform}/{machine}",
    }

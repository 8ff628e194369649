"""What hangs below a resource: which subresources, what they speak, and by which verbs. One table.

Discovery and OpenAPI tell clients the same story from it. A subresource speaks its resource's own kind (status,
finalize) or one of its own: a Scale, an Eviction, a Binding, a TokenRequest. The log is read as plain text, yet
discovery says Pod, as Kubernetes does. The reviews at the end are resources that only answer: nothing of them is
stored.
"""

from __future__ import annotations

from typing import NamedTuple

from control.api.kinds import Kind
from control.api.scheme import Resource


class Subresource(NamedTuple):
    """`kind` None: the resource's own; `definition`: of a kind of its own."""

    name: str
    verbs: tuple[str, ...]
    kind: Kind | None = None
    definition: str = ""


SCALE = Kind("autoscaling", "v1", "Scale", "scales")
EVICTION = Kind("policy", "v1", "Eviction", "evictions")
BINDING = Kind("", "v1", "Binding", "bindings")
TOKEN_REQUEST = Kind("authentication.k8s.io", "v1", "TokenRequest", "tokenrequests")

_EDIT = ("get", "patch", "update")
STATUS = Subresource("status", _EDIT)
SCALE_OF = Subresource("scale", _EDIT, SCALE, "io.k8s.api.autoscaling.v1.Scale")
_OTHERS = {
    subresource.name: subresource
    for subresource in (
        Subresource("binding", ("create",), BINDING, "io.k8s.api.core.v1.Binding"),
        Subresource("eviction", ("create",), EVICTION, "io.k8s.api.policy.v1.Eviction"),
        Subresource("finalize", ("update",)),
        Subresource("log", ("get",)),
        Subresource("token", ("create",), TOKEN_REQUEST, "io.k8s.api.authentication.v1.TokenRequest"),
        Subresource("ephemeralcontainers", _EDIT),
        Subresource("resize", _EDIT),
    )
}


def subresources_of(resource: Resource) -> list[Subresource]:
    """Those that `resource` serves, by name."""
    found = [_OTHERS[name] for name in resource.subresources]
    if resource.has_status:
        found.append(STATUS)
    if resource.has_scale:
        found.append(SCALE_OF)
    return sorted(found, key=lambda subresource: subresource.name)


class Review(NamedTuple):
    kind: Kind
    definition: str


_AUTHENTICATION, _AUTHORIZATION = "authentication.k8s.io", "authorization.k8s.io"


def _review(group: str, name: str, *, namespaced: bool = False) -> Review:
    kind = Kind(group, "v1", name, f"{name.lower()}s", namespaced=namespaced)
    return Review(kind, f"io.k8s.api.{group.partition('.')[0]}.v1.{name}")


REVIEWS: tuple[Review, ...] = (
    _review(_AUTHENTICATION, "SelfSubjectReview"),
    _review(_AUTHENTICATION, "TokenReview"),
    _review(_AUTHORIZATION, "LocalSubjectAccessReview", namespaced=True),
    _review(_AUTHORIZATION, "SelfSubjectAccessReview"),
    _review(_AUTHORIZATION, "SelfSubjectRulesReview"),
    _review(_AUTHORIZATION, "SubjectAccessReview"),
)
"""Questions that are created and come back answered; `create` is their only verb."""

VIRTUAL: tuple[Review, ...] = (Review(BINDING, "io.k8s.api.core.v1.Binding"), *REVIEWS)
"""All that can only be created: besides the reviews, a binding that names its pod in its metadata."""

"""Reviews: questions that are asked by creating an object which is answered and not stored.

`kubectl auth whoami` and `can-i` (also with --list), and what other components ask on somebody's behalf. loopkube has
no roles: whoever is authenticated may do everything, so an access review of a known user says yes and one of an
anonymous user says no. The answers come in `status`, the question stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from control.api.kinds import Kind
from control.api.objects import Object, spec_of
from control.api.status import FieldError, bad_request, invalid
from control.apiserver.exchange import User
from control.apiserver.subresources import REVIEWS as _ROWS
from control.apiserver.subresources import Review

AUTHORIZATION = "authorization.k8s.io"
ANONYMOUS = "system:anonymous"
_EVERYTHING = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
_EVERY_PATH = [{"verbs": ["*"], "nonResourceURLs": ["*"]}]

Verify = Callable[[str], User | None]


Answer = Callable[[Object, User, Verify], Object]


def _self_subject(_review: Object, user: User, _verify: Verify) -> Object:
    return {"userInfo": user.info}


def _access(name: str) -> Answer:
    def answer(review: Object, _user: User, _verify: Verify) -> Object:
        spec = spec_of(review)
        has_resource, has_path = bool(spec.get("resourceAttributes")), bool(spec.get("nonResourceAttributes"))
        if has_resource == has_path:
            why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
            path = "spec.resourceAttributes" if has_resource else "spec.nonResourceAttributes"
            message = f"Invalid value: null: {why}"
            raise invalid(Kind(AUTHORIZATION, "v1", name, ""), "", [FieldError(path, "FieldValueInvalid", message)])
        if name == "SelfSubjectAccessReview":
            return {"allowed": True}
        if not spec.get("user") and not spec.get("groups"):
            message = "Invalid value: null: at least one of user or group must be specified"
            errors = [FieldError("spec.user", "FieldValueInvalid", message)]
            raise invalid(Kind(AUTHORIZATION, "v1", name, ""), "", errors)
        if spec.get("user") == ANONYMOUS or "system:unauthenticated" in (spec.get("groups") or ()):
            return {"allowed": False, "reason": "anonymous requests are not authenticated"}
        return {"allowed": True}

    return answer


def _rules(review: Object, _user: User, _verify: Verify) -> Object:
    if not spec_of(review).get("namespace"):
        raise bad_request("no namespace on request")
    return {"resourceRules": _EVERYTHING, "nonResourceRules": _EVERY_PATH, "incomplete": False}


def _token(review: Object, _user: User, verify: Verify) -> Object:
    spec = spec_of(review)
    if not spec.get("token"):
        raise bad_request("token is required for TokenReview in authentication")
    user = verify(spec["token"])
    if user is None:
        return {"user": {}, "error": "invalid bearer token"}
    status: Object = {"authenticated": True, "user": user.info}
    if spec.get("audiences"):
        status["audiences"] = list(spec["audiences"])
    return status


ANSWERS: Mapping[str, Answer] = {
    "SelfSubjectReview": _self_subject,
    "TokenReview": _token,
    "SelfSubjectAccessReview": _access("SelfSubjectAccessReview"),
    "SubjectAccessReview": _access("SubjectAccessReview"),
    "LocalSubjectAccessReview": _access("LocalSubjectAccessReview"),
    "SelfSubjectRulesReview": _rules,
}
"""By kind: the review's `status`, given the review, who asks, and how a token is verified."""

REVIEWS: Mapping[tuple[str, str, str], Review] = {
    (review.kind.group, review.kind.version, review.kind.plural): review for review in _ROWS
}

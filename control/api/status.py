"""Errors of the Kubernetes API, in its own words: every failure is a metav1.Status with a code and a reason.

`StatusError` is raised by the API server's rooms and by both clients (function call and HTTPS alike), so a caller
tells failures apart by `reason`, as client-go's `apierrors.IsNotFound` does. The wordings are apimachinery's
(`k8s.io/apimachinery/pkg/api/errors`), because kubectl users and scripts match on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from control.api.kinds import Kind
from control.api.objects import Object


@dataclass(frozen=True, slots=True)
class FieldError:
    """One invalid field (`field.Error` of apimachinery).

    `reason` is a metav1.CauseType: FieldValueInvalid, FieldValueRequired, FieldValueDuplicate, FieldValueNotSupported,
    FieldValueForbidden, FieldValueTooLong, FieldValueTooMany, FieldValueNotFound, FieldValueTypeInvalid. `message` is
    the whole text without the path, e.g. `Invalid value: "A_b": a lowercase RFC 1123 label must consist of ...`.
    """

    field: str
    reason: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class StatusError(Exception):
    """A failed API request; `status` is the metav1.Status that the client gets."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: Object | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    @property
    def status(self) -> Object:
        status: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        if self.details is not None:
            status["details"] = self.details
        return status

    @classmethod
    def from_status(cls, status: Object) -> StatusError:
        """The error that a Status body says (the client's side); missing parts get neutral values."""
        return cls(
            int(status.get("code") or 500),
            str(status.get("reason") or ""),
            str(status.get("message") or "unknown error"),
            status.get("details"),
        )


def _details(kind: Kind, name: str, **more: Any) -> Object:
    details: Object = {"name": name, "kind": kind.plural}
    if kind.group:
        details["group"] = kind.group
    details.update(more)
    return details


def not_found(kind: Kind, name: str) -> StatusError:
    return StatusError(404, "NotFound", f'{kind.resource} "{name}" not found', _details(kind, name))


def already_exists(kind: Kind, name: str) -> StatusError:
    return StatusError(409, "AlreadyExists", f'{kind.resource} "{name}" already exists', _details(kind, name))


def conflict(kind: Kind, name: str, why: str = "") -> StatusError:
    """Optimistic concurrency failed; without `why`, apimachinery's OptimisticLockErrorMsg."""
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {kind.resource} "{name}": {why}'
    return StatusError(409, "Conflict", message, _details(kind, name))


def invalid(kind: Kind, name: str, errors: Sequence[FieldError]) -> StatusError:
    """422 with a cause for each field; several errors are listed in brackets, as apimachinery's aggregate does."""
    texts = list(dict.fromkeys(str(error) for error in errors))
    joined = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    qualified = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    causes = [{"reason": e.reason, "message": e.message, "field": e.field} for e in errors]
    details: Object = {"name": name, "kind": kind.kind, "causes": causes}
    if kind.group:
        details["group"] = kind.group
    return StatusError(422, "Invalid", f'{qualified} "{name}" is invalid: {joined}', details)


def bad_request(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


def forbidden(kind: Kind, name: str, why: str) -> StatusError:
    return StatusError(403, "Forbidden", f'{kind.resource} "{name}" is forbidden: {why}', _details(kind, name))


def unauthorized() -> StatusError:
    return StatusError(401, "Unauthorized", "Unauthorized")


def expired(message: str) -> StatusError:
    """410 Gone: the revision asked for has been compacted, or a continue token is too old."""
    return StatusError(410, "Expired", message)


def internal_error(message: str) -> StatusError:
    return StatusError(500, "InternalError", f"Internal error occurred: {message}")

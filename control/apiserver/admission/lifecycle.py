"""NamespaceLifecycle: nothing is created where no namespace is, or where one is ending.

A namespace that is being deleted is emptied kind by kind; whatever was created after its kind was emptied would keep it
alive for ever, so creation ends at the moment when deletion begins. Updates and deletions go on. The system's own
namespaces cannot be deleted at all.
"""

from __future__ import annotations

from control.api.kinds import NAMESPACE, Kind
from control.api.objects import is_deleting, status_of
from control.api.status import StatusError, forbidden, not_found
from control.apiserver.admission.lookup import Lookup

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})


def check_namespace(kind: Kind, namespace: str, name: str, lookup: Lookup) -> None:
    """Raises what a create in `namespace` gets if the namespace cannot take it."""
    if not kind.namespaced:
        return
    found = lookup.get(NAMESPACE.resource, "", namespace)
    if found is None:
        raise not_found(NAMESPACE, namespace)
    if is_deleting(found) or status_of(found).get("phase") == "Terminating":
        why = f"unable to create new content in namespace {namespace} because it is being terminated"
        error = forbidden(kind, name, why)
        cause = {
            "reason": "NamespaceTerminating",
            "message": f"namespace {namespace} is being terminated",
            "field": "metadata.namespace",
        }
        raise StatusError(error.code, error.reason, error.message, {**(error.details or {}), "causes": [cause]})


def check_deletable(name: str) -> None:
    if name in IMMORTAL:
        raise forbidden(NAMESPACE, name, "this namespace may not be deleted")

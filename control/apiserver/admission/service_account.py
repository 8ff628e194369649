"""ServiceAccount: every pod runs as somebody.

A pod that names no service account gets `default`. A named one must exist. `default` itself is made by a controller
moments after its namespace; Kubernetes' plugin waits a second for it, loopkube lets the pod in: in the loopback network
mode no token is mounted, so the account is a name only. For the same reason no volume is added, whatever
automountServiceAccountToken says.
"""

from __future__ import annotations

from control.api.kinds import POD, SERVICE_ACCOUNT
from control.api.objects import Object, name_of, namespace_of
from control.api.status import forbidden
from control.apiserver.admission.lookup import Lookup

DEFAULT = "default"


def assign(pod: Object, lookup: Lookup) -> None:
    spec = pod.setdefault("spec", {})
    name = spec.get("serviceAccountName") or spec.get("serviceAccount") or DEFAULT
    if name != DEFAULT and lookup.get(SERVICE_ACCOUNT.resource, namespace_of(pod), name) is None:
        why = f'error looking up service account {namespace_of(pod)}/{name}: serviceaccount "{name}" not found'
        raise forbidden(POD, name_of(pod), why)
    spec["serviceAccountName"] = name
    spec["serviceAccount"] = name  # the field's old name, which Kubernetes keeps filled

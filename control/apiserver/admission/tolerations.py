"""DefaultTolerationSeconds: a pod stays 300 s on a node that is not ready or cannot be reached, unless it says else."""

from __future__ import annotations

from control.api.objects import Object
from control.apiserver.admission.lookup import Lookup

SECONDS = 300  # kube-apiserver's --default-not-ready-toleration-seconds
TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def add_defaults(pod: Object, _lookup: Lookup) -> None:
    spec = pod.setdefault("spec", {})
    tolerations = spec.get("tolerations") or []
    missing = [taint for taint in TAINTS if not any(_tolerates(toleration, taint) for toleration in tolerations)]
    if missing:
        spec["tolerations"] = [*tolerations, *map(_toleration, missing)]


def _tolerates(toleration: Object, taint: str) -> bool:
    """Whether the toleration speaks of this taint's NoExecute effect already, however long."""
    return toleration.get("key", "") in ("", taint) and toleration.get("effect", "") in ("", "NoExecute")


def _toleration(taint: str) -> Object:
    return {"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS}

"""DefaultIngressClass: an Ingress that names no class, not even by the old annotation, gets the default one.

Of several default classes the newest wins, then the first name (Kubernetes' rule since 1.26; before, it refused).
"""

from __future__ import annotations

from control.api.kinds import INGRESS_CLASS
from control.api.objects import Object, annotations_of, meta, name_of
from control.apiserver.admission.lookup import Lookup

IS_DEFAULT = "ingressclass.kubernetes.io/is-default-class"
OLD_ANNOTATION = "kubernetes.io/ingress.class"


def assign_default(ingress: Object, lookup: Lookup) -> None:
    spec = ingress.setdefault("spec", {})
    if spec.get("ingressClassName") is not None or OLD_ANNOTATION in annotations_of(ingress):
        return
    classes = [one for one in lookup.list(INGRESS_CLASS.resource) if annotations_of(one).get(IS_DEFAULT) == "true"]
    classes.sort(key=name_of)
    newest = max(classes, key=lambda one: meta(one).get("creationTimestamp") or "", default=None)
    if newest is not None:
        spec["ingressClassName"] = name_of(newest)

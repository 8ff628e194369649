"""Which Ingresses are ours: asked by the publisher (what to route) and by the status controller (what to sign).

An Ingress names its class in spec.ingressClassName, an old one in the annotation kubernetes.io/ingress.class, and one
without either belongs to the default class. A class is ours when its spec.controller is our controller's name. Where
several classes are default, the newest counts, then the name, as admission chooses (KEP-1453 lets it refuse instead).
"""

from __future__ import annotations

from control.api.kinds import INGRESS_CLASS
from control.api.objects import Object, annotations_of, meta, name_of, spec_of
from control.mirror.world import World

CONTROLLER = "loopkube.io/ingress"
IS_DEFAULT = "ingressclass.kubernetes.io/is-default-class"
LEGACY = "kubernetes.io/ingress.class"


def class_name_of(ingress: Object) -> str:
    """The class that the Ingress asks for; "" where it leaves that open."""
    return spec_of(ingress).get("ingressClassName") or annotations_of(ingress).get(LEGACY) or ""


def class_of(world: World, ingress: Object) -> Object | None:
    """The IngressClass that is in charge of an Ingress."""
    wanted = class_name_of(ingress)
    if wanted:
        return world.get(INGRESS_CLASS, "", wanted)
    defaults = [each for each in world.list(INGRESS_CLASS) if annotations_of(each).get(IS_DEFAULT) == "true"]
    if not defaults:
        return None
    newest = max(meta(each).get("creationTimestamp") or "" for each in defaults)
    return min((each for each in defaults if (meta(each).get("creationTimestamp") or "") == newest), key=name_of)


def is_ours(world: World, ingress: Object, controller: str = CONTROLLER) -> bool:
    found = class_of(world, ingress)
    return found is not None and spec_of(found).get("controller") == controller

"""What makes a StatefulSet's pod the one it is: its ordinal, and everything that follows from it.

The pod of ordinal n is `<set>-<n>`: name, hostname, and the labels statefulset.kubernetes.io/pod-name and
apps.kubernetes.io/pod-index; its subdomain is the governing Service; its claims are `<template>-<set>-<n>`. The label
controller-revision-hash names the revision that it was made from. Ordinals begin at `spec.ordinals.start`.
"""

from __future__ import annotations

import re

from control.api.kinds import POD, STATEFUL_SET
from control.api.objects import Object, labels_of, name_of, namespace_of, spec_of, uid_of
from control.controllers.action import Patch
from control.controllers.podmaking import pod_from
from control.controllers.revisions import POD_LABEL, template_of

POD_NAME = "statefulset.kubernetes.io/pod-name"
POD_INDEX = "apps.kubernetes.io/pod-index"
_NAME = re.compile(r"(.*)-(0|[1-9][0-9]*)", re.DOTALL)


def ordinal_of(owner: Object, pod: Object) -> int | None:
    """The pod's ordinal in the set; None for a name that the set would never give."""
    found = _NAME.fullmatch(name_of(pod))
    return int(found[2]) if found and found[1] == name_of(owner) else None


def start_of(owner: Object) -> int:
    return int((spec_of(owner).get("ordinals") or {}).get("start") or 0)


def replicas_of(owner: Object) -> int:
    replicas = spec_of(owner).get("replicas")
    return 1 if replicas is None else int(replicas)


def revision_of(pod: Object) -> str:
    return labels_of(pod).get(POD_LABEL, "")


def made(owner: Object, ordinal: int, revision: Object) -> Object:
    """The pod of an ordinal at a revision."""
    name = f"{name_of(owner)}-{ordinal}"
    labels = {POD_NAME: name, POD_INDEX: str(ordinal), POD_LABEL: name_of(revision)}
    pod = pod_from(STATEFUL_SET, owner, template_of(revision), name, **labels)
    spec = pod["spec"]
    spec["hostname"] = name
    if spec_of(owner).get("serviceName"):
        spec["subdomain"] = spec_of(owner)["serviceName"]
    claims = [
        {"name": name_of(template), "persistentVolumeClaim": {"claimName": name}}
        for template, name in claim_names(owner, ordinal)
    ]
    if claims:
        named = {claim["name"] for claim in claims}
        spec["volumes"] = [*claims, *(one for one in spec.get("volumes") or () if one.get("name") not in named)]
    return pod


def claim_names(owner: Object, ordinal: int) -> list[tuple[Object, str]]:
    """(template, name of its claim) of the pod of an ordinal."""
    templates = spec_of(owner).get("volumeClaimTemplates") or ()
    return [(template, f"{name_of(template)}-{name_of(owner)}-{ordinal}") for template in templates]


def corrected(pod: Object, ordinal: int) -> Patch | None:
    """The patch that gives a pod the labels of its identity; None where it has them."""
    wanted = {POD_NAME: name_of(pod), POD_INDEX: str(ordinal)}
    if wanted.items() <= labels_of(pod).items():
        return None
    return Patch(POD, namespace_of(pod), name_of(pod), uid_of(pod), {"metadata": {"labels": wanted}})

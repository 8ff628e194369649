"""Warnings: what a client hears about a write that succeeded. A table of paths, not code.

Kubernetes' API has many fields that need a container, a kernel or a cloud. loopkube accepts and keeps them, so that
real manifests apply, and says of each one that it does not act on what follows from that. Whoever adds a feature
deletes its row here. A warning is given when a write brings the field, not again with every later write of the object.

A path names fields from the top of the object; lists on the way are stepped through (`spec.containers.tty`). The paths
of `POD_SPEC` are relative to a pod spec and hold for every workload's template too. `unless` lists the values that mean
nothing special.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from control.api import kinds
from control.api.kinds import Kind
from control.api.objects import Object, annotations_of

IGNORED = "not implemented by loopkube, ignored"
_ONE_HOST = "not implemented by loopkube: every pod runs in the host's namespaces"
_HOST_NAMES = "loopkube writes it to $LOOPKUBE_RESOLV_CONF and $LOOPKUBE_HOSTS only: names resolve as on the host"
_SAME_USER = "not implemented by loopkube: processes run as the user who started loopkube"
_WAITS = "not implemented by loopkube: pods that use this volume will wait in ContainerCreating"
_NO_RUNTIME = "not implemented by loopkube: there is no container runtime"

Row = tuple[str, str] | tuple[str, str, tuple[Any, ...]]
"""(path, text) or (path, text, unless)."""

_CONTAINER_FIELDS: tuple[Row, ...] = (
    ("resources.limits", "not enforced by loopkube: processes may use more"),
    ("resources.claims", IGNORED),
    ("resizePolicy", IGNORED),
    ("env.valueFrom.fileKeyRef", "not implemented by loopkube: the container will wait in CreateContainerConfigError"),
    ("restartPolicyRules", IGNORED),
    ("securityContext.runAsUser", _SAME_USER),
    ("securityContext.runAsGroup", _SAME_USER),
    ("securityContext.runAsNonRoot", _SAME_USER, (False,)),
    ("securityContext.privileged", _SAME_USER, (False,)),
    ("securityContext.capabilities.add", _SAME_USER),
    ("securityContext.readOnlyRootFilesystem", IGNORED, (False,)),
    ("securityContext.allowPrivilegeEscalation", IGNORED, (True,)),
    ("securityContext.seLinuxOptions", IGNORED),
    ("securityContext.seccompProfile", IGNORED),
    ("securityContext.appArmorProfile", IGNORED),
    ("securityContext.procMount", IGNORED, ("Default",)),
    ("securityContext.windowsOptions", IGNORED),
    ("stdin", "not implemented by loopkube: standard input is empty"),
    ("tty", "not implemented by loopkube: no terminal is allocated"),
    ("volumeDevices", IGNORED),
    ("volumeMounts.bindMountOptions", IGNORED),
    ("volumeMounts.mountPropagation", IGNORED, ("None",)),
    ("volumeMounts.recursiveReadOnly", IGNORED, ("Disabled",)),
    ("volumeMounts.subPathExpr", IGNORED),
)

_FOREIGN_VOLUMES = (
    "awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "csi", "fc", "flexVolume", "flocker",
    "gcePersistentDisk", "gitRepo", "glusterfs", "image", "iscsi", "nfs", "photonPersistentDisk", "portworxVolume",
    "quobyte", "rbd", "scaleIO", "storageos", "vsphereVolume",
)  # fmt: skip

POD_SPEC: tuple[Row, ...] = (
    ("affinity.podAffinity", IGNORED),
    ("affinity.podAntiAffinity", IGNORED),
    ("topologySpreadConstraints", IGNORED),
    ("hostNetwork", _ONE_HOST),
    ("hostPID", _ONE_HOST),
    ("hostIPC", _ONE_HOST),
    ("hostUsers", _ONE_HOST, (True,)),
    ("shareProcessNamespace", _ONE_HOST, (False,)),
    ("hostAliases", _HOST_NAMES),
    ("dnsConfig", _HOST_NAMES),
    ("dnsPolicy", _HOST_NAMES, ("ClusterFirst", "ClusterFirstWithHostNet", "Default")),
    ("setHostnameAsFQDN", IGNORED, (False,)),
    ("hostnameOverride", IGNORED),
    ("runtimeClassName", _NO_RUNTIME),
    ("os", IGNORED),
    ("resources.limits", "not enforced by loopkube: processes may use more"),
    ("resourceClaims", IGNORED),
    ("schedulingGroup", IGNORED),
    ("evictionResponders", IGNORED),
    ("ephemeralContainers", _NO_RUNTIME),
    ("imagePullSecrets", "not implemented by loopkube: no image is ever pulled"),
    ("securityContext.runAsUser", _SAME_USER),
    ("securityContext.runAsGroup", _SAME_USER),
    ("securityContext.runAsNonRoot", _SAME_USER, (False,)),
    ("securityContext.fsGroup", _SAME_USER),
    ("securityContext.supplementalGroups", _SAME_USER),
    ("securityContext.supplementalGroupsPolicy", _SAME_USER),
    ("securityContext.seLinuxChangePolicy", IGNORED),
    ("securityContext.sysctls", IGNORED),
    ("securityContext.seLinuxOptions", IGNORED),
    ("securityContext.seccompProfile", IGNORED),
    ("securityContext.appArmorProfile", IGNORED),
    ("securityContext.windowsOptions", IGNORED),
    ("containers.restartPolicy", IGNORED),
    *((f"containers.{row[0]}", *row[1:]) for row in _CONTAINER_FIELDS),
    *((f"initContainers.{row[0]}", *row[1:]) for row in _CONTAINER_FIELDS),
    *((f"volumes.{kind}", _WAITS) for kind in _FOREIGN_VOLUMES),
)

_TEMPLATE = "spec.template.spec"
_ONE_SIZE = "not enforced by loopkube: a volume is a directory, which may grow beyond it"
_PLAIN = "not implemented by loopkube: volumes are plain directories"

TABLE: dict[Kind, tuple[Row, ...]] = {
    kinds.NODE: (
        ("spec.configSource", IGNORED),
        ("spec.externalID", IGNORED),
        ("spec.podPreemptionPolicy", "not implemented by loopkube: no pod is ever preempted"),
    ),
    kinds.JOB: (("spec.scheduling", IGNORED),),
    kinds.CRON_JOB: (("spec.jobTemplate.spec.scheduling", IGNORED),),
    kinds.SERVICE: (
        ("spec.loadBalancerIP", IGNORED),
        ("spec.loadBalancerSourceRanges", IGNORED),
        ("spec.ports.protocol", "not served by loopkube: its data plane speaks TCP and UDP", ("TCP", "UDP")),
    ),
    kinds.INGRESS: (
        ("spec.defaultBackend.resource", "not implemented by loopkube: requests get 503"),
        ("spec.rules.http.paths.backend.resource", "not implemented by loopkube: requests get 503"),
    ),
    kinds.INGRESS_CLASS: (("spec.parameters", "not used by loopkube's Ingress, which takes none"),),
    kinds.PERSISTENT_VOLUME: (
        *((f"spec.{kind}", _WAITS) for kind in _FOREIGN_VOLUMES if kind not in ("gitRepo", "image")),
        ("spec.mountOptions", _PLAIN),
        ("spec.volumeMode", _WAITS, ("Filesystem",)),
    ),
    kinds.PERSISTENT_VOLUME_CLAIM: (
        ("spec.resources.limits", _ONE_SIZE),
        ("spec.dataSource", _PLAIN),
        ("spec.dataSourceRef", _PLAIN),
        ("spec.volumeMode", _WAITS, ("Filesystem",)),
    ),
}

_POD_SPECS: dict[Kind, str] = {
    kinds.POD: "spec",
    kinds.CRON_JOB: "spec.jobTemplate.spec.template.spec",
    **dict.fromkeys(
        (kinds.REPLICATION_CONTROLLER, kinds.REPLICA_SET, kinds.DEPLOYMENT, kinds.STATEFUL_SET, kinds.DAEMON_SET,
         kinds.JOB), _TEMPLATE,
    ),
}  # fmt: skip

_ALWAYS: dict[Kind, str] = {
    kinds.ENDPOINTS: "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
}
"""Kubernetes' own: said of every write of a kind."""

_ANNOTATIONS: dict[tuple[Kind, str], str] = {
    (kinds.INGRESS, "kubernetes.io/ingress.class"): (
        "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"
    ),
}


@dataclass(slots=True)
class _Node:
    """One step of the paths: where a field is known to be ignored, `text` says so."""

    text: str = ""
    unless: tuple[Any, ...] = ()
    below: dict[str, _Node] = field(default_factory=dict)


def _tree(rows: Sequence[Row]) -> _Node:
    root = _Node()
    for path, text, *unless in rows:
        node = root
        for step in path.split("."):
            node = node.below.setdefault(step, _Node())
        node.text, node.unless = text, unless[0] if unless else ()
    return root


def _walk(value: Any, node: _Node, path: str) -> Iterator[tuple[str, str]]:
    """(path, text) of every field that has a row; absent, empty and harmless values have none."""
    if isinstance(value, list) and node.below:
        for index, item in enumerate(value):
            yield from _walk(item, node, f"{path}[{index}]")
        return
    if node.text and value not in (None, "", [], {}) and value not in node.unless:
        yield path, node.text
    if isinstance(value, dict):
        for step in value.keys() & node.below.keys():
            yield from _walk(value[step], node.below[step], f"{path}.{step}" if path else step)


@cache
def _tree_of(kind: Kind) -> _Node:
    """Made when a kind is first written: most servers never see most kinds."""
    rows = list(TABLE.get(kind, ()))
    prefix = _POD_SPECS.get(kind)
    if prefix:
        rows += [(f"{prefix}.{row[0]}", *row[1:]) for row in POD_SPEC]
    return _tree(rows)


def warnings_of(kind: Kind) -> Callable[[Object, Object | None], Sequence[str]]:
    """A function (new, old) -> texts for Warning headers; `old` is None at birth."""
    always = _ALWAYS.get(kind)
    annotations = {name: text for (of, name), text in _ANNOTATIONS.items() if of is kind}

    def warnings(new: Object, old: Object | None) -> Sequence[str]:
        found = [always] if always else []
        tree = _tree_of(kind)
        if tree.below:
            known = set(_walk(old, tree, "")) if old is not None else set()
            found += [f"{path}: {text}" for path, text in sorted(_walk(new, tree, "")) if (path, text) not in known]
        if annotations and old is None:
            found += [text for name, text in annotations.items() if name in annotations_of(new)]
        return found

    return warnings

"""The kinds that loopkube serves, as identities: names and scope, no behaviour.

One row a kind. What the API server does with a kind (schema, defaults, validation, columns) is `scheme.py`'s; clients
of the API (mirrors, controllers, kubelet, publisher) need only this.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """A served kind: `group` is "" for the core group; `plural` is the resource's name in paths."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """The group-qualified resource: `pods`, `deployments.apps`. Unique over all kinds."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def singular(self) -> str:
        return self.kind.lower()

    @property
    def list_kind(self) -> str:
        return f"{self.kind}List"

    @property
    def prefix(self) -> str:
        """The path before namespaces: `/api/v1` or `/apis/apps/v1`."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The request path of a collection (no name) or an object, e.g. /api/v1/namespaces/default/pods/a/log."""
        parts = [self.prefix]
        if self.namespaced and namespace:
            parts.append(f"namespaces/{namespace}")
        parts.append(self.plural)
        if name:
            parts.append(name)
        if subresource:
            parts.append(subresource)
        return "/".join(parts)

    def __hash__(self) -> int:
        return hash(self.plural)  # a string keeps its hash, a tuple of all fields does not; every index asks for it

    def __str__(self) -> str:
        return f"{self.api_version} {self.kind}"


NAMESPACE = Kind("", "v1", "Namespace", "namespaces", namespaced=False, short_names=("ns",))
NODE = Kind("", "v1", "Node", "nodes", namespaced=False, short_names=("no",))
POD = Kind("", "v1", "Pod", "pods", short_names=("po",), categories=("all",))
SERVICE = Kind("", "v1", "Service", "services", short_names=("svc",), categories=("all",))
ENDPOINTS = Kind("", "v1", "Endpoints", "endpoints", short_names=("ep",))
CONFIG_MAP = Kind("", "v1", "ConfigMap", "configmaps", short_names=("cm",))
SECRET = Kind("", "v1", "Secret", "secrets")
SERVICE_ACCOUNT = Kind("", "v1", "ServiceAccount", "serviceaccounts", short_names=("sa",))
EVENT = Kind("", "v1", "Event", "events", short_names=("ev",))
REPLICATION_CONTROLLER = Kind(
    "", "v1", "ReplicationController", "replicationcontrollers", short_names=("rc",), categories=("all",)
)
EVENTS_EVENT = Kind("events.k8s.io", "v1", "Event", "events", short_names=("ev",))
ENDPOINT_SLICE = Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")
REPLICA_SET = Kind("apps", "v1", "ReplicaSet", "replicasets", short_names=("rs",), categories=("all",))
DEPLOYMENT = Kind("apps", "v1", "Deployment", "deployments", short_names=("deploy",), categories=("all",))
STATEFUL_SET = Kind("apps", "v1", "StatefulSet", "statefulsets", short_names=("sts",), categories=("all",))
DAEMON_SET = Kind("apps", "v1", "DaemonSet", "daemonsets", short_names=("ds",), categories=("all",))
CONTROLLER_REVISION = Kind("apps", "v1", "ControllerRevision", "controllerrevisions")
JOB = Kind("batch", "v1", "Job", "jobs", categories=("all",))
CRON_JOB = Kind("batch", "v1", "CronJob", "cronjobs", short_names=("cj",), categories=("all",))
HORIZONTAL_POD_AUTOSCALER = Kind(
    "autoscaling",
    "v2",
    "HorizontalPodAutoscaler",
    "horizontalpodautoscalers",
    short_names=("hpa",),
    categories=("all",),
)
HORIZONTAL_POD_AUTOSCALER_V1 = Kind(
    "autoscaling",
    "v1",
    "HorizontalPodAutoscaler",
    "horizontalpodautoscalers",
    short_names=("hpa",),
    categories=("all",),
)
PERSISTENT_VOLUME = Kind("", "v1", "PersistentVolume", "persistentvolumes", namespaced=False, short_names=("pv",))
PERSISTENT_VOLUME_CLAIM = Kind("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", short_names=("pvc",))
STORAGE_CLASS = Kind("storage.k8s.io", "v1", "StorageClass", "storageclasses", namespaced=False, short_names=("sc",))
INGRESS = Kind("networking.k8s.io", "v1", "Ingress", "ingresses", short_names=("ing",))
INGRESS_CLASS = Kind("networking.k8s.io", "v1", "IngressClass", "ingressclasses", namespaced=False)
LEASE = Kind("coordination.k8s.io", "v1", "Lease", "leases")
POD_DISRUPTION_BUDGET = Kind("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", short_names=("pdb",))
PRIORITY_CLASS = Kind(
    "scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", namespaced=False, short_names=("pc",)
)
RESOURCE_QUOTA = Kind("", "v1", "ResourceQuota", "resourcequotas", short_names=("quota",))
LIMIT_RANGE = Kind("", "v1", "LimitRange", "limitranges", short_names=("limits",))
CUSTOM_RESOURCE_DEFINITION = Kind(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False,
    short_names=("crd", "crds"), categories=("api-extensions",),
)  # fmt: skip
"""Listed, and always empty: kubectl before 1.26 looks there before it validates anything. Creating one is refused."""

KINDS: tuple[Kind, ...] = (
    NAMESPACE, NODE, POD, SERVICE, ENDPOINTS, CONFIG_MAP, SECRET, SERVICE_ACCOUNT, EVENT, REPLICATION_CONTROLLER,
    EVENTS_EVENT, ENDPOINT_SLICE, REPLICA_SET, DEPLOYMENT, STATEFUL_SET, DAEMON_SET, CONTROLLER_REVISION, JOB, CRON_JOB,
    HORIZONTAL_POD_AUTOSCALER, HORIZONTAL_POD_AUTOSCALER_V1,
    PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, STORAGE_CLASS,
    INGRESS, INGRESS_CLASS, LEASE, POD_DISRUPTION_BUDGET, PRIORITY_CLASS,
    RESOURCE_QUOTA, LIMIT_RANGE, CUSTOM_RESOURCE_DEFINITION,
)  # fmt: skip
"""Every kind that is served. Two of them are views of what is stored as another: VIEWED_AS."""

VIEWED_AS: dict[Kind, Kind] = {EVENTS_EVENT: EVENT, HORIZONTAL_POD_AUTOSCALER_V1: HORIZONTAL_POD_AUTOSCALER}
"""Events are one stored resource seen through two groups, autoscalers one seen in two versions: view -> stored."""

BY_API_KIND: dict[tuple[str, str], Kind] = {(kind.api_version, kind.kind): kind for kind in KINDS}
"""By (apiVersion, kind), as an object names itself or an owner reference names an owner."""


def kind_of(obj: dict[str, object]) -> Kind | None:
    """The kind that an object names by its apiVersion and kind; None when loopkube does not serve it."""
    return BY_API_KIND.get((str(obj.get("apiVersion", "")), str(obj.get("kind", ""))))

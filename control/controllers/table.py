"""All controllers, in one place. Nothing registers itself; what is not listed here does not run."""

from __future__ import annotations

from control.controllers.controller import Controller
from control.controllers.cronjob.controller import CronJobController
from control.controllers.daemonset.controller import DaemonSetController
from control.controllers.deployment.controller import DeploymentController
from control.controllers.disruption import DisruptionController
from control.controllers.endpoints import EndpointsController
from control.controllers.endpointslice import EndpointSliceController
from control.controllers.endpointslicemirroring import EndpointSliceMirroringController
from control.controllers.garbage import GarbageController
from control.controllers.horizontalpodautoscaler.controller import HorizontalPodAutoscalerController
from control.controllers.horizontalpodautoscaler.tuning import KUBERNETES, Tuning
from control.controllers.ingress import IngressStatusController
from control.controllers.job.controller import JobController
from control.controllers.loadbalancer import LoadBalancerController
from control.controllers.namespace import NamespaceController
from control.controllers.persistentvolume.controller import PersistentVolumeController
from control.controllers.persistentvolume.ephemeral import EphemeralController
from control.controllers.persistentvolume.protection import ClaimProtection, VolumeProtection
from control.controllers.persistentvolume.provisioner import Provisioner
from control.controllers.persistentvolume.resizer import Resizer
from control.controllers.podgc import PodGarbageController
from control.controllers.replicaset import ReplicaSetController, replication_controller
from control.controllers.resourcequota import ResourceQuotaController
from control.controllers.scheduler import Scheduler
from control.controllers.staledisruption import StaleDisruptionController
from control.controllers.statefulset.controller import StatefulSetController
from control.controllers.taints import TaintController
from control.controllers.ttl import TtlController


def all_controllers(
    *, ca_pem: str, volumes_dir: str = "/var/lib/loopkube/volumes", autoscaling: Tuning = KUBERNETES
) -> tuple[Controller, ...]:
    """One of each; `ca_pem` is the cluster's CA, which every namespace gets as the ConfigMap kube-root-ca.crt.

    `volumes_dir` is where provisioned volumes have their directories; no controller touches it, so a simulation needs
    none.

    The order is that in which a shell serves its queues in turn: first what the data plane waits for (a readiness flip
    also moves the counts of its sets, which nobody waits for), then what makes pods, then the rest.
    """
    return (
        EndpointSliceController(),
        NamespaceController(ca_pem),
        DeploymentController(),
        ReplicaSetController(),
        replication_controller(),
        StatefulSetController(),
        DaemonSetController(),
        CronJobController(),
        JobController(),
        TtlController(),
        EphemeralController(),
        Scheduler(),
        PersistentVolumeController(),
        Provisioner(volumes_dir),
        Resizer(),
        ClaimProtection(),
        VolumeProtection(),
        EndpointsController(),
        EndpointSliceMirroringController(),
        IngressStatusController(),
        LoadBalancerController(),
        DisruptionController(),
        StaleDisruptionController(),
        ResourceQuotaController(),
        HorizontalPodAutoscalerController(autoscaling),
        TaintController(),
        PodGarbageController(),
        GarbageController(),
    )

"""Delays of the change path, each with the value zero and the value that a real cluster has.

Between a pod's change of heart and the last request routed by the old knowledge stand a handful of delays. A
laboratory wants them zero (`fast`), so that what remains is the application's own; a rehearsal of production wants
them as Kubernetes has them (`realistic`). What is done again and again cannot have a period of zero: of autoscaling,
`fast` has one of a second. Nothing else in loopkube waits on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ProfileName = Literal["fast", "realistic"]


@dataclass(frozen=True, slots=True)
class Delays:
    """Seconds each. The comment says where the realistic value comes from."""

    process_exit_detection_s: float = 0.0  # the kubelet's PLEG relist period
    status_write_s: float = 0.0  # kubelet's status manager writes at once on change, here and there
    proxy_sync_s: float = 0.0  # kube-proxy iptables.minSyncPeriod
    ingress_sync_s: float = 0.0  # ingress-nginx --sync-rate-limit 0.3/s: one sync in 3.3 s
    autoscaler_sync_s: float = 1.0  # kube-controller-manager --horizontal-pod-autoscaler-sync-period
    metrics_resolution_s: float = 1.0  # metrics-server --metric-resolution; while somebody asks (apiserver/metrics.py)
    dns_ttl_s: int = 0  # how long a resolver may remember an answer: kubeadm's Corefile, `ttl 30` (CoreDNS' own: 5)


PROFILES: dict[ProfileName, Delays] = {
    "fast": Delays(),
    "realistic": Delays(
        process_exit_detection_s=1.0,
        proxy_sync_s=1.0,
        ingress_sync_s=3.3,
        dns_ttl_s=30,
        autoscaler_sync_s=15.0,
        metrics_resolution_s=15.0,
    ),
}

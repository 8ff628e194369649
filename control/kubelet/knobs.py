"""Every delay and limit of the node, with Kubernetes' value beside ours and where it comes from.

The defaults are the profile `fast`: nothing waits on purpose, but what an application can observe as a rule of
Kubernetes (back-off, grace, leases) is kept. `REALISTIC` adds the kubelet's own sloth.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Knobs:
    """Seconds, where the name says `_s`."""

    pleg_delay_s: float = 0.0  # an exit is noticed so late; kubelet relists every 1 s
    status_delay_s: float = 0.0  # between a change and its status write; kubelet's status manager writes at once
    probe_at_start: bool = True  # first probe when the container runs; kubelet: at the next tick of the period
    probe_eager_s: float = 0.05  # extra looks until the first success, see `probe`; 0 = none, as kubelet
    probe_period_min_s: float = 0.0  # no probe is asked more often than that
    probe_jitter: bool = False  # spread first probes over a period; kubelet: only while younger than a period
    backoff_base_s: float = 10.0  # CrashLoopBackOff: pkg/kubelet MaxContainerBackOff and containerBackOffPeriod
    backoff_max_s: float = 300.0
    image_backoff_base_s: float = 10.0  # ImagePullBackOff: kubelet's imageBackOff
    image_backoff_max_s: float = 300.0
    config_retry_s: float = 10.0  # a container that could not be configured, unless its ConfigMap or Secret changes
    grace_min_s: float = 2.0  # kuberuntime minimumGracePeriodInSeconds: what remains after a preStop hook at least
    hook_timeout_s: float = 600.0  # postStart has no limit in Kubernetes; a lost one must not be kept for ever
    lease_duration_s: int = 40  # nodeLeaseDurationSeconds
    lease_renew_s: float = 10.0  # a quarter of it
    node_status_s: float = 300.0  # nodeStatusReportFrequency
    reconnect_s: float = 0.5  # between attempts while the API server is away
    pods_max: int = 110  # kubelet's maxPods
    log_max_bytes: int = 10 * 1024 * 1024  # containerLogMaxSize
    log_files_max: int = 5  # containerLogMaxFiles
    starts_max: int = 16  # processes being started at the same time
    probes_max: int = 256  # probes under way at the same time; the rest waits its turn


FAST = Knobs()
REALISTIC = Knobs(pleg_delay_s=1.0, probe_at_start=False, probe_eager_s=0.0, probe_jitter=True)
"""As a kubelet with default flags."""

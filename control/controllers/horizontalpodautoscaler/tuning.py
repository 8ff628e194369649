"""The numbers of the autoscaler that no object names: flags of kube-controller-manager, with its defaults."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tuning:
    sync_period_s: float = 15.0  # --horizontal-pod-autoscaler-sync-period
    tolerance: float = 0.1  # --horizontal-pod-autoscaler-tolerance
    downscale_stabilization_s: float = 300.0  # --horizontal-pod-autoscaler-downscale-stabilization
    cpu_initialization_s: float = 300.0  # --horizontal-pod-autoscaler-cpu-initialization-period
    initial_readiness_s: float = 30.0  # --horizontal-pod-autoscaler-initial-readiness-delay
    concurrency: int = 5  # --concurrent-horizontal-pod-autoscaler-syncs


KUBERNETES = Tuning()
"""As kube-controller-manager without flags."""

SCALE_UP_FACTOR = 2  # without behaviour rules, at most a doubling at once ...
SCALE_UP_LEAST = 4  # ... but this many are always allowed (scaleUpLimitFactor, scaleUpLimitMinimum)
DEFAULT_WINDOW_S = 60.0  # of a custom metric that does not say its window (metricServerDefaultMetricWindow)

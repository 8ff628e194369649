"""Slow start: an endpoint that has just become ready gets its full share only after a while.

A fresh process has cold caches and unfilled pools; its full share at once makes its first answers slow ones. As in
Envoy (slow_start_config with aggression 1) the share grows linearly over the window, from a tenth on. It is applied to
what a policy has picked: an endpoint with the share s is kept with probability s, else the policy picks again, which is
exact for random choice and close for the others. Where all are fresh, all are equal.
"""

from __future__ import annotations

SHARE_MIN = 0.1  # Envoy's min_weight_percent
PICKS_MAX = 8  # an endpoint with the least share is kept after so many in a row at the latest


def share(ready_for_s: float, window_s: float) -> float:
    """Of its full share, between `SHARE_MIN` and 1."""
    return min(1.0, max(SHARE_MIN, ready_for_s / window_s))

"""When a container may start again: client-go's flowcontrol.Backoff, once per container.

The first restart is immediate and opens the book: from then on each restart waits from the container's *end*, 10 s,
20 s, 40 s and so on to 300 s. An entry that has not been used for twice the maximum (the container ran for more than
ten minutes) is forgotten. The same rule with other numbers serves image pulls.
"""

from __future__ import annotations

from control.kubelet.record import Backoff


def expired(entry: Backoff, event_at: float, max_s: float) -> bool:
    return entry.delay_s == 0.0 or event_at - entry.updated_at > 2 * max_s


def wait_until(entry: Backoff, event_at: float, max_s: float) -> float:
    """The earliest time for another attempt after what happened at `event_at`; `event_at` itself without back-off."""
    return event_at if expired(entry, event_at, max_s) else event_at + entry.delay_s


def book(entry: Backoff, event_at: float, now: float, base_s: float, max_s: float) -> None:
    """Another attempt is being made now, after what happened at `event_at`: the next wait is longer."""
    entry.delay_s = base_s if expired(entry, event_at, max_s) else min(entry.delay_s * 2, max_s)
    entry.updated_at = now


def spoken(delay_s: float) -> str:
    """A delay as Go prints a time.Duration of whole seconds: 10s, 1m20s, 5m0s."""
    minutes, seconds = divmod(round(delay_s), 60)
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"

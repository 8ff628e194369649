"""Why an eviction is refused, in Kubernetes' words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from control.api.objects import Object
from control.api.status import StatusError
from control.apiserver.eviction import charged

NOW = datetime(2026, 1, 1, tzinfo=UTC)
START = "The disruption budget b "


def budget(reason: str = "", message: str = "", generation: int = 1, **status: Any) -> Object:
    condition = {"type": "DisruptionAllowed", "status": "False", "reason": reason, "message": message}
    full = {"observedGeneration": 1, "conditions": [condition] if reason else [], **status}
    return {"metadata": {"name": "b", "generation": generation}, "status": full}


@pytest.mark.parametrize(
    ("obj", "why", "retry"),
    [
        (budget(generation=2), START + "is still being processed by the server.", 10),
        (
            budget("InsufficientPods", desiredHealthy=2, currentHealthy=1),
            START + "needs 2 healthy pods and has 1 currently",
            None,
        ),
        (
            budget("SyncFailed", "found no controllers for pod", desiredHealthy=2, currentHealthy=1),
            START + "does not allow evicting pods currently because it failed sync: found no controllers for pod",
            None,
        ),
        (
            budget("Held", "until Monday", desiredHealthy=3, currentHealthy=4),
            START + "does not allow evicting pods currently (Held): until Monday",
            None,
        ),
        (budget(desiredHealthy=3, currentHealthy=4), START + "does not allow evicting pods currently", None),
    ],
)
def test_a_refusal_says_why(obj: Object, why: str, retry: int | None) -> None:
    with pytest.raises(StatusError, match="violate the pod's disruption budget") as refused:
        charged(obj, "p", NOW)
    details = refused.value.details or {}
    assert [cause["message"] for cause in details["causes"]] == [why]
    assert details.get("retryAfterSeconds") == retry

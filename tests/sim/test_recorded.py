"""The recorded runs: ten thousand of them, each kind of fault and of workload among them, and none that broke a law."""

from __future__ import annotations

import json

from tests.sim.run import RECORD

FAULTS = {"conflict", "killed before", "killed after", "lag", "watch broken", "lost after"}
WORKLOADS = {"CronJob", "DaemonSet", "Deployment", "Job", "ReplicaSet", "ReplicationController", "StatefulSet"}


def test_ten_thousand_runs_are_on_record_and_none_failed() -> None:
    record = json.loads(RECORD.read_text())
    assert record["runs"] >= 10_000
    assert record["failed_seeds"] == []
    assert set(record["workloads"]) >= WORKLOADS
    assert set(record["faults"]) >= FAULTS

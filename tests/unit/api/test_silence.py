"""No field of a spec is accepted and then not looked at: each occurs in the code that acts, or in a warning's path.

A sieve, not a proof: a word that the code uses for something else passes. What it does catch is a field of a newer
schema, and a feature that went without its warning's coming back.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from control.api.schemas import load_structure
from control.api.warnings import POD_SPEC, TABLE

CONTROL = Path(__file__).resolve().parents[3] / "control"
JUDGING = ("schemas", "validation", "defaults", "columns", "protobuf")  # reading a field there is not acting on it
TYPES = (
    "core.v1.PodSpec", "core.v1.Container", "core.v1.PodSecurityContext", "core.v1.SecurityContext", "core.v1.Probe",
    "core.v1.Lifecycle", "core.v1.EnvVarSource", "core.v1.VolumeMount", "core.v1.Volume", "core.v1.NodeSpec",
    "core.v1.ServiceSpec", "core.v1.PersistentVolumeSpec", "core.v1.PersistentVolumeClaimSpec",
    "core.v1.ResourceQuotaSpec", "core.v1.LimitRangeItem", "core.v1.ReplicationControllerSpec",
    "apps.v1.ReplicaSetSpec", "apps.v1.DeploymentSpec", "apps.v1.StatefulSetSpec", "apps.v1.DaemonSetSpec",
    "batch.v1.JobSpec", "batch.v1.CronJobSpec", "batch.v1.PodFailurePolicyRule", "batch.v1.SuccessPolicyRule",
    "policy.v1.PodDisruptionBudgetSpec", "autoscaling.v2.HorizontalPodAutoscalerSpec", "autoscaling.v2.MetricTarget",
    "autoscaling.v2.HPAScalingRules", "storage.v1.StorageClass",
)  # fmt: skip


@cache
def words() -> frozenset[str]:
    """Every word of the code that acts on objects, and every step of a warning's path."""
    files = (path for path in CONTROL.rglob("*.py") if not set(JUDGING) & set(path.parts))
    acted = {word for path in files for word in re.findall(r"\w+", path.read_text())}
    rows = [*POD_SPEC, *(row for rows in TABLE.values() for row in rows)]
    return frozenset(acted | {step for row in rows for step in row[0].split(".")})


@pytest.mark.parametrize("name", TYPES)
def test_no_field_is_ignored_in_silence(name: str) -> None:
    fields = load_structure()[f"io.k8s.api.{name}"]["properties"]
    assert [field for field in fields if field not in words()] == []

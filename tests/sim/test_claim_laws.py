"""Claims of StatefulSets under the three laws: never two for one ordinal, never deleted by default, on old worlds and
with controllers that die between writes; and all of the storage controllers come to rest."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control.api.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD, STATEFUL_SET
from control.api.objects import name_of, spec_of, status_of, uid_of
from control.controllers.garbage import GarbageController
from control.controllers.persistentvolume.controller import PersistentVolumeController
from control.controllers.persistentvolume.protection import ClaimProtection, VolumeProtection
from control.controllers.persistentvolume.provisioner import Provisioner
from control.controllers.persistentvolume.resizer import Resizer
from control.controllers.scheduler import Scheduler
from control.controllers.statefulset.controller import StatefulSetController
from tests.fakes.objects import namespace, node
from tests.fakes.simulation import Simulation
from tests.fakes.tiny_api import Cluster
from tests.fakes.volumes import claim, storage_class
from tests.fakes.workloads import stateful_set

LAW = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
Change = Callable[[Cluster], object]


def scaled(replicas: int) -> Change:
    return lambda cluster: cluster.edit(STATEFUL_SET, "web", lambda obj: obj["spec"].update(replicas=replicas))


def policy(when_scaled: str, when_deleted: str) -> Change:
    both = {"whenScaled": when_scaled, "whenDeleted": when_deleted}
    return lambda cluster: cluster.edit(
        STATEFUL_SET, "web", lambda obj: obj["spec"].update(persistentVolumeClaimRetentionPolicy=both)
    )


def pod_lost(cluster: Cluster) -> None:
    if cluster.all(POD):
        cluster.delete(POD, cluster.all(POD)[-1])


SCALES: dict[str, Change] = {**{f"scale {count}": scaled(count) for count in (0, 1, 3)}, "pod lost": pod_lost}
POLICIES: dict[str, Change] = {
    f"{one}/{two}": policy(one, two) for one in ("Retain", "Delete") for two in ("Retain", "Delete")
}


def played(changes: list[Change], rng: Random, binding: str, watch: Callable[[Cluster], None]) -> Simulation:
    cluster = Cluster()
    template = {"metadata": {"name": "data"}, "spec": claim()["spec"]}
    own = stateful_set(replicas=2, volumeClaimTemplates=[template])
    for obj in (namespace(), node("n0"), node("n1"), storage_class(binding=binding), own):
        cluster.add(obj)
    controllers = (
        StatefulSetController(), Scheduler(), PersistentVolumeController(), Provisioner("/volumes"), Resizer(),
        ClaimProtection(), VolumeProtection(), GarbageController(),
    )  # fmt: skip
    simulation = Simulation(cluster, controllers, rng.choice, on_step=lambda: watch(cluster))
    simulation.staleness = lambda: rng.choice((0, 0, rng.randint(1, 10), rng.randint(1, 40)))
    simulation.dies = lambda: rng.random() < 0.1
    for change in changes:
        simulation.run(rng.randint(0, 60))
        change(cluster)
    simulation.run(rng.randint(0, 60))
    simulation.staleness, simulation.dies = (lambda: 0), (lambda: False)
    simulation.settle()
    assert simulation.writes_at_rest() == []
    return simulation


def married(cluster: Cluster) -> None:
    """No volume has two claims, no claim two volumes."""
    pairs = [(spec_of(one).get("volumeName"), uid_of(one)) for one in cluster.all(PERSISTENT_VOLUME_CLAIM)]
    named = [volume for volume, _ in pairs if volume]
    assert len(named) == len(set(named))
    claimed = [(spec_of(one).get("claimRef") or {}).get("uid") for one in cluster.all(PERSISTENT_VOLUME)]
    assert len(claimed) == len(set(claimed))


@LAW
@given(st.lists(st.sampled_from(sorted(SCALES)), max_size=4), st.sampled_from(("Immediate", "WaitForFirstConsumer")),
       st.integers(0, 2**32))  # fmt: skip
def test_claims_are_never_deleted_by_default(names: list[str], binding: str, seed: int) -> None:
    seen: dict[str, str] = {}

    def kept(cluster: Cluster) -> None:
        now = {name_of(one): uid_of(one) for one in cluster.all(PERSISTENT_VOLUME_CLAIM)}
        assert seen.items() <= now.items()
        seen.update(now)
        married(cluster)

    simulation = played([SCALES[name] for name in names], Random(seed), binding, kept)
    claims = simulation.cluster.all(PERSISTENT_VOLUME_CLAIM)
    wanted = spec_of(simulation.cluster.get(STATEFUL_SET, "web"))["replicas"]
    assert {f"data-web-{index}" for index in range(wanted)} <= {name_of(one) for one in claims}
    users = {f"data-{name_of(pod)}" for pod in simulation.cluster.all(POD)}
    assert all(status_of(one)["phase"] == "Bound" for one in claims if name_of(one) in users)


@LAW
@given(st.lists(st.sampled_from(sorted(SCALES | POLICIES)), max_size=5), st.integers(0, 2**32))
def test_whatever_the_policy_wanted_pods_have_their_claims(names: list[str], seed: int) -> None:
    changes = [(SCALES | POLICIES)[name] for name in names]
    simulation = played([*changes, POLICIES["Delete/Delete"], scaled(2)], Random(seed), "Immediate", married)
    pods = simulation.cluster.all(POD)
    assert [name_of(pod) for pod in pods] == ["web-0", "web-1"]
    claims = {name_of(one): one for one in simulation.cluster.all(PERSISTENT_VOLUME_CLAIM)}
    for index in range(2):
        made = claims[f"data-web-{index}"]
        assert status_of(made)["phase"] == "Bound"
        assert [ref["kind"] for ref in made["metadata"]["ownerReferences"]] == ["StatefulSet"]

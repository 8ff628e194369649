"""The autoscaler among the controllers that it moves: it comes to rest where the load says, whatever the order.

Worlds may be stale on the way. The load is a number of requests per second that the pods share, 10 wanted for each.
"""

from __future__ import annotations

from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control.api.kinds import DEPLOYMENT, POD
from control.api.objects import Object, format_time, name_of, spec_of
from control.controllers.action import Ask
from control.controllers.controller import Controller
from control.controllers.deployment.controller import DeploymentController
from control.controllers.horizontalpodautoscaler.controller import HorizontalPodAutoscalerController
from control.controllers.replicaset import ReplicaSetController
from control.controllers.scheduler import Scheduler
from tests.fakes.autoscalers import autoscaler, pods, rules
from tests.fakes.objects import deployment, node
from tests.fakes.simulation import Simulation, is_counted
from tests.fakes.tiny_api import Cluster


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 150), st.integers(1, 8), st.integers(0, 2**32))
def test_it_comes_to_rest_where_the_load_says(load: int, replicas: int, seed: int) -> None:
    rng, cluster = Random(seed), Cluster()
    cluster.add(node("n0"))
    cluster.add(deployment(replicas=replicas))
    down = rules(("Percent", 100, 15))
    metric = pods("http_requests_per_second", averageValue="10")
    cluster.add(autoscaler("web", metric, minimum=1, maximum=8, behavior={"scaleUp": down, "scaleDown": down}))

    def answer(_path: str) -> Object:
        counted = [pod for pod in cluster.all(POD) if is_counted(pod)]
        share, at = f"{load * 1000 // max(1, len(counted))}m", format_time(cluster.now)
        values = [{"describedObject": {"name": name_of(pod)}, "timestamp": at, "value": share} for pod in counted]
        return {"items": values}

    def bounded() -> None:
        assert 1 <= spec_of(cluster.get(DEPLOYMENT, "web"))["replicas"] <= 8

    cluster.answers = answer
    made = (DeploymentController(), ReplicaSetController(), Scheduler(), HorizontalPodAutoscalerController())
    controllers: list[Controller] = [*made]
    simulation = Simulation(cluster, controllers, rng.choice, on_step=bounded)
    simulation.staleness = lambda: rng.choice((0, 0, rng.randint(1, 30)))
    simulation.run(300)
    simulation.staleness = lambda: 0
    simulation.run(300)
    there = spec_of(cluster.get(DEPLOYMENT, "web"))["replicas"]
    assert there == 8 if load >= 80 else there * 9 <= max(9, load) + 9 and load <= there * 11
    assert [each for each in simulation.writes_at_rest() if not isinstance(each[2], Ask)] == []

"""A CronJob over virtual time: the controller alone, with Jobs that finish when the test says so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from random import Random

from control.api.kinds import JOB, Kind
from control.api.objects import Object, name_of
from control.controllers.cronjob.controller import CronJobController, end_of
from tests.fakes.objects import namespace
from tests.fakes.simulation import Simulation
from tests.fakes.tiny_api import Cluster


class Tower:
    """A CronJob over virtual time; Jobs finish when the test says so."""

    def __init__(self, obj: Object, seed: int = 0) -> None:
        self.rng = Random(seed)
        self.cluster = Cluster(drops_empty=True)
        self.cluster.add(namespace())
        self.made: list[Object] = []
        self.cluster.listeners.append(self._note)
        self.cluster.add(obj)
        self.simulation = Simulation(self.cluster, [CronJobController()], self.rng.choice)

    def _note(self, kind: Kind, old: Object | None, new: Object | None) -> None:
        if kind == JOB and old is None and new is not None:
            self.made.append(new)

    def finish(self, obj: Object, end: str = "Complete") -> None:
        at = f"{self.cluster.now:%Y-%m-%dT%H:%M:%SZ}"
        status: Object = {"startTime": at, "conditions": [{"type": end, "status": "True", "lastTransitionTime": at}]}
        if end == "Complete":
            status["completionTime"] = at
        self.cluster.edit(JOB, name_of(obj), lambda job: job.update(status=status))

    def until(self, end: datetime, jobs_end: Callable[[Object], bool] = lambda obj: True) -> None:
        while self.cluster.now < end:
            assert self.simulation.step(), "a CronJob sleeps for ever"
            for obj in self.cluster.all(JOB):
                if not end_of(obj) and jobs_end(obj):
                    self.finish(obj, self.rng.choice(("Complete", "Complete", "Failed")))

"""What must hold at every instant, judged at each write on the true world, whatever control knew when it wrote.

What exactly is guaranteed. A controller decides on the generation of its object that it has seen. A user may change
the object between the decision and the write; so every bound here is the loosest among those of the generations from
`status.observedGeneration` on (`Generations`). It is judged where the controller acts, not where a bound falls: after
a user has lowered `replicas` there are too many pods for a while, but none may be added.

- ReplicaSets and ReplicationControllers: a created pod never makes more active pods than wanted.
- Deployments: a set that is created or grows never makes the sizes of all sets exceed replicas + maxSurge, nor does a
  pod that is created make the active pods exceed it (but for sets which have not yet been told of a smaller size).
  Kubernetes counts `spec.replicas` of the sets and lets pods lag behind; ours waits for the pods, and is held to it.
  With Recreate no pod of a new template is made beside active ones of an old one.
- Availability, in calm scripts only (Kubernetes counts it by status, so with pods that fail by themselves it promises
  nothing for an instant): once a workload has had all its pods ready and until its size is changed, deleting a pod
  leaves replicas - maxUnavailable ready ones. For StatefulSets the pods are counted, for DaemonSets the nodes.
- DaemonSets: a node has one active pod of a revision, and two in all only where the strategy surges.
- StatefulSets: no pod outside of the ordinals; with OrderedReady in calm scripts a pod is created only when those
  before it are there and ready. No claim is ever deleted: the retention policy is Retain by default.
- Jobs: one active pod for an index, no pod for an index that is done; no pod counted that did not end so.
- CronJobs: with Forbid or Replace never two unfinished Jobs; never two Jobs of one name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from control.api.kinds import (
    CRON_JOB,
    DAEMON_SET,
    DEPLOYMENT,
    JOB,
    NODE,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    STATEFUL_SET,
    Kind,
)
from control.api.objects import (
    Object,
    annotations_of,
    controller_of,
    is_deleting,
    labels_of,
    meta,
    name_of,
    namespace_of,
    spec_of,
    status_of,
    uid_of,
)
from control.controllers.cronjob.controller import end_of
from control.controllers.daemonset.census import Bounds as DaemonBounds
from control.controllers.daemonset.census import surges
from control.controllers.daemonset.eligibility import target_of
from control.controllers.deployment.rollout import Bounds, is_rolling
from control.controllers.job.indexes import INDEX, parse
from control.controllers.percent import scaled
from control.controllers.pods import is_active, is_ready
from control.controllers.replicaset import wanted
from control.controllers.statefulset.identity import ordinal_of, replicas_of, start_of
from control.mirror.world import World

HASH = "controller-revision-hash"


class Generations:
    """The objects that control may be deciding on, by UID: from the observed generation to the present one."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[int, Object]] = defaultdict(dict)

    def note(self, obj: Object) -> None:
        kept = self._kept[uid_of(obj)]
        kept[int(meta(obj).get("generation") or 0)] = obj
        observed = int(status_of(obj).get("observedGeneration") or 0)
        for generation in [one for one in kept if one < observed]:
            del kept[generation]

    def most(self, obj: Object, measure: Callable[[Object], int]) -> int:
        return max(map(measure, self._of(obj)))

    def least(self, obj: Object, measure: Callable[[Object], int]) -> int:
        return min(map(measure, self._of(obj)))

    def _of(self, obj: Object) -> list[Object]:
        return list(self._kept.get(uid_of(obj), {}).values()) or [obj]


class Bounded:
    """All bounds of a run; `judge` is called for each write and says what is wrong, or ""."""

    def __init__(self, world: World, is_calm: bool) -> None:
        self.world = world
        self.is_calm = is_calm
        self.judged = 0
        self._generations = Generations()
        self._steady: dict[str, int] = {}  # by workload's UID: the replicas with which it had all pods ready
        self._job_names: set[tuple[str, str]] = set()
        self._laws: dict[Kind, Callable[[Object | None, Object | None], str]] = {
            POD: self._pod, REPLICA_SET: self._replica_set, JOB: self._job, PERSISTENT_VOLUME_CLAIM: _claim,
        }  # fmt: skip

    def judge(self, kind: Kind, old: Object | None, new: Object | None) -> str:
        if new is not None and kind in (DEPLOYMENT, REPLICA_SET, REPLICATION_CONTROLLER, STATEFUL_SET, DAEMON_SET):
            self._generations.note(new)
        law = self._laws.get(kind)
        if law is None:
            return ""
        self.judged += 1
        return law(old, new)

    def _owner(self, obj: Object) -> tuple[Kind, Object] | None:
        ref = controller_of(obj) or {}
        for kind in (REPLICA_SET, REPLICATION_CONTROLLER, STATEFUL_SET, DAEMON_SET, JOB, DEPLOYMENT, CRON_JOB):
            if ref.get("kind") == kind.kind:
                found = self.world.get(kind, namespace_of(obj), ref.get("name") or "")
                return (kind, found) if found is not None and uid_of(found) == ref.get("uid") else None
        return None

    def _active(self, owner: Object) -> list[Object]:
        return [pod for pod in self.world.controlled_by(POD, uid_of(owner)) if is_active(pod)]

    # Pods

    def _pod(self, old: Object | None, new: Object | None) -> str:
        pod = new if new is not None else old
        found = self._owner(pod) if pod is not None else None
        if pod is None or found is None:
            return ""
        kind, owner = found
        if old is None and new is not None:
            return self._created(kind, owner, new)
        went = old is not None and is_active(old) and (new is None or is_deleting(new))
        if went and self.is_calm and old is not None and is_ready(old) and not is_deleting(owner):
            return self._taken(kind, owner, old)
        self._note_steady(kind, owner)
        return ""

    def _created(self, kind: Kind, owner: Object, pod: Object) -> str:
        active = self._active(owner)
        if kind in (REPLICA_SET, REPLICATION_CONTROLLER):
            most = self._generations.most(owner, wanted)
            if len(active) > most:
                return f"{len(active)} pods of {name_of(owner)}, which wants {most}"
            above = self._owner(owner)
            return self._created_below(above[1], owner, pod) if above and above[0] == DEPLOYMENT else ""
        if kind == STATEFUL_SET:
            return self._created_ordinal(owner, pod)
        if kind == DAEMON_SET:
            there = [other for other in active if target_of(other) == target_of(pod)]
            same = [other for other in there if labels_of(other).get(HASH) == labels_of(pod).get(HASH)]
            most = self._generations.most(owner, lambda obj: 1 + surges(obj))
            if len(same) > 1 or len(there) > most:
                return f"{len(there)} pods of {name_of(owner)} on {target_of(pod)}, {len(same)} of one revision"
        if kind == JOB:
            return self._created_index(owner, pod, active)
        return ""

    def _created_below(self, deployment: Object, rs: Object, pod: Object) -> str:
        sets = self.world.controlled_by(REPLICA_SET, uid_of(deployment))
        pods = [pod for each in sets for pod in self._active(each)]
        sized = sum(self._generations.most(each, wanted) for each in sets)
        most = max(sized, self._generations.most(deployment, lambda obj: Bounds.of(obj).maximum))
        if len(pods) > most:
            return f"{len(pods)} active pods of {name_of(deployment)}, at most {most} are allowed"
        if not is_rolling(deployment) and len(pods) > len(self._active(rs)):
            return f"{name_of(pod)} of {name_of(deployment)} was made beside pods of another template"
        return ""

    def _created_ordinal(self, owner: Object, pod: Object) -> str:
        ordinal = ordinal_of(owner, pod)
        start = start_of(owner)
        end = start + self._generations.most(owner, replicas_of)
        if ordinal is None or not start <= ordinal < end:
            return f"{name_of(pod)} is outside of the ordinals {start} to {end - 1}"
        if self.is_calm and spec_of(owner).get("podManagementPolicy") == "OrderedReady":
            for before in range(start, ordinal):
                found = self.world.get(POD, namespace_of(pod), f"{name_of(owner)}-{before}")
                if found is None or not is_ready(found):
                    return f"{name_of(pod)} was made before {name_of(owner)}-{before} was ready"
        return ""

    def _created_index(self, owner: Object, pod: Object, active: list[Object]) -> str:
        index = annotations_of(pod).get(INDEX)
        if index is None:
            return ""
        if sum(annotations_of(other).get(INDEX) == index for other in active) > 1:
            return f"two active pods for index {index} of {name_of(owner)}"
        status = status_of(owner)
        for done in ("completedIndexes", "failedIndexes"):
            if int(index) in parse(status.get(done), 10**6):
                return f"{name_of(pod)} was made for index {index}, which is among the {done} of {name_of(owner)}"
        return ""

    # Availability

    def _note_steady(self, kind: Kind, owner: Object) -> None:
        """Whether all pods are ready that are wanted."""
        found = self._owner(owner) if kind == REPLICA_SET else None
        if found is not None and found[0] == DEPLOYMENT:
            kind, owner = found
        replicas, ready = self._readiness(kind, owner)
        if replicas is not None and ready >= replicas:
            self._steady[uid_of(owner)] = replicas
        elif self._steady.get(uid_of(owner)) != replicas:
            self._steady.pop(uid_of(owner), None)

    def _readiness(self, kind: Kind, owner: Object) -> tuple[int | None, int]:
        """How many pods (of a DaemonSet: nodes with one) are wanted, and how many are ready."""
        if kind == DEPLOYMENT:
            sets = self.world.controlled_by(REPLICA_SET, uid_of(owner))
            return wanted(owner), sum(is_ready(pod) for each in sets for pod in self._active(each))
        if kind == STATEFUL_SET:
            return replicas_of(owner), sum(map(is_ready, self._active(owner)))
        if kind == DAEMON_SET:
            nodes = self.world.list(NODE)
            return len(nodes), len({target_of(pod) for pod in self._active(owner) if is_ready(pod)})
        return None, 0

    def _taken(self, kind: Kind, owner: Object, pod: Object) -> str:
        """A ready pod was deleted by control."""
        found = self._owner(owner) if kind == REPLICA_SET else None
        if found is not None:
            kind, owner = found
        replicas, ready = self._readiness(kind, owner)
        if replicas is None or is_deleting(owner) or self._steady.get(uid_of(owner)) != replicas:
            return ""
        if self._generations.least(owner, _size) != self._generations.most(owner, _size):
            return ""
        least = replicas - self._generations.most(owner, lambda obj: _unavailable(kind, obj, replicas))
        if kind == DEPLOYMENT and not is_rolling(owner):
            return ""
        if ready < least:
            return f"without {name_of(pod)} only {ready} of {replicas} of {name_of(owner)} are ready, {least} must be"
        return ""

    # Sets and Jobs

    def _replica_set(self, old: Object | None, new: Object | None) -> str:
        found = self._owner(new) if new is not None else None
        if new is None or found is None or (old is not None and wanted(new) <= wanted(old)) or not wanted(new):
            return ""
        _, deployment = found
        sizes = [wanted(rs) for rs in self.world.controlled_by(REPLICA_SET, uid_of(deployment))]
        most = self._generations.most(deployment, lambda obj: Bounds.of(obj).maximum)
        if sum(sizes) > most:
            return f"the sets of {name_of(deployment)} have the sizes {sizes}, at most {most} are allowed"
        return ""

    def _job(self, old: Object | None, new: Object | None) -> str:
        found = self._owner(new) if new is not None else None
        if new is None or old is not None or found is None or found[0] != CRON_JOB:
            return ""
        _, cron_job = found
        name = (uid_of(cron_job), name_of(new))
        if name in self._job_names:
            return f"{name_of(new)} was made twice"
        self._job_names.add(name)
        jobs = [job for job in self.world.controlled_by(JOB, uid_of(cron_job)) if not end_of(job)]
        policy = spec_of(cron_job).get("concurrencyPolicy")
        living = [job for job in jobs if not is_deleting(job)] if policy == "Replace" else jobs
        if policy in ("Forbid", "Replace") and len(living) > 1:
            return f"{policy}, and yet {', '.join(map(name_of, living))} are unfinished together"
        return ""


def _claim(old: Object | None, new: Object | None) -> str:
    gone = old if new is None else new if is_deleting(new) else None
    return f"the claim {name_of(gone)} is deleted" if gone is not None else ""


def _size(obj: Object) -> int:
    return int(spec_of(obj).get("replicas") or 0)


def _unavailable(kind: Kind, obj: Object, replicas: int) -> int:
    if kind == DEPLOYMENT:
        return Bounds.of(obj).unavailable
    if kind == DAEMON_SET:
        return DaemonBounds.of(obj, replicas).unavailable
    rolling = (spec_of(obj).get("updateStrategy") or {}).get("rollingUpdate") or {}
    return max(1, scaled(rolling.get("maxUnavailable", 1), replicas, round_up=False))

"""ReplicaSets and ReplicationControllers: keep as many pods as wanted, made from one template.

Seen are the pods that the set controls (`adoption`); only active ones count (`pods`). Too few: create; too many: delete
the cheapest (`ranking`). Such a round begins with a fence, an update that changes nothing and fails on any but the set
that was seen, and it ends with a status that does change: it announces the counts to come, or where the status says
that already, the counts that were. So a finished round moves the set's resourceVersion, and a decision on any world
before that fails at the fence, before it can create or delete a pod too many.

Pod names come from the set's UID and resourceVersion. While a round is under way, or was cut off, the version is still
the same, and a decision on any of its worlds makes up the same names for what is missing; no later round does.

The status counts what Kubernetes counts; a count of zero is absent except `replicas`. A set with minReadySeconds wakes
when its next ready pod becomes available. A refused create is told by the event FailedCreate and the condition
ReplicaFailure, written once: a status that changed at every attempt would wake the set at once and defeat the back-off.
Nothing is created in a namespace that is being deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from control.api.kinds import DEPLOYMENT, NAMESPACE, POD, REPLICA_SET, REPLICATION_CONTROLLER, Kind
from control.api.objects import (
    Key,
    Object,
    controller_of,
    copy_of,
    format_time,
    is_deleting,
    key_of,
    labels_of,
    meta,
    name_of,
    namespace_of,
    resource_version_of,
    spec_of,
    status_of,
    uid_of,
)
from control.controllers.action import SETTLED, Action, Create, Emit, Outcome, Update
from control.controllers.adoption import claim, orphans_wake, owner_reference
from control.controllers.conditions import with_condition, without
from control.controllers.controller import Wakes
from control.controllers.naming import fresh_names
from control.controllers.podmaking import told_deletion
from control.controllers.pods import available_at, is_active, is_finished, is_ready
from control.controllers.ranking import to_delete
from control.mirror.world import World

BURST = 500  # pods created or deleted in one round, Kubernetes' BurstReplicas
ALWAYS = frozenset({"replicas", "terminatingReplicas"})  # counts that are there even when they are zero


@dataclass(frozen=True)
class ReplicaSetController:
    """One core for both kinds; only the form of the selector differs."""

    name: str = "replicaset-controller"
    kind: Kind = REPLICA_SET
    selector_of: Callable[[Object], Object] = lambda obj: spec_of(obj).get("selector") or {}
    concurrency: int = 5  # kube-controller-manager's default for both kinds

    @property
    def watches(self) -> Mapping[Kind, Wakes]:
        return {self.kind: lambda world, obj: (key_of(obj),), POD: self._of_pod, NAMESPACE: lambda world, obj: ()}

    def _of_pod(self, world: World, pod: Object) -> Iterable[Key]:
        ref = controller_of(pod)
        if ref is None:
            return [key_of(owner) for owner in orphans_wake(world, self.kind, pod, self.selector_of)]
        if ref.get("kind") != self.kind.kind or ref.get("apiVersion") != self.kind.api_version:
            return ()
        return (Key(namespace_of(pod), ref.get("name") or ""),)

    def reconcile(self, world: World, key: Key, now: datetime) -> Outcome:
        owner = world.get(self.kind, *key)
        if owner is None:
            return SETTLED
        claimed = claim(world, POD, self.kind, owner, self.selector_of(owner), lambda pod: not is_finished(pod))
        active = [pod for pod in claimed.held if is_active(pod)]
        terminating = sum(is_deleting(pod) and not is_finished(pod) for pod in claimed.held)
        status, wake_at = self._status(owner, active, terminating, now)
        missing = 0
        if not is_deleting(owner) and not _is_leaving(world, owner):
            missing = max(-BURST, min(BURST, wanted(owner) - len(active)))
        deeds: list[Action] = list(claimed.patches)
        announced = status
        if missing > 0:
            deeds += self._creates(owner, missing, active, status, now)
            announced = {**status, "replicas": len(active) + missing}
        elif missing < 0:
            victims = to_delete(active, -missing, self._related(world, owner, active), now)
            deeds += [deed for pod in victims for deed in told_deletion(owner, pod)]
            doomed = {name_of(pod) for pod in victims}
            survivors = [pod for pod in active if name_of(pod) not in doomed]
            announced, _ = self._status(owner, survivors, terminating + len(victims), now)
        if deeds:
            deeds.insert(0, Update(self.kind, owner, "status"))
        if missing:
            last = status if announced == status_of(owner) else announced
            deeds.append(_with_status(self.kind, _unversioned(owner), last))
        elif not deeds and status != status_of(owner):
            deeds.append(_with_status(self.kind, owner, status))
        return Outcome(tuple(deeds), wake_at)

    def _status(
        self, owner: Object, active: Sequence[Object], terminating: int, now: datetime
    ) -> tuple[Object, datetime | None]:
        """The status with these pods, and when it will change by time alone."""
        spec = spec_of(owner)
        full_labels = labels_of(spec.get("template") or {}).items()
        availabilities = [at for pod in active if (at := available_at(pod, spec.get("minReadySeconds") or 0))]
        conditions = list(status_of(owner).get("conditions") or ())
        if len(active) >= wanted(owner):
            conditions = without(conditions, "ReplicaFailure")
        status = {
            "replicas": len(active),
            "fullyLabeledReplicas": sum(full_labels <= labels_of(pod).items() for pod in active),
            "readyReplicas": sum(map(is_ready, active)),
            "availableReplicas": sum(at <= now for at in availabilities),
            "terminatingReplicas": terminating,
            "observedGeneration": meta(owner).get("generation") or 0,
            "conditions": conditions,
        }
        if self.kind == REPLICATION_CONTROLLER:
            del status["terminatingReplicas"]  # ReplicationControllers have no such field
        status = {name: value for name, value in status.items() if value or name in ALWAYS}
        return status, min((at for at in availabilities if at > now), default=None)

    def _creates(
        self, owner: Object, count: int, active: Sequence[Object], status: Object, now: datetime
    ) -> Iterable[Action]:
        def refused(message: str) -> tuple[Action, ...]:
            failed = {
                "type": "ReplicaFailure",
                "status": "True",
                "lastTransitionTime": format_time(now),
                "reason": "FailedCreate",
                "message": message,
            }
            conditions = with_condition(list(status.get("conditions") or ()), failed)
            return (
                Emit(owner, "Warning", "FailedCreate", f"Error creating: {message}"),
                _with_status(self.kind, _unversioned(owner), {**status, "conditions": conditions}),
            )

        taken = {name_of(pod) for pod in active}
        names = fresh_names(f"{name_of(owner)}-", uid_of(owner), resource_version_of(owner), taken=taken)
        for name in islice(names, count):
            yield Create(POD, self._pod(owner, name), refused)
            yield Emit(owner, "Normal", "SuccessfulCreate", f"Created pod: {name}")

    def _pod(self, owner: Object, name: str) -> Object:
        template = copy_of(spec_of(owner).get("template") or {})
        wanted_meta = template.get("metadata") or {}
        metadata = {
            "name": name,
            "generateName": f"{name_of(owner)}-",
            "namespace": namespace_of(owner),
            "ownerReferences": [owner_reference(self.kind, owner)],
        }
        for part in ("labels", "annotations", "finalizers"):
            if wanted_meta.get(part):
                metadata[part] = wanted_meta[part]
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template.get("spec") or {}}

    def _related(self, world: World, owner: Object, active: Sequence[Object]) -> Sequence[Object]:
        """The active pods of all sets with the same controller: during a rollout, the Deployment's."""
        ref = controller_of(owner)
        if ref is None or ref.get("kind") != DEPLOYMENT.kind:
            return active
        siblings = world.controlled_by(self.kind, ref.get("uid") or "")
        return [pod for sibling in siblings for pod in world.controlled_by(POD, uid_of(sibling))]


def replication_controller() -> ReplicaSetController:
    def selector_of(obj: Object) -> Object:
        return {"matchLabels": spec_of(obj).get("selector") or {}}

    return ReplicaSetController("replication-controller", REPLICATION_CONTROLLER, selector_of)


def wanted(owner: Object) -> int:
    replicas = spec_of(owner).get("replicas")
    return 1 if replicas is None else int(replicas)


def _is_leaving(world: World, owner: Object) -> bool:
    namespace = world.get(NAMESPACE, "", namespace_of(owner))
    return namespace is not None and is_deleting(namespace)


def _with_status(kind: Kind, owner: Object, status: Object) -> Update:
    return Update(kind, {**owner, "status": status}, "status")


def _unversioned(owner: Object) -> Object:
    """For a status at the end of a round, of which the fence has checked the version; the UID still guards it."""
    metadata = {name: value for name, value in meta(owner).items() if name != "resourceVersion"}
    return {**owner, "metadata": metadata}

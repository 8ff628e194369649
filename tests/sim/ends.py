"""What must be true when everything is well again and nobody writes any more.

Every workload has exactly what its spec wants, of the newest template, and its status says so; every Job ended with
each pod counted once; whatever has an owner has a living one; nothing is half deleted; Services point at exactly the
ready pods; and controllers that know nothing but the stored objects would write nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from control.api.kinds import (
    CRON_JOB,
    DAEMON_SET,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    JOB,
    NODE,
    POD,
    POD_DISRUPTION_BUDGET,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    SERVICE,
    STATEFUL_SET,
)
from control.api.objects import (
    Object,
    condition_of,
    controller_of,
    is_controlled_by,
    is_deleting,
    labels_of,
    meta,
    name_of,
    namespace_of,
    owner_references,
    spec_of,
    status_of,
    uid_of,
)
from control.controllers.action import Action, Update
from control.controllers.cronjob.controller import end_of
from control.controllers.daemonset.eligibility import fit, target_of
from control.controllers.pods import is_active, is_ready
from control.controllers.replicaset import wanted
from control.controllers.statefulset.identity import ordinal_of, replicas_of, start_of
from control.mirror.world import World, matcher_of
from tests.sim.accounts import Accounts
from tests.sim.lab import Lab


def faults_at_rest(lab: Lab, accounts: Accounts) -> list[str]:
    world = lab.world
    found = list(_unowned(world))
    for deployment in world.list(DEPLOYMENT):
        found += _deployment(world, deployment)
    for kind in (REPLICA_SET, REPLICATION_CONTROLLER):
        for obj in world.list(kind):
            found += _differs(name_of(obj), "pods", len(_pods(world, obj)), wanted(obj))
            found += _says(obj, replicas=wanted(obj), readyReplicas=wanted(obj), availableReplicas=wanted(obj))
    for owner in world.list(STATEFUL_SET):
        found += _stateful_set(world, owner)
    for owner in world.list(DAEMON_SET):
        found += _daemon_set(world, owner)
    for job in world.list(JOB):
        found += _job(world, job, accounts)
    for owner in world.list(CRON_JOB):
        found += _cron_job(world, owner)
    for service in world.list(SERVICE):
        found += _service(world, service)
    for budget in world.list(POD_DISRUPTION_BUDGET):
        found += _budget(world, budget)
    found += [f"{name} would still {told(action, world)} for {key}" for name, key, action in lab.writes_at_rest()]
    return found


def told(action: Action, world: World) -> str:
    """An action in few words: what it would change."""
    if isinstance(action, Update):
        kept = world.get(action.kind, namespace_of(action.obj), name_of(action.obj)) or {}
        parts = [part for part in action.obj if action.obj[part] != kept.get(part)]
        changes = "; ".join(f"{part} from {kept.get(part)} to {action.obj[part]}" for part in parts)
        return f"update {action.subresource} {action.kind.singular} ({changes or 'as a fence'})"
    return f"{type(action).__name__.lower()} {action}"


def _differs(name: str, what: str, has: object, wants: object) -> Iterator[str]:
    if has != wants:
        yield f"at rest {name} has {what} {has}, not {wants}"


def _says(obj: Object, **wants: Any) -> Iterator[str]:
    status = status_of(obj)
    yield from _differs(name_of(obj), "observedGeneration", status.get("observedGeneration"), meta(obj)["generation"])
    for field, value in wants.items():
        yield from _differs(name_of(obj), f"status.{field}", status.get(field) or 0, value)


def _pods(world: World, owner: Object) -> list[Object]:
    return [pod for pod in world.controlled_by(POD, uid_of(owner)) if is_active(pod)]


def _image(template: Object) -> str:
    return str(spec_of(template)["containers"][0]["image"])


def _unowned(world: World) -> Iterator[str]:
    uids = {uid_of(obj) for _, obj in world}
    for kind, obj in world:
        what = f"at rest {kind.singular} {name_of(obj)}"
        if is_deleting(obj):
            yield f"{what} is half deleted, with the finalizers {meta(obj).get('finalizers')}"
        for ref in owner_references(obj):
            if ref["uid"] not in uids:
                yield f"{what} is owned by {ref['kind']} {ref['name']}, which is gone"
        owned_by_job = (controller_of(obj) or {}).get("kind") == JOB.kind
        if kind == POD and meta(obj).get("finalizers"):
            yield f"{what} keeps its finalizer" if owned_by_job else f"{what} keeps a finalizer of nobody's"
        if kind == POD and not spec_of(obj).get("nodeName") and is_active(obj):
            yield f"{what} has no node"


def _deployment(world: World, deployment: Object) -> Iterator[str]:
    sets, size = world.controlled_by(REPLICA_SET, uid_of(deployment)), wanted(deployment)
    pods = [pod for rs in sets for pod in _pods(world, rs)]
    image = _image(spec_of(deployment)["template"])
    yield from _differs(name_of(deployment), "images", [_image(pod) for pod in pods], [image] * size)
    yield from _says(deployment, replicas=size, updatedReplicas=size, readyReplicas=size, availableReplicas=size)
    limit = spec_of(deployment)["revisionHistoryLimit"]
    if len(sets) > limit + 1:
        yield f"at rest {name_of(deployment)} keeps {len(sets)} sets, its history limit is {limit}"


def _stateful_set(world: World, owner: Object) -> Iterator[str]:
    start, size = start_of(owner), replicas_of(owner)
    pods = _pods(world, owner)
    names = sorted(name_of(pod) for pod in pods)
    yield from _differs(name_of(owner), "pods", names, sorted(f"{name_of(owner)}-{start + i}" for i in range(size)))
    partition = ((spec_of(owner).get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition") or 0
    image = _image(spec_of(owner)["template"])
    for pod in pods:
        ordinal = ordinal_of(owner, pod) or 0
        if ordinal - start >= partition and _image(pod) != image:
            yield f"at rest {name_of(pod)} has {_image(pod)}, not {image}"
    yield from _says(owner, replicas=size, readyReplicas=size, availableReplicas=size)


def _daemon_set(world: World, owner: Object) -> Iterator[str]:
    template = spec_of(owner)["template"]
    nodes = [name_of(node) for node in world.list(NODE) if fit(template, node).runs]
    pods = _pods(world, owner)
    yield from _differs(name_of(owner), "pods on", sorted(map(target_of, pods)), nodes)
    yield from _differs(
        name_of(owner), "images", {_image(pod) for pod in pods} or {_image(template)}, {_image(template)}
    )
    count = len(nodes)
    yield from _says(owner, desiredNumberScheduled=count, numberReady=count, updatedNumberScheduled=count)


def _job(world: World, job: Object, accounts: Accounts) -> Iterator[str]:
    name, status = name_of(job), status_of(job)
    if not end_of(job):
        yield f"at rest {name} has not ended: {status}"
        return
    if _pods(world, job):
        yield f"at rest {name} has ended and still has active pods"
    yield from (f"at rest {wrong}" for wrong in accounts.wrong_at_rest(job))
    for field in ("uncountedTerminatedPods", "active", "terminating"):
        if status.get(field):
            yield f"at rest {name} has {field}: {status[field]}"


def _cron_job(world: World, owner: Object) -> Iterator[str]:
    jobs = [job for job in world.list(JOB) if is_controlled_by(job, owner)]
    ends = [end_of(job) for job in jobs]
    for end, field in (("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")):
        if ends.count(end) > spec_of(owner)[field]:
            yield f"at rest {name_of(owner)} keeps {ends.count(end)} Jobs that are {end}"
    yield from _differs(name_of(owner), "status.active", len(status_of(owner).get("active") or ()), ends.count(""))


def _service(world: World, service: Object) -> Iterator[str]:
    selector = spec_of(service).get("selector")
    if not selector:
        return
    pods = world.select(POD, "default", selector)
    ready = sorted(status_of(pod)["podIP"] for pod in pods if is_active(pod) and is_ready(pod))
    slices = [
        one
        for one in world.list(ENDPOINT_SLICE, "default")
        if labels_of(one).get("kubernetes.io/service-name") == name_of(service)
    ]
    served = [
        address
        for one in slices
        for endpoint in one.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready")
        for address in endpoint["addresses"]
    ]
    yield from _differs(name_of(service), "ready endpoints", sorted(served), ready)


def _budget(world: World, budget: Object) -> Iterator[str]:
    failed = condition_of(budget, "DisruptionAllowed") or {}
    if failed.get("reason") == "SyncFailed":
        return  # a share of pods whose controller has no scale cannot be told
    matches = matcher_of(spec_of(budget)["selector"])
    pods = [pod for pod in world.list(POD, "default") if matches(pod) and is_active(pod)]
    yield from _says(budget, currentHealthy=sum(map(is_ready, pods)))

"""What a pod's status says: kubelet's generateAPIPodStatus, getPhase and its condition generators, as one function.

`status` reads the pod, its record and the plan's verdicts, and returns the parts of PodStatus that the kubelet owns.
Conditions keep their lastTransitionTime while their status stays; conditions of others (readiness gates, Kubernetes'
own) are left alone, because the write is a strategic merge patch (`changes`) of what differs from the API's copy.
A pod's status never leaves Succeeded or Failed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from control.api.objects import Object, condition_of, format_time, meta, spec_of, status_of
from control.api.qos import qos_class
from control.kubelet.plan import FINISHED, Plan, has_started
from control.kubelet.record import ContainerRecord, Ended, PodRecord, Waiting, containers_of

SCHEME = "loopkube://"
LOST = Ended(
    0, 137, reason="ContainerStatusUnknown", message="The container could not be located when the pod was terminated"
)


def status(pod: Object, record: PodRecord, plan: Plan, host_ip: str, now: datetime) -> Object:
    """The PodStatus that the kubelet wants to be written."""
    final = plan.ending and record.idle
    old = status_of(pod)
    statuses: dict[str, list[Object]] = {"initContainerStatuses": [], "containerStatuses": []}
    owed = owe_an_end(pod, record) if final else frozenset()
    for kind, spec in containers_of(pod):
        container = record.containers[spec["name"]]
        field = "containerStatuses" if kind == "app" else "initContainerStatuses"
        statuses[field].append(container_status(container, spec, record, plan, final=final, owed=owed))
    inits, apps = statuses["initContainerStatuses"], statuses["containerStatuses"]
    phase = old.get("phase") if old.get("phase") in FINISHED else phase_of(pod, inits, apps, final=final)
    wanted: Object = {
        "phase": phase,
        "observedGeneration": meta(pod).get("generation", 0),
        "startTime": stamp(record.started_at),
        "qosClass": old.get("qosClass") or qos_class(spec_of(pod)),
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
        "containerStatuses": apps,
    }
    if record.pod_ip:
        wanted["podIP"] = record.pod_ip
        wanted["podIPs"] = [{"ip": record.pod_ip}]
    if inits:
        wanted["initContainerStatuses"] = inits
    if record.verdict is not None:
        wanted["reason"], wanted["message"] = record.verdict.reason, record.verdict.message
    wanted["conditions"] = conditions(pod, record, inits, apps, str(phase), now)
    return {name: value for name, value in wanted.items() if value not in (None, "", 0)}


def changes(pod: Object, wanted: Object) -> Object | None:
    """The strategic merge patch that makes the API's copy say `wanted`; None when it does already."""
    old = status_of(pod)
    patch: Object = {}
    for name, value in wanted.items():
        if name == "conditions":
            pairs = [(condition_of(pod, condition["type"]) or {}, condition) for condition in value]
            changed = [{**dict.fromkeys(had), **condition} for had, condition in pairs if had != condition]
            if changed:  # merged by type: what a condition says no longer has to be taken back as null
                patch["conditions"] = changed
        elif old.get(name) != value:
            patch[name] = value
    return patch or None


# phase


def phase_of(pod: Object, inits: Sequence[Object], apps: Sequence[Object], *, final: bool) -> str:
    policy = spec_of(pod).get("restartPolicy") or "Always"
    sidecars = {c["name"] for c in spec_of(pod).get("initContainers") or () if c.get("restartPolicy") == "Always"}
    pending_init = pending_sidecars = failed_init = running = waiting = stopped = succeeded = 0
    for said in inits:
        state, last = said["state"], (said.get("lastState") or {}).get("terminated")
        if said["name"] in sidecars:
            if "running" in state:
                running += 1
                pending_sidecars += not said.get("started")
            elif "waiting" in state and not last:
                pending_sidecars += 1
        elif "terminated" in state:
            failed_init += state["terminated"]["exitCode"] != 0
        elif "waiting" in state and last:
            failed_init += last["exitCode"] != 0
        else:
            pending_init += 1
    for said in apps:
        state, last = said["state"], (said.get("lastState") or {}).get("terminated")
        if "running" in state:
            running += 1
        elif "terminated" in state:
            stopped += 1
            succeeded += state["terminated"]["exitCode"] == 0
        elif last:
            stopped += 1
        else:
            waiting += 1
    if failed_init and policy == "Never":
        return "Failed"
    if final:
        return "Succeeded" if stopped and stopped == succeeded else "Failed"
    begun = any("running" in said["state"] or "terminated" in said["state"] or said.get("lastState") for said in apps)
    if pending_init or (pending_sidecars and not begun) or waiting:
        return "Pending"
    if running or policy == "Always":
        return "Running" if running or stopped else "Pending"
    if stopped == succeeded:
        return "Succeeded"
    return "Failed" if policy == "Never" else "Running"


# containers


def container_status(
    container: ContainerRecord,
    spec: Mapping[str, Any],
    record: PodRecord,
    plan: Plan,
    *,
    final: bool,
    owed: Collection[str],
) -> Object:
    waiting = plan.waiting.get(container.name) or container.waiting
    said: Object = {
        "name": container.name,
        "image": spec.get("image", ""),
        "imageID": container.image_id,
        "restartCount": container.restarts,
        "ready": False,
        "started": False,
    }
    last = container.last
    if container.running:
        process = container.process
        assert process is not None
        said["state"] = {"running": {"startedAt": stamp(process.started_at)}}
        said["started"] = has_started(container, spec)
        said["image"] = container.image or said["image"]
        said["containerID"] = SCHEME + container.container_id
        said["ready"] = container.kind != "init" and is_ready(container, spec)
    elif container.ended is not None and (waiting is None or final):
        said["state"] = {"terminated": terminated(container.ended)}
        said["containerID"] = SCHEME + container.ended.container_id
        said["ready"] = container.kind == "init" and container.ended.code == 0
    elif container.name in owed:
        said["state"] = {"terminated": terminated(LOST)}
    else:
        last = container.ended or last
        said["state"] = {"waiting": waiting_state(waiting or default_waiting(container, record))}
        if last is not None:
            said["containerID"] = SCHEME + last.container_id
    said["lastState"] = {"terminated": terminated(last)} if last is not None else {}
    resources = spec.get("resources")
    if resources and container.running:
        said["resources"] = resources
    return said


def owe_an_end(pod: Object, record: PodRecord) -> frozenset[str]:
    """Containers whose missing end counts as a failure when the pod is over: those whose turn had come (kubelet's
    TerminatePod). The others keep waiting in the final status."""
    inits = [spec["name"] for kind, spec in containers_of(pod) if kind != "app"]
    if record.initialized or not inits:
        return frozenset(record.containers)
    begun = [place for place, name in enumerate(inits) if record.containers[name].attempt >= 0]
    return frozenset(inits[: max(begun, default=0) + 1])


def is_ready(container: ContainerRecord, spec: Mapping[str, Any]) -> bool:
    """Whether a running container counts as ready: started, and its readiness probe (if any) succeeds."""
    if container.held_unready or not has_started(container, spec):
        return False
    return container.probe_ready is True if spec.get("readinessProbe") else True


def default_waiting(container: ContainerRecord, record: PodRecord) -> Waiting:
    has_init = any(other.kind != "app" for other in record.containers.values())
    return Waiting("PodInitializing" if has_init and not record.initialized else "ContainerCreating")


def waiting_state(waiting: Waiting) -> Object:
    return {"reason": waiting.reason, "message": waiting.message} if waiting.message else {"reason": waiting.reason}


def terminated(ended: Ended) -> Object:
    state: Object = {"exitCode": ended.code, "reason": ended.reason}
    if ended.signal:
        state["signal"] = ended.signal
    if ended.message:
        state["message"] = ended.message
    if ended.finished_at:
        state["startedAt"] = stamp(ended.started_at)
        state["finishedAt"] = stamp(ended.finished_at)
    else:
        state["startedAt"] = state["finishedAt"] = None
    if ended.container_id:
        state["containerID"] = SCHEME + ended.container_id
    return {name: value for name, value in state.items() if value is not None}


# conditions


def conditions(
    pod: Object, record: PodRecord, inits: Sequence[Object], apps: Sequence[Object], phase: str, now: datetime
) -> list[Object]:
    made = [
        condition("PodReadyToStartContainers", record.sandbox == "ready" and not phase_is_over(phase)),
        initialized(record, inits, apps, phase),
        *readiness(pod, inits, apps, phase),
        condition("PodScheduled", True),
    ]
    generation = meta(pod).get("generation")
    for new in made:
        old = condition_of(pod, new["type"]) or {}
        same = old.get("status") == new["status"] and old.get("lastTransitionTime")
        new["lastTransitionTime"] = old["lastTransitionTime"] if same else format_time(now)
        if generation:
            new["observedGeneration"] = generation
    return made


def condition(type_: str, holds: bool, reason: str = "", message: str = "") -> Object:
    made: Object = {"type": type_, "status": "True" if holds else "False"}
    if reason:
        made["reason"] = reason
    if message:
        made["message"] = message
    return made


def phase_is_over(phase: str) -> bool:
    return phase in FINISHED


def initialized(record: PodRecord, inits: Sequence[Object], apps: Sequence[Object], phase: str) -> Object:
    if phase == "Succeeded":
        return condition("Initialized", True, "PodCompleted")
    if record.initialized or any("running" in said["state"] for said in apps):
        return condition("Initialized", True)
    kinds = {name: container.kind for name, container in record.containers.items()}
    incomplete = [
        said["name"] for said in inits if not (said["started"] if kinds[said["name"]] == "sidecar" else said["ready"])
    ]
    if not incomplete:
        return condition("Initialized", True)
    message = f"containers with incomplete status: [{' '.join(incomplete)}]"
    return condition("Initialized", False, "ContainersNotInitialized", message)


def readiness(pod: Object, inits: Sequence[Object], apps: Sequence[Object], phase: str) -> tuple[Object, Object]:
    """Ready, ContainersReady."""
    reasons = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}
    if phase in reasons:
        return condition("Ready", False, reasons[phase]), condition("ContainersReady", False, reasons[phase])
    sidecars = {c["name"] for c in spec_of(pod).get("initContainers") or () if c.get("restartPolicy") == "Always"}
    counted = [said for said in inits if said["name"] in sidecars] + list(apps)
    unready = [said["name"] for said in counted if not said["ready"]]
    if unready:
        message = f"containers with unready status: [{' '.join(unready)}]"
        reason = "ContainersNotReady"
        return condition("Ready", False, reason, message), condition("ContainersReady", False, reason, message)
    gates = unmet_gates(pod)
    if gates:
        return condition("Ready", False, "ReadinessGatesNotReady", ", ".join(gates)), condition("ContainersReady", True)
    return condition("Ready", True), condition("ContainersReady", True)


def unmet_gates(pod: Object) -> list[str]:
    unmet = []
    for gate in spec_of(pod).get("readinessGates") or ():
        type_ = gate.get("conditionType", "")
        found = condition_of(pod, type_)
        if found is None:
            unmet.append(f'corresponding condition of pod readiness gate "{type_}" does not exist.')
        elif found.get("status") != "True":
            unmet.append(f'the status of pod readiness gate "{type_}" is not "True", but {found.get("status")}')
    return unmet


def stamp(at: float) -> str:
    """Unix seconds as metav1.Time."""
    return format_time(datetime.fromtimestamp(at, UTC))

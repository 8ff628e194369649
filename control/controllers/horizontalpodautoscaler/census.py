"""Which pods count: a metric's samples meet the pods that the target selects.

Pods that end are ignored. Pods that are pending, or, where CPU is measured, not ready or only just started, are not
ready: their samples are put aside (a start-up burst must not scale). Of the rest, those without a sample are missing.
What is then assumed of those two groups leans against the direction in which the others point, so that ignorance never
makes a scale larger (`replicas`).

CPU is special because programs burn it while they start. Within the initialization period of a pod's start its sample
counts only if the pod is ready and was so for the sample's whole window; after it, unless the pod has never been ready
since shortly after its start.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from control.api.objects import Object, condition_of, is_deleting, name_of, parse_time, spec_of, status_of
from control.api.quantity import parse
from control.controllers.horizontalpodautoscaler.readings import Sample, Samples, Unreadable
from control.controllers.horizontalpodautoscaler.tuning import Tuning


@dataclass(slots=True)
class Census:
    """`used` are the samples of pods that are ready."""

    ready: int = 0
    unready: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    used: Samples = field(default_factory=dict)


def census(pods: Iterable[Object], samples: Samples, resource: str, now: datetime, tuning: Tuning) -> Census:
    """Raises Unreadable where nothing is left to count with."""
    pods = list(pods)
    if not pods:
        raise Unreadable("no pods returned by selector while calculating replica count")
    found = Census(used=dict(samples))
    for pod in pods:
        name, phase = name_of(pod), status_of(pod).get("phase")
        sample = samples.get(name)
        if is_deleting(pod) or phase == "Failed":
            found.used.pop(name, None)
        elif phase == "Pending":
            found.unready.add(name)
            found.used.pop(name, None)
        elif sample is None:
            found.missing.add(name)
        elif resource == "cpu" and _starts_up(pod, sample, now, tuning):
            found.unready.add(name)
            found.used.pop(name, None)
        else:
            found.ready += 1
    if not found.used:
        raise Unreadable("did not receive metrics for targeted pods (pods might be unready)")
    return found


def _starts_up(pod: Object, sample: Sample, now: datetime, tuning: Tuning) -> bool:
    """Whether a pod's CPU says more about its start than about its load."""
    condition, start = condition_of(pod, "Ready"), status_of(pod).get("startTime")
    if condition is None or not start:
        return True
    started = parse_time(start)
    changed = parse_time(condition["lastTransitionTime"]) if condition.get("lastTransitionTime") else started
    unready = condition.get("status") == "False"
    if started + timedelta(seconds=tuning.cpu_initialization_s) > now:
        return unready or sample.at < changed + timedelta(seconds=sample.window_s)
    return unready and started + timedelta(seconds=tuning.initial_readiness_s) > changed


def ready_count(pods: Iterable[Object]) -> int:
    """Running and ready pods, for metrics that are not measured pod by pod; raises Unreadable."""
    pods = list(pods)
    if not pods:
        text = "no pods returned by selector while calculating replica count"
        raise Unreadable(f"unable to calculate ready pods: {text}")
    return sum(
        status_of(pod).get("phase") == "Running" and (condition_of(pod, "Ready") or {}).get("status") == "True"
        for pod in pods
    )


def requests_of(pods: Iterable[Object], resource: str, container: str = "") -> dict[str, int]:
    """What each pod, or one container of each, asks for, in thousandths; raises Unreadable where one asks nothing.

    Requests of the pod as a whole (KEP-2837) come before the sum of its containers', sidecars included.
    """
    return {name_of(pod): _request(pod, resource, container) for pod in pods}


def _request(pod: Object, resource: str, container: str) -> int:
    spec = spec_of(pod)
    whole = (spec.get("resources") or {}).get("requests")
    if whole and not container:
        if resource not in whole:
            raise Unreadable(f"missing pod-level request for {resource} in Pod {name_of(pod)}")
        return parse(str(whole[resource])).milli
    total = 0
    sidecars = (each for each in spec.get("initContainers") or () if each.get("restartPolicy") == "Always")
    for each in (*(spec.get("containers") or ()), *sidecars):
        if container in ("", each["name"]):
            requests = (each.get("resources") or {}).get("requests") or {}
            if resource not in requests:
                text = f"missing request for {resource} in container {each['name']} of Pod {name_of(pod)}"
                raise Unreadable(text)
            total += parse(str(requests[resource])).milli
        if container == each["name"]:
            return total
    if container:
        raise Unreadable(f"container {container} not found in Pod {name_of(pod)}")
    return total

"""What containers use: CPU time and memory of all their processes, from /proc/<pid>/stat.

A container's processes are those of its session (each container's first process leads one) and the descendants of its
first process that left it. CPU time is user and system time of every process, and of its children that ended and were
waited for (cutime, cstime): a child's time moves to its parent when it is reaped, so the sum keeps it. What is lost is
the time of orphans that someone else reaps; the sum may then fall, and `Meter` carries on from where it was, because a
counter never goes back.

Working set and RSS are both the sum of resident pages. A cgroup would count a page that two processes share once, and
leave out what it can drop; proportional sizes (smaps_rollup) would too, at a hundred times the cost of reading stat.

The answer has the form of the kubelet's `/stats/summary` (k8s.io/kubelet/pkg/apis/stats/v1alpha1). A virtual node uses
what its pods use: all nodes share the machine, so the machine's own usage would be counted once for each.

A pod may say by annotations what it uses (`loopkube.io/usage-cpu`, `loopkube.io/usage-memory`): for pods without a
process. CPU by annotation is a rate, and becomes a counter from the container's start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from control.api.objects import Object, annotations_of
from control.api.quantity import NANO, parse

USAGE_CPU = "loopkube.io/usage-cpu"
USAGE_MEMORY = "loopkube.io/usage-memory"


class Process(NamedTuple):
    """A line of /proc/<pid>/stat, as far as it is looked at."""

    pid: int
    parent: int
    session: int
    ticks: int
    pages: int


class Usage(NamedTuple):
    cpu_ns: int = 0
    memory_bytes: int = 0

    def plus(self, other: Usage) -> Usage:
        return Usage(self.cpu_ns + other.cpu_ns, self.memory_bytes + other.memory_bytes)


class Container(NamedTuple):
    """A running container: `process` names its attempt for ever, `pid` leads its session."""

    name: str
    process: str
    pid: int
    started_at: float  # Unix time


class Measured(NamedTuple):
    """A pod with what each of its running containers uses."""

    pod: Object
    usages: tuple[tuple[Container, Usage], ...]


def parse_stat(text: str) -> Process | None:
    """None for what is no such line (the process is gone). The program's name may contain anything, even `) `."""
    head, closed, rest = text.rpartition(") ")
    fields = rest.split()
    pid = head.partition(" ")[0]
    if not closed or len(fields) < 22 or not pid.isdecimal():
        return None
    ticks = sum(int(field) for field in fields[11:15])  # utime, stime, cutime, cstime
    return Process(int(pid), int(fields[1]), int(fields[3]), ticks, int(fields[21]))


def by_leader(processes: Iterable[Process], leaders: frozenset[int], tick_ns: int, page_bytes: int) -> dict[int, Usage]:
    """What each leader's processes use together."""
    known = {process.pid: process for process in processes}
    totals: dict[int, Usage] = {}
    for process in known.values():
        leader = _leader(process, known, leaders)
        if leader:
            usage = Usage(process.ticks * tick_ns, process.pages * page_bytes)
            totals[leader] = totals.get(leader, Usage()).plus(usage)
    return totals


def _leader(process: Process, known: Mapping[int, Process], leaders: frozenset[int]) -> int:
    """Whose process this is, 0 if nobody's: by its session, else by its ancestors."""
    seen: Process | None = process
    for _ in range(len(known)):  # a list that was read while processes moved could have a circle
        if seen is None:
            break
        if seen.session in leaders:
            return seen.session
        seen = known.get(seen.parent)
    return 0


class Meter:
    """Counters that never go back, by the container's process."""

    def __init__(self) -> None:
        self._counted: dict[str, tuple[int, int]] = {}  # (last reading, what was lost before)

    def read(self, containers: Iterable[Container], totals: Mapping[int, Usage]) -> dict[str, Usage]:
        """The usage of those containers that have processes; others are forgotten."""
        found: dict[str, Usage] = {}
        counted: dict[str, tuple[int, int]] = {}
        for container in containers:
            usage = totals.get(container.pid)
            if usage is not None:
                last, lost = self._counted.get(container.process, (0, 0))
                lost += max(0, last - usage.cpu_ns)
                counted[container.process] = (usage.cpu_ns, lost)
                found[container.process] = Usage(usage.cpu_ns + lost, usage.memory_bytes)
        self._counted = counted
        return found


def said_usage(pod: Object, seconds: float) -> Usage | None:
    """What a pod's annotations say that a container of it uses; None where they say nothing readable."""
    said = annotations_of(pod)
    if USAGE_CPU not in said and USAGE_MEMORY not in said:
        return None
    try:
        cores = parse(said.get(USAGE_CPU, "0")).nano
        return Usage(int(cores * max(0.0, seconds)), parse(said.get(USAGE_MEMORY, "0")).nano // NANO)
    except ValueError:
        return None


# --- the kubelet's summary ----------------------------------------------------------------------------------------


def summary(node: str, pods: Iterable[Measured], at: float) -> Object:
    """/stats/summary of one node; `at` is when it was measured (Unix time)."""
    stats, total = [], Usage()
    for pod, usages in pods:
        whole = Usage()
        containers = []
        for container, usage in usages:
            whole = whole.plus(usage)
            containers.append({"name": container.name, "startTime": _time(container.started_at), **_stats(usage, at)})
        total = total.plus(whole)
        metadata = pod["metadata"]
        reference = {"name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"]}
        started = min((container.started_at for container, _ in usages), default=at)
        stats.append({"podRef": reference, "startTime": _time(started), "containers": containers, **_stats(whole, at)})
    return {"node": {"nodeName": node, **_stats(total, at)}, "pods": stats}


def _stats(usage: Usage, at: float) -> Object:
    time = _time(at)
    return {
        "cpu": {"time": time, "usageCoreNanoSeconds": usage.cpu_ns},
        "memory": {"time": time, "workingSetBytes": usage.memory_bytes, "rssBytes": usage.memory_bytes},
    }


def _time(at: float) -> str:
    """In milliseconds: a window may be as short as a second."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

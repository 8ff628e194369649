"""Reads what all containers of this machine use, when somebody asks: one look through /proc for all nodes.

Nothing is measured that nobody asks for; how often that is, the asker decides (the API server, for metrics.k8s.io).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from control.api.objects import Object, spec_of
from control.kubelet.record import PodRecord
from control.kubelet.usage import Container, Measured, Meter, Process, Usage, by_leader, parse_stat, said_usage, summary

TICK_NS = 10**9 // os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def processes(proc: Path = Path("/proc")) -> Iterator[Process]:
    """All of the machine; those that end meanwhile are left out. Some 10 us each."""
    folder = str(proc)
    for name in os.listdir(folder):
        if name.isdecimal():
            try:
                with open(f"{folder}/{name}/stat", encoding="utf-8", errors="replace") as file:
                    found = parse_stat(file.read())
            except OSError:
                continue
            if found is not None:
                yield found


class Measuring:
    def __init__(self) -> None:
        self._meter = Meter()

    def summaries(self, pods: Iterable[tuple[Object, PodRecord]], nodes: Iterable[str], now: float) -> list[Object]:
        """/stats/summary of every node."""
        running = {record.uid: (pod, containers_of(record)) for pod, record in pods}
        everything = [container for _, containers in running.values() for container in containers]
        leaders = frozenset(container.pid for container in everything if container.pid)  # simulated ones have none
        totals = by_leader(processes(), leaders, TICK_NS, PAGE_BYTES) if leaders else {}
        usages = self._meter.read(everything, totals)
        by_node: dict[str, list[Measured]] = {node: [] for node in nodes}
        for pod, containers in running.values():
            measured = tuple(_measured(pod, containers, usages, now))
            place = by_node.get(str(spec_of(pod).get("nodeName") or ""))
            if place is not None and measured:
                place.append(Measured(pod, measured))
        return [summary(node, found, now) for node, found in by_node.items()]


def _measured(
    pod: Object, containers: Iterable[Container], usages: Mapping[str, Usage], now: float
) -> Iterator[tuple[Container, Usage]]:
    for container in containers:
        usage = said_usage(pod, now - container.started_at) or usages.get(container.process)
        if usage is not None:
            yield container, usage


def containers_of(record: PodRecord) -> tuple[Container, ...]:
    """The running ones."""
    return tuple(
        Container(container.name, container.process.id, container.process.pid, container.process.started_at)
        for container in record.containers.values()
        if container.running and container.process is not None
    )

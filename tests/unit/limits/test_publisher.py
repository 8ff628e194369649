"""The publisher of measurements, with a worker's feed at the other end of its socket."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from bench.machine import cpu_s, pss_bytes
from bench.publisher import Publisher, Refused
from dataplane.feed import Applier, Feed
from dataplane.metrics.registry import Registry
from dataplane.snapshot.model import Update
from dataplane.table import TableError


async def test_it_waits_for_each_answer_and_says_what_the_worker_said(tmp_path: Path) -> None:
    taken: list[Update] = []

    def apply(update: Update) -> None:
        if update.removes:
            raise TableError("no removals today")
        taken.append(update)

    registry = Registry()
    with Publisher(tmp_path / "publish.sock") as publisher:
        feed = Feed(publisher.path, Applier(apply, registry, lambda: 1.0), registry)
        feed.start()
        await asyncio.to_thread(publisher.accept)
        assert await asyncio.to_thread(publisher.tell, [("backend", {"name": "b"})], full=True) == 1
        with pytest.raises(Refused, match="no removals today"):
            await asyncio.to_thread(publisher.tell, [], [("backend", "b")])
        await feed.stop()
    assert [(update.version, update.full, len(update.upserts)) for update in taken] == [(1, True, 1)]


def test_what_proc_says_of_this_process() -> None:
    assert pss_bytes(os.getpid()) > 1_000_000
    assert 0 < cpu_s(os.getpid()) <= cpu_s(os.getpid(), with_ended_children=True)

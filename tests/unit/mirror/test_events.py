"""Events: joined as client-go joins them, and written without holding anybody up."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from control.api.kinds import EVENT
from control.api.objects import Object, name_of
from control.api.status import StatusError
from control.mirror.correlate import BURST, COMBINED, Correlator
from control.mirror.recorder import QUEUE_MAX, TRIES_MAX, Recorder
from tests.fakes.store_client import NOW, StoreClient


def pod(name: str = "p", **more: object) -> Object:
    metadata = {"name": name, "namespace": "a", "uid": f"u-{name}", "resourceVersion": "7"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, **more}


def test_an_event_is_what_kubernetes_would_write() -> None:
    write = Correlator("kubelet", "node-0").observe(pod(fieldPath="spec.containers{c}"), "Normal", "Started", "hi", NOW)
    assert write is not None
    assert write.patch is None
    name = name_of(write.full)
    assert write.full == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": "a"},
        "involvedObject": {
            "apiVersion": "v1", "kind": "Pod", "namespace": "a", "name": "p", "uid": "u-p", "resourceVersion": "7",
            "fieldPath": "spec.containers{c}",
        },
        "type": "Normal",
        "reason": "Started",
        "message": "hi",
        "source": {"component": "kubelet", "host": "node-0"},
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "lastTimestamp": "2026-01-01T00:00:00Z",
        "count": 1,
        "eventTime": None,
        "reportingComponent": "kubelet",
        "reportingInstance": "node-0",
    }  # fmt: skip
    assert name == f"p.{int(NOW.timestamp()) * 10**9:x}"


def test_a_repeat_is_counted_and_a_cluster_scoped_object_reports_to_default() -> None:
    correlator = Correlator("node-controller")
    node: Object = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "uid": "u"}}
    first = correlator.observe(node, "Warning", "Sick", "m", NOW)
    node["metadata"] = {"name": "n", "uid": "u", "resourceVersion": "9"}
    again = correlator.observe(node, "Warning", "Sick", "m", NOW + timedelta(seconds=5))
    assert first is not None
    assert again is not None
    assert first.full["metadata"]["namespace"] == "default"
    assert again.patch == {"count": 2, "lastTimestamp": "2026-01-01T00:00:05Z", "message": "m"}
    assert name_of(again.full) == name_of(first.full)
    assert again.full["firstTimestamp"] == "2026-01-01T00:00:00Z"


def test_names_differ_at_the_same_instant() -> None:
    correlator = Correlator("c")
    writes = [correlator.observe(pod(), "Normal", "R", f"m{n}", NOW) for n in range(3)]
    assert len({name_of(write.full) for write in writes if write}) == 3


def test_similar_events_are_combined_from_the_tenth_on() -> None:
    correlator = Correlator("c")
    writes = [correlator.observe(pod(), "Warning", "Failed", f"m{n}", NOW) for n in range(12)]
    messages = [write.full["message"] for write in writes if write]
    assert messages[8] == "m8"
    assert messages[9:] == [f"{COMBINED}m{n}" for n in (9, 10, 11)]
    assert [write.full["count"] for write in writes[9:] if write] == [1, 2, 3]
    other = correlator.observe(pod("q"), "Warning", "Failed", "x", NOW)
    assert other is not None
    assert other.full["message"] == "x"
    later = correlator.observe(pod(), "Warning", "Failed", "new", NOW + timedelta(seconds=601))
    assert later is not None
    assert later.full["message"] == "new"


def test_spam_is_dropped_but_counted_and_the_bucket_refills() -> None:
    correlator = Correlator("c")
    writes = [correlator.observe(pod(), "Warning", "BackOff", "m", NOW) for _ in range(BURST + 5)]
    assert [write is None for write in writes] == [False] * BURST + [True] * 5
    assert correlator.dropped == 5
    assert correlator.observe(pod("q"), "Warning", "BackOff", "m", NOW) is not None
    later = correlator.observe(pod(), "Warning", "BackOff", "m", NOW + timedelta(seconds=301))
    assert later is not None
    assert later.patch is not None
    assert later.patch["count"] == BURST + 6


class Pauses:
    count = 0

    async def __call__(self, delay_s: float) -> None:
        self.count += 1


async def test_events_are_created_then_counted_and_created_anew_when_expired() -> None:
    client = StoreClient()
    recorder = Recorder(client, "kubelet", clock=lambda: NOW)
    for _ in range(3):
        recorder.emit(pod(), "Normal", "Pulled", "m")
    await recorder.settled()
    (stored,) = client.store.list(EVENT.resource)
    assert stored.obj["count"] == 3
    await client.delete(EVENT, "a", stored.key.name)
    recorder.emit(pod(), "Normal", "Pulled", "m")
    await recorder.close()
    (stored,) = client.store.list(EVENT.resource)
    assert stored.obj["count"] == 4
    assert (recorder.written, recorder.dropped) == (4, 0)


async def test_a_refused_event_is_dropped_at_once_and_a_lost_one_is_tried_again() -> None:
    client, pauses = StoreClient(), Pauses()
    recorder = Recorder(client, "kubelet", clock=lambda: NOW, pause=pauses)
    client.fail(1, StatusError(403, "Forbidden", "namespace a is being terminated"))
    recorder.emit(pod(), "Normal", "A", "m")
    await recorder.settled()
    assert (recorder.written, recorder.dropped, pauses.count) == (0, 1, 0)
    client.fail(2, ConnectionError("away"))
    recorder.emit(pod(), "Normal", "A", "m")
    await recorder.settled()
    assert (recorder.written, recorder.dropped, pauses.count) == (1, 1, 2)
    client.fail(TRIES_MAX, ConnectionError("away"))
    recorder.emit(pod(), "Normal", "B", "m")
    await recorder.settled()
    assert (recorder.written, recorder.dropped) == (1, 2)
    assert [stored.obj["count"] for stored in client.store.list(EVENT.resource)] == [1]


async def test_the_queue_is_bounded() -> None:
    client = StoreClient()
    recorder = Recorder(client, "kubelet", clock=lambda: NOW)
    for n in range(QUEUE_MAX + 5):
        recorder.emit(pod(f"p{n}"), "Normal", "A", "m")
    assert recorder.dropped == 5
    await asyncio.wait_for(recorder.close(), 10)
    assert recorder.written == QUEUE_MAX

"""Flow records: what happened to one request (HTTP) or one connection (TCP), one record each, written at its end.

A record is the only thing that the hot path says about an exchange; every counter and histogram about requests is a
fold over records (`recorder.py`), so the two can never disagree. The writer builds a plain tuple in the order of
`FlowFields` (a tuple display costs a tenth of a class's constructor) and the reader gets it back as a `Flow` with
names. Names and bytes are references to objects that live anyway, so a record costs one tuple and a few floats.

The ring is bounded: it keeps the newest `size` records and forgets older ones without a trace except the count, since
telling nobody is better than growing. `id` is the number of the record since the worker's start and so its position.
A follower that is slower than the traffic loses records, never slows the traffic, and sees by the gap in ids how many.

Phases are those of the endpoint's life as `dataplane.table.Endpoint.phase` says them: ready, serving-terminating,
terminating, not-ready, removed. "" stands where no endpoint was chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

OUTCOMES: dict[str, str] = {
    "ok": "answered in full, whatever the status code of the answer",
    "client_abort": "the client went away before the end",
    "refused": "no endpoint tried accepted the connection, or the request",
    "reset": "the endpoint closed or reset the connection before its answer (TCP: its stream) was complete",
    "timeout": "connecting, or waiting for the answer, took longer than the backend allows",
    "no_endpoint": "the backend had no usable endpoint",
    "no_route": "no route matched",
    "policy": "the route's policy answered (redirect, preflight, limit, refusal)",
    "bad_request": "the client's bytes were no acceptable request",
    "bad_response": "the endpoint's bytes were no acceptable response",
    "overload": "a limit of ours was reached (connections, pending requests)",
    "drained": "ended by the worker's own shutdown",
}
"""Every value that `outcome` may have, and what it means."""

FlowFields = tuple[
    float, str, str, str, str, str, str, str, int, bytes, int, int, int, float, float, float, str
]  # fmt: skip
"""(at, listener, route, backend, endpoint, target, phase_at_pick, phase_at_end, attempts, method, status, bytes_in,
bytes_out, connect_s, first_byte_s, total_s, outcome): what a writer appends, in the order of Flow without `id`."""


class Flow(NamedTuple):
    """One record as readers see it. Durations that do not apply are -1.0; bytes are those of the proxied payload."""

    id: int  # number of the record since the worker's start
    at: float  # Unix time of the end
    listener: str
    route: str  # "" for a Service listener
    backend: str
    endpoint: str  # id of the last endpoint tried
    target: str  # its namespace/pod
    phase_at_pick: str
    phase_at_end: str
    attempts: int  # endpoints tried
    method: bytes  # b"" for TCP
    status: int  # status code that the client got; 0 for TCP and where none was sent
    bytes_in: int  # from the client
    bytes_out: int  # to the client
    connect_s: float  # of the last attempt; -1.0 when a pooled connection was used or none was made
    first_byte_s: float  # from the request's (connection's) begin to the first byte of the answer
    total_s: float  # from the request's (connection's) begin to its end
    outcome: str  # a key of OUTCOMES

    def as_json(self) -> dict[str, object]:
        """The record for `/flows`: names and JSON values."""
        return {**self._asdict(), "method": self.method.decode("ascii", "replace")}


Follower = Callable[[Flow], None]


class FlowRing:
    """The newest `size` records, and those who want to hear of each new one."""

    __slots__ = ("_followers", "_records", "_size", "total")

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError("a ring holds at least one record")
        self._size = size
        self._records: list[FlowFields] = []
        self._followers: dict[Follower, tuple[Callable[[Flow], bool], int]] = {}
        self.total = 0

    def __repr__(self) -> str:
        return f"FlowRing({len(self._records)} of {self._size}, {self.total} ever, {len(self._followers)} followers)"

    def __len__(self) -> int:
        return len(self._records)

    def append(self, record: FlowFields) -> None:
        """Keep `record` in place of the oldest one, and tell followers."""
        number = self.total
        self.total = number + 1
        if number < self._size:
            self._records.append(record)
        else:
            self._records[number % self._size] = record
        if self._followers:
            self._tell(number, record)

    def _tell(self, number: int, record: FlowFields) -> None:
        flow = Flow(number, *record)
        for follower, (wanted, sample) in tuple(self._followers.items()):
            if number % sample == 0 and wanted(flow):
                follower(flow)

    def __iter__(self) -> Iterator[Flow]:
        """The records held, oldest first."""
        total, size = self.total, self._size
        first = max(0, total - size)
        for number in range(first, total):
            yield Flow(number, *self._records[number % size])

    def follow(self, follower: Follower, wanted: Callable[[Flow], bool], sample: int = 1) -> Callable[[], None]:
        """Call `follower` with each new record that is `wanted`, looking at every `sample`-th; returns the way out.

        The follower is called from the hot path and must not block; it drops what it cannot take.
        """
        if sample < 1:
            raise ValueError("every sample-th record: at least 1")
        self._followers[follower] = (wanted, sample)

        def leave() -> None:
            self._followers.pop(follower, None)

        return leave

"""Every number that bounds the proxy, and where it comes from. Full means refuse, count and say so."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one worker. Sizes in bytes, times in seconds."""

    request_line_max: int = 8192
    """nginx's large_client_header_buffers 8k; RFC 9112 3 recommends at least 8000. Beyond it: 414."""

    head_max: int = 32 * 1024
    """nginx's 4 x 8k for all header lines together. Beyond it: 431 (RFC 6585 5); of a response: 502."""

    fields_max: int = 100
    """Apache's LimitRequestFields and hyper's default. Beyond it: 431; of a response: 502."""

    body_max: int = 0
    """0 = unlimited (bodies are streamed under back-pressure, never held). Beyond it: 413."""

    replay_max: int = 64 * 1024
    """How much of a request's body is kept while a retry is possible: one write buffer's worth."""

    buffer_high: int = 64 * 1024
    """asyncio's write high-water mark: beyond it the other side is not read until the buffer has drained."""

    held_max: int = 64 * 1024
    """Bytes of a client held back (pipelined requests, body before an upstream is there) before it is not read."""

    connections_max: int = 65_536
    """Client connections of one worker. The worker's listeners stop accepting at the same number; whoever gets
    past them is answered 503 and closed."""

    header_timeout_s: float = 60.0
    """nginx's client_header_timeout: a whole head must have arrived, counted from the connection or its first byte."""

    body_timeout_s: float = 60.0
    """nginx's client_body_timeout: between two reads of a request's body."""

    idle_timeout_s: float = 75.0
    """nginx's keepalive_timeout: between the end of a response and the next request's first byte."""

    send_timeout_s: float = 60.0
    """nginx's send_timeout: a client that takes no byte of its response for so long is cut off."""

    linger_timeout_s: float = 5.0
    """nginx's lingering_timeout: how long the rest of a refused request is read and thrown away, so that the
    client can read the answer instead of finding its connection reset."""

    linger_max: int = 1024 * 1024
    """How much of it is read at most; a client that sends more than this after a refusal is cut off."""

    drain_idle_s: float = 1.0
    """When draining, a client that was silent for less than this may have a request on its way, which closing would
    lose: it has so long since its last answer. Clients that were silent for longer are closed at once (nginx does so
    with all)."""

    look_s: float = 1.0
    """How often the kernel is asked whether half-closed clients are still there: about 20 us a client."""

    log_every_s: float = 5.0
    """How often one kind of fault is logged, as the kernel's printk_ratelimit; between, it is counted."""

    sweep_s: float = 0.25
    """Resolution of all timeouts: one timer a worker, instead of one a request."""

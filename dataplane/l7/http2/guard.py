"""What a peer may cost before it is sent away: floods of frames that are legal one by one.

HTTP/2 has many frames that cost their sender nothing and us something: streams opened and reset at once (rapid reset,
CVE-2023-44487), streams made so that *we* reset them (CVE-2025-8671), PING and SETTINGS that want an answer, empty
DATA, PRIORITY, WINDOW_UPDATE of one byte. (Endless CONTINUATION, CVE-2024-27316, is bounded by the h2 library: 64
frames, and by the size of a header list.) No single one of them is wrong, so they are counted: two buckets of tokens
that fill with time. Whoever empties one gets GOAWAY with ENHANCE_YOUR_CALM (RFC 9113 10.5).

The numbers are nghttp2's, which most servers have in common: resets 1000 at once and 33 a second
(NGHTTP2_DEFAULT_STREAM_RESET_BURST and _RATE), everything else 10,000 and 330 (NGHTTP2_DEFAULT_GLITCH_BURST and _RATE).
WINDOW_UPDATE is what a good client sends for good reasons, so each DATA frame of ours earns `EARNED`, as in Envoy
(max_inbound_window_update_frames_per_data_frame_sent).
"""

from __future__ import annotations

from typing import Final

RESETS_BURST: Final = 1000
RESETS_PER_S: Final = 33
FRAMES_BURST: Final = 10_000
FRAMES_PER_S: Final = 330
EARNED: Final = 10


class Bucket:
    """Tokens that fill with time up to `burst`."""

    __slots__ = ("_at", "_burst", "_per_s", "tokens")

    def __init__(self, burst: int, per_s: int, now: float) -> None:
        self._burst = burst
        self._per_s = per_s
        self._at = now
        self.tokens = float(burst)

    def take(self, count: int, now: float) -> bool:
        """Take so many; False if there were not enough."""
        self.tokens = min(self._burst, self.tokens + (now - self._at) * self._per_s) - count
        self._at = now
        return self.tokens >= 0

    def add(self, count: int) -> None:
        """Put some in; what is beyond `burst` is not kept."""
        self.tokens = min(self._burst, self.tokens + count)


class Guard:
    """One peer's account. Each call says whether it may go on."""

    __slots__ = ("_frames", "_resets")

    def __init__(self, now: float) -> None:
        self._resets = Bucket(RESETS_BURST, RESETS_PER_S, now)
        self._frames = Bucket(FRAMES_BURST, FRAMES_PER_S, now)

    def __repr__(self) -> str:
        return f"Guard({self._resets.tokens:.0f} resets, {self._frames.tokens:.0f} frames left)"

    def resets(self, count: int, now: float) -> bool:
        """Streams that ended by RST_STREAM, theirs, or ours for something that they did."""
        return self._resets.take(count, now)

    def frames(self, count: int, now: float) -> bool:
        """Frames that bring no request and no data."""
        return self._frames.take(count, now)

    def earn(self, data_frames: int) -> None:
        """We sent so many DATA frames."""
        self._frames.add(EARNED * data_frames)

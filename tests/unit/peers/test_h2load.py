"""What h2load says, as numbers."""

from __future__ import annotations

import pytest

from bench.peers.h2load import parse

REPORT = """starting benchmark...
TLS Protocol: TLSv1.3
Application protocol: h2
Main benchmark duration is over for thread #0. Stopping all clients.
finished in 1.00s, 1234.00 req/s, 100.00KB/s
requests: 1234 total, 1250 started, 1234 done, 1230 succeeded, 4 failed, 1 errored, 0 timeout
status codes: 1230 2xx, 0 3xx, 4 4xx, 0 5xx
"""
LOG = "".join(f"1700000000000000\t200\t{number}\n" for number in range(1, 101))


def test_a_report_is_read_and_errors_are_counted() -> None:
    seen = parse(REPORT, LOG)
    assert (seen.requests, seen.requests_per_s, seen.errors) == (1234, 1234.0, 5)
    assert seen.p99_s == pytest.approx(100e-6)


@pytest.mark.parametrize("text", ["unable to connect", REPORT.replace("h2\n", "http/1.1\n")])
def test_another_text_is_no_report(text: str) -> None:
    with pytest.raises(ValueError, match="something else"):
        parse(text, "")

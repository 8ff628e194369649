"""What wrk says, as numbers."""

from __future__ import annotations

import pytest

from bench.peers.load import Load, parse

REPORT = """Running 2s test @ http://127.0.0.1:1/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   652.29us  333.76us   9.97ms   90.28%
    Req/Sec    50.27k     4.88k   57.25k    76.19%
  Latency Distribution
     50%  599.00us
     99%    1.87ms
  105066 requests in 2.10s, 22.84MB read
Requests/sec:  50032.92
Transfer/sec:     10.88MB
"""


def test_a_report_is_read() -> None:
    assert parse(REPORT) == Load(105066, 50032.92, 1.87 / 1000, 0)


def test_errors_of_every_kind_are_counted() -> None:
    errors = "  Socket errors: connect 1, read 2, write 3, timeout 4\n  Non-2xx or 3xx responses: 5\n"
    assert parse(REPORT + errors).errors == 15


def test_another_text_is_no_report() -> None:
    with pytest.raises(ValueError, match="unable to connect"):
        parse("unable to connect")

"""What containers use: lines of /proc, sessions, counters that never go back, the kubelet's summary."""

from __future__ import annotations

import os
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from control.api.objects import Object
from control.kubelet.measuring import processes
from control.kubelet.usage import (
    USAGE_CPU,
    USAGE_MEMORY,
    Container,
    Measured,
    Meter,
    Process,
    Usage,
    by_leader,
    parse_stat,
    said_usage,
    summary,
)

LINE = "42 (a) b) S 7 42 41 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 5 100 9 18446744073709551615 1 1"


def test_a_line_is_read_whatever_the_program_is_called() -> None:
    assert parse_stat(LINE) == Process(pid=42, parent=7, session=41, ticks=100, pages=9)
    assert parse_stat("") is None
    assert parse_stat("42 (a) S 1 2") is None


def test_a_container_is_its_session_and_what_left_it() -> None:
    found = by_leader(
        [
            Process(10, 1, 10, 5, 1),
            Process(11, 10, 10, 6, 2),
            Process(12, 1, 10, 7, 3),  # an orphan of the session
            Process(13, 11, 13, 8, 4),  # a daemon that leads its own
            Process(20, 1, 20, 9, 5),
            Process(30, 1, 30, 99, 99),  # somebody else's
            Process(31, 32, 31, 1, 1),  # a circle, read while it moved
            Process(32, 31, 32, 1, 1),
        ],
        frozenset({10, 20}),
        10,
        4096,
    )
    assert found == {10: Usage(260, 10 * 4096), 20: Usage(90, 5 * 4096)}


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=20))
def test_a_counter_never_goes_back(readings: list[int]) -> None:
    meter, last = Meter(), 0
    container = Container("a", "u/a/0", 10, 0.0)
    for reading in readings:
        found = meter.read([container], {10: Usage(reading, 1)})["u/a/0"]
        assert found.cpu_ns >= max(last, reading)
        last = found.cpu_ns


def test_a_container_without_processes_has_no_usage() -> None:
    assert Meter().read([Container("a", "u/a/0", 10, 0.0)], {}) == {}


def annotated(**said: str) -> Object:
    names = {"cpu": USAGE_CPU, "memory": USAGE_MEMORY}
    return {"metadata": {"annotations": {names[key]: value for key, value in said.items()}}}


def test_annotations_say_what_a_pod_without_processes_uses() -> None:
    assert said_usage(annotated(cpu="250m", memory="1Ki"), 10.0) == Usage(2_500_000_000, 1024)
    assert said_usage(annotated(cpu="much"), 10.0) is None
    assert said_usage({"metadata": {}}, 10.0) is None


def test_the_summary_adds_up() -> None:
    pod = {"metadata": {"name": "p", "namespace": "default", "uid": "u"}}
    usages = ((Container("a", "u/a/0", 1, 50.0), Usage(7, 100)), (Container("b", "u/b/0", 2, 60.5), Usage(1, 11)))
    made = summary("n", [Measured(pod, usages)], 100.25)
    (stats,) = made["pods"]
    assert stats["podRef"] == {"name": "p", "namespace": "default", "uid": "u"}
    assert [each["startTime"] for each in stats["containers"]] == [
        "1970-01-01T00:00:50.000Z",
        "1970-01-01T00:01:00.500Z",
    ]
    assert (stats["cpu"]["usageCoreNanoSeconds"], stats["memory"]["workingSetBytes"]) == (8, 111)
    assert made["node"]["nodeName"] == "n"
    assert made["node"]["cpu"] == {"time": "1970-01-01T00:01:40.250Z", "usageCoreNanoSeconds": 8}


def test_real_processes_are_found_with_their_children() -> None:
    """A shell that leads a session, and a child that has burnt some CPU."""
    child = "import time\nwhile time.process_time() < 0.05: pass\nprint(flush=True)\nimport sys; sys.stdin.read()"
    command = ["sh", "-c", f"{sys.executable} -c '{child}'; exit"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True) as shell:
        assert shell.stdout is not None
        shell.stdout.readline()
        found = by_leader(processes(), frozenset({shell.pid}), 10**9 // os.sysconf("SC_CLK_TCK"), 4096)
        assert found[shell.pid].cpu_ns >= 40_000_000
        assert found[shell.pid].memory_bytes > 1_000_000
        assert shell.stdin is not None
        shell.stdin.close()

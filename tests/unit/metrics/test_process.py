"""The process's own numbers, from a copy of /proc and from the real one."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from dataplane.metrics import names
from dataplane.metrics.process import ProcessMetrics
from dataplane.metrics.registry import Registry


def test_fields_are_found_behind_a_name_with_spaces_and_parentheses(tmp_path: Path) -> None:
    own = tmp_path / "self"
    (own / "fd").mkdir(parents=True)
    for number in range(3):
        (own / "fd" / str(number)).touch()
    ticks = os.sysconf("SC_CLK_TCK")
    fields = ["S", *["0"] * 10, str(3 * ticks), str(2 * ticks), *["0"] * 6, str(50 * ticks), "9999", "7"]
    (own / "stat").write_text("1 (a ) (b) " + " ".join(fields) + "\n")
    (tmp_path / "stat").write_text("cpu 1 2\nbtime 1000\n")
    registry = Registry()
    ProcessMetrics(registry, tmp_path).measure()
    assert registry.value(names.CPU_SECONDS).value == 5
    assert registry.value(names.START_SECONDS).value == 1050
    assert registry.value(names.RESIDENT_BYTES).value == 7 * resource.getpagesize()
    assert registry.value(names.OPEN_FDS).value == 3


def test_the_real_proc_is_understood() -> None:
    registry = Registry()
    ProcessMetrics(registry).measure()
    assert registry.value(names.RESIDENT_BYTES).value > 1024 * 1024
    assert registry.value(names.CPU_SECONDS).value > 0
    assert registry.value(names.START_SECONDS).value > 1e9

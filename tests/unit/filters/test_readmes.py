"""The examples of the READMEs about routes, policies and annotations run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = (
    "dataplane/filters",
    "dataplane/route",
    "dataplane/snapshot",
    "control/publish",
    "control/publish/annotations",
)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_example_is_true(package: str) -> None:
    examples = re.findall(r"^```python\n(.*?)^```", (ROOT / package / "README.md").read_text(), flags=re.M | re.S)
    assert examples
    for example in examples:
        exec(compile(example, package, "exec"), {})

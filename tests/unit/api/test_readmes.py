"""The examples of this room's READMEs run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3] / "control" / "api"
READMES = sorted(ROOT.rglob("README.md"))


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.name)
def test_the_example_is_true(readme: Path) -> None:
    examples = re.findall(r"^```python\n(.*?)^```", readme.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert examples, "each README has an example"
    for example in examples:
        exec(compile(example, str(readme), "exec"), {})

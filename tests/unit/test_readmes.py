"""What the READMEs of the data plane and of its publisher claim: their examples run, their tables are the code's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dataplane.metrics import names
from dataplane.metrics.flows import OUTCOMES

ROOT = Path(__file__).resolve().parents[2]
READMES = sorted((*(ROOT / "dataplane").rglob("README.md"), *(ROOT / "control/publish").rglob("README.md")))
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", flags=re.M | re.S)


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.name)
def test_the_example_is_true(readme: Path) -> None:
    examples = FENCE.findall(readme.read_text())
    assert examples
    for language, example in examples:
        if language == "python":
            exec(compile(example, str(readme), "exec"), {"__name__": "example"})


def test_every_metric_and_every_outcome_is_documented() -> None:
    text = (ROOT / "dataplane/metrics/README.md").read_text()
    assert len({family.name for family in names.FAMILIES}) == len(names.FAMILIES)
    assert names.markdown() in text
    assert all(f"| {outcome} | {meaning} |" in text for outcome, meaning in OUTCOMES.items())

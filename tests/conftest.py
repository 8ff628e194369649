"""Options of the test run."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# On a developer's machine each run looks at new examples; on CI a green commit stays green
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--regenerate", action="store_true", help="write tests/golden anew; read the diff before committing"
    )

"""Which requests try the new version."""

from __future__ import annotations

import pytest

from dataplane.filters.canary import Shaper
from dataplane.snapshot.policy import Canary
from tests.fakes.asked import asked

HEADER = Canary(header="X-Canary", cookie="canary", weight=30)


@pytest.mark.parametrize(
    ("spec", "fields", "drawn", "takes"),
    [
        (HEADER, {"x-canary": "always"}, 0.99, True),
        (HEADER, {"X-Canary": "never", "Cookie": "canary=always"}, 0.0, False),
        (HEADER, {"X-Canary": "Always"}, 0.99, False),  # any other value leaves it to the weight
        (HEADER, {"X-Canary": "other", "Cookie": "a=b; canary=always"}, 0.99, True),
        (HEADER, {"Cookie": "canary=never"}, 0.0, False),
        (HEADER, {"Cookie": "canary=x"}, 0.29, True),
        (HEADER, {}, 0.29, True),
        (HEADER, {}, 0.3, False),
        (Canary(header="X", header_value="de"), {"X": "de"}, 0.0, True),
        (Canary(header="X", header_value="de", weight=100), {"X": "never"}, 0.99, True),  # no word of its own any more
        (Canary(header="X", header_value="de"), {"X": "always"}, 0.0, False),
        (Canary(header="X", header_pattern="^(de|fr)$"), {"X": "fr"}, 0.0, True),
        (Canary(header="X", header_pattern="^(de|fr)$"), {"X": "xfr"}, 0.0, False),
        (Canary(header="X", header_value="a", header_pattern="b"), {"X": "b"}, 0.0, False),
        (Canary(weight=30, weight_total=1000), {}, 0.03, False),
        (Canary(weight=30, weight_total=1000), {}, 0.0299, True),
        (Canary(weight=30, weight_total=10), {}, 0.3, False),
        (Canary(weight=100), {}, 0.999, True),
        (Canary(), {}, 0.0, False),
    ],
)
def test_header_then_cookie_then_weight(spec: Canary, fields: dict[str, str], drawn: float, takes: bool) -> None:
    assert Shaper(spec).takes(asked(fields=fields, random=lambda: drawn)) is takes

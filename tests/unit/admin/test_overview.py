"""What a worker shows of itself."""

from __future__ import annotations

import random

from dataplane.overview import ROWS_MAX, overview, page
from dataplane.snapshot.model import Backend, Listener
from dataplane.table import Table
from tests.fakes.contract import endpoint, full, rule


def table() -> Table:
    made = Table(random.Random(1).random)
    made.apply(
        full(
            Backend("app"),
            Listener("web", "127.0.0.1", 8080, "ingress", table="web"),
            Listener("taken", "127.0.0.1", 8081, "ingress", table="web"),
            Listener("empty", "127.0.0.1", 8082, "tcp", "other"),
            rule("<script>", "a.com"),
            endpoint("a", target="default/a"),
            endpoint("b", ready=False),
        )
    )
    return made


def test_everything_is_there_with_its_state() -> None:
    view = overview("w", table(), {"taken": "in use"}, {"clients": 3}, ["face"])
    assert {item["name"]: item["state"] for item in view["listeners"]} == {
        "web": "open", "taken": "failed", "empty": "closed"
    }  # fmt: skip
    (backend,) = view["backends"]
    assert (backend["usable"], backend["policy"]) == (1, "random")
    assert [(item["phase"], item["usable"], item["pool"]) for item in backend["endpoints"]] == [
        ("ready", True, None),
        ("not-ready", False, None),
    ]
    assert view["routes"][0]["host"] == "a.com"
    assert view["parts"] == ["'face'"]


def test_the_page_escapes_names_and_needs_nothing_from_anywhere() -> None:
    text = page(overview("w", table(), {}, {}, []))
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "http://" not in text
    assert "https://" not in text
    assert '<td class="bad">not-ready</td>' in text


def test_a_page_of_a_big_table_stays_small() -> None:
    made = Table(random.Random(1).random)
    made.apply(full(Backend("app"), *(endpoint(str(number)) for number in range(ROWS_MAX + 20))))
    text = page(overview("w", made, {}, {}, []))
    assert "20 more in" in text
    assert text.count("<tr>") < ROWS_MAX + 10

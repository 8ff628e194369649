"""Who may come in, by address."""

from __future__ import annotations

import pytest

from dataplane.filters.access import REMEMBERED_MAX, Access, Networks
from tests.fakes.asked import asked, through


@pytest.mark.parametrize(
    ("allow", "deny", "client", "passes"),
    [
        ((), (), "192.0.2.7", True),
        (("192.0.2.0/24",), (), "192.0.2.7", True),
        (("192.0.2.0/24",), (), "192.0.3.7", False),
        (("192.0.2.7",), (), "192.0.2.7", True),
        (("10.0.0.0/8", "2001:db8::/32"), (), "2001:db8::1", True),
        ((), ("192.0.2.0/24",), "192.0.2.7", False),
        ((), ("192.0.2.0/24",), "198.51.100.1", True),
        (("192.0.2.0/24",), ("192.0.2.7",), "192.0.2.7", False),  # nginx asks `deny` first: it is written first
        (("192.0.2.0/24",), ("192.0.2.7",), "192.0.2.8", True),
        (("192.0.2.1/24",), (), "192.0.2.200", True),  # host bits do not count
        (("0.0.0.0/0",), (), "unknown", False),
    ],
)
def test_deny_then_allow_then_everybody(
    allow: tuple[str, ...], deny: tuple[str, ...], client: str, passes: bool
) -> None:
    answer, _ = through(Access(allow, deny), asked(client=client))
    assert (answer is None) is passes
    assert answer is None or answer.status == 403


def test_remembered_addresses_are_bounded() -> None:
    networks = Networks(("10.0.0.0/8",))
    for number in range(REMEMBERED_MAX + 5):
        assert f"10.0.{number // 256}.{number % 256}" in networks
    assert len(networks._known) <= REMEMBERED_MAX

"""Addresses of pods, and who grabs everybody's port."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.kubelet.network.loopback import Loopback, Pool, PoolEmpty, bind_conflict, wildcard_ports


def test_an_address_is_kept_and_not_reused_at_once() -> None:
    pool = Pool("127.244.3.0/29")
    assert [pool.allocate(uid) for uid in "abb"] == ["127.244.3.2", "127.244.3.3", "127.244.3.3"]
    pool.release("a")
    assert [pool.allocate(uid) for uid in "cde"] == ["127.244.3.4", "127.244.3.5", "127.244.3.6"]
    assert pool.allocate("f") == "127.244.3.2", "only now"
    with pytest.raises(PoolEmpty, match="no free address"):
        pool.allocate("g")


def test_claims_after_a_crash() -> None:
    network = Loopback([("n0", "127.244.0.0/24")])
    assert network.claim("n0", "a", "127.244.0.9")
    assert not network.claim("n0", "b", "127.244.0.9")
    assert not network.claim("n0", "b", "127.244.7.9")
    assert not network.claim("other", "b", "127.244.0.8")
    assert network.allocate("n0", "a") == "127.244.0.9"
    assert network.allocate("n0", "b") == "127.244.0.10"


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.booleans()), max_size=40))
@settings(max_examples=50)
def test_no_two_pods_share_an_address(steps: list[tuple[str, bool]]) -> None:
    pool, held = Pool("127.244.0.0/28"), {}
    for uid, takes in steps:
        if takes:
            held[uid] = pool.allocate(uid)
        else:
            pool.release(uid)
            held.pop(uid, None)
        assert len(set(held.values())) == len(held)


def test_wildcard_listeners_are_told_from_others() -> None:
    table = "\n".join(
        [
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
            "   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 111 1",
            "   1: 0200F47F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 112 1",
            "   2: 00000000:1F92 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 999 1",
            "   3: 00000000:1F93 0100007F:0050 01 00000000:00000000 00:00000000 00000000  1000        0 113 1",
        ]
    )
    assert wildcard_ports(table, ["111", "112", "113"]) == [8080]


def test_the_victim_s_last_words() -> None:
    assert bind_conflict("OSError: [Errno 98] Address already in use")
    assert bind_conflict("listen tcp :8080: bind: address already in use")
    assert not bind_conflict("panic: index out of range")

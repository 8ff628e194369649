"""What a name means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.dns.zone import NOERROR, NXDOMAIN, SERVFAIL, Names, dashed, lineage
from dataplane.snapshot.model import Record, Zone
from tests.fakes.names import RECORDS, SVC, ZONE, found_plainly, spell, svc


@pytest.fixture
def names() -> Names:
    made = Names()
    made.apply((), (ZONE, *RECORDS))
    return made


@pytest.mark.parametrize(
    ("name", "type_", "data"),
    [
        (svc("web"), "A", ["127.96.0.9"]),
        (svc("db"), "A", ["127.244.0.1", "127.244.0.2", "127.244.0.3"]),
        (svc("db-2.db"), "A", ["127.244.0.2"]),
        (svc("_http._tcp.web"), "SRV", [svc("web")]),
        ("dns-version.cluster.local.", "TXT", ["1.1.0"]),
        (svc("alias"), "CNAME", [svc("web")]),
        ("10-0-0-1.default.pod.cluster.local.", "A", ["10.0.0.1"]),
        ("2001-db8--1.default.pod.cluster.local.", "AAAA", ["2001:db8::1"]),
    ],
)
def test_a_record_is_the_answer_to_its_name_and_type(names: Names, name: str, type_: str, data: list[str]) -> None:
    answer = names.find(name, type_)
    assert spell(answer) == (NOERROR, [(name, type_, data)], False, "")
    assert answer.is_authoritative


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        ("cluster.local.", "A"),  # the apex
        ("svc.cluster.local.", "A"),  # nothing but names below
        ("pod.cluster.local.", "A"),
        (SVC, "A"),  # a namespace, empty or not
        ("default.pod.cluster.local.", "A"),
        (svc("_tcp.web"), "SRV"),  # between a Service and its port
        (svc("_http._tcp.web"), "A"),
        (svc("web"), "AAAA"),
        (svc("web"), "MX"),
        (svc("web"), "EMPTY"),
        (SVC, "ANY"),
        ("10-0-0-1.default.pod.cluster.local.", "AAAA"),
    ],
)
def test_a_name_that_exists_without_the_type_is_no_data(names: Names, name: str, type_: str) -> None:
    assert spell(names.find(name, type_)) == (NOERROR, [], True, "")


@pytest.mark.parametrize(
    "name",
    [
        svc("nobody"),
        svc("web2"),
        svc("x.web"),
        svc("a.b.c.web"),
        svc("*"),
        svc("_https._tcp.web"),
        "web.other.svc.cluster.local.",
        "other.pod.cluster.local.",
        "10-0-0-1.other.pod.cluster.local.",
        "10-0-0.default.pod.cluster.local.",
        "10-0-0-256.default.pod.cluster.local.",
        "x.10-0-0-1.default.pod.cluster.local.",
        "cluster.cluster.local.",
        "web\\.default.svc.cluster.local.",
    ],
)
def test_a_name_with_nothing_at_it_or_below_does_not_exist(names: Names, name: str) -> None:
    assert spell(names.find(name, "A")) == (NXDOMAIN, [], True, "")


def test_the_zone_itself_has_a_start_and_a_server(names: Names) -> None:
    assert [each.type for each in names.find("cluster.local.", "SOA").answer] == ["SOA"]
    assert [each.type for each in names.find("cluster.local.", "ANY").answer] == ["SOA"]
    found = names.find("cluster.local.", "NS")
    assert [each.type for each in found.answer] == ["NS"]
    assert [(each.owner, each.records[0].data) for each in found.additional] == [
        ("ns.dns.cluster.local.", "127.96.0.10")
    ]


def test_any_gets_one_set(names: Names) -> None:
    assert spell(names.find(svc("web"), "ANY")) == (NOERROR, [(svc("web"), "A", ["127.96.0.9"])], False, "")


def test_what_a_srv_points_at_comes_with_it_once(names: Names) -> None:
    more = names.find(svc("_pg._tcp.db"), "SRV").additional
    assert [(each.owner, each.type) for each in more] == [(svc(f"db-{last}.db"), "A") for last in (1, 2, 3)]


def test_an_alias_is_followed_inside(names: Names) -> None:
    chain = (svc("alias"), "CNAME", [svc("web")])
    assert spell(names.find(svc("alias"), "A")) == (NOERROR, [chain, (svc("web"), "A", ["127.96.0.9"])], False, "")
    assert spell(names.find(svc("alias"), "AAAA")) == (NOERROR, [chain], True, "")


def test_an_alias_for_nothing_is_a_name_error_with_the_alias(names: Names) -> None:
    """RFC 6604: the code is that of the chain's last name."""
    code, chain, denied, _ = spell(names.find(svc("broken"), "A"))
    assert (code, chain, denied) == (NXDOMAIN, [(svc("broken"), "CNAME", [svc("nobody")])], True)


def test_aliases_in_a_ring_end(names: Names) -> None:
    code, chain, _, _ = spell(names.find(svc("ring-a"), "A"))
    assert (code, [each[0] for each in chain]) == (NOERROR, [svc("ring-a"), svc("ring-b")])


def test_a_long_chain_ends(names: Names) -> None:
    names.apply((), [Record(svc(f"c{at}"), "CNAME", svc(f"c{at + 1}")) for at in range(20)])
    assert len(names.find(svc("c0"), "A").answer) == 8


def test_an_alias_for_somebody_elses_name_stands_alone_without_upstreams(names: Names) -> None:
    found = names.find(svc("outside"), "A")
    assert spell(found) == (NOERROR, [(svc("outside"), "CNAME", ["www.example.com."])], False, "")
    assert found.is_authoritative


def test_an_alias_for_somebody_elses_name_is_followed_by_whoever_asks_upstreams(names: Names) -> None:
    names.apply((), [Zone(".", "ns.dns.cluster.local.", 30, (("10.0.0.1", 53),))])
    found = names.find(svc("outside"), "A")
    assert (found.follow, found.upstreams) == ("www.example.com.", (("10.0.0.1", 53),))


def test_a_name_in_no_zone_is_a_failure_that_may_pass(names: Names) -> None:
    found = names.find("example.com.", "A")
    assert (found.code, found.is_authoritative) == (SERVFAIL, False)


def test_a_zone_with_upstreams_answers_for_what_it_has_and_leaves_the_rest_to_them() -> None:
    names, here = Names(), Record("9.0.96.127.in-addr.arpa.", "PTR", svc("web"))
    names.apply((), [Zone("in-addr.arpa.", "ns.dns.cluster.local.", 30, (("10.0.0.1", 53),)), here])
    assert spell(names.find(here.owner, "PTR")) == (NOERROR, [(here.owner, "PTR", [svc("web")])], False, "")
    assert spell(names.find(here.owner, "A")) == (NOERROR, [], True, "")
    for other in ("8.0.96.127.in-addr.arpa.", "0.96.127.in-addr.arpa.", "in-addr.arpa."):
        found = names.find(other, "PTR")
        assert (found.upstreams, found.answer, found.is_authoritative) == ((("10.0.0.1", 53),), (), False)


def test_the_longest_zone_counts(names: Names) -> None:
    names.apply((), [Zone("example.com.", "ns.example.com.", 30), Zone("a.example.com.", "ns.example.com.", 30)])
    found = names.zone_of("x.a.example.com.")
    assert found is not None
    assert found.name == "a.example.com."
    assert names.zone_of("notexample.com.") is None


def test_a_change_touches_its_name_and_those_that_come_to_exist_by_it(names: Names) -> None:
    first, second = Record(svc("x.new"), "A", "127.0.0.1"), Record(svc("y.new"), "A", "127.0.0.1")
    assert names.apply((), [first]) == frozenset({svc("x.new"), svc("new")})
    assert names.apply((), [second]) == frozenset({svc("y.new")})
    assert names.apply([first], ()) == frozenset({svc("x.new")})
    assert names.apply([second], ()) == frozenset({svc("y.new"), svc("new")})
    assert names.apply((), [Zone("x.", "ns.x.")]) is None


def test_everything_removed_leaves_nothing(names: Names) -> None:
    names.apply((ZONE, *RECORDS), ())
    assert repr(names) == "Names(0 zones, 0 names, 0 records)"
    assert names._below == {}


def test_lineage_ends_at_the_root() -> None:
    assert list(lineage("a.b.")) == ["a.b.", "b.", "."]
    assert list(lineage(".")) == ["."]


@pytest.mark.parametrize("label", ["", "a", "1-2-3", "1-2-3-4-5", "01-2-3-4", "_tcp", "1-2-3-4x"])
def test_a_label_that_spells_no_address(label: str) -> None:
    assert dashed(label) == ""


LABELS = st.sampled_from(["a", "b", "web", "_tcp", "1-2-3-4", "zz"])
OWNERS = st.lists(LABELS, max_size=3).map(lambda labels: ".".join([*labels, "cluster.local."]))
ANYWHERE = st.one_of(OWNERS, st.sampled_from(["cluster.local.", "local.", ".", "example.com.", "x.example.com."]))
SOME = st.one_of(
    st.builds(Record, OWNERS, st.just("A"), st.sampled_from(["10.0.0.1", "10.0.0.2"])),
    st.builds(Record, OWNERS, st.just("CNAME"), ANYWHERE),
    st.builds(Record, OWNERS, st.sampled_from(["EMPTY", "DASHED"])),
)
UPSTREAM = (("10.0.0.1", 53),)
ZONES = st.lists(
    st.builds(Zone, st.sampled_from(["cluster.local.", "a.cluster.local.", "."]), st.just("ns."), st.just(5),
              st.sampled_from([(), UPSTREAM])),
    unique_by=lambda zone: zone.name,
)  # fmt: skip


@given(ZONES, st.lists(SOME, max_size=12, unique=True), st.data())
def test_names_say_what_their_plain_twin_says_after_any_changes(
    zones: list[Zone], records: list[Record], data: st.DataObject
) -> None:
    names = Names()
    names.apply((), (*zones, *records))
    gone = data.draw(st.lists(st.sampled_from(records), unique=True)) if records else []
    asked = data.draw(st.lists(st.tuples(ANYWHERE, st.sampled_from(["A", "CNAME", "TXT"])), min_size=1, max_size=6))
    before = {question: names.find(*question) for question in asked}
    touched = names.apply(gone, ())
    left = [record for record in records if record not in gone]
    assert touched is not None
    for name, type_ in asked:
        answer = names.find(name, type_)
        aliases = {record.owner: record.data for record in reversed(left) if record.type == "CNAME"}
        unique = len(aliases) == sum(record.type == "CNAME" for record in left)  # of two aliases any may be taken
        if unique:
            assert spell(answer) == found_plainly(zones, left, name, type_)
        if not touched.intersection(before[name, type_].consulted):
            assert answer == before[name, type_]

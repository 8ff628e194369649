"""A pod's resolv.conf and hosts: every policy, what is appended, and the limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from control.api.objects import Object
from control.kubelet import mounts
from control.kubelet.launch import Folders
from control.kubelet.resolv import ClusterDns, Resolver, etc_of, hosts_of, parsed, resolver_of

HOST = "# comment\nnameserver 10.0.0.1\nsearch old\nsearch corp.example.\noptions rotate ndots:2\n"
DNS = ClusterDns("127.96.0.10", host=HOST)
CLUSTER = ("a.svc.cluster.local", "svc.cluster.local", "cluster.local")


def pod(**spec: Any) -> Object:
    return {"metadata": {"namespace": "a", "name": "p"}, "spec": spec}


CLUSTER_FIRST = Resolver(("127.96.0.10",), (*CLUSTER, "corp.example"), ("ndots:5",))
OF_THE_HOST = Resolver(("10.0.0.1",), ("corp.example",), ("rotate", "ndots:2"))


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({}, CLUSTER_FIRST),
        ({"dnsPolicy": "ClusterFirst"}, CLUSTER_FIRST),
        ({"dnsPolicy": "ClusterFirst", "hostNetwork": True}, OF_THE_HOST),
        ({"dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": True}, CLUSTER_FIRST),
        ({"dnsPolicy": "Default"}, OF_THE_HOST),
        ({"dnsPolicy": "None"}, Resolver()),
    ],
)
def test_the_policy_chooses(spec: dict[str, Any], wanted: Resolver) -> None:
    assert resolver_of(pod(**spec), DNS) == (wanted, [])


def test_without_cluster_dns_it_is_the_hosts() -> None:
    assert resolver_of(pod(), ClusterDns(host=HOST)) == (OF_THE_HOST, [])
    assert resolver_of(pod(), ClusterDns()) == (Resolver(), [])


def test_dns_config_is_appended_once_and_its_options_win() -> None:
    config = {
        "nameservers": ["10.9.9.9", "127.96.0.10"],
        "searches": ["svc.cluster.local", "mine.example"],
        "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
    }
    found, _ = resolver_of(pod(dnsConfig=config), DNS)
    assert found.nameservers == ("127.96.0.10", "10.9.9.9")
    assert found.searches == (*CLUSTER, "corp.example", "mine.example")
    assert found.options == ("ndots:2", "edns0")


def test_beyond_the_limits_is_left_out_and_said() -> None:
    servers = [f"10.9.9.{at}" for at in range(4)]
    names = [f"s{at}.example" for at in range(40)]
    found, problems = resolver_of(pod(dnsPolicy="None", dnsConfig={"nameservers": servers, "searches": names}), DNS)
    assert (found.nameservers, len(found.searches)) == (tuple(servers[:3]), 32)
    assert problems == [
        "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: "
        "10.9.9.0 10.9.9.1 10.9.9.2",
        "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: "
        + " ".join(names[:32]),
    ]


def test_a_search_line_is_cut_at_a_domain() -> None:
    names = [f"{letter * 200}.example" for letter in "abcdefghijkl"]
    found, problems = resolver_of(pod(dnsPolicy="None", dnsConfig={"searches": names}), DNS)
    assert found.searches == tuple(names[:9])  # nine of 208 characters and the spaces between
    assert len(problems) == 1


def test_the_file() -> None:
    assert CLUSTER_FIRST.text == (
        "search a.svc.cluster.local svc.cluster.local cluster.local corp.example\n"
        "nameserver 127.96.0.10\n"
        "options ndots:5\n"
    )
    assert Resolver().text == ""
    assert parsed(CLUSTER_FIRST.text) == CLUSTER_FIRST
    assert parsed("nameserver\nsearch .\noptions\n") == Resolver((), (".",))


def test_a_port_that_the_file_cannot_name_is_a_comment() -> None:
    def conf(spec: dict[str, Any], port: int) -> str:
        etc, _ = etc_of(pod(**spec), "127.244.0.2", ClusterDns("127.96.0.10", port))
        return etc.files["resolv.conf"].content.decode()

    assert conf({}, 1053).startswith("# 127.96.0.10 answers at port 1053")
    assert "#" not in conf({}, 53) + conf({"dnsPolicy": "Default"}, 1053)


@pytest.mark.parametrize(
    ("spec", "line"),
    [
        ({}, "127.244.0.2\tp\n"),
        ({"hostname": "h"}, "127.244.0.2\th\n"),
        ({"hostname": "h", "subdomain": "db"}, "127.244.0.2\th.db.a.svc.cluster.local\th\n"),
    ],
)
def test_hosts_knows_the_pod_by_its_names(spec: dict[str, Any], line: str) -> None:
    text = hosts_of(pod(**spec), "127.244.0.2", "cluster.local")
    assert text.startswith("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n")
    assert text.endswith(f"\n{line}")


def test_hosts_has_the_aliases() -> None:
    aliases = [{"ip": "10.1.2.3", "hostnames": ["foo", "bar"]}, {"ip": "10.1.2.4"}]
    text = hosts_of(pod(hostAliases=aliases), "", "cluster.local")
    assert text.endswith("ip6-allrouters\n\n# Entries added by HostAliases.\n10.1.2.3\tfoo\tbar\n10.1.2.4\n")


def test_the_files_are_found_below_the_container_unless_a_volume_is_there(tmp_path: Path) -> None:
    folders = Folders(str(tmp_path / "pod"), "")
    etc, _ = etc_of(pod(), "127.244.0.2", DNS)
    mounts.write_etc(etc, folders)
    for _ in range(2):
        mounts.make_root({"name": "c"}, folders, "")
        assert (Path(folders.root("c")) / "etc/resolv.conf").read_text() == CLUSTER_FIRST.text
    Path(folders.volume("v")).mkdir(parents=True)
    mounts.make_root({"name": "d", "volumeMounts": [{"name": "v", "mountPath": "/etc"}]}, folders, "")
    assert list((Path(folders.root("d")) / "etc").iterdir()) == []
    file = Path(folders.volume("v")) / "hosts"
    file.write_text("mine")
    mount = {"name": "v", "mountPath": "/etc/hosts", "subPath": "hosts"}
    mounts.make_root({"name": "c", "volumeMounts": [mount]}, folders, "")
    assert (Path(folders.root("c")) / "etc/hosts").read_text() == "mine"

"""Settings and folders: what is refused, and in which words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from control.config.folders import FORMAT, SOCKET_PATH_MAX, Folders
from control.config.settings import SLOTS, Settings, SettingsError, check, choose_network, time_scale_of


def settings(**more: object) -> Settings:
    return Settings(**{"name": "a", "data_dir": "/d", **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"name": "Bad_Name"}, "--name 'Bad_Name': use at most 40"),
        ({"name": "-a"}, "--name"),
        ({"nodes": 0}, "--nodes 0: between 1 and 200"),
        ({"simulated_nodes": 5001}, "--simulated-nodes 5001: between 0 and 5000"),
        ({"workers": 65}, "--workers 65: between 1 and 64"),
        ({"time_scale": 0.5}, "--time-scale 0.5: a number between 1 and 3600"),
        ({"time_scale": float("nan")}, "--time-scale nan: a number"),
        ({"time_scale": float("inf")}, "--time-scale inf: a number"),
        ({"api_port": 70000}, "--api-port 70000: between 0"),
        ({"http_port": 8443}, "must differ from each other"),
    ],
)
def test_a_bad_setting_is_named_with_what_is_allowed(more: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError, match=words.replace("(", r"\(")):
        check(settings(**more))


def test_a_time_scale_is_a_number() -> None:
    assert time_scale_of("1.5") == 1.5
    with pytest.raises(SettingsError, match="--time-scale 'fast': a number between 1 and 3600"):
        time_scale_of("fast")


def test_good_settings_pass_and_survive_their_file(tmp_path: Path) -> None:
    good = check(settings(nodes=3, http_port=0, https_port=0))
    folders = Folders(tmp_path / "c")
    assert folders.load() is None
    folders.create()
    folders.save(good)
    assert folders.load() == good
    assert (tmp_path / "c").stat().st_mode & 0o777 == 0o700


def test_a_newer_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    text = json.dumps({"format": FORMAT + 1, "settings": {}})
    folders.cluster_file.write_text(text)
    with pytest.raises(SettingsError, match="written by a newer loopkube"):
        folders.load()
    assert folders.cluster_file.read_text() == text


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "x", "settings": {}}', '{"settings": {}}'])
def test_a_damaged_folder_says_so(tmp_path: Path, text: str) -> None:
    folders = Folders(tmp_path)
    folders.cluster_file.write_text(text)
    with pytest.raises(SettingsError, match="damaged"):
        folders.load()


def test_sockets_fit_into_their_names_however_deep_the_folder(tmp_path: Path) -> None:
    deep = Folders(tmp_path / ("x" * 120))
    assert len(str(deep.run)) <= SOCKET_PATH_MAX
    assert deep.run != Folders(tmp_path / ("y" * 120)).run


def test_addresses_follow_from_the_mode() -> None:
    addresses = settings().addresses
    assert str(addresses.pod_network(2)) == "127.244.2.0/24"
    assert addresses.node_ip(0) == "127.245.0.1"
    assert addresses.api_service_ip() == "127.96.0.1"
    assert choose_network("auto")[0] == "loopback"
    for slot in range(1, SLOTS):  # no two clusters share an address
        other = settings(slot=slot).addresses
        assert {other.pod_cidr, other.service_cidr, other.node_cidr}.isdisjoint(
            {addresses.pod_cidr, addresses.service_cidr, addresses.node_cidr}
        )
    with pytest.raises(SettingsError, match="--network netns"):
        choose_network("netns")

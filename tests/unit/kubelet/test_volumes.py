"""Volumes as values, and on disk."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from control.api.kinds import CONFIG_MAP, SECRET
from control.api.objects import Object
from control.kubelet import mounts
from control.kubelet.downward import Place
from control.kubelet.launch import Folders
from control.kubelet.volumes import File, Volume, VolumeUnavailable, uses, volume
from control.mirror.world import World
from tests.fakes.pods import container, pod

PLACE = Place("127.245.0.1", "127.244.0.2", {})
WORLD = World.of(
    [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm", "namespace": "default"},
         "data": {"a": "1", "b": "2"}, "binaryData": {"c": base64.b64encode(b"\xff").decode()}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "default"},
         "data": {"k": base64.b64encode(b"hush").decode()}},
    ]
)  # fmt: skip


def of(**source: Any) -> Volume:
    return volume(pod(), {"name": "v", **source}, WORLD, PLACE)


def test_sources() -> None:
    assert of(emptyDir={}) == Volume("v", keeps=True)
    assert of(configMap={"name": "cm"}).files == {
        "a": File(b"1", 0o644),
        "b": File(b"2", 0o644),
        "c": File(b"\xff", 0o644),
    }
    chosen = {"secretName": "s", "defaultMode": 0o400, "items": [{"key": "k", "path": "x/y"}]}
    assert of(secret=chosen).files == {"x/y": File(b"hush", 0o400)}
    item = {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}, "mode": 0o600}
    assert of(downwardAPI={"items": [item]}).files == {"name": File(b"p", 0o600)}
    both = [{"configMap": {"name": "cm", "items": [{"key": "a", "path": "k"}]}}, {"secret": {"name": "s"}}]
    assert of(projected={"sources": both}).files == {"k": File(b"hush", 0o644)}, "the later one wins"
    assert of(configMap={"name": "none", "optional": True}).files == {}


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"configMap": {"name": "x"}}, 'configmap "x" not found'),
        ({"secret": {"secretName": "x"}}, 'secret "x" not found'),
        ({"configMap": {"name": "cm", "items": [{"key": "z", "path": "z"}]}}, "references non-existent config key: z"),
        ({"nfs": {"server": "x"}}, "no volumes of type nfs"),
        ({"projected": {"sources": [{"serviceAccountToken": {}}]}}, "does not project serviceAccountToken"),
    ],
)
def test_what_cannot_be_had(source: Object, words: str) -> None:
    with pytest.raises(VolumeUnavailable, match=words):
        of(**source)


def test_who_uses_what() -> None:
    obj = pod(volumes=[{"name": "v", "projected": {"sources": [{"secret": {"name": "s"}}]}}])
    assert uses(obj, SECRET, "s")
    assert not uses(obj, CONFIG_MAP, "s")


def test_files_appear_at_their_mount_path_and_follow_their_source(tmp_path: Path) -> None:
    folders = Folders(str(tmp_path / "pod"), str(tmp_path / "logs"))
    spec = container(
        volumeMounts=[{"name": "v", "mountPath": "/etc/app"}, {"name": "e", "mountPath": "data", "subPath": "s"}]
    )
    mounts.write_volumes(
        [Volume("v", {"a": File(b"1", 0o600), "b/c": File(b"2", 0o644)}), Volume("e", keeps=True)], folders
    )
    root = Path(folders.root("c"))
    mounts.make_root(spec, folders, f"{root}/work")
    assert (root / "etc/app/a").read_bytes() == b"1"
    assert (root / "etc/app/a").stat().st_mode & 0o777 == 0o600
    assert (root / "work").is_dir()
    (root / "data/mine").write_text("kept")
    mounts.write_volumes([Volume("v", {"a": File(b"3", 0o600)}), Volume("e", keeps=True)], folders)
    mounts.make_root(spec, folders, str(root))
    assert (root / "etc/app/a").read_bytes() == b"3"
    assert not (root / "etc/app/b/c").exists()
    assert Path(folders.volume("e"), "s/mine").read_text() == "kept"
    mounts.remove_pod(folders)
    assert not Path(folders.pod).exists()


def test_no_path_leaves_the_pod(tmp_path: Path) -> None:
    folders = Folders(str(tmp_path / "pod"), "")
    with pytest.raises(mounts.BadPath):
        mounts.write_volumes([Volume("v", {"../x": File(b"", 0o644)})], folders)
    for path in ("../../x", "/"):
        with pytest.raises(mounts.BadPath):
            mounts.make_root(container(volumeMounts=[{"name": "v", "mountPath": path}]), folders, "")


def test_termination_messages(tmp_path: Path) -> None:
    folders = Folders(str(tmp_path / "pod"), "")
    log = tmp_path / "0.log"
    log.write_text("2026-01-01T00:00:00.0Z stderr F boom went it\n")
    spec = container(terminationMessagePolicy="FallbackToLogsOnError")
    mounts.make_root(spec, folders, "")
    assert mounts.termination_message(spec, folders, str(log), failed=True) == "boom went it"
    assert mounts.termination_message(spec, folders, str(log), failed=False) == ""
    Path(folders.root("c"), "dev/termination-log").write_text("own words")
    assert mounts.termination_message(spec, folders, str(log), failed=True) == "own words"


def test_leftovers_of_unknown_pods_are_removed(tmp_path: Path) -> None:
    for name in ("pods/a", "pods/b", "logs/pods/ns_x_a", "logs/pods/ns_x_b"):
        (tmp_path / name).mkdir(parents=True)
    mounts.remove_leftovers(str(tmp_path), {"a"})
    assert sorted(p.name for p in tmp_path.rglob("*") if not list(p.iterdir())) == ["a", "ns_x_a"]

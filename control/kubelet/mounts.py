"""Puts a pod's volumes and directories on disk, and takes them away again.

A volume is a directory of the pod; a container finds it through a link at `<container's directory>/<mountPath>`.
Content that came from the API is written so that a reader sees a file whole or not at all (write beside, then rename),
and files whose keys are gone are removed. Paths from specs are taken below the pod's directory, `..` is refused. A
volume that is not the pod's own (of a claim, a hostPath) is a link to its place on the machine; nothing of it is ever
removed here, so a mount inside it takes an empty place or none.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from control.kubelet.claims import LOCAL
from control.kubelet.launch import Folders
from control.kubelet.volumes import Volume, VolumeUnavailable

TERMINATION_MESSAGE_MAX = 4096
LOG_TAIL_MAX = 2048


class BadPath(Exception):
    """A path of a spec that leaves the pod's directory."""


def below(folder: Path, path: str) -> Path:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise BadPath(f"{path!r} leaves the container's directory")
    return folder.joinpath(*parts)


def write_volumes(volumes: Iterable[Volume], folders: Folders) -> None:
    for volume in volumes:
        folder = Path(folders.volume(volume.name))
        if volume.at:
            link_elsewhere(volume, folder)
            continue
        folder.mkdir(parents=True, exist_ok=True)
        if not volume.keeps:
            write_files(volume, folder)


_IS: dict[str, tuple[Callable[[int], bool], str]] = {
    "Directory": (stat.S_ISDIR, "a directory"),
    "DirectoryOrCreate": (stat.S_ISDIR, "a directory"),
    "File": (stat.S_ISREG, "a file"),
    "FileOrCreate": (stat.S_ISREG, "a file"),
    "Socket": (stat.S_ISSOCK, "a socket file"),
    "CharDevice": (stat.S_ISCHR, "a character device"),
    "BlockDevice": (stat.S_ISBLK, "a block device"),
}


def link_elsewhere(volume: Volume, link: Path) -> None:
    """Makes what the volume's type says is to be made, checks that it is what the type says, and links to it."""
    place = Path(volume.at)
    if volume.type == LOCAL and not place.exists():
        raise VolumeUnavailable(volume.name, f'path "{place}" does not exist')
    if volume.type in ("", "DirectoryOrCreate") and not place.exists():
        place.mkdir(parents=True)  # without a type the container runtime does it
    elif volume.type == "FileOrCreate":
        place.touch(mode=0o644)
    is_it, noun = _IS.get(volume.type, (None, ""))
    if is_it is not None and not (place.exists() and is_it(place.stat().st_mode)):
        raise VolumeUnavailable(volume.name, f"hostPath type check failed: {place} is not {noun}")
    if link.is_symlink() and link.readlink() == place:
        return
    link.unlink(missing_ok=True)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(place)


def write_files(volume: Volume, folder: Path) -> None:
    wanted = {below(folder, path): file for path, file in volume.files.items()}
    for path, file in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file() and path.read_bytes() == file.content and path.stat().st_mode & 0o777 == file.mode:
            continue
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_bytes(file.content)
        fresh.chmod(file.mode)
        fresh.replace(path)
    for path in folder.rglob("*"):
        if path.is_file() and path not in wanted:
            path.unlink()


def write_etc(etc: Volume, folders: Folders) -> None:
    """The pod's resolv.conf and hosts."""
    folder = Path(folders.etc)
    folder.mkdir(parents=True, exist_ok=True)
    write_files(etc, folder)


def link_etc(root: Path, folders: Folders) -> None:
    """Shows them at etc/ below a container's directory, unless a volume is mounted there."""
    if (root / "etc").is_symlink():
        return
    for name in ("resolv.conf", "hosts"):
        link = root / "etc" / name
        if not link.exists() and not link.is_symlink():
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(Path(folders.etc) / name)


def make_root(container: Mapping[str, Any], folders: Folders, cwd: str) -> None:
    """The container's directory with its volumes linked in; an earlier attempt's files are left as they are."""
    root = Path(folders.root(container["name"]))
    root.mkdir(parents=True, exist_ok=True)
    by_depth = sorted(container.get("volumeMounts") or (), key=lambda mount: str(mount.get("mountPath")).count("/"))
    for mount in by_depth:  # a mount inside another comes after it
        link = below(root, str(mount.get("mountPath", "")))
        target = below(Path(folders.volume(mount["name"])), mount.get("subPath") or "")
        if mount.get("subPath") and not target.exists():
            target.mkdir(parents=True)
        if link == root:
            raise BadPath(f"volume {mount['name']} cannot be mounted at {mount.get('mountPath')!r}")
        clear_place(link, root)
        link.symlink_to(target)
    link_etc(root, folders)
    if cwd.startswith(f"{root}/"):
        Path(cwd).mkdir(parents=True, exist_ok=True)
    termination_path(container, root).parent.mkdir(parents=True, exist_ok=True)
    termination_path(container, root).unlink(missing_ok=True)


def clear_place(link: Path, root: Path) -> None:
    """What is in the way of a mount goes, if it is the container's; in a volume only a link or an empty directory."""
    link.parent.mkdir(parents=True, exist_ok=True)
    own = link.parent.resolve().is_relative_to(root.resolve())
    if link.is_symlink():
        link.unlink()
    elif own and link.is_dir():
        shutil.rmtree(link)
    elif own:
        link.unlink(missing_ok=True)
    elif link.is_dir() and not any(link.iterdir()):
        link.rmdir()
    elif link.exists():
        raise BadPath(f"a mount would hide {link.resolve()}, which belongs to a volume")


def termination_path(container: Mapping[str, Any], root: Path) -> Path:
    return below(root, container.get("terminationMessagePath") or "/dev/termination-log")


def tail_of(log_path: str, size: int = LOG_TAIL_MAX) -> str:
    """The last words of a log, without CRI stamps."""
    try:
        with open(log_path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 2 * size))
            lines = file.read().splitlines()
    except OSError:
        return ""
    texts = [line.split(b" ", 3)[3] for line in lines if line.count(b" ") >= 3]
    return b"\n".join(texts)[-size:].decode("utf-8", "replace")


def termination_message(container: Mapping[str, Any], folders: Folders, log_path: str, *, failed: bool) -> str:
    """What the container left at its terminationMessagePath, or the end of its log if it asked for that."""
    try:
        path = termination_path(container, Path(folders.root(container["name"])))
        text = path.read_bytes()[:TERMINATION_MESSAGE_MAX].decode("utf-8", "replace")
    except (OSError, BadPath):
        text = ""
    if not text and failed and container.get("terminationMessagePolicy") == "FallbackToLogsOnError":
        text = "\n".join(tail_of(log_path).splitlines()[-80:])
    return text


def remove_log(path: str) -> None:
    """A log with its rotated parts."""
    folder, name = os.path.split(path)
    if os.path.isdir(folder):
        for entry in os.listdir(folder):
            if entry == name or entry.startswith(f"{name}."):
                Path(folder, entry).unlink(missing_ok=True)


def remove_pod(folders: Folders) -> None:
    shutil.rmtree(folders.pod, ignore_errors=True)
    shutil.rmtree(folders.logs, ignore_errors=True)


def socket_inodes(pid: int) -> set[str]:
    """The sockets that a process and its children hold; empty where /proc may not be read."""
    found: set[str] = set()
    pending = [pid]
    while pending and len(found) < 4096:
        one = pending.pop()
        try:
            for entry in os.listdir(f"/proc/{one}/fd"):
                target = os.readlink(f"/proc/{one}/fd/{entry}")
                if target.startswith("socket:["):
                    found.add(target[8:-1])
            pending += map(int, Path(f"/proc/{one}/task/{one}/children").read_text().split())
        except OSError:
            continue
    return found


def listening_tables() -> list[str]:
    """/proc/net/tcp and tcp6, as text."""
    return [Path(path).read_text() for path in ("/proc/net/tcp", "/proc/net/tcp6") if os.path.exists(path)]


def remove_leftovers(data_dir: str, uids: Collection[str]) -> None:
    """Directories and logs of pods that nobody knows any more."""
    for folder, uid_of_entry in ((Path(data_dir, "pods"), str), (Path(data_dir, "logs/pods"), log_owner)):
        if not folder.is_dir():
            continue
        for entry in folder.iterdir():
            if uid_of_entry(entry.name) not in uids:
                shutil.rmtree(entry, ignore_errors=True)


def log_owner(name: str) -> str:
    """The uid in `<namespace>_<name>_<uid>`."""
    return name.rpartition("_")[2]

"""Opening a store's file: take the lock, look before touching, refuse in words that say what to do.

Order matters. The lock comes first, on a file of its own beside the journal (closing any descriptor of the journal
itself would drop SQLite's POSIX locks on it). Then the header is read as bytes: not a database, somebody else's
database, a newer format. Only a file that passes is given to SQLite, and for writing only after `journal.load` has
read all of it.
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

from control.store.journal import APPLICATION_ID, FORMAT, create
from control.store.records import StoreDamaged, StoreLocked, StoreTooNew, StoreUnusable

_MAGIC = b"SQLite format 3\0"
_VERSION_AT, _APPLICATION_AT, _HEADER_BYTES = 60, 68, 100  # https://sqlite.org/fileformat2.html, section 1.3


class Lock:
    """Ownership of a store: an flock that ends with the process, however that dies."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + ".lock")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnusable(f"{path}: {error.strerror}; give a data folder that you may write to") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip()
            os.close(self._fd)
            who = f"process {owner}" if owner else "another process"
            raise StoreLocked(f"{path} is in use by {who}: stop it, or give another data folder") from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.ftruncate(self._fd, 0)
        os.close(self._fd)


def prepare(path: Path) -> None:
    """Makes sure that a journal of our format is at `path`, creating one only where there is no file at all."""
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except FileNotFoundError:
        leftover = path.with_name(path.name + "-wal")
        if leftover.exists() and leftover.stat().st_size:
            raise StoreDamaged(
                f"{path} is missing but {leftover.name} is there: restore both from a copy, or remove the latter"
            ) from None
        create(path)
        path.chmod(0o600)
        return
    except OSError as error:
        raise StoreUnusable(f"{path}: {error.strerror}; give a data folder that you may read") from error
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        raise damaged(path, "it is not a database" if header else "it is empty")
    (application,) = struct.unpack_from(">I", header, _APPLICATION_AT)
    (version,) = struct.unpack_from(">I", header, _VERSION_AT)
    if application != APPLICATION_ID:
        raise damaged(path, "it is a database, but not loopkube's")
    if version > FORMAT:
        raise StoreTooNew(
            f"{path} was written by a newer loopkube (format {version}, this one knows {FORMAT}): "
            "use that version, or give another data folder"
        )
    if version < 1:
        raise damaged(path, "its format number is missing")


def damaged(path: Path, why: object) -> StoreDamaged:
    return StoreDamaged(
        f"{path} is damaged and was left as it is: {why}. Restore it from a copy, or move it away to start empty"
    )

"""What may not be opened is refused in words that say what to do, and is byte for byte what it was."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from control.store.records import StoreDamaged, StoreLocked, StoreTooNew, StoreUnusable
from control.store.store import Store


async def filled(path: Path, count: int = 40) -> None:
    store = Store.open(path)
    for n in range(count):
        await store.put("pods", "a", f"p{n}", {"metadata": {"name": f"p{n}"}, "data": "x" * 500}, expect=0)
    await store.delete("pods", "a", "p0", expect=None)
    await store.close()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix not in (".lock", ".db-shm")}


def refused(path: Path, error: type[StoreUnusable], *words: str) -> None:
    before = contents(path.parent)
    with pytest.raises(error) as caught:
        Store.open(path)
    after = contents(path.parent)
    assert {name: data for name, data in after.items() if data} == {name: data for name, data in before.items() if data}
    for word in (str(path), *words):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_second_owner_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    first = Store.open(tmp_path / "s.db")
    with pytest.raises(StoreLocked, match=r"in use by process \d+: stop it"):
        Store.open(tmp_path / "s.db")
    await first.close()
    await Store.open(tmp_path / "s.db").close()


@pytest.mark.parametrize("content", [b"", b"hello", b"SQLite format 3\0" + b"\0" * 20, b"\xff" * 9000])
def test_what_is_not_a_database_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s.db").write_bytes(content)
    refused(tmp_path / "s.db", StoreDamaged, "left as it is", "move it away")


def test_somebody_elses_database_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "s.db") as db:
        db.execute("CREATE TABLE photos (id)")
    db.close()
    refused(tmp_path / "s.db", StoreDamaged, "not loopkube's")


async def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    await filled(tmp_path / "s.db")
    db = sqlite3.connect(tmp_path / "s.db")
    db.execute("PRAGMA user_version = 2")
    db.close()
    refused(tmp_path / "s.db", StoreTooNew, "format 2", "newer loopkube")


async def test_flipped_bytes_are_noticed_wherever_they_are(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    await filled(path)
    good = path.read_bytes()
    at = good.index(b'"p17"') + 1
    path.write_bytes(good[:at] + b"q" + good[at + 1 :])
    refused(path, StoreDamaged, "checksum")
    half = len(good) // 2 // 4096 * 4096
    path.write_bytes(good[:half] + b"\xa5" * 4096 + good[half + 4096 :])
    refused(path, StoreDamaged)
    path.write_bytes(good[:half])
    refused(path, StoreDamaged)
    path.write_bytes(good)
    store = Store.open(path)
    assert len(store.list("pods")) == 39
    await store.close()


async def test_a_lost_row_is_noticed(tmp_path: Path) -> None:
    await filled(tmp_path / "s.db")
    db = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
    db.execute("DELETE FROM log WHERE name = 'p0' AND type = 0")
    db.close()
    refused(tmp_path / "s.db", StoreDamaged, "p0", "missing")


async def test_a_write_ahead_log_without_its_file_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "s.db-wal").write_bytes(b"somebody's last writes")
    refused(tmp_path / "s.db", StoreDamaged, "s.db-wal")
    assert not (tmp_path / "s.db").exists()


def test_a_folder_in_the_way_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "s.db").mkdir()
    with pytest.raises(StoreUnusable, match="Is a directory"):
        Store.open(tmp_path / "s.db")


async def test_the_file_is_its_owners_only(tmp_path: Path) -> None:
    await Store.open(tmp_path / "deep" / "s.db").close()
    assert (tmp_path / "deep" / "s.db").stat().st_mode & 0o077 == 0

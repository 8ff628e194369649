"""The journal: the log on disk, in one SQLite table, with SQLite's write-ahead log for atomic commits.

A row is a write: its revision, what it did, where, the object, the revision that it superseded, and a checksum.
The state is the newest row of each place, so a write costs one insert and nothing is stored twice. Compaction up to a
revision drops what was superseded by then, and deletions that happened by then; the newest row of each place stays, and
so does every row that a later event supersedes, so each event after the compacted revision still finds its `previous`.

`synchronous=NORMAL` hands each commit to the kernel before it is acknowledged: enough against kill -9 at any moment,
since the page cache outlives the process. Against a loss of power the newest commits may be missing (never torn);
`durability="full"` syncs each commit to the disk. Checkpoints, which do sync, run in a thread (`store`).

What cannot be trusted is not opened. `load` reads everything through a read-only connection, rows' checksums and the
chain of superseded revisions included, before anything may write.
"""

from __future__ import annotations

import sqlite3
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from control.api.objects import Key
from control.store.records import EventType, Place, Stored, StoreDamaged, StoreEvent

FORMAT = 1
APPLICATION_ID = 0x6C6F6F70  # "loop"
TYPES: tuple[EventType, ...] = ("ADDED", "MODIFIED", "DELETED")
_CODE = {type_: code for code, type_ in enumerate(TYPES)}

_SCHEMA = f"""
CREATE TABLE log (
  revision INTEGER PRIMARY KEY, type INTEGER NOT NULL, resource TEXT NOT NULL, namespace TEXT NOT NULL,
  name TEXT NOT NULL, previous INTEGER NOT NULL, sum INTEGER NOT NULL, data BLOB NOT NULL
) STRICT;
CREATE TABLE mark (name TEXT PRIMARY KEY, revision INTEGER NOT NULL) STRICT;
INSERT INTO mark VALUES ('compacted', 0);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT};
"""
_INSERT = "INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_READ = """
SELECT e.revision, e.type, e.namespace, e.name, e.data, p.revision, p.data
FROM log e LEFT JOIN log p ON p.revision = e.previous
WHERE e.revision > ? AND e.revision <= ? AND e.resource = ? AND (? = '' OR e.namespace = ?)
ORDER BY e.revision LIMIT ?
"""


@dataclass(slots=True)
class Loaded:
    """What a file holds: the state by resource and key, and the newest events, those after `start`."""

    compacted: int = 0
    revision: int = 0
    start: int = 0
    state: dict[str, dict[Key, Stored]] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)  # each resource's last revision
    events: list[tuple[Place, StoreEvent]] = field(default_factory=list)


class Journal:
    """The open file. Not safe for use from two threads at once: `store` sees to it that only one thread is in here."""

    def __init__(self, path: Path | None, *, durability: str = "normal") -> None:
        self.path = path
        if path is None:
            self._db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            self._db.executescript(_SCHEMA)
            self._reader = self._db
        else:
            self._db = _connect(path, "rw")
            self._reader = _connect(path, "ro")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute(f"PRAGMA synchronous = {'FULL' if durability == 'full' else 'NORMAL'}")
            self._db.execute("PRAGMA wal_autocheckpoint = 0")
            self._db.execute(f"PRAGMA journal_size_limit = {WAL_BYTES_MAX}")
        for db in {self._db, self._reader}:
            db.execute("PRAGMA cache_size = -1024")  # KiB: reads are rare, the state is in memory
        self.uncheckpointed_bytes = 0

    def append(self, events: Iterable[tuple[Place, StoreEvent]]) -> None:
        """Commits the events together, or none of them (sqlite3.Error)."""
        rows = [_row(place, event) for place, event in events]
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            db.executemany(_INSERT, rows)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        # Each changed page is written whole; about one page of 4 KiB a row, and at least two a transaction.
        self.uncheckpointed_bytes += 4096 + sum(4096 + len(row[-1]) for row in rows)

    def read(self, resource: str, namespace: str, after: int, upto: int, limit: int) -> tuple[list[StoreEvent], int]:
        """The first `limit` events after a revision, and the revision up to which they are complete."""
        rows = self._reader.execute(_READ, (after, upto, resource, namespace, namespace, limit)).fetchall()
        events = []
        for revision, code, space, name, data, previous, before in rows:
            key = Key(space, name)
            old = Stored(key, before, previous) if previous is not None else None
            events.append(StoreEvent(TYPES[code], Stored(key, data, revision), old, revision))
        return events, events[-1].revision if len(events) == limit else upto

    def newest_first(self, resource: str, namespace: str, after: int, upto: int) -> Iterator[StoreEvent]:
        """The events in (after, upto], newest first, read in chunks."""
        statement = _READ.replace("ORDER BY e.revision", "ORDER BY e.revision DESC")
        with closing(self._reader.execute(statement, (after, upto, resource, namespace, namespace, -1))) as cursor:
            for revision, code, space, name, data, previous, before in cursor:
                key = Key(space, name)
                old = Stored(key, before, previous) if previous is not None else None
                yield StoreEvent(TYPES[code], Stored(key, data, revision), old, revision)

    def compact(self, since: int, upto: int) -> dict[str, int]:
        """Forgets the history in (since, upto]; returns the last forgotten revision of each resource."""
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            span = (since, upto)
            last = "SELECT resource, MAX(revision) FROM log WHERE revision > ? AND revision <= ? GROUP BY resource"
            floors = dict(db.execute(last, span).fetchall())
            superseded = "SELECT previous FROM log WHERE revision > ? AND revision <= ?"
            db.execute(f"DELETE FROM log WHERE revision IN ({superseded})", span)
            db.execute("DELETE FROM log WHERE revision > ? AND revision <= ? AND type = ?", (*span, _CODE["DELETED"]))
            db.execute("UPDATE mark SET revision = ? WHERE name = 'compacted'", (upto,))
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        self.uncheckpointed_bytes += 4096 * (upto - since)
        return floors

    def checkpoint(self) -> None:
        """Moves what is committed from the write-ahead log into the file, as far as nobody is in the way."""
        self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def close(self) -> None:
        if self.path is not None:
            self._reader.close()
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._db.close()


WAL_BYTES_MAX = 4 * 1024 * 1024
"""Checkpoint after about this much; the write-ahead log is cut back to it afterwards. SQLite's own default is 4 MB."""


def checkpoint_beside(path: Path) -> None:
    """A passive checkpoint through a connection of its own, for a thread: the owner's writes go on meanwhile."""
    with closing(_connect(path, "rw")) as db:
        db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def create(path: Path) -> None:
    """Makes an empty journal, all or nothing: a crash leaves no half-made file under the name."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with closing(sqlite3.connect(draft, isolation_level=None)) as db:
        db.executescript(_SCHEMA)
    draft.rename(path)


def load(path: Path | None, events_max: int) -> Loaded:
    """Reads and checks everything through a read-only connection. Raises StoreDamaged or sqlite3.Error."""
    loaded = Loaded()
    if path is None:
        return loaded
    with closing(_connect(path, "ro")) as db:
        compacted = db.execute("SELECT revision FROM mark WHERE name = 'compacted'").fetchone()
        if compacted is None:
            raise StoreDamaged("the mark of compaction is missing")
        loaded.compacted = loaded.revision = loaded.start = compacted[0]
        first = db.execute("SELECT revision FROM log ORDER BY revision DESC LIMIT 1 OFFSET ?", (events_max,)).fetchone()
        if first is not None:
            loaded.start = max(loaded.start, first[0])
        _read_rows(db, loaded)
    return loaded


def _read_rows(db: sqlite3.Connection, loaded: Loaded) -> None:
    """Every row in order; this loop is what opening a store costs, so it makes nothing that it does not need."""
    state, last, start, compacted = loaded.state, loaded.last, loaded.start, loaded.compacted
    intern, crc32, deleted = sys.intern, zlib.crc32, _CODE["DELETED"]
    revision = 0
    for revision, code, resource, namespace, name, superseded, check, data in db.execute(
        "SELECT revision, type, resource, namespace, name, previous, sum, data FROM log ORDER BY revision"
    ):
        if crc32(data) != check or not 0 <= code < len(TYPES):
            raise StoreDamaged(f"revision {revision} ({resource} {namespace}/{name}) does not match its checksum")
        key = Key(intern(namespace), name)
        held = state.setdefault(resource, {})
        previous = held.get(key)
        if revision > compacted and superseded != (previous.revision if previous is not None else 0):
            raise StoreDamaged(f"revision {superseded} of {resource} {namespace}/{name} is missing")
        stored = Stored(key, data, revision)
        if code == deleted:
            held.pop(key, None)
        else:
            held[key] = stored
        last[resource] = revision
        if revision > start:
            place = Place(resource, key.namespace, name)
            loaded.events.append((place, StoreEvent(TYPES[code], stored, previous, revision)))
    loaded.revision = max(revision, compacted)


def _row(place: Place, event: StoreEvent) -> tuple[int, int, str, str, str, int, int, bytes]:
    stored = event.stored
    superseded = event.previous.revision if event.previous is not None else 0
    return (stored.revision, _CODE[event.type], *place, superseded, zlib.crc32(stored.data), stored.data)


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.resolve().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=5.0)

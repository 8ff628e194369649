"""kill -9 at random moments: whatever was acknowledged is there, and revisions never go back."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from control.store.store import Store

WRITER = """
import asyncio, os, sys
from pathlib import Path
from control.store.store import Knobs, Store

async def main():
    round_ = sys.argv[2]
    store = Store.open(Path(sys.argv[1]), knobs=Knobs(history_events_max=200, chunk_events_max=20))

    async def write(lane):
        n = 0
        while True:
            n += 1
            name = f"{lane}-{n % 7}"
            obj = {"metadata": {"name": name}, "value": f"{round_}.{n}", "padding": "x" * 900}
            stored = await store.put("pods", "a", name, obj, expect=None)
            ack = f"{name} {stored.revision} {round_}.{n}\\n"
            if n % 5 == 0:
                os.write(1, ack.encode())
                stored = await store.delete("pods", "a", name, expect=stored.revision)
                ack = f"{name} {stored.revision} -\\n"
            os.write(1, ack.encode())

    await asyncio.gather(*(write(lane) for lane in range(4)))

asyncio.run(main())
"""


def test_acknowledged_writes_survive_kill_9(tmp_path: Path) -> None:
    rng = random.Random(20)
    path = tmp_path / "s.db"
    acknowledged: dict[str, tuple[int, str]] = {}
    last, seen = 1, 0
    for round_ in range(8):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(round_)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        ) as child:
            assert child.stdout is not None
            lines = [child.stdout.readline() for _ in range(rng.randrange(1, 900))]
            child.send_signal(signal.SIGKILL)
            lines += child.stdout.readlines()  # acknowledged before the kill, not yet read
        for line in lines:
            if line.endswith(b"\n"):
                name, number, value = line.decode().split()
                acknowledged[name] = max(acknowledged.get(name, (0, "")), (int(number), value))
        store = Store.open(path)
        assert store.revision >= max(last, *(revision for revision, _ in acknowledged.values()))
        last = store.revision
        for name, (revision, value) in acknowledged.items():
            found = store.get("pods", "a", name)
            if found is not None and found.revision == revision:
                assert found.obj["value"] == value
            elif found is not None:
                assert found.revision > revision, "written again, and killed before the acknowledgement"
            else:
                assert value == "-" or store.revision > revision, "only a later deletion can have removed it"
        seen += len(lines)
        store._journal._db.close()
        store._journal._reader.close()
        assert store._lock is not None
        store._lock.release()
    assert seen > 500

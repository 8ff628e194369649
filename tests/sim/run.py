"""Many runs of the whole cluster, or one told as a story.

    python -m tests.sim.run --seed 7                      one run, its transcript
    python -m tests.sim.run --runs 10000 --jobs 2         many, from seed 0 (or --first) on; failures are told
    python -m tests.sim.run --runs 10000 --record         ... and what they add up to is written to recorded.json

A run depends on nothing but its seed and the code.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path

from tests.sim.play import Run, play

RECORD = Path(__file__).parent / "recorded.json"
STORIES_MAX = 3


def played(seed: int) -> Run:
    """Without its transcript if all is well: ten thousand of them are much to send between processes."""
    run = play(seed)
    if not run.broken:
        run.transcript.clear()
    return run


def report(runs: Iterable[Run], first: int, out: Path | None) -> int:
    began = time.perf_counter()
    failed: list[int] = []
    workloads: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    sums: Counter[str] = Counter()
    seconds = virtual_s = 0.0
    for run in runs:
        if run.broken:
            failed.append(run.seed)
            print(run.story() if len(failed) <= STORIES_MAX else f"seed {run.seed}: {run.broken[0]}", flush=True)
        workloads.update(run.workloads)
        faults.update(run.faults)
        sums.update({"runs": 1, "calm": run.is_calm, "writes": run.writes, "judged": run.judged})
        seconds += run.seconds
        virtual_s += run.virtual_s
        if sums["runs"] % 500 == 0:
            print(f"{sums['runs']} runs, {len(failed)} failed, {time.perf_counter() - began:.0f} s", flush=True)
    record = {
        "runs": sums["runs"],
        "first_seed": first,
        "failed_seeds": failed,
        "calm_runs": sums["calm"],
        "stormy_runs": sums["runs"] - sums["calm"],
        "workloads": dict(sorted(workloads.items())),
        "faults": dict(sorted(faults.items())),
        "writes_stored": sums["writes"],
        "writes_judged": sums["judged"],
        "virtual_days": round(virtual_s / 86400, 1),
        "seconds": round(seconds, 1),
        "loopkube": version("loopkube"),
        "python": platform.python_version(),
    }
    text = json.dumps(record, indent=1)
    print(text)
    if out is not None:
        out.write_text(text + "\n")
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim.run", description="Whole-cluster simulations.")
    parser.add_argument("--seed", type=int, help="play this one and print its transcript")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="the first of the seeds")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.name}")
    asked = parser.parse_args()
    if asked.seed is not None:
        run = play(asked.seed)
        print(run.story(lines_max=100_000))
        return 1 if run.broken else 0
    seeds = range(asked.first, asked.first + asked.runs)
    out = RECORD if asked.record else None
    if asked.jobs == 1:
        return report(map(played, seeds), asked.first, out)
    with ProcessPoolExecutor(asked.jobs) as pool:
        return report(pool.map(played, seeds, chunksize=10), asked.first, out)


if __name__ == "__main__":
    sys.exit(main())

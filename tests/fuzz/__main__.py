"""`python -m tests.fuzz [--inputs N] [--seed S] [--json FILE]`: exit code 1 if anything was found."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

from bench.machine import machine
from tests.fuzz.run import MEMORY_GROWTH_MAX_MB, run


def main() -> None:
    parser = argparse.ArgumentParser(description="Fuzz the HTTP/1.1 parsers and the proxy around them.")
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result = run(options.inputs, options.seed, lambda text: print(text, file=sys.stderr, flush=True))
    command = f"python -m tests.fuzz --inputs {options.inputs} --seed {options.seed}"
    about = {"command": command, "machine": machine(), "python": platform.python_version(), "h11": version("h11")}
    text = json.dumps({**about, **result}, indent=1)
    if options.json is not None:
        options.json.write_text(text + "\n")
    print(text)
    memory = result["memory_mb"]
    if result["findings"] or memory["at_the_end"] - memory["after_a_tenth"] > MEMORY_GROWTH_MAX_MB:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

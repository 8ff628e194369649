"""Conventions as tests: sizes, names, purity, package READMEs, and the arrows between rooms (ARCHITECTURE.md)."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("dataplane", "control", "bench")
SOURCES = sorted(path for room in (*ROOMS, "tests") for path in (ROOT / room).rglob("*.py"))
PRODUCT = [path for path in SOURCES if path.relative_to(ROOT).parts[0] in ("dataplane", "control")]

LINES_MAX = 400
FUNCTION_LINES_MAX = 70
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}

# Everything that decides is pure; the modules below are the shells that await, open, spawn and look at clocks.
SHELLS = (
    "control/cli/*",
    "control/config/*",
    "control/supervise/*",
    "control/store/*",
    "control/apiserver/local.py",
    "control/apiserver/server.py",
    "control/apiserver/handlers*.py",
    "control/apiserver/streams.py",
    "control/apiserver/auth.py",
    "control/apiserver/logs.py",
    "control/apiserver/metrics.py",
    "control/mirror/*",
    "control/controllers/run.py",
    "control/controllers/perform.py",
    "control/kubelet/process.py",
    "control/kubelet/probe_*.py",
    "control/kubelet/mounts.py",
    "control/kubelet/reclaimer.py",
    "control/kubelet/runner.py",
    "control/kubelet/sandbox.py",
    "control/kubelet/starter.py",
    "control/kubelet/simulated/agent.py",
    "control/kubelet/simulated/pulse.py",
    "control/kubelet/ward.py",
    "control/kubelet/writer.py",
    "control/kubelet/heartbeat.py",
    "control/kubelet/prober.py",
    "control/kubelet/agent.py",
    "control/kubelet/server.py",
    "control/kubelet/measuring.py",
    "control/kubelet/hooks.py",
    "control/kubelet/images/*",
    "control/publish/publisher.py",
    "control/publish/peer.py",
    "control/api/schemas/*",
    "dataplane/worker.py",
    "dataplane/feed.py",
    "dataplane/admin.py",
    "dataplane/health.py",
    "dataplane/serving.py",
    "dataplane/listen/*",
    "dataplane/metrics/process.py",
    "dataplane/l4/*",
    "dataplane/dns/server.py",
    "dataplane/dns/forward.py",
    "dataplane/l7/proxy.py",
    "dataplane/l7/lookup.py",
    "dataplane/l7/presence.py",
    "dataplane/l7/reset.py",
    "dataplane/l7/http2/connection.py",
    "dataplane/l7/http2/downstream.py",
    "dataplane/l7/http2/upstream.py",
    "dataplane/l7/http2/opening.py",
    "dataplane/l7/upgrade.py",
    "dataplane/l7/downstream.py",
    "dataplane/l7/upstream.py",
    "dataplane/pool/pool.py",
)
PURE = [path for path in PRODUCT if not any(fnmatch(path.relative_to(ROOT).as_posix(), shell) for shell in SHELLS)]
IMPURE_MODULES = {"asyncio", "socket", "ssl", "aiohttp", "uvloop", "subprocess", "threading"}
IMPURE_CALLS = re.compile(
    r"\b(time\.(time|monotonic|perf_counter)(_ns)?\(|datetime\.(now|utcnow|today)\(|random\.(random|choice|randint|"
    r"shuffle|uniform|getrandbits)\(|os\.urandom\(|uuid4\(|secrets\.token)"
)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_file_stays_small_and_is_named_after_its_subject(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LINES_MAX, "split it by what it is about"
    assert path.stem not in FORBIDDEN_NAMES, "name the subject"


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_function_fits_on_a_screen(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= FUNCTION_LINES_MAX, f"{node.name} has {length} lines"


@pytest.mark.parametrize("path", PURE, ids=name)
def test_a_deciding_module_is_pure(path: Path) -> None:
    text = path.read_text()
    for node in ast.walk(ast.parse(text)):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        for module in modules:
            assert module.split(".")[0] not in IMPURE_MODULES, f"a ◇ module imports {module}"
    found = IMPURE_CALLS.search(text)
    assert found is None, f"a ◇ module calls {found.group() if found else ''}: take it as an argument"


@pytest.mark.parametrize("path", [path for path in PRODUCT if path.stem != "__init__"], ids=name)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), "open the file with its theory"


PACKAGES = sorted({path.parent for path in PRODUCT if path.parent != ROOT})


@pytest.mark.parametrize("package", PACKAGES, ids=name)
def test_a_package_has_a_readme_of_four_headings(package: Path) -> None:
    readme = package / "README.md"
    assert readme.exists(), "Name, Description, Invariants, Example"
    headings = re.findall(r"^## (.+)$", readme.read_text(), flags=re.MULTILINE)
    assert headings == ["Name", "Description", "Invariants", "Example"]


def test_the_arrows_between_the_rooms() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_nothing_in_the_tests_sleeps_for_luck() -> None:
    for path in (ROOT / "tests" / "unit").rglob("*.py"):
        found = re.search(r"\b(time\.sleep\(|asyncio\.sleep\((?!0\)))", path.read_text())
        assert found is None, f"{name(path)} sleeps: wait for a condition or drive a virtual clock"


HTTP_BEHAVIOURS = 112


def test_every_http_behaviour_is_a_test_of_its_number() -> None:
    text = "".join(path.read_text() for path in (ROOT / "tests" / "behaviours").glob("test_*.py"))
    found = {int(number) for number in re.findall(r"^async def test_(\d{3})_", text, flags=re.MULTILINE)}
    assert found == set(range(1, HTTP_BEHAVIOURS + 1))

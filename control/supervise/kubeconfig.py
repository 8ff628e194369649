"""The kubeconfig for unmodified clients: 0600, certificates inside, one context named after the cluster."""

from __future__ import annotations

import base64
import os
from pathlib import Path

TEMPLATE = """\
apiVersion: v1
kind: Config
clusters:
- name: {name}
  cluster:
    server: https://{host}:{port}
    certificate-authority-data: {ca}
users:
- name: {name}-admin
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
contexts:
- name: {name}
  context:
    cluster: {name}
    user: {name}-admin
    namespace: default
current-context: {name}
preferences: {{}}
"""


def write(path: Path, pki: Path, *, cluster: str, host: str, port: int, user: str = "admin") -> None:
    """Writes a kubeconfig for `user`'s certificate of the cluster's `pki` folder."""

    def data(file: str) -> str:
        return base64.b64encode((pki / file).read_bytes()).decode()

    text = TEMPLATE.format(
        name=f"loopkube-{cluster}",
        host=host,
        port=port,
        ca=data("ca.crt"),
        certificate=data(f"{user}.crt"),
        key=data(f"{user}.key"),
    )
    beside = path.with_name(path.name + ".new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    beside.replace(path)

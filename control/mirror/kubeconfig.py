"""Kubeconfig files: which server, whom to trust, who we are.

`parse` reads the value of a kubeconfig as client-go's clientcmd does: the current context names a cluster and a user,
data fields win over file fields, relative paths are relative to the file. Ways to log in that need another program
(exec, auth-provider) are refused by name instead of ending in a 401.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


class KubeconfigError(ValueError):
    """The file cannot be used; the message says which part and why."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a client needs. PEM fields are "" where absent; `token` is a bearer token."""

    server: str
    ca_pem: str = ""
    certificate_pem: str = ""
    key_pem: str = ""
    token: str = ""
    namespace: str = "default"
    insecure: bool = False
    server_name: str = ""  # tls-server-name: the name in the server's certificate, where it differs from the URL's


def load(path: Path, context: str = "") -> Access:
    """Reads a kubeconfig file; KubeconfigError or OSError."""
    try:
        value = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise KubeconfigError(f"{path}: {' '.join(str(error).split())}") from None
    try:
        return parse(value, path.parent, context)
    except KubeconfigError as error:
        raise KubeconfigError(f"{path}: {error}") from None


def parse(config: Any, folder: Path, context: str = "") -> Access:
    """The access that a context (default: the current one) gives; reads only the files that the value names."""
    if not isinstance(config, dict):
        raise KubeconfigError("a kubeconfig is a mapping")
    wanted = context or config.get("current-context") or ""
    if not wanted:
        raise KubeconfigError("current-context is not set")
    chosen = _named(config, "contexts", "context", wanted)
    cluster = _named(config, "clusters", "cluster", chosen.get("cluster") or "")
    user = _named(config, "users", "user", chosen["user"]) if chosen.get("user") else {}
    server = cluster.get("server") or ""
    if not server.startswith(("https://", "http://")):
        raise KubeconfigError(f"cluster {chosen.get('cluster')}: server {server!r} is not a URL")
    for way in ("exec", "auth-provider", "username"):
        if user.get(way):
            raise KubeconfigError(f"user {chosen['user']}: {way} is not supported; use a certificate or a token")
    token = user.get("token") or ""
    if not token and user.get("tokenFile"):
        token = (folder / user["tokenFile"]).read_text().strip()
    return Access(
        server=server.rstrip("/"),
        ca_pem=_pem(cluster, "certificate-authority", folder),
        certificate_pem=_pem(user, "client-certificate", folder),
        key_pem=_pem(user, "client-key", folder),
        token=token,
        namespace=chosen.get("namespace") or "default",
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
        server_name=cluster.get("tls-server-name") or "",
    )


def _named(config: Mapping[str, Any], plural: str, singular: str, name: str) -> Mapping[str, Any]:
    for item in config.get(plural) or ():
        if isinstance(item, dict) and item.get("name") == name:
            return item.get(singular) or {}
    raise KubeconfigError(f"{singular} {name!r} is not among the {plural}")


def _pem(part: Mapping[str, Any], field: str, folder: Path) -> str:
    data = part.get(f"{field}-data")
    if data:
        try:
            return base64.b64decode(data, validate=True).decode("ascii")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise KubeconfigError(f"{field}-data: {error}") from None
    return (folder / part[field]).read_text() if part.get(field) else ""

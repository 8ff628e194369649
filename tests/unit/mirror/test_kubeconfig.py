"""Kubeconfig files: what they give and how they are refused."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from control.mirror.kubeconfig import Access, KubeconfigError, load, parse


def config(user: Any = None, cluster: Any = None, **context: Any) -> dict[str, Any]:
    return {
        "current-context": "c",
        "contexts": [{"name": "x", "context": {}}, {"name": "c", "context": {"cluster": "k", "user": "u", **context}}],
        "clusters": [{"name": "k", "cluster": {"server": "https://127.0.0.1:6443/", **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {}}],
    }


def test_data_and_files_and_tokens(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("CA")
    (tmp_path / "token").write_text("tok\n")
    data = base64.b64encode(b"CERT").decode()
    user = {"client-certificate-data": data, "client-certificate": "ignored", "tokenFile": "token"}
    cluster = {"certificate-authority": "ca.pem", "tls-server-name": "kubernetes"}
    (tmp_path / "config").write_text(yaml.safe_dump(config(user, cluster, namespace="team")))
    assert load(tmp_path / "config") == Access(
        "https://127.0.0.1:6443", ca_pem="CA", certificate_pem="CERT", token="tok", namespace="team",
        server_name="kubernetes",
    )  # fmt: skip
    assert parse(config({"token": "t"}), tmp_path) == Access("https://127.0.0.1:6443", token="t")
    assert parse(config(cluster={"insecure-skip-tls-verify": True}), tmp_path).insecure


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ([], "a mapping"),
        ({}, "current-context is not set"),
        ({**config(), "contexts": []}, "context 'c' is not among the contexts"),
        ({**config(), "clusters": None}, "cluster 'k' is not among the clusters"),
        ({**config(), "users": []}, "user 'u' is not among the users"),
        (config(cluster={"server": "localhost"}), "is not a URL"),
        (config({"exec": {"command": "aws"}}), "exec is not supported"),
        (config({"client-key-data": "%%"}), "client-key-data"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, value: Any, why: str) -> None:
    with pytest.raises(KubeconfigError, match=why):
        parse(value, tmp_path)


def test_a_file_that_is_not_yaml_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("a: [")
    with pytest.raises(KubeconfigError) as caught:
        load(tmp_path / "config")
    assert str(tmp_path / "config") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_context_can_be_chosen(tmp_path: Path) -> None:
    value = config()
    value["contexts"].append({"name": "other", "context": {"cluster": "k", "namespace": "n"}})
    assert parse(value, tmp_path, "other").namespace == "n"

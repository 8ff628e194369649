"""A worker as loopkube runs it, flow records and metrics on; its state comes from a file, or from a publisher."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.peers.front import ROUTES, Front, Peer, certificate, host
from bench.peers.processes import process, unused_port
from bench.publisher import Publisher


def start(stack: ExitStack, folder: Path, backends: list[int], front: Front) -> Peer:
    port = unused_port()
    path = folder / f"loopkube-{front}.json"
    path.write_text(
        json.dumps({"update": {"version": 1, "full": True, "upserts": state(folder, port, backends, front)}})
    )
    command = [sys.executable, "-m", "dataplane.worker", "--snapshot", str(path), "--log-level", "error"]
    return Peer("loopkube", port, stack.enter_context(process(command, port)))


def start_fed(stack: ExitStack, folder: Path, backends: list[int], front: Front, publisher: Publisher) -> Peer:
    """The same with its state from a publisher, who may tell more."""
    port, admin_port = unused_port(), unused_port()
    command = [sys.executable, "-m", "dataplane.worker", "--feed", str(publisher.path), "--log-level", "error"]
    pid = stack.enter_context(process([*command, "--admin-port", str(admin_port)], admin_port))
    publisher.accept()
    publisher.tell(state(folder, port, backends, front), full=True)
    return Peer("loopkube", port, pid)


def state(folder: Path, port: int, backends: list[int], front: Front) -> list[tuple[str, dict[str, Any]]]:
    """The resources, as (type, fields)."""
    found: list[tuple[str, dict[str, Any]]] = []
    if front.mode == "tcp":
        found.append(("listener", {"name": "web", "address": "127.0.0.1", "port": port, "mode": "tcp", "backend": "b"}))
        found.append(("backend", {"name": "b", "policy": "random"}))
    else:
        listener = {"name": "web", "address": "127.0.0.1", "port": port, "mode": "ingress", "table": "t"}
        found.append(("listener", {**listener, "tls": front.tls}))
        found.append(("backend", {"name": "b", "policy": "random", "retry": "ingress-nginx", "tries_max": 3}))
        found += [("route", route(number)) for number in range(ROUTES)]
    if front.tls:
        chain, key = certificate(folder)
        pair = {"chain_pem": chain.read_text(), "key_pem": key.read_text()}
        found.append(("certificate", {"name": "c", "hosts": ["*.bench.test", ""], **pair}))
    found += [endpoint(f"e{number}", backend) for number, backend in enumerate(backends)]
    return found


def endpoint(name: str, port: int, *, ready: bool = True) -> tuple[str, dict[str, Any]]:
    where = {"backend": "b", "id": name, "address": "127.0.0.1", "port": port}
    return "endpoint", {**where, "ready": ready, "serving": ready, "terminating": False}


def route(number: int) -> dict[str, Any]:
    return {
        "name": f"r{number}",
        "table": "t",
        "host": host(number),
        "path": "/",
        "path_type": "Prefix",
        "backend": "b",
        "order": ["", "", number],
    }

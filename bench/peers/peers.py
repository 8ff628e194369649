"""How each peer is started: its configuration in a temporary folder, its command, and which process does the work."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

START_TIMEOUT_S = 10.0
BODY = "an answer of sixty-four bytes, as small services give: {id: 42}"

NGINX = """
daemon off; worker_processes 1; pid {folder}/{name}.pid; error_log {folder}/{name}.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 100000000; client_header_timeout 60s;
  client_body_temp_path {folder}/{name}-b; proxy_temp_path {folder}/{name}-p; fastcgi_temp_path {folder}/{name}-f;
  uwsgi_temp_path {folder}/{name}-u; scgi_temp_path {folder}/{name}-s;
{servers}
}}
"""
NGINX_BACKENDS = '  server {{ {listens} location / {{ default_type text/plain; return 200 "{body}\\n"; }} }}'
NGINX_PROXY = """
  upstream backends {{ {servers} keepalive 320; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://backends; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $http_host; proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Port $server_port; proxy_set_header X-Forwarded-Proto $scheme;
    }}
  }}
"""
HAPROXY = """
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 75s
  timeout server 60s
  http-reuse always
frontend web
  bind 127.0.0.1:{port}
  http-request set-header X-Real-IP %[src]
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Port %[dst_port]
  http-request set-header X-Forwarded-Proto http
  use_backend backends if {{ path_beg / }}
backend backends
  balance random
{servers}
"""


class Missing(Exception):
    """A peer whose program is not installed."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A running proxy: where it listens and the process whose CPU time counts."""

    name: str
    port: int
    pid: int


def unused_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


@contextmanager
def process(command: list[str], port: int) -> Iterator[int]:
    """Run a server until the block ends; its pid once it accepts connections on `port`."""
    child = subprocess.Popen(command, preexec_fn=_die_with_parent, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if child.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command[0]} did not start listening on {port}") from None
                time.sleep(0.02)
        yield child.pid
    finally:
        child.terminate()
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def program(name: str) -> str:
    """Where a program is; Debian keeps servers out of an ordinary user's PATH."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None:
        raise Missing(f"{name} is not installed")
    return found


def worker_of(pid: int) -> int:
    """nginx's one worker process."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else pid


def _nginx(stack: ExitStack, folder: Path, name: str, servers: str, port: int) -> int:
    path = folder / f"{name}.conf"
    path.write_text(NGINX.format(folder=folder, name=name, servers=servers))
    command = [program("nginx"), "-p", str(folder), "-c", str(path), "-e", str(folder / f"{name}.log")]
    return worker_of(stack.enter_context(process(command, port)))


def start_backends(stack: ExitStack, folder: Path, count: int = 3) -> list[int]:
    """Ports of `count` nginx servers that answer at once."""
    ports = [unused_port() for _ in range(count)]
    listens = " ".join(f"listen 127.0.0.1:{port} backlog=4096;" for port in ports)
    _nginx(stack, folder, "backends", NGINX_BACKENDS.format(listens=listens, body=BODY), ports[-1])
    return ports


def start_nginx(stack: ExitStack, folder: Path, backends: list[int]) -> Peer:
    port = unused_port()
    servers = " ".join(f"server 127.0.0.1:{backend};" for backend in backends)
    return Peer("nginx", port, _nginx(stack, folder, "proxy", NGINX_PROXY.format(servers=servers, port=port), port))


def start_haproxy(stack: ExitStack, folder: Path, backends: list[int]) -> Peer:
    port = unused_port()
    servers = "\n".join(f"  server s{backend} 127.0.0.1:{backend}" for backend in backends)
    path = folder / "haproxy.cfg"
    path.write_text(HAPROXY.format(port=port, servers=servers))
    return Peer("haproxy", port, stack.enter_context(process([program("haproxy"), "-db", "-f", str(path)], port)))


def start_aiohttp(stack: ExitStack, folder: Path, backends: list[int]) -> Peer:
    port = unused_port()
    command = [sys.executable, "-m", "bench.peers.aiohttp_proxy", str(port), *map(str, backends)]
    return Peer("aiohttp", port, stack.enter_context(process(command, port)))


def start_loopkube(stack: ExitStack, folder: Path, backends: list[int]) -> Peer:
    """A worker as loopkube runs it, with an Ingress of one rule; its state comes from a file."""
    port = unused_port()
    state: list[tuple[str, dict[str, object]]] = [
        ("listener", {"name": "web", "address": "127.0.0.1", "port": port, "mode": "ingress", "table": "t"}),
        ("route", {"name": "r", "table": "t", "host": "", "path": "/", "path_type": "Prefix", "backend": "b",
                   "order": ["", "", 0]}),
        ("backend", {"name": "b", "policy": "random", "retry": "ingress-nginx", "tries_max": 3}),
    ]  # fmt: skip
    for number, backend in enumerate(backends):
        spec = {"backend": "b", "id": f"e{number}", "address": "127.0.0.1", "port": backend}
        state.append(("endpoint", {**spec, "ready": True, "serving": True, "terminating": False}))
    path = folder / "snapshot.json"
    path.write_text(json.dumps({"update": {"version": 1, "full": True, "upserts": state}}))
    command = [sys.executable, "-m", "dataplane.worker", "--snapshot", str(path), "--log-level", "error"]
    return Peer("loopkube", port, stack.enter_context(process(command, port)))


Start = Callable[[ExitStack, Path, list[int]], Peer]

STARTERS: dict[str, Start] = {
    "loopkube": start_loopkube,
    "nginx": start_nginx,
    "haproxy": start_haproxy,
    "aiohttp": start_aiohttp,
}

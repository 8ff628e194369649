"""HAProxy: one thread, HTTP or TCP, routing by a map of hosts as its users do."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from bench.peers.front import ROUTES, Front, Peer, certificate, host
from bench.peers.processes import process, program, unused_port

CONFIG = """
global
  nbthread 1
  fd-hard-limit 20000
  stats socket {socket} level admin
  ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
defaults
  mode {mode}
  timeout connect 5s
  timeout client 75s
  timeout server 60s
  timeout tunnel 1h
{frontend}
backend backends
  balance {balance}
{servers}
"""
HTTP = """
  http-reuse always
frontend web
  bind 127.0.0.1:{port} {tls}
  http-request set-header X-Real-IP %[src]
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Port %[dst_port]
  http-request set-header X-Forwarded-Proto {scheme}
  use_backend %[req.hdr(host),field(1,:),lower,map({folder}/hosts.map)] if {{ path_beg / }}
"""
TCP = """
frontend web
  bind 127.0.0.1:{port}
  default_backend backends
"""


def start(stack: ExitStack, folder: Path, backends: list[int], front: Front) -> Peer:
    port = unused_port()
    tls = ""
    if front.tls:
        chain, key = certificate(folder)
        (folder / "haproxy.pem").write_bytes(chain.read_bytes() + key.read_bytes())
        tls = f"ssl crt {folder}/haproxy.pem alpn {'h2,' if front.http2 else ''}http/1.1"
    (folder / "hosts.map").write_text("".join(f"{host(number)} backends\n" for number in range(ROUTES)))
    scheme = "https" if front.tls else "http"
    if front.mode == "http":
        frontend = HTTP.format(port=port, tls=tls, scheme=scheme, folder=folder)
    else:
        frontend = TCP.format(port=port)
    servers = "\n".join(f"  server s{backend} 127.0.0.1:{backend}" for backend in backends)
    path = folder / f"haproxy-{front}.cfg"
    text = CONFIG.format(
        mode=front.mode, frontend=frontend, balance="random", servers=servers, socket=runtime_socket(folder, front)
    )
    path.write_text(text)
    return Peer("haproxy", port, stack.enter_context(process([program("haproxy"), "-q", "-db", "-f", str(path)], port)))


def runtime_socket(folder: Path, front: Front) -> Path:
    """Where it takes commands; the one for `set server` among them."""
    return folder / f"haproxy-{front}.sock"

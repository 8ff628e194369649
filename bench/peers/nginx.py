"""nginx: as the backends of every peer, as an HTTP proxy (what ingress-nginx configures), and as a stream proxy."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

from bench.peers.front import ROUTES, Front, Peer, certificate, host
from bench.peers.processes import Missing, process, program, unused_port

BODY = "an answer of sixty-four bytes, as small services give: {id: 42}"
FILES = {"1m": 1_000_000, "100m": 100_000_000}
STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")  # Debian's package libnginx-mod-stream

MAIN = """
{modules}
daemon off; worker_processes 1; pid {folder}/{name}.pid; error_log {folder}/{name}.log warn;
events {{ worker_connections 20000; }}
"""
HTTP = """
http {{
  access_log off; keepalive_requests 100000000; client_header_timeout 60s; sendfile on; tcp_nopush on;
  server_names_hash_max_size 8192; server_names_hash_bucket_size 128; client_max_body_size 0;
  client_body_temp_path {folder}/{name}-b; proxy_temp_path {folder}/{name}-p; fastcgi_temp_path {folder}/{name}-f;
  uwsgi_temp_path {folder}/{name}-u; scgi_temp_path {folder}/{name}-s;
{servers}
}}
"""
BACKENDS = """
  server {{ {listens}
    location / {{ default_type text/plain; return 200 "{body}\\n"; }}
    location = /1m {{ root {folder}; }}
    location = /100m {{ root {folder}; }}
  }}
"""
UPSTREAM = "upstream backends {{ {servers} {keepalive} }}"
MAP = """
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
"""
SERVER = """
  server {{
    listen 127.0.0.1:{port} {tls};
    server_name {host};
    location / {{
      proxy_pass http://backends; proxy_http_version 1.1; proxy_set_header Connection $connection_upgrade;
      proxy_set_header Upgrade $http_upgrade; proxy_buffering off; proxy_request_buffering off;
      proxy_set_header Host $http_host; proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Port $server_port; proxy_set_header X-Forwarded-Proto $scheme;
    }}
  }}
"""
TLS = "ssl_certificate {chain}; ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3; ssl_session_tickets off;"
STREAM = "stream {{ {upstream} server {{ listen 127.0.0.1:{port}; proxy_pass backends; }} }}\n"


def start_backends(stack: ExitStack, folder: Path, count: int = 3) -> list[int]:
    """Ports of `count` servers in one process that answer at once; /1m and /100m are files of that size."""
    for name, size in FILES.items():
        with (folder / name).open("wb") as file:
            file.truncate(size)
    ports = [unused_port() for _ in range(count)]
    listens = " ".join(f"listen 127.0.0.1:{port} backlog=4096;" for port in ports)
    servers = BACKENDS.format(listens=listens, body=BODY, folder=folder)
    _start(stack, folder, "backends", HTTP.format(folder=folder, name="backends", servers=servers), ports[-1])
    return ports


def start(stack: ExitStack, folder: Path, backends: list[int], front: Front) -> Peer:
    port, name = unused_port(), f"nginx-{front}"
    servers = " ".join(f"server 127.0.0.1:{backend};" for backend in backends)
    if front.mode == "tcp":
        if not STREAM_MODULE.exists():
            raise Missing("nginx's stream module (Debian: libnginx-mod-stream) is not installed")
        upstream = UPSTREAM.format(servers=servers, keepalive="")
        return Peer("nginx", port, _start(stack, folder, name, STREAM.format(upstream=upstream, port=port), port))
    text = UPSTREAM.format(servers=servers, keepalive="keepalive 320; keepalive_requests 100000000;") + MAP
    if front.tls:
        chain, key = certificate(folder)
        text += TLS.format(chain=chain, key=key)
    tls = f"ssl {'http2' if front.http2 else ''}" if front.tls else ""
    text += "".join(SERVER.format(port=port, tls=tls, host=host(number)) for number in range(ROUTES))
    return Peer("nginx", port, _start(stack, folder, name, HTTP.format(folder=folder, name=name, servers=text), port))


def _start(stack: ExitStack, folder: Path, name: str, body: str, port: int) -> int:
    """The pid of the one worker process."""
    modules = f"load_module {STREAM_MODULE};" if body.startswith("stream") else ""
    path = folder / f"{name}.conf"
    path.write_text(MAIN.format(folder=folder, name=name, modules=modules) + body)
    command = [program("nginx"), "-p", str(folder), "-c", str(path), "-e", str(folder / f"{name}.log")]
    pid = stack.enter_context(process(command, port))
    while not (children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        time.sleep(0.01)  # the master listens before its worker is there
    return int(children[0])

"""nginx and httpd: the host's own binary with a configuration for this pod, or a small static server that says so.

    python -m control.kubelet.images.web nginx|httpd [ARGS OF THE BINARY]...

In an image these servers listen on 0.0.0.0:80; in loopback mode that port belongs to everybody. So the program writes
a configuration that listens on `$POD_IP:$PORT` (`PORT` is the first containerPort; 80 without one, 8080 where 80 is
not allowed), with all state in the container's own directory, and then *becomes* the server (exec): same pid, same
signals. The documents are the container's `usr/share/nginx/html` or `usr/local/apache2/htdocs`, where a volume mounted
at the image's usual path appears, too. Arguments that bring an own configuration (`-c`, `-f`) are passed through.
"""

from __future__ import annotations

import os
import pwd
import shutil
import sys
from pathlib import Path

from control.kubelet.images.http1 import Connection, Request, Response, Site
from control.kubelet.images.serving import address, run, serve_site

NGINX = """\
daemon off;
{user}
worker_processes 1;
pid {state}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  default_type text/html;
  types {{ text/html html; text/css css; application/javascript js; application/json json; text/plain txt; }}
  client_body_temp_path {state}/body;
  proxy_temp_path {state}/proxy;
  fastcgi_temp_path {state}/fastcgi;
  uwsgi_temp_path {state}/uwsgi;
  scgi_temp_path {state}/scgi;
  keepalive_requests 100000;
  server {{
    listen {host}:{port};
    root {root};
    index index.html;
  }}
  include {include}/*.conf;
}}
"""
HTTPD = """\
ServerRoot "{state}"
PidFile "{state}/httpd.pid"
ServerName {host}
Listen {host}:{port}
{modules}
DocumentRoot "{root}"
DirectoryIndex index.html
ErrorLog /dev/stderr
<Directory "{root}">
  Require all granted
</Directory>
"""
HTTPD_MODULES = ("mpm_event", "authz_core", "dir", "mime", "unixd")
MODULE_FOLDERS = ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/local/apache2/modules")
DOCUMENTS = {"nginx": "usr/share/nginx/html", "httpd": "usr/local/apache2/htdocs"}
BINARIES = {"nginx": ("nginx",), "httpd": ("httpd", "apache2")}
TYPES = {".html": "text/html", ".css": "text/css", ".js": "application/javascript", ".json": "application/json"}


def binary_of(server: str) -> str:
    """The host's binary, or ""; looked for in the folders for administrators, too."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/sbin"
    return next((found for name in BINARIES[server] if (found := shutil.which(name, path=path))), "")


def port_to_use() -> int:
    port = os.environ.get("PORT", "")
    if port:
        return int(port)
    lowest = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    return 80 if os.geteuid() == 0 or (lowest.exists() and int(lowest.read_text()) <= 80) else 8080


def documents(server: str, root: Path) -> Path:
    """The document folder, with a welcome page unless a volume brought its own."""
    folder = root / DOCUMENTS[server]
    if not folder.exists():
        folder.mkdir(parents=True)
        pod = os.environ.get("LOOPKUBE_POD") or os.environ.get("HOSTNAME", "")
        (folder / "index.html").write_text(
            f"<!DOCTYPE html>\n<title>Welcome to {server}!</title>\n<h1>Welcome to {server}!</h1>\n<p>pod {pod}</p>\n"
        )
    return folder


def nginx_argv(binary: str, root: Path, port: int) -> list[str]:
    state = root / ".nginx"
    state.mkdir(exist_ok=True)
    include = root / "etc/nginx/conf.d"  # a volume mounted there is included, as in the image
    fields = {"state": state, "host": address(), "port": port, "root": documents("nginx", root), "include": include}
    fields["user"] = f"user {pwd.getpwuid(0).pw_name};" if os.geteuid() == 0 else ""  # a worker reads private folders
    (state / "nginx.conf").write_text(NGINX.format(**fields))
    return [binary, "-p", str(state), "-c", str(state / "nginx.conf")]


def httpd_argv(binary: str, root: Path, port: int) -> list[str]:
    state = root / ".httpd"
    state.mkdir(exist_ok=True)
    folder = next((Path(folder) for folder in MODULE_FOLDERS if Path(folder).is_dir()), None)
    modules = "\n".join(
        f"LoadModule {name}_module {folder}/mod_{name}.so"
        for name in HTTPD_MODULES
        if folder is not None and (folder / f"mod_{name}.so").exists()
    )
    fields = {"state": state, "host": address(), "port": port, "root": documents("httpd", root), "modules": modules}
    (state / "httpd.conf").write_text(HTTPD.format(**fields))
    return [binary, "-d", str(state), "-f", str(state / "httpd.conf"), "-DFOREGROUND"]


class Static:
    """The stand-in where the host has no such server: GET and HEAD of files below one folder."""

    def __init__(self, server: str, root: Path) -> None:
        self.server = server
        self.root = root.resolve()

    def handle(self, request: Request, body: bytes, connection: Connection) -> Response:
        said = (("Server", f"loopkube-static (the host has no {self.server})"),)
        if request.method not in ("GET", "HEAD"):
            return Response(405, "405 Not Allowed\n", headers=said)
        path = (self.root / request.path.lstrip("/")).resolve()
        if path.is_dir():
            path /= "index.html"
        if not path.is_relative_to(self.root) or not path.is_file():
            return Response(404, "404 Not Found\n", headers=said)
        return Response(200, path.read_bytes(), TYPES.get(path.suffix, "application/octet-stream"), headers=said)


def main(argv: list[str] | None = None) -> int:
    args = sys.argv[1:] if argv is None else argv
    if not args or args[0] not in BINARIES:
        print("usage: web nginx|httpd [ARGS]...", file=sys.stderr)
        return 1
    server, rest = args[0], args[1:]
    root, port, binary = Path.cwd(), port_to_use(), binary_of(server)
    if binary:
        if "-c" in rest or "-f" in rest or "-t" in rest or "-v" in rest:
            os.execv(binary, [binary, *rest])
        own = nginx_argv(binary, root, port) if server == "nginx" else httpd_argv(binary, root, port)
        print(f"{server}: {binary} on {address()}:{port}", flush=True)
        os.execv(binary, own)
    print(f"{server}: not installed on this machine; a small static server takes its place", flush=True)
    return run(server, lambda: serve_site(Site(Static(server, documents(server, root)).handle), address(), port))


if __name__ == "__main__":
    sys.exit(main())

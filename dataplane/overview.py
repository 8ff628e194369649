"""What a worker shows of itself: the table, its sockets and its pools as JSON, and the same as a page for people.

Both are made of the same dictionary, from what the objects say of themselves. The page is one file without scripts,
fonts or links to anywhere, because it is read when things are broken; it refreshes itself while it is open. Names
come from the cluster's objects, which anybody with access to the API may choose, so everything is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from dataplane.snapshot.model import Listener
from dataplane.table import Backend, Endpoint, Table

ROWS_MAX = 500  # of each table on the page; the JSON has all of them

Overview = dict[str, Any]


def overview(
    name: str, table: Table, errors: Mapping[str, str], numbers: Mapping[str, Any], faces: Iterable[object]
) -> Overview:
    """The whole state. `errors`: why a wanted listener is not open; `faces`: objects whose repr says how they are."""
    wanted = {listener.name for listener in table.open_listeners}
    return {
        "worker": name,
        "version": table.version,
        "ready": table.is_ready,
        "numbers": dict(numbers),
        "parts": [repr(face) for face in faces],
        "listeners": [_listener(item, item.name in wanted, errors.get(item.name, "")) for item in table.listeners],
        "routes": [
            {
                "name": route.name,
                "table": route.table,
                "host": route.host,
                "path": route.path,
                "pathType": route.path_type,
                "backend": route.backend,
                "default": route.is_default,
                "policy": route.policy,
                "canary": route.is_canary,
            }
            for route in table.routes
        ],
        "backends": [_backend(backend) for backend in table.backends],
        "certificates": [{"name": item.name, "hosts": list(item.hosts)} for item in table.certificates],
    }


def _listener(item: Listener, is_wanted: bool, error: str) -> Overview:
    state = "failed" if error else "open" if is_wanted else "closed"
    return {
        "name": item.name,
        "address": item.address,
        "port": item.port,
        "mode": item.mode,
        "backend": item.backend,
        "table": item.table,
        "tls": item.tls,
        "state": state,
        "error": error,
    }


def _backend(backend: Backend) -> Overview:
    usable = {endpoint.id for endpoint in backend.usable}
    return {
        "name": backend.name,
        "policy": backend.spec.policy,
        "retry": backend.spec.retry,
        "usable": len(usable),
        "endpoints": [_endpoint(endpoint, endpoint.id in usable) for endpoint in backend.endpoints.values()],
    }


def _endpoint(endpoint: Endpoint, is_usable: bool) -> Overview:
    spec = endpoint.spec
    return {
        "id": endpoint.id,
        "address": f"{spec.address}:{spec.port}",
        "target": spec.target,
        "node": spec.node,
        "zone": spec.zone,
        "weight": spec.weight,
        "phase": endpoint.phase,
        "usable": is_usable,
        "health": "" if endpoint.health is None else endpoint.health.state,
        "active": endpoint.active,
        "picked": endpoint.picked,
        "failed": endpoint.failed,
        "pool": endpoint.pool.statistics() if endpoint.pool is not None else None,
    }


STYLE = """body{font:14px/1.5 system-ui,sans-serif;margin:2em;color:#222;background:#fff}
table{border-collapse:collapse;margin:0 0 2em}th,td{text-align:left;padding:.15em .8em;border-bottom:1px solid #ddd}
th{color:#666;font-weight:600}.bad{color:#b00}.good{color:#070}h2{font-size:1.1em}code{color:#555}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}th,td{border-color:#444}.bad{color:#f77}
.good{color:#7c7}code{color:#aaa}}"""

GOOD = {"open", "ready", "serving-terminating", "healthy", "True"}
BAD = {"failed", "not-ready", "terminating", "ejected", "False"}


def page(view: Overview) -> str:
    """The overview as HTML."""
    endpoints = [
        {"backend": backend["name"], **{key: value for key, value in endpoint.items() if key != "pool"},
         "pool": _short(endpoint["pool"])}
        for backend in view["backends"]
        for endpoint in backend["endpoints"]
    ]  # fmt: skip
    backends = [{key: value for key, value in item.items() if key != "endpoints"} for item in view["backends"]]
    name = escape(view["worker"])
    return "".join((
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="2">',
        f"<title>{name}</title><style>{STYLE}</style><h1>{name}</h1>",
        f"<p>State version {view['version']}. <code>/metrics</code> <code>/table</code> ",
        "<code>/updates</code> <code>/flows?follow=1</code> <code>/healthz</code> <code>/readyz</code></p>",
        _table("Numbers", [view["numbers"]]),
        "".join(f"<p><code>{escape(part)}</code></p>" for part in view["parts"]),
        _table("Listeners", view["listeners"]),
        _table("Routes", view["routes"]),
        _table("Backends", backends),
        _table("Endpoints", endpoints),
        _table("Certificates", view["certificates"]),
        "</html>\n",
    ))  # fmt: skip


def _short(pool: Mapping[str, Any] | None) -> str:
    return "" if pool is None else ", ".join(f"{value} {key}" for key, value in pool.items() if type(value) is int)


def _table(title: str, rows: list[Overview]) -> str:
    if not rows:
        return f"<h2>{title}</h2><p>none</p>"
    heads = "".join(f"<th>{escape(key)}</th>" for key in rows[0])
    body = "".join("<tr>" + "".join(_cell(value) for value in row.values()) + "</tr>" for row in rows[:ROWS_MAX])
    more = f"<p>{len(rows) - ROWS_MAX} more in <code>/table</code></p>" if len(rows) > ROWS_MAX else ""
    return f"<h2>{title} ({len(rows)})</h2><table><tr>{heads}</tr>{body}</table>{more}"


def _cell(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    css = ' class="good"' if text in GOOD else ' class="bad"' if text in BAD else ""
    return f"<td{css}>{escape(text)}</td>"

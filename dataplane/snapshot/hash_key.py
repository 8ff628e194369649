"""What a request is hashed by, as ingress-nginx's upstream-hash-by and nginx's `hash` write it.

A template of text and variables, `$name` or `${name}`:

    $remote_addr, $binary_remote_addr   the client's address
    $host                               the request's host
    $request_uri, $uri                  its target with the query, its path
    $arg_NAME, $cookie_NAME, $http_NAME a query parameter, a cookie, a header field (`_` stands for `-`)

What is not there is empty. An empty template is the client's address, and so is every template where there is no
request to look at (a connection that is relayed).
"""

from __future__ import annotations

import re

VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))", re.ASCII)
PLAIN = ("remote_addr", "binary_remote_addr", "host", "request_uri", "uri")
NAMED = ("arg_", "cookie_", "http_")


def unknown_in(template: str) -> list[str]:
    """The variables of a template that there are not."""
    found = [one or other for one, other in VARIABLE.findall(template)]
    return [name for name in found if name not in PLAIN and not (name.startswith(NAMED) and name.partition("_")[2])]

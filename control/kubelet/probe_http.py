"""Probe looks over sockets: an HTTP GET as kubelet's http prober does it, and a TCP connect.

Many probes a second share one core, so a look is one connection with a protocol that reads only the status line and
headers: no client session, no pool, no task of its own. Kubelet's rules: 200 to 399 is a success; redirects are
followed on the same host, ten at most; to another host they end as a success with a warning; certificates are not
verified; the connection is not reused. Failures are worded as Go words them, since people search for those.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import cast
from urllib.parse import urljoin, urlsplit

from control.kubelet.probe import Outcome

HEAD_MAX = 64 * 1024
REDIRECTS_MAX = 10
USER_AGENT = "kube-probe/1.37"

Header = tuple[str, str]


class _Look(asyncio.Protocol):
    """Sends a request and resolves with the answer's head."""

    def __init__(self, request: bytes, answer: asyncio.Future[bytes]) -> None:
        self.request = request
        self.answer = answer
        self.buffer = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end >= 0 and not self.answer.done():
            self.answer.set_result(self.buffer[:end])
        elif len(self.buffer) > HEAD_MAX:
            self.fail(ConnectionError("response head is too large"))

    def eof_received(self) -> None:
        self.fail(ConnectionError("EOF"))

    def connection_lost(self, exc: Exception | None) -> None:
        if isinstance(exc, ConnectionResetError):
            self.fail(ConnectionError("read: connection reset by peer"))
        else:
            self.fail(exc or ConnectionError("EOF"))

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


def insecure_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def dial_error(address: str, error: OSError) -> str:
    """A failed connect in Go's words."""
    if isinstance(error, ConnectionRefusedError):
        return f"dial tcp {address}: connect: connection refused"
    if isinstance(error, ConnectionResetError):
        return "read: connection reset by peer"
    return f"dial tcp {address}: {error.strerror or error}"


async def http_get(
    scheme: str,
    host: str,
    port: int,
    path: str,
    headers: Sequence[Header],
    timeout_s: float,
    *,
    agent: str = USER_AGENT,
) -> Outcome:
    url = f"{scheme.lower()}://{host}:{port}{path if path.startswith('/') else '/' + path}"
    try:
        async with asyncio.timeout(timeout_s):
            return await _follow(url, headers, agent)
    except TimeoutError:
        why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        return Outcome("failure", f'Get "{url}": {why}')


async def _follow(url: str, headers: Sequence[Header], agent: str) -> Outcome:
    first_host = urlsplit(url).hostname
    for _ in range(REDIRECTS_MAX):
        try:
            status, location = await _get(url, headers, agent)
        except (OSError, ValueError) as error:
            parts = urlsplit(url)
            address = f"{parts.hostname}:{parts.port}"
            words = str(error) if type(error) in (ConnectionError, ValueError) else dial_error(address, error)  # type: ignore[arg-type]
            return Outcome("failure", f'Get "{url}": {words}')
        if status in (301, 302, 303, 307, 308) and location:
            target = urljoin(url, location)
            if urlsplit(target).hostname != first_host or urlsplit(target).scheme not in ("http", "https"):
                return Outcome("warning", "Probe terminated redirects, Response body: ")
            url = target
            continue
        if 200 <= status < 400:
            return Outcome("success")
        return Outcome("failure", f"HTTP probe failed with statuscode: {status}")
    return Outcome("failure", f'Get "{url}": stopped after {REDIRECTS_MAX} redirects')


async def _get(url: str, headers: Sequence[Header], agent: str) -> tuple[int, str]:
    """One exchange: the status and the Location header."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    given = {name.lower() for name, _ in headers}
    lines = [f"GET {parts.path or '/'}{'?' + parts.query if parts.query else ''} HTTP/1.1"]
    if "host" not in given:
        lines.append(f"Host: {parts.netloc}")
    if "user-agent" not in given:
        lines.append(f"User-Agent: {agent}")
    if "accept" not in given:
        lines.append("Accept: */*")
    lines += [f"{name}: {value}" for name, value in headers if value or name.lower() not in ("accept", "user-agent")]
    lines += ["Connection: close", "", ""]
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bytes] = loop.create_future()
    request = "\r\n".join(lines).encode("latin-1", "replace")
    context = insecure_context() if parts.scheme == "https" else None
    transport, _ = await loop.create_connection(lambda: _Look(request, answer), parts.hostname or "", port, ssl=context)
    try:
        head = await answer
    finally:
        transport.abort()
    return _parse(head)


def _parse(head: bytes) -> tuple[int, str]:
    lines = head.decode("latin-1").split("\r\n")
    parts = lines[0].split(" ", 2)
    if len(parts) < 2 or not parts[0].startswith("HTTP/") or not parts[1].isdigit():
        raise ValueError(f'net/http: HTTP/1.x transport connection broken: malformed HTTP response "{lines[0][:80]}"')
    location = next((line.partition(":")[2].strip() for line in lines[1:] if line.lower().startswith("location:")), "")
    return int(parts[1]), location


async def tcp_connect(host: str, port: int, timeout_s: float) -> Outcome:
    address = f"{host}:{port}"
    try:
        async with asyncio.timeout(timeout_s):
            transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, host, port)
    except TimeoutError:
        return Outcome("failure", f"dial tcp {address}: i/o timeout")
    except OSError as error:
        return Outcome("failure", dial_error(address, error))
    transport.close()
    return Outcome("success")

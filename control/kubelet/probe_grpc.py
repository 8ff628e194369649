"""The grpc probe: grpc.health.v1.Health/Check as one unary call over HTTP/2 with prior knowledge, by hand.

No HTTP/2 or gRPC library is among loopkube's dependencies, and the one call that a probe makes needs little of either:
the client preface and SETTINGS, one HEADERS frame of literals without indexing (RFC 7541 section 6.2.2, so no HPACK
state is kept for what we send), one DATA frame with a length-prefixed protobuf. Of the answer only DATA matters (the
response's `status` field) and whether the stream ends without any; trailers are not decoded (they may be Huffman
coded), which costs only wording: an error is reported without gRPC's own message.
"""

from __future__ import annotations

import asyncio
import struct

from control.kubelet.probe import Outcome
from control.kubelet.probe_http import dial_error

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
FRAME_MAX = 1 << 14
SERVING = 1
STATUSES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


class GrpcError(Exception):
    """The server's answer is none, or no gRPC."""


def frame(type_: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", type_, flags, stream) + payload


def literal(name: str, value: str) -> bytes:
    """A header field, literal without indexing, both strings plain; each under 127 bytes, or its length continues."""

    def text(plain: str) -> bytes:
        data = plain.encode()
        if len(data) < 127:
            return bytes([len(data)]) + data
        rest, prefix = len(data) - 127, bytearray([127])
        while rest >= 128:
            prefix.append(rest % 128 + 128)
            rest //= 128
        prefix.append(rest)
        return bytes(prefix) + data

    return b"\x00" + text(name) + text(value)


def request(authority: str, service: str) -> bytes:
    """All that the client sends, up to acknowledgements."""
    fields = (
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/grpc.health.v1.Health/Check"),
        (":authority", authority),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", "kube-probe/1.37"),
    )
    name = service.encode()
    message = b"\x0a" + bytes([len(name)]) + name if name else b""  # field 1, length-delimited
    body = b"\x00" + struct.pack(">I", len(message)) + message
    return (
        PREFACE
        + frame(SETTINGS, 0, 0)
        + frame(HEADERS, END_HEADERS, 1, b"".join(literal(*field) for field in fields))
        + frame(DATA, END_STREAM, 1, body)
    )


def serving_status(body: bytes) -> int:
    """HealthCheckResponse.status of a length-prefixed message."""
    if len(body) < 5 or body[0] != 0:
        raise GrpcError("malformed message")
    message = body[5 : 5 + struct.unpack(">I", body[1:5])[0]]
    if not message:
        return 0
    if message[0] != 0x08 or len(message) < 2:
        raise GrpcError("malformed HealthCheckResponse")
    return message[1]


async def _call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str, service: str) -> int:
    try:
        writer.write(request(address, service))
        body = b""
        while True:
            head = await reader.readexactly(9)
            length, type_, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
            stream = int.from_bytes(head[5:], "big") & 0x7FFFFFFF
            if length > FRAME_MAX:
                raise GrpcError("frame is too large")
            payload = await reader.readexactly(length)
            if type_ == SETTINGS and not flags & ACK:
                writer.write(frame(SETTINGS, ACK, 0))
            elif type_ == PING and not flags & ACK:
                writer.write(frame(PING, ACK, 0, payload))
            elif type_ in (RST_STREAM, GOAWAY):
                raise GrpcError("the server refused the stream")
            elif stream == 1 and type_ == DATA:
                body += payload[1 : length - payload[0]] if flags & PADDED else payload
            if stream == 1 and type_ in (DATA, HEADERS) and flags & END_STREAM:
                if not body:
                    raise GrpcError("the server does not implement the grpc health protocol for this service")
                return serving_status(body)
    finally:
        writer.close()


async def grpc_check(host: str, port: int, service: str, timeout_s: float) -> Outcome:
    address = f"{host}:{port}"
    late = f'timeout: failed to connect service "{address}" within {timeout_s:g}s: context deadline exceeded'
    try:
        async with asyncio.timeout(timeout_s):
            try:
                reader, writer = await asyncio.open_connection(host, port)
            except OSError as error:
                why = dial_error(address, error)
                return Outcome("failure", f'error: failed to connect service at "{address}": {why}')
            late = f"timeout: health rpc did not complete within {timeout_s:g}s"
            status = await _call(reader, writer, address, service)
    except TimeoutError:
        return Outcome("failure", late)
    except asyncio.IncompleteReadError:
        return Outcome("failure", "error: health rpc failed: the server closed the connection")
    except (OSError, GrpcError) as error:
        return Outcome("failure", f"error: health rpc failed: {error}")
    if status == SERVING:
        return Outcome("success")
    return Outcome("failure", f"service unhealthy (responded with {STATUSES.get(status, status)!r})".replace("'", '"'))

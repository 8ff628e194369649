"""Inputs: messages built by the grammar with a bias to what parsers have disagreed about, and mutations of them.

Everything is drawn from one `random.Random`, so that a seed says it all. The pieces below are those of published
request-smuggling findings (two lengths, a length and a coding, codings that only look like chunked, white space and
controls around names and values, signs, prefixes and underscores in numbers, line ends of one octet), mixed with
ordinary ones, since a head in which everything is wrong is refused for its first octet.
"""

from __future__ import annotations

from itertools import pairwise
from random import Random

METHODS = (b"GET", b"GET", b"POST", b"POST", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"FOO",
           b"CONNECT", b"TRACE", b"get", b"G@T", b"PRI")  # fmt: skip
TARGETS = (b"/", b"/a", b"/a?b=c", b"/%2e%2e/%00", b"//x", b"*", b"http://h/a", b"HTTP://h:80?x",
           b"http://u@h/", b"https://other/", b"h:443", b"/a#b", b"/\xff", b"", b"/a b",
           b'/"<>[]\\^`{|}')  # fmt: skip
VERSIONS = (b"HTTP/1.1",) * 8 + (
    b"HTTP/1.0",
    b"HTTP/1.2",
    b"HTTP/2.0",
    b"http/1.1",
    b"HTTP/1",
    b"HTTP/1.10",
    b"HTTP/01.1",
)
NUMBERS = (b"0", b"1", b"3", b"5", b"10", b"007", b"+5", b"-1", b"0x5", b"5_0", b"5 5", b"5,5",
           b"5, 5", b"", b"5;", b"1e3", b"18446744073709551616", b"9223372036854775807",
           b"9223372036854775808", b"\xd9\xa5", b"5\xa0", b"5\x0b")  # fmt: skip
CODINGS = (b"chunked", b"chunked", b"Chunked", b"identity", b"xchunked", b"chunked, chunked",
           b"gzip, chunked", b"chunked, gzip", b", chunked", b"chunked ,", b"\x0bchunked",
           b"chunked\x0c", b"", b"chunked;q=1", b'"chunked"')  # fmt: skip
NAMES = (b"Content-Length", b"Transfer-Encoding", b"Host", b"Connection", b"Upgrade", b"TE", b"Expect",
         b"Trailer", b"Content_Length", b"transfer_encoding", b"Max-Forwards", b"Keep-Alive",
         b"X-Forwarded-For", b"Forwarded", b"Cookie", b"Accept", b"X-A", b"x-b", b"Date", b"Via",
         b"Content-Type", b"Set-Cookie", b"", b"X A", b"X\xe9")  # fmt: skip
VALUES = (b"a", b"", b"close", b"keep-alive", b"upgrade", b"websocket", b"h2c", b"TE, close",
          b"Host, Content-Length", b"trailers", b"100-continue", b"0", b"1", b"chunked", b"h", b"h:80",
          b"a,b", b"u@h", b"\xe9\xff", b"a\tb", b"x" * 300)  # fmt: skip
COLONS = (b": ",) * 10 + (b":", b":\t", b" : ", b"\t:", b": \t ", b"", b":\x0b", b"::")
ENDS = (b"\r\n",) * 60 + (b"\n", b"\r", b"\r\r\n", b"\r\n ", b"\r\n\t", b" \r\n", b"\0\r\n", b"\r\n\r\n")
STATUSES = (b"200", b"200", b"200", b"204", b"304", b"404", b"500", b"100", b"101", b"103", b"99",
            b"600", b"2000", b"+20", b"20")  # fmt: skip
REASONS = (b" OK", b" OK", b" ", b"", b" \xe9", b"  OK", b" a\0", b"\tOK")
TOKENS = (b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\0", b"\x0b", b"\x0c", b" ", b"\t", b":", b",", b";",
          b"\x7f", b"\x80", b"\x85", b"\xa0", b"\xff", b"0", b"5", b"f", b"+", b"-", b"_", b"0x", b"#",
          b"?", b"//", b"@", b"HTTP/1.1", b"chunked", b"Content-Length: 5\r\n",
          b"Transfer-Encoding: chunked\r\n", b"Host: h\r\n", b"\r\n0\r\n\r\n",
          b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")  # fmt: skip

LARGE = (b"x" * 9_000, b"x" * 40_000, b"A: b\r\n" * 120, b"\r\n" * 500)


def request_head(dice: Random) -> bytes:
    """A head that is good about every second time."""
    pick = dice.choice
    plain = dice.random() < 0.6
    if plain:
        parts = [pick(METHODS[:9]), b" ", pick(TARGETS[:5]), b" HTTP/1.1\r\nHost: h\r\n"]
    else:
        parts = [pick(METHODS), b" ", pick(TARGETS), b" ", pick(VERSIONS), pick(ENDS)]
        parts += [b"Host", pick(COLONS), pick((b"h", b"h", b"a.example:80", b"", b"a,b", b"[::1]")), pick(ENDS)]
    for _ in range(dice.randrange(5)):
        parts += field(dice, plain=plain)
    parts.append(b"\r\n")
    return b"".join(parts)


def response_head(dice: Random) -> bytes:
    pick = dice.choice
    plain = dice.random() < 0.6
    if plain:
        parts = [b"HTTP/1.1 ", pick(STATUSES[:6]), b" OK\r\n"]
    else:
        parts = [pick(VERSIONS), b" ", pick(STATUSES), pick(REASONS), pick(ENDS)]
    for _ in range(dice.randrange(5)):
        parts += field(dice, plain=plain)
    parts.append(b"\r\n")
    return b"".join(parts)


def field(dice: Random, *, plain: bool) -> list[bytes]:
    """One field line, mostly one that decides something."""
    pick = dice.choice
    name = pick(NAMES[:-3] if plain else NAMES)
    if name[:7].lower() == b"content" and dice.random() < 0.9:
        value = pick(NUMBERS[:5] if plain else NUMBERS)
    elif name[:8].lower() == b"transfer" and dice.random() < 0.9:
        value = pick(CODINGS[:3] if plain else CODINGS)
    else:
        value = pick(VALUES)
    if plain:
        return [name, b": ", value, b"\r\n"]
    return [name, pick(COLONS), value, pick(ENDS)]


EXTENSIONS = (b"", b"", b"", b";a=b", b";" + b"x" * 200, b' ; a="b"', b";a\0", b" ", b";\xff")
LAST_SIZES = (b"0", b"0", b"0", b"000", b"0;x", b"00000000000000000000000", b"", b"f" * 17)


def chunked_body(dice: Random, *, odd: bool = True) -> bytes:
    """A chunked body, perhaps with trailers, perhaps with bytes after it. `odd`: and with whatever may be wrong."""
    pick = dice.choice
    extensions, last_sizes = (EXTENSIONS, LAST_SIZES) if odd else (EXTENSIONS[:5], LAST_SIZES[:5])
    parts: list[bytes] = []
    for _ in range(dice.randrange(4)):
        data = dice.randbytes(pick((1, 2, 5, 10, 16, 40)))
        size = b"%x" % len(data) if dice.random() < 0.8 else b"%04X" % len(data)
        end = pick(ENDS) if odd and dice.random() < 0.05 else b"\r\n"
        parts += [size, pick(extensions), end, data, b"\r\n"]
    parts += [pick(last_sizes), b"\r\n"]
    for _ in range(pick((0, 0, 0, 1, 3))):
        parts += field(dice, plain=not odd or dice.random() < 0.8)
    parts += [b"\r\n", pick((b"", b"", b"GET / HTTP/1.1\r\n", b"\r\n")) if odd else b""]
    return b"".join(parts)


def mutated(dice: Random, data: bytes) -> bytes:
    """`data` with a few octets otherwise."""
    out = bytearray(data)
    if not dice.randrange(300):
        at = dice.randrange(len(out) + 1)
        out[at:at] = dice.choice(LARGE)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        size = len(out)
        at = dice.randrange(size + 1)
        what = dice.randrange(7)
        if what <= 2:
            out[at:at] = dice.choice(TOKENS)
        elif what == 3:
            del out[at : at + dice.choice((1, 1, 2, 8))]
        elif what == 4 and at < size:
            out[at] = dice.randrange(256)
        elif what == 5:
            begin = dice.randrange(size + 1)
            out[at:at] = out[begin : begin + dice.choice((1, 2, 8, 40))]
        elif at < size:
            out[at : at + 8] = out[at : at + 8].swapcase()
    return bytes(out)


def cut(dice: Random, data: bytes) -> list[bytes]:
    """The same in pieces: whole, byte by byte, or at a few places."""
    how = dice.randrange(4)
    if how == 0 or not data:
        return [data]
    if how == 1 and len(data) <= 400:
        return [data[at : at + 1] for at in range(len(data))]
    places = sorted({0, len(data), *(dice.randrange(len(data)) for _ in range(dice.randrange(1, 5)))})
    return [data[begin:end] for begin, end in pairwise(places)]

"""HPACK (RFC 7541) without what repeats: an encoder that keeps no table, and a decoder that knows a block again.

The encoder never indexes: a field that is in the static table is its number, any other is written out. So a field's
bytes are a pure function of the field and are remembered, where a dynamic table would have to be searched and kept in
step with the peer's. Heads are longer on the wire than they might be, by what a request or two would have saved; nginx
does the same with its responses. What must be said about the table that is not used is said once (RFC 7541 4.2: a peer
that lowers its limit is owed a size update).

What a block decodes to depends on the block and the decoder's table. A client that repeats itself soon sends blocks
that change no table; as long as none has, equal blocks have equal meanings.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from hpack import Decoder, HeaderTuple
from hpack.hpack import encode_integer
from hpack.table import HeaderTable

BLOCK_MAX: Final = 512  # longer ones are written out in full, and so are new each time
BLOCKS_MAX: Final = 64
FIELD_MAX: Final = 256  # as for lines of HTTP/1 (`fields.LINE_MEMO_MAX`)

_FIELDS: Final = {pair: number for number, pair in reversed(list(enumerate(HeaderTable.STATIC_TABLE, 1)))}
_NAMES: Final = {name: number for (name, _), number in _FIELDS.items()} | {
    name: number for number, (name, _) in reversed(list(enumerate(HeaderTable.STATIC_TABLE, 1)))
}
_NO_TABLE: Final = b"\x20"  # a dynamic table size update to 0


class PlainEncoder:
    """Stands where h2 expects hpack's encoder."""

    __slots__ = ("_says_size",)

    def __init__(self) -> None:
        self._says_size = False

    @property
    def header_table_size(self) -> int:
        return 0

    @header_table_size.setter
    def header_table_size(self, size: int) -> None:
        """The peer's limit is another one."""
        self._says_size = True

    def encode(self, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """A block of these fields."""
        block = b"".join([_known(*pair) if len(pair[1]) <= FIELD_MAX else _encoded(*pair) for pair in headers])
        if self._says_size:
            self._says_size = False
            return _NO_TABLE + block
        return block


def _encoded(name: bytes, value: bytes) -> bytes:
    """One field: indexed (RFC 7541 6.1), or literal without indexing (6.2.2), nothing Huffman-coded."""
    number = _FIELDS.get((name, value))
    if number is not None:
        return bytes((0x80 | number,))
    known = _NAMES.get(name)
    if known is not None:
        return bytes(encode_integer(known, 4)) + _string(value)
    return b"\x00" + _string(name) + _string(value)


def _string(text: bytes) -> bytes:
    return bytes(encode_integer(len(text), 7)) + text


_known = lru_cache(maxsize=2048)(_encoded)


class _Table(HeaderTable):
    """A table that counts its changes."""

    def __init__(self) -> None:
        super().__init__()
        self.changes = 0

    def add(self, name: bytes, value: bytes) -> None:
        self.changes += 1
        super().add(name, value)


class RememberingDecoder(Decoder):
    """hpack's decoder with a memory of blocks."""

    def __init__(self, max_header_list_size: int) -> None:
        super().__init__(max_header_list_size)
        self.header_table: _Table = _Table()
        self._blocks: dict[bytes, list[HeaderTuple]] = {}
        self._changes = 0  # of the table when they were decoded

    def decode(self, data: bytes, raw: bool = False) -> list[HeaderTuple]:
        found = self._blocks.get(data) if raw else None
        if found is not None:
            return found
        table = self.header_table
        size = table.maxsize
        headers = list(super().decode(data, raw))
        if table.changes != self._changes or table.maxsize != size:
            self._changes = table.changes
            self._blocks.clear()
        elif raw and len(data) <= BLOCK_MAX:
            if len(self._blocks) >= BLOCKS_MAX:
                self._blocks.clear()
            self._blocks[data] = headers
        return headers

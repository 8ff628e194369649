"""Answers that are ready to be sent: bytes in, bytes out, without a look at what they mean.

Most questions are asked again and again, by resolvers that differ in nothing but the message's id and, if they use it
against forgery (draft-vixie-dnsext-dns0x20), the case of the name's letters. So an answer is kept under the question's
bytes without the id and with the name in lower case, and sent with the id and the name as they came: everything else in
it, compression pointers into the question included, is the same. Whether client and server agree on size and options
needs no thought, as those bytes are part of the key.

Where the name ends is found by its final zero byte, without parsing. That may be wrong for a name with a zero byte
inside a label or for one with a compression pointer; such questions are never put in (`is_plain`), and a key can equal
one of a plain question only if the bytes differ in nothing but case: length bytes are below 64, letters are above.

An address set is kept in several rotations, and each answer takes the next one, so that clients that use the first
address spread over all of them (CoreDNS' `loadbalance`, in turn instead of at random). An entry is forgotten when a
name changes that it was read from, and the oldest one goes when there is no room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import cycle

ENTRIES_MAX = 8192  # of 0.5 to 1 KB each: at most 8 MB; a machine's pods ask for hundreds of names, not thousands
ROTATIONS_MAX = 16

Turn = Callable[[], tuple[bytes, bytes]]
"""-> (header without the id, what comes after the question), the next in turn."""


def key_of(message: bytes, end: int) -> bytes:
    """Under what an answer is kept; `end` is that of the question (see `end_of`)."""
    return message[2:12] + message[12 : end - 4].lower() + message[end - 4 :]


def end_of(message: bytes) -> int:
    """Where the question of a plain message ends: the name's zero byte, then type and class."""
    return message.find(0, 12) + 5


def is_plain(message: bytes, name: bytes) -> bool:
    """Whether `end_of` is right for a message whose question has this name, in wire format without compression."""
    return message[12 : 12 + len(name)] == name and name.find(0) == len(name) - 1


class Answers:
    """Ready answers by key, at most `entries_max`."""

    __slots__ = ("_entries_max", "_keys", "_names", "turns")

    def __init__(self, entries_max: int = ENTRIES_MAX) -> None:
        self._entries_max = entries_max
        self.turns: dict[bytes, Turn] = {}
        self._names: dict[bytes, tuple[str, ...]] = {}
        self._keys: dict[str, set[bytes]] = {}

    def __repr__(self) -> str:
        return f"Answers({len(self.turns)} of at most {self._entries_max})"

    def __len__(self) -> int:
        return len(self.turns)

    def put(self, question: bytes, answers: Sequence[bytes], names: Iterable[str]) -> None:
        """Keep the rotations of one answer, read from these names, for a question that `is_plain`."""
        end = end_of(question)
        key = key_of(question, end)
        self._drop(key)
        if len(self.turns) >= self._entries_max:
            self._drop(next(iter(self.turns)))
        self.turns[key] = cycle([(answer[2:12], answer[end:]) for answer in answers]).__next__
        self._names[key] = tuple(names)
        for name in self._names[key]:
            self._keys.setdefault(name, set()).add(key)

    def forget(self, names: Iterable[str] | None) -> None:
        """Something changed at these names (None: everywhere)."""
        if names is None:
            self.turns.clear()
            self._names.clear()
            self._keys.clear()
            return
        for name in names:
            for key in tuple(self._keys.get(name, ())):
                self._drop(key)

    def _drop(self, key: bytes) -> None:
        if self.turns.pop(key, None) is None:
            return
        for name in self._names.pop(key):
            keys = self._keys.get(name)
            if keys is not None:
                keys.discard(key)
                if not keys:
                    del self._keys[name]


def rotations(answer: bytes, start: int, size: int, count: int) -> list[bytes]:
    """The answer with the `count` records of `size` bytes from `start` on in different orders."""
    if count < 2 or not size:
        return [answer]
    block, end = answer[start : start + size * count], start + size * count
    variants = min(count, ROTATIONS_MAX)
    cuts = [turn * count // variants * size for turn in range(variants)]
    return [answer[:start] + block[cut:] + block[:cut] + answer[end:] for cut in cuts]

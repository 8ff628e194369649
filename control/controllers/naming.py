"""Names that look random and are not: the same decision always makes up the same name.

Kubernetes names pods and slices with five random characters and repairs a repeated create by looking first. Here the
characters are a hash of what the decision saw, so that a create that is repeated on an older world is AlreadyExists
instead of a second pod. The alphabet is Kubernetes' own (`k8s.io/apimachinery/pkg/util/rand`): no vowels and no 0, 1,
3, so that no word comes about and nothing is misread.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from hashlib import blake2b
from typing import Any

import orjson

ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX_LENGTH = 5
NAME_MAX = 63  # of a generated name, so that it is a DNS label and a label value
TEMPLATE_HASH_LENGTH = 10


def code(*parts: str, length: int = SUFFIX_LENGTH) -> str:
    """`length` characters that depend on all parts and on their borders."""
    number = int.from_bytes(blake2b("\0".join(parts).encode(), digest_size=16).digest())
    characters = []
    for _ in range(length):
        number, index = divmod(number, len(ALPHABET))
        characters.append(ALPHABET[index])
    return "".join(characters)


def generated(prefix: str, suffix: str) -> str:
    """`prefix` + `suffix` as generateName would join them: the prefix is cut to leave room, the suffix never."""
    return prefix[: NAME_MAX - len(suffix)] + suffix


def fresh_names(prefix: str, *parts: str, taken: Container[str]) -> Iterator[str]:
    """The endless sequence of names that `parts` make up, without those in `taken`."""
    index = 0
    while True:
        name = generated(prefix, code(*parts, str(index)))
        if name not in taken:
            yield name
        index += 1


def digest(value: Any) -> str:
    """A text that is equal for equal JSON values."""
    return blake2b(orjson.dumps(value, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


def template_hash(template: Any, collision_count: int = 0) -> str:
    """The value of the label pod-template-hash."""
    return code(digest(template), str(collision_count), length=TEMPLATE_HASH_LENGTH)

"""Which objects of a kind changed since somebody last looked.

Every change gets a number; of each key only the newest counts. Who remembers the number of his last look is told the
keys that changed after it, at the cost of those keys and not of all objects: counts over thousands of objects are kept
by what changed. Deleted keys are remembered until there are more of them than objects; then the oldest are forgotten,
and who looked before that is told to start anew.
"""

from __future__ import annotations

from collections.abc import Container

from control.api.objects import Key

FORGOTTEN_MIN = 1000  # deleted keys that are kept in any case


class ChangeLog:
    def __init__(self) -> None:
        self._numbers: dict[Key, int] = {}  # in the order of the newest change
        self._newest = 0
        self._oldest = 0  # changes up to here are not all known

    def note(self, key: Key, there: Container[Key], count: int) -> None:
        """A key changed; `there` are the `count` objects that exist now."""
        self._newest += 1
        self._numbers.pop(key, None)
        self._numbers[key] = self._newest
        if len(self._numbers) > 2 * count + FORGOTTEN_MIN:
            gone = [number for key, number in self._numbers.items() if key not in there]
            self._oldest = max(gone, default=self._oldest)
            self._numbers = {key: number for key, number in self._numbers.items() if key in there}

    def since(self, number: int) -> tuple[int, list[Key] | None]:
        """The number of now, and the keys that changed after `number`; None: all may have."""
        if number < self._oldest or number < 0:
            return self._newest, None
        changed = []
        for key in reversed(self._numbers):
            if self._numbers[key] <= number:
                break
            changed.append(key)
        return self._newest, changed

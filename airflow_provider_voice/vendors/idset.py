"""A set of ids in ten bytes each: an export must not need more memory for more rows."""

from __future__ import annotations

from array import array

_FIRST_SIZE = 1 << 12


class IdSet:
    """Remembers which ids were seen, by 80 bits of their hash in an open-addressed table.

    Two different ids are taken for one with a probability of about 1 in 10^12 for a million of them; Python's hash is
    seeded anew in every process, so a rerun does not repeat it. A ``set`` of a million UUIDs takes 150 MB, this 20.
    """

    def __init__(self) -> None:
        self._size = _FIRST_SIZE
        self._hashes = array("Q", bytes(8 * self._size))
        self._marks = array("H", bytes(2 * self._size))
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, text: str) -> bool:
        """Add an id; return whether it is new."""
        # 0 marks a free place, so no hash may be 0.
        digest = hash(text) & 0xFFFF_FFFF_FFFF_FFFF or 1
        mark = hash((text, 1)) & 0xFFFF
        hashes, marks, mask = self._hashes, self._marks, self._size - 1
        place = digest & mask
        while hashes[place]:
            if hashes[place] == digest and marks[place] == mark:
                return False
            place = (place + 1) & mask
        hashes[place], marks[place] = digest, mark
        self._count += 1
        if self._count * 4 > self._size * 3:
            self._grow()
        return True

    def __contains__(self, text: str) -> bool:
        digest = hash(text) & 0xFFFF_FFFF_FFFF_FFFF or 1
        mark = hash((text, 1)) & 0xFFFF
        place, mask = digest & (self._size - 1), self._size - 1
        while self._hashes[place]:
            if self._hashes[place] == digest and self._marks[place] == mark:
                return True
            place = (place + 1) & mask
        return False

    def _grow(self) -> None:
        hashes, marks = self._hashes, self._marks
        self._size *= 2
        self._hashes = array("Q", bytes(8 * self._size))
        self._marks = array("H", bytes(2 * self._size))
        mask = self._size - 1
        for digest, mark in zip(hashes, marks, strict=True):
            if digest:
                place = digest & mask
                while self._hashes[place]:
                    place = (place + 1) & mask
                self._hashes[place], self._marks[place] = digest, mark

"""A set of ids whose millions take ten bytes each: an export must not need more memory for more rows."""

from __future__ import annotations

from array import array

#: Up to so many the ids themselves are kept, which is ten times as fast.
EXACT = 1 << 17
_FIRST_SIZE = 1 << 18


class IdSet:
    """Remembers which ids were seen: themselves while they are few, then 80 bits of their hash in an open table.

    Two different ids are taken for one with a probability of about 1 in 10^12 for a million of them; Python's hash is
    seeded anew in every process, so a rerun does not repeat it. A ``set`` of a million UUIDs takes 150 MB, this 20.
    """

    def __init__(self) -> None:
        self._exact: set[str] | None = set()
        self._size = self._count = 0
        self._hashes, self._marks = array("Q"), array("H")

    def __len__(self) -> int:
        return self._count if self._exact is None else len(self._exact)

    def add(self, text: str) -> bool:
        """Add an id; return whether it is new."""
        exact = self._exact
        if exact is None:
            return self._add_hash(*_hashed(text))
        before = len(exact)
        exact.add(text)
        if len(exact) == before:
            return False
        if before == EXACT:
            self._make_room(_FIRST_SIZE)
            self._exact = None
            for known in exact:
                self._add_hash(*_hashed(known))
        return True

    def __contains__(self, text: str) -> bool:
        if self._exact is not None:
            return text in self._exact
        return self._hashes[self._place(*_hashed(text))] != 0

    def _add_hash(self, digest: int, mark: int) -> bool:
        place = self._place(digest, mark)
        if self._hashes[place]:
            return False
        self._hashes[place], self._marks[place] = digest, mark
        self._count += 1
        if self._count * 4 > self._size * 3:
            hashes, marks = self._hashes, self._marks
            self._make_room(self._size * 2)
            for known, its_mark in zip(hashes, marks, strict=True):
                if known:
                    self._add_hash(known, its_mark)
        return True

    def _place(self, digest: int, mark: int) -> int:
        """Return where it is, or the free place where it belongs."""
        hashes, marks, mask = self._hashes, self._marks, self._size - 1
        place = digest & mask
        while hashes[place] and (hashes[place] != digest or marks[place] != mark):
            place = (place + 1) & mask
        return place

    def _make_room(self, size: int) -> None:
        self._size, self._count = size, 0
        self._hashes = array("Q", bytes(8 * size))
        self._marks = array("H", bytes(2 * size))


def _hashed(text: str) -> tuple[int, int]:
    # 0 marks a free place, so no hash may be 0.
    return hash(text) & 0xFFFF_FFFF_FFFF_FFFF or 1, hash((text, 1)) & 0xFFFF

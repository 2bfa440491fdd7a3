"""Near-duplicates: candidates by MinHash and locality-sensitive hashing, then an exact comparison.

The sketches (datasketch) only find candidates; the similarity that decides is exact, so a
sketch's error can hide a pair but never invent one.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from datasketch import MinHash, MinHashLSH

from training.data.cleaning.texts import comparison_key

SIMILARITY: Final = 0.8
"""Jaccard similarity of two texts' character 4-grams from which they are near-duplicates.

Chosen by reading pairs of CEDR and ru_goemotions: from 0.8 on they are one sentence retold
("Отмечается, что злоумышленники…" and "Злоумышленники…"), between 0.7 and 0.8 also different
ones ("Не удивительно." and "Удивительно!").
"""
# Lower than what decides: the index misses hardly any pair that is alike enough.
_CANDIDATE_SIMILARITY: Final = 0.6
_PERMUTATIONS: Final = 64
_SHINGLE: Final = 4


class NearDuplicates:
    """Texts that can be asked which of them another text is like."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._index = MinHashLSH(threshold=_CANDIDATE_SIMILARITY, num_perm=_PERMUTATIONS)
        self.texts: list[str] = []
        for text in texts:
            self.add(text)

    def add(self, text: str) -> None:
        """Add a text; it gets the next number, from 0."""
        self._index.insert(len(self.texts), _minhash(text))
        self.texts.append(text)

    def matches(self, text: str) -> list[int]:
        """Numbers of the near-duplicates among the texts added so far, lowest first."""
        candidates = self._index.query(_minhash(text))
        return sorted(number for number in candidates if similarity(text, self.texts[number]) >= SIMILARITY)


def similarity(one: str, other: str) -> float:
    """Jaccard similarity of two texts' sets of character 4-grams, punctuation and case aside."""
    ours, theirs = _shingles(one), _shingles(other)
    return len(ours & theirs) / len(ours | theirs)


def _shingles(text: str) -> frozenset[bytes]:
    letters = comparison_key(text)
    return frozenset(letters[i : i + _SHINGLE].encode() for i in range(max(len(letters) - _SHINGLE, 0) + 1))


# Made once: its permutations are drawn anew, though the same, for every other one.
_EMPTY: Final = MinHash(num_perm=_PERMUTATIONS)


# Two steps ask for every text's sketch, and so does every fold.
@lru_cache(maxsize=32768)
def _minhash(text: str) -> MinHash:
    minhash = _EMPTY.copy()
    minhash.update_batch(_shingles(text))
    return minhash

"""Near-duplicates: candidates by MinHash and locality-sensitive hashing, then an exact comparison.

The sketches (datasketch) only find candidates; the similarity that decides is exact, so a
sketch's error can hide a pair but never invent one.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from datasketch import MinHash, MinHashLSH

from training.data.texts import key

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


class Sketch(NamedTuple):
    """A text's set of character 4-grams, and the set's MinHash."""

    shingles: frozenset[bytes]
    minhash: MinHash


def sketches(texts: Sequence[str]) -> Iterator[Sketch]:
    """Each text's sketch, in their order."""
    sets = [_shingles(text) for text in texts]
    return map(Sketch, sets, MinHash.generator(sets, num_perm=_PERMUTATIONS))


class NearDuplicates:
    """Texts that can be asked which of them another text is like."""

    def __init__(self) -> None:
        self._index = MinHashLSH(threshold=_CANDIDATE_SIMILARITY, num_perm=_PERMUTATIONS)
        self._shingles: list[frozenset[bytes]] = []

    def add(self, sketch: Sketch) -> None:
        """Add a text; it gets the next number, from 0."""
        self._index.insert(len(self._shingles), sketch.minhash)
        self._shingles.append(sketch.shingles)

    def matches(self, sketch: Sketch) -> list[int]:
        """Numbers of the near-duplicates among the texts added so far, lowest first."""
        candidates = self._index.query(sketch.minhash)
        return sorted(n for n in candidates if similarity(sketch.shingles, self._shingles[n]) >= SIMILARITY)


def similarity(one: frozenset[bytes], other: frozenset[bytes]) -> float:
    """Jaccard similarity of two sets."""
    return len(one & other) / len(one | other)


def _shingles(text: str) -> frozenset[bytes]:
    letters = key(text)
    return frozenset(letters[i : i + _SHINGLE].encode() for i in range(max(len(letters) - _SHINGLE, 0) + 1))

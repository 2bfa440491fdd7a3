"""Answers of late, by what was asked: as many as fit into so many bytes, and the one least lately asked for goes first.

None is given for longer than `KEPT_SECONDS`, however often it is asked for. Where a version's files were replaced under
the same number, Triton may take the new ones at any time, by a poll or a restart, and nothing here can see when.

Of a text only its token ids and probabilities are here. A key is bytes and not a hash of them: two rows can't be taken
for one another. Python hashes bytes with a secret of the process, so nobody can choose rows that are slow to find.
"""

from array import array
from collections import OrderedDict
from collections.abc import Sequence
from struct import Struct
from typing import Final

from contract.labels import EMOTIONS

KEPT_SECONDS: Final = 300
"""A common text is computed once in that time, which costs nothing."""
_ANSWER: Final = Struct(f"<{len(EMOTIONS)}fI")
"""Probabilities as Triton sends them (FP32): they come back bit for bit. And the second when they were given."""
_ENTRY_BYTES: Final = 322
"""Of an entry beside what its key holds: its two objects (94), what the table takes of them at most, when it has just
grown (200), and what is lost because memory is given out 16 bytes at a time."""
_READING_BYTES: Final = 8


def row_key(reading: int, ids: Sequence[int]) -> bytes:
    """What a row is known by.

    Args:
        reading: of the version that is asked, see `Version`.
        ids: token ids, each below 2^32.
    """
    return reading.to_bytes(_READING_BYTES, "little") + array("I", ids).tobytes()


class AnswerCache:
    """Probabilities by `row_key`."""

    def __init__(self, most_bytes: int) -> None:
        """Begin with nothing; no more than `most_bytes` are ever held."""
        self._most_bytes = most_bytes
        self._answers: OrderedDict[bytes, bytes] = OrderedDict()
        self.held_bytes = 0
        """Of memory, an upper bound."""
        self.evicted = 0
        """Answers that had to go, ever."""

    def __len__(self) -> int:
        return len(self._answers)

    def find(self, key: bytes, now: float) -> list[float] | None:
        """The answer, a list of its own, if it is still here and not too old.

        Args:
            key: of the row.
            now: seconds, 0 or more, on a clock that never goes back.
        """
        found = self._answers.get(key)
        if found is None:
            return None
        *probabilities, given = _ANSWER.unpack(found)
        if now - given >= KEPT_SECONDS:
            del self._answers[key]
            self.held_bytes -= len(key) + _ENTRY_BYTES
            return None
        self._answers.move_to_end(key)
        return probabilities

    def keep(self, key: bytes, probabilities: Sequence[float], now: float) -> None:
        """Keep an answer that is given now, unless there is one already."""
        if key in self._answers:
            return
        self._answers[key] = _ANSWER.pack(*probabilities, int(now))
        self.held_bytes += len(key) + _ENTRY_BYTES
        while self.held_bytes > self._most_bytes:
            gone, _ = self._answers.popitem(last=False)
            self.held_bytes -= len(gone) + _ENTRY_BYTES
            self.evicted += 1

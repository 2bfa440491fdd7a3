"""A text's sentences, found by razdel's rules a block at a time.

razdel is pure Python and holds the interpreter's lock; and as it copies what it has of a sentence at every mark that
ends none, a text of one endless sentence takes it quadratic time. A block bounds both: at most 30 ms, and all blocks of
a text together take time in proportion to its length.
"""

import re
from typing import Final

from razdel import sentenize

Place = tuple[int, int]
"""Where it begins and where it ends, in Unicode code points."""

BLOCK_CHARACTERS: Final = 5_000
"""Far more than a sentence has; of the signs that cost razdel most it takes 26 ms to read as many."""
_CONTEXT_CHARACTERS: Final = 50
"""At a block's end, where the rules see too little of what follows."""
_SPACE: Final = re.compile(r"\s")


def next_sentences(text: str, start: int) -> tuple[list[Place], int]:
    """The sentences that begin in the block at `start`, and where the next block is: at the text's end if in none.

    A sentence that is longer than a block is cut, after a space if it has one.
    """
    end = min(start + BLOCK_CHARACTERS, len(text))
    found = [(start + each.start, start + each.stop) for each in sentenize(text[start:end]) if each.text]
    if end == len(text):
        return found, end
    whole = [place for place in found if place[1] <= end - _CONTEXT_CHARACTERS]
    if whole:
        rest = found[len(whole)][0] if len(whole) < len(found) else end
        return whole, rest
    if not found:
        return [], end  # Nothing but spaces.
    begin = found[0][0]
    spaces = [match.end() for match in _SPACE.finditer(text, begin, end)]
    cut = spaces[-1] if spaces else end
    return [(begin, begin + len(text[begin:cut].rstrip()))], cut

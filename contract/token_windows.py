"""Where a text that is longer than a model reads is cut: between words, into windows of about the same length."""

from collections.abc import Sequence


def window_bounds(words: Sequence[int | None], limit: int) -> list[int]:
    """Cut a text's tokens into as few windows as its words let; gives the number of each window's first token.

    The windows are about equally long: what is left over would else be a window of a few tokens. A cut lies before
    the first token of a word, unless the word is longer than half a window.

    Args:
        words: for each token the number of its word; None for one that is no word's.
        limit: tokens of a window, 1 or more.
    """
    bounds, start = [], 0
    while start < len(words):
        bounds.append(start)
        left = len(words) - start
        windows = -(-left // limit)
        stop = start + -(-left // windows)
        start = _word_start(words, start, stop) if stop < len(words) else stop
    return bounds


def _word_start(words: Sequence[int | None], start: int, stop: int) -> int:
    """The last place up to `stop` at which a word begins; `stop` if there is none in the second half."""
    for place in range(stop, (start + stop) // 2, -1):
        if words[place] is None or words[place] != words[place - 1]:
            return place
    return stop

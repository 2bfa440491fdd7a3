"""Decontamination: no held-out text, nor one that is nearly the same, may be trained on, labelled or not.

The texts of the behaviour suite, both halves, are held out wherever this is asked, so that no command can forget them.
"""

from collections.abc import Iterable, Sequence

from training.behaviour.suite import HALVES, load_suite
from training.common.parallel import map_chunks
from training.data.cleaning.duplicates import NearDuplicates
from training.data.cleaning.texts import comparison_key, folded


class HeldOutTexts:
    """Held-out texts, the behaviour suite's among them, to be asked whether another text is one of them, or nearly."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        held_out = [*texts, *(case.text for case in load_suite(HALVES))]
        self._keys = {_key(text) for text in held_out}
        self._near = NearDuplicates(text for text in held_out if comparison_key(text))

    def overlap(self, text: str) -> bool:
        """Whether a text is the same but for case, spaces and punctuation, or a near-duplicate."""
        return _key(text) in self._keys or bool(self._near.matches(text))

    def without(self, texts: Iterable[str]) -> list[str]:
        """The texts that do not overlap."""
        return [text for text in texts if not self.overlap(text)]


def without_overlap(texts: Sequence[str], held_out: Iterable[str] = ()) -> list[str]:
    """The texts that are neither held out nor nearly; on all cores where there are many."""
    chunks = map_chunks(HeldOutTexts(held_out).without, texts)
    return [text for chunk in chunks for text in chunk]


def _key(text: str) -> str:
    # Punctuation alone has no comparison key: all of it would be one text.
    return comparison_key(text) or folded(text)

"""Decontamination: no held-out text, nor one that is nearly the same, may be trained on, labelled or not.

The texts of the behaviour suite, both halves, are held out wherever this is asked, so that no command can forget them.
"""

from collections.abc import Iterable, Sequence

from training.behaviour.suite import HALVES, load_suite
from training.common.parallel import map_chunks
from training.data.cleaning.duplicates import NearDuplicates
from training.data.cleaning.texts import comparison_key, folded, leak_keys


class HeldOutTexts:
    """Held-out texts, the behaviour suite's among them, to be asked whether another text is one of them, or nearly."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        held_out = [*texts, *(case.text for case in load_suite(HALVES))]
        self._keys = {key for text in held_out for key in _keys(text)}
        self._near = NearDuplicates(text for text in held_out if comparison_key(text))

    def overlap(self, text: str) -> bool:
        """Whether a text is the same but for case, spaces, punctuation and look-alikes, or a near-duplicate."""
        return not self._keys.isdisjoint(_keys(text)) or bool(self._near.matches(text))

    def without(self, texts: Iterable[str]) -> list[str]:
        """The texts that do not overlap."""
        return [text for text in texts if not self.overlap(text)]


def without_overlap(texts: Sequence[str], held_out: Iterable[str] = ()) -> list[str]:
    """The texts that are neither held out nor nearly; on all cores where there are many."""
    chunks = map_chunks(HeldOutTexts(held_out).without, texts)
    return [text for chunk in chunks for text in chunk]


def _keys(text: str) -> tuple[str, ...]:
    # Punctuation alone has no key: all of it would be one text.
    return leak_keys(text) or (folded(text),)

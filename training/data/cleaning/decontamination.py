"""Decontamination: no held-out text, nor one that is nearly the same, may be trained on, labelled or not."""

from collections.abc import Iterable, Sequence
from functools import partial

from training.common.parallel import map_chunks
from training.data.cleaning.duplicates import NearDuplicates
from training.data.cleaning.texts import comparison_key


class HeldOutTexts:
    """Held-out texts, to be asked whether another text is one of them, or nearly."""

    def __init__(self, texts: Iterable[str]) -> None:
        held_out = list(texts)
        self._keys = {comparison_key(text) for text in held_out}
        self._near = NearDuplicates(held_out)

    def overlap(self, text: str) -> bool:
        """Whether a text is the same but for case, spaces and punctuation, or a near-duplicate."""
        return comparison_key(text) in self._keys or bool(self._near.matches(text))


def without_overlap(texts: Sequence[str], held_out: Sequence[str]) -> list[str]:
    """The texts that are neither held out nor nearly; on all cores where there are many."""
    chunks = map_chunks(partial(_decontaminated, held_out=held_out), texts)
    return [text for chunk in chunks for text in chunk]


def _decontaminated(texts: Sequence[str], held_out: Sequence[str]) -> list[str]:
    held_out_texts = HeldOutTexts(held_out)
    return [text for text in texts if not held_out_texts.overlap(text)]

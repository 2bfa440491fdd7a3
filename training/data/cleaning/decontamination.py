"""Texts that a model must not have seen in any way, labelled or not, and other texts that are too much like them."""

from collections.abc import Iterable, Sequence
from functools import partial

from training.common.parallel import in_chunks
from training.data.cleaning.duplicates import NearDuplicates
from training.data.cleaning.texts import key


class KeptOut:
    """Held-out texts, to be asked whether another text is one of them, or nearly."""

    def __init__(self, texts: Iterable[str]) -> None:
        held_out = list(texts)
        self._keys = {key(text) for text in held_out}
        self._near = NearDuplicates(held_out)

    def has(self, text: str) -> bool:
        """Whether a text is the same but for case, spaces and punctuation, or a near-duplicate."""
        return key(text) in self._keys or bool(self._near.matches(text))


def without(texts: Sequence[str], held_out: Sequence[str]) -> list[str]:
    """The texts that are neither held out nor nearly; on all cores where there are many."""
    return [text for kept in in_chunks(partial(_unlike, held_out=held_out), texts) for text in kept]


def _unlike(texts: Sequence[str], held_out: Sequence[str]) -> list[str]:
    kept_out = KeptOut(held_out)
    return [text for text in texts if not kept_out.has(text)]

"""A tokenizer's vocabulary, taken apart so that pieces can be left out; and whether a checkpoint's can be.

Nothing here needs PyTorch.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tokenizers import Tokenizer

from training.common.command import TrainingError
from training.encoder.lookup import look_up
from training.encoder.tokenizer import SPECIAL_TOKENS, UNIGRAM_SPECIAL_TOKENS, checkpoint_file, tokenizer_file

_WORD_MARKS: Final = ("▁", "##")
"""What Unigram puts in front of a piece that begins a word, and WordPiece in front of one that does not."""
_BYTE: Final = re.compile(r"<0x[0-9A-F]{2}>")
"""A piece of a Unigram with `byte_fallback`, which spells unknown characters in bytes."""
_SPECIAL: Final = frozenset((*SPECIAL_TOKENS, *UNIGRAM_SPECIAL_TOKENS))


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer's file, taken apart. `pieces` are in the order of their ids; `scores` are a Unigram's alone.

    Added tokens may have ids behind those of the pieces.
    """

    state: dict[str, Any]
    pieces: list[str]
    scores: list[float] | None

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "Vocabulary":
        """Of a tokenizer.

        Raises:
            TrainingError: its model is neither a Unigram nor a WordPiece.
        """
        # As the library writes it today: files of its first years don't say what kind of model theirs is.
        state = json.loads(tokenizer.to_str())
        model = state["model"]
        if model["type"] == "Unigram":
            pieces, scores = zip(*model["vocab"], strict=True)
            return cls(state, list(pieces), list(scores))
        if model["type"] == "WordPiece":
            return cls(state, sorted(model["vocab"], key=model["vocab"].__getitem__), None)
        raise TrainingError(
            f"the vocabulary is a {model['type']}'s, and only Unigram's and WordPiece's can be cut: "
            "without some of its pieces a BPE would split other texts differently too"
        )

    def protected(self) -> set[int]:
        """Ids that stay whatever the corpus holds: special tokens, single characters, and bytes where they spell."""
        model = self.state["model"]
        unknown = model.get("unk_id")
        if unknown is None:
            unknown = self.pieces.index(model["unk_token"])
        spells_bytes = bool(model.get("byte_fallback"))
        return {
            unknown,
            *(token["id"] for token in self.state["added_tokens"]),
            *(
                index
                for index, piece in enumerate(self.pieces)
                if len(_bare(piece)) <= 1 or _is_special(piece) or (spells_bytes and _BYTE.fullmatch(piece))
            ),
        }

    def kept(self, ids: list[int]) -> str:
        """The content of a `tokenizer.json` with these pieces and added tokens alone, numbered in their order."""
        new = {old: index for index, old in enumerate(ids)}
        pieces = [old for old in ids if old < len(self.pieces)]
        state = json.loads(json.dumps(self.state))
        if self.scores is None:
            state["model"]["vocab"] = {self.pieces[old]: new[old] for old in pieces}
        else:
            state["model"]["vocab"] = [[self.pieces[old], self.scores[old]] for old in pieces]
            state["model"]["unk_id"] = new[state["model"]["unk_id"]]
        for token in state["added_tokens"]:
            token["id"] = new[token["id"]]
        _renumber(state["post_processor"], new)
        return json.dumps(state, ensure_ascii=False)


def check_can_trim(checkpoint: str, output: Path, layers: Sequence[int] | None = None) -> None:
    """Whether a checkpoint can be trimmed, as far as that is told before PyTorch is loaded and a text is read.

    Args:
        checkpoint: a local directory or a hub name.
        output: where the smaller one is to be.
        layers: of the encoder's layers those to keep, counted from 1; all when None.

    Raises:
        TrainingError: `output` is there; the checkpoint is not, has another kind of vocabulary, or lacks a layer.
    """
    if output.exists():
        raise TrainingError(f"{output} is there already: name a new directory")
    look_up(checkpoint)
    Vocabulary.of(Tokenizer.from_file(str(tokenizer_file(checkpoint))))
    if layers is None:
        return
    every = json.loads(checkpoint_file(checkpoint, "config.json").read_text(encoding="utf-8")).get("num_hidden_layers")
    if every is None:
        raise TrainingError(
            f"{checkpoint} names no num_hidden_layers in its config.json, of which --layers would keep some"
        )
    if wrong := [number for number in layers if not 1 <= number <= every]:
        raise TrainingError(f"the encoder has the layers 1 to {every}, and no layer {wrong[0]}")


def _is_special(piece: str) -> bool:
    # `special_tokens_as_text` leaves no added token: a Unigram's have a space in front then, a WordPiece's their names.
    return piece.startswith(" ") or piece in _SPECIAL


def _bare(piece: str) -> str:
    for mark in _WORD_MARKS:
        if piece.startswith(mark) and piece != mark:
            return piece.removeprefix(mark)
    return piece


def _renumber(processor: Any, new: dict[int, int]) -> None:
    """New ids for what a post-processor puts around a text, whichever of the library's kinds it is."""
    if not isinstance(processor, dict):
        return
    for part in processor.get("processors", ()):
        _renumber(part, new)
    for name in ("sep", "cls"):
        if name in processor:
            processor[name][1] = new[processor[name][1]]
    for token in (processor.get("special_tokens") or {}).values():
        token["ids"] = [new[old] for old in token["ids"]]

"""Cuts a checkpoint's vocabulary down to the pieces that a corpus uses.

A multilingual encoder has embeddings for a hundred languages: of multilingual-e5-small's 118 million parameters 96
million are embeddings, of xlm-roberta-base's 278 million 192 (Abdaoui et al., "Load What You Need", 2020). The pieces
that a corpus uses, single characters and special tokens stay, so every text of the corpus keeps its tokens, and so its
answer; a text from elsewhere may come out in more and shorter pieces.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import torch
import transformers
from tokenizers import Tokenizer

from contract.version_directory import TOKENIZER
from training.common.command import TrainingError
from training.common.staging import explained, move, staged
from training.encoder.tokenizer import normalised_tokenizer, tokenizer_file

_BATCH: Final = 10_000
_WORD_MARKS: Final = ("▁", "##")
"""What Unigram puts in front of a piece that begins a word, and WordPiece in front of one that does not."""

_NAMED_IDS: Final = ("pad_token_id", "bos_token_id", "eos_token_id", "sep_token_id", "cls_token_id", "mask_token_id")
"""Ids that a configuration names."""


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer's file, taken apart. `pieces` are in the order of their ids; `scores` are a Unigram's alone."""

    state: dict[str, Any]
    pieces: list[str]
    scores: list[float] | None

    @classmethod
    def of(cls, text: str) -> "Vocabulary":
        """From the content of a `tokenizer.json`.

        Raises:
            TrainingError: its model is neither a Unigram nor a WordPiece.
        """
        state = json.loads(text)
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
        """Ids that stay whatever the corpus holds: special tokens and single characters."""
        special = {token["id"] for token in self.state["added_tokens"]}
        # What `special_tokens_as_text` makes of them.
        special |= {index for index, piece in enumerate(self.pieces) if piece.startswith(" ")}
        unknown = self.state["model"].get("unk_id")
        if unknown is None:
            unknown = self.pieces.index(self.state["model"]["unk_token"])
        return special | {unknown} | {index for index, piece in enumerate(self.pieces) if len(_bare(piece)) <= 1}

    def kept(self, ids: list[int]) -> str:
        """The content of a `tokenizer.json` with these pieces alone, numbered in their order."""
        new = {old: index for index, old in enumerate(ids)}
        state = json.loads(json.dumps(self.state))
        if self.scores is None:
            state["model"]["vocab"] = {self.pieces[old]: index for old, index in new.items()}
        else:
            state["model"]["vocab"] = [[self.pieces[old], self.scores[old]] for old in ids]
            state["model"]["unk_id"] = new[state["model"]["unk_id"]]
        for token in state["added_tokens"]:
            token["id"] = new[token["id"]]
        _renumber(state["post_processor"], new)
        return json.dumps(state, ensure_ascii=False)


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


def used_ids(tokenizer: Tokenizer, texts: Iterable[str]) -> set[int]:
    """Ids of all pieces that texts come out in."""
    counts: Counter[int] = Counter()
    for encoding in _encodings(tokenizer, texts):
        counts.update(encoding.ids)
    return set(counts)


def trim(
    checkpoint: str,
    texts: list[str],
    output: Path,
    *,
    layers: Sequence[int] | None = None,
    normalised: bool = False,
) -> tuple[int, int]:
    """Write a checkpoint with a smaller vocabulary; gives the numbers of pieces before and after.

    Args:
        checkpoint: a local directory with `config.json`, weights and `tokenizer.json`, or a hub name.
        texts: the corpus.
        output: a directory that is not there yet.
        layers: of the encoder's layers these alone are kept, counted from 1; all when None.
        normalised: let it read normalised text from now on (`training.encoder.normalization`); the corpus too.

    Raises:
        TrainingError: the checkpoint can't be read or its vocabulary can't be cut, or `output` is there.
    """
    if output.exists():
        raise TrainingError(f"{output} is there already: name a new directory")
    content = tokenizer_file(checkpoint).read_text(encoding="utf-8")
    if normalised:
        content = normalised_tokenizer(Tokenizer.from_str(content)).to_str()
    vocabulary, before = Vocabulary.of(content), Tokenizer.from_str(content)
    model = _model(checkpoint)
    if len(vocabulary.pieces) > model.config.vocab_size:
        raise TrainingError(
            f"{checkpoint} has {model.config.vocab_size} embeddings and its {TOKENIZER} {len(vocabulary.pieces)} "
            "tokens: they don't belong together"
        )
    named = {getattr(model.config, name) for name in _NAMED_IDS if getattr(model.config, name, None) is not None}
    if layers is not None:
        _keep_layers(model, layers)
    ids = sorted(used_ids(before, texts) | vocabulary.protected() | named)
    _cut_embeddings(model, ids)
    after = Tokenizer.from_str(trimmed := vocabulary.kept(ids))
    _check_same_tokens(before, after, texts)
    with staged(output.parent) as directory, explained(output):
        model.save_pretrained(directory)
        (directory / TOKENIZER).write_text(trimmed, encoding="utf-8")
        move(directory, output)
    return len(vocabulary.pieces), len(ids)


def _model(checkpoint: str) -> Any:
    """A checkpoint as the class that wrote it, so that a head it has stays."""
    try:
        config = transformers.AutoConfig.from_pretrained(checkpoint)
        name = (config.architectures or [""])[0]
        kind = getattr(transformers, name, transformers.AutoModel)
        return kind.from_pretrained(checkpoint)
    except (OSError, ValueError, RuntimeError) as error:
        raise TrainingError(
            f"could not load the checkpoint {checkpoint}: {error}\nGive a local directory or the"
            " name of a checkpoint on the Hugging Face hub (which needs a network)"
        ) from error


def _keep_layers(model: Any, layers: Sequence[int]) -> None:
    every = model.base_model.encoder.layer
    if wrong := [number for number in layers if not 1 <= number <= len(every)]:
        raise TrainingError(f"the encoder has the layers 1 to {len(every)}, and no layer {wrong[0]}")
    model.base_model.encoder.layer = torch.nn.ModuleList([every[number - 1] for number in layers])
    model.config.num_hidden_layers = len(layers)


@torch.no_grad()
def _cut_embeddings(model: Any, ids: list[int]) -> None:
    """Keep some rows of the embeddings, and of the outputs over the vocabulary where a model has them."""
    embeddings = model.get_input_embeddings()
    pad = ids.index(embeddings.padding_idx) if embeddings.padding_idx is not None else None
    smaller = torch.nn.Embedding(len(ids), embeddings.embedding_dim, padding_idx=pad)
    smaller.weight.copy_(embeddings.weight[ids])
    model.set_input_embeddings(smaller)
    outputs = model.get_output_embeddings()
    if outputs is not None:
        cut = torch.nn.Linear(outputs.in_features, len(ids), bias=outputs.bias is not None)
        cut.weight.copy_(outputs.weight[ids])
        if outputs.bias is not None:
            cut.bias.copy_(outputs.bias[ids])
        model.set_output_embeddings(cut)
    for name in _NAMED_IDS:
        old = getattr(model.config, name, None)
        if old is not None:
            setattr(model.config, name, ids.index(old))
    model.config.vocab_size = len(ids)
    model.tie_weights()


def _encodings(tokenizer: Tokenizer, texts: Iterable[str]) -> Iterator[Any]:
    rest = iter(texts)
    while batch := list(islice(rest, _BATCH)):
        yield from tokenizer.encode_batch(batch)


def _check_same_tokens(before: Tokenizer, after: Tokenizer, texts: list[str]) -> None:
    for text, old, new in zip(texts, _encodings(before, texts), _encodings(after, texts), strict=True):
        if old.tokens != new.tokens:
            raise TrainingError(f"{text[:100]!r} would come out in other pieces: this vocabulary can't be cut")

"""Cuts a checkpoint's vocabulary down to the pieces that a corpus uses.

A multilingual encoder has embeddings for a hundred languages: of multilingual-e5-small's 118 million parameters 96
million are embeddings, of xlm-roberta-base's 278 million 192 (Abdaoui et al., "Load What You Need", 2020). The pieces
that a corpus uses, single characters and special tokens stay, so every text of the corpus keeps its tokens, and so its
answer; a text from elsewhere may come out in more and shorter pieces.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import torch
import transformers
from tokenizers import Tokenizer

from contract.version_directory import TOKENIZER
from training.common.command import TrainingError
from training.common.staging import explained, move, staged
from training.encoder.lookup import loading
from training.encoder.mean_pooling import POOLING, MeanPooledClassifier
from training.encoder.tokenizer import normalised_tokenizer, special_ids, tokenizer_file
from training.encoder.vocabulary import Vocabulary, check_can_trim

_BATCH: Final = 10_000

_NAMED_IDS: Final = ("pad_token_id", "bos_token_id", "eos_token_id", "sep_token_id", "cls_token_id", "mask_token_id")
"""Ids that a configuration names."""


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
    check_can_trim(checkpoint, output, layers)
    before = Tokenizer.from_file(str(tokenizer_file(checkpoint)))
    # A file may ask for cut texts, whose ends would then not be read.
    before.no_truncation()
    before.no_padding()
    # Of the file as it is: where text is normalised, special tokens are no added tokens any more.
    protected = Vocabulary.of(before).protected()
    if normalised:
        before = normalised_tokenizer(before)
    vocabulary = Vocabulary.of(before)
    model = _model(checkpoint)
    if before.get_vocab_size() > model.config.vocab_size:
        raise TrainingError(
            f"{checkpoint} has {model.config.vocab_size} embeddings and its {TOKENIZER} {before.get_vocab_size()} "
            "tokens: they don't belong together"
        )
    # RoBERTa's family counts positions from its configuration's pad id.
    if "roberta" not in model.config.model_type:
        model.config.pad_token_id, _ = special_ids(before, model.config)
    named = {getattr(model.config, name) for name in _NAMED_IDS if getattr(model.config, name, None) is not None}
    if layers is not None:
        _keep_layers(model, layers)
    ids = sorted(used_ids(before, texts) | (protected & set(before.get_vocab().values())) | named)
    _cut_embeddings(model, ids)
    after = Tokenizer.from_str(trimmed := vocabulary.kept(ids))
    _check_same_tokens(before, after, texts)
    with staged(output.parent) as directory, explained(output):
        model.save_pretrained(directory)
        (directory / TOKENIZER).write_text(trimmed, encoding="utf-8")
        move(directory, output)
    return before.get_vocab_size(), len(ids)


def _model(checkpoint: str) -> Any:
    """A checkpoint as the class that wrote it, so that a head it has stays."""
    with loading(checkpoint):
        config = transformers.AutoConfig.from_pretrained(checkpoint)
        return _kind(checkpoint, config).from_pretrained(checkpoint)


def _kind(checkpoint: str, config: Any) -> Any:
    if getattr(config, "classifier_pooling", None) == POOLING:
        return MeanPooledClassifier
    name = (config.architectures or ["AutoModel"])[0]
    if not hasattr(transformers, name):
        raise TrainingError(
            f"{checkpoint} is made for {name}, a class that transformers does not have: give its encoder alone,"
            f" AutoModel.from_pretrained(…).save_pretrained(DIRECTORY), with its {TOKENIZER} beside it"
        )
    return getattr(transformers, name)


def _keep_layers(model: Any, layers: Sequence[int]) -> None:
    every = model.base_model.encoder.layer
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

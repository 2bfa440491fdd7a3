"""A published version as a checkpoint that transformers loads: its int8 weights, dequantised, and its tokenizer.

Whatever family the encoder was trained as, it becomes a BERT: the graphs' weights have no trace of RoBERTa's position
offset, and a RoBERTa's head is a BERT's pooler and classifier. It computes the same.
"""

import json
import shutil
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from contract.labels import EMOTIONS
from contract.version_directory import CPU_GRAPH, TOKENIZER, Card, read_card
from training.behaviour.suite import load_suite
from training.common.command import TrainingError
from training.common.staging import explained, move, staged, write_file
from training.encoder import mean_pooling
from training.encoder.classifier import encode, load_classifier, predict
from training.encoder.tokenizer import load_tokenizer
from training.export.checkpoint_card import model_card
from training.export.graphs.runtime import run, session
from training.export.graphs.weights import EncoderWeights, Shape, from_cpu_graph
from training.export.integrity import damage

MEAN_DIFFERENCE: Final = 0.02
"""What int8 activations alone, which the checkpoint does not have, may move a probability on average."""
SPECIAL_NAMES: Final = "До [PAD] [UNK] [CLS] [SEP] [MASK] <s> </s> <pad> <unk> <mask> после"
"""What users may write, and no tokenizer may take for its own tokens."""
_MASKS: Final = ("[MASK]", "<mask>", " <mask>")
_TOKEN_TYPES: Final = 2
"""All alike: a text has no second part here, and who fine-tunes on pairs needs two."""


def is_softmax(card: Card) -> bool:
    """Whether a version's probabilities are those of one softmax, which no checkpoint of six sigmoids gives."""
    return bool(card.architecture.get("softmax_classes"))


def write_checkpoint(version: Path, output: Path) -> float:
    """Write a version as a checkpoint, all of it or nothing; an earlier one there is replaced.

    Args:
        version: a version directory.
        output: the directory to make.

    Returns:
        How far the checkpoint's probabilities are from the version's on average, over the suite's open half.

    Raises:
        TrainingError: the version is damaged, or a softmax model; the checkpoint's answers or tokens are not the
            version's; `output` holds something else, or cannot be written.
    """
    if wrong := damage(version):
        raise TrainingError(f"{'; '.join(wrong)}: get the repository's files again")
    if output.exists() and not (output / "model.safetensors").is_file():
        raise TrainingError(f"{output} holds something that is no checkpoint: name another directory")
    card = read_card(version)
    if is_softmax(card):
        raise TrainingError(
            f"{version} is a softmax model, published as it was: start from what it was made from, {card.base_model}"
        )
    architecture: dict[str, Any] = dict(card.architecture)
    weights = from_cpu_graph(version / CPU_GRAPH, Shape(**architecture))
    with staged(output.resolve().parent) as directory, explained(output):
        classifier_of(weights).save_pretrained(directory)
        if _mean_pooled(weights):
            # What computes the head, for who loads the checkpoint without this project.
            shutil.copyfile(mean_pooling.__file__, directory / "mean_pooling.py")
        shutil.copyfile(version / TOKENIZER, directory / TOKENIZER)
        settings = tokenizer_settings(Tokenizer.from_file(str(version / TOKENIZER)), card)
        write_file(directory / "tokenizer_config.json", json.dumps(settings, indent=2, ensure_ascii=False).encode())
        texts = [case.text for case in load_suite()]
        _check_tokens(directory, [*texts, SPECIAL_NAMES])
        difference = _difference(version, directory, card, texts)
        page = model_card(card, version.name, difference, len(texts), mean_pooled=_mean_pooled(weights))
        write_file(directory / "README.md", page.encode())
        if output.exists():
            move(output, directory.parent / "old")
        move(directory, output)
    return difference


def classifier_of(weights: EncoderWeights) -> Any:
    """A classifier of transformers with these weights, its attention in the form that exporters know."""
    shape = weights.shape
    config = BertConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.intermediate,
        max_position_embeddings=shape.max_length,
        type_vocab_size=_TOKEN_TYPES,
        layer_norm_eps=shape.layer_norm_epsilon,
        pad_token_id=shape.pad_id,
        problem_type="multi_label_classification",
        id2label=dict(enumerate(EMOTIONS)),
        label2id={emotion: index for index, emotion in enumerate(EMOTIONS)},
    )
    kind: Any = BertForSequenceClassification
    if _mean_pooled(weights):
        kind, config.classifier_pooling = mean_pooling.MeanPooledClassifier, mean_pooling.POOLING
        config.auto_map = {"AutoModelForSequenceClassification": "mean_pooling.MeanPooledClassifier"}
    model = kind(config)
    model.set_attn_implementation("eager")
    model.load_state_dict({name: torch.tensor(array) for name, array in _state(weights).items()})
    return model.eval()


def _mean_pooled(weights: EncoderWeights) -> bool:
    return "head.dense.weight" not in weights.arrays


def _state(weights: EncoderWeights) -> dict[str, Any]:
    """The arrays under BERT's names, matrices `[out, in]`."""
    arrays, shape = weights.arrays, weights.shape
    state = {
        "bert.embeddings.word_embeddings.weight": arrays["embeddings.word"],
        "bert.embeddings.position_embeddings.weight": arrays["embeddings.position"],
        # Theirs is in the positions' already.
        "bert.embeddings.token_type_embeddings.weight": np.zeros((_TOKEN_TYPES, shape.hidden), np.float32),
    }

    def copy(theirs: str, ours: str) -> None:
        state[f"{theirs}.weight"] = np.ascontiguousarray(arrays[f"{ours}.weight"].T)
        state[f"{theirs}.bias"] = arrays[f"{ours}.bias"]

    copy("bert.embeddings.LayerNorm", "embeddings.norm")
    for layer in range(shape.layers):
        theirs, ours = f"bert.encoder.layer.{layer}", f"layer.{layer}"
        for index, part in enumerate(("query", "key", "value")):
            columns = slice(index * shape.hidden, (index + 1) * shape.hidden)
            name = f"{theirs}.attention.self.{part}"
            state[f"{name}.weight"] = np.ascontiguousarray(arrays[f"{ours}.qkv.weight"][:, columns].T)
            state[f"{name}.bias"] = arrays[f"{ours}.qkv.bias"][columns].copy()
        copy(f"{theirs}.attention.output.dense", f"{ours}.context")
        copy(f"{theirs}.attention.output.LayerNorm", f"{ours}.norm1")
        copy(f"{theirs}.intermediate.dense", f"{ours}.up")
        copy(f"{theirs}.output.dense", f"{ours}.down")
        copy(f"{theirs}.output.LayerNorm", f"{ours}.norm2")
    if not _mean_pooled(weights):
        copy("bert.pooler.dense", "head.dense")
    copy("classifier", "head.out")
    return state


def tokenizer_settings(tokenizer: Tokenizer, card: Card) -> dict[str, Any]:
    """`tokenizer_config.json`: how transformers gives the ids that `tokenizer.json` gives alone.

    `split_special_tokens` keeps `[SEP]` inside a text a text, and the general class keeps the file as it is.
    """
    begin, end = tokenizer.encode("").ids
    names = {"pad": card.pad_id, "unk": card.unk_id, "cls": begin, "sep": end}
    mask = next((name for name in _MASKS if tokenizer.token_to_id(name) is not None), None)
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": card.max_length,
        "split_special_tokens": True,
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
        **{f"{name}_token": tokenizer.id_to_token(index) for name, index in names.items()},
        **({"mask_token": mask} if mask else {}),
    }


def _check_tokens(checkpoint: Path, texts: list[str]) -> None:
    theirs = AutoTokenizer.from_pretrained(checkpoint)(texts, truncation=True)["input_ids"]
    ours = encode(texts, load_tokenizer(str(checkpoint)))
    if different := sum(a != b for a, b in zip(ours, theirs, strict=True)):
        raise TrainingError(
            f"transformers' tokenizer gives other ids than {TOKENIZER} for {different} of {len(texts)} texts"
        )


def _difference(version: Path, checkpoint: Path, card: Card, texts: list[str]) -> float:
    rows = encode(texts, load_tokenizer(str(version)))
    graph = session(version / CPU_GRAPH)
    served = np.concatenate([run(graph, [row]) for row in rows])
    difference = np.abs(predict(load_classifier(str(checkpoint)), rows, card.pad_id) - served)
    if not difference.mean() <= MEAN_DIFFERENCE:
        raise TrainingError(
            f"the checkpoint's probabilities would differ from {version}'s by {difference.mean():.3f} on average;"
            f" at most {MEAN_DIFFERENCE} is allowed"
        )
    return float(difference.mean())

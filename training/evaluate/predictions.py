"""A model's probabilities for texts, wherever the model lives: a run, a version directory, a gateway."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from contract.version_directory import CPU_GRAPH, TOKENIZER, Card, CardError, cpu_damage, read_card
from training.common.command import TrainingError
from training.data.rows.examples import Example
from training.encoder.classifier import encode, load_classifier, predict
from training.encoder.tokenizer import load_tokenizer, special_ids
from training.export.graphs.runtime import run, session

Probabilities = npt.NDArray[np.float32]
_BATCH = 32


def predict_checkpoint(checkpoint: Path, examples: list[Example]) -> Probabilities:
    """Probabilities of a fine-tuned checkpoint, in PyTorch; float32 `[rows, 6]`.

    Raises:
        TrainingError: it cannot be loaded, or its head is not to be read as the six emotions.
    """
    model = load_classifier(str(checkpoint))
    tokenizer = load_tokenizer(str(checkpoint))
    pad_id, _ = special_ids(tokenizer, model.config)
    return predict(model, encode([example.text for example in examples], tokenizer), pad_id)


def checked_card(version: Path) -> Card:
    """The card of a version directory whose graph and tokenizer are the files it describes.

    Raises:
        TrainingError: a file is missing or another one.
    """
    try:
        card = read_card(version)
    except CardError as error:
        raise TrainingError(str(error)) from error
    if found := cpu_damage(version, card):
        raise TrainingError(f"{'; '.join(each.sentence for each in found)}: publish the version again")
    return card


def predict_version(version: Path, card: Card, examples: list[Example]) -> Probabilities:
    """Probabilities of a published version's CPU graph, in ONNX Runtime, on all cores; float32 `[rows, 6]`."""
    tokenizer = Tokenizer.from_file(str(version / TOKENIZER))
    tokenizer.enable_truncation(card.max_length)
    rows = [encoding.ids for encoding in tokenizer.encode_batch([example.text for example in examples])]
    graph = session(version / CPU_GRAPH)
    batches = [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.concatenate(list(pool.map(lambda batch: run(graph, batch), batches)))

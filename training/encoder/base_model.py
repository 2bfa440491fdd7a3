"""The encoder that fine-tuning starts from, and whether it can be one."""

import re
from typing import Any, Final

from tokenizers import Tokenizer
from transformers import AutoModel

from contract.version_directory import TOKENIZER
from training.common.command import TrainingError
from training.encoder.classifier import MAX_LENGTH, load_base_classifier
from training.encoder.tokenizer import load_tokenizer, special_ids

# An encoder pre-trained by masking may lack it: classification begins it at random.
_POOLER: Final = re.compile(r"(^|\.)pooler\.")


def load_base_model(checkpoint: str) -> tuple[Any, Tokenizer, int]:
    """An encoder, local or from the hub, with a head for the six emotions; its tokenizer; its pad id.

    Raises:
        TrainingError: it cannot be loaded, lacks weights, is too short for the longest row, or is not its
            tokenizer's.
    """
    tokenizer = load_tokenizer(checkpoint)
    model = load_base_classifier(checkpoint)
    pad_id, _ = special_ids(tokenizer, model.config)
    _check_whole(checkpoint)
    config = model.config
    # RoBERTa's family counts positions from the one after its configuration's pad id.
    first = config.pad_token_id + 1 if "roberta" in config.model_type else 0
    if config.max_position_embeddings - first < MAX_LENGTH:
        raise TrainingError(f"{checkpoint} has fewer than {MAX_LENGTH} positions, the length of the longest row")
    if tokenizer.get_vocab_size() > config.vocab_size:
        raise TrainingError(
            f"{checkpoint} has {config.vocab_size} embeddings and its {TOKENIZER} {tokenizer.get_vocab_size()}"
            " tokens: they don't belong together"
        )
    return model, tokenizer, pad_id


def _check_whole(checkpoint: str) -> None:
    """That no weight of the encoder begins at random, which transformers only logs."""
    encoder, found = AutoModel.from_pretrained(checkpoint, output_loading_info=True)
    lost = sorted(name for name in found["missing_keys"] if not _POOLER.search(name))
    if lost:
        raise TrainingError(
            f"{checkpoint} lacks {len(lost)} weights of its {type(encoder).__name__}, such as {lost[0]}:"
            " it is no whole checkpoint of that architecture"
        )

"""Texts without labels of their own, on which a student learns to answer as its teachers do.

Three kinds: sentences of plain text, texts of other labelled data sets, and variants of CEDR's own rows in which a
masked language model has put other words (after TinyBERT's data augmentation, Jiao et al., 2020).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from tqdm import tqdm
from transformers import AutoModelForMaskedLM

from training.data.cleaning.texts import comparison_key
from training.data.rows.loading import load_rows, load_source, training_splits
from training.encoder.classifier import MAX_LENGTH
from training.encoder.normalization.characters import kept_emoji
from training.encoder.tokenizer import load_tokenizer
from training.scratch.pretraining.corpus import read_passages
from training.scratch.pretraining.masking import IGNORED, WordPieces, mask_whole_words
from training.scratch.teachers.settings import EnsembleSettings

DATASETS: Final = ("ru_izard_emotions", "ru_go_emotions")
"""Labelled data sets whose texts are asked for too, and whose labels help the linear model."""

_SENTENCE_END: Final = re.compile(r"(?<=[.!?…])\s+")
_SHORTEST: Final = 12
_LONGEST: Final = 280


@dataclass(frozen=True)
class Variant:
    """A text made from row `origin` of CEDR train: used only where that row is trained on."""

    origin: int
    text: str


@dataclass(frozen=True)
class UnlabelledTexts:
    """Texts without labels, the same for all folds; a variant's origin is a row of CEDR train."""

    sentences: list[str]
    datasets: list[str]
    variants: list[Variant]


def gather_unlabelled_texts(settings: EnsembleSettings, device: torch.device) -> UnlabelledTexts:
    """The texts for all folds, as the settings say; the language model runs on the device."""
    made: list[Variant] = []
    if settings.language_model is not None:
        cedr = [example.text for example in load_source("cedr", "train", settings.data_dir)]
        made = make_variants(
            settings.language_model, cedr, settings.variants, settings.variant_share, device, settings.seed
        )  # fmt: skip
    sampled = sample_sentences(settings.texts, settings.sentence_pool, settings.seed)
    unlabelled = UnlabelledTexts(sampled, dataset_texts(DATASETS, settings.data_dir), made)
    print(
        f"{len(sampled):,} sentences, {len(unlabelled.datasets):,} texts of data sets, {len(made):,} variants",
        flush=True,
    )
    return unlabelled


def sample_sentences(texts: Path, limit: int, seed: int) -> list[str]:
    """A random sample of the different sentences of plain texts, as long as CEDR's texts are."""
    found: dict[str, None] = {}
    for passage in read_passages(texts):
        for sentence in _SENTENCE_END.split(passage):
            if _SHORTEST <= len(sentence) <= _LONGEST:
                found[sentence] = None
    pool = list(found)
    chosen = np.random.default_rng(seed).permutation(len(pool))[:limit]
    return [pool[index] for index in chosen]


def with_emoji(sentences: Sequence[str], share: float, seed: int) -> list[str]:
    """The sentences, a share of them with an emoji behind: plain texts have none, and teachers know what they say."""
    random = np.random.default_rng(seed)
    signs = random.choice(kept_emoji(), len(sentences))
    ends = np.where(random.random(len(sentences)) < share, signs, "")
    return [f"{sentence} {end}".rstrip() for sentence, end in zip(sentences, ends, strict=True)]


def dataset_texts(names: Sequence[str], data_dir: Path | None) -> list[str]:
    """The different texts of labelled data sets, all their splits that may be trained on."""
    found: dict[str, str] = {}
    for name in names:
        for split in training_splits(name, data_dir):
            found.update({comparison_key(row.text): row.text for row in load_rows(name, split, data_dir)})
    return list(found.values())


@torch.no_grad()
def make_variants(
    checkpoint: Path, texts: Sequence[str], each: int, share: float, device: torch.device, seed: int
) -> list[Variant]:
    """Variants of texts: a share of the words hidden, and drawn anew by a masked language model.

    Args:
        checkpoint: written by `training.scratch.pretrain`.
        texts: row N gives variants of origin N.
        each: variants a text; some come out as the text itself and are left out.
        share: of the words, 0 to 1.
        device: where the model runs.
        seed: of the draws.
    """
    tokenizer = load_tokenizer(str(checkpoint))
    model: Any = AutoModelForMaskedLM.from_pretrained(checkpoint).to(device).eval()
    pieces = WordPieces.of(tokenizer, device)
    generator = torch.Generator(device).manual_seed(seed)
    tokenizer.enable_truncation(MAX_LENGTH)
    rows = [(index, encoding.ids) for index, encoding in enumerate(tokenizer.encode_batch(list(texts)))] * each
    rows.sort(key=lambda row: len(row[1]))
    made: dict[tuple[int, str], None] = {}
    for start in tqdm(range(0, len(rows), 256), desc="variants", mininterval=10):
        batch = rows[start : start + 256]
        longest = len(batch[-1][1])
        ids = torch.tensor([row + [pieces.pad_id] * (longest - len(row)) for _, row in batch], device=device)
        _, labels = mask_whole_words(ids, pieces, share, generator)
        hidden = labels != IGNORED
        seen = torch.where(hidden, pieces.mask_id, ids)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
            logits = model(input_ids=seen, attention_mask=(ids != pieces.pad_id).long()).logits[hidden].float()
        logits[:, pieces.special] = -torch.inf
        # A word's first piece stays a first piece and its others stay others: words keep their bounds.
        logits[pieces.starts_word[ids[hidden]][:, None] != pieces.starts_word] = -torch.inf
        # The 40 likeliest pieces: rarer ones make words that are none.
        likeliest = logits.topk(min(40, logits.shape[1]), dim=-1)
        drawn = torch.multinomial(likeliest.values.softmax(-1), 1, generator=generator)
        seen[hidden] = likeliest.indices.gather(1, drawn).squeeze(1)
        decoded = tokenizer.decode_batch(
            [row[1 : len(own) - 1] for row, (_, own) in zip(seen.tolist(), batch, strict=True)]
        )
        for (origin, _), text in zip(batch, decoded, strict=True):
            if text and comparison_key(text) != comparison_key(texts[origin]):
                made[origin, text] = None
    return [Variant(origin, text) for origin, text in made]

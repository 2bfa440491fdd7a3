"""Let an ensemble answer for texts, labelled and not, from which a small encoder will learn.

    python -m training.scratch.teach --teachers runs/a runs/b --texts DIRECTORY \\
        --language-model CHECKPOINT --output runs/taught

Every fold has teachers of its own, which never saw the held-out rows: `--teachers` are run directories of
`training.scratch.multitask --cross-validate`, and a linear model of character n-grams is one more. The output
is a run directory too, whose out-of-fold predictions are the ensemble's. Next: `training.scratch.distill`.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from training.common.command import TrainingError, command_parser, run_command
from training.data.cleaning.decontamination import without
from training.data.cleaning.texts import key
from training.data.rows.examples import Example, targets
from training.data.rows.loading import load_source
from training.data.splits.folds import FOLDS, train_and_held_out
from training.encoder.classifier import load_classifier
from training.encoder.tokenizer import load_tokenizer, special_ids
from training.runs.cross_validation import checkpoint_directory, cross_validate
from training.scratch.fitting.fit import TokenTable, logits_of, sigmoid
from training.scratch.flags import add_run_flags, begun_folds, run_device
from training.scratch.multitask import AUXILIARY
from training.scratch.teachers.lexical import other_labels, train_lexical
from training.scratch.teachers.soft_targets import SoftTargets
from training.scratch.teachers.transfer import Variant, dataset_texts, sentences, variants

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class TeachingRecipe:
    """The settings of a teaching run; they end up on the card."""

    teachers: tuple[str, ...]
    lexical_weight: float
    sentences: int
    sentence_pool: int
    variants: int
    variant_share: float
    seed: int


@dataclass(frozen=True)
class Pool:
    """Texts without labels, the same for all folds; a variant's origin is a row of CEDR train."""

    sentences: list[str]
    datasets: list[str]
    variants: list[Variant]


def checkpoint_of(run: Path, fold: int) -> Path:
    """The checkpoint of a cross-validated run that never saw a fold.

    Raises:
        TrainingError: it is not there.
    """
    directory = checkpoint_directory(run, fold)
    if not (directory / "config.json").is_file():
        raise TrainingError(f"{directory} holds no checkpoint: train {run} with --cross-validate")
    return directory


def encoder_logits(checkpoint: Path, texts: Sequence[str], device: torch.device) -> Floats:
    """A checkpoint's logits, float32 `[texts, 6]`."""
    tokenizer = load_tokenizer(str(checkpoint))
    model = load_classifier(str(checkpoint)).to(device)
    pad_id, _ = special_ids(tokenizer, model.config)
    return logits_of(model, TokenTable.of(texts, tokenizer, pad_id, device))


def choose(texts: Sequence[str], probabilities: Floats, count: int, seed: int) -> list[str]:
    """A sample in which texts that seem to carry an emotion are far more frequent than among all texts."""
    # Column 0 is no_emotion. The constant keeps texts in that seem to carry none.
    interest = 0.05 + probabilities[:, 1:].max(axis=1)
    # The largest of u^(1/w): a weighted sample without replacement (Efraimidis and Spirakis, 2006).
    order = np.argsort(-np.log(np.random.default_rng(seed).random(len(texts))) / interest)
    return [texts[index] for index in order[:count]]


class Teachers:
    """An ensemble for every fold, and the texts it answers for."""

    def __init__(
        self, recipe: TeachingRecipe, pool: Pool, output: Path, data_dir: Path | None, device: torch.device
    ) -> None:
        self._recipe, self._pool, self._output, self._data_dir = recipe, pool, output, data_dir
        self._device = device
        self._cedr = [key(example.text) for example in load_source("cedr", "train", data_dir)]

    def teach_fold(self, fold: int) -> Floats:
        """Answer for a fold's texts and keep the answers; the ensemble's probabilities for the held-out rows."""
        recipe = self._recipe
        train, examples = train_and_held_out("cedr", fold, self._data_dir)
        held_out = [example.text for example in examples]
        texts = [example.text for example in train] + self._unlabelled(fold, train, held_out)
        asked = texts + held_out
        checkpoints = [checkpoint_of(Path(run), fold) for run in recipe.teachers]
        logits = np.mean([encoder_logits(checkpoint, asked, self._device) for checkpoint in checkpoints], axis=0)
        if recipe.lexical_weight:
            others = [other_labels(name, held_out, self._data_dir) for name in AUXILIARY]
            said = train_lexical(train, others).logits(asked)
            logits = (1 - recipe.lexical_weight) * logits + recipe.lexical_weight * said
        probabilities = sigmoid(logits)
        SoftTargets(texts, probabilities[: len(texts)], targets(train)).save(self._output, fold)
        return probabilities[len(texts) :]

    def _unlabelled(self, fold: int, train: list[Example], held_out: list[str]) -> list[str]:
        """Texts that are neither held out, nor like one that is, nor made from one."""
        recipe, pool = self._recipe, self._pool
        trained = {key(example.text) for example in train}
        texts = [variant.text for variant in pool.variants if self._cedr[variant.origin] in trained]
        first = encoder_logits(checkpoint_of(Path(recipe.teachers[0]), fold), pool.sentences, self._device)
        texts += pool.datasets + choose(pool.sentences, sigmoid(first), recipe.sentences, recipe.seed)
        return without(texts, held_out)


def gather_pool(arguments: argparse.Namespace, device: torch.device) -> Pool:
    """The texts without labels, as the flags say."""
    made: list[Variant] = []
    if arguments.language_model is not None:
        cedr = [example.text for example in load_source("cedr", "train", arguments.data_dir)]
        made = variants(
            arguments.language_model, cedr, arguments.variants, arguments.variant_share, device, arguments.seed
        )  # fmt: skip
    pool = Pool(
        sentences(arguments.texts, arguments.sentence_pool, arguments.seed),
        dataset_texts(AUXILIARY, arguments.data_dir), made,
    )  # fmt: skip
    print(
        f"{len(pool.sentences):,} sentences, {len(pool.datasets):,} texts of data sets, {len(made):,} variants",
        flush=True,
    )
    return pool


def _arguments() -> argparse.Namespace:
    parser = command_parser("training.scratch.teach", __doc__)
    parser.add_argument(
        "--teachers", nargs="+", type=Path, required=True,
        help="cross-validated run directories; the first chooses the sentences",
    )  # fmt: skip
    parser.add_argument(
        "--lexical-weight", type=float, default=0.35, help="of the linear model among the teachers (%(default)s)"
    )
    parser.add_argument("--texts", type=Path, required=True, help="directory of .txt and .txt.xz, a passage a line")
    parser.add_argument("--sentences", type=int, default=150_000, help="sentences of them used (default: %(default)s)")
    parser.add_argument("--sentence-pool", type=int, default=500_000, help="chosen from so many (default: %(default)s)")
    parser.add_argument(
        "--language-model",
        type=Path,
        help="checkpoint of training.scratch.pretrain that makes variants (default: no variants)",
    )
    parser.add_argument("--variants", type=int, default=12, help="variants a CEDR row (default: %(default)s)")
    parser.add_argument("--variant-share", type=float, default=0.3, help="of words replaced (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    add_run_flags(parser)
    return parser.parse_args()


def main() -> None:
    """Ask the teachers, and leave their answers."""
    arguments = _arguments()
    if not 0 <= arguments.lexical_weight < 1 or not 0 < arguments.variant_share < 1:
        raise TrainingError("--lexical-weight and --variant-share are shares between 0 and 1")
    for run in arguments.teachers:
        for fold in range(FOLDS) if arguments.cross_validate else [arguments.fold or 0]:
            checkpoint_of(run, fold)
    recipe = TeachingRecipe(
        tuple(map(str, arguments.teachers)), arguments.lexical_weight, arguments.sentences, arguments.sentence_pool,
        arguments.variants if arguments.language_model else 0, arguments.variant_share, arguments.seed,
    )  # fmt: skip
    folds = begun_folds(arguments, asdict(recipe))
    device = run_device()
    teachers = Teachers(recipe, gather_pool(arguments, device), arguments.output, arguments.data_dir, device)
    about: dict[str, Any] = asdict(recipe)
    cross_validate(teachers.teach_fold, folds, arguments.output, arguments.data_dir, about)


if __name__ == "__main__":
    run_command(main)

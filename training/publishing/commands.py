"""`list`, `rollback` and `prune`: what a person does with versions that are there already."""

import sys
from argparse import ArgumentParser
from pathlib import Path

from contract.version_directory import GPU_GRAPH, CardError, read_card
from training.command import TrainingError, command_parser
from training.integrity import damage
from training.publishing.versions import prune, roll_back, versions_of
from training.triton_config import VERSIONS_SERVED


def _parser(name: str, description: str) -> ArgumentParser:
    parser = command_parser(f"training.publish {name}", description)
    parser.add_argument("--repository", type=Path, default=Path("model_repository"), help="default: %(default)s")
    return parser


def list_versions(arguments: list[str]) -> None:
    """Print what there is; with --verify, fail if something of it is damaged."""
    parser = _parser("list", "The versions in a repository, newest first: Triton serves the first two of each model.")
    parser.add_argument("--model", help="this model only (default: all)")
    parser.add_argument("--verify", action="store_true", help="check every file against its SHA-256; damage fails")
    given = parser.parse_args(arguments)
    models = [given.model] if given.model else _models(given.repository)
    damaged = 0
    for model in models:
        versions = versions_of(given.repository / model)
        if not versions:
            raise TrainingError(f"{given.repository} holds no version of a model {model!r}")
        for place, directory in enumerate(reversed(versions)):
            served = "served" if place < VERSIONS_SERVED else ""
            print(f"{model:20} {directory.name:>4}  {served:6}  {_described(directory)}")
            wrong = damage(directory) if given.verify else []
            damaged += bool(wrong)
            for sentence in wrong:
                print(f"{'':26}  damaged: {sentence}")
    if damaged:
        raise TrainingError(f"{damaged} versions are damaged: publish them again, or restore their files")
    if given.verify:
        print("every file is what its card says")


def _models(repository: Path) -> list[str]:
    if not repository.is_dir():
        raise TrainingError(f"{repository} does not exist: name the model repository with --repository")
    models = sorted(path.name for path in repository.iterdir() if versions_of(path))
    if not models:
        raise TrainingError(f"{repository} holds no model versions")
    return models


def _described(directory: Path) -> str:
    try:
        card = read_card(directory)
    except CardError as error:
        return f"no card: {error}"
    parts = [f"{card.published:%Y-%m-%d %H:%M} UTC" if card.published else "undated"]
    means = [
        figures["mean"] for split, figures in card.metrics.items() if split.startswith("dev") and "mean" in figures
    ]
    if means:
        parts.append(f"dev ROC AUC {means[0]['roc_auc']:.4f}, F1 {means[0]['f1_macro']:.4f}")
    size = sum(path.stat().st_size for path in directory.iterdir())
    parts.append(f"{size / 1e6:.0f} MB {'with' if (directory / GPU_GRAPH).exists() else 'without'} GPU graph")
    if card.repeats:
        parts.append(f"repeats version {card.repeats}")
    return "; ".join([*parts, card.base_model])


def rollback_command(arguments: list[str]) -> None:
    """Publish an older version again."""
    parser = _parser(
        "rollback", "Publish an older version again, under a new number: it answers by default once Triton has it."
    )
    parser.add_argument("--model", required=True, help="such as emotion_rubert")
    parser.add_argument("--to", required=True, metavar="VERSION", help="the version to go back to")
    given = parser.parse_args(arguments)
    print(f"published {roll_back(given.repository, given.model, given.to)}, which repeats version {given.to}")


def prune_command(arguments: list[str]) -> None:
    """Remove old versions."""
    parser = _parser("prune", "Remove old versions for good. The newest two whole ones always stay.")
    parser.add_argument("--model", required=True, help="such as emotion_rubert")
    parser.add_argument(
        "--keep", type=int, default=VERSIONS_SERVED, help="newest versions to keep, at least 2 (default: %(default)s)"
    )
    given = parser.parse_args(arguments)
    for directory in prune(given.repository, given.model, given.keep):
        print(f"removed {directory}")
    sys.stdout.flush()
    print(f"kept {', '.join(path.name for path in versions_of(given.repository / given.model))}")

"""Write the newest version of each model as a checkpoint that transformers loads, to fine-tune from.

    python -m training.export.checkpoints --output build/checkpoints
    python -m training.train --train-model --base-model build/checkpoints/emotion_rubert …

The weights are those of the committed CPU graphs, dequantised. Each directory says in its README.md how far its answers
are from the served ones.
"""

from pathlib import Path

from contract.version_directory import read_card, version_directories
from training.common.command import TrainingError, command_parser, run_command
from training.export.integrity import damage
from training.export.version_checkpoint import is_softmax, write_checkpoint


def main() -> None:
    """Go through a repository."""
    parser = command_parser("training.export.checkpoints", __doc__)
    parser.add_argument("--repository", type=Path, default=Path("model_repository"), help="default: %(default)s")
    parser.add_argument("--output", type=Path, default=Path("build/checkpoints"), help="default: %(default)s")
    given = parser.parse_args()
    versions = [path for path in version_directories(given.repository) if path.name.isdecimal()]
    newest = {version.parent.name: version for version in sorted(versions, key=lambda path: int(path.name))}
    if not newest:
        raise TrainingError(f"{given.repository} holds no version directories")
    for model, version in sorted(newest.items()):
        if not damage(version) and is_softmax(read_card(version)):
            print(f"left out {version}: it is a softmax model; start from what it was made from", flush=True)
            continue
        difference = write_checkpoint(version, given.output / model)
        print(
            f"wrote {given.output / model} from {version}: probabilities differ by {difference:.4f} on average",
            flush=True,
        )


if __name__ == "__main__":
    run_command(main)

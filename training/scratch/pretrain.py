"""Pre-train a small encoder from scratch on plain text, by masked language modelling.

    python -m training.scratch.pretrain --texts DIRECTORY --output CHECKPOINT

Whole words are masked, in blocks of packed passages. One GPU takes minutes. An interrupted run
goes on with --resume, and ends as it would have without the interruption.
"""

from training.common.command import run_command
from training.encoder.lookup import look_up
from training.runs.settings import read_settings
from training.runs.start import check_folder
from training.scratch.pretraining.settings import PretrainingSettings
from training.scratch.settings import check_texts


def main() -> None:
    """Train a tokenizer and an encoder and save both as a checkpoint."""
    settings = read_settings(PretrainingSettings, "training.scratch.pretrain", __doc__)
    check_folder(settings)
    check_texts(settings.texts)
    if settings.tokenizer is not None:
        look_up(str(settings.tokenizer))
    # Imported here: PyTorch takes seconds to load, and a mistake in the flags is told without it.
    from training.scratch.pretraining.run import run

    run(settings)


if __name__ == "__main__":
    run_command(main)

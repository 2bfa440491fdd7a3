"""What can be told of a run before PyTorch is loaded, and before a row is read: is all there that it begins with?"""

import tempfile

from training.common.command import TrainingError, main_process
from training.common.staging import explained
from training.data.rows.combinations import CEDR
from training.data.rows.loading import is_there, local_file
from training.encoder.lookup import look_up
from training.runs.record import check
from training.runs.settings import FoldSettings, RunSettings
from training.runs.tracking import check_tracking


def check_start(settings: FoldSettings, *checkpoints: str) -> None:
    """Whether a run that holds out folds can begin, as far as that is told in a moment; nothing is left behind.

    Args:
        settings: of the run.
        checkpoints: local directories or hub names that it needs.

    Raises:
        TrainingError: its folder, its data or a checkpoint does not allow it.
    """
    check_folder(settings)
    # Own rows were looked at when the flags were read.
    if settings.home == CEDR and settings.data_dir is not None and not is_there(CEDR, "train", settings.data_dir):
        raise TrainingError(
            f"{local_file(CEDR, 'train', settings.data_dir)} does not exist: name the right directory with"
            " --data-dir, or leave it out to load from the Hugging Face hub"
        )
    for checkpoint in checkpoints:
        look_up(checkpoint)


def check_folder(settings: RunSettings) -> None:
    """Whether a run may begin in its folder, or go on there, and whether the disk takes a file.

    Raises:
        TrainingError: it may not.
    """
    if not main_process():
        return
    check_tracking(settings)
    check(settings, {"recipe": settings.recipe})
    place = settings.folder
    while not place.is_dir():
        if place.exists() or place == place.parent:
            raise TrainingError(f"{place} is no directory: name another {settings.ELSEWHERE}")
        place = place.parent
    with explained(place), tempfile.TemporaryFile(dir=place) as file:
        file.write(bytes(2**20))

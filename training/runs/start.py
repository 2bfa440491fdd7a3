"""What can be told of a run before PyTorch is loaded, and before a row is read: is all there that it begins with?"""

import tempfile

from training.common.command import TrainingError, main_process
from training.common.staging import explained
from training.data.rows.combinations import CEDR
from training.data.rows.examples import rows_digest
from training.data.rows.loading import is_there, local_file
from training.data.rows.own import is_own, short_name
from training.data.splits.folds import held_out_fold
from training.encoder.lookup import look_up
from training.runs.learned import held_out_by, is_among, learned_by
from training.runs.record import check
from training.runs.settings import FoldSettings, RunSettings
from training.runs.tracking import check_tracking


def check_start(settings: FoldSettings, *checkpoints: str) -> None:
    """Whether a run that holds out folds can begin, as far as that is told in a moment; nothing is left behind.

    Args:
        settings: of the run.
        checkpoints: local directories or hub names that it needs.

    Raises:
        TrainingError: its folder, its data or a checkpoint does not allow it, or a checkpoint has seen rows that the
            run is to be measured on.
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
        _check_unseen(settings, checkpoint)


def _check_unseen(settings: FoldSettings, checkpoint: str) -> None:
    home = short_name(settings.home)
    if not is_among(home, learned_by(checkpoint)):
        return
    begin = f"{checkpoint} was trained on {home}, or what it was made from was"
    other = f". If these are other rows, give yours another name than {home}" if is_own(settings.home) else ""
    if list(settings.folds) != [0]:
        raise TrainingError(
            f"{begin}: with more folds held out than the first, figures and thresholds would come from rows that it has"
            f" seen. Start from what it was made from, or leave out --cross-validate{other}"
        )
    # CEDR's fold 0 is always the same. Own rows' is another one when there are more rows.
    if is_own(settings.home) and held_out_by(checkpoint).get(home) != rows_digest(
        held_out_fold(0, settings.data_dir, settings.home)
    ):
        raise TrainingError(
            f"{begin}, and not known to have held out the rows that are fold 0 of {home} now: figures would come from"
            f" rows that it has seen. Start from what it was made from{other}"
        )


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

"""That a text of which nothing is known is no emotion."""

from typing import Final

import onnxruntime
from tokenizers import Tokenizer

from contract.labels import EMOTIONS
from training.common.command import TrainingError
from training.export.gate.checks import rounded
from training.export.graphs.runtime import Ids, run

UNKNOWN_SIGN: Final = "\U000f0000"
"""Of the private use of others: no vocabulary has it."""
MOST_SIGNS: Final = 8


def unknown_rows(tokenizer: Tokenizer, unk_id: int) -> list[Ids]:
    """Token ids of texts of one to eight unknown signs, as a client's text gives them; none if all is known to it."""
    rows = [tokenizer.encode(" ".join([UNKNOWN_SIGN] * count)).ids for count in range(1, MOST_SIGNS + 1)]
    return [row for row in rows if unk_id in row]


def check_unknown_texts(name: str, graph: onnxruntime.InferenceSession, rows: list[Ids]) -> dict[str, float]:
    """That no emotion is the most probable label of each; returns the least it has there, and the most of the others.

    Raises:
        TrainingError: another label is more probable.
    """
    if not rows:
        return {}
    answers = run(graph, rows)
    for count, answer in enumerate(answers, 1):
        top = EMOTIONS[int(answer.argmax())]
        if top != "no_emotion":
            raise TrainingError(
                f"{name}: a text of {count} unknown sign{'s' if count > 1 else ''} and nothing else is {top}"
                f" ({answer.max():.2f}), not no_emotion: train with such texts, which --dataset written has"
            )
    return {"no_emotion_at_least": rounded(answers[:, 0].min()), "others_at_most": rounded(answers[:, 1:].max())}

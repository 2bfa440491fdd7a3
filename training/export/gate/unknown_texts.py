"""That a text of which nothing is known is no emotion."""

import onnxruntime
from tokenizers import Tokenizer

from contract.labels import EMOTIONS
from training.common.command import TrainingError
from training.encoder.unknown_signs import unknown_texts
from training.export.gate.checks import rounded
from training.export.graphs.runtime import Ids, run


class UnknownTextError(TrainingError):
    """A text of which nothing is known is given an emotion."""


def unknown_rows(tokenizer: Tokenizer, unk_id: int) -> list[Ids]:
    """Token ids of texts of unknown signs, as a client's text gives them; none if a tokenizer knows every sign."""
    rows = [tokenizer.encode(text).ids for text in unknown_texts()]
    return [row for row in rows if unk_id in row]


def check_unknown_texts(name: str, graph: onnxruntime.InferenceSession, rows: list[Ids]) -> dict[str, float]:
    """That no emotion is the most probable label of each; returns the least it has there, and the most of the others.

    Raises:
        UnknownTextError: another label is more probable.
    """
    if not rows:
        return {}
    answers = run(graph, rows)
    for count, answer in enumerate(answers, 1):
        top = EMOTIONS[int(answer.argmax())]
        if top != "no_emotion":
            raise UnknownTextError(
                f"{name}: a text of {count} unknown sign{'s' if count > 1 else ''} and nothing else is {top}"
                f" ({answer.max():.2f}), not no_emotion: fine-tune it with this version of the project,"
                " which adds such texts, or add them to the rows yourself"
            )
    return {"no_emotion_at_least": rounded(answers[:, 0].min()), "others_at_most": rounded(answers[:, 1:].max())}

"""Two protocols that clients exist for: text-embeddings-inference's, and the Hugging Face Inference API's.

Both classify with the default model and answer labels with scores, most probable first;
neither knows of models, versions or thresholds.
"""

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from contract.labels import EMOTIONS
from gateway.inference.query import Query

TEXT: Final = "<text>"
TEXTS: Final = "<texts>"
SEQUENCES: Final = "<sequences>"
INPUT_KINDS: Final = frozenset({TEXT, TEXTS, SEQUENCES})
"""Names of the forms that `inputs` takes; they show up in pydantic's locations, and in no pointer."""

_SMALLEST: Final = 1e-7
"""Sigmoids in FP32 reach 0 and 1, whose logits JSON can't hold."""


def _input_kind(value: Any) -> str | None:
    if isinstance(value, str):
        return TEXT
    if isinstance(value, list):
        return SEQUENCES if value and isinstance(value[0], list) else TEXTS
    return None


_BY_KIND: Final = Discriminator(
    _input_kind, custom_error_type="inputs", custom_error_message="must be a string or a list of strings"
)
_Text = Annotated[str, Tag(TEXT)]
_Texts = Annotated[list[str], Field(min_length=1), Tag(TEXTS)]
# A list for each text: text-embeddings-inference's form of a batch.
_Sequences = Annotated[
    list[Annotated[list[str], Field(min_length=1, max_length=1)]], Field(min_length=1), Tag(SEQUENCES)
]


_Inputs = Annotated[_Text | _Texts, _BY_KIND]
_InputsOrSequences = Annotated[_Text | _Texts | _Sequences, _BY_KIND]


class Strict(BaseModel):
    """A request of another service's protocol."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class PredictRequest(Strict):
    """text-embeddings-inference's classification request."""

    inputs: _InputsOrSequences = Field(description="one text, or several")
    truncate: bool | None = Field(
        None,
        description="cut a text that is longer than the model takes; false makes it an error",
    )
    truncation_direction: Literal["Right", "right"] | None = Field(
        None, description="which end of such a text is cut: here always the right one"
    )
    raw_scores: bool | None = Field(None, description="true: logits in place of probabilities")

    def query(self) -> Query:
        """The texts, and how to read them."""
        truncate = self.truncate is not False
        if isinstance(self.inputs, str):
            return Query([self.inputs], "#/inputs", truncate=truncate)
        texts = [row if isinstance(row, str) else row[0] for row in self.inputs]
        nested = not isinstance(self.inputs[0], str)
        return Query(texts, "#/inputs/{}/0" if nested else "#/inputs/{}", truncate=truncate)


def _to_whole_number(value: Any) -> Any:
    # To JSON, 3.0 is a whole number like 3.
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Parameters(Strict):
    """What the Inference API's task lets a client choose."""

    top_k: Annotated[int | None, BeforeValidator(_to_whole_number)] = Field(
        default=None, ge=1, description="labels to answer, of the six; all if left out"
    )
    function_to_apply: Literal["sigmoid", "softmax", "none"] | None = Field(
        default=None,
        description="what makes scores of logits: sigmoid, as in training, unless given",
    )


class Options(Strict):
    """What the Inference API's clients say about the service rather than the task; without effect here.

    The JavaScript client up to 3 always sends some, and what it is given for itself too.
    """

    use_cache: bool | None = None
    wait_for_model: bool | None = None
    use_gpu: bool | None = None
    dont_load_model: bool | None = None
    retry_on_error: bool | None = None
    include_credentials: bool | str | None = Field(None, alias="includeCredentials")
    task_hint: str | None = Field(None, alias="taskHint")
    signal: dict[str, Any] | None = None


class ClassificationRequest(Strict):
    """The Hugging Face Inference API's text-classification request."""

    inputs: _Inputs = Field(description="one text, or several")
    parameters: Parameters | None = None
    options: Options | None = None

    def query(self) -> Query:
        """The texts, and how to read them."""
        if isinstance(self.inputs, str):
            return Query([self.inputs], "#/inputs")
        return Query(self.inputs, "#/inputs/{}")


class Score(BaseModel):
    """One label of one text."""

    label: str
    score: float


def predict_scores(request: PredictRequest, probabilities: Sequence[Sequence[float]]) -> list[Any]:
    """text-embeddings-inference's answer: a list for one text, a list of lists for a list of texts."""
    rows = [_ranked(to_logits(row) if request.raw_scores else row) for row in probabilities]
    return rows[0] if isinstance(request.inputs, str) else rows


def classification_scores(
    request: ClassificationRequest, probabilities: Sequence[Sequence[float]]
) -> list[list[dict[str, Any]]]:
    """The Inference API's answer: always a list of lists."""
    parameters = request.parameters or Parameters()
    apply = _FUNCTIONS[parameters.function_to_apply or "sigmoid"]
    return [_ranked(apply(row))[: parameters.top_k] for row in probabilities]


def _ranked(scores: Sequence[float]) -> list[dict[str, Any]]:
    pairs = sorted(zip(EMOTIONS, scores, strict=True), key=lambda pair: -pair[1])
    return [{"label": label, "score": round(score, 6)} for label, score in pairs]


def _logit(probability: float) -> float:
    probability = min(max(probability, _SMALLEST), 1 - _SMALLEST)
    return math.log(probability / (1 - probability))


def _softmax(probabilities: Sequence[float]) -> list[float]:
    # A softmax over logits; exp(logit) is p / (1 - p).
    weights = [math.exp(_logit(probability)) for probability in probabilities]
    return [weight / sum(weights) for weight in weights]


def to_logits(probabilities: Sequence[float]) -> Sequence[float]:
    """What sigmoids were made of, to the precision that they let."""
    return [_logit(probability) for probability in probabilities]


_FUNCTIONS: Final[dict[str, Callable[[Sequence[float]], Sequence[float]]]] = {
    "sigmoid": lambda probabilities: probabilities,
    "softmax": _softmax,
    "none": to_logits,
}

"""What a client may send and what it gets: the JSON of every endpoint."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from contract.version_directory import Label, Probability, Profile
from gateway.inference.query import PartKind, Query
from gateway.telemetry.canary_metrics import Role

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class EmotionsRequest(BaseModel):
    """Texts, and how to judge them. A field that is null counts as left out."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    text: str | None = Field(None, description="one text; exactly one of `text` and `texts` is needed")
    texts: list[str] | None = Field(None, description="several texts, answered in this order", min_length=1)
    model: Name | None = Field(
        None,
        description="any served model, with or without `emotion_`; the gateway's default "
        "(`rubert` unless set otherwise) if left out",
    )
    version: Name | None = Field(
        None,
        description="the newest if left out; while that is on trial (`role` at `/v1/models`), the one before, and for "
        "a canary's share of the requests the newest all the same",
    )
    profile: Name | None = Field(
        None,
        description="whose thresholds pick `emotions`; `balanced` if neither this nor `threshold` is given",
    )
    threshold: float | None = Field(
        None,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="one threshold for all six emotions, in place of a profile's",
    )
    truncate: bool | None = Field(
        True,
        description="cut a text that is longer than the model takes; false makes it an error",
    )
    parts: PartKind | None = Field(
        None,
        description="read a text of any length in parts, and answer each: its `sentences`, or `windows`, as few "
        "stretches of tokens as the model can read one at a time. Nothing is cut off then. A sentence that is longer "
        "than the model takes becomes windows. All parts of all texts count as texts: `max_texts` is for them together",
    )

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        if (self.text is None) == (self.texts is None):
            raise ValueError("exactly one of text and texts is needed")
        if self.threshold is not None and self.profile is not None:
            raise ValueError("threshold and profile contradict each other: give one of them")
        return self

    def query(self) -> Query:
        """The texts, and with what to read them."""
        one = self.text is not None
        return Query(
            texts=[self.text] if self.text is not None else (self.texts or []),
            pointer="#/text" if one else "#/texts/{}",
            model=self.model,
            version=self.version,
            profile=self.profile,
            truncate=self.truncate is not False,
            parts=self.parts,
        )


class Emotion(BaseModel):
    """One emotion that passed its threshold."""

    emotion: str = Field(description="the English name, used as key everywhere")
    label: str = Field(description="the Russian name")
    probability: Probability


class _Found(BaseModel):
    """What was found in a text, or in a part of one."""

    emotion: str = Field(description="the most probable emotion")
    label: str = Field(description="its Russian name")
    probability: Probability = Field(description="its probability")
    emotions: list[Emotion] = Field(description="all that pass their thresholds, most probable first; may be empty")
    probabilities: dict[str, Probability] = Field(
        description="of all six; independent of each other, so they need not add up to 1"
    )
    tokens: int = Field(description="tokens the model read, special ones included")
    known: Probability = Field(
        description="share of the text's own tokens that the model knows; 0 for a text of unknown signs alone, "
        "and for one without tokens of its own: what is said of either is no finding"
    )


class Part(_Found):
    """One part's answer."""

    start: int = Field(
        ge=0,
        description="where the part begins in the text, counted in Unicode code points (not bytes or UTF-16 units)",
    )
    end: int = Field(ge=0, description="where it ends: the part is what lies from `start` to before `end`")


class Result(_Found):
    """One text's answer. With `parts`, its probabilities are the means over its parts."""

    truncated: bool = Field(description="whether the end of the text was cut off; never with `parts`")
    parts: list[Part] = Field(
        default_factory=list,
        description="there if the request asked for `parts`, in the order of the text; at least one. Between two parts "
        "there are but spaces",
    )


class EmotionsResponse(BaseModel):
    """The answer to `POST /v1/emotions`."""

    model: str = Field(description="the model that answered, by its name in Triton")
    version: str = Field(description="the version that answered; of two in shadow, the one whose answer this is")
    profile: str | None = Field(description="null if the request gave a threshold")
    results: list[Result] = Field(description="one per text, in the order of the texts")


class VersionDescription(BaseModel):
    """One version that answers."""

    version: str
    default: bool = Field(description="whether it answers requests that name no version")
    role: Role | None = Field(
        description="while the newest version is on trial: `canary` for it, if it answers a share of the requests that "
        "name no version, or `shadow`, if it is asked too and answers none; `default` for the version before; else null"
    )
    share: Probability = Field(description="of the requests that name no version, how many it answers")
    base_model: str
    max_length: int = Field(description="tokens a text may have, special ones included")
    max_batch_size: int = Field(description="rows Triton takes in one of its requests")
    profiles: dict[str, Profile]
    metrics: dict[str, dict[str, Any]] = Field(description="by the data they were measured on")
    licence: str


class ModelDescription(BaseModel):
    """One model."""

    model: str
    default: bool = Field(description="whether it answers requests that name no model")
    versions: list[VersionDescription] = Field(description="newest first")


class UnusableVersion(BaseModel):
    """Something Triton serves that the gateway can't use."""

    model: str
    version: str
    reason: str


class Limits(BaseModel):
    """What one request may have."""

    max_texts: int = Field(description="texts in one request, or parts of texts")
    max_characters: int = Field(description="characters in one text")
    max_body_bytes: int = Field(description="bytes in one request's body")
    max_in_flight: int = Field(description="requests answered at once")
    request_timeout_seconds: float


class ModelsResponse(BaseModel):
    """The answer to `GET /v1/models`."""

    labels: list[Label] = Field(description="the six emotions in both languages")
    limits: Limits
    models: list[ModelDescription]
    unusable: list[UnusableVersion]


class Health(BaseModel):
    """The answer of the health endpoints, when all is well."""

    status: str = Field(examples=["ok"])

"""vLLM's classification protocol, which NVIDIA Dynamo and SGLang speak too.

The shape is that of vLLM's `entrypoints/pooling/classify/protocol.py` (0.25): one label for each input, and its
probabilities in the order of the labels.
"""

import time
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, Discriminator, Field, Tag

from contract.labels import EMOTIONS
from gateway.api.protocols import TEXT, TEXTS, Strict, to_logits
from gateway.api.schemas import Name
from gateway.inference.query import Query
from gateway.inference.version_inference import InferenceResult

_DECIMALS: Final = 6


def _input_kind(value: Any) -> str | None:
    if isinstance(value, str):
        return TEXT
    # Of token ids none is text; other wrong items are named one by one.
    if isinstance(value, list) and not any(isinstance(item, int | list) for item in value):
        return TEXTS
    return None


_BY_KIND: Final = Discriminator(
    _input_kind,
    custom_error_type="input",
    custom_error_message="must be a string or a list of strings; token ids are not taken, for each version has a "
    "tokenizer of its own: send the text",
)


def _is_true(value: bool) -> bool:
    if not value:
        raise ValueError("must be true: every text gets them")
    return value


class ClassifyRequest(Strict):
    """vLLM's completion-style classification request; of its fields those that mean something here."""

    model: Name | None = Field(None, description="as in `/v1/emotions`; the gateway's default if left out")
    input: Annotated[
        Annotated[str, Tag(TEXT)] | Annotated[list[str], Field(min_length=1), Tag(TEXTS)],
        _BY_KIND,
    ] = Field(description="one text, or several; no token ids")
    user: str | None = Field(None, description="without effect")
    request_id: Name | None = Field(None, description="comes back in `id`")
    truncate_prompt_tokens: Literal[-1] | None = Field(
        None, description="-1 cuts a text that is longer than the model takes; left out, such a text is an error"
    )
    truncation_side: Literal["right"] | None = Field(None, description="which end of such a text is cut")
    # Not Literal[True], which takes 1 for true.
    add_special_tokens: Annotated[bool, AfterValidator(_is_true), Field(json_schema_extra={"const": True})] | None = (
        Field(None, description="they always are")
    )
    use_activation: bool | None = Field(
        None, description="false: logits in `probs`, in place of probabilities (sigmoids)"
    )
    priority: int | None = Field(None, ge=0, le=0, description="there is but one")

    def query(self) -> Query:
        """The texts, and how to read them."""
        one = isinstance(self.input, str)
        return Query(
            texts=[self.input] if isinstance(self.input, str) else self.input,
            pointer="#/input" if one else "#/input/{}",
            model=self.model,
            truncate=self.truncate_prompt_tokens == -1,
        )


class Classification(BaseModel):
    """One text's answer."""

    index: int = Field(description="which of the texts, from 0")
    label: str = Field(description="the most probable emotion")
    probs: list[float] = Field(
        description=f"of {', '.join(EMOTIONS)}, in this order; independent of each other, so they need not add up to 1"
    )
    num_classes: int = Field(examples=[len(EMOTIONS)])


class Usage(BaseModel):
    """Tokens, counted as vLLM does."""

    prompt_tokens: int = Field(description="tokens the model read, special ones included")
    total_tokens: int = Field(description="the same")
    completion_tokens: int = Field(description="always 0")
    prompt_tokens_details: None = None


class ClassifyResponse(BaseModel):
    """vLLM's answer."""

    id: str = Field(description="`classify-` and the request's `request_id`, or its X-Request-Id")
    object: Literal["list"]
    created: int = Field(description="when, in seconds since 1970")
    model: str = Field(description="the model that answered, by its name in Triton")
    data: list[Classification] = Field(description="one per text, in their order")
    usage: Usage


def classify_response(request: ClassifyRequest, result: InferenceResult, request_id: str) -> dict[str, Any]:
    """The answer, a `ClassifyResponse` as JSON.

    Args:
        request: answered.
        result: what the model made of it.
        request_id: for a request that names none.
    """
    tokens = sum(len(row.ids) for row in result.tokens)
    logits = request.use_activation is False
    return {
        "id": f"classify-{request.request_id or request_id}",
        "object": "list",
        "created": int(time.time()),
        "model": result.version.model,
        "data": [
            {
                "index": index,
                "label": EMOTIONS[max(range(len(EMOTIONS)), key=row.__getitem__)],
                "probs": [round(number, _DECIMALS) for number in (to_logits(row) if logits else row)],
                "num_classes": len(EMOTIONS),
            }
            for index, row in enumerate(result.probabilities)
        ],
        "usage": {
            "prompt_tokens": tokens,
            "total_tokens": tokens,
            "completion_tokens": 0,
            "prompt_tokens_details": None,
        },
    }

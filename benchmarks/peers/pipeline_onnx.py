"""transformers' text-classification pipeline over ONNX Runtime, behind FastAPI.

    python -m uvicorn benchmarks.peers.pipeline_onnx:app

Reads the padded export of `PeerSettings.graph`'s directory.
"""

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from optimum.onnxruntime import ORTModelForSequenceClassification
from pydantic import BaseModel
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast, pipeline

from benchmarks.peers.classifier import PeerSettings, answer_of

app = FastAPI()
_settings = PeerSettings.read()
_graph = Path(_settings.graph)
_tokens = Tokenizer.from_file(_settings.tokenizer)
_tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=_tokens,
    model_max_length=_settings.max_length,
    pad_token=_tokens.id_to_token(_settings.pad_id),
)
_pipeline = pipeline(
    "text-classification",
    model=ORTModelForSequenceClassification.from_pretrained(_graph.parent, file_name=_graph.name),
    tokenizer=_tokenizer,
    top_k=None,
    function_to_apply="sigmoid",
)


class Texts(BaseModel):
    """A request's body."""

    text: str | None = None
    texts: list[str] | None = None


@app.post("/predict")
def predict(request: Texts) -> dict[str, Any]:
    """Probabilities of one or several texts."""
    texts = [request.text] if request.texts is None else request.texts
    found = _pipeline(texts, truncation=True, padding=True, batch_size=len(texts))
    return answer_of([{one["label"]: round(one["score"], 6) for one in scores} for scores in found])


@app.get("/health")
def health() -> dict[str, str]:
    """That it listens."""
    return {"status": "ok"}

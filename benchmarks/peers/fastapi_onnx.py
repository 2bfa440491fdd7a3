"""FastAPI with ONNX Runtime in the same process: what a good engineer writes in an afternoon.

    python -m uvicorn benchmarks.peers.fastapi_onnx:app --workers 2

The handler computes on the event loop: with one worker for each core nothing is gained by another thread.
"""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from benchmarks.peers.classifier import Classifier, PeerSettings, answer_of, texts_of

app = FastAPI()
_classify = Classifier(PeerSettings.read())


@app.post("/predict")
async def predict(request: Request) -> JSONResponse:
    """Probabilities of one or several texts."""
    body: dict[str, Any] = await request.json()
    return JSONResponse(answer_of(_classify(texts_of(body))))


@app.get("/health")
async def health() -> dict[str, str]:
    """That it listens."""
    return {"status": "ok"}

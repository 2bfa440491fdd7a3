"""Texts to probabilities with ONNX Runtime in process: what the FastAPI and the LitServe peer share."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True)
class PeerSettings:
    """What a peer serves: paths, the model's facts, and ONNX Runtime's threads in each worker."""

    graph: str
    tokenizer: str
    max_length: int
    pad_id: int
    labels: list[str]
    threads: int

    @classmethod
    def read(cls) -> Self:
        """From the variable EMOTION_PEER, as JSON."""
        return cls(**json.loads(os.environ["EMOTION_PEER"]))


class Classifier:
    """A graph and its tokenizer, with padded batches or, if the graph takes `item_shape`, without padding."""

    def __init__(self, settings: PeerSettings) -> None:
        import onnxruntime  # here, because whoever starts a peer reads its settings alone

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = settings.threads
        self._session = onnxruntime.InferenceSession(settings.graph, options, providers=["CPUExecutionProvider"])
        self._inputs = {one.name for one in self._session.get_inputs()}
        self._tokenizer = Tokenizer.from_file(settings.tokenizer)
        self._tokenizer.enable_truncation(settings.max_length)
        if "item_shape" in self._inputs:
            self._tokenizer.no_padding()
        else:
            self._tokenizer.enable_padding(pad_id=settings.pad_id)
        self._labels = settings.labels

    def __call__(self, texts: Sequence[str]) -> list[dict[str, float]]:
        """Each text's probabilities by label."""
        return [dict(zip(self._labels, row, strict=True)) for row in self._probabilities(texts).round(6).tolist()]

    def _probabilities(self, texts: Sequence[str]) -> Probabilities:
        encodings = self._tokenizer.encode_batch_fast(list(texts))
        answer: Probabilities
        if "item_shape" in self._inputs:
            ids = np.array([token for encoding in encodings for token in encoding.ids], dtype=np.int64)
            lengths = np.array([[len(encoding.ids)] for encoding in encodings], dtype=np.int32)
            answer = self._session.run(None, {"input_ids": ids, "item_shape": lengths})[0]
            return answer
        feeds = {
            "input_ids": np.array([encoding.ids for encoding in encodings], dtype=np.int64),
            "attention_mask": np.array([encoding.attention_mask for encoding in encodings], dtype=np.int64),
            "token_type_ids": np.array([encoding.type_ids for encoding in encodings], dtype=np.int64),
        }
        logits = self._session.run(None, feeds)[0]
        answer = 1 / (1 + np.exp(-logits))
        return answer


def texts_of(request: dict[str, Any]) -> list[str]:
    """The texts of a request's body."""
    return [request["text"]] if "text" in request else list(request["texts"])


def answer_of(probabilities: Sequence[dict[str, float]]) -> dict[str, Any]:
    """The answer's body: for each text the most probable label, and all probabilities."""
    return {"results": [{"emotion": max(one, key=one.__getitem__), "probabilities": one} for one in probabilities]}

"""LitServe with its dynamic batching over ONNX Runtime.

python -m benchmarks.peers.litserve_onnx PORT WORKERS
"""

import sys
from typing import Any

import litserve

from benchmarks.peers.classifier import Classifier, PeerSettings, answer_of, texts_of

_BATCH = 16
_BATCH_SECONDS = 0.002
_LARGEST_RUN = 32


class EmotionApi(litserve.LitAPI):
    """One request's texts stay together; the texts of a batch of requests are computed together."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe's signature
        """Load the graph in the worker."""
        self._classify = Classifier(PeerSettings.read())

    def decode_request(self, request: dict[str, Any]) -> list[str]:
        """The texts."""
        return texts_of(request)

    def batch(self, inputs: list[list[str]]) -> list[list[str]]:
        """Requests as they are: their sizes may differ."""
        return inputs

    def predict(self, requests: list[list[str]]) -> list[list[dict[str, float]]]:
        """Each request's probabilities; what is more than a batch is cut, or padding would take gigabytes."""
        flat = [text for texts in requests for text in texts]
        starts = range(0, len(flat), _LARGEST_RUN)
        found = iter([one for start in starts for one in self._classify(flat[start : start + _LARGEST_RUN])])
        return [[next(found) for _ in texts] for texts in requests]

    def unbatch(self, output: list[list[dict[str, float]]]) -> list[list[dict[str, float]]]:
        """One entry for each request already."""
        return output

    def encode_response(self, output: list[dict[str, float]]) -> dict[str, Any]:
        """The answer's body."""
        return answer_of(output)


if __name__ == "__main__":
    port, workers = map(int, sys.argv[1:])
    server = litserve.LitServer(
        EmotionApi(max_batch_size=_BATCH, batch_timeout=_BATCH_SECONDS), accelerator="cpu", workers_per_device=workers
    )
    server.run(host="127.0.0.1", port=port, num_api_servers=1, generate_client_file=False, log_level="warning")

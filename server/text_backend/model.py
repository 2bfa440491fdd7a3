"""What Triton loads: one instance of one version of a text model."""

import itertools
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import triton_python_backend_utils as pb_utils  # type: ignore[import-not-found]

from server import triton_tensors
from server.text_backend.reading import Row, TextError, TextReader, padded
from server.text_backend.strings import repair_strings
from server.text_backend.version import VersionError, read_version

INPUT_IDS: Final = "input_ids"
PROBABILITIES: Final = "probabilities"
KNOWN: Final = "known"
_WAIT_SECONDS: Final = 30.0
"""For the model's version of the same number to be loaded, before this one is served."""
_LOOK_SECONDS: Final = 0.1
_STARTING: Final = "Server not ready"
"""What Triton answers, and to everybody, while it loads what it found at its start."""
_NOT_READY: Final = "not ready"


class ModelError(Exception):
    """The model that is asked did not answer; has the code for the clients."""

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence)
        self.code = code


class TritonPythonModel:
    """A text model in Triton, under the interface of its Python backend."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the version's tokenizer.

        Raises:
            TritonModelException: the version can't be used; says why.
        """
        repair_strings()
        config = json.loads(args["model_config"])
        parameters = {key: value["string_value"] for key, value in config["parameters"].items()}
        self._model, self._version = parameters["model"], int(args["model_version"])
        self._asked = f"{self._model} version {self._version}"
        self._labels = int(pb_utils.get_output_config_by_name(config, PROBABILITIES)["dims"][0])
        directory = Path(args["model_repository"]) / args["model_version"]
        try:
            # Triton may have been shown a link: errors are to name the file that somebody can mend.
            version = read_version(directory.resolve())
        except VersionError as error:
            raise pb_utils.TritonModelException(str(error)) from None
        self._pad_id = version.pad_id
        self._reader = TextReader(version, int(parameters["max_characters"]))
        self._is_served = False

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer a batch of requests, each with its response or its own error."""
        texts = [self._texts(request) for request in requests]
        rows = self._rows(texts)
        good = [row for of_request in rows if not isinstance(of_request, TextError) for row in of_request]
        try:
            probabilities: Any = self._probabilities(good) if good else ()
        except ModelError as error:
            return [_error_response(each if isinstance(each, TextError) else error) for each in rows]
        self._is_served = True
        known = np.array([[row.known] for row in good], np.float32)
        responses, start = [], 0
        for request, of_request in zip(requests, rows, strict=True):
            if isinstance(of_request, TextError):
                responses.append(_error_response(of_request))
                continue
            end = start + len(of_request)
            responses.append(_response(request, {PROBABILITIES: probabilities[start:end], KNOWN: known[start:end]}))
            start = end
        return responses

    def _texts(self, request: Any) -> list[str] | TextError:
        elements = request.inputs()[0].as_numpy().reshape(-1).tolist()
        try:
            # Triton's own first request, for the warm-up, is empty.
            return self._reader.decode(elements, may_be_empty=not self._is_served)
        except TextError as error:
            return error

    def _rows(self, texts: Sequence[list[str] | TextError]) -> list[list[Row] | TextError]:
        """Each request's rows: all tokenized at once, and if that fails request by request."""
        together = [text for of_request in texts if not isinstance(of_request, TextError) for text in of_request]
        try:
            rows = iter(self._reader.rows(together))
        except TextError as error:
            if len(texts) == 1:
                return [error]
            return [each for of_request in texts for each in self._rows([of_request])]
        return [
            of_request if isinstance(of_request, TextError) else list(itertools.islice(rows, len(of_request)))
            for of_request in texts
        ]

    def _probabilities(self, rows: Sequence[Row]) -> Any:
        """Ask the model's version of the same number; `[rows, labels]`.

        Raises:
            ModelError: it does not answer.
        """
        ids = padded(rows, self._pad_id)
        if not self._is_served:
            return self._warm_up(ids)
        found = self._ask(ids)
        if not np.isfinite(found).all():
            # In NVIDIA's backend another client's row without tokens leaves not-a-number in those behind it.
            found = self._ask(ids)
        if not np.isfinite(found).all():
            raise ModelError(
                f"{self._asked} answered twice with what is no number: try again", pb_utils.TritonError.UNAVAILABLE
            )
        return found

    def _warm_up(self, ids: Any) -> Any:
        """Wait until the version that will be asked answers: of a new one Triton may have loaded this first.

        Triton serves this version when its warm-up is over. One that fails ends tritonserver 2.51 now and then, so
        this one never does: requests get the error, if there still is one.
        """
        give_up_at = time.monotonic() + _WAIT_SECONDS
        while True:
            try:
                return self._ask(ids)
            except ModelError as error:
                # While Triton starts it answers nobody, this one neither.
                if _STARTING in str(error) or time.monotonic() > give_up_at:
                    pb_utils.Logger.log_info(f"warmed up without an answer: {error}")
                    return np.zeros((len(ids), self._labels), np.float32)
            time.sleep(_LOOK_SECONDS)

    def _ask(self, ids: Any) -> Any:
        asked = pb_utils.InferenceRequest(
            model_name=self._model,
            model_version=self._version,
            requested_output_names=[PROBABILITIES],
            inputs=[triton_tensors.answer(INPUT_IDS, ids)],
        )
        response = asked.exec()
        if response.has_error():
            error = response.error()
            # Of a version that is not there Triton says INTERNAL.
            code = pb_utils.TritonError.UNAVAILABLE if _NOT_READY in error.message() else error.code()
            raise ModelError(f"{self._asked} does not answer: {error.message()}", code)
        return np.array(triton_tensors.read(response.output_tensors()[0]))  # a copy: the tensor ends with the response


def _response(request: Any, outputs: Mapping[str, Any]) -> Any:
    wanted = request.requested_output_names()
    return pb_utils.InferenceResponse(
        [triton_tensors.answer(name, array) for name, array in outputs.items() if not wanted or name in wanted]
    )


def _error_response(error: Exception) -> Any:
    code = error.code if isinstance(error, ModelError) else pb_utils.TritonError.INVALID_ARG
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), code))

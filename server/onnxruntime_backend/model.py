"""What Triton loads: one instance of one model version."""

import json
import os
from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb_utils  # type: ignore[import-not-found]

from server import triton_tensors as tensors
from server.onnxruntime_backend.batching import (
    Array,
    Shape,
    item_shapes,
    join_ragged,
    join_rows,
    refused_for_empty_rows,
    split_rows,
)
from server.onnxruntime_backend.configuration import ConfigurationError, read_configuration
from server.onnxruntime_backend.graph_check import check_graph
from server.onnxruntime_backend.session import (
    open_session,
    run_options,
    unknown_parameters,
)


class TritonPythonModel:
    """An ONNX model in Triton, under the interface of its Python backend."""

    @staticmethod
    def auto_complete_config(config: Any) -> Any:
        """Refuse, before any instance starts, a configuration that asks for what this backend doesn't have.

        Triton calls it for every model, to have configurations completed; nothing is completed here.

        Raises:
            TritonModelException: says what is not supported, and what to do.
        """
        try:
            read_configuration(config.as_dict())
        except ConfigurationError as error:
            raise pb_utils.TritonModelException(str(error)) from None
        return config

    def initialize(self, args: dict[str, str]) -> None:
        """Open the session and check it against the configuration.

        Raises:
            TritonModelException: the model can't be served as configured; says why.
        """
        try:
            self._load(args)
        except ConfigurationError as error:
            raise pb_utils.TritonModelException(str(error)) from None

    def _load(self, args: dict[str, str]) -> None:
        config = read_configuration(json.loads(args["model_config"]))
        if args["model_instance_kind"] != "GPU":
            _yield_to_short_work()  # before the session starts its threads, which inherit it
        session = open_session(
            config.session,
            Path(args["model_repository"]) / args["model_version"],
            args["model_instance_kind"],
            int(args["model_instance_device_id"]),
        )
        check_graph(config, session.get_inputs(), session.get_outputs())
        pb_utils.Logger.log_info(f"{args['model_instance_name']}: runs on {session.get_providers()[0]}")
        for parameter in unknown_parameters(config.session):
            pb_utils.Logger.log_warn(f"{config.name}: parameter {parameter} has no effect here")
        self._run = session.run
        self._run_options = run_options(config.session)
        self._config = config
        self._output_names = [output.name for output in config.outputs]
        self._ragged = {tensor.name for tensor in config.inputs if tensor.ragged}
        self._first_input = config.inputs[0].name

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer a batch of requests, each with its response or its own error.

        Raises:
            TritonModelException: all of them failed alike, and not for what they asked (the
                GPU is lost, say). Only so does Triton count failures: what is answered with
                an error it counts as a success.
        """
        answers = self._answer_all(requests)
        failures = [answer for answer in answers if isinstance(answer, Exception)]
        if len(failures) == len(answers) and len(set(map(str, failures))) == 1 and not _is_invalid(failures[0]):
            raise pb_utils.TritonModelException(str(failures[0]))
        return [_error_response(answer) if isinstance(answer, Exception) else answer for answer in answers]

    def _answer_all(self, requests: list[Any]) -> list[Any]:
        """Answer in one run of the graph; if that fails, in two halves.

        So a request that the graph can't answer gets the error alone, after few runs. One that must not
        join the others is refused before any.

        Returns:
            A response, or the exception, for each request.
        """
        try:
            given = self._read(requests)
            refused = refused_for_empty_rows({name: given[name] for name in self._ragged})
            if refused:
                good = [request for at, request in enumerate(requests) if at not in refused]
                rest = iter(self._answer_all(good) if good else [])
                return [refused[at] if at in refused else next(rest) for at in range(len(requests))]
            return self._answer(requests, given)
        except Exception as error:  # whatever it is: it must reach its client, and no other
            if len(requests) == 1:
                return [error]
            middle = len(requests) // 2
            return self._answer_all(requests[:middle]) + self._answer_all(requests[middle:])

    def _answer(self, requests: list[Any], given: dict[str, list[Array]]) -> list[Any]:
        shapes = {name: [part.shape for part in parts] for name, parts in given.items()}
        outputs = self._run(self._output_names, self._feed(given, shapes), self._run_options)
        rows = [shape[0] for shape in shapes[self._first_input]]
        answers = [split_rows(name, output, rows) for name, output in zip(self._output_names, outputs, strict=True)]
        if len(answers) == 1:  # the short way, for every request pays it
            (name,), (parts,) = self._output_names, answers
            return [pb_utils.InferenceResponse([tensors.answer(name, part)]) for part in parts]
        by_request = zip(*answers, strict=True)
        return [self._respond(*pair) for pair in zip(requests, by_request, strict=True)]

    def _read(self, requests: list[Any]) -> dict[str, list[Array]]:
        if len(self._config.inputs) == 1:  # the short way, for every request pays it
            return {self._first_input: [tensors.read(request.inputs()[0]) for request in requests]}
        given: dict[str, list[Array]] = {}
        for request in requests:
            for tensor in request.inputs():
                given.setdefault(tensor.name(), []).append(tensors.read(tensor))
        return given

    def _feed(self, given: dict[str, list[Array]], shapes: dict[str, list[Shape]]) -> dict[str, Array]:
        feed = {name: join_ragged(parts) if name in self._ragged else join_rows(parts) for name, parts in given.items()}
        for made in self._config.batch_inputs:
            feed[made.target] = item_shapes(shapes[made.source], flat=made.kind.endswith("_FLATTEN"))
        return feed

    def _respond(self, request: Any, answer: tuple[Array, ...]) -> Any:
        wanted = request.requested_output_names()
        return pb_utils.InferenceResponse(
            [
                tensors.answer(name, array)
                for name, array in zip(self._output_names, answer, strict=True)
                if not wanted or name in wanted
            ]
        )


def _yield_to_short_work() -> None:
    """Tell the scheduler that this process computes for long: woken up, it pushes nobody aside.

    With as many instances as cores, whoever brings requests and takes answers away would wait for
    milliseconds behind a computation. Its share of the CPU stays the same.
    """
    if os.sched_getscheduler(0) != os.SCHED_OTHER:
        return  # somebody has chosen
    try:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    except OSError as error:
        pb_utils.Logger.log_warn(f"the scheduling policy can't be set ({error}): answers under load may take longer")


def _is_invalid(error: Exception) -> bool:
    """Whether the request is to blame."""
    # ONNX Runtime's exceptions have no base of their own; this one means the input's values.
    return isinstance(error, ValueError) or type(error).__name__ == "InvalidArgument"


def _error_response(error: Exception) -> Any:
    code = pb_utils.TritonError.INVALID_ARG if _is_invalid(error) else pb_utils.TritonError.INTERNAL
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), code))

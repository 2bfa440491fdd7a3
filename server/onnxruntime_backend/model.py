"""What Triton loads: one instance of one model version."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils  # type: ignore[import-not-found]

from server.onnxruntime_backend import autocomplete, strings, tensors
from server.onnxruntime_backend.batching import (
    Array,
    Shape,
    batch_input,
    decode_text,
    join_ragged,
    join_rows,
    refused_for_empty_rows,
    scatter,
    split_rows,
)
from server.onnxruntime_backend.configuration import ConfigurationError, read_configuration
from server.onnxruntime_backend.contract import NUMPY_TYPES, check_contract
from server.onnxruntime_backend.session import (
    open_session,
    run_options,
    unknown_parameters,
)


class TritonPythonModel:
    """An ONNX model in Triton, under the interface of its Python backend."""

    @staticmethod
    def auto_complete_config(config: Any) -> Any:
        """Fill in inputs, outputs and batch size from the graph if the configuration has none."""
        try:
            return autocomplete.complete(config)
        except ConfigurationError as error:
            raise pb_utils.TritonModelException(str(error)) from None

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
            config,
            Path(args["model_repository"]) / args["model_version"],
            args["model_instance_kind"],
            int(args["model_instance_device_id"]),
        )
        check_contract(
            config,
            session.get_inputs(),
            session.get_outputs(),
            session.get_overridable_initializers(),
        )
        pb_utils.Logger.log_info(f"{args['model_instance_name']}: runs on {session.get_providers()[0]}")
        for parameter in unknown_parameters(config):
            pb_utils.Logger.log_warn(f"{config.name}: parameter {parameter} has no effect here")
        self._run = session.run
        self._run_options = run_options(config)
        self._config = config
        self._output_names = [output.name for output in config.outputs]
        self._ragged = {tensor.name for tensor in config.inputs if tensor.ragged}
        self._text = {tensor.name for tensor in config.inputs if tensor.data_type == "TYPE_STRING"}
        if any(tensor.data_type == "TYPE_STRING" for tensor in (*config.inputs, *config.outputs)):
            strings.prepare()
        self._scattered = {output.target: output.source for output in config.batch_outputs}
        self._first_input = config.inputs[0].name

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer a batch of requests, each with its response or its own error.

        Raises:
            TritonModelException: all of them failed alike, and not for what they asked (the
                GPU is lost, say). Only so does Triton count failures: what is answered with
                an error it counts as a success.
        """
        batches = [requests] if self._config.batching else [[request] for request in requests]
        answers = [answer for batch in batches for answer in self._answer_all(batch)]
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
        outputs = self._empty_outputs(shapes) or self._run(
            self._output_names, self._feed(given, shapes), self._run_options
        )
        answers = [
            self._hand_out(name, output, shapes) for name, output in zip(self._output_names, outputs, strict=True)
        ]
        if len(answers) == 1:  # the short way, for every request pays it
            (name,), (parts,) = self._output_names, answers
            return [pb_utils.InferenceResponse([tensors.answer(name, part)]) for part in parts]
        by_request = zip(*answers, strict=True)
        return [self._respond(*pair) for pair in zip(requests, by_request, strict=True)]

    def _read(self, requests: list[Any]) -> dict[str, list[Array]]:
        inputs = self._config.inputs
        if len(inputs) == 1 and not inputs[0].optional:  # the short way, for every request pays it
            read = strings.read if self._text else tensors.read
            return {self._first_input: [read(request.inputs()[0]) for request in requests]}
        given: dict[str, list[Array]] = {}
        for request in requests:
            for tensor in request.inputs():
                name = tensor.name()
                read = strings.read if name in self._text else tensors.read
                given.setdefault(name, []).append(read(tensor))
        return given

    def _feed(self, given: dict[str, list[Array]], shapes: dict[str, list[Shape]]) -> dict[str, Array]:
        feed = {name: join_ragged(parts) if name in self._ragged else join_rows(parts) for name, parts in given.items()}
        for made in self._config.batch_inputs:
            feed[made.target] = batch_input(made.kind, made.data_type, shapes[made.source])
        for name in self._text:
            feed[name] = decode_text(feed[name])
        return feed

    def _empty_outputs(self, shapes: dict[str, list[Shape]]) -> list[Array] | None:
        """Outputs of a batch without rows, for which many graphs have no answer."""
        if not self._config.batching or any(shape[0] for shape in shapes[self._first_input]):
            return None
        return [
            np.zeros((0, *(max(dim, 0) for dim in output.dims)), NUMPY_TYPES[output.data_type])
            for output in self._config.outputs
        ]

    def _hand_out(self, name: str, output: Array, shapes: dict[str, list[Shape]]) -> list[Array]:
        if name in self._scattered:
            return scatter(name, output, shapes[self._scattered[name]])
        if self._config.batching:
            return split_rows(name, output, [shape[0] for shape in shapes[self._first_input]])
        return [output if output.ndim else output.reshape(1)]

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

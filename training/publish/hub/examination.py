"""Whether graphs and tokenizer that came from elsewhere are such as publishing makes, whatever their card says.

    python -m training.publish.hub.examination DIRECTORY

is the process in which a file made to do harm does it: a crash there, or a minute too many, refuses the version.
"""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
from tokenizers import Tokenizer

from contract.labels import EMOTIONS
from contract.version_directory import (
    CPU_GRAPH,
    GPU_GRAPH,
    INPUT_IDS,
    ITEM_SHAPE,
    PROBABILITIES,
    TOKENIZER,
    read_card,
    read_gpu_record,
)
from training.common.command import TrainingError, run_command
from training.export.gate import checks as gate
from training.export.gpu_graph_files import MEAN_DIFFERENCE, random_rows
from training.export.graphs import cpu, gpu
from training.export.graphs.portable import portable
from training.export.graphs.runtime import Probabilities, run, session
from training.export.graphs.weights import Shape
from training.export.triton_config import MAX_BATCH_SIZE

_SECONDS: Final = 900
_INPUTS: Final = {INPUT_IDS: "tensor(int64)", ITEM_SHAPE: "tensor(int32)"}
_GPU_TOLERANCE: Final = 0.01
_TEXT: Final = "Как же я рад тебя видеть! [SEP] <s> 😀"


def examine(version: Path) -> None:
    """Examine a version directory, whose files are those of its card, in a process of its own.

    Raises:
        TrainingError: what is wrong with it.
    """
    command = [sys.executable, "-m", __name__, str(version)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise TrainingError(f"its files could not be examined within {_SECONDS} seconds: don't use them") from error
    if done.returncode < 0:
        raise TrainingError(f"its files end the process that opens them with signal {-done.returncode}: don't use them")
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise TrainingError(said[-1].removeprefix("error: "))


def examine_here(version: Path) -> None:
    """The same in this process, for versions that are trusted to do no harm."""
    card = read_card(version)
    architecture: dict[str, Any] = dict(card.architecture)
    try:
        shape = Shape(**architecture)
    except TypeError as error:
        raise TrainingError(f"its card's architecture is none of ours: {error}") from error
    if (shape.max_length, shape.pad_id, shape.unk_id) != (card.max_length, card.pad_id, card.unk_id):
        raise TrainingError("its card contradicts itself about max_length, pad_id or unk_id")
    _check_tokenizer(version, shape)
    answers = _check_cpu_graph(version, shape)
    if (version / GPU_GRAPH).exists():
        _check_gpu_graph(version, shape, answers)


def _check_tokenizer(version: Path, shape: Shape) -> None:
    tokenizer = Tokenizer.from_file(str(version / TOKENIZER))
    highest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    if not 0 <= highest < shape.vocabulary:
        raise TrainingError(f"its tokenizer's ids go to {highest}, and its graph knows {shape.vocabulary}")
    if any(tokenizer.id_to_token(token) is None for token in (shape.pad_id, shape.unk_id)):
        raise TrainingError("its tokenizer lacks the tokens for padding or for what is unknown")
    if not tokenizer.encode(_TEXT).ids:
        raise TrainingError("its tokenizer makes nothing of a text")


def _check_cpu_graph(version: Path, shape: Shape) -> Probabilities:
    """Everything that the gate can ask of a graph without its checkpoint; the answers to `random_rows`."""
    gate.check_format(_checked_model(version / CPU_GRAPH), cpu.fused_operators(shape))
    graph = session(version / CPU_GRAPH)
    _check_interface(CPU_GRAPH, graph)
    rows, bound = random_rows(shape), gate.COMPOSITION["int8"]
    answers, _ = gate.check_composition(CPU_GRAPH, graph, rows, bound)
    gate.check_malformed_rows(CPU_GRAPH, graph, rows, shape, bound)
    gate.check_worst_batch(version / CPU_GRAPH, shape, MAX_BATCH_SIZE)
    return answers


def _check_gpu_graph(version: Path, shape: Shape, answers: Probabilities) -> None:
    """That its portable form answers as the CPU graph does, and as its record says."""
    record = read_gpu_record(version)
    model = _checked_model(version / GPU_GRAPH)
    gate.check_format(model, gpu.fused_operators(shape))
    graph = session(portable(model), threads=2)
    _check_interface(GPU_GRAPH, graph)
    difference = float(np.abs(run(graph, random_rows(shape)) - answers).mean())
    if not difference <= MEAN_DIFFERENCE:
        raise TrainingError(
            f"{GPU_GRAPH} differs from {CPU_GRAPH} by {difference:.3f} on average: {MEAN_DIFFERENCE} may be"
        )
    if record.sample is None:
        raise TrainingError(f"{GPU_GRAPH} has no record of what it must answer")
    recorded = np.array(record.sample.probabilities)
    if not np.abs(run(graph, record.sample.rows) - recorded).max() <= _GPU_TOLERANCE:
        raise TrainingError(f"{GPU_GRAPH} does not answer as its record says")


def _checked_model(path: Path) -> onnx.ModelProto:
    """A graph that is whole in its file: no weights read from other files, no operators of its own."""
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's own class
        raise TrainingError(f"{path.name} is no ONNX graph: {error}") from error
    if model.functions:
        raise TrainingError(f"{path.name} has functions of its own, which no graph of ours has")
    if any(onnx.external_data_helper.uses_external_data(tensor) for tensor in _tensors([model.graph])):
        raise TrainingError(f"{path.name} reads weights from other files, which no graph of ours does")
    return model


def _tensors(graphs: Iterable[onnx.GraphProto]) -> Iterator[onnx.TensorProto]:
    for graph in graphs:
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
        for attribute in (attribute for node in graph.node for attribute in node.attribute):
            yield from (attribute.t, *attribute.tensors)
            yield from _tensors([*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])])


def _check_interface(name: str, graph: onnxruntime.InferenceSession) -> None:
    inputs = {each.name: each.type for each in graph.get_inputs()}
    outputs = {each.name: each.type for each in graph.get_outputs()}
    if inputs != _INPUTS or outputs != {PROBABILITIES: "tensor(float)"}:
        raise TrainingError(
            f"{name} takes {inputs} and gives {outputs}: it must take {_INPUTS} and give {PROBABILITIES}"
        )
    shape = graph.get_outputs()[0].shape
    if len(shape) != 2 or shape[1] != len(EMOTIONS):
        raise TrainingError(f"{name} gives probabilities of shape {shape}: there must be {len(EMOTIONS)} labels")


def main() -> None:
    """Examine the version directory that is named; exit status 1 and a sentence if it is refused."""
    try:
        examine_here(Path(sys.argv[1]))
    except TrainingError:
        raise
    except Exception as error:  # Whatever a file that is not ours leads to, in three libraries.
        raise TrainingError(f"its files are not such as publishing makes ({type(error).__name__}: {error})") from error


if __name__ == "__main__":
    run_command(main)

"""A small writer of ONNX graphs, and the part that both graphs begin with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from contract.labels import EMOTIONS
from contract.version_directory import INPUT_IDS, ITEM_SHAPE, PROBABILITIES
from training.export.weights import UNNAMED, Shape

OPSET: Final = 17
# Triton images from 24.10 on load it; the onnx package would write a newer one on its own.
IR_VERSION: Final = 10
CONTRIB: Final = "com.microsoft"


class GraphWriter:
    """Collects nodes and constants; every method returns the name of a tensor."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._written = 0
        self._constants: dict[str, onnx.TensorProto] = {}

    def node(self, op: str, *inputs: str, domain: str = "", outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; returns its output's name, or a list of names if it has several."""
        names = [f"{op}_{self._written}_{index}" for index in range(outputs)]
        self._written += 1
        self._nodes.append(helper.make_node(op, list(inputs), names, domain=domain, name=names[0], **attributes))
        return names[0] if outputs == 1 else names

    def choose(self, condition: str, then: Callable[[], str], otherwise: Callable[[], str]) -> str:
        """What `then` writes if `condition` (a bool scalar) holds, else what `otherwise` writes: a float32 tensor."""
        branches = []
        for name, write in (("then", then), ("otherwise", otherwise)):
            outer, self._nodes = self._nodes, []
            result = helper.make_tensor_value_info(write(), TensorProto.FLOAT, None)
            branches.append(helper.make_graph(self._nodes, name, [], [result]))
            self._nodes = outer
        return str(self.node("If", condition, then_branch=branches[0], else_branch=branches[1]))

    def constant(self, value: Any, name: str | None = None) -> str:
        """Add an initializer, once per value if it has no name."""
        array = np.asarray(value)
        if name is None:
            name = f"{UNNAMED}{array.dtype}_{'x'.join(map(str, array.shape))}_{array.tobytes().hex()}"
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(array, name)
        return name

    def integers(self, *values: int) -> str:
        """A constant int64 vector."""
        return self.constant(np.array(values, dtype=np.int64))

    def integer(self, value: int) -> str:
        """A constant int64 scalar."""
        return self.constant(np.array(value, dtype=np.int64))

    def finish(self, probabilities: str, description: str) -> onnx.ModelProto:
        """The model, with the contract's inputs and output, checked."""
        self._nodes.append(helper.make_node("Identity", [probabilities], [PROBABILITIES]))
        graph = helper.make_graph(
            self._nodes,
            "emotions",
            [
                helper.make_tensor_value_info(INPUT_IDS, TensorProto.INT64, ["tokens"]),
                helper.make_tensor_value_info(ITEM_SHAPE, TensorProto.INT32, ["rows", 1]),
            ],
            [helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, ["rows", len(EMOTIONS)])],
            list(self._constants.values()),
            doc_string=description,
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        return model


@dataclass(frozen=True)
class Tokens:
    """Names of the cleaned rows' tensors, all int64 unless said.

    `ids`, `row`, `position`: one entry per kept token, `[m]`. `lengths`, `starts`: `[rows]`.
    `longest`: scalar. `count`: scalar m.
    """

    ids: str
    row: str
    position: str
    lengths: str
    starts: str
    longest: str
    count: str


def clean_tokens(g: GraphWriter, shape: Shape) -> Tokens:
    """What any client sends, made safe: one client must not be able to fail another's rows.

    The trailing run of pads goes; a pad inside a row, and an id outside the vocabulary,
    become `[UNK]`; a row is cut to `max_length`; a row with nothing left becomes one `[UNK]`.
    All of it without a rows × tokens matrix over the raw input, which may be very long.
    """
    zero, one = g.integer(0), g.integer(1)
    sent = g.node("Cast", g.node("Reshape", ITEM_SHAPE, g.integers(-1)), to=TensorProto.INT64)
    ends = g.node("CumSum", sent, zero)
    starts = g.node("Sub", ends, sent)
    # The last token of each row that is not a pad, by counting such tokens up to the row's end.
    is_token = g.node("Not", g.node("Equal", INPUT_IDS, g.integer(shape.pad_id)))
    tokens_at = g.node("Reshape", g.node("NonZero", is_token), g.integers(-1))
    tokens_at = g.node("Concat", g.integers(-1), tokens_at, axis=0)
    counted = g.node("CumSum", g.node("Cast", is_token, to=TensorProto.INT64), zero)
    counted = g.node("Concat", g.integers(0), counted, axis=0)
    last = g.node("Gather", tokens_at, g.node("Gather", counted, ends))
    kept = g.node("Max", g.node("Add", g.node("Sub", last, starts), one), zero)
    kept = g.node("Min", kept, g.integer(shape.max_length))
    lengths = g.node("Max", kept, one)

    new_ends = g.node("CumSum", lengths, zero)
    new_starts = g.node("Sub", new_ends, lengths)
    count = g.node("ReduceSum", lengths, keepdims=0)
    index = g.node("Range", zero, count, one)
    beyond = g.node(
        "GreaterOrEqual", g.node("Unsqueeze", index, g.integers(1)), g.node("Unsqueeze", new_ends, g.integers(0))
    )  # fmt: skip
    row = g.node("ReduceSum", g.node("Cast", beyond, to=TensorProto.INT64), g.integers(1), keepdims=0)
    position = g.node("Sub", index, g.node("Gather", new_starts, row))

    # An `[UNK]` after the last token stands for every token that a row does not have.
    ids = g.node("Concat", INPUT_IDS, g.integers(shape.unk_id), axis=0)
    total = g.node("Reshape", g.node("Shape", INPUT_IDS), g.integers())
    is_real = g.node("Less", position, g.node("Gather", kept, row))
    source = g.node("Add", g.node("Gather", starts, row), position)
    ids = g.node("Gather", ids, g.node("Where", is_real, source, total))
    wrong = g.node("Or", g.node("Less", ids, zero), g.node("GreaterOrEqual", ids, g.integer(shape.vocabulary)))
    wrong = g.node("Or", wrong, g.node("Equal", ids, g.integer(shape.pad_id)))
    ids = g.node("Where", wrong, g.integer(shape.unk_id), ids)
    longest = g.node("ReduceMax", lengths, keepdims=0)
    return Tokens(ids, row, position, lengths, new_starts, longest, count)

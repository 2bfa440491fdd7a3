"""A small writer of ONNX graphs, and the part that both graphs begin with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from contract.labels import EMOTIONS
from contract.version_directory import INPUT_IDS, ITEM_SHAPE, PROBABILITIES
from training.export.graphs.weights import UNNAMED, Shape

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

    def repeat(
        self, most: str, condition: str, carried: Sequence[tuple[str, int]], body: Callable[..., tuple[str, ...]]
    ) -> list[str]:
        """What `body` makes of `carried`, turn by turn.

        Args:
            most: how many turns there are at most, an int64 scalar.
            condition: whether there is a first turn, a bool scalar.
            carried: names and element types of what goes into the first turn.
            body: writes one turn, given its number (an int64 scalar) and what is carried; returns whether another
                follows (a bool scalar) and what goes into that.
        """
        names = [f"turn_{self._written}_{part}" for part in ("number", "condition", *range(len(carried)))]
        kinds = [TensorProto.INT64, TensorProto.BOOL, *(kind for _, kind in carried)]
        shapes: list[list[int] | None] = [[], [], *[None] * len(carried)]
        inputs = list(map(helper.make_tensor_value_info, names, kinds, shapes))
        outer, self._nodes = self._nodes, []
        results = body(names[0], *names[2:])
        outputs = list(map(helper.make_tensor_value_info, results, kinds[1:], shapes[1:]))
        graph = helper.make_graph(self._nodes, "body", inputs, outputs)
        self._nodes = outer
        first = [name for name, _ in carried]
        return list(self.node("Loop", most, condition, *first, outputs=len(carried), body=graph))

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

    def probabilities(self, logits: str, shape: Shape) -> str:
        """Of logits float32 `[rows, classes]`, `[rows, 6]`: a sigmoid each, or the first six of one softmax."""
        if not shape.softmax_classes:
            return str(self.node("Sigmoid", logits))
        every = self.node("Softmax", logits, axis=-1)
        return str(self.node("Slice", every, self.integers(0), self.integers(len(EMOTIONS)), self.integers(1)))

    def finish(self, probabilities: str, unless_empty: str, description: str) -> onnx.ModelProto:
        """The model, with the contract's inputs and output, checked; `unless_empty` is added to the probabilities."""
        self._nodes.append(helper.make_node("Add", [probabilities, unless_empty], [PROBABILITIES]))
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
    `longest`: scalar. `span`: 0 to `longest` - 1. `in_tile`: bool `[rows, longest]`, where a tile of the rows
    has tokens and no padding. `places`: where each kept token is in that tile, flattened, `[m]`.
    `unless_empty`: float32 `[rows, 1]`, zero, or not-a-number from the first row of length zero on, in the order sent.
    `order`: where each row stood in what was sent, if they are sorted by length, `[rows]`.
    """

    ids: str
    row: str
    position: str
    lengths: str
    starts: str
    longest: str
    span: str
    in_tile: str
    places: str
    unless_empty: str
    order: str = ""


def clean_tokens(g: GraphWriter, shape: Shape, *, by_length: bool = False) -> Tokens:
    """What any client sends, made safe: one client must not be able to fail another's rows.

    The trailing run of pads goes; a pad inside a row, and an id outside the vocabulary,
    become `[UNK]`; a row is cut to `max_length`; a row with nothing left becomes one `[UNK]`.
    All of it without a rows × tokens matrix over the raw input, which may be very long.

    A row of length zero is another matter. NVIDIA's ONNX Runtime backend stops filling `input_ids` at the first one
    and runs the batch: `item_shape` is right for all rows, but the ids behind that row are whatever was in the buffer,
    such as another client's text (its `BackendInputCollector`, seen with r24.10 and r26.06). So that row and all
    behind it get no answer: `unless_empty`.

    Some forty tiny operators, each of which would cost a GPU more than its work. So they are written in a way that
    lets ONNX Runtime's CUDA provider leave them to the CPU: whatever comes from a `Shape`, and takes nothing
    beside it but graph inputs and small constants (its `GetCpuPreferredNodes`, and no bool input).
    """
    zero, one = g.integer(0), g.integer(1)
    total = g.node("Shape", INPUT_IDS)
    # In front of all tokens one outside the vocabulary: it stands for what a row does not have.
    raw = g.node("Concat", g.node("Add", total, g.integers(shape.vocabulary)), INPUT_IDS, axis=0)
    # No row is longer than all together: the Min is there for the Shape.
    sent = g.node("Min", ITEM_SHAPE, g.node("Cast", total, to=TensorProto.INT32))
    # Nothing divided by a length is nothing, but by zero not a number, and so is every sum from there on.
    nothing = g.node("Div", g.constant(np.float32(0)), g.node("Cast", sent, to=TensorProto.FLOAT))
    unless_empty = g.node("CumSum", nothing, zero)
    sent = g.node("Cast", g.node("Reshape", sent, g.integers(-1)), to=TensorProto.INT64)
    ends = g.node("CumSum", sent, zero)
    before = g.node("Sub", ends, sent)
    # The last token of each row that is not a pad, by counting such tokens up to the row's end.
    is_token = g.node("Not", g.node("Equal", raw, g.integer(shape.pad_id)))
    tokens_at = g.node("Reshape", g.node("NonZero", is_token), g.integers(-1))
    counted = g.node("CumSum", g.node("Cast", is_token, to=TensorProto.INT64), zero)
    last = g.node("Gather", tokens_at, g.node("Sub", g.node("Gather", counted, ends), one))
    kept = g.node("Sub", last, before)
    lengths = g.node("Clip", kept, one, g.integer(shape.max_length))
    begins = g.node("Where", g.node("Greater", kept, zero), g.node("Add", before, one), zero)
    order = ""
    if by_length:
        lengths, order = g.node("TopK", lengths, g.node("Shape", lengths), largest=0, outputs=2)
        begins = g.node("Gather", begins, order)

    longest = g.node("ReduceMax", lengths, keepdims=0)
    # This set's Range has a CPU kernel only; the standard one's would run on the GPU.
    span = g.node("Range", zero, longest, one, domain=CONTRIB)
    in_tile = g.node("Less", g.node("Unsqueeze", span, g.integers(0)), g.node("Unsqueeze", lengths, g.integers(1)))
    # In one dimension NonZero takes half the time that it takes in two.
    places = g.node("Reshape", g.node("NonZero", g.node("Reshape", in_tile, g.integers(-1))), g.integers(-1))
    row = g.node("Div", places, longest)
    position = g.node("Sub", places, g.node("Mul", row, longest))

    ids = g.node("Gather", raw, g.node("Add", g.node("Gather", begins, row), position))
    wrong = g.node("Or", g.node("Less", ids, zero), g.node("GreaterOrEqual", ids, g.integer(shape.vocabulary)))
    wrong = g.node("Or", wrong, g.node("Equal", ids, g.integer(shape.pad_id)))
    ids = g.node("Where", wrong, g.integer(shape.unk_id), ids)
    starts = g.node("CumSum", lengths, zero, exclusive=1)
    return Tokens(ids, row, position, lengths, starts, longest, span, in_tile, places, unless_empty, order)

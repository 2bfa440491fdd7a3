"""Tiny ONNX graphs and the model repositories made of them."""

from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx import TensorProto, helper

CPU = """instance_group [ { kind: KIND_CPU } ]
parameters { key: "intra_op_thread_count" value: { string_value: "1" } }
"""

Tensor = tuple[str, int, Sequence[str | int]]


def graph(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    constants: Sequence[onnx.TensorProto] = (),
) -> onnx.ModelProto:
    """A checked model of opset 17 and IR version 10."""
    model = helper.make_model(
        helper.make_graph(
            list(nodes),
            "test",
            [helper.make_tensor_value_info(*tensor) for tensor in inputs],
            [helper.make_tensor_value_info(*tensor) for tensor in outputs],
            list(constants),
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=10,
    )
    onnx.checker.check_model(model)
    return model


def identity(data_type: int, shape: Sequence[str | int] = ("b", 3)) -> onnx.ModelProto:
    """y = x."""
    tensors = [("x", data_type, shape)], [("y", data_type, shape)]
    return graph([helper.make_node("Identity", ["x"], ["y"])], *tensors)


def without_first_column() -> onnx.ModelProto:
    """y [b, n - 1] = x [b, n] without its first column."""
    ints = {"one": [1], "end": [2**62]}
    constants = [helper.make_tensor(name, TensorProto.INT64, [1], value) for name, value in ints.items()]
    tensors = [("x", TensorProto.FLOAT, ["b", "n"])], [("y", TensorProto.FLOAT, ["b", "m"])]
    return graph([helper.make_node("Slice", ["x", "one", "end", "one"], ["y"])], *tensors, constants)


def add_constant(value: float) -> onnx.ModelProto:
    """y [b, 3] = x + value."""
    constant = helper.make_tensor("value", TensorProto.FLOAT, [1], [value])
    tensors = [("x", TensorProto.FLOAT, ["b", 3])], [("y", TensorProto.FLOAT, ["b", 3])]
    return graph([helper.make_node("Add", ["x", "value"], ["y"])], *tensors, [constant])


def look_up(rows: int = 4) -> onnx.ModelProto:
    """y [b, 1] = 10 * x [b, 1]; fails for the whole batch if an x is not below `rows`."""
    table = helper.make_tensor("table", TensorProto.FLOAT, [rows], [10.0 * i for i in range(rows)])
    tensors = [("x", TensorProto.INT64, ["b", 1])], [("y", TensorProto.FLOAT, ["b", 1])]
    return graph([helper.make_node("Gather", ["table", "x"], ["y"])], *tensors, [table])


def pair_sums() -> onnx.ModelProto:
    """y [b, 1] = the sum of x [b, 2]; of rows of odd length ONNX Runtime says FAIL, not INVALID_ARGUMENT."""
    constants = [
        helper.make_tensor("pairs", TensorProto.INT64, [2], [-1, 2]),
        helper.make_tensor("axes", TensorProto.INT64, [1], [1]),
    ]
    nodes = [
        helper.make_node("Reshape", ["x", "pairs"], ["rows"]),
        helper.make_node("ReduceSum", ["rows", "axes"], ["y"], keepdims=1),
    ]
    return graph(nodes, [("x", TensorProto.FLOAT, ["b", "n"])], [("y", TensorProto.FLOAT, ["b", 1])], constants)


def ragged_sums(*, flat: bool = False) -> onnx.ModelProto:
    """sums [b, 1]: the sum of each row of a ragged int64 batch; lengths from `item_shape`, [b, 1] or [b]."""
    axis = helper.make_tensor("axis", TensorProto.INT64, [1], [1])
    zero = helper.make_tensor("zero", TensorProto.INT64, [], [0])
    one = helper.make_tensor("one", TensorProto.INT64, [], [1])
    axis0 = helper.make_tensor("axis0", TensorProto.INT64, [], [0])
    row = helper.make_tensor("row", TensorProto.INT64, [2], [1, -1])
    column = helper.make_tensor("column", TensorProto.INT64, [2], [-1, 1])
    nodes = [
        helper.make_node("Reshape", ["item_shape", "column"], ["lengths"]),
        helper.make_node("Cast", ["lengths"], ["length"], to=TensorProto.INT64),
        helper.make_node("CumSum", ["length", "axis0"], ["end"]),
        helper.make_node("Sub", ["end", "length"], ["start"]),
        helper.make_node("Size", ["ids"], ["n"]),
        helper.make_node("Range", ["zero", "n", "one"], ["place"]),
        helper.make_node("Reshape", ["place", "row"], ["places"]),
        helper.make_node("GreaterOrEqual", ["places", "start"], ["after"]),
        helper.make_node("Less", ["places", "end"], ["before"]),
        helper.make_node("And", ["after", "before"], ["mine"]),
        helper.make_node("Cast", ["mine"], ["weights"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["ids"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["values", "column"], ["as_column"]),
        helper.make_node("MatMul", ["weights", "as_column"], ["sums"]),
    ]
    inputs = [("ids", TensorProto.INT64, ["n"]), ("item_shape", TensorProto.INT32, ["b"] if flat else ["b", 1])]
    outputs = [("sums", TensorProto.FLOAT, ["b", 1])]
    return graph(nodes, inputs, outputs, [axis, zero, one, axis0, row, column])


def two_outputs() -> onnx.ModelProto:
    """double = 2 x, negative = -x."""
    tensors = (
        [("x", TensorProto.FLOAT, ["b", 3])],
        [("double", TensorProto.FLOAT, ["b", 3]), ("negative", TensorProto.FLOAT, ["b", 3])],
    )
    nodes = [
        helper.make_node("Add", ["x", "x"], ["double"]),
        helper.make_node("Neg", ["x"], ["negative"]),
    ]
    return graph(nodes, *tensors)


def tensor(name: str, data_type: str, dims: str, more: str = "") -> str:
    """One input or output of a configuration."""
    return f'{{ name: "{name}" data_type: {data_type} dims: {dims} {more} }}'


def config(inputs: Sequence[str], outputs: Sequence[str], max_batch_size: int = 8, more: str = "") -> str:
    """The text of a configuration."""
    return (
        f'backend: "onnxruntime"\nmax_batch_size: {max_batch_size}\n'
        f"input [ {', '.join(inputs)} ]\noutput [ {', '.join(outputs)} ]\n{CPU}{more}\n"
    )


X3 = tensor("x", "TYPE_FP32", "[ 3 ]")
Y3 = tensor("y", "TYPE_FP32", "[ 3 ]")


def write_model(
    repository: Path,
    name: str,
    model: onnx.ModelProto | None,
    configuration: str | None = None,
    version: int = 1,
    filename: str = "model.onnx",
) -> Path:
    """Write one version of a model into a repository.

    Returns:
        The path of the model's file (not there if `model` is None).
    """
    directory = repository / name / str(version)
    directory.mkdir(parents=True, exist_ok=True)
    if configuration is not None:
        (repository / name / "config.pbtxt").write_text(configuration)
    if model is not None:
        onnx.save(model, directory / filename)
    return directory / filename

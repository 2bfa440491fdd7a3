"""A GPU graph without its one operator that only GPUs have, to be run where none is."""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from training.export.graphs.writer import CONTRIB


def portable(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which every PackedAttention is written out in operators that have CPU kernels.

    They read the very inputs of that node and write its output; all other nodes and all weights are the
    graph's own. So what is found of the copy holds for the graph, but for how a GPU's kernel reads these inputs.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.node[:]
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "PackedAttention":
            copy.graph.node.extend(_written_out(node, types[node.input[1]]))
        else:
            copy.graph.node.append(node)
    onnx.checker.check_model(copy)
    return copy


def _written_out(packed: onnx.NodeProto, weight_type: int) -> list[onnx.NodeProto]:
    """Scatter queries, keys and values to a padded tile, attend there, gather the context back."""
    x, weight, bias, token_offset, cumulative = packed.input
    nodes: list[onnx.NodeProto] = []

    def node(op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        names = [f"{packed.name}_{len(nodes)}_{index}" for index in range(outputs)]
        nodes.append(helper.make_node(op, list(inputs), names, name=names[0], **attributes))
        return names[0] if outputs == 1 else names

    def integers(*values: int) -> str:
        return str(node("Constant", value=numpy_helper.from_array(np.array(values, dtype=np.int64))))

    zero, one, last = integers(0), integers(1), integers(-1)
    qkv = node("Add", node("MatMul", x, weight), bias)
    width = node("Shape", qkv, start=1)
    places = node("Cast", node("Reshape", token_offset, last), to=TensorProto.INT64)
    flat = node("Concat", node("Shape", places), width, axis=0)
    places = node("Slice", places, zero, node("Shape", x, end=1))
    nothing = helper.make_tensor("value", weight_type, [1], [0])
    tile = node("ScatterND", node("ConstantOfShape", flat, value=nothing), node("Unsqueeze", places, one), qkv)
    tile = node("Reshape", tile, node("Concat", node("Shape", token_offset), width, axis=0))
    ends = node("Slice", cumulative, one, integers(np.iinfo(np.int64).max))
    lengths = node("Sub", ends, node("Slice", cumulative, zero, last))
    parts = node("Split", tile, axis=-1, outputs=3)
    context = node("MultiHeadAttention", *parts, "", lengths, domain=CONTRIB)
    nodes[-1].attribute.extend(packed.attribute)
    context = node("Reshape", context, node("Concat", last, node("Shape", context, start=2), axis=0))
    node("Gather", context, places)
    nodes[-1].output[:] = packed.output
    return nodes

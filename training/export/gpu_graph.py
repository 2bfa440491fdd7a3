"""The graph for GPUs: fp16, fused attention; same inputs and output as the CPU's.

Rows are unpacked into one padded tile `[rows, longest, hidden]`, because ONNX Runtime's fused
CUDA attention on it beats any arrangement of gathers.
"""

from typing import Literal

import numpy as np
import onnx
from onnx import TensorProto

from training.export.graph import CONTRIB, GraphWriter, clean_tokens
from training.export.weights import EncoderWeights


def build_gpu_graph(weights: EncoderWeights, precision: Literal["fp32", "fp16"]) -> onnx.ModelProto:
    """Write the graph: `input_ids` int64 `[n]`, `item_shape` int32 `[b, 1]` → `[b, 6]` float32.

    fp16 is what is published; fp32 exists to be compared with PyTorch.
    """
    g, shape = GraphWriter(), weights.shape
    tokens = clean_tokens(g, shape)

    def plain(name: str) -> str:
        array = weights.arrays[name]
        return g.constant(array if precision == "fp32" else array.astype(np.float16), name)

    def norm(name: str, x: str, residual: str, bias: str) -> str:
        inputs = [x, residual, plain(f"{name}.weight"), plain(f"{name}.bias"), bias]
        return str(
            g.node(
                "SkipLayerNormalization", *filter(None, inputs), domain=CONTRIB, epsilon=shape.layer_norm_epsilon
            )
        )  # fmt: skip

    # Tile index (row, column) to token; columns past a row's end repeat the last token, masked later.
    zero, one = g.integer(0), g.integer(1)
    span = g.node("Range", zero, tokens.longest, one)
    tile = g.node("Add", g.node("Unsqueeze", tokens.starts, g.integers(1)), g.node("Unsqueeze", span, g.integers(0)))
    tile = g.node("Min", tile, g.node("Sub", tokens.count, one))
    lengths = g.node("Cast", tokens.lengths, to=TensorProto.INT32)
    words = g.node("Gather", plain("embeddings.word"), g.node("Gather", tokens.ids, tile))
    positions = g.node("Unsqueeze", g.node("Gather", plain("embeddings.position"), span), g.integers(0))
    x = norm("embeddings.norm", words, g.node("Expand", positions, g.node("Shape", words)), "")
    for layer in range(shape.layers):
        name = f"layer.{layer}"
        context = g.node(
            "Attention", x, plain(f"{name}.qkv.weight"), plain(f"{name}.qkv.bias"), lengths,
            domain=CONTRIB, num_heads=shape.heads,
        )  # fmt: skip
        out = g.node("MatMul", context, plain(f"{name}.context.weight"))
        x = norm(f"{name}.norm1", out, x, plain(f"{name}.context.bias"))
        up = g.node("MatMul", x, plain(f"{name}.up.weight"))
        up = g.node("BiasGelu", up, plain(f"{name}.up.bias"), domain=CONTRIB)
        down = g.node("MatMul", up, plain(f"{name}.down.weight"))
        x = norm(f"{name}.norm2", down, x, plain(f"{name}.down.bias"))
    first = g.node("Gather", x, zero, axis=1)
    pooled = g.node("Tanh", g.node("Gemm", first, plain("head.dense.weight"), plain("head.dense.bias")))
    logits = g.node("Gemm", pooled, plain("head.out.weight"), plain("head.out.bias"))
    if precision == "fp16":
        logits = g.node("Cast", logits, to=TensorProto.FLOAT)
    return g.finish(g.node("Sigmoid", logits), f"Fused encoder, {precision}")

"""Attention of the CPU graph over `[tokens, hidden]`: of one row as it is, of several through tiles of like lengths.

Each is made once in the branch of the graph that uses it, and called in every layer.
"""

from typing import Final

from onnx import TensorProto

from training.export.graphs.weights import Shape
from training.export.graphs.writer import CONTRIB, GraphWriter, Tokens

# More would pad less, and cost more in small operators than that saves.
TILES: Final = 8
# For fewer rows than that, but two at least. A tile without rows ends the process in ONNX Runtime before 1.29:
# MultiHeadAttention divides by their number (SIGFPE).
TILES_OF_FEW: Final = 2


class OneRow:
    """Attention of a batch of one row: nothing to pad.

    Its length is said all the same: without it ONNX Runtime takes another kernel, whose rounding is enough
    to move an int8 graph's answer.
    """

    def __init__(self, g: GraphWriter, shape: Shape, tokens: Tokens) -> None:
        self._g, self._shape = g, shape
        self._lengths = g.node("Cast", tokens.lengths, to=TensorProto.INT32)

    def __call__(self, q: str, k: str, v: str, *, first_only: bool) -> str:  # noqa: ARG002 - one query or all: the same
        """Context of every query, `[queries, hidden]`."""
        g = self._g
        queries, keys, values = (g.node("Unsqueeze", part, g.integers(0)) for part in (q, k, v))
        return _context(g, self._shape, queries, keys, values, self._lengths)


class Tiles:
    """Attention of many rows, which are sorted by length: parted into `tiles` tiles `[rows, longest, hidden]`.

    A tile is as long as its longest row, so little of it is padding, however mixed the batch is, and a
    far too long row makes few others wait. With as many rows as tiles or more, none is empty.
    """

    def __init__(self, g: GraphWriter, shape: Shape, tokens: Tokens, tiles: int) -> None:
        self._g, self._shape = g, shape
        zero, one = g.integer(0), g.integer(1)
        rows = g.node("Reshape", g.node("Shape", tokens.lengths), g.integers())
        # The rows of tile t are those from t · rows / tiles on: one at least.
        bounds = g.node("Div", g.node("Mul", g.integers(*range(tiles + 1)), rows), g.integer(tiles))
        ends = g.node("Slice", bounds, g.integers(1), g.integers(tiles + 1))
        sizes = g.node("Sub", ends, g.node("Slice", bounds, g.integers(0), g.integers(tiles)))
        longest = g.node("Gather", tokens.lengths, g.node("Sub", ends, one))

        def parted(of_rows: str) -> list[str]:
            return list(g.node("Split", of_rows, sizes, axis=0, outputs=tiles))

        self._sizes, self._lengths = sizes, parted(g.node("Cast", tokens.lengths, to=TensorProto.INT32))
        last = g.node("Sub", g.node("ReduceSum", tokens.lengths, keepdims=0), one)
        self._tiles = []
        for tile, starts in enumerate(parted(tokens.starts)):
            columns = g.node("Slice", tokens.span, g.integers(0), g.node("Gather", longest, g.integers(tile)))
            # Which token stands where; past a row's end another row's or the last, masked later.
            places = g.node("Add", g.node("Unsqueeze", starts, g.integers(1)), columns)
            self._tiles.append(g.node("Min", places, last))
        # Where each token is in all tiles' contexts, one after the other.
        number = g.node("Range", one, g.node("Add", rows, one), one)
        tile_of_row = g.node("Div", g.node("Sub", g.node("Mul", number, g.integer(tiles)), one), rows)
        starts = g.node("CumSum", g.node("Gather", longest, tile_of_row), zero, exclusive=1)
        self._back = g.node("Add", g.node("Gather", starts, tokens.row), tokens.position)

    def __call__(self, q: str, k: str, v: str, *, first_only: bool) -> str:
        """Context of every token, or of each row's first; `q` is `[tokens, hidden]` or `[rows, hidden]`."""
        g, contexts = self._g, []
        if first_only:
            each_alone = g.node("Unsqueeze", q, g.integers(1))
            queries = g.node("Split", each_alone, self._sizes, axis=0, outputs=len(self._tiles))
        else:
            queries = [g.node("Gather", q, tile) for tile in self._tiles]
        for of_tile, tile, lengths in zip(queries, self._tiles, self._lengths, strict=True):
            keys, values = (g.node("Gather", part, tile) for part in (k, v))
            contexts.append(_context(g, self._shape, of_tile, keys, values, lengths))
        context = str(g.node("Concat", *contexts, axis=0))
        return context if first_only else str(g.node("Gather", context, self._back))


def _context(g: GraphWriter, shape: Shape, queries: str, keys: str, values: str, lengths: str) -> str:
    """Of a tile `[rows, longest, hidden]`; keys past a row's length are hidden. `[rows · queries, hidden]`."""
    context = g.node(
        "MultiHeadAttention", queries, keys, values, "", lengths, domain=CONTRIB, num_heads=shape.heads
    )  # fmt: skip
    return str(g.node("Reshape", context, g.integers(-1, shape.hidden)))

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
    """Attention of many rows: sorted by length and parted into `tiles` tiles `[rows, longest, hidden]`.

    A tile is as long as its longest row, so little of it is padding, however mixed the batch is, and a
    far too long row makes few others wait. With as many rows as tiles or more, none is empty.
    """

    def __init__(self, g: GraphWriter, shape: Shape, tokens: Tokens, tiles: int) -> None:
        self._g, self._shape = g, shape
        zero, one = g.integer(0), g.integer(1)
        count = g.node("Shape", tokens.lengths)
        rows = g.node("Reshape", count, g.integers())
        lengths, order = g.node("TopK", tokens.lengths, count, largest=0, outputs=2)
        # The sorted rows of tile t are those from t · rows / tiles on: one at least.
        bounds = g.node("Div", g.node("Mul", g.integers(*range(tiles + 1)), rows), g.integer(tiles))
        ends = g.node("Slice", bounds, g.integers(1), g.integers(tiles + 1))
        sizes = g.node("Sub", ends, g.node("Slice", bounds, g.integers(0), g.integers(tiles)))
        longest = g.node("Gather", lengths, g.node("Sub", ends, one))

        def parted(sorted_rows: str) -> list[str]:
            return list(g.node("Split", sorted_rows, sizes, axis=0, outputs=tiles))

        self._rows, self._lengths = parted(order), parted(g.node("Cast", lengths, to=TensorProto.INT32))
        last = g.node("Sub", g.node("ReduceSum", tokens.lengths, keepdims=0), one)
        self._tiles = []
        for tile, starts in enumerate(parted(g.node("Gather", tokens.starts, order))):
            columns = g.node("Slice", tokens.span, g.integers(0), g.node("Gather", longest, g.integers(tile)))
            # Which token stands where; past a row's end another row's or the last, masked later.
            places = g.node("Add", g.node("Unsqueeze", starts, g.integers(1)), columns)
            self._tiles.append(g.node("Min", places, last))
        # Where each row is among the sorted ones, and each token in all tiles' contexts, one after the other.
        _, self._rank = g.node("TopK", order, count, largest=0, outputs=2)
        number = g.node("Range", one, g.node("Add", rows, one), one)
        tile_of_row = g.node("Div", g.node("Sub", g.node("Mul", number, g.integer(tiles)), one), rows)
        starts = g.node("CumSum", g.node("Gather", longest, tile_of_row), zero, exclusive=1)
        starts = g.node("Gather", starts, self._rank)
        self._back = g.node("Add", g.node("Gather", starts, tokens.row), tokens.position)

    def __call__(self, q: str, k: str, v: str, *, first_only: bool) -> str:
        """Context of every token, or of each row's first; `q` is `[tokens, hidden]` or `[rows, hidden]`."""
        g, contexts = self._g, []
        for tile, rows, lengths in zip(self._tiles, self._rows, self._lengths, strict=True):
            queries = g.node("Gather", q, rows if first_only else tile)
            if first_only:
                queries = g.node("Unsqueeze", queries, g.integers(1))
            keys, values = (g.node("Gather", part, tile) for part in (k, v))
            contexts.append(_context(g, self._shape, queries, keys, values, lengths))
        return str(g.node("Gather", g.node("Concat", *contexts, axis=0), self._rank if first_only else self._back))


def _context(g: GraphWriter, shape: Shape, queries: str, keys: str, values: str, lengths: str) -> str:
    """Of a tile `[rows, longest, hidden]`; keys past a row's length are hidden. `[rows · queries, hidden]`."""
    context = g.node(
        "MultiHeadAttention", queries, keys, values, "", lengths, domain=CONTRIB, num_heads=shape.heads
    )  # fmt: skip
    return str(g.node("Reshape", context, g.integers(-1, shape.hidden)))

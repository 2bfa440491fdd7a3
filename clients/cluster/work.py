"""A job from its beginning to its end; engines differ in who calls `score_piece`, and where."""

from dataclasses import dataclass
from pathlib import Path

from clients.bulk.errors import FileError
from clients.bulk.writing.formats import ParquetFormat
from clients.cluster.job import DONE, Job
from clients.cluster.parts import Counts, clear_away, count, part_path, write_part
from clients.cluster.pieces import Piece, cut, pieces, read_piece, remove_pieces
from clients.cluster.pinned import Pinned
from clients.cluster.rows import score_rows
from clients.scoring import Scorer


@dataclass(frozen=True)
class Work:
    """What a worker needs for any piece of a job. Can be pickled."""

    output: Path
    job: Job
    pinned: Pinned

    def prepare(self) -> list[int]:
        """Cut the input, unless that is done, and say which pieces are to be scored.

        Raises:
            BulkError: the input can't be read, or the output can't be written.
        """
        try:
            if (self.output / DONE).exists():
                return []
            return [number for number in range(cut(self.output, self.job)) if not self._is_done(number)]
        except OSError as error:
            raise FileError(f"{self.output} can't be written: {error.strerror}") from None

    def score_piece(self, number: int, scorer: Scorer) -> Counts:
        """Score a piece that was cut and write its part, unless that is there.

        Raises:
            ScoringError: no Triton answers, or it refuses.
            OSError: the piece can't be read, or the part can't be written.
        """
        if self._is_done(number):
            return count([part_path(self.output, number)])
        return self._score(read_piece(self.output, number), scorer)

    def score_shard(self, shard: int, shards: int, scorer: Scorer) -> Counts:
        """Without an engine: read the input, and score every `shards`-th piece whose part is not there.

        Raises:
            BulkError: the input can't be read, or the output can't be written.
            ScoringError: no Triton answers, or it refuses.
        """
        parts = []
        try:
            for piece in pieces(self.job):
                if piece.number % shards != shard:
                    continue
                if not self._is_done(piece.number):
                    self._score(piece, scorer)
                parts.append(part_path(self.output, piece.number))
            clear_away(self.output)
            return count(parts)
        except OSError as error:
            raise FileError(f"{self.output} can't be written: {error.strerror}") from None

    def finish(self) -> Counts:
        """Say that every part is there, and remove what is no longer needed.

        Raises:
            FileError: the output can't be written.
        """
        try:
            (self.output / DONE).touch()
            clear_away(self.output)
            remove_pieces(self.output)
            return count(sorted(self.output.glob("part-*.parquet")))
        except OSError as error:
            raise FileError(f"{self.output} can't be written: {error.strerror}") from None

    def _is_done(self, number: int) -> bool:
        return part_path(self.output, number).exists()

    def _score(self, piece: Piece, scorer: Scorer) -> Counts:
        scored = score_rows(piece.first, piece.rows, scorer, self.pinned.profile)
        return write_part(self.output, piece.number, ParquetFormat(self.job.kept), scored)

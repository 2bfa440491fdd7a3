"""Texts to probabilities, straight from Triton: for jobs that score many texts.

`Scorer` does all of it. Below it: `versions` finds the version and reads its card and tokenizer, `texts` says which
texts can't be scored, `calls` cuts texts into calls, `tritons` makes the calls, at one Triton or several, and waits
while they are busy or away.

May import: `contract`, numpy, tokenizers, grpc, tritonclient.
"""

from clients.scoring.errors import RefusedError, ScoringError, UnreachableError, VersionError
from clients.scoring.scorer import Scorer, Scores

__all__ = ["RefusedError", "Scorer", "Scores", "ScoringError", "UnreachableError", "VersionError"]

"""What can go wrong beyond a single text; each message says what to do."""


class ScoringError(Exception):
    """No text can be scored."""


class VersionError(ScoringError):
    """There is no such model, version or profile, or its directory is not what Triton serves."""


class UnreachableError(ScoringError):
    """No Triton answered for as long as one was waited for."""


class RefusedError(ScoringError):
    """Triton refuses what it is asked, which waiting does not change."""

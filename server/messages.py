"""What the launcher says beside Triton's own lines."""

import sys


def report(sentence: str) -> None:
    """Say something to whoever started this, beside Triton's own lines."""
    print(sentence, file=sys.stderr, flush=True)


def not_loaded(model: str, version: str, reason: str) -> str:
    """That a version, or a model as a whole, could not be loaded."""
    name = f"{model} version {version}" if version else model
    return f"Model {name} could not be loaded: {reason.rstrip('.')}."

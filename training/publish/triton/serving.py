"""Whether a running Triton serves what was published, and why not."""

import sys
from pathlib import Path

from training.common.command import TrainingError
from training.publish.triton.index import (
    DEFAULT_URL,
    NoAnswerError,
    NotNoticedError,
    wait_until_served,
)
from training.publish.triton.rules import obstacles


def report_serving(model: str, published: Path, url: str | None, seconds: float) -> None:
    """Wait for a running Triton to serve what was published, and say so, or why it does not.

    Raises:
        TrainingError: a running Triton does not serve it, or none would, for something was damaged while it was
            made; or none answers at an address that was named.
    """
    if found := obstacles(published.parent, added=int(published.name)):
        raise TrainingError(
            f"NVIDIA's Triton does not serve {model} {published.name}: {'; '.join(each.sentence for each in found)}. "
            f"`python -m training.publish quarantine --model {model}` takes the damage out"
        )
    if not seconds:
        return
    address = url or DEFAULT_URL
    try:
        wait_until_served(address, model, published.name, seconds)
    except (NoAnswerError, NotNoticedError) as error:
        if url:
            raise
        print(f"{error}. Whether it is served was not checked.", file=sys.stderr, flush=True)
        return
    print(f"Triton at {address} serves {model} {published.name}")

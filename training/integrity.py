"""Whether a version's files are those that its card, and the GPU graph's record, describe."""

from pathlib import Path

from contract.version_directory import (
    CPU_GRAPH,
    GPU_GRAPH,
    GPU_RECORD,
    TOKENIZER,
    Card,
    CardError,
    read_card,
    read_gpu_record,
    sha256,
)


def damage(directory: Path) -> list[str]:
    """What is wrong with a version directory, a sentence each; nothing if it is whole."""
    try:
        card = read_card(directory)
    except CardError as error:
        return [str(error)]
    return cpu_damage(directory, card) + gpu_damage(directory, card)


def cpu_damage(directory: Path, card: Card) -> list[str]:
    """The same for the files that every version has: the CPU graph, the tokenizer and what else the card names."""
    found = []
    for name in sorted({CPU_GRAPH, TOKENIZER, *card.files} - {GPU_GRAPH}):
        path, expected = directory / name, card.files.get(name)
        if not path.is_file():
            found.append(f"{path} is missing")
        elif expected is None:
            found.append(f"{path} is not on the card")
        elif sha256(path) != expected:
            found.append(f"{path} is not the file its card describes")
    return found


def gpu_damage(directory: Path, card: Card) -> list[str]:
    """The same for the GPU graph alone; its absence is no damage, since `make gpu-weights` makes it."""
    path = directory / GPU_GRAPH
    if not path.is_file():
        return []
    advice = f"remove {GPU_GRAPH} there and run `make gpu-weights`"
    try:
        record = read_gpu_record(directory)
    except CardError as error:
        return [f"{error}; {advice}"]
    if record.cpu_graph != card.files.get(CPU_GRAPH):
        return [f"{path} belongs to another {CPU_GRAPH}; {advice}"]
    if sha256(path) != record.sha256:
        return [f"{path} is not the file {GPU_RECORD} describes; {advice}"]
    return []

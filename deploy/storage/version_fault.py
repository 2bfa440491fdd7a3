"""Whether a version directory is what its card says."""

from pathlib import Path

from contract.version_directory import CardError, cpu_damage, gpu_damage, read_card


def version_fault(directory: Path) -> str | None:
    """What is wrong with it, in a sentence; None if it is whole."""
    try:
        card = read_card(directory)
    except CardError as error:
        return str(error)
    found = cpu_damage(directory, card) + gpu_damage(directory, card)
    return "; ".join(each.sentence for each in found) or None

"""Whether a version's files are those that its card, and the GPU graph's record, describe."""

from pathlib import Path

from contract.version_directory import CardError, cpu_damage, gpu_damage, read_card


def damage(directory: Path) -> list[str]:
    """What is wrong with a version directory, a sentence each; nothing if it is whole."""
    try:
        card = read_card(directory)
    except CardError as error:
        return [str(error)]
    return [found.sentence for found in cpu_damage(directory, card) + gpu_damage(directory, card)]

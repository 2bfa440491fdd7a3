"""Families of texts: templates with slots, filled in at random, with a seed."""

import re
from dataclasses import dataclass, field
from random import Random

_SLOT = re.compile(r"\{(\w+)\}")
_DRAWS = 40  # For each text wanted: more than enough where a family has several times as many.


def lines(block: str) -> tuple[str, ...]:
    """The lines of a block of text, without the empty ones."""
    return tuple(line.strip() for line in block.splitlines() if line.strip())


@dataclass(frozen=True)
class Family:
    """Texts of one kind, all with the same labels.

    A slot's value may have slots itself. `{name_cap}` is `{name}` with a capital letter first.

    Args:
        name: of the family.
        labels: emotions, as `contract.labels` names them, strongest first.
        templates: whole texts.
        slots: what `{name}` may be.
    """

    name: str
    labels: tuple[str, ...]
    templates: tuple[str, ...]
    slots: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def texts(self, count: int, seed: int) -> list[str]:
        """As many different texts, or all that were found where the family has fewer."""
        random = Random(f"{seed} {self.name}")  # noqa: S311 - the same draw every time
        found: dict[str, None] = {}
        for draw in range(count * _DRAWS):
            # By turns, so that a template with few slots is as frequent as one with many.
            found[self._filled(self.templates[draw % len(self.templates)], random)] = None
            if len(found) == count:
                break
        return list(found)

    def _filled(self, template: str, random: Random) -> str:
        text, used = template, set[str]()
        while slot := _SLOT.search(text):
            name = slot[1].removesuffix("_cap")
            # Nobody says the same twice in one text.
            value = random.choice([value for value in self.slots[name] if value not in used])
            used.add(value)
            if slot[1].endswith("_cap"):
                value = value[:1].upper() + value[1:]
            text = text[: slot.start()] + value + text[slot.end() :]
        return text

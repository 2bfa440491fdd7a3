"""What a request of any protocol asks for, in one form."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

PartKind = Literal["sentences", "windows"]
"""What a text is cut into: sentences, or as few windows of tokens as the model can read one at a time."""


@dataclass(frozen=True, slots=True)
class Query:
    """Texts, and with what to read them."""

    texts: list[str]
    pointer: str
    """JSON pointer to a text in the request; `{}` stands for its number."""
    model: str | None = None
    version: str | None = None
    profile: str | None = None
    truncate: bool = True
    parts: PartKind | None = None
    """None: each text is one row, and its end is cut off if it is too long."""
    admit_parts: Callable[[int], None] | None = None
    """Asked, once the parts of all texts are counted, whether there is room for as many; raises a `Problem` if not."""

    def pointer_to(self, index: int) -> str:
        """JSON pointer to one text, as a URI fragment."""
        return self.pointer.format(index)

    @property
    def list_pointer(self) -> str:
        """JSON pointer to all texts."""
        return self.pointer.partition("/{}")[0]

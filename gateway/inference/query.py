"""What a request of any protocol asks for, in one form."""

from dataclasses import dataclass


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

    def pointer_to(self, index: int) -> str:
        """JSON pointer to one text, as a URI fragment."""
        return self.pointer.format(index)

    @property
    def list_pointer(self) -> str:
        """JSON pointer to all texts."""
        return self.pointer.partition("/{}")[0]

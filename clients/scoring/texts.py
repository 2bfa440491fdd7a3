"""Which texts can't be scored, and why; the same for every client."""

from typing import Final

MOST_CHARACTERS: Final = 10_000
"""In one text, as the gateway takes it unless it is set otherwise. A model reads some hundreds of them."""


def fault(text: object, most_characters: int = MOST_CHARACTERS) -> str | None:
    """What is wrong with a text, as a row's `error` says it; None if it can be scored."""
    if text is None:
        return "no text"
    if not isinstance(text, str):
        return f"not a text but {_KINDS.get(type(text), 'something else')}"
    if len(text) > most_characters:
        return f"{len(text)} characters, and a text may have {most_characters}"
    if not text or text.isspace():
        return "empty"
    if "\0" in text:
        return "holds NUL (U+0000), which is no character of a text"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "holds bytes that are not of its encoding, or half of a surrogate pair"
    return None


_KINDS: Final = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    bytes: "bytes",
    list: "a list",
    dict: "an object",
}

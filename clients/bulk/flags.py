"""Flags that the commands for files and those for clusters share."""

import argparse


def add_input_flags(parser: argparse.ArgumentParser) -> None:
    """Add those that say how the input is read."""
    group = parser.add_argument_group("the input")
    group.add_argument("--text", metavar="COLUMN", help="which is the text (default: text, review, … or the only one)")
    group.add_argument("--keep", metavar="COLUMNS", help="to be in OUTPUT, with commas between (default: all others)")
    group.add_argument("--format", choices=("csv", "tsv", "jsonl", "parquet", "lines"), help="default: by the ending")
    group.add_argument("--encoding", help="default: found out; utf-8, cp1251, …")
    group.add_argument("--delimiter", type=_delimiter, help="of CSV (default: found out)")
    group.add_argument("--no-header", action="store_true", help="of CSV: columns are then named 1, 2, …")


def kept_columns(parsed: argparse.Namespace) -> tuple[str, ...] | None:
    """The columns that `--keep` names; None without it."""
    if parsed.keep is None:
        return None
    return tuple(name.strip() for name in parsed.keep.split(",") if name.strip())


def seconds(text: str) -> float:
    """A duration.

    Raises:
        ArgumentTypeError: it is none.
    """
    try:
        duration = float(text)
    except ValueError:
        duration = -1.0
    if not 0 <= duration < 1 << 31:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds")
    return duration


def _delimiter(text: str) -> str:
    named = {"\\t": "\t", "tab": "\t"}.get(text, text)
    if len(named) != 1 or named in '"\r\n':
        raise argparse.ArgumentTypeError(f"{text!r} is not one character, such as ; or tab")
    return named

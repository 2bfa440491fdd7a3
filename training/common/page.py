"""Renders a page from a template, with plots as inline SVG: one file that needs nothing else."""

import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from contract.labels import LABELS
from training.common.labels import label_names
from training.common.output import write_result


def write_page(path: Path, room: str, template: str, **values: Any) -> None:
    """Fill in `template`, a file of the package `room`, and write the page; text is escaped.

    Raises:
        TrainingError: the disk is full or not writable.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(room, "."), PackageLoader("training.common", ".")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # `tojson` escapes what could end a script; letters stay letters.
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
    environment.filters["names"] = label_names
    environment.filters["figure"] = lambda value: "–" if value is None else f"{value:.4f}"
    environment.filters["percent"] = lambda value: f"{value:.1%}"
    page = environment.get_template(template).render(russian=LABELS, **values)
    write_result(path.parent, path.name, f"{page}\n".encode())


def inline(figure: Figure) -> Markup:
    """A figure as an `<svg>` element."""
    buffer = io.StringIO()
    # Text stays text: smaller files, and it can be searched. The salt makes ids repeatable.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "report"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    content = buffer.getvalue()
    return Markup(content[content.index("<svg") :])  # noqa: S704 - drawn by matplotlib, which escapes text

"""Plots of data sets, one figure each."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from contract.labels import EMOTIONS
from training.data.rows.loading import source_of
from training.data.rows.own import short_name

_COLOURS: Final = dict(zip(EMOTIONS, ("#7f7f7f", "#e6a700", "#1f77b4", "#9467bd", "#2ca02c", "#d62728"), strict=True))
_DROPPED: Final = "#dddddd"


def classes(source: str, counts: Mapping[str, int]) -> Figure:
    """Rows of each of a data set's own classes, in the colour of the emotion it becomes; grey if none."""
    figure = Figure(figsize=(5.2, 1.2 + 0.22 * len(counts)), layout="constrained")
    axes = figure.subplots()
    meanings = source_of(source).classes
    colours = [_COLOURS.get(meanings[name].emotion or "", _DROPPED) for name in counts]
    bars = axes.barh(list(counts), list(counts.values()), color=colours)
    axes.bar_label(bars, fontsize=8, padding=2)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set(title=f"{short_name(source)}: rows by its own classes", xlabel="rows")
    return figure


def emotions(title: str, counts: Mapping[str, npt.NDArray[Any]]) -> Figure:
    """Rows of each emotion, one bar an emotion, made up of the parts by name."""
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    axes = figure.subplots()
    below = np.zeros(len(EMOTIONS))
    for name, values in counts.items():
        axes.bar(EMOTIONS, values, bottom=below, label=name)
        below += values
    axes.set(title=title, ylabel="rows")
    axes.tick_params(axis="x", rotation=30)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


def shares(title: str, values: Mapping[str, npt.NDArray[np.float64]]) -> Figure:
    """For each name, the share of its rows that carries each emotion."""
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(EMOTIONS)
    for index, emotion in enumerate(EMOTIONS):
        places = np.arange(len(values)) + (index - 2.5) * width
        axes.bar(places, [row[index] for row in values.values()], width, color=_COLOURS[emotion], label=emotion)
    axes.set_xticks(range(len(values)), list(values))
    axes.set(title=title, ylabel="share of rows")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


def lengths(values: Mapping[str, Sequence[int]]) -> Figure:
    """How long texts are, in characters, one curve a data set."""
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    axes = figure.subplots()
    longest = max(max(row) for row in values.values())
    bins = np.linspace(0, longest + 1, 50)
    for name, row in values.items():
        weights = np.full(len(row), 1 / len(row))
        axes.hist(row, bins=bins.tolist(), weights=weights, histtype="step", label=name)
    axes.set(title="Length of texts", xlabel="characters", ylabel="share of rows")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


def matrix(title: str, names: Sequence[str], counts: npt.NDArray[np.int64]) -> Figure:
    """Counts of pairs as a table in colours; the darker, the larger the share of the row's own count."""
    side = 2.2 + 0.55 * len(names)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    share = counts / np.maximum(np.diag(counts)[:, None], 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*counts.shape):
        colour = "white" if share[row, column] > 0.5 else "black"
        axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", color=colour, fontsize=7)
    axes.set_xticks(range(len(names)), list(names), rotation=40, ha="right", fontsize=8)
    axes.set_yticks(range(len(names)), list(names), fontsize=8)
    axes.set(title=title)
    return figure

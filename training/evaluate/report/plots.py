"""Plots of a multi-label classifier's predictions, one figure each."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_curve

from contract.labels import EMOTIONS
from training.measuring.metrics import Matrix, calibration_bins
from training.measuring.thresholds import PROFILES

_PROFILES: Final = dict(
    zip(PROFILES, (("#2ca02c", "-", 3.0), ("#9467bd", "--", 1.6), ("#e6a700", ":", 1.6)), strict=True)
)
"""How each one's thresholds are drawn; where several have the same one, each still shows."""
_COLOURS: Final = dict(zip(EMOTIONS, ("#7f7f7f", "#e6a700", "#1f77b4", "#9467bd", "#2ca02c", "#d62728"), strict=True))


def _legend_below(figure: Figure) -> None:
    """One legend for all axes, below them, where it covers nothing."""
    named: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    columns = 2 if len(figure.axes) == 1 else 3
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=columns, frameon=False)


def roc_curves(truth: Matrix, probabilities: Matrix) -> Figure:
    """The true positive rate over the false positive rate, one curve an emotion."""
    figure = Figure(figsize=(5.2, 5.8), layout="constrained")
    axes = figure.subplots()
    for index, emotion in enumerate(EMOTIONS):
        wrong, right, _ = roc_curve(truth[:, index], probabilities[:, index])
        axes.plot(wrong, right, color=_COLOURS[emotion], label=f"{emotion}, area {auc(wrong, right):.3f}")
    axes.plot((0, 1), (0, 1), color="#bbbbbb", linestyle=":", linewidth=1)
    axes.set(title="ROC, each emotion against the rest", xlabel="false positive rate", ylabel="true positive rate")
    _legend_below(figure)
    return figure


def precision_recall_curves(truth: Matrix, probabilities: Matrix) -> Figure:
    """Precision over recall, one curve an emotion."""
    figure = Figure(figsize=(5.2, 5.8), layout="constrained")
    axes = figure.subplots()
    for index, emotion in enumerate(EMOTIONS):
        column, answers = truth[:, index], probabilities[:, index]
        precision, recall, _ = precision_recall_curve(column, answers, drop_intermediate=True)
        average = average_precision_score(column, answers)
        axes.step(recall, precision, where="post", color=_COLOURS[emotion], label=f"{emotion}, mean {average:.3f}")
    axes.set(title="Precision and recall", xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    _legend_below(figure)
    return figure


def threshold_plot(curves: dict[str, Any], marks: Mapping[str, Sequence[Mapping[str, float]]]) -> Figure:
    """Precision, recall and the share flagged over the threshold, one panel an emotion, and where the profiles are.

    Args:
        curves: as `training.evaluate.breakdown.curves.threshold_curves` gives them.
        marks: by profile, its thresholds by emotion: one set, drawn as a line, or each fold's, drawn as a band.
    """
    figure = Figure(figsize=(10.6, 6.8), layout="constrained")
    for axes, emotion in zip(figure.subplots(2, 3, sharex=True, sharey=True).flat, EMOTIONS, strict=True):
        curve = curves[emotion]
        precision = [np.nan if value is None else value for value in curve["precision"]]
        axes.plot(curves["threshold"], precision, color="#1f77b4", label="precision")
        axes.plot(curves["threshold"], curve["recall"], color="#d62728", label="recall")
        axes.plot(
            curves["threshold"], curve["flagged"], color="#7f7f7f", linestyle="--", label="share of texts flagged"
        )
        for profile, sets in marks.items():
            values = [thresholds[emotion] for thresholds in sets]
            colour, style, width = _PROFILES[profile]
            # A band as narrow as a hair would not be seen: its edges are drawn too.
            axes.axvspan(min(values), max(values), color=colour, alpha=0.25, linewidth=0)
            for value in {min(values), max(values)}:
                axes.axvline(value, color=colour, linestyle=style, linewidth=width, label=f"threshold of {profile}")
        axes.set(title=emotion, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="threshold")
        axes.label_outer()
        axes.grid(color="#eeeeee")
    _legend_below(figure)
    return figure


def reliability(truth: Matrix, probabilities: Matrix) -> Figure:
    """How often a label is right among the rows that were given about that probability."""
    figure = Figure(figsize=(10.6, 6.2), layout="constrained")
    for axes, (index, emotion) in zip(figure.subplots(2, 3).flat, enumerate(EMOTIONS), strict=True):
        rows, positive, summed = calibration_bins(truth[:, index], probabilities[:, index])
        there = rows > 0
        axes.plot((0, 1), (0, 1), color="#bbbbbb", linestyle=":", linewidth=1)
        axes.plot(summed[there] / rows[there], positive[there] / rows[there], marker="o", color=_COLOURS[emotion])
        for confidence, share, count in zip(
            summed[there] / rows[there], positive[there] / rows[there], rows[there], strict=True
        ):
            axes.annotate(f"{count:.0f}", (confidence, share), textcoords="offset points", xytext=(4, -10), fontsize=7)
        axes.set(title=emotion, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    figure.supxlabel("mean probability of the bin (numbers: its rows)")
    figure.supylabel("share that has the label")
    return figure


def confusion(truth: Matrix, probabilities: Matrix) -> Figure:
    """The most probable emotion by given label, as shares of the label's rows.

    A row with several labels counts under each of them.
    """
    top = np.eye(len(EMOTIONS))[probabilities.argmax(axis=1)]
    counts = truth.T.astype(np.float64) @ top
    shares = counts / counts.sum(axis=1, keepdims=True)
    figure = Figure(figsize=(6.4, 5.4), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row in range(len(EMOTIONS)):
        for column in range(len(EMOTIONS)):
            share = shares[row, column]
            colour = "white" if share > 0.5 else "black"
            text = f"{share:.0%}\n{counts[row, column]:.0f}"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(EMOTIONS)), EMOTIONS, rotation=30)
    axes.set_yticks(range(len(EMOTIONS)), EMOTIONS)
    axes.set(title="Confusion", xlabel="most probable emotion", ylabel="given label")
    return figure

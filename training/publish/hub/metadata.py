"""The head of a model card on a hub: what the hub reads of a version, as YAML."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from huggingface_hub import EvalResult, ModelCardData

from contract.version_directory import Card
from training.data.rows.combinations import CEDR
from training.data.rows.sources import SOURCES
from training.export.checkpoint_card import datasets_of, licence_of

_METRICS: Final = {
    "roc_auc": ("roc_auc", "ROC AUC, mean of six labels"),
    "average_precision": ("average_precision", "average precision, mean of six labels"),
}
_METRICS_OF_LABELS: Final = {
    "f1": ("f1", "F1, mean of six labels"),
    "f1_macro": ("f1", "F1 of label and rest, mean of six labels"),
}
"""A figure of ours: the hub's name of the metric, and what it is, in words. The latter two depend on thresholds."""


def metadata(card: Card, repo: str) -> ModelCardData:
    """Language, licence, task, data sets, and the figures as a `model-index`, by data set and split."""
    licence, licence_name = licence_of(card.licence)
    return ModelCardData(
        language="ru",
        license=licence,
        license_name=licence_name,
        library_name="onnx",
        pipeline_tag="text-classification",
        tags=["onnx", "triton", "emotion", "emotion-recognition", "multi-label-classification", "russian"],
        datasets=datasets_of(card.training) or None,
        model_name=repo.rpartition("/")[2],
        eval_results=list(_results(card.metrics)) or None,
    )


def measurements(metrics: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What was measured on rows with labels; not what the gate measured, nor the behaviour."""
    for name, figures in metrics.items():
        if "roc_auc" in figures.get("mean", {}):
            yield name, figures


def labels_and_means(figures: Mapping[str, Any]) -> tuple[str, Mapping[str, float]]:
    """What labels were given with, and the means of the figures that depend on it."""
    if (tuned := figures.get("tuned")) is not None:
        return f"thresholds from {tuned['tuned_on']}", tuned["mean"]
    return f"threshold {figures['threshold']}", figures["mean"]


def _results(metrics: Mapping[str, Mapping[str, Any]]) -> Iterator[EvalResult]:
    for name, figures in measurements(metrics):
        rows = figures.get("measured_on", {})
        dataset = rows.get("dataset") or (CEDR if "CEDR" in name else name.split(",")[0].split()[0])
        source = SOURCES.get(dataset)
        labels_by, with_labels = labels_and_means(figures)
        for of, table, note in (
            (figures["mean"], _METRICS, ""),
            (with_labels, _METRICS_OF_LABELS, f", {labels_by}"),
        ):
            for ours, (metric, words) in table.items():
                if ours in of:
                    yield EvalResult(
                        task_type="text-classification",
                        task_name="Emotions in Russian text",
                        dataset_type=(source.hub_name if source else None) or dataset,
                        dataset_name=dataset,
                        dataset_config=source.hub_config if source else None,
                        dataset_split=rows.get("split") or name.split(",")[0],
                        metric_type=metric,
                        metric_name=words + note,
                        metric_value=of[ours],
                    )

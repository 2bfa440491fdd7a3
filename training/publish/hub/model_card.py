"""The README.md that goes to a hub with a version: a model card in the hub's format, made of `card.json`."""

from collections.abc import Mapping
from typing import Any, Final

from contract.labels import LABELS
from contract.version_directory import Card
from training.publish.hub.metadata import labels_and_means, measurements, metadata

README: Final = "README.md"
_PAGE: Final = """---
{data}
---

# {card.model}

Emotions in Russian text: {labels}. A text may have several{activation}.

A version of ru-emotions-triton: an ONNX graph in int8 for CPUs, its tokenizer, and a card with
thresholds and figures. The encoder has {layers} layers of {hidden} and reads {card.max_length} tokens of a text. It was
made from: {card.base_model}.

| file | |
|---|---|
| `model.cpu.onnx` | the graph; token ids in, probabilities out |
| `tokenizer.json` | for `tokenizers` |
| `card.json` | thresholds, figures, what was checked, the SHA-256 of the two files above |
| `model.gpu.onnx`, `model.gpu.json` | if they are here: the graph for GPUs (fp16, packed attention), and its record |

## Figures

{figures}

`model.cpu.onnx` gave the answers where it is named, the checkpoint in PyTorch elsewhere. Means over the six labels.

## Profiles

A profile is a threshold for each label. What it costs was measured on rows that it was not tuned on.

{profiles}

## Behaviour

{behaviour}

## Limits

{limits}

## Use it with ru-emotions-triton

```
python -m training.publish pull {repo} --model {card.model}
make serve
```

`pull` checks the files again and publishes them as the next version of the model; Triton serves it at once.

## Use it with onnxruntime

```python
import json

import numpy as np
import onnxruntime
from huggingface_hub import hf_hub_download
from tokenizers import Tokenizer

graph, tokenizer, card = (
    hf_hub_download("{repo}", name) for name in ("model.cpu.onnx", "tokenizer.json", "card.json")
)
card = json.load(open(card, encoding="utf-8"))
session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
tokenizer = Tokenizer.from_file(tokenizer)
tokenizer.enable_truncation(card["max_length"])

texts = ["Как же я рад тебя видеть!", "Мне страшно"]
rows = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
# No padding: all token ids one after another, and the length of each row.
probabilities = session.run(
    ["probabilities"],
    {{
        "input_ids": np.concatenate([np.array(row, np.int64) for row in rows]),
        "item_shape": np.array([[len(row)] for row in rows], np.int32),
    }},
)[0]
thresholds = card["profiles"]["{profile}"]["thresholds"]
for text, row in zip(texts, probabilities):
    print(text, [name for (name, least), found in zip(thresholds.items(), row) if found >= least])
```
"""


def model_card(card: Card, repo: str) -> str:
    """The page.

    Args:
        card: the version's.
        repo: `OWNER/NAME` on the hub, which the page's own commands name.
    """
    return _PAGE.format(
        data=metadata(card, repo).to_yaml().strip(),
        card=card,
        repo=repo,
        labels=", ".join(f"{en} ({ru})" for en, ru in LABELS.items()),
        activation="; the probabilities share one softmax" if card.architecture.get("softmax_classes") else " at once",
        layers=card.architecture["layers"],
        hidden=card.architecture["hidden"],
        figures=_figures(card),
        profiles="\n\n".join(_profile(card, name) for name in card.profiles),
        profile=next(iter(card.profiles)),
        behaviour=_behaviour(card.metrics.get("behaviour")),
        limits="\n".join(f"- {limit}" for limit in card.limits) or "None on its card.",
    )


def _figures(card: Card) -> str:
    columns = ("rows", "number", "ROC AUC", "average precision", "F1", "F1 of label and rest", "labels by")
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for name, figures in measurements(card.metrics):
        labels_by, of = labels_and_means(figures)
        mean = figures["mean"]
        cells = (
            name, f"{figures['rows']:,}", mean["roc_auc"], mean.get("average_precision", ""), of["f1"], of["f1_macro"],
            labels_by,
        )  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) if len(lines) > 2 else "None on its card."


def _profile(card: Card, name: str) -> str:
    profile = card.profiles[name]
    lines = [
        f"**{name}**: {profile.purpose}. Tuned on {profile.tuned_on}; measured on {profile.measured_on}.",
        "",
        "| label | threshold | precision | recall | flagged |",
        "|---|---|---|---|---|",
    ]
    for label, cost in profile.costs.items():
        lines.append(
            f"| {label} | {profile.thresholds[label]:.4g} | {cost.precision:.1%} | {cost.recall:.1%} |"
            f" {cost.flagged:.1%} |"
        )
    return "\n".join(lines)


def _behaviour(figures: Mapping[str, Any] | None) -> str:
    if figures is None:
        return "Not measured."
    halves = [
        f"- Short texts as people send them, {half} half of the suite ({suite['texts']} texts): the most probable label"
        f" is acceptable for {suite['right']:.1%}."
        for half, suite in figures["suite"].items()
    ]
    changes = figures["changes"]
    return "\n".join(
        [
            *halves,
            f"- Changes that mean nothing (case, greetings, signs, …) to {changes['texts']} texts: the most probable"
            f" label becomes another one after {changes['changed']:.1%}.",
        ]
    )

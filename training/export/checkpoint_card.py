"""The README.md of a checkpoint made from a published version: Hugging Face's model card."""

from collections.abc import Mapping
from typing import Any, Final

from huggingface_hub import ModelCardData

from contract.labels import LABELS
from contract.version_directory import Card
from training.data.rows.combinations import CEDR
from training.measuring.figures import dev_figures
from training.runs.learned import HELD_OUT, OTHERS, held_out, learned

_CARD: Final = """---
{data}
---

# {card.model} {version}

Emotions in Russian text: {labels}. Several may hold at once: the model has six independent sigmoids.

These are the int8 weights of version {version} of {card.model}, as they are served, turned back into float32. On
{texts} short texts the probabilities differ from the served ones by {difference:.4f} on average. The encoder is a BERT
of {layers} layers of {hidden}; it reads {card.max_length} tokens of a text. It was made from: {card.base_model}.

```python
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(directory)
model = AutoModelForSequenceClassification.from_pretrained(directory{remote}).eval()
batch = tokenizer(["Как же я рад тебя видеть!"], padding=True, truncation=True, return_tensors="pt")
probabilities = torch.sigmoid(model(**batch).logits)
```

{pooling}To fine-tune it, start from this directory; `AutoModel` gives the encoder alone.{folds}

Take the tokenizer as `AutoTokenizer` gives it. `BertTokenizer` and `XLMRobertaTokenizer` build another one from the
same file. `[SEP]`, `<s>` and the like inside a text are text (`split_special_tokens`), and two texts given as a pair
get no special tokens.

## Figures

{figures}

## Limits

{limits}
"""
_POOLING: Final = """The classifier reads the mean of all tokens, which transformers' own BERT classifier does not do:
`trust_remote_code=True` runs `mean_pooling.py` of this directory. Without it transformers warns that
`bert.pooler` is new, and the answers mean nothing.

"""
_FOLDS: Final = """ It has been trained on folds
1 to 4 of {data_sets}, so only their fold 0 and test splits tell anything about what is made from it."""
_LICENCES: Final = (
    "apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0",
    "cc-by-sa-4.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0",
    "cc-by-nd-4.0", "gpl", "gpl-2.0", "gpl-3.0", "agpl-3.0", "lgpl", "lgpl-3.0", "mpl-2.0", "openrail", "afl-3.0",
    "artistic-2.0", "bigscience-openrail-m", "cdla-permissive-2.0", "ecl-2.0", "eupl-1.1", "isc", "unlicense", "wtfpl",
    "zlib", "unknown", "other",
)  # fmt: skip
"""Those that the hub has an identifier for, as far as weights are concerned."""


def model_card(card: Card, version: str, difference: float, texts: int, *, mean_pooled: bool) -> str:
    """The page.

    Args:
        card: the version's.
        version: its number.
        difference: how far the checkpoint's probabilities are from the version's, on average.
        texts: on how many texts.
        mean_pooled: whether the classifier reads the mean of the tokens, not the first.
    """
    # A card from before figures named their rows has those of CEDR alone.
    folds = [each.get("measured_on", {}).get("dataset", CEDR) for each in card.metrics.values() if "five_folds" in each]
    licence, licence_name = licence_of(card.licence)
    dev = dev_figures(card.metrics).get("measured_on", {})
    others: dict[str, Any] = {
        OTHERS: [name for name in learned(card.training) if not _on_the_hub(name)] or None,
        HELD_OUT: held_out(card.training, dev) or None,
    }
    data = ModelCardData(
        language="ru", license=licence, license_name=licence_name, library_name="transformers",
        pipeline_tag="text-classification", tags=["emotion", "multi-label"],
        datasets=datasets_of(card.training) or None,
        **others,
    )  # fmt: skip
    figures = [
        f"- {rows}: mean ROC AUC {mean['roc_auc']}, mean F1 of class and rest {mean['f1_macro']}"
        for rows, mean in ((name, each.get("mean", {})) for name, each in card.metrics.items())
        if "roc_auc" in mean
    ]
    return _CARD.format(
        data=data.to_yaml().strip(),
        card=card,
        version=version,
        labels=", ".join(f"{en} ({ru})" for en, ru in LABELS.items()),
        texts=texts,
        difference=difference,
        layers=card.architecture["layers"],
        hidden=card.architecture["hidden"],
        remote=", trust_remote_code=True" if mean_pooled else "",
        pooling=_POOLING if mean_pooled else "",
        folds=_FOLDS.format(data_sets=" and ".join(folds)) if folds else "",
        figures="\n".join(figures) or "None on its card.",
        limits="\n".join(f"- {limit}" for limit in card.limits) or "None on its card.",
    )


def datasets_of(training: Mapping[str, Any]) -> list[str]:
    """Hub names of the data sets whose labels a version is known to be trained on.

    Args:
        training: as its card has it.
    """
    return [name for name in learned(training) if _on_the_hub(name)]


def _on_the_hub(name: str) -> bool:
    return name.count("/") == 1


def licence_of(licence: str) -> tuple[str, str | None]:
    """The hub's identifier; or its word for others, and the licence's own name."""
    identifier = "-".join(licence.lower().split())
    if identifier == "not-stated":
        return "unknown", None
    return (identifier, None) if identifier in _LICENCES else ("other", identifier)

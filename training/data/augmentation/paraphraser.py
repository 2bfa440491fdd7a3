"""A seq2seq checkpoint that says a text in other words."""

from collections.abc import Sequence
from typing import Any, Final

import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from training.common.command import TrainingError
from training.data.cleaning.texts import normalised

# As the model card of the default checkpoint sets them: no four tokens of the text in a row.
_BEAMS: Final = 5
_NO_REPEAT: Final = 4


class Paraphraser:
    """A loaded checkpoint, on a GPU if there is one. Deterministic: beam search, no sampling.

    Raises:
        TrainingError: the checkpoint cannot be loaded, or is no seq2seq model.
    """

    def __init__(self, checkpoint: str) -> None:
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint)
            model: Any = AutoModelForSeq2SeqLM.from_pretrained(checkpoint)
        except Exception as error:
            # transformers and the hub's client promise no common class.
            raise TrainingError(
                f"could not load the paraphraser {checkpoint}: {error}\nGive a local directory or the name"
                " of a seq2seq checkpoint on the Hugging Face hub (which needs a network)"
            ) from error
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = model.to(self._device).eval()

    def paraphrases(self, texts: Sequence[str], count: int) -> list[list[str]]:
        """For each text up to `count` paraphrases, the likeliest first; none empty, none twice."""
        batch = self._tokenizer(list(texts), return_tensors="pt", padding=True).to(self._device)
        with torch.no_grad():
            ids = self._model.generate(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                max_new_tokens=int(batch["input_ids"].shape[1] * 1.5) + 10,
                num_beams=max(_BEAMS, count),
                num_return_sequences=count,
                encoder_no_repeat_ngram_size=_NO_REPEAT,
                do_sample=False,
            )
        answers = [normalised(text) for text in self._tokenizer.batch_decode(ids, skip_special_tokens=True)]
        groups = [answers[start : start + count] for start in range(0, len(answers), count)]
        return [[text for text in dict.fromkeys(group) if text] for group in groups]

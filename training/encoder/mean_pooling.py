"""A classifier over the mean of a text's tokens, as sentence encoders such as multilingual-e5 are trained.

transformers' BertForSequenceClassification reads the first token alone, which means little in such an encoder.
"""

from typing import Any, Final

import torch
from transformers import BertModel, BertPreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

POOLING: Final = "mean"
"""What `classifier_pooling` in a checkpoint's configuration says of this class."""


class MeanPooledClassifier(BertPreTrainedModel):  # type: ignore[no-untyped-call] # transformers has no types there
    """A BERT encoder, the mean of its last hidden states over the tokens that are no padding, and a linear layer."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        self.bert = BertModel(config, add_pooling_layer=False)
        self.dropout = torch.nn.Dropout(config.hidden_dropout_prob)
        self.classifier = torch.nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Logits `[b, labels]` from token ids, their mask and, where there are some, types, int64 `[b, length]` each.

        With labels, 0 or 1, float32 `[b, labels]`, the mean binary cross-entropy too.
        """
        hidden = self.bert(input_ids, attention_mask, token_type_ids).last_hidden_state
        weights = attention_mask[:, :, None].to(hidden.dtype)
        mean = (hidden * weights).sum(dim=1) / weights.sum(dim=1)
        logits = self.classifier(self.dropout(mean))
        loss = None if labels is None else torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)

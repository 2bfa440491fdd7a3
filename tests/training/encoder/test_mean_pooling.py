"""A classifier over the mean of the tokens: padding counts for nothing, and it survives saving."""

from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel, XLMRobertaConfig, XLMRobertaModel

from training.common.command import TrainingError
from training.encoder.classifier import load_base_classifier, load_classifier
from training.encoder.mean_pooling import MeanPooledClassifier


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    directory = tmp_path_factory.mktemp("encoder")
    config = BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=40,
    )  # fmt: skip
    BertModel(config).save_pretrained(directory)
    return directory


def test_it_is_the_mean_of_the_tokens_that_are_no_padding(encoder: Path) -> None:
    model = load_base_classifier(str(encoder), pooling="mean").eval()
    assert isinstance(model, MeanPooledClassifier)
    short, long = torch.tensor([[2, 7, 3]]), torch.tensor([[2, 7, 3, 0, 0]])
    with torch.no_grad():
        hidden = model.bert(short).last_hidden_state.mean(dim=1)
        expected = model.classifier(hidden)
        alone = model(short, torch.ones_like(short)).logits
        padded = model(long, torch.tensor([[1, 1, 1, 0, 0]])).logits
    torch.testing.assert_close(alone, expected)
    torch.testing.assert_close(padded, expected, atol=1e-6, rtol=1e-5)


def test_a_saved_one_is_loaded_as_what_it_is(encoder: Path, tmp_path: Path) -> None:
    model = load_base_classifier(str(encoder), pooling="mean").eval()
    model.save_pretrained(tmp_path)
    again = load_classifier(str(tmp_path)).eval()
    assert isinstance(again, MeanPooledClassifier)
    ids = torch.tensor([[2, 7, 9, 3]])
    with torch.no_grad():
        torch.testing.assert_close(again(ids, torch.ones_like(ids)).logits, model(ids, torch.ones_like(ids)).logits)


def test_only_berts_encoders_have_it(tmp_path: Path) -> None:
    config = XLMRobertaConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=40,
    )  # fmt: skip
    XLMRobertaModel(config).save_pretrained(tmp_path)
    with pytest.raises(TrainingError, match="mean pooling is made for BERT's encoders, and this is a xlm-roberta"):
        load_base_classifier(str(tmp_path), pooling="mean")

"""A classifier as the hub has it, from its directory to answers over HTTP: they are PyTorch's."""

from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForSequenceClassification, BertConfig, BertForSequenceClassification

from contract.version_directory import read_card
from tests.gateway.support.gateway_process import running_gateway
from tests.support.triton_process import running_triton
from tests.training.support.commands import succeeds
from tests.training.support.hub_checkpoints import wordpiece_as_on_the_hub
from tests.training.support.rows import keyword_rows, write_lines
from training.data.rows.examples import Example, targets
from training.data.rows.loading import load_source
from training.encoder.classifier import TokenRows, collate, encode

STEPS = 60
# rubert-tiny2-cedr-emotion-detection's own names, in its own order.
LABELS = ("no_emotion", "joy", "sadness", "surprise", "fear", "anger")


def save_stand_in(directory: Path, rows: list[Example]) -> None:
    """That checkpoint's structure: a BERT of 3 layers and 12 heads of 26, a cased WordPiece; with fewer words.

    Trained for seconds: int8 costs random weights more than the gate allows.
    """
    torch.manual_seed(0)
    tokenizer = wordpiece_as_on_the_hub([row.text for row in rows], 600)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=312, num_hidden_layers=3, num_attention_heads=12,
        intermediate_size=600, max_position_embeddings=2048, type_vocab_size=2, pad_token_id=0,
        problem_type="multi_label_classification", id2label=dict(enumerate(LABELS)),
        label2id={name: index for index, name in enumerate(LABELS)}, initializer_range=0.05,
    )  # fmt: skip
    model = BertForSequenceClassification(config)
    encoded = TokenRows(encode([row.text for row in rows], tokenizer), targets(rows))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(STEPS):
        batch = collate([encoded[int(index)] for index in torch.randint(len(rows), (16,))], 0)
        model(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(directory)
    tokenizer.save(str(directory / "tokenizer.json"))
    (directory / "README.md").write_text("---\nlicense: mit\ndatasets:\n- cedr\n---\n", encoding="utf-8")


def test_from_a_directory_to_answers(tmp_path: Path) -> None:
    rows = keyword_rows(40)
    write_lines(tmp_path / "data", "cedr", "train", rows)
    texts = [row["text"] for row in rows]
    save_stand_in(tmp_path / "own", load_source("cedr", "train", tmp_path / "data"))
    models = tmp_path / "models"
    flags = ["--model", "emotion_mine", "--repository", models, "--data-dir", tmp_path / "data", "--wait", "0"]
    printed = succeeds("training.publish", tmp_path / "own", *flags, "--without-oldest-runtime")
    assert f"published {models}/emotion_mine/1" in printed
    assert {path.name for path in (models / "emotion_mine").iterdir()} == {"1", "config.pbtxt", "configs", "labels.txt"}
    card = read_card(models / "emotion_mine" / "1")
    assert (card.base_model, card.licence, set(card.profiles)) == ("own", "mit", {"balanced"})

    asked = texts[:30]
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "own").eval()
    tokenizer = Tokenizer.from_file(str(tmp_path / "own" / "tokenizer.json"))
    with torch.no_grad():
        logits = [model(input_ids=torch.tensor([tokenizer.encode(text).ids])).logits[0] for text in asked]
    expected = torch.sigmoid(torch.stack(logits)).numpy()
    with running_triton(models) as triton, running_gateway(models, triton.grpc_url, "--default-model=mine") as gateway:
        gateway.wait_until_ready()
        with gateway.client() as client:
            answer = client.post("/v1/emotions", json={"texts": asked}).json()
    answered = [[result["probabilities"][name] for name in LABELS] for result in answer["results"]]
    difference = np.abs(np.array(answered) - expected)
    # int8 moves a probability a little; in fp32 there is no difference.
    assert difference.max() < 0.08
    assert difference.mean() < 0.02
    assert card.metrics["gate"]["parity_cpu_fp32"] < 1e-4
    # Columns in another order would be far off.
    others = [np.abs(np.array(answered) - np.roll(expected, shift, axis=1)).mean() for shift in range(1, 6)]
    assert min(others) > 5 * difference.mean()

"""Tokenizers and encoders as they come from the hub, on their way to a graph."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from contract.version_directory import CPU_GRAPH, TOKENIZER
from tests.training.support.hub_checkpoints import (
    BERT_SPECIAL,
    XLM_SPECIAL,
    save_base_model,
    sentencepiece_as_on_the_hub,
    wordpiece_as_on_the_hub,
)
from tests.training.support.rows import keyword_rows
from training.encoder.base_model import load_base_model
from training.encoder.classifier import load_base_classifier, predict
from training.encoder.tokenizer import load_tokenizer, special_ids, special_tokens_as_text
from training.export.graphs.cpu import build_cpu_graph
from training.export.graphs.runtime import run, session
from training.export.graphs.weights import from_checkpoint

CORPUS = [row["text"] for row in keyword_rows(40)]
# Full-width digits, a ligature, a no-break space, an ellipsis, a combining breve: SentencePiece's table folds them.
HARD = ["ра\u00a0дость １２ ﬁ …", "  Ёжик\u200b  и\u0306од ", "№ ½ ㎏ 😀", "ﷺ", "", " ", "страшно" * 40]


def test_the_sentencepiece_fixture_is_what_it_stands_for() -> None:
    """Same pieces as SentencePiece itself, whose table normalises the text."""
    tokenizer, processor = sentencepiece_as_on_the_hub(CORPUS, 200)
    for text in [*CORPUS[:50], *HARD]:
        # Past a zero-width space SentencePiece's own spaces differ; no word is broken there.
        pieces = [piece for piece in tokenizer.encode(text, add_special_tokens=False).tokens if piece != "▁"]
        assert pieces == [piece for piece in processor.encode(text, out_type=str) if piece != "▁"], text
    assert tokenizer.encode("ﬁ １").tokens == tokenizer.encode("fi 1").tokens


@pytest.mark.parametrize("family", ["bert", "xlm-roberta"])
def test_a_hub_tokenizer_keeps_its_ids_and_takes_special_tokens_for_text(family: str, tmp_path: Path) -> None:
    is_bert = family == "bert"
    hub = wordpiece_as_on_the_hub(CORPUS, 300) if is_bert else sentencepiece_as_on_the_hub(CORPUS, 200)[0]
    hub.save(str(tmp_path / TOKENIZER))
    ours = load_tokenizer(str(tmp_path))
    for text in [*CORPUS[:50], *HARD]:
        assert ours.encode(text).ids == hub.encode(text).ids, text
    frame = [2, 3] if is_bert else [0, 2]
    pad_id = 0 if is_bert else 1
    for name in (*BERT_SPECIAL, *XLM_SPECIAL):
        for text in (name, f"до{name}после", f"до {name} {name} после"):
            ids = ours.encode(text).ids
            assert [ids[0], ids[-1]] == frame
            assert not {pad_id, *frame} & set(ids[1:-1]), text
    cut = [text for text in (BERT_SPECIAL[3], XLM_SPECIAL[2]) if set(frame) & set(hub.encode(text).ids[1:-1])]
    assert len(cut) == 1, "as on the hub they are not"

    ours.save(str(tmp_path / TOKENIZER))
    served = Tokenizer.from_file(str(tmp_path / TOKENIZER))
    again = special_tokens_as_text(served)
    for text in [*CORPUS[:50], *HARD, *BERT_SPECIAL, *XLM_SPECIAL]:
        assert served.encode(text).ids == again.encode(text).ids == ours.encode(text).ids, text


@pytest.mark.parametrize(("family", "pad_id", "unk_id"), [("bert", 0, 1), ("xlm-roberta", 1, 3), ("e5", 1, 3)])
def test_a_hub_base_model_gets_a_head_and_a_graph_that_equals_it(
    family: str, pad_id: int, unk_id: int, tmp_path: Path
) -> None:
    save_base_model(tmp_path, family, CORPUS)
    model, tokenizer, found = load_base_model(str(tmp_path))
    model.eval()
    assert found == pad_id
    assert special_ids(tokenizer, model.config) == (pad_id, unk_id)
    weights = from_checkpoint(model, 128, pad_id, unk_id)
    rows = [tokenizer.encode(text).ids[:128] for text in CORPUS[:20]]
    with torch.no_grad():
        expected = [model(input_ids=torch.tensor([row])).logits.sigmoid().numpy()[0] for row in rows]
    answers = run(session(build_cpu_graph(weights, "fp32")), rows)
    assert np.std(expected, axis=0).min() > 1e-3
    assert np.abs(answers - np.array(expected)).max() < 1e-4
    # In training and in what the gate compares with, rows are padded to one length.
    assert np.abs(predict(model, rows, pad_id) - answers).max() < 1e-4


def test_a_large_vocabulary_is_a_byte_an_entry(tmp_path: Path) -> None:
    """XLM-RoBERTa's 250,002 pieces would take four times as much."""
    save_base_model(tmp_path, "xlm-roberta", CORPUS)
    model = load_base_classifier(str(tmp_path))
    model.resize_token_embeddings(20_000)
    graph = build_cpu_graph(from_checkpoint(model, 128, 1, 3), "int8").SerializeToString()
    (tmp_path / CPU_GRAPH).write_bytes(graph)
    embeddings = 20_000 * model.config.hidden_size
    assert embeddings < len(graph) < 1.3 * embeddings
    assert np.isfinite(run(session(tmp_path / CPU_GRAPH), [[0, 19_999, 2]])).all()

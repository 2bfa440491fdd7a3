"""Small random encoders with the very kinds of files that encoders of three families have on the hub."""

import io
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from sentencepiece import sentencepiece_model_pb2  # The one that transformers takes: a process can hold one alone.
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers.trainers import WordPieceTrainer
from transformers import BertConfig, BertModel, XLMRobertaConfig, XLMRobertaModel

BERT_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
XLM_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


def wordpiece_as_on_the_hub(texts: list[str], vocabulary: int) -> Tokenizer:
    """rubert-tiny2's kind: cased, special tokens cut out of the text, a pair's token types."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))  # noqa: S106
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=None)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = WordPieceTrainer(vocab_size=vocabulary, special_tokens=list(BERT_SPECIAL), show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in BERT_SPECIAL])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )  # fmt: skip
    return tokenizer


def sentencepiece_as_on_the_hub(texts: list[str], vocabulary: int) -> tuple[Tokenizer, Any]:
    """XLM-RoBERTa's kind, converted as transformers does, and the SentencePiece processor it comes from.

    The normaliser is SentencePiece's own table, the pieces are shifted by one for fairseq's four special
    tokens, and `<mask>` comes last.
    """
    file = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=file, vocab_size=vocabulary - 2, model_type="unigram",
        character_coverage=1.0, hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    proto = sentencepiece_model_pb2.ModelProto.FromString(file.getvalue())
    pieces = [(piece.piece, piece.score) for piece in proto.pieces[3:]]
    vocab = [*((name, 0.0) for name in XLM_SPECIAL[:4]), *pieces, ("<mask>", 0.0)]
    tokenizer = Tokenizer(models.Unigram(vocab, unk_id=3, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")]
    )
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens(
        [AddedToken(name, special=True, normalized=False, lstrip=name == "<mask>") for name in XLM_SPECIAL]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer, sentencepiece.SentencePieceProcessor(model_proto=file.getvalue())


def save_base_model(directory: Path, family: str, texts: list[str], vocabulary: int = 300, hidden: int = 48) -> None:
    """A base model without a classifier's head, as on the hub.

    `family` is `bert` (rubert-tiny2), `xlm-roberta` (xlm-roberta-base), or `e5` (multilingual-e5-small), a BERT with
    BERT's pad id, 0, and XLM-RoBERTa's tokenizer, whose pad is 1.

    Wide random weights: wide enough to learn a few words in seconds.
    """
    torch.manual_seed(0)
    settings: dict[str, Any] = {
        "hidden_size": hidden, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 2 * hidden,
        "initializer_range": 0.2, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
    }  # fmt: skip
    if family == "bert":
        tokenizer = wordpiece_as_on_the_hub(texts, vocabulary)
    else:
        tokenizer, _ = sentencepiece_as_on_the_hub(texts, vocabulary)
    if family in ("bert", "e5"):
        settings |= {"vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": 512, "pad_token_id": 0}
        model: Any = BertModel(BertConfig(**settings))
    else:
        settings |= {
            "vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": 514, "pad_token_id": 1,
            "bos_token_id": 0, "eos_token_id": 2, "type_vocab_size": 1, "layer_norm_eps": 1e-5,
        }  # fmt: skip
        model = XLMRobertaModel(XLMRobertaConfig(**settings))
    model.save_pretrained(directory)
    tokenizer.save(str(directory / "tokenizer.json"))

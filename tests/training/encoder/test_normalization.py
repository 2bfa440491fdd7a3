"""Normalisation: whatever way a text is spelled, both kinds of tokenizer read it as its plain spelling."""

import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from tokenizers.trainers import UnigramTrainer

from training.common.command import TrainingError
from training.encoder.normalization.characters import CYRILLIC, alphabet, emoji, kept_emoji
from training.encoder.normalization.normalizer import normalizer
from training.encoder.tokenizer import load_tokenizer, normalised_tokenizer, train_unigram, train_wordpiece

CORPUS = [
    "Как же я рад тебя видеть, мой дорогой! Ненавижу тебя, злой и подлый гад! Мне страшно, ужас.",
    "Ура! Привет, люблю тебя, это хорошо :) ))) что за беда... 😂 😡 😱 Хочу домой, прощай, съешь ещё йод.",
] * 30  # fmt: skip


def _as_on_the_hub() -> Tokenizer:
    """A cased Unigram tokenizer with a normaliser of its own, as XLM-RoBERTa's and e5's files have it."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = UnigramTrainer(
        vocab_size=300, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], unk_token="<unk>",  # noqa: S106
        initial_alphabet=alphabet(), show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


@pytest.fixture(scope="module", params=["wordpiece", "unigram", "checkpoint"])
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """Of each kind, saved and reloaded as it is served."""
    if request.param == "checkpoint":
        made = normalised_tokenizer(_as_on_the_hub())
    else:
        made = (train_wordpiece if request.param == "wordpiece" else train_unigram)(CORPUS, 400)
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    made.save(str(path))
    return Tokenizer.from_file(str(path))


def unknown_of(tokenizer: Tokenizer) -> int:
    return next(id_ for piece, id_ in tokenizer.get_vocab().items() if piece.strip() in ("[UNK]", "<unk>"))


SAME = [
    # A sign without a space before it; signs in a row; skin tones, sexes, families, flags, keycaps.
    ("Ненавижу🤬", "Ненавижу 🤬"), ("Мне страшно😱", "Мне страшно 😱"), ("Ура🎉🎉", "Ура 🎉 🎉"), ("👍🏽", "👍"),
    ("🤷🏻‍♀️", "🤷"), ("👩‍⚕️", "👩"), ("❤️‍🔥", "❤"), ("高\u200d兴", "高兴"),
    ("❤️", "❤"), ("☺️", "☺"), ("рад🇷🇺", "рад флаг"), ("1️⃣ ура", "1 ура"), ("💙", "❤"),
    ("ура→ура", "ура → ура"), ("100₽", "100 руб"), ("№5", "номер 5"),
    ("ура™", "ура тм"), ("10℃", "10 °"), ("ура´", "ура ´"),
    # Letters drawn out, and words of any length.
    ("ур" + "а" * 99, "ура"), ("радаааа", "рада"), ("УУУЖАСССС", "ужас"), ("нееееет", "нет"), ("yaaaa", "я"),
    ("хооо", "хо"),
    # Marks that mean nothing, and characters that nobody sees.
    ("Как же я ра́д тебя ви́деть, мой дорого́й!", "Как же я рад тебя видеть, мой дорогой!"), ("у̶ж̶а̶с̶", "ужас"),
    ("при\u00adвет", "привет"), ("при\u200bвет", "привет"), ("при\u2060вет", "привет"), ("при\ufeffвет", "привет"),
    ("при\u3164вет", "привет"), ("при\u115fвет", "привет"), ("при\u034fвет", "привет"), ("при\ufe0fвет", "привет"),
    ("при\U000e0041вет", "привет"), ("\u202eпривет\u202c", "привет"), ("при\u180eвет", "привет"), ("а\0б", "аб"),
    ("при\u061cвет", "привет"), ("при\x1bвет", "привет"), ("при\U000e01efвет", "привет"), ("при\u17b4вет", "привет"),
    ("привет\u00a0тебя", "привет тебя"), ("привет\r\nтебя", "привет тебя"), ("привет\u2028тебя", "привет тебя"),
    # ё, й, and letters of neighbours.
    ("съешь ещё", "съешь еще"), ("и\u0306од И\u0306ОД е\u0308", "йод йод е"), ("й\u0301од", "йод"),
    ("Ненавіжу", "Ненавижу"), ("їжа ґудзик є ў", "ижа гудзик е у"), ("қуат ңан", "куат нан"),
    ("ћевап џеп", "чевап джеп"),
    # Compatibility forms, typographic signs.
    ("ｐｒｉｖｅｔ", "привет"), ("𝓹𝓻𝓲𝓿𝓮𝓽", "привет"), ("м²", "м2"), ("٣ ура", "3 ура"), ("ﬁ", "фи"),
    ("«ура» — “ура” – ‘ура’…", "\"ура\" - \"ура\" - 'ура'..."), ("ура！", "ура!"),
    # Latin, Greek and digits that look like Cyrillic.
    ("Heнaвижy тeбя, злoй и пoдлый гaд!", "Ненавижу тебя, злой и подлый гад!"), ("HEHABИЖУ TEБЯ", "ненавижу тебя"),
    ("ненαвижу τебя", "ненавижу тебя"), ("пр0щай", "прощай"), ("на4ало", "начало"), ("cтpaшнo", "страшно"),
    ("y меня c тобой", "у меня с тобой"), ("BCE плохо, He могу", "все плохо, не могу"), ("cyka ты", "сука ты"),
    ("уpoд и пoдoнoк", "урод и подонок"), ("пᴘиʙет", "привет"),
    # Russian in Latin letters.
    ("nenavizhu tebya", "ненавижу тебя"), ("ya tebya lyublyu", "я тебя люблю"), ("xo4u domoj", "хочу домой"),
    ("4to za beda", "что за беда"), ("vsyo khorosho", "все хорошо"),
    ("kazhetsya otsenka konets", "кажется оценка конец"),
    ("eto uzhas, poetomu", "это ужас, поэтому"), ("bol' noch' ser'ezno", "боль ночь серьезно"), ("kotorye", "которые"),
    ("moy krasivyy drug", "мой красивый друг"), ("Shchuka", "щука"), ("esche eshche", "еще еще"),
    ("tolko ochen", "только очень"), ("yuuuuzhno", "южно"), ("nyeeet", "нет"),
    ("šuka žizn", "шука жизнь"), ("PRIVET", "привет"), ("xa-xa", "ха-ха"), ("lublu", "люблю"), ("boyus", "боюсь"),
]  # fmt: skip


@pytest.mark.parametrize(("spelled", "plain"), SAME)
def test_read_as_its_plain_spelling(tokenizer: Tokenizer, spelled: str, plain: str) -> None:
    assert tokenizer.encode(spelled).ids == tokenizer.encode(plain).ids
    assert normalizer().normalize_str(spelled) == normalizer().normalize_str(plain)


def test_different_texts_stay_different(tokenizer: Tokenizer) -> None:
    """The test before this one can fail."""
    pairs = [("мой", "мои"), ("рад", "ряд"), ("😂", "😡"), (":)", ":("), ("!", "?"), ("шить", "сшить"), ("1", "2")]
    assert all(tokenizer.encode(one).ids != tokenizer.encode(other).ids for one, other in pairs)


@pytest.mark.parametrize("smiley", [":)", ")))", ":(", "((", "!!!", "???", "...", "^_^", ":-)", ";)", ":D", "xD", "=)"])
def test_smileys_stay_readable(tokenizer: Tokenizer, smiley: str) -> None:
    plain = normalizer().normalize_str(smiley)
    assert plain == smiley.lower().translate(str.maketrans("dx", "дх"))
    assert unknown_of(tokenizer) not in tokenizer.encode(f"рад{smiley}").ids


def test_words_that_are_spelled_with_three_equal_letters() -> None:
    assert normalizer().normalize_str("СССР и ООО «Ромашка», сссср") == 'ссср и ооо "ромашка", ср'


@pytest.mark.parametrize("sign", ["ქ", "高", "א", "ठ", "\ue000", "𓀀"])
def test_an_unknown_sign_is_unknown_alone(tokenizer: Tokenizer, sign: str) -> None:
    unknown = unknown_of(tokenizer)
    assert tokenizer.encode(f"привет{sign}").ids.count(unknown) == 1
    assert unknown not in tokenizer.encode("привет").ids
    known = [id_ for id_ in tokenizer.encode("привет").ids if id_ in tokenizer.encode(f"привет{sign}").ids]
    assert known == tokenizer.encode("привет").ids


def test_words_of_any_length_have_pieces(tokenizer: Tokenizer) -> None:
    word = "абвгдежзийклмнопрстуфхцчшщъыьэюя" * 40
    assert unknown_of(tokenizer) not in tokenizer.encode(word).ids
    assert unknown_of(tokenizer) not in tokenizer.encode("12345" * 100).ids


def test_every_letter_and_sign_has_a_piece(tokenizer: Tokenizer) -> None:
    unknown = unknown_of(tokenizer)
    for character in alphabet():
        assert unknown not in tokenizer.encode(f"{character} {character} а{character}б").ids, character


def test_every_emoji_is_read(tokenizer: Tokenizer) -> None:
    unknown = unknown_of(tokenizer)
    assert len(emoji()) > 1_350
    for sign, text in emoji().items():
        ids = tokenizer.encode(f"рад{sign}").ids
        assert ids == tokenizer.encode(f"рад {text}").ids, sign
        assert unknown not in ids, sign


def test_the_table_of_emoji_reads_as_itself() -> None:
    allowed = {*CYRILLIC, *" 0123456789!?-+:=$", *kept_emoji(), "©", "®"}
    for sign, text in emoji().items():
        assert set(text) <= allowed, (sign, text)
        assert normalizer().normalize_str(text) == text


def test_special_tokens_in_a_text_are_text(tokenizer: Tokenizer) -> None:
    special = {
        id_ for piece, id_ in tokenizer.get_vocab().items() if piece.strip() in {"[SEP]", "[PAD]", "<s>", "</s>"}
    }
    around = set(tokenizer.encode("").ids)
    for text in ("[SEP]", "<s>", "</s>", "[PAD] [CLS]", " <s>"):
        ids = tokenizer.encode(text).ids
        assert not set(ids[len(around) // 2 : len(ids) - (len(around) // 2)]) & special


def test_a_checkpoint_keeps_its_vocabulary_and_is_normalised_once() -> None:
    before = _as_on_the_hub()
    after = normalised_tokenizer(before)
    assert after.get_vocab_size() == before.get_vocab_size()
    assert normalised_tokenizer(after).to_str() == after.to_str()
    assert before.encode("рад тебя").ids == after.encode("РАД тебя").ids
    trained = train_wordpiece(CORPUS, 400)
    assert normalised_tokenizer(trained).to_str() == trained.to_str()


def test_a_wordpiece_checkpoint_gets_words_cut(tmp_path: Path) -> None:
    trained = train_wordpiece(CORPUS, 400)
    trained.normalizer = normalizers.BertNormalizer(strip_accents=False)
    trained.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trained.save(str(tmp_path / "tokenizer.json"))
    checkpoint = load_tokenizer(str(tmp_path))
    assert 1 in checkpoint.encode("абвгд" * 100).ids
    assert 1 not in normalised_tokenizer(checkpoint).encode("абвгд" * 100).ids


@pytest.mark.parametrize("train", [train_wordpiece, train_unigram])
def test_a_vocabulary_has_room_for_the_alphabet(train: Callable[[list[str], int], Tokenizer]) -> None:
    with pytest.raises(TrainingError, match="is too small: its letters and signs alone are"):
        train(CORPUS, 100)
    assert train(CORPUS, 300).get_vocab_size() <= 300


@pytest.fixture(scope="module")
def trained() -> list[Tokenizer]:
    return [train_wordpiece(CORPUS, 400), train_unigram(CORPUS, 400)]


ANY_TEXT = st.text(
    st.one_of(
        # Python's Unicode is older than the library's: what it doesn't know yet may be a mark there.
        st.characters(exclude_categories=("Cs", "Cn")),
        st.sampled_from("абвйиИЙ\u0306\u0301cpyhBNRHCPY0346 shctyojeu'4\u0890\u0600\0\u200d\ufe0f🏽👩♀🇷αβ"),
    ),
    max_size=30,
)


@settings(max_examples=400, deadline=None)
@given(ANY_TEXT)
@example("И\u0306\u0301 \u0600h 4\u1ab5y")
@example("R'χ ν\u0890c b3k")
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalizer().normalize_str(text)
    assert normalizer().normalize_str(once) == once
    assert not set(once) & set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZё\u0890")
    assert not any(
        unicodedata.category(character) in ("Cc", "Mn", "Me", "Zs") for character in once if character != " "
    )


@settings(max_examples=200, deadline=None)
@given(text=ANY_TEXT)
def test_every_text_can_be_read(trained: list[Tokenizer], text: str) -> None:
    for tokenizer in trained:
        assert (len(tokenizer.encode(text).ids) == 2) == (not normalizer().normalize_str(text))


def test_nothing_that_can_be_seen_vanishes() -> None:
    codes = (code for code in range(0x21, 0x20000) if not 0xD800 <= code < 0xE000)
    seen = (chr(code) for code in codes if unicodedata.category(chr(code))[0] in "LNPS")
    # Fillers, which are letters by name only; skin tones, which belong to the emoji before them.
    vanishing = [character for character in seen if not normalizer().normalize_str(character)]
    assert vanishing == list("\u115f\u1160\u3164\uffa0\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")


def test_a_tokenizer_can_be_printed(tokenizer: Tokenizer) -> None:
    """The library cuts long strings for `repr`, and panics where that falls inside a character."""
    assert "Split" in repr(tokenizer) or "Metaspace" in repr(tokenizer)

"""Tokens, labelled text and language models."""

import json
import time

import numpy as np
import pandas as pd
import pytest

from kzoo import KzooError, get_preset
from kzoo.data import encode, load_data
from kzoo.kinds.text.tokenizer import Tokenizer, learn_tokenizer
from kzoo.registry import with_settings

GOOD = [f"a lovely film number {i} , don't miss it !" for i in range(40)]
BAD = [f"a dreadful film number {i} , skip it ." for i in range(40)]


def smaller(name, **changes):
    preset = get_preset(name)
    return with_settings(preset, {**preset.config, **changes}, preset.training)


@pytest.mark.parametrize(
    "text,tokens",
    [
        ("Don't stop, it's 3.5!", ["don't", "stop", ",", "it's", "3", ".", "5", "!"]),
        ("深度学习 is fun。", ["深", "度", "学", "习", "is", "fun", "。"]),
        ("naïve café", ["naïve", "café"]),
        ("l’été こんにちは", ["l’été", "こ", "ん", "に", "ち", "は"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("한국어 단어", ["한국어", "단어"]),
        ("snake_case x==1", ["snake_case", "x", "=", "=", "1"]),
        ("", []),
    ],
)
def test_words(text, tokens):
    assert Tokenizer().split(text) == tokens


def test_ascii_and_unicode_rules_agree():
    text = "He said: \"don't!\" -- it's O'Neil's x_1 (3.5%)...\n\tnew 'quoted' rock'n'roll ''"
    assert Tokenizer().split(text) == Tokenizer().split(text + " é")[:-1]


def test_ids():
    tokenizer = learn_tokenizer(["b a b", "c a b"], size=4)
    assert tokenizer.vocabulary == [
        "b",
        "a",
    ]  # by frequency, then by alphabet; two ids are padding and unknown
    expected = [[2, 3, 1, 0], [2, 2, 2, 2], [0, 0, 0, 0]]
    np.testing.assert_array_equal(tokenizer.encode(["b a zebra", "b b b b b b", ""], 4), expected)
    again = Tokenizer(**json.loads(json.dumps(tokenizer.settings())))
    np.testing.assert_array_equal(again.encode(["b a zebra"], 4), [[2, 3, 1, 0]])
    assert tokenizer.decode([2, 3, 1, 0]) == "b a \ufffd"
    with pytest.raises(KzooError, match="tokenizer='letters'"):
        Tokenizer(level="letters")


def test_speed():
    tokenizer = learn_tokenizer(GOOD + BAD)
    texts = (GOOD + BAD) * 125
    started = time.process_time()
    tokenizer.encode(texts, 64)
    assert len(texts) / (time.process_time() - started) > 15_000  # about 100,000 on an idle core


@pytest.fixture
def class_files(tmp_path):
    folder = tmp_path / "reviews"
    folder.mkdir()
    (folder / "good.txt").write_text("\n".join(GOOD) + "\n\n", encoding="utf-8-sig")
    (folder / "bad.txt").write_text("\r\n".join(BAD), encoding="utf-8")
    (folder / "README.txt").write_text("not a class")
    return folder


def test_a_file_for_each_class(class_files):
    data = load_data(class_files, preset="text_cnn")
    assert data.class_names == ("bad", "good") and data.name == "reviews"
    assert (len(data.train), len(data.validation), len(data.test)) == (58, 6, 16)
    assert data.train.x.shape == (58, 64) and data.train.x.dtype == np.int32
    assert data.config["vocabulary_size"] == len(data.preprocessing["vocabulary"]) + 2
    lovely = data.preprocessing["vocabulary"].index("lovely") + 2
    for split in (data.train, data.validation, data.test):
        np.testing.assert_array_equal((split.x == lovely).any(axis=1), split.y == 1)
    assert str(class_files.parent) not in json.dumps([data.preprocessing, data.notes, data.name])


def test_a_file_for_each_document(tmp_path):
    for part, count in (("train", 20), ("test", 5)):
        for label, texts in (("pos", GOOD), ("neg", BAD)):
            folder = tmp_path / part / label
            folder.mkdir(parents=True)
            for i in range(count):
                (folder / f"{i}.txt").write_text(texts[i])
    data = load_data(tmp_path, preset="text_cnn")
    assert (len(data.train), len(data.validation), len(data.test)) == (36, 4, 10)


def test_text_column(tmp_path):
    frame = pd.DataFrame({"user": ["u1", "u2"] * 40, "review": GOOD + BAD, "stars": [5] * 40 + [1] * 40})
    frame.loc[0, "review"] = None
    frame.to_csv(tmp_path / "r.csv", index=False)
    data = load_data(tmp_path / "r.csv", preset="text_gru", target="stars")
    assert data.class_names == ("1", "5") and data.feature_names == ("review",)
    assert any("1 rows without text" in n for n in data.notes)
    kinds = {one["name"]: (one["kind"], one["missing"]) for one in data.overview["columns"]}
    assert kinds == {"user": ("left out", 0), "review": ("text", 1), "stars": ("target", 0)}
    for raw in (frame.iloc[1:3], frame.iloc[1:3].to_dict("records"), GOOD[1:3]):
        x = encode(data.preprocessing, raw)
        assert x.shape == (2, 64) and (x[:, 0] > 1).all()
    assert encode(data.preprocessing, GOOD[1]).shape == (1, 64)
    with pytest.raises(KzooError, match="Column 'review' is missing"):
        encode(data.preprocessing, frame[["user", "stars"]])


def test_vocabulary_comes_from_training_texts_only(class_files):
    data = load_data(class_files, preset="text_cnn")
    tested = {tuple(row) for split in (data.test, data.validation) for row in split.x}
    held = [text for text in GOOD if tuple(encode(data.preprocessing, text)[0]) in tested]
    assert held
    changed = [text + " zebra" * 9 if text in held else text for text in GOOD]
    (class_files / "good.txt").write_text("\n".join(changed))
    again = load_data(class_files, preset="text_cnn")
    assert again.preprocessing == data.preprocessing and again.config == data.config
    assert again.fingerprint != data.fingerprint


def test_chinese(tmp_path):
    (tmp_path / "好.txt").write_bytes("\n".join(f"这部电影很好看{i}" for i in range(20)).encode("gb18030"))
    (tmp_path / "坏.txt").write_bytes("\n".join(f"这部电影很难看{i}" for i in range(20)).encode("gb18030"))
    data = load_data(tmp_path, preset="text_cnn")
    assert data.class_names == ("坏", "好") and "难" in data.preprocessing["vocabulary"]


TEXT = "\n".join(f"line {i}: the quick brown fox jumps over the lazy dog" for i in range(100))


def test_language_model_per_step(tmp_path):
    (tmp_path / "t.txt").write_text(TEXT)
    data = load_data(tmp_path / "t.txt", preset="char_gru")
    x, y = data.train.x[np.arange(5)], data.train.y[np.arange(5)]
    assert x.shape == y.shape == (5, 100)
    np.testing.assert_array_equal(x[:, 1:], y[:, :-1])
    np.testing.assert_array_equal(x[1:, 0], y[:-1, -1])  # windows follow one another
    known = dict(enumerate(data.preprocessing["vocabulary"], start=2))
    assert "".join(known[i] for i in x[0]) == TEXT[:100]
    # 80, 10 and 10 % of the text, one after the other.
    assert "".join(known.get(i, "?") for i in data.test.x[0]) == TEXT[-round(len(TEXT) * 0.1) :][:100]
    assert data.outputs == len(known) + 2
    prompt = encode(data.preprocessing, "the quick")
    assert prompt.shape == (1, 100) and (prompt[0, :-9] == 0).all() and (prompt[0, -9:] > 1).all()


def test_language_model_next_token(tmp_path):
    (tmp_path / "t.txt").write_text(TEXT)
    data = load_data(tmp_path / "t.txt", preset="language_gru")
    x, y = data.train.x[np.arange(20)], data.train.y[np.arange(20)]
    assert x.shape == (20, 50) and y.shape == (20,)
    np.testing.assert_array_equal(x[1:, -3], y[:-1])  # three tokens on, the answer is in the window
    assert data.config["vocabulary_size"] == data.outputs < 10_000


def test_language_vocabulary_is_learned_on_the_first_part(tmp_path):
    (tmp_path / "t.txt").write_text(TEXT)
    one = load_data(tmp_path / "t.txt", preset="char_gru")
    cut = round(len(TEXT) * 0.85)
    (tmp_path / "t.txt").write_text(TEXT[:cut] + "ÄÖÜ" * ((len(TEXT) - cut) // 3) + "x" * ((len(TEXT) - cut) % 3))
    two = load_data(tmp_path / "t.txt", preset="char_gru")
    assert one.preprocessing == two.preprocessing and (two.test.x[np.arange(2)] == 1).all()


def test_bad_texts(tmp_path):
    (tmp_path / "only.txt").write_text("\n".join(GOOD))
    with pytest.raises(KzooError, match="one class only"):
        load_data(tmp_path, preset="text_cnn")
    (tmp_path / "short.txt").write_text("two\nlines")
    with pytest.raises(KzooError, match="fewer than 3 lines"):
        load_data(tmp_path / "short.txt", preset="char_gru")
    (tmp_path / "short.txt").write_text("a\nb\nc\nd")
    with pytest.raises(KzooError, match="a window needs 101"):
        load_data(tmp_path / "short.txt", preset="char_gru")
    (tmp_path / "binary.txt").write_bytes(bytes([0xFF, 0x00, 0x81, 0xFF]) * 50)
    with pytest.raises(KzooError, match="neither UTF-8 nor GB18030"):
        load_data(tmp_path / "binary.txt", preset="char_gru")
    with pytest.raises(KzooError, match="vocabulary_size=2"):
        load_data("pydocs", preset=smaller("text_cnn", vocabulary_size=2))
    frame = pd.DataFrame({"text": GOOD, "price": np.arange(40) + 0.5})
    with pytest.raises(KzooError, match="Text goes with classes"):
        load_data(frame, preset="text_cnn", target="price")

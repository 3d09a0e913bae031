"""Tokens, labelled text and language models."""

import json
import time

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, notes_with, refuses, warns
from processor import in_units

import kzoo
from kzoo import get_preset
from kzoo.data import load_data
from kzoo.inference.encode import encode
from kzoo.inference.kinds.text.tokenizer import Tokenizer, learn_and_encode
from kzoo.inference.sources.files import TextFile, read_text
from kzoo.utils.errors import KzooWarning
from kzoo.zoo.registry import with_settings

GOOD = [f"a lovely film number {i} , don't miss it !" for i in range(40)]
BAD = [f"a dreadful film number {i} , skip it ." for i in range(40)]


def learn_tokenizer(texts, **options):
    return learn_and_encode(texts, 0, **options)[0]


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
    with refuses("tokenizer='letters'", "'words'", "'characters'"):
        Tokenizer(level="letters")


def test_speed():
    tokenizer = learn_tokenizer(GOOD + BAD)
    texts = (GOOD + BAD) * 125
    started = time.process_time()
    tokenizer.encode(texts, 64)
    assert len(texts) / in_units(time.process_time() - started) > 150  # about 1,000 on an idle core


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


@pytest.fixture
def mixed(tmp_path):
    """Two folders of documents, with suffixes in capitals and folders below, and folders that are no class."""
    for label, texts in (("pos", GOOD), ("neg", BAD)):
        for i, text in enumerate(texts[:30]):
            file = tmp_path / label / f"{i}.txt" if i < 10 else tmp_path / label / f"{i}.TXT"
            file = tmp_path / label / "2023" / f"{i}.txt" if i >= 20 else file
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        for hidden in (".cache", "__MACOSX"):
            (tmp_path / label / hidden).mkdir()
            (tmp_path / label / hidden / "x.txt").write_text("never read")
        (tmp_path / label / "._1.txt").write_text("never read")
    return tmp_path


def test_all_documents_of_a_class_are_read(mixed):
    from kzoo.data.inputs.text.fitting import labelled

    data = load_data(mixed, preset="text_cnn")
    counts = np.bincount(np.concatenate([data.train.y, data.validation.y, data.test.y]))
    assert counts.tolist() == [30, 30] and not any(
        ".txt" in note or "/" in note for note in data.notes
    )
    assert len(labelled(data.preprocessing, mixed, targets=[], config={})) == 60
    for name in ("test", "Dev"):
        (mixed / "all" / name).mkdir(parents=True)
    (mixed / "all" / "Train").mkdir()
    for label in ("pos", "neg"):
        (mixed / label).rename(mixed / "all" / "Train" / label)
        for name, count in (("test", 4), ("Dev", 2)):
            (mixed / "all" / name / label).mkdir()
            for i in range(count):
                (mixed / "all" / name / label / f"{i}.txt").write_text(f"a film {label} {i}")
    (mixed / "all" / "unsup").mkdir()
    (mixed / "all" / "unsup" / "1.txt").write_text("a film")
    data = load_data(mixed / "all", preset="text_cnn")
    assert notes_with(data.notes, "unsup/", "Dev/, Train/, test/")
    assert (len(data.train), len(data.validation), len(data.test)) == (60, 4, 8)
    # of test/, as with images
    assert len(labelled(data.preprocessing, mixed / "all", targets=[], config={})) == 8


def test_other_files_in_a_folder_of_texts_are_named(mixed):
    from kzoo.data.inputs.text.fitting import labelled

    (mixed / "neutral.txt").write_text("so so\nmiddling\n")
    (mixed / "README.md").write_text("about")
    for i in range(3):
        (mixed / "pos" / f"{i}.html").write_text("<p>fine")
    (mixed / "neg" / "NOTES").write_text("about")
    data = load_data(mixed, preset="text_cnn")
    (suffixes,) = notes_with(data.notes, "3 .html", "1", ".txt")
    (files,) = notes_with(data.notes, "neutral.txt")
    assert "README.md" not in suffixes + files
    with pytest.warns(KzooWarning) as caught:
        labelled(data.preprocessing, mixed, targets=[], config={})
    assert [str(warning.message) for warning in caught] == [suffixes, files]
    (mixed / "middling").mkdir()
    for read in (
        lambda: load_data(mixed),
        lambda: labelled(data.preprocessing, mixed, targets=[], config={}),
    ):
        with refuses("folder", "'middling'", ".txt"):
            read()


def test_class_files_in_capitals(class_files):
    (class_files / "good.txt").rename(class_files / "good.TXT")
    (class_files / ".notes.txt").write_text("never read")
    assert load_data(class_files).class_names == ("bad", "good")
    (class_files / "good.txt").write_text("a film")
    with refuses("'reviews'", "class 'good'", "good.TXT"):
        load_data(class_files)


def test_text_column(tmp_path):
    frame = pd.DataFrame(
        {"user": ["u1", "u2"] * 40, "review": GOOD + BAD, "stars": [5] * 40 + [1] * 40}
    )
    frame.loc[0, "review"] = None
    frame.to_csv(tmp_path / "r.csv", index=False)
    data = load_data(tmp_path / "r.csv", preset="text_gru", target="stars")
    assert data.class_names == ("1", "5") and data.feature_names == ("review",)
    assert notes_with(data.notes, "1", "text", "label")
    kinds = {
        column["name"]: (column["kind"], column["missing"]) for column in data.overview["columns"]
    }
    assert kinds == {"user": ("left out", 0), "review": ("text", 1), "stars": ("target", 0)}
    for raw in (frame.iloc[1:3], frame.iloc[1:3].to_dict("records"), GOOD[1:3]):
        x = encode(data.preprocessing, raw)
        assert x.shape == (2, 64) and (x[:, 0] > 1).all()
    assert encode(data.preprocessing, GOOD[1]).shape == (1, 64)
    with refuses("'review'", "missing", "user, stars"):
        encode(data.preprocessing, frame[["user", "stars"]])


def test_vocabulary_comes_from_training_texts_only(class_files):
    data = load_data(class_files, preset="text_cnn")
    tested = {tuple(row) for split in (data.test, data.validation) for row in split.x}
    others = [text for text in GOOD if tuple(encode(data.preprocessing, text)[0]) in tested]
    assert others
    changed = [text + " zebra" * 9 if text in others else text for text in GOOD]
    (class_files / "good.txt").write_text("\n".join(changed))
    again = load_data(class_files, preset="text_cnn")
    assert again.preprocessing == data.preprocessing and again.config == data.config
    assert again.fingerprint != data.fingerprint


def test_chinese(tmp_path):
    (tmp_path / "好.txt").write_bytes(
        "\n".join(f"这部电影很好看{i}" for i in range(20)).encode("gb18030")
    )
    (tmp_path / "坏.txt").write_bytes(
        "\n".join(f"这部电影很难看{i}" for i in range(20)).encode("gb18030")
    )
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
    tokens = dict(enumerate(data.preprocessing["vocabulary"], start=2))
    assert "".join(tokens[i] for i in x[0]) == TEXT[:100]
    # 80, 10 and 10 % of the text, in this order.
    assert (
        "".join(tokens.get(i, "?") for i in data.test.x[0]) == TEXT[-round(len(TEXT) * 0.1) :][:100]
    )
    assert data.outputs == len(tokens) + 2
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
    (tmp_path / "t.txt").write_text(
        TEXT[:cut] + "ÄÖÜ" * ((len(TEXT) - cut) // 3) + "x" * ((len(TEXT) - cut) % 3)
    )
    two = load_data(tmp_path / "t.txt", preset="char_gru")
    assert one.preprocessing == two.preprocessing and (two.test.x[np.arange(2)] == 1).all()


def test_bad_texts(tmp_path):
    (tmp_path / "only.txt").write_text("\n".join(GOOD))
    with refuses("class", "('only')", ".txt"):
        load_data(tmp_path, preset="text_cnn")
    (tmp_path / "short.txt").write_text("two\nlines")
    with refuses("'short.txt'", "3 lines"):
        load_data(tmp_path / "short.txt", preset="char_gru")
    (tmp_path / "short.txt").write_text("a\nb\nc\nd")
    with refuses("train", "'short.txt'", "5 characters", "101", "input_shape"):
        load_data(tmp_path / "short.txt", preset="char_gru")
    (tmp_path / "binary.txt").write_bytes(bytes([0xFF, 0x00, 0x81, 0xFF]) * 50)
    with refuses("'binary.txt'", *ENCODINGS):
        load_data(tmp_path / "binary.txt", preset="char_gru")
    with refuses("vocabulary_size=2", "3"):
        load_data("pydocs", preset=smaller("text_cnn", vocabulary_size=2))


# ---------------------------------------------------------------- files that are no text

NO_TEXT = b"\xff\x00\x80\xff"  # neither UTF-8 nor GB18030
ENCODINGS = ("UTF-8", "GB18030", "Windows-1252")


@pytest.fixture
def documents(tmp_path):
    """Two folders of 30 reviews: a file in the first is no text, and a file in the second is empty."""
    for name, words in {"good": "fine and good", "bad": "dull and long"}.items():
        (tmp_path / "reviews" / name).mkdir(parents=True)
        for i in range(30):
            (tmp_path / "reviews" / name / f"{i:02}.txt").write_text(f"{words} film number {i}")
    (tmp_path / "reviews" / "good" / "07.txt").write_bytes(NO_TEXT)
    (tmp_path / "reviews" / "bad" / "11.txt").write_bytes(b" \n")
    return tmp_path / "reviews"


def test_documents_that_are_no_text_are_named_and_left_out(documents):
    data = load_data(documents)
    assert notes_with(data.notes, "2", "texts", "bad/11.txt, good/07.txt")
    assert len(data.train) + len(data.validation) + len(data.test) == 58
    for name in ("good", "bad"):
        for i in range(20):
            (documents / name / f"{i:02}.txt").write_bytes(NO_TEXT)
    with refuses("40 of 60", "'bad/00.txt'", "'00.txt'", *ENCODINGS, "50.0 %"):
        load_data(documents)


def test_few_broken_files_among_new_documents_are_left_out_and_many_refused(documents):
    from kzoo.data.inputs.text.fitting import labelled

    reader = load_data(documents).preprocessing
    with warns("2", "texts", "bad/11.txt, good/07.txt"):
        assert len(labelled(reader, documents, targets=[], config={})) == 58
    for i in range(2):
        (documents / "bad" / f"{i:02}.txt").write_bytes(NO_TEXT)
    with refuses("4 of 60", "'bad/00.txt'", "5.0 %"):
        labelled(reader, documents, targets=[], config={})


@pytest.mark.parametrize(("content", "parts"), [(NO_TEXT, ENCODINGS), (b"\n", ("empty",))])
def test_a_class_without_texts_is_refused(class_files, content, parts):
    (class_files / "good.txt").write_bytes(content)
    with refuses("class 'good'", "'good.txt'", *parts):
        load_data(class_files)


def runs_of(tokens, longest):
    """The different runs of 1 to `longest` tokens, in the order of their first token and their length."""
    runs = (
        (i, n) for i in range(len(tokens)) for n in range(1, longest + 1) if i + n <= len(tokens)
    )
    return list(dict.fromkeys(tuple(tokens[i : i + n]) for i, n in runs))


@pytest.mark.parametrize(
    "level,between,ngrams", [("words", " ", 1), ("words", " ", 2), ("characters", "", 3)]
)
def test_ngrams_are_the_set_of_runs_of_tokens(level, between, ngrams):
    # more than are read in one go
    texts = ["not good , not good !", "good", "", "这部 很很 good", "x"] * 300
    tokenizer = learn_tokenizer(texts[:4], level=level, ngrams=ngrams)
    again = Tokenizer(**json.loads(json.dumps(tokenizer.settings())))
    for text, row in zip(texts, again.encode(texts, 40), strict=True):
        tokens = list(text) if level == "characters" else again.split(text)
        runs = [between.join(run) for run in runs_of(tokens, ngrams)]
        ids = {run: i for i, run in enumerate(tokenizer.vocabulary, start=2)}
        assert row[row > 0].tolist() == [
            ids.get(run, 1) for run in runs if run in ids or run == "x"
        ]
        assert again.numbers(text).tolist() == row[row > 0].tolist()


def test_frequent_runs_are_learned_and_at_the_same_count_shorter_ones():
    texts = ["b a b a c", "b a", "a zebra"]
    assert learn_tokenizer(texts, ngrams=2, size=8).vocabulary == [
        "a",
        "b",
        "b a",
        "c",
        "zebra",
        "a b",
    ]
    tokenizer = learn_tokenizer(texts, ngrams=2, size=6)
    assert tokenizer.decode(tokenizer.encode(["b a zebra"], 8)[0]) == "b · b a · a · \ufffd"
    # the end is cut off
    np.testing.assert_array_equal(tokenizer.encode(["b a zebra b a"], 3), [[3, 4, 2]])


def test_few_runs_are_counted_at_a_time(monkeypatch):
    monkeypatch.setattr("kzoo.inference.kinds.text.tokenizer._MAX_COUNTED", 8)
    monkeypatch.setattr("kzoo.inference.kinds.text.tokenizer._TEXTS_AT_ONCE", 2)
    texts = [text for i in range(20) for text in ("not good", f"once {i}")]
    assert learn_tokenizer(texts, ngrams=2, size=6).vocabulary == [
        "good",
        "not",
        "once",
        "not good",
    ]


def test_a_text_reader_with_ngrams(class_files):
    data = load_data(class_files, preset="text_ngrams")
    assert data.preprocessing["ngrams"] == 2 and "a lovely" in data.preprocessing["vocabulary"]
    x = encode(data.preprocessing, "a lovely a lovely")
    vocabulary = data.preprocessing["vocabulary"]
    assert [vocabulary[i - 2] for i in x[0] if i] == ["a", "a lovely", "lovely"]
    assert "ngrams" not in {
        k for k, v in load_data(class_files, preset="text_cnn").preprocessing.items() if v
    }
    (class_files.parent / "t.txt").write_text(TEXT)
    model = get_preset("char_gru")
    with refuses("ngrams=2", "language model"):
        load_data(
            class_files.parent / "t.txt",
            preset=with_settings(model, model.config, model.training | {"ngrams": 2}),
        )


def test_ngrams_follow_how_the_data_was_read(class_files, tmp_path):
    data = load_data(class_files, preset="text_cnn")
    with warns("reviews", "ngrams=None", "2", "preset"):
        model = kzoo.build("text_ngrams", data=data)
    assert kzoo.spec_of(model)["training"]["ngrams"] is None
    with refuses("ngrams=3", "reviews", "ngrams=None"):
        kzoo.build("text_ngrams", data=data, ngrams=3)


def test_words_at_the_same_count_keep_the_order_of_the_alphabet():
    assert learn_tokenizer(["pear ant fig zebra", "zebra"]).vocabulary == [
        "zebra",
        "ant",
        "fig",
        "pear",
    ]


# ---------------------------------------------------------------- files that are not UTF-8

ENCODED = {
    "umlauts": ("cp1252", "Süd,Größe,Köln,Öl,Fuß\nÄpfel,süß\n"),
    "one word": ("cp1252", "Größe\n"),
    "accents": (
        "cp1252",
        "café,élève,Noël,ça va,où,niño,¿qué?,São,ação,Þórður,smørrebrød,«oui»,it’s,5 €,25 °C\n",
    ),
    "Chinese": ("gbk", "城市,价格\n北京,5\n上海,7\n男,女,5元,3kg重,镕基\n"),
    "Chinese between letters": ("gbk", "iPhone手机,A股,x轴,y轴,y是,n否,Python编程\n"),
    "one character": ("gbk", "a,鑫\n"),
    "four bytes": ("gb18030", "a,㐂,北\n"),
}


@pytest.mark.parametrize("case", ENCODED)
def test_an_encoding_other_than_utf_8_is_detected_and_named(case, tmp_path):
    encoding, text = ENCODED[case]
    file = tmp_path / "a.txt"
    notes = []
    file.write_bytes(text.encode(encoding))
    assert read_text(file, notes) == text
    (note,) = notes
    names = {"cp1252": ("Windows-1252", "Western European")}.get(encoding, ("GB18030", "Chinese"))
    assert_mentions(note, "'a.txt'", "UTF-8", *names)
    with TextFile(file).open() as stream:
        assert stream.read() == text
    file.write_text(text, encoding="utf-8")
    assert read_text(file, notes) == text and len(notes) == 1


def test_an_encoding_other_than_utf_8_is_named_in_notes_and_warnings(tmp_path):
    frame = pd.DataFrame({"Größe": np.arange(60) % 7, "y": ["Süd", "Köln"] * 30})
    frame.to_csv(tmp_path / "a.csv", index=False, encoding="cp1252")
    data = load_data(tmp_path / "a.csv", target="y", preset="tabular_fnn")
    assert data.class_names == ("Köln", "Süd") and data.feature_names == ("Größe",)
    assert len(notes_with(data.notes, "'a.csv'", "UTF-8", "Windows-1252")) == 1
    with warns("'a.csv'", "UTF-8", "Windows-1252"):
        encode(data.preprocessing, tmp_path / "a.csv")
    for name in ("gut", "übel"):
        (tmp_path / "docs").mkdir(exist_ok=True)
        lines = "\n".join(f"ein schöner Film, {name}, {i}" for i in range(100))
        (tmp_path / "docs" / f"{name}.txt").write_bytes(lines.encode("cp1252"))
    data = load_data(tmp_path / "docs", preset="text_cnn")
    (of_two,) = notes_with(data.notes, "UTF-8")
    assert_mentions(of_two, "'gut.txt'", "Windows-1252", "1 more")
    with warns("'gut.txt'", "Windows-1252", "1 more"):
        encode(data.preprocessing, [tmp_path / "docs" / "gut.txt", tmp_path / "docs" / "übel.txt"])
    assert "schöner" in data.preprocessing["vocabulary"]
    data = load_data(
        tmp_path / "docs" / "gut.txt", preset="char_gru", test=tmp_path / "docs" / "übel.txt"
    )
    assert len(notes_with(data.notes, "Windows-1252")) == 2

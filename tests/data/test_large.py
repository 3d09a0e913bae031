"""Large data is read without a Python object for each cell or character, and each different text is read once.

The fast ways are compared with plain ways: patterns for words, a dict for characters, objects instead of `Texts`.
"""

import random
import re
import tracemalloc
import unicodedata
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from kzoo.data import load_data
from kzoo.inference.kinds.text.tokenizer import Tokenizer, learn_and_encode
from kzoo.inference.sources.files import TextFile, read_text
from kzoo.inference.tables import dates, values

PIECES = ["a", "Zb", "9", "_", "'", "it's", " ", "  ", "\t", ".", ",", '"', "\\", "-", "\n"]
RARE = ["\0", "\x1c", "\x1f", "\x7f", "\v", "\f", "\r"]
NOT_ASCII = ["é", "e\u0301", "’", "中", "Σ", "\U0001f600", "\x85", "\u2028", "\ud800"]


def peak_of(load):
    """Return the peak of memory in bytes."""
    tracemalloc.start()
    try:
        load()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def drawn(pieces, count):
    draw = random.Random(0)
    return ["".join(draw.choices(pieces, k=draw.randrange(25))) for _ in range(count)]


@pytest.mark.parametrize(
    "pieces", [PIECES, PIECES + RARE, PIECES + RARE + NOT_ASCII], ids=["plain", "rare", "all"]
)
def test_words_are_those_of_the_pattern(pieces):
    texts = [text for text in drawn(pieces, 3000) if text.isascii()]
    rule = re.compile(r"\w+(?:'\w+)*|\S", re.ASCII)
    expected = [rule.findall(text.lower()) for text in texts]
    assert Tokenizer().split_all(texts) == expected and Tokenizer().split(texts[1]) == expected[1]
    tokenizer, ids = learn_and_encode(texts, 6, size=12)
    counts = Counter(word for words in expected for word in words)
    assert tokenizer.vocabulary == sorted(counts, key=lambda word: (-counts[word], word))[:10]
    numbers = {word: number for number, word in enumerate(tokenizer.vocabulary, start=2)}
    wanted = [([numbers.get(word, 1) for word in words] + [0] * 6)[:6] for words in expected]
    np.testing.assert_array_equal(ids, wanted)
    np.testing.assert_array_equal(tokenizer.encode(texts, 6), wanted)


@pytest.mark.parametrize("pieces", [PIECES, PIECES + RARE + NOT_ASCII], ids=["ASCII", "all"])
def test_characters_are_numbered_as_a_dict_would(pieces):
    text = "".join(drawn(pieces, 20_000))
    tokenizer, ids = learn_and_encode([text, ""], 50, level="characters", size=14, lowercase=False)
    letters = unicodedata.normalize("NFC", text)
    counts = Counter(letters)
    assert tokenizer.vocabulary == sorted(counts, key=lambda letter: (-counts[letter], letter))[:12]
    numbers = {letter: number for number, letter in enumerate(tokenizer.vocabulary, start=2)}
    assert (
        tokenizer.numbers(text).tolist()
        == [numbers.get(letter, 1) for letter in letters]
        == tokenizer.ids(text)
    )
    np.testing.assert_array_equal(ids, [tokenizer.ids(text)[:50], [0] * 50])


CELLS = [
    "1.234,50 €",
    "7",
    " NA ",
    "a",
    " a",
    "a ",
    "3/2/2024",
    "13.2.2024",
    "2024-01-02T03:04Z",
    "True",
    "",
    "中",
    None,
]


@pytest.mark.parametrize(
    "cells", [CELLS, CELLS[6:9] * 30 + CELLS[:1], ["3/2/2024"] * 3, [None] * 3]
)
def test_rules_give_the_same_for_texts_and_objects(cells):
    objects = np.array([*cells, *cells[:2]], object)
    texts = values.plain(pd.Series(objects))
    assert (
        isinstance(texts, values.Texts)
        and list(texts) == list(objects)
        and len(texts) == len(objects)
    )
    assert (
        list(texts[2:]) == list(objects[2:]) and texts[0] == objects[0] and texts[-1] == objects[-1]
    )
    assert texts[1:].seen == list(dict.fromkeys(cell for cell in objects[1:] if cell is not None))
    numbers = values.to_numbers(objects)
    np.testing.assert_array_equal(values.to_numbers(texts), numbers)
    np.testing.assert_array_equal(
        values.unreadable_cells(texts, numbers), values.unreadable_cells(objects, numbers)
    )
    np.testing.assert_array_equal(values.to_words(texts), values.to_words(objects))
    np.testing.assert_array_equal(values.not_missing(texts), values.not_missing(objects))
    assert values.value_counts(texts) == values.value_counts(objects)
    assert dates.are_dates(texts) == dates.are_dates(objects)
    notes = [], []
    first = [
        dates.detect_day_first("day", column, into)
        for column, into in zip((texts, objects), notes, strict=True)
    ]
    assert first[0] == first[1] and notes[0] == notes[1]
    for day_first in (False, True):
        np.testing.assert_array_equal(
            dates.to_dates(texts, day_first), dates.to_dates(objects, day_first)
        )


@pytest.mark.parametrize("other", [1, 2.5, True, pd.Timestamp("2024-01-01")])
def test_a_column_of_more_than_texts_stays_objects(other):
    assert not isinstance(values.plain(pd.Series(["a", other, None], dtype=object)), values.Texts)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_a_stream_of_text_gives_the_whole_text(tmp_path, encoding):
    path = tmp_path / "t.csv"
    path.write_bytes('a,b\r\n\r1,中\r\r\n"x\r\ny",2\r'.encode(encoding))
    for size in range(1, 7):
        with TextFile(path).open() as stream:
            pieces = [stream.read(size) for _ in range(40)]
        assert "".join(pieces) == read_text(path)


def test_memory_of_a_table(tmp_path):
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(draw.normal(size=(20_000, 8)).round(4)).add_prefix("n")
    frame["word"], frame["target"] = (
        draw.choice(["red", "green"], 20_000),
        draw.choice(["yes", "no"], 20_000),
    )
    frame.to_csv(path := tmp_path / "t.csv", index=False)
    load_data(path, target="target")
    # pandas 2 has an object for each text
    times = 4.5 if int(pd.__version__.split(".")[0]) > 2 else 5.5
    assert peak_of(lambda: load_data(path, target="target")) < times * path.stat().st_size


def test_memory_of_characters(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text("a line of a book, and what it says\n" * 30_000)
    load_data(path, preset="char_gru")
    assert peak_of(lambda: load_data(path, preset="char_gru")) < 12 * path.stat().st_size

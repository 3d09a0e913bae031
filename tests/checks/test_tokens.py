"""Faults in texts: each is planted and found, and its neighbour without the fault is not."""

import numpy as np
from small_models import find, one, texts, words

from kzoo.data.generated import opinions


def write_reviews(folder, change):
    folder.mkdir()
    kept = {"negative": [], "positive": []}
    for text, label in zip(*opinions(300), strict=True):
        kept[label].append(change(text))
    for label, lines in kept.items():
        (folder / f"{label}.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_ids_beyond_the_vocabulary():
    x, y = texts()
    found = one("tokens_outside", words(50), (x, y))
    assert found.level == "error" and "0..49" in found.what and "100" in found.fix
    x[7, 0] = -3
    assert one("tokens_outside", words(100), (x, y)).where == "train, row 7"
    assert find("tokens_outside", words(100), texts()) == []


def test_texts_that_are_cut(tmp_path):
    long = write_reviews(tmp_path / "long", lambda text: " ".join([text] * 12))
    found = one("sequences_cut", "text_cnn", str(long))
    assert found.level == "warning" and "64 tokens" in found.what
    assert find("sequences_cut", "text_cnn", str(write_reviews(tmp_path / "short", str))) == []
    x, y = texts()
    x[:150] = np.where(x[:150] == 0, 5, x[:150])
    assert "7" in one("sequences_cut", words(), (x, y)).what
    assert find("sequences_cut", words(), texts()) == []
    assert find("sequences_cut", words(), (np.where(x == 0, 5, x), y)) == []  # rows of one length by nature


def test_texts_without_a_word():
    x, y = texts()
    x[[3, 30]] = 0
    found = one("empty_texts", words(), (x, y))
    assert found.level == "warning" and found.where == "train, rows 3, 30"
    assert find("empty_texts", words(), texts()) == []


def test_texts_of_unknown_words(tmp_path):
    reviews = str(write_reviews(tmp_path / "reviews", str))
    found = one("unknown_tokens", "text_cnn", reviews, vocabulary_size=12)
    assert found.level == "warning" and "vocabulary_size" in found.fix
    assert find("unknown_tokens", "text_cnn", reviews) == []

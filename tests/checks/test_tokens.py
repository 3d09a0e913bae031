"""Each fault in texts is reported; texts without it have no finding."""

import numpy as np
from messages import assert_mentions
from small_models import find, finding_of, texts, words

from kzoo.data.generated import opinions


def write_reviews(folder, change):
    folder.mkdir()
    reviews = {"negative": [], "positive": []}
    for text, label in zip(*opinions(300), strict=True):
        reviews[label].append(change(text))
    for label, lines in reviews.items():
        (folder / f"{label}.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_ids_beyond_the_vocabulary():
    x, y = texts()
    finding = finding_of("tokens_outside", words(50), (x, y))
    assert finding.level == "error"
    assert_mentions(finding.what, "0..49")
    assert_mentions(finding.fix, "100")
    x[7, 0] = -3
    finding = finding_of("tokens_outside", words(100), (x, y))
    assert_mentions(finding.what, "1", "0..99", "-3")
    assert_mentions(finding.where, "train", "row 7")
    assert find("tokens_outside", words(100), texts()) == []


def test_texts_that_are_truncated(tmp_path):
    long = write_reviews(tmp_path / "long", lambda text: " ".join([text] * 12))
    finding = finding_of("sequences_cut", "text_cnn", str(long))
    assert finding.level == "warning"
    assert_mentions(finding.what, "64 tokens")
    assert_mentions(finding.fix, "input_shape")
    assert find("sequences_cut", "text_cnn", str(write_reviews(tmp_path / "short", str))) == []
    x, y = texts()
    x[:150] = np.where(x[:150] == 0, 5, x[:150])
    assert_mentions(finding_of("sequences_cut", words(), (x, y)).what, "79%", "12 tokens")
    assert find("sequences_cut", words(), texts()) == []
    # all rows have the same length
    assert find("sequences_cut", words(), (np.where(x == 0, 5, x), y)) == []


def test_empty_texts():
    x, y = texts()
    x[[3, 30]] = 0
    finding = finding_of("empty_texts", words(), (x, y))
    assert finding.level == "warning"
    assert_mentions(finding.where, "train", "3, 30")
    assert find("empty_texts", words(), texts()) == []


def test_texts_of_unknown_words(tmp_path):
    reviews = str(write_reviews(tmp_path / "reviews", str))
    finding = finding_of("unknown_tokens", "text_cnn", reviews, vocabulary_size=12)
    assert finding.level == "warning"
    assert_mentions(finding.fix, "vocabulary_size", "tokenizer='characters'")
    assert find("unknown_tokens", "text_cnn", reviews) == []

"""The tokenizer in TensorFlow operations, for a SavedModel that takes strings. It must match the Python tokenizer."""

import random
import unicodedata
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

from kzoo.inference.encode import encode as encode_texts
from kzoo.inference.kinds.text.inference import reads_last_tokens, tokenizer_of
from kzoo.inference.kinds.text.tokenizer import PADDING, UNKNOWN
from kzoo.utils.files import JsonObject

if TYPE_CHECKING:
    from tensorflow import RaggedTensor, Tensor
    from tensorflow.lookup import StaticHashTable


# The pattern of the Python tokenizer for the regular expressions of TensorFlow (RE2). In RE2, \w and \s match ASCII
# only, and character classes cannot be subtracted. So a letter is anything except a control character, mark,
# punctuation, symbol, separator or ideograph; or an underscore; or a mark that belongs to the preceding letter.
_IDEOGRAPHS = (
    r"\x{3040}-\x{30ff}\x{3400}-\x{4dbf}\x{4e00}-\x{9fff}\x{f900}-\x{faff}\x{20000}-\x{3ffff}"
)
_MARKS = (
    r"\x{300}-\x{36f}\x{591}-\x{5c7}\x{64b}-\x{65f}\x{900}-\x{963}\x{966}-\x{eff}\x{1000}-\x{109f}"
)
_LETTER = rf"(?:[^\pC\pM\pP\pS\pZ{_IDEOGRAPHS}]|_|[{_MARKS}])"
_SPACE = r"[\t\n\v\f\r\x{85}\pZ]"
_TOKEN = rf"{_LETTER}+(?:['’]{_LETTER}+)*|[^\t\n\v\f\r\x{{85}}\pZ]"
_NOT_PUNCTUATION = r"(?s)[\pL\pN].*|..+"

_SENTENCES = (
    "",
    " ",
    "A wonderful film, isn't it?",
    "  two   blanks\tand a tab\nand a line ",
    "rock'n'roll ’tis 'quoted' it''s don’t",
    "snake_case _x __ 3.14 1,000 e-mail x2 50%",
    "Ärger im CAFÉ; naïve façade, Œuvre",
    unicodedata.normalize("NFD", "Ärger im CAFÉ; naïve façade"),
    "这部电影很好 very 好, 映画は素晴らしい。",
    "영화가 좋았다 фильм был хорош ταινία",
    "हिन्दी में अच्छी फ़िल्म ภาพยนตร์ดีมาก",
    "no\u00a0break\u3000wide\u2009thin",
    "emoji 😀👍🏽 and … — “quotes” €5 №7",
)


def strings_to_ids(
    preprocessing: JsonObject,
) -> "tuple[Callable[[Tensor], Tensor], StaticHashTable]":
    """Return (function from a string tensor (N,) to token ids (N, length), the lookup table that it uses)."""
    tf = import_module("tensorflow")
    vocabulary, length, ngrams = (
        preprocessing["vocabulary"],
        preprocessing["length"],
        preprocessing.get("ngrams"),
    )
    words, ids = _tokens_and_ids(vocabulary)
    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(words, ids, tf.string, tf.int32), default_value=UNKNOWN
    )
    characters = preprocessing["level"] == "characters"
    # equals no token: words contain no spaces, and n-grams are shorter
    no_token = " " * (1 + (ngrams or 0))
    # (decomposed, composed) form of the characters in the vocabulary that have both
    compositions = [
        (w, v)
        for w, v in ((unicodedata.normalize("NFD", v), v) for v in vocabulary if len(v) == 1)
        if w != v
    ]

    def split(texts: "Tensor") -> "RaggedTensor":
        if preprocessing["lowercase"]:
            texts = tf.strings.lower(texts, encoding="utf-8")
        if characters:
            for decomposed, character in compositions:
                texts = tf.strings.regex_replace(texts, decomposed, character)
            return tf.strings.unicode_split(texts, "UTF-8")
        texts = tf.strings.regex_replace(texts, _SPACE, " ")
        tokens = tf.strings.split(tf.strings.regex_replace(texts, f"({_TOKEN})", r"\1 "), sep=" ")
        keep = tokens.flat_values != ""
        if not preprocessing["punctuation"]:
            keep &= tf.strings.regex_full_match(tokens.flat_values, _NOT_PUNCTUATION)
        # the mask as a ragged tensor
        return tf.ragged.boolean_mask(tokens, tokens.with_flat_values(keep))

    def distinct_ngrams(tokens: "RaggedTensor") -> "RaggedTensor":
        """Return the distinct ids of the n-grams of 1 to `ngrams` tokens of each text, as the Python tokenizer does."""
        ids_by_length = [table.lookup(tokens.flat_values)]
        # The tokens of the vocabulary have composed accents.
        tokens_or_none = tokens.with_flat_values(
            tf.gather([no_token, no_token, *vocabulary], ids_by_length[0])
        )
        assert ngrams
        for count in range(2, ngrams + 1):
            # pad, so that an n-gram starts at each token
            beyond = tf.fill([tokens.nrows(), count - 1], no_token)
            longer = tf.strings.ngrams(
                tf.concat([tokens_or_none, beyond], axis=1), count, "" if characters else " "
            )
            ngram_ids = table.lookup(longer.flat_values)
            ids_by_length.append(tf.where(ngram_ids == UNKNOWN, PADDING, ngram_ids))
        ids = tf.stack(ids_by_length, axis=1)
        texts = tf.repeat(tokens.value_rowids()[:, None], ngrams, axis=1)
        size = len(vocabulary) + 2
        unique_ids, _ = tf.unique((texts * size + tf.cast(ids, tf.int64))[ids != PADDING])
        return tf.RaggedTensor.from_value_rowids(
            tf.cast(unique_ids % size, tf.int32), unique_ids // size, tokens.nrows()
        )

    def encode(texts: "Tensor") -> "Tensor":
        tokens = split(texts)
        ids = (
            distinct_ngrams(tokens)
            if ngrams
            else tokens.with_flat_values(table.lookup(tokens.flat_values))
        )
        if not reads_last_tokens(preprocessing):
            return ids[:, :length].to_tensor(PADDING, shape=[None, length])
        # Language models read the last tokens, with padding at the front.
        ids = ids[:, -length:]
        return tf.reverse(
            tf.reverse(ids, axis=[1]).to_tensor(PADDING, shape=[None, length]), axis=[1]
        )

    return encode, table


def _tokens_and_ids(vocabulary: Sequence[str]) -> tuple[list[str], list[int]]:
    """Return tokens and their ids, with composed (NFC) and decomposed (NFD) accents: TensorFlow cannot compose them."""
    ids = {token: i for i, token in enumerate(vocabulary, start=2)}
    for token, i in list(ids.items()):
        ids.setdefault(unicodedata.normalize("NFD", token), i)
    return list(ids) or [""], list(ids.values()) or [UNKNOWN]


def first_mismatch(preprocessing: JsonObject, encode: "Callable[[Tensor], Tensor]") -> str | None:
    """Return the first test sentence whose ids differ from those of the Python tokenizer, or None if all agree."""
    tf = import_module("tensorflow")
    texts = sentences(preprocessing)
    expected = encode_texts(preprocessing, texts)
    actual = encode(tf.constant(texts)).numpy()
    mismatches = np.flatnonzero((expected != actual).any(axis=1))
    return texts[mismatches[0]] if len(mismatches) else None


def sentences(preprocessing: JsonObject) -> list[str]:
    """Return test sentences: those with known pitfalls, and some random ones of the vocabulary."""
    words = tokenizer_of(preprocessing).vocabulary or ["x"]
    random_state = random.Random(0)
    generated = []
    for count in (1, 5, 20, 2 * preprocessing["length"]):
        for case in (str, str.upper, str.title):
            generated.append(case(" ".join(random_state.choice(words) for _ in range(count))))
    return [*_SENTENCES, *generated]

"""Text columns of a table: which columns are texts, and texts as a fixed number of hashed ids. Does not import pandas.

Words and pairs of neighbouring words are hashed, so that a preprocessor needs no vocabulary, and new rows are encoded
by NumPy in every export. The hash depends on the characters alone: not on the process, Python's hash seed, the
processor or its byte order.
"""

import re
from collections.abc import Collection, Sequence

import numpy as np

from kzoo.inference.kinds.text.tokenizer import Tokenizer
from kzoo.inference.tables.arrow import mix_bits
from kzoo.inference.tables.values import MISSING, Column, Texts, not_missing, plain
from kzoo.problems.preprocessors import LearnedColumn

_TOKENIZER = Tokenizer()  # lowercase words and punctuation marks; ideographs are words
_IDEOGRAPHS = re.compile(
    "[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
# Thai, Lao, Burmese and Khmer are written without blanks, too, but vowels belong to letters: runs of three characters.
_NO_BLANKS = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")
_RUN = 3
_WORD = re.compile(r"[^\W\d_]")

_MIN_WORDS = 3  # on average, as in AutoGluon's rule for text columns (arXiv:2003.06505)
_MIN_DIFFERENT = 0.5  # share of different texts, above which they are no categories
_LOOKED_AT = 1_000  # texts whose words are counted
_LEARNED_FROM = 20_000  # texts whose length and number of words and pairs are counted

_LENGTH_QUANTILE = 0.95  # ids per text
_LENGTH_STEP = 8
MAX_LENGTH = 512
_MIN_BUCKETS, _MAX_BUCKETS = 2**10, 2**15
# characters of a text that are read for each of its ids: bounds the time for a huge text
_CHARACTERS_PER_ID = 32
_TEXTS_AT_ONCE = 1024

_MULTIPLIER, _FIRST, _SECOND = (
    np.uint64(odd) for odd in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)
)


def are_texts(different: Collection[str], count: int, most_categories: int) -> bool:
    """Return whether a column contains texts: several words per cell, and too many different ones for categories.

    Args:
        different: the different cells of the column, as strings.
        count: the number of cells that are not missing.
        most_categories: the largest number of categories of a column.
    """
    if len(different) <= max(1, min(_MIN_DIFFERENT * count, most_categories)):
        return False
    texts = list(different)
    sample = texts[:: 1 + len(texts) // _LOOKED_AT]
    return (
        float(np.mean([_word_count(text[: 64 * _CHARACTERS_PER_ID]) for text in sample]))
        >= _MIN_WORDS
    )


def _word_count(text: str) -> float:
    """Return the number of words of a text; two ideographs, or five letters of a script without blanks, are a word."""
    ideographs = len(_IDEOGRAPHS.findall(text))
    unspaced = len(_NO_BLANKS.findall(text))
    spaced = _NO_BLANKS.sub(" ", _IDEOGRAPHS.sub(" ", text))
    return ideographs / 2 + unspaced / 5 + sum(bool(_WORD.search(word)) for word in spaced.split())


def learn_texts(values: Column) -> LearnedColumn:
    """Return how a column of texts is encoded: the number of `buckets`, and the `length`, ids per text.

    Args:
        values: the training cells.
    """
    texts = cell_texts(values)
    texts = [text for text in texts[:: 1 + len(texts) // _LEARNED_FROM] if text]
    ids = hash_texts(texts, _MAX_BUCKETS, MAX_LENGTH)
    lengths = np.count_nonzero(ids, axis=1)
    different = len(np.unique(ids))
    length = int(np.quantile(lengths, _LENGTH_QUANTILE)) if len(lengths) else 1
    length = min(-(-max(length, 1) // _LENGTH_STEP) * _LENGTH_STEP, MAX_LENGTH)
    buckets = int(np.clip(2 ** int(np.ceil(np.log2(2 * different))), _MIN_BUCKETS, _MAX_BUCKETS))
    return {"buckets": buckets, "length": length}


def cell_texts(values: Column) -> list[str]:
    """Return the cells of a column as texts; a missing cell, or a word such as `NA` for one, is an empty text."""
    values = plain(values)
    if isinstance(values, Texts):
        return values.each([_text(text) for text in values.different], "", object).tolist()
    present = not_missing(values)
    return [
        _text(str(value)) if filled else ""
        for value, filled in zip(values.tolist(), present, strict=True)
    ]


def _text(cell: str) -> str:
    """Return a cell as a text: empty if it is a word for a missing value."""
    return "" if cell.strip() in MISSING else cell


def encode_texts(values: Column, buckets: int, length: int) -> np.ndarray:
    """Return the cells of a column as ids, float32 (N, length), 0 for padding (see `hash_texts`)."""
    values = plain(values)
    if not isinstance(values, Texts):
        return hash_texts(cell_texts(values), buckets, length)
    # a column of a split may use few of the unique texts
    used, codes = np.unique(values.codes, return_inverse=True)
    texts = [_text(values.different[code]) if code >= 0 else "" for code in used.tolist()]
    return hash_texts(texts, buckets, length)[codes]


def hash_texts(texts: Sequence[str], buckets: int, length: int) -> np.ndarray:
    """Return texts as ids, float32 (N, length): 1 to buckets - 1, padded with 0 on the right.

    An id is the hash of a word, or of a pair of neighbouring words. Each counts once per text, in the order of the
    text; those beyond the length are left out. float32 has all ids exactly.

    Args:
        texts: N strings.
        buckets: the number of ids, including 0 for padding.
        length: ids per text.
    """
    ids = np.zeros((len(texts), length), np.float32)
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        block = [
            text[: _CHARACTERS_PER_ID * length] for text in texts[start : start + _TEXTS_AT_ONCE]
        ]
        split = [_split_unspaced(tokens[: length + 1]) for tokens in _TOKENIZER.split_all(block)]
        _fill(ids[start : start + len(block)], split, np.uint64(buckets - 1))
    return ids


def _split_unspaced(tokens: Sequence[str]) -> Sequence[str]:
    """Return tokens, with those of scripts without blanks split into overlapping runs of characters."""
    if all(map(str.isascii, tokens)):
        return tokens
    runs = []
    for token in tokens:
        if len(token) > _RUN and _NO_BLANKS.search(token):
            runs += [token[i : i + _RUN] for i in range(len(token) - _RUN + 1)]
        else:
            runs.append(token)
    return runs


def _fill(rows: np.ndarray, split: Sequence[Sequence[str]], hashed_ids: np.uint64) -> None:
    """Write the ids of texts into rows (B, length) of zeros.

    Args:
        split: the tokens of each text.
        hashed_ids: the number of ids without padding, as uint64.
    """
    sizes = np.fromiter(map(len, split), np.int64, len(split))
    tokens = [token for text in split for token in text]
    if not tokens:
        return
    hashes = _hash_tokens(tokens)
    text_of = np.repeat(np.arange(len(split)), sizes)
    with np.errstate(over="ignore"):
        pairs = mix_bits(hashes[:-1] * _FIRST + hashes[1:] * _SECOND)
    # a word, then the pair that begins with it
    both = np.stack([hashes, np.append(pairs, hashes[-1:])], axis=1)
    is_pair = np.append(text_of[1:] == text_of[:-1], False)
    keep = np.stack([np.ones(len(hashes), bool), is_pair], axis=1)
    ids = (1 + (both >> np.uint64(32)) % hashed_ids).astype(np.int64)[keep]
    texts = np.repeat(text_of, keep.sum(axis=1))
    first = np.sort(np.unique(texts * (int(hashed_ids) + 1) + ids, return_index=True)[1])
    ids, texts = ids[first], texts[first]
    counts = np.bincount(texts, minlength=len(split))
    position = np.arange(len(ids)) - np.repeat(np.cumsum(counts) - counts, counts)
    fits = position < rows.shape[1]
    rows[texts[fits], position[fits]] = ids[fits]


def _hash_tokens(tokens: Sequence[str]) -> np.ndarray:
    """Return a 64-bit hash of each token, (N,) uint64: a polynomial of its code points, mixed."""
    codes = np.frombuffer("".join(tokens).encode("utf-32-le", "surrogatepass"), "<u4").astype(
        np.uint64
    )
    sizes = np.fromiter(map(len, tokens), np.int64, len(tokens))
    starts = np.cumsum(sizes) - sizes
    powers = np.multiply.accumulate(np.full(sizes.max(), _MULTIPLIER))
    return mix_bits(
        np.add.reduceat(codes * powers[np.arange(len(codes)) - np.repeat(starts, sizes)], starts)
    )

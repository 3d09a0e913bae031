"""One tokenizer in plain Python, the same in training and in prediction without Keras."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import nsmallest
from itertools import chain, count, groupby, zip_longest
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject

if TYPE_CHECKING:
    from kzoo.inference.kinds.text.pieces import PieceTokenizer

PADDING, UNKNOWN = 0, 1
LEVELS = ("words", "characters")

# Chinese, Japanese and Korean ideographs and kana are written without spaces: one token per character.
_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# Accents and vowel signs that belong to the letter before them (\w does not hold them).
_MARKS = "\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0963\u0966-\u0eff\u1000-\u109f"
_LETTER = f"(?:[^\\W{_IDEOGRAPHS}]|[{_MARKS}])"
# A word with inner apostrophes, or any other single character that is not a space.
_WORDS = re.compile(f"{_LETTER}+(?:['’]{_LETTER}+)*|\\S")
_PLAIN_WORDS = re.compile(r"\w+(?:'\w+)*|\S", re.ASCII)  # the same rule on ASCII, twice as fast
# Without a pattern it is five times as fast: add spaces around all other characters, then `str.split`.
_LETTERS = bytes(code for code in range(128) if chr(code).isalnum() or chr(code) in "_ \t\n\r\v\f")
_LONE_APOSTROPHE = re.compile(r"(?<!\w)'|'(?!\w)", re.ASCII)
_SPACES_OF_SPLIT = frozenset(b"\x1c\x1d\x1e\x1f")  # spaces for `str.split`, tokens by the pattern
# Longer sequences of accents than any real text has: `normalize` sorts them in quadratic time.
_MANY_MARKS = re.compile(r"[^\w\s\x00-\x7f]{31,}")
_TWO_MARKS = {
    0xF73: "\u0f71\u0f72",
    0xF75: "\u0f71\u0f74",
    0xF81: "\u0f71\u0f80",
}  # decomposed, since they count as letters otherwise
_TEXT_SEPARATOR = "\0"  # separates texts that are split together

_TEXTS_AT_ONCE = 1024  # texts split at a time
_MAX_TOKENS = 2**18  # tokens whose n-grams are in memory at a time
_BLOCK = 2**17  # characters encoded at a time: they fit into the processor cache
_MAX_COUNTED = 2**22  # unique n-grams counted at a time: half a gigabyte

AnyTokenizer: TypeAlias = "Tokenizer | PieceTokenizer"


class Tokenizer:
    """Splits text into tokens and encodes them as ids: 0 is padding, 1 any unknown token.

    Args:
        level: `"words"` (ideographs count as words) or `"characters"`.
        ngrams: None for all tokens in order. With a number n, as in Keras' `TextVectorization`, n-grams of 1 to n
            tokens get ids: each unique n-gram of a text counts once, in the order of their first tokens, shorter ones
            first; single tokens outside the vocabulary are unknown, longer n-grams outside it are left out.
        vocabulary: the known tokens; the first has id 2. Words of an n-gram are separated by spaces.
        lowercase: whether to lowercase texts first.
        punctuation: whether punctuation marks are tokens (words only).

    Raises:
        KzooError: unknown level.
    """

    def __init__(
        self,
        *,
        level: str = "words",
        ngrams: int | None = None,
        vocabulary: Sequence[str] = (),
        lowercase: bool = True,
        punctuation: bool = True,
    ) -> None:
        if level not in LEVELS:
            raise KzooError(
                f"Unknown tokenizer={level!r}. Use 'words' or 'characters'.", value=level
            )
        self.level = level
        self.ngrams = ngrams
        self._longest = ngrams or 1
        self.lowercase = lowercase
        self.punctuation = punctuation
        self.vocabulary = list(vocabulary)
        self._ids = {token: i for i, token in enumerate(self.vocabulary, start=2)}

    def __len__(self) -> int:
        """Number of ids, including padding and unknown."""
        return len(self.vocabulary) + 2

    def split(self, text: str) -> list[str]:
        """Return the tokens of a text."""
        return list(self.split_all([text])[0])

    def split_all(self, texts: Sequence[str]) -> Sequence[Any]:
        """Return the tokens of each text: a list of words, or a string whose characters are the tokens."""
        if self.lowercase:
            texts = [text.lower() for text in texts]
        if self.level == "characters":
            return [_normalize(text) for text in texts]
        if all(map(str.isascii, texts)):
            split = _plain_words(texts)
        else:
            split = [
                _plain_words([t])[0] if t.isascii() else _WORDS.findall(_normalize(t))
                for t in texts
            ]
        return (
            split
            if self.punctuation
            else [[t for t in tokens if t[0].isalnum() or len(t) > 1] for tokens in split]
        )

    def id_of(self, token: str) -> int:
        """Return the id of a token or an n-gram; 0 if it is not in the vocabulary."""
        return self._ids.get(token, PADDING)

    def ids(self, text: str) -> list[int]:
        """Return the ids of a text as a list, without padding."""
        return self.numbers(text).tolist()

    def numbers(self, text: str) -> np.ndarray:
        """Return the ids of a text, int32 (ids,), without padding."""
        return self._encode_split(self.split_all([text]))[0]

    def _encode_split(self, split: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
        """Return the concatenated ids of texts split by `split_all`, and the number of ids of each text."""
        if self.ngrams:
            return self._encode_runs(split)
        if self.level == "characters":
            return self._encode_characters("".join(split)), _sizes(split)
        get = self._ids.get
        return np.array(
            [get(token, UNKNOWN) for tokens in split for token in tokens], np.int32
        ), _sizes(split)

    def _encode_runs(self, split: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
        sizes = _sizes(split)
        if sizes.sum() > _MAX_TOKENS:
            encoded = [self._encode_long_runs(tokens) for tokens in split]
            return np.concatenate(encoded), _sizes(encoded)
        ids = self._run_ids(split)
        texts = np.repeat(np.arange(len(split)), sizes)[:, None].repeat(self._longest, axis=1)[
            ids != PADDING
        ]
        ids = ids[ids != PADDING]
        first_positions = np.sort(np.unique(texts * len(self) + ids, return_index=True)[1])
        return ids[first_positions].astype(np.int32), np.bincount(
            texts[first_positions], minlength=len(split)
        )

    def _encode_long_runs(self, tokens: Sequence[str]) -> np.ndarray:
        """Return the ids of a text, computed block by block: n-grams take many times the memory of the text."""
        unique_ids: dict = {}
        for start in range(0, len(tokens), _MAX_TOKENS):
            ids = self._run_ids([tokens[start : start + _MAX_TOKENS + self._longest - 1]])[
                :_MAX_TOKENS
            ]
            unique_ids.update(dict.fromkeys(ids[ids != PADDING].tolist()))
        return np.array(list(unique_ids), np.int32)

    def _run_ids(self, split: Sequence[Any]) -> np.ndarray:
        """Return a row for each token, with the ids of the n-grams of each length that begin there."""
        ids = np.zeros((_sizes(split).sum(), self._longest), np.int64)
        for column, runs in zip(ids.T, self.runs(split), strict=True):
            column[:] = [PADDING if run is None else self._ids.get(run, PADDING) for run in runs]
        ids[ids[:, 0] == PADDING, 0] = UNKNOWN
        return ids

    def runs(self, split: Sequence[Any]) -> Iterator[Sequence[str | None]]:
        """Yield, for each length, the n-grams that begin at each token of all texts; None beyond the end of a text."""
        tokens = list(chain.from_iterable(split))
        sizes = _sizes(split)
        # tokens left to the end of the text
        tokens_left = np.repeat(np.cumsum(sizes), sizes) - np.arange(len(tokens))
        between = "" if self.level == "characters" else " "
        yield tokens
        for length in range(2, self._longest + 1):
            runs = map(between.join, zip(*(tokens[i:] for i in range(length)), strict=False))
            yield [
                run if fits else None
                for run, fits in zip_longest(runs, (tokens_left >= length).tolist())
            ]

    def _encode_characters(self, text: str) -> np.ndarray:
        id_of_code = {ord(token): number for token, number in self._ids.items() if len(token) == 1}
        table = np.full(
            max(id_of_code, default=0) + 2, UNKNOWN, np.int32
        )  # the last entry is for all larger code points
        table[list(id_of_code)] = list(id_of_code.values())
        ids = np.empty(len(text), np.int32)
        done = 0
        for codes in _code_points(text):
            ids[done : done + len(codes)] = table.take(codes, mode="clip")
            done += len(codes)
        return ids

    def encode(self, texts: Sequence[str], length: int) -> np.ndarray:
        """Return int32 ids (N, length), truncated and padded with 0 on the right."""
        out = np.zeros((len(texts), length), np.int32)
        enough = None if self.ngrams else length
        for first in range(0, len(texts), _TEXTS_AT_ONCE):
            split = [
                tokens[:enough] for tokens in self.split_all(texts[first : first + _TEXTS_AT_ONCE])
            ]
            _fill(out[first : first + len(split)], *self._encode_split(split))
        return out

    def decode(self, ids: Iterable[int], unknown: str = "\ufffd") -> str:
        """Return ids as text, with `unknown` for unknown tokens and without padding."""
        token_of_id = {i: token for token, i in self._ids.items()}
        tokens = [token_of_id.get(int(i), unknown) for i in ids if int(i) != PADDING]
        return (" · " if self.ngrams else "" if self.level == "characters" else " ").join(tokens)

    def settings(self) -> JsonObject:
        """Return plain JSON data; `Tokenizer(**settings)` creates the same tokenizer."""
        return {
            "level": self.level,
            "ngrams": self.ngrams,
            "lowercase": self.lowercase,
            "punctuation": self.punctuation,
            "vocabulary": self.vocabulary,
        }


def learn_from_pieces(
    pieces: Iterable[str], *, level: str, size: int, lowercase: bool
) -> tuple[Tokenizer, bool]:
    """Return the tokenizer that `learn_and_encode` learns, for a text in pieces, and whether all tokens were counted.

    If there are too many unique tokens, those with the lowest counts so far are dropped.
    """
    _check_size(size)
    blank = Tokenizer(level=level, lowercase=lowercase)
    counts: Counter[Any] = Counter()
    dropped = 1
    for piece in pieces:
        (tokens,) = blank.split_all([piece])
        counts.update(_count_characters(tokens) if level == "characters" else tokens)
        while len(counts) > _MAX_COUNTED:
            counts = Counter({token: count for token, count in counts.items() if count > dropped})
            dropped += 1
    vocabulary = _most_frequent(counts, size)
    return Tokenizer(level=level, lowercase=lowercase, vocabulary=vocabulary), dropped == 1


def learn_and_encode(
    texts: Sequence[str],
    length: int,
    *,
    level: str = "words",
    ngrams: int | None = None,
    size: int = 20_000,
    lowercase: bool = True,
) -> tuple[Tokenizer, np.ndarray]:
    """Learn a vocabulary and encode the texts with it; each text is split and looked up only once.

    The vocabulary is the most frequent tokens of the texts, ties in alphabetical order.

    Args:
        texts: the training texts.
        length: ids per row.
        level, ngrams: see `Tokenizer`; among equal counts, shorter n-grams come first.
        size: maximum number of ids, including padding and unknown.

    Returns:
        The `Tokenizer` and the ids (texts, length).

    Raises:
        KzooError: the size is below 3.
    """
    _check_size(size)
    blank = Tokenizer(level=level, ngrams=ngrams, lowercase=lowercase)
    if level == "characters" or ngrams:
        run_counts = (
            _count_runs(blank, texts)
            if ngrams
            else _count_characters("".join(blank.split_all(texts)))
        )
        frequent = _most_frequent(
            run_counts, size, length=len if level == "characters" else _count_spaces
        )
        learned = Tokenizer(level=level, ngrams=ngrams, lowercase=lowercase, vocabulary=frequent)
        return learned, learned.encode(texts, length)
    numbering: defaultdict[str, int] = defaultdict(
        count(1).__next__
    )  # words are numbered in order of appearance: 0 is padding
    counts = np.zeros(1, np.int64)
    out = np.zeros((len(texts), length), np.int32)
    for first in range(0, len(texts), _TEXTS_AT_ONCE):
        split = blank.split_all(texts[first : first + _TEXTS_AT_ONCE])
        numbers = np.fromiter(
            map(numbering.__getitem__, chain.from_iterable(split)), np.int32, sum(map(len, split))
        )
        counts = (
            np.pad(counts, (0, max(0, 2 * len(numbering) - len(counts))))
            if len(numbering) >= len(counts)
            else counts
        )
        np.add.at(counts, numbers, 1)
        _fill(out[first : first + len(split)], numbers, _sizes(split))
    frequent = _most_frequent(dict(zip(numbering, counts[1:].tolist(), strict=False)), size)
    ids = np.full(len(numbering) + 1, UNKNOWN, np.int32)
    ids[0], ids[[numbering[word] for word in frequent]] = PADDING, np.arange(2, len(frequent) + 2)
    for first in range(0, len(texts), _TEXTS_AT_ONCE):
        out[first : first + _TEXTS_AT_ONCE] = ids[out[first : first + _TEXTS_AT_ONCE]]
    return Tokenizer(level=level, lowercase=lowercase, vocabulary=frequent), out


def _check_size(size: int) -> None:
    if size < 3:
        raise KzooError(
            "must be at least 3, for padding, unknown tokens and one token.",
            argument="vocabulary_size",
            value=size,
        )


def _most_frequent(
    counts: Mapping[str, int], size: int, length: Callable[[str], int] = lambda token: 1
) -> list[str]:
    """Return the tokens with the highest counts, sorted by count, then `length`, then alphabetically."""
    return nsmallest(size - 2, counts, key=lambda token: (-counts[token], length(token), token))


def _count_spaces(run: str) -> int:
    return run.count(" ")


def _count_runs(blank: Tokenizer, texts: Sequence[str]) -> dict[str, int]:
    """Return n-gram -> count. If there are too many, those with the lowest counts so far are dropped."""
    counts: Counter[Any] = Counter()
    dropped = 1
    for first in range(0, len(texts), _TEXTS_AT_ONCE):
        for runs in blank.runs(blank.split_all(texts[first : first + _TEXTS_AT_ONCE])):
            counts.update(runs)
        del counts[None]
        while len(counts) > _MAX_COUNTED:
            counts = Counter({run: count for run, count in counts.items() if count > dropped})
            dropped += 1
    return counts


def _sizes(split: Sequence[Any]) -> np.ndarray:
    return np.fromiter(map(len, split), np.int64, len(split))


def _fill(rows: np.ndarray, numbers: np.ndarray, sizes: np.ndarray) -> None:
    """Write the ids of the tokens of texts into rows, truncated to their length.

    Args:
        rows: (N, length) zeros.
        numbers: (all tokens,).
        sizes: (N,) number of tokens of each text.
    """
    length = rows.shape[1]
    if len(sizes) and sizes.max() > length:
        numbers = numbers[
            np.arange(len(numbers)) - np.repeat(np.cumsum(sizes) - sizes, sizes) < length
        ]
    rows[np.arange(length) < sizes[:, None]] = numbers


def _normalize(text: str) -> str:
    return (
        text
        if text.isascii()
        else unicodedata.normalize("NFC", _MANY_MARKS.sub(_sort_accents, text))
    )


def _sort_accents(run: re.Match[str]) -> str:
    """Return non-letter characters with combining accents in Unicode's canonical order."""
    parts = groupby(run[0].translate(_TWO_MARKS), key=lambda mark: unicodedata.combining(mark) > 0)
    return "".join(
        chain.from_iterable(sorted(part, key=unicodedata.combining) for _, part in parts)
    )


def _plain_words(texts: Sequence[str]) -> list[list[str]]:
    """Return the words of each of several ASCII texts, like `_PLAIN_WORDS.findall`."""
    joined = _TEXT_SEPARATOR.join(texts)
    marks = set(joined.encode().translate(None, _LETTERS)) - set(_TEXT_SEPARATOR.encode())
    if marks & _SPACES_OF_SPLIT or joined.count(_TEXT_SEPARATOR) >= len(texts):
        return [_PLAIN_WORDS.findall(text) for text in texts]
    for mark in map(chr, marks):
        joined = (
            _LONE_APOSTROPHE.sub(" ' ", joined)
            if mark == "'"
            else joined.replace(mark, f" {mark} ")
        )
    return [text.split() for text in joined.split(_TEXT_SEPARATOR)]


def _code_points(text: str) -> Iterator[np.ndarray]:
    """Yield the code points of a text in blocks."""
    for start in range(0, len(text), _BLOCK):
        block = text[start : start + _BLOCK]
        if block.isascii():
            yield np.frombuffer(block.encode(), np.uint8)
        else:
            yield np.frombuffer(block.encode("utf-32-le", "surrogatepass"), "<u4")


def _count_characters(text: str) -> dict[str, int]:
    """Return character -> number of occurrences."""
    counts = np.zeros(1, np.int64)
    for codes in _code_points(text):
        block_counts = np.bincount(codes, minlength=len(counts))
        block_counts[: len(counts)] += counts
        counts = block_counts
    return {chr(code): int(counts[code]) for code in np.flatnonzero(counts)}

"""One tokenizer in plain Python, the same in training and in prediction without Keras."""

import re
import unicodedata
from collections import Counter, defaultdict
from heapq import nsmallest
from itertools import chain, count, groupby, zip_longest

import numpy as np

from kzoo.utils.errors import KzooError

PADDING, UNKNOWN = 0, 1
LEVELS = ("words", "characters")

# Chinese, Japanese and Korean ideographs and kana stand without spaces: one token a character.
_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# Accents and vowel signs that belong to the letter before them (\w does not hold them).
_MARKS = "\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0963\u0966-\u0eff\u1000-\u109f"
_LETTER = f"(?:[^\\W{_IDEOGRAPHS}]|[{_MARKS}])"
# A word with its inner apostrophes, or any other single character that is not space.
_WORDS = re.compile(f"{_LETTER}+(?:['’]{_LETTER}+)*|\\S")
_PLAIN_WORDS = re.compile(r"\w+(?:'\w+)*|\S", re.ASCII)  # the same rule on ASCII, twice as fast
# And without a pattern, five times as fast: spaces on both sides of what is no letter, and `str.split`.
_LETTERS = bytes(code for code in range(128) if chr(code).isalnum() or chr(code) in "_ \t\n\r\v\f")
_LONE_APOSTROPHE = re.compile(r"(?<!\w)'|'(?!\w)", re.ASCII)
_SPACES_OF_SPLIT = frozenset(b"\x1c\x1d\x1e\x1f")  # spaces to `str.split`, tokens by the rule
# Accents in a row, of which no text has so many: `normalize` puts them in order in a time that goes with their square.
_MANY_MARKS = re.compile(r"[^\w\s\x00-\x7f]{31,}")
_TWO_MARKS = {0xF73: "\u0f71\u0f72", 0xF75: "\u0f71\u0f74", 0xF81: "\u0f71\u0f80"}  # which count as letters otherwise
_APART = "\0"  # between texts that are looked at in one go

_TOGETHER = 1024  # texts that are split in one go
_MOST_RUN = 2**18  # tokens whose runs are held at once
_BLOCK = 2**17  # characters that are numbered in one go: they stay in the processor's cache
_COUNTED = 2**22  # different runs of tokens that are counted at a time: half a gigabyte


class Tokenizer:
    """Splits text into tokens and numbers them: 0 is padding, 1 any unknown token.

    Args:
        level: `"words"` (ideographs count as words) or `"characters"`.
        ngrams: None for all tokens in their order. A number, as in Keras' `TextVectorization`, gives an id to runs of
            one to so many tokens: each different one of a text counts once, in the order in which they begin, shorter
            ones first; a token that is not in the vocabulary is unknown, a longer run that is not is left out.
        vocabulary: the known tokens; the first has id 2. Words of a longer run have a space between them.
        lowercase: fold case first.
        punctuation: keep punctuation marks as tokens of their own (words only).

    Raises:
        KzooError: another level.
    """

    def __init__(self, *, level="words", ngrams=None, vocabulary=(), lowercase=True, punctuation=True):
        if level not in LEVELS:
            raise KzooError(f"tokenizer={level!r} is unknown. Use 'words' or 'characters'.")
        self.level, self.ngrams, self.lowercase, self.punctuation = level, ngrams, lowercase, punctuation
        self.vocabulary = list(vocabulary)
        self._ids = {token: i for i, token in enumerate(self.vocabulary, start=2)}

    def __len__(self):
        """Number of ids, padding and unknown among them."""
        return len(self.vocabulary) + 2

    def split(self, text):
        """Return the tokens of a text."""
        return list(self.split_all([text])[0])

    def split_all(self, texts):
        """Return the tokens of each text: a list of words, or a string, each character of which is one."""
        if self.lowercase:
            texts = [text.lower() for text in texts]
        if self.level == "characters":
            return [_composed(text) for text in texts]
        if all(map(str.isascii, texts)):
            split = _plain_words(texts)
        else:
            split = [_plain_words([t])[0] if t.isascii() else _WORDS.findall(_composed(t)) for t in texts]
        return split if self.punctuation else [[t for t in one if t[0].isalnum() or len(t) > 1] for one in split]

    def ids(self, text):
        """Return the ids of a text as a list, unpadded."""
        return self.numbers(text).tolist()

    def numbers(self, text):
        """Return the ids of a text, int32 (ids,), unpadded."""
        return self._numbered(self.split_all([text]))[0]

    def _numbered(self, split):
        """Return the ids of what `split_all` gave, those of all texts in one array, and how many each text has."""
        if self.ngrams:
            return self._numbered_runs(split)
        if self.level == "characters":
            return self._numbered_characters("".join(split)), _sizes(split)
        get = self._ids.get
        return np.array([get(token, UNKNOWN) for tokens in split for token in tokens], np.int32), _sizes(split)

    def _numbered_runs(self, split):
        sizes = _sizes(split)
        if sizes.sum() > _MOST_RUN:
            found = [self._numbered_long(tokens) for tokens in split]
            return np.concatenate(found), _sizes(found)
        ids = self._ids_of_runs(split)
        texts = np.repeat(np.arange(len(split)), sizes)[:, None].repeat(self.ngrams, axis=1)[ids != PADDING]
        ids = ids[ids != PADDING]
        first = np.sort(np.unique(texts * len(self) + ids, return_index=True)[1])
        return ids[first].astype(np.int32), np.bincount(texts[first], minlength=len(split))

    def _numbered_long(self, tokens):
        """Return the ids of a text block by block: its runs, as texts, take many times what it takes itself."""
        found: dict = {}
        for start in range(0, len(tokens), _MOST_RUN):
            ids = self._ids_of_runs([tokens[start : start + _MOST_RUN + self.ngrams - 1]])[:_MOST_RUN]
            found.update(dict.fromkeys(ids[ids != PADDING].tolist()))
        return np.array(list(found), np.int32)

    def _ids_of_runs(self, split):
        """Return a row for each token, with the ids of the runs of each length that begin there."""
        ids = np.zeros((_sizes(split).sum(), self.ngrams), np.int64)
        for column, runs in zip(ids.T, self.runs(split), strict=True):
            column[:] = [PADDING if run is None else self._ids.get(run, PADDING) for run in runs]
        ids[ids[:, 0] == PADDING, 0] = UNKNOWN
        return ids

    def runs(self, split):
        """Yield for each length, from 1, the runs of tokens that begin at each token of all texts; None beyond ends."""
        tokens, sizes = list(chain.from_iterable(split)), _sizes(split)
        left = np.repeat(np.cumsum(sizes), sizes) - np.arange(len(tokens))  # tokens to the end of the text
        between = "" if self.level == "characters" else " "
        yield tokens
        for length in range(2, self.ngrams + 1):
            runs = map(between.join, zip(*(tokens[i:] for i in range(length)), strict=False))
            yield [run if fits else None for run, fits in zip_longest(runs, (left >= length).tolist())]

    def _numbered_characters(self, text):
        known = {ord(token): number for token, number in self._ids.items() if len(token) == 1}
        table = np.full(max(known, default=0) + 2, UNKNOWN, np.int32)  # the last place stands for all beyond
        table[list(known)] = list(known.values())
        ids, done = np.empty(len(text), np.int32), 0
        for codes in _code_points(text):
            ids[done : done + len(codes)] = table.take(codes, mode="clip")
            done += len(codes)
        return ids

    def encode(self, texts, length):
        """Return int32 ids (N, length), padded with 0 on the right, cut on the right."""
        out, enough = np.zeros((len(texts), length), np.int32), None if self.ngrams else length
        for first in range(0, len(texts), _TOGETHER):
            split = [tokens[:enough] for tokens in self.split_all(texts[first : first + _TOGETHER])]
            _fill(out[first : first + len(split)], *self._numbered(split))
        return out

    def decode(self, ids, unknown="\ufffd"):
        """Return ids as text, with `unknown` for unknown tokens; padding does not show."""
        known = {i: token for token, i in self._ids.items()}
        tokens = [known.get(int(i), unknown) for i in ids if int(i) != PADDING]
        return (" · " if self.ngrams else "" if self.level == "characters" else " ").join(tokens)

    def settings(self):
        """Return plain JSON data from which `Tokenizer(**settings)` makes the same one."""
        return {
            "level": self.level,
            "ngrams": self.ngrams,
            "lowercase": self.lowercase,
            "punctuation": self.punctuation,
            "vocabulary": self.vocabulary,
        }


def learn_from_pieces(pieces, *, level, size, lowercase):
    """Return what `learn_and_encode` learns of one text in pieces, and whether all of its tokens were counted.

    Where too many differ, those met once so far are let go.
    """
    _check_size(size)
    blank, found, least = Tokenizer(level=level, lowercase=lowercase), Counter(), 1
    for piece in pieces:
        (tokens,) = blank.split_all([piece])
        found.update(_counted(tokens) if level == "characters" else tokens)
        while len(found) > _COUNTED:
            found = Counter({token: count for token, count in found.items() if count > least})
            least += 1
    best = _most_frequent(found, size)
    return Tokenizer(level=level, lowercase=lowercase, vocabulary=best), least == 1


def learn_and_encode(texts, length, *, level="words", ngrams=None, size=20_000, lowercase=True):
    """Learn a vocabulary, and encode the texts by it: each is split and looked up once, not twice.

    The vocabulary is the most frequent tokens of the texts, ties in alphabetical order.

    Args:
        texts: of the training.
        length: of each row of ids.
        level, ngrams: see `Tokenizer`; at the same count, shorter runs of tokens come first.
        size: ids at most, padding and unknown among them.

    Returns:
        The `Tokenizer` and the ids (texts, length).

    Raises:
        KzooError: a size below 3.
    """
    _check_size(size)
    blank = Tokenizer(level=level, ngrams=ngrams, lowercase=lowercase)
    if level == "characters" or ngrams:
        found = _counted_runs(blank, texts) if ngrams else _counted("".join(blank.split_all(texts)))
        best = _most_frequent(found, size, length=len if level == "characters" else _spaces)
        learned = Tokenizer(level=level, ngrams=ngrams, lowercase=lowercase, vocabulary=best)
        return learned, learned.encode(texts, length)
    met, counts = defaultdict(count(1).__next__), np.zeros(1, np.int64)  # words get numbers as they come: 0 is padding
    out = np.zeros((len(texts), length), np.int32)
    for first in range(0, len(texts), _TOGETHER):
        split = blank.split_all(texts[first : first + _TOGETHER])
        numbers = np.fromiter(map(met.__getitem__, chain.from_iterable(split)), np.int32, sum(map(len, split)))
        counts = np.pad(counts, (0, max(0, 2 * len(met) - len(counts)))) if len(met) >= len(counts) else counts
        np.add.at(counts, numbers, 1)
        _fill(out[first : first + len(split)], numbers, _sizes(split))
    best = _most_frequent(dict(zip(met, counts[1:].tolist(), strict=False)), size)
    ids = np.full(len(met) + 1, UNKNOWN, np.int32)
    ids[0], ids[[met[word] for word in best]] = PADDING, np.arange(2, len(best) + 2)
    for first in range(0, len(texts), _TOGETHER):
        out[first : first + _TOGETHER] = ids[out[first : first + _TOGETHER]]
    return Tokenizer(level=level, lowercase=lowercase, vocabulary=best), out


def _check_size(size):
    if size < 3:
        raise KzooError(f"vocabulary_size={size} must be at least 3: padding, unknown and one token.")


def _most_frequent(counts, size, length=lambda token: 1):
    """Return the tokens of the highest counts, by their count, then `length`, then the alphabet."""
    return nsmallest(size - 2, counts, key=lambda token: (-counts[token], length(token), token))


def _spaces(run):
    return run.count(" ")


def _counted_runs(blank, texts):
    """Return run of tokens -> how often it occurs. Where too many differ, those met once so far are let go."""
    found, least = Counter(), 1
    for first in range(0, len(texts), _TOGETHER):
        for runs in blank.runs(blank.split_all(texts[first : first + _TOGETHER])):
            found.update(runs)
        del found[None]
        while len(found) > _COUNTED:
            found = Counter({run: count for run, count in found.items() if count > least})
            least += 1
    return found


def _sizes(split):
    return np.fromiter(map(len, split), np.int64, len(split))


def _fill(rows, numbers, sizes):
    """Write the numbers of the tokens of texts into rows, as many as these are long.

    Args:
        rows: (N, length) zeros.
        numbers: (all tokens,).
        sizes: (N,), how many of them each text has.
    """
    length = rows.shape[1]
    if len(sizes) and sizes.max() > length:
        numbers = numbers[np.arange(len(numbers)) - np.repeat(np.cumsum(sizes) - sizes, sizes) < length]
    rows[np.arange(length) < sizes[:, None]] = numbers


def _composed(text):
    return text if text.isascii() else unicodedata.normalize("NFC", _MANY_MARKS.sub(_in_order, text))


def _in_order(run):
    """Return characters that are no letters, the accents among them in Unicode's canonical order."""
    parts = groupby(run[0].translate(_TWO_MARKS), key=lambda mark: unicodedata.combining(mark) > 0)
    return "".join(chain.from_iterable(sorted(part, key=unicodedata.combining) for _, part in parts))


def _plain_words(texts):
    """Return the words of each of several texts in ASCII, as `_PLAIN_WORDS` finds them."""
    joined = _APART.join(texts)
    marks = set(joined.encode().translate(None, _LETTERS)) - set(_APART.encode())
    if marks & _SPACES_OF_SPLIT or joined.count(_APART) >= len(texts):
        return [_PLAIN_WORDS.findall(text) for text in texts]
    for mark in map(chr, marks):
        joined = _LONE_APOSTROPHE.sub(" ' ", joined) if mark == "'" else joined.replace(mark, f" {mark} ")
    return [text.split() for text in joined.split(_APART)]


def _code_points(text):
    """Yield the code points of a text, a block of characters at a time."""
    for start in range(0, len(text), _BLOCK):
        block = text[start : start + _BLOCK]
        if block.isascii():
            yield np.frombuffer(block.encode(), np.uint8)
        else:
            yield np.frombuffer(block.encode("utf-32-le", "surrogatepass"), "<u4")


def _counted(text):
    """Return character -> how often it occurs."""
    counts = np.zeros(1, np.int64)
    for codes in _code_points(text):
        found = np.bincount(codes, minlength=len(counts))
        found[: len(counts)] += counts
        counts = found
    return {chr(code): int(counts[code]) for code in np.flatnonzero(counts)}

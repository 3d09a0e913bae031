"""One tokenizer in plain Python, the same in training and in prediction without Keras."""

import re
import unicodedata
from collections import Counter
from itertools import chain

import numpy as np

from kzoo.errors import KzooError

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


class Tokenizer:
    """Splits text into tokens and numbers them: 0 is padding, 1 any unknown token.

    Args:
        level: `"words"` (ideographs count as words) or `"characters"`.
        vocabulary: the known tokens; the first has id 2.
        lowercase: fold case first.
        punctuation: keep punctuation marks as tokens of their own (words only).

    Raises:
        KzooError: another level.
    """

    def __init__(self, *, level="words", vocabulary=(), lowercase=True, punctuation=True):
        if level not in LEVELS:
            raise KzooError(f"tokenizer={level!r} is unknown. Use 'words' or 'characters'.")
        self.level, self.lowercase, self.punctuation = level, lowercase, punctuation
        self.vocabulary = list(vocabulary)
        self._ids = {token: i for i, token in enumerate(self.vocabulary, start=2)}

    def __len__(self):
        """Number of ids, padding and unknown among them."""
        return len(self.vocabulary) + 2

    def split(self, text):
        """Return the tokens of a text."""
        if self.lowercase:
            text = text.lower()
        if text.isascii():
            pattern = _PLAIN_WORDS
        else:
            text, pattern = unicodedata.normalize("NFC", text), _WORDS
        if self.level == "characters":
            return list(text)
        tokens = pattern.findall(text)
        return tokens if self.punctuation else [t for t in tokens if t[0].isalnum() or len(t) > 1]

    def ids(self, text):
        """Return the ids of a text as a list, unpadded."""
        get = self._ids.get
        return [get(token, UNKNOWN) for token in self.split(text)]

    def encode(self, texts, length):
        """Return int32 ids (N, length), padded with 0 on the right, cut on the right."""
        rows = [self.ids(text)[:length] for text in texts]
        out = np.zeros((len(rows), length), np.int32)
        sizes = np.fromiter(map(len, rows), np.int64, len(rows))
        out[np.arange(length) < sizes[:, None]] = np.fromiter(chain.from_iterable(rows), np.int32, sizes.sum())
        return out

    def decode(self, ids):
        """Return ids as text; unknown tokens show as a replacement character, padding not at all."""
        known = {i: token for token, i in self._ids.items()}
        tokens = [known.get(int(i), "\ufffd") for i in ids if int(i) != PADDING]
        return ("" if self.level == "characters" else " ").join(tokens)

    def settings(self):
        """Return plain JSON data from which `Tokenizer(**settings)` makes the same one."""
        return {
            "level": self.level,
            "lowercase": self.lowercase,
            "punctuation": self.punctuation,
            "vocabulary": self.vocabulary,
        }


def learn_tokenizer(texts, *, level="words", size=20_000, lowercase=True):
    """Learn a vocabulary from training texts: the most frequent tokens, ties in alphabetical order.

    Args:
        size: ids at most, padding and unknown among them.
    """
    if size < 3:
        raise KzooError(f"vocabulary_size={size} must be at least 3: padding, unknown and one token.")
    blank = Tokenizer(level=level, lowercase=lowercase)
    counts = Counter()
    for text in texts:
        counts.update(blank.split(text))
    best = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[: size - 2]
    return Tokenizer(level=level, lowercase=lowercase, vocabulary=[token for token, _ in best])

"""The tokenizer of the pretrained text encoder: pieces of words, the most probable ones of a unigram model.

It gives the tokens of SentencePiece (https://aclanthology.org/D18-2012), in plain Python.
"""

import base64
import re
import struct
from array import array
from collections.abc import Iterable, Sequence

import numpy as np

from kzoo.inference.kinds.text.tokenizer import PADDING, UNKNOWN
from kzoo.problems.layout import Preprocessor
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject

LEVEL = "pieces"
BEGIN, END = 2, 3  # ids of the tokens before and after each text, the first two of the vocabulary
SPACE = "\u2581"  # a space in a piece
# an unknown character is less probable than the rarest piece, by this log probability
_UNKNOWN_PENALTY = 10.0
_MOST_RECENT = 4  # tokenizers that are kept
_MOST_PAIRS = 100_000  # of characters whose replacement is kept

_recent: list["PieceTokenizer"] = []


class CharacterMap:
    """Replaces sequences of characters, always the longest match: the compiled character map of SentencePiece.

    It is a trie in a double array (https://github.com/s-yata/darts-clone) over the bytes of UTF-8. A leaf has the
    position of the replacement, which ends with a zero byte.

    Args:
        stored: base64 of the length of the trie in bytes, uint32, the trie, and the replacements.

    Raises:
        KzooError: it is incomplete.
    """

    def __init__(self, stored: str) -> None:
        try:
            content = base64.b64decode(stored, validate=True)
            (size,) = struct.unpack("<I", content[:4])
            self._units = struct.unpack(f"<{size // 4}I", content[4 : 4 + size])
        except (ValueError, struct.error):
            raise KzooError(
                "The tokenizer's 'charsmap' is damaged. Export or train the model again."
            ) from None
        self._replacements = content[4 + size :]
        self._pairs: dict[str, tuple[str, int]] = {}

    def replace(self, text: str) -> str:
        """Return a text with all of its characters replaced."""
        out = []
        position = 0
        pairs = self._pairs
        while position < len(text):
            replacement, length = pairs.get(text[position : position + 2]) or self._match(
                text, position
            )
            out.append(replacement)
            position += length
        return "".join(out)

    def _match(self, text: str, start: int) -> tuple[str, int]:
        """Return the replacement of the longest match at a position, else of the character itself, and its length."""
        units = self._units
        node = self._child(0)
        best = (text[start], 1)
        position = start
        while position < len(text):
            for byte in text[position].encode("utf-8", "surrogatepass"):
                node ^= byte
                unit = units[node] if node < len(units) else 0
                if unit & 0x800000FF != byte:
                    break
                node ^= self._offset(unit)
            else:
                position += 1
                if unit & 0x100:
                    best = self._replacement(units[node] & 0x7FFFFFFF), position - start
                continue
            break
        # Whether a third character matters is unknown if the walk went beyond the second, or the text ended there.
        if position < start + 2:
            if len(self._pairs) >= _MOST_PAIRS:
                self._pairs.clear()
            self._pairs[text[start : start + 2]] = best
        return best

    def _child(self, node: int) -> int:
        return node ^ self._offset(self._units[node])

    @staticmethod
    def _offset(unit: int) -> int:
        return (unit >> 10) << ((unit & 0x200) >> 6)

    def _replacement(self, start: int) -> str:
        return self._replacements[start : self._replacements.index(b"\0", start)].decode("utf-8")


def stored_pieces(reader: Preprocessor) -> "PieceTokenizer":
    """Return the tokenizer stored in a reader; the last ones are kept, as making one takes a tenth of a second.

    Raises:
        KzooError: the reader lacks a part of it.
    """
    parts: JsonObject = {name: reader.get(name) for name in ("vocabulary", "scores", "charsmap")}
    for tokenizer in _recent:
        if all(getattr(tokenizer, name) is part for name, part in parts.items()):
            return tokenizer
    if missing := [name for name, part in parts.items() if part is None]:
        raise KzooError(f"The tokenizer lacks {missing[0]!r}. Export or train the model again.")
    tokenizer = PieceTokenizer(**parts)
    _recent[:] = [tokenizer, *_recent[: _MOST_RECENT - 1]]
    return tokenizer


class PieceTokenizer:
    """Splits text into pieces of words and encodes them as ids: 0 is padding, 1 an unknown character.

    Args:
        vocabulary: the pieces; the first has id 2. The first two are the tokens before and after a text.
        scores: the log probability of each piece.
        charsmap: the characters that are replaced first, see `CharacterMap`.

    Raises:
        KzooError: the character map is incomplete, or the numbers of pieces and scores differ.
    """

    level = LEVEL
    ngrams = None
    lowercase = False
    punctuation = True

    def __init__(
        self, *, vocabulary: Sequence[str], scores: Sequence[float], charsmap: str
    ) -> None:
        if len(vocabulary) != len(scores):
            raise KzooError(
                f"The tokenizer has {len(vocabulary):,} pieces and {len(scores):,} scores."
            )
        self.vocabulary, self.scores, self.charsmap = vocabulary, scores, charsmap
        self._map = CharacterMap(charsmap)
        self._ids = {piece: i for i, piece in enumerate(vocabulary, start=2)}
        self._score = array("f", [0.0, 0.0, *scores])  # of an id
        self._unknown_score = min(self._score) - _UNKNOWN_PENALTY
        self._longest: dict[str, int] = {}  # first character -> length of the longest piece
        for piece in vocabulary:
            if len(piece) > self._longest.get(piece[:1], 0):
                self._longest[piece[:1]] = len(piece)

    def __len__(self) -> int:
        """Number of ids, including padding and unknown."""
        return len(self.vocabulary) + 2

    def normalize(self, text: str) -> str:
        """Return a text with its characters replaced, and a mark for each space between words and before the first."""
        words = re.sub(" +", " ", self._map.replace(text)).lstrip(" ")
        return f"{SPACE}{words}".replace(" ", SPACE).rstrip(SPACE)

    def numbers(self, text: str) -> np.ndarray:
        """Return the ids of a text, int32 (ids,), with the tokens before and after it."""
        return np.array([BEGIN, *self._most_probable(self.normalize(text)), END], np.int32)

    def ids(self, text: str) -> list[int]:
        """Return the ids of a text as a list, without padding."""
        return self.numbers(text).tolist()

    def id_of(self, token: str) -> int:
        """Return the id of a piece; 0 if it is not in the vocabulary."""
        return self._ids.get(token, PADDING)

    def split_all(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the pieces of each text, `"<unk>"` for an unknown character."""
        pieces = ["", "<unk>", *self.vocabulary]
        return [[pieces[number] for number in self.ids(text)] for text in texts]

    def split(self, text: str) -> list[str]:
        """Return the pieces of a text."""
        return self.split_all([text])[0]

    def _most_probable(self, text: str) -> list[int]:
        """Return the ids of the segmentation with the highest sum of scores (Viterbi)."""
        if not text:
            return [UNKNOWN]
        end = len(text)
        best = [0.0] + [-np.inf] * end
        start_of = [0] * (end + 1)
        id_of = [UNKNOWN] * (end + 1)
        get = self._ids.get
        scores = self._score
        longest = self._longest
        for start in range(end):
            so_far = best[start]
            is_known = False
            for stop in range(start + 1, min(start + longest.get(text[start], 0), end) + 1):
                number = get(text[start:stop])
                if number is not None:
                    is_known |= stop == start + 1
                    score = so_far + scores[number]
                    if score > best[stop]:
                        best[stop], start_of[stop], id_of[stop] = score, start, number
            if not is_known and (score := so_far + self._unknown_score) > best[start + 1]:
                best[start + 1], start_of[start + 1], id_of[start + 1] = score, start, UNKNOWN
        ids = []
        while end > 0:
            ids.append(id_of[end])
            end = start_of[end]
        return ids[::-1]

    def encode(self, texts: Sequence[str], length: int) -> np.ndarray:
        """Return int32 ids (N, length), padded with 0 on the right; longer texts are cut before their last token."""
        out = np.zeros((len(texts), length), np.int32)
        for row, text in zip(out, texts, strict=True):
            numbers = self.numbers(text)
            if len(numbers) > length:
                numbers = np.append(numbers[: length - 1], END)
            row[: len(numbers)] = numbers
        return out

    def decode(self, ids: Iterable[int], unknown: str = "\ufffd") -> str:
        """Return ids as text, with `unknown` for unknown characters and without padding."""
        pieces = [
            unknown if i == UNKNOWN else self.vocabulary[int(i) - 2]
            for i in ids
            if i not in (PADDING, BEGIN, END)
        ]
        return "".join(pieces).replace(SPACE, " ").strip(" ")

    def settings(self) -> JsonObject:
        """Return plain JSON data; `PieceTokenizer` takes its last three entries."""
        return {
            "level": self.level,
            "ngrams": self.ngrams,
            "lowercase": self.lowercase,
            "punctuation": self.punctuation,
            "vocabulary": self.vocabulary,
            "scores": self.scores,
            "charsmap": self.charsmap,
        }

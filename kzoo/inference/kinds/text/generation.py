"""Continuing a text token by token: what `kzoo.generate`, the runtime and the server share. NumPy only."""

import math
from dataclasses import dataclass

import numpy as np

from kzoo.inference.kinds.text.inference import tokenizer_of
from kzoo.inference.kinds.text.tokenizer import PADDING, UNKNOWN, AnyTokenizer
from kzoo.problems.kinds import takes_ready_arrays
from kzoo.problems.layout import Preprocessor
from kzoo.utils.errors import KzooError

_MOST = 1_000_000  # tokens to generate, or to choose from


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How many tokens are added to a text, and how each is sampled; the arguments are those of `kzoo.generate`.

    Raises:
        KzooError: a value is out of range.
    """

    length: int = 200
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        counts = {"length": self.length} | ({} if self.top_k is None else {"top_k": self.top_k})
        for name, value in counts.items():
            if not _is_whole(value) or not 1 <= value <= _MOST:
                raise KzooError(
                    f"must be a whole number from 1 to {_MOST}.", argument=name, value=value
                )
        if not _is_number(self.temperature) or self.temperature < 0:
            raise KzooError(
                "must be a number >= 0.", argument="temperature", value=self.temperature
            )
        if self.top_p is not None and not (_is_number(self.top_p) and 0 < self.top_p <= 1):
            raise KzooError("must be above 0 and at most 1.", argument="top_p", value=self.top_p)
        if not _is_whole(self.seed) or self.seed < 0:
            raise KzooError("must be a whole number, 0 or more.", argument="seed", value=self.seed)


def _is_whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return (
        isinstance(value, int | float | np.number)
        and not isinstance(value, bool)
        and math.isfinite(value)
    )


class Generation:
    """A text that grows by one token at a time.

    A model reads either the last window (`window`, `last_step`) or, if it keeps a state, the tokens that it has not yet
    read (`take_unread`). `add` samples the next token from its probabilities.

    Args:
        preprocessing: the preprocessor of the language model.
        prompt: the beginning of the text.
        sampling: how to continue it.

    Raises:
        KzooError: the prompt is not a string or has no token of the vocabulary, or the model has no vocabulary.
    """

    def __init__(self, preprocessing: Preprocessor, prompt: str, sampling: Sampling) -> None:
        if not isinstance(prompt, str):
            raise KzooError("must be a string.", argument="prompt", value=prompt)
        if takes_ready_arrays(preprocessing) or "vocabulary" not in preprocessing:
            raise KzooError(
                "This model was trained on token ids without a vocabulary, so it cannot continue a text."
            )
        tokenizer = tokenizer_of(preprocessing)
        self.prompt, self.sampling = prompt, sampling
        self._vocabulary = tokenizer.vocabulary
        self._length = preprocessing["length"]
        self._is_words = tokenizer.level == "words"
        self._generator = np.random.default_rng(sampling.seed)
        self._unread = _prompt_ids(prompt, tokenizer)
        self._last_ids = self._unread[-self._length :]
        self._needs_space = self._is_words and bool(prompt) and not prompt[-1].isspace()

    def take_unread(self) -> list[int]:
        """Return the token ids since the last call, at first those of the prompt."""
        ids = self._unread
        self._unread = []
        return ids

    def window(self) -> np.ndarray:
        """Return the last tokens (1, window) as int32, padded on the right."""
        return np.array(
            [self._last_ids + [PADDING] * (self._length - len(self._last_ids))], np.int32
        )

    def last_step(self, outputs: np.ndarray) -> np.ndarray:
        """Return the outputs (V,) after the last token, from those for `window`: (1, V), or (1, window, V)."""
        return outputs[0, len(self._last_ids) - 1] if outputs.ndim == 3 else outputs[0]

    def add(self, p: np.ndarray) -> str:
        """Sample the next token from the probabilities (V,) of all tokens, and return the text that it adds."""
        # neither padding nor unknown
        p = np.asarray(p, "float64")[UNKNOWN + 1 : UNKNOWN + 1 + len(self._vocabulary)]
        index = _sample(p, self.sampling, self._generator)
        token = self._vocabulary[index]
        space = " " if self._needs_space else ""
        self._unread.append(UNKNOWN + 1 + index)
        self._last_ids = [*self._last_ids, UNKNOWN + 1 + index][-self._length :]
        self._needs_space = self._is_words
        return space + token


def _prompt_ids(prompt: str, tokenizer: AnyTokenizer) -> list[int]:
    if not prompt:
        # ids are ordered by frequency
        return tokenizer.ids("\n") if "\n" in tokenizer.vocabulary else [UNKNOWN + 1]
    ids = list(tokenizer.ids(prompt))
    if set(ids) <= {UNKNOWN}:
        tokens = list(dict.fromkeys(tokenizer.split(prompt)))
        unknown = ", ".join(map(repr, tokens[:20])) + (", ..." if len(tokens) > 20 else "") or repr(
            prompt
        )
        raise KzooError(
            f"No token of the prompt is in the model's vocabulary: {unknown}. Use {tokenizer.level} that it contains."
        )
    return ids


def _sample(p: np.ndarray, sampling: Sampling, generator: np.random.Generator) -> int:
    """Return an index sampled from p (V,), which need not sum to 1."""
    best = np.argsort(-p, kind="stable")[: 1 if sampling.temperature == 0 else sampling.top_k]
    if len(best) == 1:
        return int(best[0])
    logits = np.log(np.maximum(p[best], 1e-300))
    weights = np.exp((logits - logits[0]) / sampling.temperature)
    weights /= weights.sum()
    if sampling.top_p is not None:
        before = np.cumsum(weights) - weights  # cumulative probability of the likelier tokens
        weights = np.where(before < sampling.top_p, weights, 0.0)
        weights /= weights.sum()
    return int(generator.choice(best, p=weights))

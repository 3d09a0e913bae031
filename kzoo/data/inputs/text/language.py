"""One long text for language models: windows of tokens and the tokens that follow."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.data import splits
from kzoo.data.dataset import Dataset, Split
from kzoo.data.inputs.text import long_text
from kzoo.data.options import LoadRequest
from kzoo.data.store.windows import RangeArray, Windows, is_mapped, select_rows
from kzoo.inference.kinds.text.inference import preprocessing_of, tokenizer_of
from kzoo.inference.kinds.text.tokenizer import PADDING
from kzoo.inference.sources.files import TextFile
from kzoo.problems.kinds import DEFAULT_PIECES
from kzoo.problems.layout import Preprocessor, RawInputs
from kzoo.problems.tasks import problem
from kzoo.utils.errors import KzooError

if TYPE_CHECKING:
    from kzoo.zoo.registry.preset import Preset


_LENGTH, _VOCABULARY = 64, 20_000  # without a preset
# tokens from one next-token window to the next: closer windows would be nearly the same example
_STRIDE = 3


def load_language(request: LoadRequest, texts: Mapping[str, str | TextFile]) -> Dataset:
    """Cut a text into windows: the first part is for training, the next for validation, the last for test.

    Args:
        request: how the text is split: by fractions, 0.1 each by default. Its preset gives the window length, the
            vocabulary size, the tokenizer, and whether every step predicts its next token (`pooling=None`) or only the
            last one. Without a preset: characters, every step.
        texts: the whole text as "train", or a `TextFile` that does not fit into memory; and separate texts of other
            splits instead of a fraction, `TextFile`s if the first is one.

    Raises:
        KzooError: the text has fewer than three lines, or a part is shorter than a window.
    """
    name = request.name
    preset = request.preset
    validation = request.options.validation
    test = request.options.test
    length, size, level, ngrams = (
        text_settings(preset) if preset is not None else (100, 200, "characters", None)
    )
    if ngrams:
        raise KzooError(
            "is only available for labelled texts: a language model reads single tokens in order.",
            argument="ngrams",
            value=ngrams,
        )
    per_step = preset is None or preset.config.get("pooling") is None
    more = {part: text for part, text in texts.items() if part != "train"}
    tokens = long_text.tokens_of(
        texts["train"],
        more,
        name=name,
        level=level,
        size=size,
        validation=0 if "validation" in more else validation,
        test=0 if "test" in more else 0.1 if test is None else test,
    )
    names = long_text.part_names(more)
    ids = dict(zip(names, tokens.ids, strict=True))
    characters = dict(zip(names, tokens.characters, strict=True))
    parts: dict[str, Any] = {}
    for part in ("train", "validation", "test"):
        part_ids, has_text = ids[part], characters[part]
        if len(part_ids) <= length and (part == "train" or has_text):
            raise KzooError(
                f"The {part} part of {name!r} has {len(part_ids)} {level}, but a window needs {length + 1}. "
                "Use a longer text, or a smaller input_shape."
            )
        parts[part] = token_windows(part_ids, length, per_step) if has_text else None
    outputs = min(size, len(tokens.tokenizer))
    notes = [
        f"Split in the order of the text: {len(ids['train'])} {level} for training, {len(ids['validation'])} for "
        f"validation, {len(ids['test'])} for test. Vocabulary: {len(tokens.tokenizer) - 2} {level}."
    ]
    if tokens.unknown > 0.01:
        share = f"{tokens.unknown:.0%} of the training {level}"
        notes.append(f"{share} are outside the vocabulary of {size} and count as unknown.")
    return Dataset(
        name=name,
        task=(request.problem or problem("language_modeling")).name,
        inputs="tokens",
        **parts,
        config={"input_shape": (length,), "outputs": outputs, "vocabulary_size": outputs},
        preprocessing=preprocessing_of("language", tokens.tokenizer, length) | {"padding": PADDING},
        feature_names=("text",),
        target_names=("next token",),
        notes=[*notes, *tokens.notes],
        fingerprint=splits.fingerprint(tokens.contents, level, length, outputs, per_step),
    )


def token_windows(ids: np.ndarray, length: int, per_step: bool) -> Split:
    """Return the windows of token ids (N, length), and as targets the tokens that follow each step or each window."""
    positions = range(0, len(ids) - length, length if per_step else _STRIDE)
    starts = RangeArray(positions) if is_mapped(ids) else np.asarray(positions)
    y = Windows(ids, starts + 1, length) if per_step else select_rows(ids, starts + length)
    return Split(x=Windows(ids, starts, length), y=y)


def labelled_windows(reader: Preprocessor, source: RawInputs, *, per_step: bool) -> Split:
    """Return all windows of a new text and the tokens that follow, cut as in training."""
    ids = long_text.token_ids_of_file(tokenizer_of(reader), source)
    length = reader["length"]
    if len(ids) <= length:
        raise KzooError(
            f"The text is too short: it has {len(ids)} tokens, but a window needs {length + 1}."
        )
    return token_windows(ids, length, per_step)


def cut_into_windows(reader: Preprocessor, source: RawInputs) -> np.ndarray:
    """Return a new text in windows that do not overlap, (N, length)."""
    ids = long_text.token_ids_of_file(tokenizer_of(reader), source)
    length = reader["length"]
    if len(ids) < length:
        raise KzooError(f"The text is too short: {len(ids)} tokens, and a window needs {length}.")
    return ids[: len(ids) // length * length].reshape(-1, length)


def text_settings(preset: "Preset | None") -> tuple[int, int, str, int | None]:
    """Return (ids per row, vocabulary size, tokenizer level, ngrams) of a preset, or the defaults.

    A preset whose number of pieces the data decides has the smallest one here.
    """
    if preset is None:
        return _LENGTH, _VOCABULARY, "words", None
    config, training = preset.config, preset.training
    level = training.get("tokenizer") or "words"
    return (
        config["input_shape"][0] or DEFAULT_PIECES,
        config.get("vocabulary_size") or _VOCABULARY,
        level,
        training.get("ngrams"),
    )

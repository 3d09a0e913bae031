"""One long text for language models: windows of tokens and what comes next."""

import numpy as np

from kzoo.dataset import splits
from kzoo.dataset.dataset import Dataset, Split
from kzoo.kinds.text import long_text
from kzoo.kinds.text.inference import preprocessing_of, tokenizer_of
from kzoo.kinds.text.tokenizer import PADDING
from kzoo.storage.windows import Spaced, Windows, is_mapped, select_rows
from kzoo.utils.errors import KzooError

_LENGTH, _VOCABULARY = 64, 20_000  # without a preset
_STRIDE = 3  # tokens from one next-token window to the next: nearer ones repeat nearly the same example


def load_language(text, *, name, preset=None, validation=0.1, test=None, test_text=None, task="language_modeling"):
    """Cut one text into windows: the first part trains, the next validates, the last tests.

    Args:
        text: the whole text, or a `TextFile` that is too long for memory.
        preset: gives the window length, the vocabulary size, the tokenizer, and whether every step has a
            next token to predict (`pooling=None`) or only the last one. Without a preset: characters,
            every step.
        validation, test: fractions of the text, 0.1 each by default.
        test_text: a second text to test on instead; a `TextFile` where the first is one.
        task: what is answered, by its public name.

    Raises:
        KzooError: fewer than three lines, or a part shorter than a window.
    """
    length, size, level, ngrams = text_settings(preset) if preset is not None else (100, 200, "characters", None)
    if ngrams:
        raise KzooError(f"ngrams={ngrams} is for labelled texts: a language model reads one token after another.")
    per_step = preset is None or preset.config.get("pooling") is None
    tokens = long_text.tokens_of(
        text, test_text, name=name, level=level, size=size, validation=validation,
        test=0 if test_text is not None else 0.1 if test is None else test,
    )  # fmt: skip
    ids = dict(zip(("train", "validation", "test"), tokens.ids, strict=True))
    made = {}
    for (part, its_ids), there in zip(ids.items(), tokens.characters, strict=True):
        if len(its_ids) <= length and (part == "train" or there):
            raise KzooError(
                f"The {part} part of {name!r} has {len(its_ids)} {level}, but a window needs {length + 1}: "
                "use a longer text, or a smaller input_shape."
            )
        made[part] = token_windows(its_ids, length, per_step) if there else None
    outputs = min(size, len(tokens.tokenizer))
    notes = [
        f"{len(ids['train'])} {level} train, {len(ids['validation'])} validate, {len(ids['test'])} test, "
        f"in the order of the text; {len(tokens.tokenizer) - 2} different ones are known."
    ]
    if tokens.unknown > 0.01:
        share = f"{tokens.unknown:.0%} of the training {level}"
        notes.append(f"{share} lie outside the vocabulary of {size} and are unknown.")
    return Dataset(
        name=name,
        task=task,
        inputs="tokens",
        **made,
        config={"input_shape": (length,), "outputs": outputs, "vocabulary_size": outputs},
        preprocessing=preprocessing_of("language", tokens.tokenizer, length) | {"padding": PADDING},
        feature_names=("text",),
        target_names=("next token",),
        notes=[*notes, *tokens.notes],
        fingerprint=splits.fingerprint(tokens.contents, level, length, outputs, per_step),
    )


def token_windows(ids, length, per_step):
    numbers = range(0, len(ids) - length, length if per_step else _STRIDE)
    starts = Spaced(numbers) if is_mapped(ids) else np.asarray(numbers)
    y = Windows(ids, starts + 1, length) if per_step else select_rows(ids, starts + length)
    return Split(x=Windows(ids, starts, length), y=y)


def follows(reader, source, *, per_step):
    """Return all windows of a new text and what follows them, as training would cut them."""
    ids, length = long_text.numbers_of(tokenizer_of(reader), source), reader["length"]
    if len(ids) <= length:
        raise KzooError(f"The text has {len(ids)} tokens, and a window needs {length + 1}.")
    return token_windows(ids, length, per_step)


def pieces(reader, source):
    """Return a new text in pieces that do not overlap, (N, length)."""
    ids, length = long_text.numbers_of(tokenizer_of(reader), source), reader["length"]
    if len(ids) < length:
        raise KzooError(f"The text has {len(ids)} tokens, and a window needs {length}.")
    return ids[: len(ids) // length * length].reshape(-1, length)


def text_settings(preset):
    """Return (ids in a row, vocabulary size, tokenizer level, ngrams) that a preset asks for, or the defaults."""
    if preset is None:
        return _LENGTH, _VOCABULARY, "words", None
    config, training = preset.config, preset.training
    level = training.get("tokenizer") or "words"
    return config["input_shape"][0], config.get("vocabulary_size") or _VOCABULARY, level, training.get("ngrams")

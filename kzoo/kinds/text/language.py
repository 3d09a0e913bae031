"""One long text for language models: windows of tokens and what comes next."""

import numpy as np

from kzoo.data import splits
from kzoo.data.dataset import Dataset, Split
from kzoo.data.windows import Windows
from kzoo.errors import KzooError
from kzoo.kinds.files import read_text
from kzoo.kinds.text.light import preprocessing_of, tokenizer_of
from kzoo.kinds.text.tokenizer import PADDING, UNKNOWN, learn_tokenizer

_LENGTH, _VOCABULARY = 64, 20_000  # without a preset
_STRIDE = 3  # tokens from one next-token window to the next: nearer ones repeat nearly the same example
_FEWEST_LINES = 3
_HEAD = 2**16  # characters, in which that many are looked for first


def load_language(text, *, name, preset=None, validation=0.1, test=None, test_text=None, task="language_modeling"):
    """Cut one text into windows: the first part trains, the next validates, the last tests.

    Args:
        text: the whole text.
        preset: gives the window length, the vocabulary size, the tokenizer, and whether every step has a
            next token to predict (`pooling=None`) or only the last one. Without a preset: characters,
            every step.
        validation, test: fractions of the text, 0.1 each by default.
        test_text: a second text to test on instead.
        task: what is answered, by its public name.

    Raises:
        KzooError: fewer than three lines, or a part shorter than a window.
    """
    if not any(_has_lines(part) for part in (text[:_HEAD], text)):  # the beginning nearly always tells
        raise KzooError(f"{name!r} has fewer than {_FEWEST_LINES} lines of text: too little for a language model.")
    length, size, level, ngrams = text_settings(preset) if preset is not None else (100, 200, "characters", None)
    if ngrams:
        raise KzooError(f"ngrams={ngrams} is for labelled texts: a language model reads one token after another.")
    per_step = preset is None or preset.config.get("pooling") is None
    first_validation, first_test = splits.split_time(
        len(text), validation=validation, test=0 if test_text is not None else 0.1 if test is None else test
    )
    texts = {
        "train": text[:first_validation],
        "validation": text[first_validation:first_test],
        "test": text[first_test:] if test_text is None else test_text,
    }
    tokenizer = learn_tokenizer([texts["train"]], level=level, size=size, lowercase=level == "words")
    ids = {part: tokenizer.numbers(its_text) for part, its_text in texts.items()}
    made = {}
    for part, tokens in ids.items():
        if len(tokens) <= length and (part == "train" or texts[part]):
            raise KzooError(
                f"The {part} part of {name!r} has {len(tokens)} {level}, but a window needs {length + 1}: "
                "use a longer text, or a smaller input_shape."
            )
        made[part] = token_windows(tokens, length, per_step) if texts[part] else None
    outputs = min(size, len(tokenizer))
    notes = [
        f"{len(ids['train'])} {level} train, {len(ids['validation'])} validate, {len(ids['test'])} test, "
        f"in the order of the text; {len(tokenizer) - 2} different ones are known."
    ]
    if (unknown := float(np.mean(ids["train"] == UNKNOWN))) > 0.01:
        notes.append(f"{unknown:.0%} of the training {level} lie outside the vocabulary of {size} and are unknown.")
    return Dataset(
        name=name,
        task=task,
        inputs="tokens",
        **made,
        config={"input_shape": (length,), "outputs": outputs, "vocabulary_size": outputs},
        preprocessing=preprocessing_of("language", tokenizer, length) | {"padding": PADDING},
        feature_names=("text",),
        target_names=("next token",),
        notes=notes,
        fingerprint=splits.fingerprint(list(texts.values()), level, length, outputs, per_step),
    )


def _has_lines(text):
    return len([line for line in text.splitlines() if line.strip()]) >= _FEWEST_LINES


def token_windows(ids, length, per_step):
    starts = np.arange(0, len(ids) - length, length if per_step else _STRIDE)
    y = Windows(ids, starts + 1, length) if per_step else ids[starts + length]
    return Split(x=Windows(ids, starts, length), y=y)


def follows(reader, source, *, per_step):
    """Return all windows of a new text and what follows them, as training would cut them."""
    ids, length = tokenizer_of(reader).numbers(read_text(source)), reader["length"]
    if len(ids) <= length:
        raise KzooError(f"The text has {len(ids)} tokens, and a window needs {length + 1}.")
    return token_windows(ids, length, per_step)


def pieces(reader, source):
    """Return a new text in pieces that do not overlap, (N, length)."""
    ids, length = tokenizer_of(reader).numbers(read_text(source)), reader["length"]
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

"""What a message must hold: the value that is wrong and the fix. The sentence around them may change."""

import re
import warnings
from contextlib import contextmanager

import pytest

from kzoo.utils.errors import KzooError, KzooWarning


def missing_from(text, parts):
    """Return those of `parts` that `text` lacks, whatever its line breaks and its case.

    A part that begins or ends with a letter, a digit or an underscore is a whole word there: "90" is not in "1907".

    Raises:
        TypeError: no part at all, an empty one, or one that is not a string: nothing would be tested.
    """
    if not parts or not all(isinstance(part, str) and part.strip() for part in parts):
        raise TypeError(
            f"Name the value and the fix that the message must hold, as strings: {parts!r}"
        )
    plain = " ".join(text.split()).casefold()

    def pattern(part):
        words = " ".join(part.split()).casefold()
        before = r"(?<!\w)" if re.match(r"\w", words) else ""
        after = r"(?!\w)" if re.search(r"\w\Z", words) else ""
        return before + re.escape(words) + after

    return [part for part in parts if not re.search(pattern(part), plain)]


def assert_mentions(text, *parts):
    """Fail unless `text` holds each of `parts`."""
    lacking = missing_from(text, parts)
    assert not lacking, f"no {lacking} in: {text}"


def notes_with(notes, *parts):
    """Return those of the notes that hold each of `parts`."""
    return [note for note in notes if not missing_from(note, parts)]


@contextmanager
def refuses(*parts, error=KzooError):
    """Expect `error`, whose message holds each of `parts`. Give the caught exception, as `pytest.raises` does."""
    missing_from("", parts)  # refuses an empty list before the block runs
    with pytest.raises(error) as caught:
        yield caught
    assert_mentions(str(caught.value), *parts)


@contextmanager
def warns(*parts, category=KzooWarning):
    """Expect a warning of `category` that holds each of `parts`. Give all that came; others are warned of again."""
    missing_from("", parts)
    with pytest.warns(category) as caught:
        yield caught
    messages = [
        str(warning.message) for warning in caught if issubclass(warning.category, category)
    ]
    assert any(not missing_from(message, parts) for message in messages), (
        f"no warning with {parts} in: {messages}"
    )
    for warning in caught:  # pytest itself does so with those of other categories
        if issubclass(warning.category, category) and missing_from(str(warning.message), parts):
            warnings.warn_explicit(
                message=warning.message,
                category=warning.category,
                filename=warning.filename,
                lineno=warning.lineno,
            )

"""Unreadable files among many readable ones: skipped and named while they are few. Standard library only.

Used for training, evaluation, checks of new data and predictions, by runs and by exported models.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import listed, percent

# Largest share of files that may be unreadable. Training uses the readable ones; a score, or the response to a request,
# should cover nearly all of them; predictions are returned for the files that can be read.
MAX_SHARE_TRAINING, MAX_SHARE_EVALUATION, MAX_SHARE_PREDICTION = 0.5, 0.05, 1.0
_NAMED = 5  # files named in a line


@dataclass(frozen=True)
class Unread:
    """Stands in for an input that could not be read and has no row in x.

    Args:
        item: the input, such as the path of a file.
        why: the reason, as a sentence.
    """

    item: object
    why: str


def broken_files_note(
    errors: Mapping[int, str], names: Sequence, noun: str, *, most: float, where: str = ""
) -> str:
    """Return a note that names the files that were skipped, with the reason of the first; empty if there are none.

    Args:
        errors: index in `names` -> why the file cannot be read.
        names: of all files.
        noun: what the files are, in the singular: "image".
        most: largest share of files that may be unreadable.
        where: name of a split, or of another part that the files belong to.

    Raises:
        KzooError: all files, or more than `most` of them, cannot be read.
    """
    if not errors:
        return ""
    count, first = len(errors), min(errors)
    if len(names) == 1:
        raise KzooError(errors[first])
    if count == len(names):
        raise KzooError(
            f"None of the {count:,} {noun}s can be read. The first is {str(names[first])!r}: {errors[first]}"
        )
    if count > most * len(names):
        raise KzooError(
            f"{count:,} of {len(names):,} {noun}s cannot be read. The first is {str(names[first])!r}: {errors[first]} "
            f"Replace or remove them: at most {percent(most)} may be left out."
        )
    named = listed((str(names[index]) for index in sorted(errors)), _NAMED)
    skipped = f"{count:,} broken {noun}{'' if count == 1 else 's'}{f' in {where}' if where else ''}"
    return f"Skipped {skipped}: {named}. {'' if count == 1 else 'The first: '}{errors[first]}"

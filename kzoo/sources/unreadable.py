"""Files that cannot be read among many that can: left out and named while they are few. Standard library only.

Whoever reads many files asks here: training, scoring, looking at new data, and answering, of a run and of an export.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import listed, percent

# The largest share that may be missing. A network learns from what is left; a score is to be of all of them, and so are
# the answers to a request; who asks for predictions gets those there are.
TRAINED, ANSWERED, PREDICTED = 0.5, 0.05, 1.0
_NAMED = 5  # files that a line names


@dataclass(frozen=True)
class Unread:
    """In the place of an input that could not be read; it has no row in x.

    Args:
        item: the input, such as the path of a file.
        why: in words.
    """

    item: object
    why: str


def left_out(errors: Mapping[int, str], names: Sequence, what: str, *, most: float, where: str = "") -> str:
    """Return a line that names what is left out; an empty one where that is nothing.

    Args:
        errors: place in `names` -> why it cannot be read.
        names: of all files.
        what: they are, in the singular: "image".
        most: the share that may be missing.
        where: they are, such as the name of a split.

    Raises:
        KzooError: more of them cannot be read, or all.
    """
    if not errors:
        return ""
    count, first = len(errors), min(errors)
    if len(names) == 1:
        raise KzooError(errors[first])
    if count == len(names):
        raise KzooError(f"None of the {count:,} {what}s can be read, {str(names[first])!r} first. {errors[first]}")
    if count > most * len(names):
        raise KzooError(
            f"{count:,} of {len(names):,} {what}s cannot be read, {str(names[first])!r} first. {errors[first]} "
            f"Replace or remove them: up to {percent(most)} are left out."
        )
    named = listed((str(names[place]) for place in sorted(errors)), _NAMED)
    return f"Left out {count:,} broken {what}{'' if count == 1 else 's'}{f' in {where}' if where else ''}: {named}."

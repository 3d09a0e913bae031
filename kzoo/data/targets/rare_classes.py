"""`drop_rare`: leave out the rows of classes that have too few of them."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kzoo.inference.tables.values import category_word, plain, to_words
from kzoo.problems.tasks import Problem
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import listed, plural

if TYPE_CHECKING:
    import pandas

_SHOWN = 5  # classes named in the note


class RareClasses:
    """The classes of a table that have fewer than `least` rows.

    Args:
        frame: the table that is divided into splits; rows of second sources are not counted.
        targets: names of its target columns.
        least: number of rows that a class must have.
        usable: (N,) which rows have what is needed; the others are not counted.

    Raises:
        KzooError: there are several targets, or no class would be left.
    """

    def __init__(
        self,
        frame: "pandas.DataFrame",
        targets: Sequence[str],
        least: int,
        usable: np.ndarray | None = None,
    ) -> None:
        if len(targets) != 1:
            raise KzooError(
                f"is for classes, and there are {len(targets)} targets. Remove it.",
                argument="drop_rare",
                value=least,
            )
        self._target = targets[0]
        self._least = least
        self._dropped = dict[str, int]()
        words = self._words(frame)
        counts = Counter(
            word
            for i, word in enumerate(words)
            if word is not None and (usable is None or usable[i])
        )
        self.names = sorted(
            (word for word, count in counts.items() if count < least), key=lambda word: counts[word]
        )
        if counts and len(self.names) == len(counts):
            largest = max(counts, key=lambda word: counts[word])
            raise KzooError(
                f"leaves no rows: the largest class, {largest!r}, has {counts[largest]:,}. Lower it, "
                "or remove it for a regression.",
                argument="drop_rare",
                value=least,
            )

    def _words(self, frame: "pandas.DataFrame") -> list[str | None]:
        words = to_words(plain(frame[self._target]))
        return [None if word is None else category_word(word) for word in words]

    def without(self, frame: "pandas.DataFrame", part: str = "training") -> "pandas.DataFrame":
        """Return a table without the rows of the rare classes, with a new index and the same `attrs`."""
        rare = set(self.names)
        keep = np.array([word not in rare for word in self._words(frame)], bool)
        if keep.all():
            return frame
        self._dropped[part] = int((~keep).sum())
        kept = frame[keep].reset_index(drop=True)
        kept.attrs = frame.attrs
        return kept

    def note(self) -> list[str]:
        """Return a note that counts the rows, in a list; empty if there are none."""
        if not self.names:
            return []
        rows = " and ".join(
            plural(count, "row" if part == "training" else f"{part} row")
            for part, count in self._dropped.items()
        )
        classes = "1 class" if len(self.names) == 1 else f"{len(self.names)} classes"
        named = listed(map(repr, self.names), _SHOWN)
        return [
            f"drop_rare={self._least}: {rows} of {classes} with fewer than {self._least} rows left out: {named}."
        ]


def check_classes_dropped(problem: Problem, least: int | None) -> None:
    """Raise `KzooError` if rare classes are to be dropped and the target is none of classes."""
    if least is not None and "classes" not in problem.facts:
        raise KzooError(
            f"is for classes, and this is a {problem.name}. Remove it.",
            argument="drop_rare",
            value=least,
        )

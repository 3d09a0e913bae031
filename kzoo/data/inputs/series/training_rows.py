"""Rows of series for training, in order of series and time: what one series and many answer in their own way."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.data.dataset import Split
from kzoo.data.inputs.series.windows import Limits
from kzoo.data.options import DataOptions
from kzoo.data.splits import Fold
from kzoo.inference.kinds.series.covariates import Covariate
from kzoo.inference.kinds.series.panel import Panel
from kzoo.inference.kinds.series.values import PanelValues
from kzoo.inference.tables.raw import as_names
from kzoo.zoo.registry.preset import Preset

if TYPE_CHECKING:
    from pandas import DataFrame

Names = str | Sequence[str] | None


def named_targets(target: Names, columns: Iterable[str]) -> list[str]:
    """Return the names in `target=`: a single one may have a comma."""
    return [target] if isinstance(target, str) and target in list(columns) else as_names(target)


@dataclass(frozen=True, kw_only=True, eq=False)
class Cuts:
    """Where series are cut into splits.

    Args:
        limits: split -> its `Limits`.
        training: (R,) whether each row of the panel is one to learn from.
    """

    limits: dict[str, Limits]
    training: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingRows(ABC):
    """Rows of series for training.

    Args:
        source: the table as it was read.
        frame: the table that the panel counts the rows of.
        panel: its `Panel`.
        learned: number of rows of the table from which columns are learned, the first ones.
        stored: what a preprocessor stores of times and ids.
        apart: columns that are not of the past -> how they are used, for the overview.
        drop: columns to leave out.
        note: how the rows are split.
    """

    source: "DataFrame"
    frame: "DataFrame"
    panel: Panel
    learned: int
    stored: Mapping[str, Any]
    apart: Mapping[str, tuple[str, str]]
    drop: Sequence[str]
    note: str

    def covariates(
        self, overrides: Mapping[str, Any], warnings: list[str], decimal: str | None
    ) -> list[Covariate]:
        """Return the columns that are known ahead or constant, as they are read; one series has none."""
        return []

    @abstractmethod
    def gap_notes(self) -> list[str]: ...

    @abstractmethod
    def cuts(
        self, content: PanelValues, options: DataOptions, horizon: int, name: str, notes: list[str]
    ) -> Cuts: ...

    @abstractmethod
    def window_length(
        self,
        values: np.ndarray,
        training: np.ndarray,
        horizon: int,
        preset: Preset,
        columns: int,
        seconds: Sequence[int],
    ) -> tuple[int, str]: ...

    @abstractmethod
    def check_windows(
        self,
        parts: Mapping[str, Split | None],
        steps: int,
        horizon: int,
        name: str,
        fix: str,
    ) -> None: ...

    def sizes_that_fit(
        self, steps: int, horizon: int, preset: Preset | None, seconds: Sequence[int]
    ) -> str:
        """Return what to do if windows do not fit."""
        return "provide more rows"

    @abstractmethod
    def settings(
        self,
        content: PanelValues,
        training: np.ndarray,
        train: Split,
        preset: Preset | None,
        task: str,
        notes: list[str],
    ) -> dict[str, Any]: ...

    @abstractmethod
    def facts(self, content: PanelValues) -> dict[str, Any]: ...

    @abstractmethod
    def identity(
        self, content: PanelValues, cuts: Cuts, seconds: Mapping[str, Split]
    ) -> tuple[Any, list[Any]]: ...


def fold_note(fold: Fold, first: str, last: str) -> str:
    """Return a note about the rows of a fold, given the times of the first and the last row of its test part."""
    number = f"{fold.index + 1} of {fold.folds}"
    return f"Fold {number}: tested on {first} to {last}, trained on earlier rows; later ones are not used."

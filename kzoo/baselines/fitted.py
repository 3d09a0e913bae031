"""`fit`: a fitted baseline that predicts, and that can be written as a Keras network."""

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from kzoo.baselines.baseline import Baseline, Unfit
from kzoo.baselines.data import BaselineData, as_asked
from kzoo.baselines.score import LONGEST, checked_seconds, most_rows, select
from kzoo.data.dataset import Dataset, Split
from kzoo.data.sample import sample_dataset
from kzoo.data.store.longer import longer_split
from kzoo.data.store.pooled import with_all_rows
from kzoo.data.store.windows import Windows
from kzoo.inference.postprocessors.postprocessor import Step
from kzoo.problems.stored_types import TrainingSettings
from kzoo.utils.argument_checks import checked_seed
from kzoo.utils.errors import KzooError, TimeTooShort
from kzoo.utils.formatting import duration
from kzoo.utils.optional import keras

if TYPE_CHECKING:
    from keras import Model


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Fitted:
    """A baseline that has learned from the training split, and chosen on the validation split.

    Args:
        name, label, reference: see `kzoo.baselines.Baseline`.
        logits: False if outputs of classes are probabilities, None if they are scores that only define an order.
        notes: remarks: what was chosen, and on how many rows it learned if not on all.
        seconds: the number of seconds that fitting took.
        rows: number of training rows that it learned from if there was no time for all; else None.
        choices: what it has chosen, see `BaselineData`.
        data: the `Dataset`; its windows are as long as the baseline asks for.
        predictor: function of a `Split` that yields pairs (outputs, truth).

    Examples:
        >>> data = kzoo.load_data("churn.csv", target="churned")
        >>> fitted = kzoo.baselines.fit(data, "trees")
        >>> fitted.label, fitted.predict(data.test)[0].shape
        ('gradient-boosted trees', (40, 2))
        >>> fitted.network().output_shape
        (None, 2)
    """

    name: str
    label: str
    reference: str
    logits: bool | None
    notes: tuple[str, ...]
    seconds: float
    rows: int | None
    choices: tuple[Any, ...]
    data: Dataset
    predictor: Any = field(repr=False)

    def __repr__(self) -> str:
        return f"<fitted {self.label} on {self.data.name}, {duration(self.seconds)}>"

    @property
    def widths(self) -> Step | None:
        """The step "quantile_widths", which corrects quantiles of forecasts; None without it."""
        return getattr(self.predictor, "widths", None)

    def predict(self, split: Split) -> tuple[np.ndarray, np.ndarray]:
        """Return the outputs and the truth of a split of the data.

        Args:
            split: `train`, `validation` or `test` of `data`.

        Returns:
            Probabilities (N, classes) or (N, labels), scores (N, classes or 1) if `logits` is None, or values
            (N, targets), (N, horizon, targets) or with quantiles (..., levels) in the unit of the target; and the class
            numbers (N,), labels (N, labels), or values.

        Raises:
            KzooError: it cannot predict the split, such as forecasts that need values before the start of the series.
        """
        if isinstance(self.data.train.x, Windows):
            split = longer_split(split, self.data.train.x.length)
        try:
            with threadpool_limits(1):
                pairs = list(self.predictor(split))
        except Unfit as reason:
            raise KzooError(
                f"{self.label} cannot predict this split of {self.data.name}: {reason}."
            ) from None
        outputs, truth = (np.concatenate(column) for column in zip(*pairs, strict=True))
        return outputs, truth

    def network(self) -> "Model":
        """Return a Keras network from the inputs of `self.data` to the outputs of `predict`, not compiled.

        It consists of built-in layers, and computes in float32. Quantiles are flat, (N, ..., targets * levels), as
        those of other networks; those of forecasts are not yet corrected by `widths`.

        Raises:
            KzooError: the baseline has no network form.
        """
        form = getattr(self.predictor, "network", None)
        if form is None:
            raise KzooError(
                f"{self.label} on {self.data.name} cannot be written as a network: {self.name!r} has none."
            )
        x = self.data.train.x
        dtype = BaselineData(self.data).kind.dtype
        inputs = keras.Input(x.shape[1:], dtype=dtype, name="inputs")
        try:
            return keras.Model(inputs, form(inputs), name=self.name)
        except Unfit as reason:
            raise KzooError(
                f"{self.label} on {self.data.name} cannot be written as a network: {reason}."
            ) from None


def fit(
    data: Dataset,
    name: str,
    *,
    seconds: float | None = None,
    seed: int = 0,
    all_rows: bool = False,
    settings: TrainingSettings | None = None,
) -> Fitted:
    """Fit a baseline, and return it.

    It learns from the training split and makes its choices on the validation split, as `kzoo.baselines.score` does. One
    that asks for longer windows than the data has gets them, with the same targets.

    Args:
        data: a `Dataset`.
        name: of the baseline (see `kzoo.baselines.list_baselines`).
        seconds: the estimated seconds that it may take; the default is half a minute. One that would take longer learns
            from fewer rows, and its notes state how many.
        seed: of random draws.
        all_rows: whether it is fitted again, with its choices, to the training and validation rows.
        settings: training settings, whose objective its choices follow.

    Raises:
        KzooError: an unknown baseline, or one that cannot be fitted to this data or in this time.

    Examples:
        >>> data = kzoo.load_data("churn.csv", target="churned")
        >>> fitted = kzoo.baselines.fit(data, "trees")
        >>> probabilities, truth = fitted.predict(data.test)
        >>> probabilities.shape, truth.shape
        ((40, 2), (40,))
    """
    (asking,) = select(data, [name])
    data = as_asked(asking, data)
    candidate, seed, rows = checked_fit(data, name, seconds=seconds, seed=seed)
    fitted = fit_checked(candidate, data, rows, seed, settings=settings)
    return refit(candidate, fitted, data, seed) if all_rows else fitted


def checked_fit(
    data: Dataset, name: str, *, seconds: float | None, seed: int
) -> tuple[Baseline, int, int]:
    """Return the baseline, the seed, and the number of training rows that it can learn from in the time.

    Raises:
        KzooError: an unknown baseline, or not enough time.
    """
    seed = checked_seed("seed", seed)
    checked_seconds(seconds)
    data = sample_dataset(data)
    (candidate,) = select(data, [name])
    cost = candidate.seconds(BaselineData(data))
    rows = most_rows(candidate, data, cost, LONGEST if seconds is None else seconds)
    if rows is None:
        raise TimeTooShort(
            f"{candidate.label} on {data.name} takes about {duration(cost)}: allow more with seconds=.",
            cost,
        )
    return candidate, seed, rows


def refit(candidate: Baseline, fitted: Fitted, data: Dataset, seed: int) -> Fitted:
    """Return a fitted baseline that is fitted again to the training and validation rows, with the same choices."""
    rows = len(data.train) + (0 if data.validation is None else len(data.validation))
    again = fit_checked(candidate, with_all_rows(data), fitted.rows or rows, seed, fitted.choices)
    # such as rounds of a label that only validation rows have
    if len(again.choices) != len(fitted.choices):
        return fitted
    return replace(again, notes=tuple(dict.fromkeys([*fitted.notes, *again.notes])))


def fit_checked(
    candidate: Baseline,
    data: Dataset,
    rows: int,
    seed: int,
    choices: Sequence[Any] | None = None,
    *,
    settings: TrainingSettings | None = None,
) -> Fitted:
    """Return a baseline fitted to at most `rows` training rows; `choices` of an earlier fit are repeated.

    Other choices follow the objective of `settings`.

    Raises:
        KzooError: it cannot be fitted to this data.
    """
    data = sample_dataset(data)
    subset = BaselineData(
        data, seed=seed, most=rows, logits=candidate.logits, settings=settings, choices=choices
    )
    start = time.perf_counter()
    try:
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a fit that has not converged is still a baseline
            predictor = candidate.predictor(subset)
    except Unfit as reason:
        raise KzooError(f"{candidate.label} cannot be fitted to {data.name}: {reason}.") from None
    return Fitted(
        name=candidate.name,
        label=candidate.label,
        reference=candidate.reference,
        logits=candidate.logits,
        notes=tuple(subset.notes),
        seconds=round(time.perf_counter() - start, 3),
        rows=rows if rows < len(data.train) else None,
        choices=tuple(subset.choices),
        data=data,
        predictor=predictor,
    )

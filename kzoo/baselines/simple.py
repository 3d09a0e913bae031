"""Baselines without a fit: most frequent class, mean, token frequencies, last value, same season before. NumPy only."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from kzoo.baselines import networks
from kzoo.baselines.baseline import Unfit, baseline
from kzoo.baselines.data import Predictor, PredictSplit
from kzoo.baselines.windows import has_own_past
from kzoo.data.inputs.series.season import detect_season
from kzoo.data.inputs.series.simple_forecasts import previous_season
from kzoo.data.sample import token_counts
from kzoo.data.store.windows import Windows, series_of
from kzoo.inference.kinds.series.calendar import Calendar
from kzoo.inference.tasks.quantiles import levels_of

if TYPE_CHECKING:
    import keras

    from kzoo.baselines.data import BaselineData
    from kzoo.data.dataset import Split


_LAST = "last value"  # its name in `simple_forecasts`
_MEAN_COUNT = 4  # values one season apart in a mean
_MEAN = f"mean of {_MEAN_COUNT} times, "  # prefix of the names of means
_BLOCK = 4_000_000  # probabilities held in memory at once
_DUMMY = "https://scikit-learn.org/stable/modules/model_evaluation.html#dummy-estimators"
_NAIVE = "https://otexts.com/fpp3/simple-methods.html"


def _few_seconds(subset: "BaselineData") -> float:
    return 1e-3 + 1e-7 * len(subset.train)


def _constant(subset: "BaselineData", values: np.ndarray, flat: int = 1) -> Predictor:
    """Return the predictor of the same values for all rows; a network has those of the last axis flat, if `flat`."""
    shape = values.shape if flat == 1 else (*values.shape[:-2], values.shape[-2] * flat)
    return subset.by_blocks(
        lambda x: np.broadcast_to(values, (len(x), *values.shape)),
        network=lambda inputs: networks.constant(inputs, values.reshape(shape)),
    )


def _shares(subset: "BaselineData") -> Predictor:
    """Return the predictor of the shares of the classes among the training rows."""
    counts = np.bincount(subset.y, subset.weight, minlength=subset.outputs)
    return _constant(subset, counts / counts.sum())


@baseline(
    "most frequent class", "classes", lacks=("ordinal",), reference=_DUMMY, seconds=_few_seconds
)
def majority(subset: "BaselineData") -> Predictor:
    """Predict the shares of the classes among the training rows."""
    return _shares(subset)


@baseline("median class", "ordinal", reference=_DUMMY, seconds=_few_seconds)
def median_class(subset: "BaselineData") -> Predictor:
    """Predict the shares of the classes among the training rows, of which the median class is predicted."""
    return _shares(subset)


@baseline("training mean", "values", lacks=("quantiles",), reference=_DUMMY, seconds=_few_seconds)
def mean(subset: "BaselineData") -> Predictor:
    """Predict the mean of each target over the training rows."""
    y = subset.y
    average = y.mean(axis=tuple(range(y.ndim - 1)), dtype="float64")
    if subset.weight is not None:
        # mean of each row, (N, targets)
        row_means = y.reshape(len(y), -1, y.shape[-1]).mean(axis=1, dtype="float64")
        average = np.average(row_means, axis=0, weights=subset.weight)
    return _constant(subset, np.broadcast_to(average, y.shape[1:]))


@baseline(
    "token frequencies",
    "continues",
    reference="https://web.stanford.edu/~jurafsky/slp3/3.pdf",
    seconds=_few_seconds,
)
def frequency(subset: "BaselineData") -> PredictSplit:
    """Predict the shares of the tokens in the training text."""
    vocabulary_size, counts = subset.data.outputs, token_counts(subset.data)
    shares = (counts + 1) / (counts.sum() + vocabulary_size)

    def predict(part: "Split") -> Iterator[tuple[np.ndarray, np.ndarray]]:
        step = max(1, _BLOCK // (vocabulary_size * int(np.prod(part.y.shape[1:]))))
        for start in range(0, len(part), step):
            truth = np.asarray(part.y[start : start + step]).reshape(-1)
            yield np.broadcast_to(shares, (len(truth), vocabulary_size)), truth

    return predict


@baseline("training quantiles", "quantiles", reference=_DUMMY, seconds=_few_seconds)
def training_quantiles(subset: "BaselineData") -> Predictor:
    """Predict the quantiles of each target over the training rows."""
    levels = levels_of(subset.data.target)
    y = subset.y
    values = y.reshape(-1, y.shape[-1]).astype("float64")  # (N * steps, targets)
    if subset.weight is None:
        quantiles = np.quantile(values, levels, axis=0).T
    else:
        weight = np.repeat(subset.weight.astype("float64"), len(values) // len(y))
        quantiles = np.stack([_weighted_quantiles(column, weight, levels) for column in values.T])
    return _constant(
        subset, np.broadcast_to(quantiles, (*y.shape[1:], len(levels))), flat=len(levels)
    )


def _weighted_quantiles(
    values: np.ndarray, weight: np.ndarray, levels: Sequence[float]
) -> np.ndarray:
    """Return the smallest values whose cumulative share of the weight reaches each level."""
    order = np.argsort(values, kind="stable")
    shares = np.cumsum(weight[order]) / weight.sum()
    return values[order][np.minimum(np.searchsorted(shares, levels), len(values) - 1)]


@baseline(
    "same season before, with its errors",
    "quantiles",
    "ordered",
    reference=_NAIVE,
    seconds=lambda subset: 1e-3 + 1e-7 * _numbers(subset),
)
def seasonal_quantiles(subset: "BaselineData") -> Predictor:
    """Predict the value one season ago, the mean of four, or the last value, plus quantiles of its errors at each step.

    The errors are those on the training rows; of many series, relative to their mean absolute error in each. Which of
    the simple forecasts it is, is chosen on validation data.
    """
    forecasts = {
        name: _forecast_named(subset, name)
        for name, _ in _simple_forecasts(subset, subset.data.train)
    }
    forecasts |= _means_of_seasons(subset)
    if not forecasts:
        raise Unfit("the windows are not from a single series")
    return subset.best(
        {
            name: _with_errors(subset, forecast, _lags_named(subset, name))
            for name, forecast in forecasts.items()
        }
    )


def _with_errors(
    subset: "BaselineData", forecast: "Callable[[Split], np.ndarray]", lags: np.ndarray
) -> Predictor:
    """Return a predictor of the values of `forecast` plus quantiles of its errors on training rows, at each step.

    Args:
        subset: the `BaselineData`.
        forecast: function of a split; its values may be NaN.
        lags: see `_lags`.
    """
    levels = levels_of(subset.data.target)
    errors = subset.y - forecast(subset.train)
    finite = np.isfinite(errors).all(axis=tuple(range(1, errors.ndim)))
    errors = errors[finite].astype("float64")
    if not len(errors):
        raise Unfit("the series does not reach far enough into the past")
    scale_of = _error_scales(subset.train.y, errors, finite)
    if scale_of is not None:
        scale = scale_of(subset.train.y)[finite]
        errors = (errors / np.maximum(scale, np.finfo(float).tiny))[(scale > 0).all(axis=(1, 2))]
        if not len(errors):
            raise Unfit("all series are constant")
    # (horizon, targets, levels)
    offsets = np.moveaxis(np.quantile(errors, levels, axis=0), 0, -1)

    def predict(part: "Split") -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for values, truth in _window_predictor(subset, forecast)(part):
            spread = offsets if scale_of is None else offsets * scale_of(part.y)[..., None]
            yield values[..., None] + spread, truth

    def network(inputs: "keras.KerasTensor") -> "keras.KerasTensor":
        if scale_of is not None:
            raise Unfit(
                "the spread of its forecasts depends on the series, which a network does not know"
            )
        values = networks.earlier_steps(past_of_targets(subset, inputs), lags)
        return networks.with_offsets(values, offsets)

    return Predictor(predict, network)


def _error_scales(
    windows: Windows, errors: np.ndarray, finite: np.ndarray
) -> Callable[[Windows], np.ndarray] | None:
    """Return a function of windows -> mean absolute error (N, 1, targets) of their series in training.

    None for a single series. Series that are not in training have the mean of all.
    """
    series = getattr(windows, "series", None)
    if series is None:
        return None
    names = series.names
    codes = series.codes[finite]
    counts = np.bincount(codes, minlength=len(names))[:, None]
    totals = [
        np.bincount(codes, column, minlength=len(names)) for column in np.abs(errors).mean(axis=1).T
    ]
    scales = np.stack(totals, axis=1) / np.maximum(counts, 1)
    scales = np.where(counts > 0, scales, scales[counts[:, 0] > 0].mean(axis=0))
    by_name = dict(zip(names, scales, strict=True))

    def scale_of(windows: "Windows") -> np.ndarray:
        assert windows.series is not None
        of_series = (
            scales
            if windows.series.names is names
            else np.array([by_name.get(name, scales.mean(axis=0)) for name in windows.series.names])
        )
        return of_series[windows.series.codes][:, None]

    return scale_of


_SEASON_COUNTS = (4, 13, 52)
_BLOCK = 256  # windows


@baseline(
    "quantiles of the same season",
    "quantiles",
    "ordered",
    reference=_NAIVE,
    seconds=lambda subset: 1e-3 + 1e-6 * _numbers_scored(subset),
)
def season_quantiles(subset: "BaselineData") -> Predictor:
    """Predict the quantiles of the last values of the same season: of the last 13 Mondays for a Monday.

    How many values, and which season, is chosen on validation data.
    """
    levels = levels_of(subset.data.target)

    def predictor(name: str, count: int) -> Predictor:
        def predict(part: "Split") -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for start in range(0, len(part), _BLOCK):
                block = part.select(np.arange(start, min(start + _BLOCK, len(part))))
                values = dict(_season_history(subset, block, count))[name]
                quantiles = quantiles_of_present(values, levels)
                last = dict(_simple_forecasts(subset, block))[_LAST][..., None]
                yield np.where(np.isfinite(quantiles), quantiles, last), np.asarray(block.y[:])

        def network(inputs: "keras.KerasTensor") -> "keras.KerasTensor":
            lags = _lags(subset, _seasons(subset)[name], count)
            return networks.quantiles_of_earlier_steps(
                past_of_targets(subset, inputs), lags, levels
            )

        return Predictor(predict, network)

    names = [name for name, _ in _season_history(subset, subset.data.train.select(np.arange(1)), 1)]
    if not names:
        raise Unfit("the times show no season")
    return subset.best(
        {
            f"{count} times, {name}": predictor(name, count)
            for name in names
            for count in _SEASON_COUNTS
        }
    )


def quantiles_of_present(values: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """Return the quantiles (..., levels) of values (count, ...) that are not NaN; NaN without any."""
    values = np.sort(values.astype("float64"), axis=0)  # NaN last
    last = np.maximum(np.isfinite(values).sum(axis=0) - 1, 0)
    quantiles = []
    for level in levels:
        below = np.floor(level * last).astype(int)
        lower, upper = (
            np.take_along_axis(values, np.minimum(index, last)[None], axis=0)[0]
            for index in (below, below + 1)
        )
        quantiles.append(lower + (upper - lower) * (level * last - below))
    return np.stack(quantiles, axis=-1)


@baseline(
    "last value",
    "values",
    "ordered",
    lacks=("quantiles",),
    reference=_NAIVE,
    seconds=lambda subset: 1e-3 + 1e-8 * _numbers(subset),
)
def last_value(subset: "BaselineData") -> Predictor:
    """Predict the last value of each target at all steps ahead."""
    return _window_predictor(subset, _forecast_named(subset, _LAST), _lags_named(subset, _LAST))


@baseline(
    "same season before",
    "values",
    "ordered",
    lacks=("quantiles",),
    reference=_NAIVE,
    seconds=lambda subset: 1e-3 + 5e-8 * _numbers(subset),
)
def seasonal(subset: "BaselineData") -> Predictor:
    """Predict the value one season ago, or the mean of four: the same hour yesterday, the same month last year.

    If the times of a series do not determine the season, it is estimated from the training rows.
    """
    train = subset.data.train
    if names := [name for name, _ in _simple_forecasts(subset, train) if name != _LAST]:
        forecasts = {name: _forecast_named(subset, name) for name in names} | _means_of_seasons(
            subset
        )
        return subset.best(
            {
                name: _window_predictor(subset, forecast, _lags_named(subset, name))
                for name, forecast in forecasts.items()
            }
        )
    season = _detected_season(subset)
    return _window_predictor(
        subset, lambda part: previous_season(part, season), _lags(subset, season)
    )


@baseline(
    "mean of the last four seasons",
    "values",
    "ordered",
    reference=_NAIVE,
    seconds=lambda subset: 1e-3 + 2e-7 * _numbers(subset),
)
def seasonal_mean(subset: "BaselineData") -> Predictor:
    """Predict the mean of up to four values one season apart: of the last four Mondays for a Monday.

    Quantiles are those of its errors on the training rows, as in `seasonal_quantiles`. Of several seasons, one is
    chosen on validation data.
    """
    seasons = _seasons(subset) if _simple_forecasts(subset, subset.data.train) else {}
    if not seasons:
        detected = _detected_season(subset)
        seasons = {f"season of {detected} steps": detected}

    def fitted(season: int) -> Predictor:
        def forecast(part: "Split") -> np.ndarray:
            values = [previous_season(part, season, earlier) for earlier in range(_MEAN_COUNT)]
            present = np.isfinite(values)
            count = present.sum(axis=0)
            total = np.where(present, values, 0.0).sum(axis=0)
            return np.where(count > 0, total / np.maximum(count, 1), np.nan)

        lags = _lags(subset, season, _MEAN_COUNT)
        if "quantiles" in subset.data.problem.facts:
            return _with_errors(subset, forecast, lags)
        return _window_predictor(subset, forecast, lags)

    return subset.best({name: fitted(season) for name, season in seasons.items()})


def _detected_season(subset: "BaselineData") -> int:
    """Return the season, in steps, that is estimated from the training rows of a series, with a note.

    Raises:
        Unfit: there is none.
    """
    windows = subset.data.train.y
    season = None
    if (series := series_of(windows)) is not None:
        # the rows after these are predicted
        rows = series[: int(windows.starts.max()) + windows.length]
        season = detect_season(rows, len(rows) // 3)
    if season is None:
        raise Unfit("neither the times nor the training rows show a season")
    subset.notes.append(f"season of {season} steps, estimated from the training rows")
    return season


def _numbers(subset: "BaselineData") -> int:
    """Return the number of predicted values in all splits."""
    return _numbers_scored(subset) + len(subset.data.train) * subset.outputs


def _numbers_scored(subset: "BaselineData") -> int:
    """Return the number of predicted values of the validation and test splits."""
    return (
        sum(len(part) for part in (subset.data.validation, subset.data.test) if part is not None)
        * subset.outputs
    )


def _simple_forecasts(subset: "BaselineData", part: "Split") -> Sequence[tuple[str, np.ndarray]]:
    simple = getattr(subset.kind.fitting, "simple_forecasts", None)
    return [] if simple is None else simple(subset.data.preprocessing, part)


def _season_history(
    subset: "BaselineData", part: "Split", count: int
) -> Sequence[tuple[str, np.ndarray]]:
    history = getattr(subset.kind.fitting, "season_history", None)
    return [] if history is None else history(subset.data.preprocessing, part, count)


def _means_of_seasons(subset: "BaselineData") -> "dict[str, Callable[[Split], np.ndarray]]":
    """Return name -> function of a split that returns the mean of the last four values of a season."""

    def mean_of_season(name: str) -> "Callable[[Split], np.ndarray]":
        return lambda part: dict(_season_history(subset, part, _MEAN_COUNT))[name].mean(axis=0)

    first = subset.data.train.select(np.arange(1))
    return {f"{_MEAN}{name}": mean_of_season(name) for name, _ in _season_history(subset, first, 1)}


def _forecast_named(subset: "BaselineData", name: str) -> "Callable[[Split], np.ndarray]":
    """Return a function of a split that returns the simple forecasts of this name (see `kzoo.problems.kinds`)."""

    def forecast(part: "Split") -> np.ndarray:
        forecasts = dict(_simple_forecasts(subset, part))
        if name not in forecasts:
            raise Unfit("the windows are not from a single series")
        return forecasts[name]

    return forecast


def _lags_named(subset: "BaselineData", name: str) -> np.ndarray:
    """Return the `_lags` of a simple forecast."""
    if name == _LAST:
        return np.ones((1, _horizon(subset)), int)
    season = _seasons(subset)[name.removeprefix(_MEAN)]
    return _lags(subset, season, _MEAN_COUNT if name.startswith(_MEAN) else 1)


def _seasons(subset: "BaselineData") -> Mapping[str, int]:
    calendar = Calendar.of(subset.data.preprocessing)
    return {} if calendar is None else calendar.seasons


def _lags(subset: "BaselineData", season: int, count: int = 1) -> np.ndarray:
    """Return how many steps before the end of a window the values of the last seasons are, (count, horizon)."""
    steps = np.arange(_horizon(subset))
    return season * (1 + steps // season + np.arange(count)[:, None]) - steps


def _horizon(subset: "BaselineData") -> int:
    return subset.data.train.y.shape[1]


def past_of_targets(subset: "BaselineData", inputs: "keras.KerasTensor") -> "keras.KerasTensor":
    """Return the columns of windows (B, T, F) that are the past of the targets (B, T, targets).

    Raises:
        Unfit: there are none.
    """
    x, y = subset.data.train.x, subset.data.train.y
    if not has_own_past(subset) or (np.asarray(y.starts) != np.asarray(x.starts) + x.length).any():
        raise Unfit("the inputs do not have the past of the targets")
    return inputs[..., : y.shape[-1]]


def _window_predictor(
    subset: "BaselineData",
    forecast: "Callable[[Split], np.ndarray]",
    lags: np.ndarray | None = None,
) -> Predictor:
    """Return a predictor of the values of `forecast`, or the last value where these are NaN.

    Args:
        subset: the `BaselineData`.
        forecast: function of a split.
        lags: see `_lags`; None for a predictor without a network.
    """

    def predict(part: "Split") -> Iterator[tuple[np.ndarray, np.ndarray]]:
        values = forecast(part)
        if not (finite := np.isfinite(values)).all():
            values = np.where(finite, values, _forecast_named(subset, _LAST)(part))
        if not np.isfinite(values).all():
            raise Unfit("the series does not reach far enough into the past")
        yield values, np.asarray(part.y[:])

    def network(inputs: "keras.KerasTensor") -> "keras.KerasTensor":
        assert lags is not None
        return networks.head(
            networks.earlier_steps(past_of_targets(subset, inputs), lags), "linear"
        )

    return Predictor(predict, None if lags is None else network)

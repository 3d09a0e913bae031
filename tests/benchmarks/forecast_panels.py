"""The panels of `forecasts.py`: simulated ones, made from a seed, and real ones, read from a folder of CSV files."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

WEEK = 7


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Series that are forecast together.

    Args:
        name: of the panel.
        frame: columns `id`, `time`, `value`, and those in `known`; a row per series and step.
        horizon: steps to forecast.
        season: steps of a season; 1 for none.
        known: columns whose values are known ahead.
        step: steps between two origins.
        seen: whether the weights of `series_pretrained` were trained on it: seen, unknown or unseen.
    """

    name: str
    frame: pd.DataFrame
    horizon: int
    season: int
    known: tuple[str, ...] = ()
    step: int
    seen: str = "unseen"

    def times(self) -> np.ndarray:
        """Return the times of the panel in order."""
        return np.sort(self.frame["time"].unique())

    def end(self, origin: int) -> int:
        """Return the number of times before an origin; 0 is the last one, 1 that before it, and so on."""
        return len(self.times()) - self.horizon - self.step * origin

    def parts(self, end: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the rows before an origin and those of the horizon after it, for series with rows in both."""
        times = self.times()
        # a series starts with its first value
        frame = self.frame[
            self.frame.groupby("id")["value"].transform(lambda y: y.notna().cummax())
        ]
        history = frame[frame["time"] < times[end]]
        future = frame[frame["time"].isin(times[end : end + self.horizon])]
        both = set(history["id"]) & set(future["id"])
        return history[history["id"].isin(both)], future[future["id"].isin(both)]


def grid(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the values of rows as a table of series and times."""
    return rows.pivot(index="id", columns="time", values="value").sort_index()


# Simulated panels


def _frame(
    values: np.ndarray, freq: str, known: dict[str, np.ndarray] | None = None
) -> pd.DataFrame:
    """Return the rows of series (series, steps), NaN before the start of a series."""
    count, steps = values.shape
    times = pd.date_range("2019-01-01", periods=steps, freq=freq)
    columns = {
        name: np.broadcast_to(each, values.shape).ravel() for name, each in (known or {}).items()
    }
    ids = np.repeat([f"s{number:02d}" for number in range(count)], steps)
    return pd.DataFrame(dict(id=ids, time=np.tile(times, count), value=values.ravel(), **columns))


def _walks(rng: np.random.Generator, count: int, steps: int, scale: float) -> np.ndarray:
    return np.cumsum(rng.normal(0, scale, (count, steps)), axis=1)


def _seasons(rng: np.random.Generator, count: int, steps: int, season: int) -> np.ndarray:
    """Return additive seasons (count, steps) of their own shape and a standard deviation of 1."""
    shape = rng.normal(size=(count, season))
    shape = (shape - shape.mean(1, keepdims=True)) / shape.std(1, keepdims=True)
    return shape[:, np.arange(steps) % season]


def trend(rng: np.random.Generator) -> dict:
    slopes = np.cumsum(rng.normal(0, 0.05, (30, 96)), axis=1) + rng.normal(0, 0.5, (30, 1))
    values = 100 + np.cumsum(slopes, axis=1) + rng.normal(0, 3, (30, 96))
    return dict(values=values, freq="MS", horizon=12, season=12)


def seasons(rng: np.random.Generator) -> dict:
    yearly = np.sin(2 * np.pi * (np.arange(420) / 365 + rng.random((24, 1))))
    values = 50 + 8 * _seasons(rng, 24, 420, WEEK) + 10 * yearly + rng.normal(0, 4, (24, 420))
    return dict(values=values, freq="D", horizon=14, season=WEEK)


def intermittent(rng: np.random.Generator) -> dict:
    sells = rng.random((40, 365)) < rng.uniform(0.1, 0.5, (40, 1))
    sizes = 1 + rng.negative_binomial(2, rng.uniform(0.2, 0.6, (40, 1)), (40, 365))
    return dict(values=np.where(sells, sizes, 0.0), freq="D", horizon=14, season=WEEK)


def new_products(rng: np.random.Generator) -> dict:
    season = _seasons(rng, 1, 300, WEEK)
    level = rng.lognormal(3, 1, (40, 1))
    values = level * np.exp(0.3 * season + 0.15 * rng.normal(size=(40, 300)))
    starts = np.where(np.arange(40) % 2, rng.integers(160, 225, 40), 0)
    values[np.arange(300) < starts[:, None]] = np.nan
    return dict(values=values, freq="D", horizon=14, season=WEEK)


def sizes(rng: np.random.Generator) -> dict:
    level = 10 ** np.linspace(0, 6, 36)[:, None]
    noise = _walks(rng, 36, 84, 0.05) + 0.1 * rng.normal(size=(36, 84))
    values = level * np.exp(0.2 * _seasons(rng, 36, 84, 12) + noise)
    return dict(values=values, freq="MS", horizon=6, season=12)


def level_shifts(rng: np.random.Generator) -> dict:
    jumps = rng.normal(0, 25, (24, 365)) * (rng.random((24, 365)) < 0.01)
    values = 100 + np.cumsum(jumps, axis=1) + 6 * _seasons(rng, 24, 365, WEEK)
    return dict(values=values + rng.normal(0, 4, (24, 365)), freq="D", horizon=14, season=WEEK)


def multiplicative(rng: np.random.Generator) -> dict:
    growth = rng.normal(0.005, 0.005, (30, 1)) * np.arange(108) + _walks(rng, 30, 108, 0.02)
    values = rng.lognormal(5, 1, (30, 1)) * np.exp(growth) * (1 + 0.25 * _seasons(rng, 1, 108, 12))
    return dict(
        values=np.maximum(values * np.exp(0.05 * rng.normal(size=(30, 108))), 0),
        freq="MS",
        horizon=12,
        season=12,
    )


def correlated(rng: np.random.Generator) -> dict:
    shocks = rng.normal(size=300)
    common = np.zeros(300)
    for step in range(1, 300):
        common[step] = 0.8 * common[step - 1] + shocks[step]
    values = 40 + rng.uniform(1, 4, (24, 1)) * common + 4 * _seasons(rng, 24, 300, WEEK)
    return dict(values=values + rng.normal(0, 2, (24, 300)), freq="D", horizon=14, season=WEEK)


def short(rng: np.random.Generator) -> dict:
    values = rng.lognormal(4, 1, (40, 1)) * np.exp(
        0.15 * _seasons(rng, 1, 44, 4)
        + _walks(rng, 40, 44, 0.04)
        + 0.05 * rng.normal(size=(40, 44))
    )
    values[np.arange(44) < rng.integers(0, 21, 40)[:, None]] = np.nan
    return dict(values=values, freq="QS", horizon=4, season=4, step=2)


def holidays(rng: np.random.Generator) -> dict:
    holiday = (rng.random(400) < 0.04).astype(int)
    promo = (rng.random((20, 400)) < 0.15).astype(int)
    effect = rng.uniform(-0.8, -0.3, (20, 1)) * holiday + rng.uniform(0.2, 0.6, (20, 1)) * promo
    noise = 0.12 * rng.normal(size=(20, 400))
    values = rng.lognormal(4, 0.8, (20, 1)) * np.exp(
        0.2 * _seasons(rng, 20, 400, WEEK) + effect + noise
    )
    known = dict(holiday=holiday, promo=promo)
    return dict(values=values, freq="D", horizon=14, season=WEEK, known=known)


SIMULATED: dict[str, Callable[[np.random.Generator], dict]] = {
    made.__name__: made
    for made in (
        trend,
        seasons,
        intermittent,
        new_products,
        sizes,
        level_shifts,
        multiplicative,
        correlated,
        short,
        holidays,
    )
}


def simulated(name: str, seed: int = 0) -> Panel:
    """Return a simulated panel; the same seed makes the same panel."""
    made = SIMULATED[name](np.random.default_rng([seed, [*SIMULATED].index(name)]))
    known = made.get("known", {})
    return Panel(
        name=name,
        frame=_frame(made["values"], made["freq"], known),
        horizon=made["horizon"],
        season=made["season"],
        known=tuple(known),
        step=made.get("step", made["horizon"]),
    )


# Real panels


@dataclass(frozen=True, kw_only=True)
class _Real:
    """How the panel of a file is read; the arguments are those of `Panel`."""

    horizon: int
    season: int
    known: tuple[str, ...] = ()
    step: int = field(default=0)
    seen: str = "unknown"


REAL = {
    "pasta": _Real(horizon=14, season=WEEK),
    "pasta_weekly": _Real(horizon=8, season=52),
    "rossmann": _Real(
        horizon=28, season=WEEK, known=("open", "promo", "school_holiday"), seen="seen"
    ),
    "etth1": _Real(horizon=48, season=24, seen="seen"),
    "employment": _Real(horizon=12, season=12),
    "houses": _Real(horizon=12, season=12),
    "accommodation": _Real(horizon=4, season=4),
    "nights": _Real(horizon=4, season=4),
    "short_quarterly": _Real(horizon=4, season=4, step=2),
    "short_yearly": _Real(horizon=3, season=1, step=1),
}


def real(name: str, folder: Path) -> Panel:
    """Return the panel of a file NAME.csv with the columns id, time, value and those known ahead."""
    frame = pd.read_csv(folder / f"{name}.csv", parse_dates=["time"], dtype={"id": str})
    how = REAL[name]
    return Panel(
        name=name,
        frame=frame,
        horizon=how.horizon,
        season=how.season,
        known=how.known,
        step=how.step or how.horizon,
        seen=how.seen,
    )


def panel_of(name: str, folder: Path | None, seed: int = 0) -> Panel:
    """Return a simulated panel, or a real one from a folder."""
    return simulated(name, seed) if name in SIMULATED else real(name, Path(folder or "."))


def available(folder: Path | None) -> list[str]:
    """Return the names of the panels: real ones that the folder has, and simulated ones."""
    files = [] if folder is None else [name for name in REAL if (folder / f"{name}.csv").is_file()]
    return [*files, *SIMULATED]

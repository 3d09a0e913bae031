"""Engines, which propose the next trial: one module for each, with a class `Engine`. Standard library only.

The class combines `base.BaseEngine` with one of KerasTuner's oracles, or with `keras_tuner.Oracle`.
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import hint

if TYPE_CHECKING:
    from kzoo.tuning.engines.base import BaseEngine


_SHARED = ("base", "keras_tuner_private")  # shared modules, no engines
ENGINES = (
    "auto",
    *(module.name for module in iter_modules(__path__) if module.name not in _SHARED),
)


def engine_named(name: str) -> "type[BaseEngine]":
    """Return the class of an engine, one of `ENGINES` except "auto".

    Raises:
        KzooError: a package that it needs is missing.
    """
    return import_module(f"kzoo.tuning.engines.{name}").Engine


def choose_engine(engine: str, trials: int, points: int | None) -> str:
    """Return the engine to use: "auto" is "grid" if the space has at most `trials` points, otherwise "bayesian".

    Args:
        engine: one of `ENGINES`.
        trials: number of trials.
        points: number of points of the space, None if it is continuous.

    Raises:
        KzooError: the engine is unknown.
    """
    if engine not in ENGINES:
        raise KzooError(
            f"Unknown engine {engine!r}. {hint(engine, ENGINES)}Use one of: {', '.join(ENGINES)}.",
            value=engine,
        )
    if engine != "auto":
        return engine
    return "grid" if points is not None and points <= trials else "bayesian"

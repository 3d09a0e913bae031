"""Who proposes the next trial: a file for each engine, whose class is called `Engine`. Standard library only.

The class mixes `steady.Steady` into one of KerasTuner's oracles, or into `keras_tuner.Oracle` itself.
"""

from importlib import import_module
from pkgutil import iter_modules

from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import hint

_SHARED = ("base", "keras_tuner_private")  # what all of them are made of
ENGINES = ("auto", *(module.name for module in iter_modules(__path__) if module.name not in _SHARED))


def engine_named(name):
    """Return the class of an engine; "auto" is none.

    Raises:
        KzooError: a package that it needs is missing.
    """
    return import_module(f"kzoo.tuning.engines.{name}").Engine


def choose_engine(engine, trials, points) -> str:
    """Return the engine that is meant: "auto" is the grid where no more than `trials` points are to be had.

    Args:
        engine: one of `ENGINES`.
        trials: how many there are to be.
        points: how many points the space has, None for a continuum.

    Raises:
        KzooError: an unknown engine.
    """
    if engine not in ENGINES:
        raise KzooError(f"Unknown engine {engine!r}. {hint(engine, ENGINES)}It is one of: {', '.join(ENGINES)}.")
    if engine != "auto":
        return engine
    return "grid" if points is not None and points <= trials else "bayesian"

"""The command line that repeats a run, which the run keeps. NumPy only."""

import os
import shlex

from kzoo.data.named import name_of
from kzoo.dataset.options import STORED_OPTIONS, DataOptions
from kzoo.dataset.splits import Fold
from kzoo.registry import word_for

# Options that the command leaves out when they are the default.
_DEFAULTS = dict(seed=0, data_seed=0, validation=0.1, precision="auto", backend="tensorflow", deterministic=False)


def command_of(preset, source, overrides, data: DataOptions, **options):
    """Return the command line that repeats the run, with names of files only; None where there is none.

    Args:
        preset: None for a model of one's own.
        source, overrides, data: what was given.
        options: other options of the command that were given: seed, weights, freeze, precision, deterministic; and the
            Keras backend.
    """
    if isinstance(data.test, Fold):
        return _fold_call(preset, source, overrides, data, **options)
    named = all(isinstance(v, str | os.PathLike | int | float | None) for v in (source, data.test))
    if preset is None or not named:
        return None
    words = ["kzoo", "train", word_for(preset)]
    if source is not None:
        words += ["--data", name_of(source)]
    for name, value in (
        dict(seed=options.pop("seed"), data_seed=data.seed) | data.pick(*STORED_OPTIONS) | options
    ).items():
        if value is None or value == _DEFAULTS.get(name) or value in ((), []):
            continue
        if name == "columns":
            words += ["--column", *(_column(*one) for one in value.items())]
            continue
        values = [str(v) for v in (value if isinstance(value, list | tuple) else [value]) if v is not True]
        if name == "test":
            values = [name_of(values[0])]
        option = f"--{name.replace('_', '-')}"
        words += [word for v in values for word in (option, v)] if name == "target" else [option, *values]
    if overrides:
        words += ["--set", *(f"{name}={_setting(value)}" for name, value in overrides.items())]
    return shlex.join(words)


def _setting(value):
    """Write a setting as `--set` reads it."""
    if isinstance(value, dict):
        return f"{{{','.join(f'{_quoted(name)}:{one}' for name, one in value.items())}}}"
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else value


def _quoted(name):
    return name if str(name).isalnum() else repr(str(name))


def _column(name, how):
    """Write what was said of a column as a word of `--column`."""
    how = {"kind": how} if isinstance(how, str) else how
    signs = [f":{sign}={value}" for sign, value in how.items() if sign != "kind"]
    return f"{name}={how.get('kind', 'number')}{''.join(signs)}"


def _fold_call(preset, source, overrides, data, *, seed, backend, **options):
    """Return the call that this run is a fold of; it is the same for each of the folds, and on every backend."""
    if preset is None or not all(isinstance(v, str | os.PathLike | None) for v in (source, data.group)):
        return None
    fold, asked = data.test, data.pick(*(name for name in STORED_OPTIONS if name != "test"))
    given = {"folds": fold.folds, "stratified": fold.stratified, "seed": fold.seed}
    defaults = _DEFAULTS | {"stratified": True}
    given |= {k: v for k, v in (asked | options).items() if v is not None and v not in ((), [])} | overrides
    words = [preset.name] if source is None else [preset.name, name_of(source)]
    words = [repr(w) for w in words] + [f"{k}={v!r}" for k, v in given.items() if v != defaults.get(k)]
    return f"kzoo.cross_validate({', '.join(words)})"

"""The command line that repeats a run and is stored with it. NumPy only."""

import os
import shlex

from kzoo.data.named import name_of
from kzoo.data.options import STORED_OPTIONS, DataOptions
from kzoo.data.splits import Fold
from kzoo.zoo.registry import word_for

# Options that the command leaves out when they are the default.
_DEFAULTS = dict(
    seed=0,
    data_seed=0,
    validation=0.1,
    split="random",
    precision="auto",
    backend="tensorflow",
    deterministic=False,
)


def command_of(preset, source, overrides, data: DataOptions, **options):
    """Return the command line that repeats a run, with file names instead of paths; None if no command line can.

    Args:
        preset: the preset; None for a custom model.
        source, overrides, data: arguments of the training.
        options: further options of the command: seed, weights, freeze, precision, deterministic; and the Keras backend.
    """
    if isinstance(data.test, Fold):
        return _fold_call(preset, source, overrides, data, **options)
    sources = (source, data.test, data.validation, data.calibration)
    has_names = all(isinstance(v, str | os.PathLike | int | float | None) for v in sources)
    has_names &= isinstance(data.sample_weight, str | None) and (
        data.repairs is None or data.repairs.name is not None
    )
    if preset is None or not has_names:
        return None
    words = ["kzoo", "train", word_for(preset)]
    if source is not None:
        words += ["--data", name_of(source)]
    for name, value in (
        dict(seed=options.pop("seed"), data_seed=data.seed)
        | data.pick(*STORED_OPTIONS, "quantiles")
        | options
    ).items():
        if value is None or value == _DEFAULTS.get(name) or value in ((), []):
            continue
        if name == "columns":
            words += ["--column", *(_column(*entry) for entry in value.items())]
            continue
        if name == "quantiles":
            words += ["--quantiles", ",".join(f"{level:g}" for level in value)]
            continue
        values = [
            str(v) for v in (value if isinstance(value, list | tuple) else [value]) if v is not True
        ]
        if name in ("test", "validation", "calibration") and isinstance(value, str | os.PathLike):
            values = [name_of(values[0])]
        option = f"--{name.replace('_', '-')}"
        words += (
            [word for v in values for word in (option, v)]
            if name == "target"
            else [option, *values]
        )
    if overrides:
        words += ["--set", *(f"{name}={_setting(value)}" for name, value in overrides.items())]
    return shlex.join(words)


def _setting(value):
    """Return the value of a setting in the syntax of `--set`."""
    if isinstance(value, dict):
        return f"{{{','.join(f'{_quoted(name)}:{inner}' for name, inner in value.items())}}}"
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else value


def _quoted(name):
    return name if str(name).isalnum() else repr(str(name))


def _column(name, options):
    """Return the value of `--column` for the options of a column."""
    options = {"kind": options} if isinstance(options, str) else options
    suffixes = [f":{option}={value}" for option, value in options.items() if option != "kind"]
    return f"{name}={options.get('kind', 'number')}{''.join(suffixes)}"


def _fold_call(preset, source, overrides, data, *, seed, backend, **options):
    """Return the `kzoo.cross_validate` call that the run of a fold belongs to, the same for all folds and backends."""
    if preset is None or not all(
        isinstance(v, str | os.PathLike | None)
        for v in (source, data.group, data.sample_weight, data.repairs and data.repairs.name)
    ):
        return None
    fold = data.test
    data_options = data.pick(*(name for name in STORED_OPTIONS if name != "test"), "quantiles")
    data_options["repairs"] = data.repairs and data.repairs.name
    arguments = {"folds": fold.folds, "stratified": fold.stratified, "seed": fold.seed}
    defaults = _DEFAULTS | {"stratified": True}
    arguments |= {
        k: v for k, v in (data_options | options).items() if v is not None and v not in ((), [])
    } | overrides
    words = [preset.name] if source is None else [preset.name, name_of(source)]
    words = [repr(w) for w in words] + [
        f"{k}={v!r}" for k, v in arguments.items() if v != defaults.get(k)
    ]
    return f"kzoo.cross_validate({', '.join(words)})"

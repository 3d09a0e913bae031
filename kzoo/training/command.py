"""The command line that repeats a run and is stored with it. NumPy only."""

import os
import shlex
from typing import TYPE_CHECKING, Any

from kzoo.data.named import name_of
from kzoo.data.options import DataOptions
from kzoo.data.splits import Fold
from kzoo.problems.data_arguments import DEFAULTS, FLAGS, NAMES, OPTIONS, flag_names
from kzoo.problems.stored_types import Overrides
from kzoo.utils.files import JsonObject
from kzoo.zoo.registry import word_for

if TYPE_CHECKING:
    from kzoo.data.dataset import Loadable
    from kzoo.zoo.registry.preset import Preset


# Options that the command leaves out when they are the default.
_DEFAULTS = {name: DEFAULTS[option] for name, option in NAMES.items()} | dict(
    seed=0, precision="auto", backend="tensorflow", deterministic=False, steps_per_call="auto"
)


def command_of(
    preset: "Preset | None",
    source: "Loadable | None",
    overrides: Overrides,
    data: DataOptions,
    **options: Any,
) -> str | None:
    """Return the command line that repeats a run, with file names instead of paths; None if no command line can.

    Args:
        preset: the preset; None for a custom model.
        source, overrides, data: arguments of the training.
        options: further options of the command: seed, weights, freeze, precision, deterministic, steps_per_call; and
            the Keras backend.
    """
    if any(OPTIONS[NAMES.get(name, name)].flag is None for name in data.given()):
        return None  # an option of `load_data` alone
    if isinstance(data.test, Fold):
        return _fold_call(preset, source, overrides, data, data.test, **options)
    sources = (source, data.test, data.validation, data.calibration)
    has_names = all(isinstance(v, str | os.PathLike | int | float | None) for v in sources)
    has_names &= isinstance(data.sample_weight, str | None) and (
        data.repairs is None or data.repairs.name is not None
    )
    if preset is None or not has_names:
        return None
    words = ["kzoo", "train", word_for(preset)]
    if isinstance(source, str | os.PathLike):
        words += ["--data", _word_of(source)]
    for name, value in (
        dict(seed=options.pop("seed"), data_seed=data.seed) | _data_options(data) | options
    ).items():
        if value is None or value == _DEFAULTS.get(name) or value in ((), []):
            continue
        flag = FLAGS.get(name)
        option = f"--{name.replace('_', '-')}" if flag is None else flag_names(name)[-1]
        values = [
            str(v) for v in (value if isinstance(value, list | tuple) else [value]) if v is not True
        ]
        if flag is not None and flag.write is not None:
            values = flag.write(value)
        if name in ("test", "validation", "calibration") and isinstance(value, str | os.PathLike):
            values = [_word_of(value)]
        repeated = flag is not None and flag.several == "repeated"
        words += [word for v in values for word in (option, v)] if repeated else [option, *values]
    if overrides:
        words += ["--set", *(f"{name}={_setting(value)}" for name, value in overrides.items())]
    return shlex.join(words)


def _word_of(source: "str | os.PathLike[str]") -> str:
    """Return how a command names a source: by its address if it has one, else by its name, without folders."""
    return getattr(source, "address", None) or name_of(source)


def _data_options(data: DataOptions) -> dict[str, object]:
    """Return the options that a command can have, but for the seed, which the call of a fold does not have."""
    return data.pick(*(name for name in FLAGS if name != "data_seed"))


def _setting(value: object) -> str:
    """Return the value of a setting in the syntax of `--set`."""
    if isinstance(value, dict):
        return f"{{{','.join(f'{_quoted(name)}:{inner}' for name, inner in value.items())}}}"
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _quoted(name: object) -> str:
    return str(name) if str(name).isalnum() else repr(str(name))


def _fold_call(
    preset: "Preset | None",
    source: "Loadable | None",
    overrides: Overrides,
    data: DataOptions,
    fold: Fold,
    *,
    seed: int,
    backend: str,
    **options: object,
) -> str | None:
    """Return the `kzoo.cross_validate` call that the run of a fold belongs to, the same for all folds and backends."""
    if preset is None or not all(
        isinstance(v, str | os.PathLike | None)
        for v in (source, data.group, data.sample_weight, data.repairs and data.repairs.name)
    ):
        return None
    data_options = _data_options(data) | {"test": None}
    data_options["repairs"] = data.repairs and data.repairs.name
    arguments: JsonObject = {"folds": fold.folds, "stratified": fold.stratified, "seed": fold.seed}
    defaults = _DEFAULTS | {"stratified": True}
    arguments |= {
        k: v for k, v in (data_options | options).items() if v is not None and v not in ((), [])
    } | dict(overrides)
    named_source = [_word_of(source)] if isinstance(source, str | os.PathLike) else []
    words = [repr(w) for w in (preset.name, *named_source)] + [
        f"{k}={v!r}" for k, v in arguments.items() if v != defaults.get(k)
    ]
    return f"kzoo.cross_validate({', '.join(words)})"

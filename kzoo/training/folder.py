"""What a run's folder says of itself: which run it is, what repeats it, on which machine it was made."""

import math
import os
import platform
import shlex
import shutil
import time
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import keras

from kzoo import __version__
from kzoo.data.options import NAMED, DataOptions
from kzoo.data.splits import Fold
from kzoo.errors import KzooError
from kzoo.nouns import FORMAT_VERSION
from kzoo.registry import word_for
from kzoo.run import Run
from kzoo.training.journal import NAMES as JOURNALS

_RUN_FILES = (
    "config.json", "preprocessing.json", "history.csv", "best.keras", "last.keras", "summary.json", "answers.npz",
    "curves.png", "report.html", "tensorboard", "checkpoints", "debug.csv", *JOURNALS,
)  # fmt: skip
# Options that the command leaves out when they are the default.
_COMMAND_DEFAULTS = dict(seed=0, data_seed=0, validation=0.1, precision="auto")


def is_complete(folder):
    """Say whether a folder holds a run that was trained to its end, neither killed nor interrupted."""
    try:
        return not Run(folder).summary["interrupted"]
    except KzooError:
        return False


@contextmanager
def replaced(folder):
    """Set an earlier run's files aside; they come back if the new one leaves nothing to go on from."""
    aside = folder / ".before"
    _remove(aside)
    aside.mkdir()
    _move_run(folder, aside)
    try:
        yield
    except BaseException:
        if not any((folder / name).exists() for name in ("best.keras", "journal")):
            for name in _RUN_FILES:
                _remove(folder / name)
            _move_run(aside, folder)
        raise
    finally:
        _remove(aside)


def _move_run(source, target):
    for name in _RUN_FILES:
        if (source / name).exists():
            os.replace(source / name, target / name)


def _remove(path):
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def command(preset, source, overrides, data: DataOptions, **options):
    """Return the command line that repeats the run, with names of files only; None where there is none.

    Args:
        preset: None for a model of one's own.
        source, overrides, data: what was given.
        options: other options of the command that were given: seed, start, freeze, precision.
    """
    if isinstance(data.test, Fold):
        return _fold_call(preset, source, overrides, data, **options)
    named = all(isinstance(v, str | os.PathLike | int | float | None) for v in (source, data.test))
    if preset is None or not named:
        return None
    words = ["kzoo", "train", word_for(preset)]
    if source is not None:
        words += ["--data", Path(source).name]
    for name, value in (dict(seed=options.pop("seed"), data_seed=data.seed) | data.pick(*NAMED) | options).items():
        if value is None or value == _COMMAND_DEFAULTS.get(name) or value in ((), []):
            continue
        values = [str(v) for v in (value if isinstance(value, list | tuple) else [value]) if v is not True]
        if name == "test":
            values = [Path(values[0]).name]
        option = f"--{name.replace('_', '-')}"
        words += [word for v in values for word in (option, v)] if name == "target" else [option, *values]
    if overrides:
        shown = {k: ",".join(map(str, v)) if isinstance(v, list | tuple) else v for k, v in overrides.items()}
        words += ["--set", *(f"{name}={value}" for name, value in shown.items())]
    return shlex.join(words)


def _fold_call(preset, source, overrides, data, *, seed, **options):
    """Return the call that this run is a fold of; it is the same for each of the folds."""
    if preset is None or not all(isinstance(v, str | os.PathLike | None) for v in (source, data.group)):
        return None
    fold, asked = data.test, data.pick(*(name for name in NAMED if name != "test"))
    given = {"folds": fold.folds, "stratified": fold.stratified, "seed": fold.seed}
    defaults = _COMMAND_DEFAULTS | {"stratified": True}
    given |= {k: v for k, v in (asked | options).items() if v is not None and v not in ((), [])} | overrides
    words = [preset.name] if source is None else [preset.name, Path(source).name]
    words = [repr(w) for w in words] + [f"{k}={v!r}" for k, v in given.items() if v != defaults.get(k)]
    return f"kzoo.cross_validate({', '.join(words)})"


def provenance():
    backend = keras.backend.backend()
    packages = (
        "keras",
        "numpy",
        {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}.get(backend, backend),
    )
    versions = {"kzoo": __version__, "python": platform.python_version()} | {p: metadata.version(p) for p in packages}
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return dict(
        format_version=FORMAT_VERSION,
        backend=backend,
        versions=versions,
        machine=machine,
        created=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    )


def finite(value):
    """JSON has no NaN."""
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value

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
from kzoo.data.splits import Fold, as_asked
from kzoo.errors import KzooError
from kzoo.nouns import FORMAT_VERSION, Description
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


def describe(data, data_seed, options) -> Description:
    """Return what identifies data; how a `Dataset` was loaded, it says itself."""
    parts = {name: getattr(data, name) for name in ("train", "validation", "test")}
    return Description(
        name=data.name,
        **(data.loaded or as_asked(data_seed, options)),
        fingerprint=data.fingerprint,
        task=data.task,
        inputs=data.inputs,
        **{name: 0 if part is None else len(part) for name, part in parts.items()},
        class_names=data.class_names,
        feature_names=data.feature_names,
        target_names=data.target_names,
    )


def name_of(start):
    if start is None:
        return None
    if not isinstance(start, str | os.PathLike | keras.Model):
        raise KzooError(f"start={start!r} is none. Give a run's folder, a .keras file or a model.")
    return getattr(start, "name", None) or Path(start).name


def command(preset, source, overrides, **options):
    """Return the command line that repeats the run, with names of files only; None where there is none."""
    if isinstance(options["test"], Fold):
        return _fold_call(preset, source, overrides, **options)
    named = all(isinstance(v, str | os.PathLike | int | float | None) for v in (source, options["test"]))
    if preset is None or not named:
        return None
    words = ["kzoo", "train", word_for(preset)]
    if source is not None:
        words += ["--data", Path(source).name]
    for name, value in options.items():
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


def _fold_call(preset, source, overrides, *, test, seed, data_seed, **options):
    """Return the call that this run is a fold of; it is the same for each of the folds."""
    if preset is None or not all(isinstance(v, str | os.PathLike | None) for v in (source, options["group"])):
        return None
    given = {"folds": test.folds, "stratified": test.stratified, "seed": test.seed}
    defaults = _COMMAND_DEFAULTS | {"stratified": True}
    given |= {k: v for k, v in options.items() if v is not None and v not in ((), [])} | overrides
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

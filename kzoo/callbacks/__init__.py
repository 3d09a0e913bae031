"""Callback bundles: functions that return a fresh, ordered list for `model.fit(callbacks=...)`.

    model.fit(x, y, validation_data=(a, b), callbacks=kzoo.callbacks.standard("runs/mine"))

| bundle     | what it adds to early stopping, best weights and the NaN guard, which all have           |
|------------|------------------------------------------------------------------------------------------|
| `standard` | for a real run: `best.keras`, `last.keras`, `history.csv`, TensorBoard                   |
| `quick`    | for trying things out: the same without TensorBoard                                      |
| `long`     | averaged weights, and the last few checkpoints, by epoch or by the clock                 |
| `tuning`   | for a search: can be deep-copied, writes nothing outside the trial's folder              |
| `debug`    | norms, updates, gradients, dead units and histograms of every layer, and what is wrong   |
| `teaching` | says after each epoch, in plain English or Chinese, what happened and why                |

They work with any Keras model, on every backend. Training that ends well leaves the best weights in the model; for
Ctrl-C and exceptions in plain `fit` there is `restored`.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

import keras
from numpy.typing import ArrayLike

from kzoo.callbacks.average import Average
from kzoo.callbacks.curves import TensorBoard
from kzoo.callbacks.debug import Debug
from kzoo.callbacks.monitor import Monitor, direction
from kzoo.callbacks.nan import NanGuard
from kzoo.callbacks.rate import Plateau
from kzoo.callbacks.record import HistoryFile, Recorder
from kzoo.callbacks.saving import BestModel, Checkpoints
from kzoo.callbacks.teaching import Teacher
from kzoo.utils.argument_checks import checked_arguments
from kzoo.utils.discovery import installed
from kzoo.utils.errors import KzooError

_T = TypeVar("_T")

__all__ = [
    "BestModel", "NanGuard", "Recorder", "debug", "direction", "long", "quick", "restored", "standard", "teaching",
    "tuning",
]  # fmt: skip


def named(name: str) -> Callable[..., list[keras.callbacks.Callback]]:
    """Return the bundle of a name: one of these functions, or one of an installed package.

    A package brings a bundle under the entry-point group `kzoo.callback_bundles`: a function that takes what `standard`
    takes, and returns a list with the callbacks of `standard` among its own.

    Raises:
        KzooError: what the package brings returns no such list.
    """
    own = globals().get(name)
    if own is not None:
        return own
    function = installed("kzoo.callback_bundles")[name]

    def checked(run_dir: str | os.PathLike[str] | None = None, **options: Any) -> list[keras.callbacks.Callback]:
        made = list(function(run_dir, **options))
        for needed in (Recorder, BestModel):
            if not any(isinstance(callback, needed) for callback in made):
                raise KzooError(
                    f"callbacks={name!r} has no {needed.__name__}, which training reads: begin with "
                    "kzoo.callbacks.standard(run_dir, **options), and add to it."
                )
        return made

    return checked


@checked_arguments
def standard(
    run_dir: str | os.PathLike[str] | None = None,
    *,
    monitor: str | None = None,
    mode: Literal["max", "min"] | None = None,
    patience: int = 10,
    stop_early: bool | None = None,
    reduce_on_plateau: bool = False,
    histograms: bool = False,
    tensorboard: bool = True,
    save: Callable[[Path], object] | None = None,
) -> list[keras.callbacks.Callback]:
    """Return the bundle for a real run: best weights kept and restored, files, curves, early stopping.

    Args:
        run_dir: folder for `best.keras`, `last.keras`, `history.csv` and `tensorboard/`; None writes nothing.
        monitor: what decides which epoch is best; None is `val_loss`, or `loss` where there is no validation data.
        mode: "max" or "min", for a metric of your own: kzoo does not know whether larger is better.
        patience: validated epochs without improvement before training stops; as in Keras, 0 is the first such epoch.
        stop_early: None stops early unless the optimizer follows a learning-rate schedule, which needs its full
            length; the best epoch is restored all the same.
        reduce_on_plateau: halve the learning rate after `patience // 2` epochs without improvement. Not
            together with a learning-rate schedule.
        histograms: also write weight histograms to TensorBoard, each epoch.
        tensorboard: False for none of its files.
        save: function that writes the model to a path; the default is `model.save`.

    Raises:
        KzooError: a monitor whose direction is unknown, or histograms without TensorBoard; and, before the first epoch
            of `fit`, one that the model does not report, or two things that change the learning rate.
    """
    if histograms and not tensorboard:
        raise KzooError("histograms=True are files of TensorBoard, and tensorboard=False writes none: leave one out.")
    watched, guard = Monitor(monitor, mode), NanGuard()
    recorder = Recorder(watched)
    # What looks at the weights comes after the average, what saves them after the guard.
    callbacks = [recorder, watched, Average(), guard]
    if reduce_on_plateau:
        callbacks.append(Plateau(watched, patience=max(patience // 2, 1)))
    if tensorboard and run_dir is not None:
        logs = str(Path(run_dir) / "tensorboard")
        callbacks.append(TensorBoard(logs, histograms=histograms))
    callbacks.append(BestModel(run_dir, watched, guard, patience=patience, stop_early=stop_early, save=save))
    callbacks.append(HistoryFile(run_dir, recorder))
    return callbacks


@checked_arguments
def quick(run_dir: str | os.PathLike[str] | None = None, **options: Any) -> list[keras.callbacks.Callback]:
    """Return the bundle for trying things out: `standard` without TensorBoard.

    Args:
        run_dir, options: those of `standard`.
    """
    if wrong := [name for name in ("tensorboard", "histograms") if options.get(name)]:
        raise KzooError(f"{wrong[0]}=True is for callbacks.standard: this bundle writes no files of TensorBoard.")
    return standard(run_dir, **options | {"tensorboard": False})


@checked_arguments
def long(
    run_dir: str | os.PathLike[str] | None = None, *, keep: int = 3, every: float | None = None, **options: Any
) -> list[keras.callbacks.Callback]:
    """Return the bundle for long training: averaged weights, and the last checkpoints beside the best one.

    The average (https://doi.org/10.1137/0330046) is the optimizer's: compile with
    `keras.optimizers.Adam(use_ema=True)`; `kzoo.train` does. It is what is validated, saved and left in the model.

    Args:
        run_dir: also gets `checkpoints/epoch-0012.keras`.
        keep: how many checkpoints stay.
        every: seconds from one checkpoint to the next, looked at after each step too; None: one each epoch.
        options: those of `standard`.

    Raises:
        KzooError: `keep` or `every` out of range; and what `standard` raises.
    """
    bundle = standard(run_dir, **options)
    _one(bundle, Average).wanted = True
    if run_dir is not None:
        guard, save = _one(bundle, NanGuard), options.get("save")
        _before_best(bundle, Checkpoints(Path(run_dir) / "checkpoints", guard, keep=keep, every=every, save=save))
    return bundle


@checked_arguments
def tuning(run_dir: str | os.PathLike[str] | None = None, **options: Any) -> list[keras.callbacks.Callback]:
    """Return the bundle for a search such as KerasTuner's, which deep-copies it for each trial.

    It writes nothing but, where it is given the trial's folder, `history.csv` and the two models there.

    Args:
        run_dir, options: those of `standard`.
    """
    return quick(run_dir, **options)


@checked_arguments
def debug(
    run_dir: str | os.PathLike[str] | None = None, *, sample: tuple[ArrayLike, ArrayLike] | None = None, **options: Any
) -> list[keras.callbacks.Callback]:
    """Return the bundle for a network that does not learn: statistics of every layer, and what is wrong with them.

    Args:
        run_dir: also gets `debug.csv`, a row for each epoch and layer, and weight histograms for TensorBoard.
        sample: `(x, y)`, a batch of training data, for gradients, activations and dead units too.
        options: those of `standard`.
    """
    bundle = standard(run_dir, **{"histograms": options.get("tensorboard", True)} | options)
    _before_best(bundle, Debug(run_dir, sample))
    return bundle


@checked_arguments
def teaching(run_dir: str | os.PathLike[str] | None = None, **options: Any) -> list[keras.callbacks.Callback]:
    """Return the bundle that says after each epoch what happened and why: best so far, overfitting, patience.

    Args:
        run_dir, options: those of `standard`.
    """
    bundle = quick(run_dir, **options)
    return [*bundle, Teacher(_one(bundle, Monitor), _one(bundle, BestModel))]


@contextmanager
def restored(bundle: list[keras.callbacks.Callback]) -> Iterator[list[keras.callbacks.Callback]]:
    """Leave the best weights in the model and write the files when `fit` is interrupted or raises, too.

    Keras tells its callbacks nothing then. The exception goes on.

        with kzoo.callbacks.restored(bundle):
            model.fit(x, y, callbacks=bundle)
    """
    try:
        yield bundle
    finally:
        _one(bundle, BestModel).finish()


def _before_best(bundle: list[keras.callbacks.Callback], callback: keras.callbacks.Callback) -> None:
    bundle.insert(bundle.index(_one(bundle, BestModel)), callback)


def _one(bundle: Sequence[keras.callbacks.Callback], kind: type[_T]) -> _T:
    return next(callback for callback in bundle if isinstance(callback, kind))

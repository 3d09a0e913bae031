"""Callback bundles: functions that return a fresh, ordered list for `model.fit(callbacks=...)`.

    model.fit(x, y, validation_data=(a, b), callbacks=kzoo.callbacks.standard("runs/mine"))

| bundle     | in addition to early stopping, best weights and the NaN guard, which all bundles have    |
|------------|------------------------------------------------------------------------------------------|
| `standard` | for a real run: `best.keras`, `last.keras`, `history.csv`, TensorBoard                   |
| `quick`    | for experiments: `standard` without TensorBoard                                          |
| `long`     | averaged weights, and the last few checkpoints, one per epoch or every few seconds       |
| `tuning`   | for a search: can be deep-copied, writes nothing outside the trial's folder              |
| `debug`    | norms, updates, gradients, dead units and histograms of every layer, and their problems  |
| `teaching` | explains after each epoch, in plain English or Chinese, what happened and why            |

They work with any Keras model, on every backend. `fit` that ends normally leaves the best weights in the model; use
`restored` to get them after Ctrl-C or an exception, too.
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
    "BestModel",
    "NanGuard",
    "Recorder",
    "debug",
    "direction",
    "long",
    "quick",
    "restored",
    "standard",
    "teaching",
    "tuning",
]


def get_bundle(name: str) -> Callable[..., list[keras.callbacks.Callback]]:
    """Return the bundle function of a name: one of this module, or one of an installed package.

    A package adds a bundle under the entry-point group `kzoo.callback_bundles`: a function that takes the arguments of
    `standard`, and returns a list that includes the callbacks of `standard`.

    Raises:
        KzooError: the list that the package's function returns lacks a `Recorder` or a `BestModel`.
    """
    bundle = globals().get(name)
    if bundle is not None:
        return bundle
    function = installed("kzoo.callback_bundles")[name]

    def checked(
        run_dir: str | os.PathLike[str] | None = None, **options: Any
    ) -> list[keras.callbacks.Callback]:
        callbacks = list(function(run_dir, **options))
        for required in (Recorder, BestModel):
            if not any(isinstance(callback, required) for callback in callbacks):
                raise KzooError(
                    f"has no {required.__name__}, which training needs. Start from "
                    "kzoo.callbacks.standard(run_dir, **options) and add your callbacks to that list.",
                    argument="callbacks",
                    value=name,
                )
        return callbacks

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
    """Return the bundle for a real run: best weights saved and restored, model files, curves, early stopping.

    Args:
        run_dir: folder for `best.keras`, `last.keras`, `history.csv` and `tensorboard/`; None writes nothing.
        monitor: name of the metric that decides which epoch is best; None is `val_loss`, or `loss` without validation
            data.
        mode: "max" or "min", for a custom metric, whose direction kzoo does not know.
        patience: number of validated epochs without improvement before training stops; 0 stops at the first one.
        stop_early: None stops early unless the optimizer follows a learning-rate schedule, which needs its full
            length; the best epoch is restored in either case.
        reduce_on_plateau: halve the learning rate after `patience // 2` epochs without improvement. Cannot be combined
            with a learning-rate schedule.
        histograms: also write weight histograms to TensorBoard, each epoch.
        tensorboard: False writes no TensorBoard files.
        save: function that writes the model to a path; the default is `model.save`.

    Raises:
        KzooError: the direction of `monitor` is unknown, or `histograms` without TensorBoard; and, before the first
            epoch of `fit`, the model does not report `monitor`, or two callbacks or schedules change the learning rate.

    Examples:
        >>> import os
        >>> import keras
        >>> from sklearn.datasets import load_iris
        >>> x, y = load_iris(return_X_y=True)
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
        >>> model.compile("adam", "sparse_categorical_crossentropy")
        >>> bundle = kzoo.callbacks.standard("runs/keras-standard")
        >>> history = model.fit(x, y, validation_split=0.2, epochs=2, verbose=0, callbacks=bundle)
        >>> sorted(os.listdir("runs/keras-standard"))
        ['best.keras', 'history.csv', 'last.keras', 'tensorboard']
    """
    if histograms and not tensorboard:
        raise KzooError(
            "writes TensorBoard files, but tensorboard=False turns them off. Omit one of the "
            "two arguments.",
            argument="histograms",
            value=True,
        )
    watched = Monitor(monitor, mode)
    guard = NanGuard()
    recorder = Recorder(watched)
    # The order matters: callbacks that read the weights come after the average, those that save them after the guard.
    callbacks = [recorder, watched, Average(), guard]
    if reduce_on_plateau:
        callbacks.append(Plateau(watched, patience=max(patience // 2, 1)))
    if tensorboard and run_dir is not None:
        logs = str(Path(run_dir) / "tensorboard")
        callbacks.append(TensorBoard(logs, histograms=histograms))
    callbacks.append(
        BestModel(run_dir, watched, guard, patience=patience, stop_early=stop_early, save=save)
    )
    callbacks.append(HistoryFile(run_dir, recorder))
    return callbacks


@checked_arguments
def quick(
    run_dir: str | os.PathLike[str] | None = None, **options: Any
) -> list[keras.callbacks.Callback]:
    """Return the bundle for experiments: `standard` without TensorBoard.

    Args:
        run_dir, options: those of `standard`.

    Raises:
        KzooError: `tensorboard` or `histograms` is True; and as `standard`.

    Examples:
        >>> import os
        >>> from sklearn.datasets import load_iris
        >>> x, y = load_iris(return_X_y=True)
        >>> model = kzoo.build("iris_fnn")
        >>> bundle = kzoo.callbacks.quick("runs/keras-quick")
        >>> history = model.fit(x, y, validation_split=0.2, epochs=2, verbose=0, callbacks=bundle)
        >>> sorted(os.listdir("runs/keras-quick"))
        ['best.keras', 'history.csv', 'last.keras']
    """
    if unsupported := [name for name in ("tensorboard", "histograms") if options.get(name)]:
        raise KzooError(
            f"{unsupported[0]}=True needs callbacks.standard: this bundle writes no TensorBoard files."
        )
    return standard(run_dir, **options | {"tensorboard": False})


@checked_arguments
def long(
    run_dir: str | os.PathLike[str] | None = None,
    *,
    keep: int = 3,
    every: float | None = None,
    **options: Any,
) -> list[keras.callbacks.Callback]:
    """Return the bundle for long training: averaged weights, and the last few checkpoints in addition to the best one.

    The optimizer computes the average (https://doi.org/10.1137/0330046): compile with
    `keras.optimizers.Adam(use_ema=True)`, as `kzoo.train` does. The averaged weights are validated, saved and left in
    the model.

    Args:
        run_dir: also gets `checkpoints/epoch-0012.keras`.
        keep: number of checkpoints to keep.
        every: seconds between checkpoints, also checked after each step; None writes one after each epoch.
        options: those of `standard`.

    Raises:
        KzooError: `keep` or `every` is out of range; and as `standard`.

    Examples:
        >>> import os
        >>> import keras
        >>> from sklearn.datasets import load_iris
        >>> x, y = load_iris(return_X_y=True)
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
        >>> model.compile(keras.optimizers.Adam(use_ema=True), "sparse_categorical_crossentropy")
        >>> bundle = kzoo.callbacks.long("runs/keras-long")
        >>> history = model.fit(x, y, validation_split=0.2, epochs=2, verbose=0, callbacks=bundle)
        >>> sorted(os.listdir("runs/keras-long"))
        ['best.keras', 'checkpoints', 'history.csv', 'last.keras', 'tensorboard']
    """
    bundle = standard(run_dir, **options)
    _find(bundle, Average).warn_if_missing = True
    if run_dir is not None:
        guard = _find(bundle, NanGuard)
        save = options.get("save")
        _insert_before_best(
            bundle,
            Checkpoints(Path(run_dir) / "checkpoints", guard, keep=keep, every=every, save=save),
        )
    return bundle


@checked_arguments
def tuning(
    run_dir: str | os.PathLike[str] | None = None, **options: Any
) -> list[keras.callbacks.Callback]:
    """Return the bundle for a search such as KerasTuner's, which deep-copies it for each trial.

    Given the trial's folder, it writes `history.csv` and the two models there; otherwise it writes nothing.

    Args:
        run_dir, options: those of `standard`.

    Raises:
        KzooError: as `quick`.

    Examples:
        >>> import os
        >>> from sklearn.datasets import load_iris
        >>> x, y = load_iris(return_X_y=True)
        >>> model = kzoo.build("iris_fnn")
        >>> bundle = kzoo.callbacks.tuning("runs/keras-tuning")
        >>> history = model.fit(x, y, validation_split=0.2, epochs=2, verbose=0, callbacks=bundle)
        >>> sorted(os.listdir("runs/keras-tuning"))
        ['best.keras', 'history.csv', 'last.keras']
    """
    return quick(run_dir, **options)


@checked_arguments
def debug(
    run_dir: str | os.PathLike[str] | None = None,
    *,
    sample: tuple[ArrayLike, ArrayLike] | None = None,
    **options: Any,
) -> list[keras.callbacks.Callback]:
    """Return the bundle for a network that does not learn: statistics of every layer, and a diagnosis of problems.

    Args:
        run_dir: also gets `debug.csv`, a row for each epoch and layer, and weight histograms for TensorBoard.
        sample: `(x, y)`, a batch of training data, (B, ...) inputs and (B, ...) targets; adds gradients, activations
            and dead units.
        options: those of `standard`.

    Raises:
        KzooError: as `standard`.

    Examples:
        >>> from sklearn.datasets import load_iris
        >>> x, y = load_iris(return_X_y=True)
        >>> model = kzoo.build("iris_fnn")
        >>> bundle = kzoo.callbacks.debug("runs/keras-debug", sample=(x[:32], y[:32]))
        >>> history = model.fit(x, y, validation_split=0.2, epochs=2, verbose=0, callbacks=bundle)
        >>> import pandas as pd
        >>> list(pd.read_csv("runs/keras-debug/debug.csv"))[:4]
        ['epoch', 'layer', 'weight_norm', 'update_ratio']
    """
    bundle = standard(run_dir, **{"histograms": options.get("tensorboard", True)} | options)
    _insert_before_best(bundle, Debug(run_dir, sample))
    return bundle


@checked_arguments
def teaching(
    run_dir: str | os.PathLike[str] | None = None, **options: Any
) -> list[keras.callbacks.Callback]:
    """Return the bundle that explains after each epoch what happened and why: best so far, overfitting, patience.

    Args:
        run_dir, options: those of `standard`.

    Raises:
        KzooError: as `quick`.

    Examples:
        >>> from sklearn.datasets import load_iris
        >>> x, y = load_iris(return_X_y=True)
        >>> model = kzoo.build("iris_fnn")
        >>> bundle = kzoo.callbacks.teaching()  # prints sentences, also with verbose=0
        >>> history = model.fit(x, y, validation_split=0.2, epochs=2, verbose=0, callbacks=bundle)
    """
    bundle = quick(run_dir, **options)
    return [*bundle, Teacher(_find(bundle, Monitor), _find(bundle, BestModel))]


@contextmanager
def restored(bundle: list[keras.callbacks.Callback]) -> Iterator[list[keras.callbacks.Callback]]:
    """Restore the best weights and write the files also when `fit` is interrupted or raises.

    Keras does not call its callbacks in that case. The exception is raised again.

    Args:
        bundle: the list that a bundle function returned.

    Yields:
        The bundle.

    Examples:
        >>> from sklearn.datasets import load_iris
        >>> x, y = load_iris(return_X_y=True)
        >>> model = kzoo.build("iris_fnn")
        >>> bundle = kzoo.callbacks.standard("runs/keras-restored")
        >>> with kzoo.callbacks.restored(bundle):
        ...     history = model.fit(x, y, validation_split=0.2, epochs=2, verbose=0, callbacks=bundle)
    """
    try:
        yield bundle
    finally:
        _find(bundle, BestModel).finish()


def _insert_before_best(
    bundle: list[keras.callbacks.Callback], callback: keras.callbacks.Callback
) -> None:
    bundle.insert(bundle.index(_find(bundle, BestModel)), callback)


def _find(bundle: Sequence[keras.callbacks.Callback], callback_type: type[_T]) -> _T:
    return next(callback for callback in bundle if isinstance(callback, callback_type))

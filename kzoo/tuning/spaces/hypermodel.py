"""`hypermodel`: a preset and its space as a KerasTuner `HyperModel`, for use with KerasTuner's tuners."""

import math
import re
import warnings
from collections.abc import Iterator, Sized
from contextlib import contextmanager
from typing import Any

import keras
import keras_tuner
import numpy as np

from kzoo.problems.stored_types import Config, TrainingSettings
from kzoo.training.adapt import balanced_class_weights
from kzoo.tuning.engines.keras_tuner_private import round_of
from kzoo.tuning.spaces.space import Space, space
from kzoo.utils.errors import KzooError, KzooWarning, short_errors
from kzoo.utils.files import JsonObject
from kzoo.zoo import contract
from kzoo.zoo.registry import IGNORED_BY_FIT, Preset, build, get_preset, resolve
from kzoo.zoo.registry.arguments import OF_FIT


@short_errors
def hypermodel(
    preset: str | Preset, space: str | Space = "standard", **overrides: Any
) -> keras_tuner.HyperModel:
    """Return a KerasTuner `HyperModel` of a preset.

    Arguments of KerasTuner's `search` are passed to `keras.Model.fit`, with the trial's batch size, schedules for the
    whole training, class weights as in the preset, and labels as the loss needs them. Images are not augmented, so
    augmentation is not searched.

    Args:
        preset: a preset's name, or a `Preset`.
        space: "quick", "standard" or "full", or a `Space` of this preset.
        overrides: settings of the preset that are not searched, such as `outputs=3`.

    Raises:
        KzooError: the preset, size or a setting is unknown, only `kzoo.train` supports a setting, the space is of
            another preset, or the preset trains its members separately.

    Examples:
        >>> import keras_tuner
        >>> from sklearn.datasets import load_iris
        >>> x, y = load_iris(return_X_y=True)
        >>> model = kzoo.hypermodel("iris_fnn", "quick")
        >>> tuner = keras_tuner.RandomSearch(model, objective="val_loss", max_trials=2, directory="tuner")
        >>> tuner.search(x, y, validation_split=0.2, epochs=1, verbose=0)
        >>> tuner.get_best_models()[0].output_shape
        (None, 3)
    """
    preset = get_preset(preset)
    if overrides.get("members", preset.config.get("members")) is not None:
        raise KzooError(
            f"{preset.name} trains each of its members separately, which Keras' fit does not support. Use kzoo.tune."
        )
    search_space = _space_of(preset, space)
    _check_ignored(preset, {**search_space.fixed, **overrides})
    if "augment" in preset.training and "augment" not in search_space.fixed:
        overrides = {"augment": ()} | overrides
    return PresetHyperModel(search_space.fix(**overrides))


def _check_ignored(preset: Preset, fixed: Config) -> None:
    """Raise KzooError for fixed settings that KerasTuner does not pass to Keras' fit."""
    for name in sorted({*OF_FIT} - {"batch_size", "patience"}):
        unchanged = "balanced" if name == "class_weight" else preset.training.get(name)
        if fixed.get(name) not in (None, (), [], False, unchanged):
            raise KzooError(
                "has no effect here, because KerasTuner's search sets the arguments of fit. "
                "Omit it or use kzoo.tune.",
                argument=name,
                value=fixed[name],
            )


def _space_of(preset: Preset, requested: str | Space) -> Space:
    if not isinstance(requested, Space):
        return space(preset, requested)
    if requested.preset.name != preset.name:
        raise KzooError(
            f"This space is for {requested.preset.name}, not for {preset.name}. Use kzoo.space({preset.name!r})."
        )
    return requested


class PresetHyperModel(keras_tuner.HyperModel):
    """A preset with the overrides of a point of its space.

    Args:
        space: the space.
    """

    def __init__(self, space: Space) -> None:
        super().__init__(name=space.preset.name)
        self.space = space

    def declare_hyperparameters(self, hp: keras_tuner.HyperParameters) -> None:
        """Declare every hyperparameter before the first trial."""
        self.space.declare(hp)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Return the compiled network of a point.

        Raises:
            keras_tuner.errors.FailedTrialError: it has more parameters than the space allows; nothing is trained.
        """
        self.space.declare(hp)
        overrides, (config, training) = self.space.overrides(hp), self._settings(hp)
        if contract.needs_onehot(self.space.preset.task, config, training):
            overrides = overrides | {"labels": "onehot"}
        with without_fit_warnings():
            model = build(self.space.preset, **overrides)
        params = model.count_params()
        limit = self.space.max_params
        if limit is not None and params > limit:
            raise keras_tuner.errors.FailedTrialError(
                f"The network has {params:,} parameters, more than the limit of {limit:,}."
            )
        return model

    def fit(
        self,
        hp: keras_tuner.HyperParameters,
        model: keras.Model,
        x: Sized | None = None,
        y: Sized | None = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Train a point's network with `keras.Model.fit`, and return its history.

        Args:
            hp: the point.
            model: its network.
            x, y: arrays, or a data set alone, which has its own batches.
            kwargs: more arguments of `keras.Model.fit`.

        Raises:
            KzooError: batch_size is passed, or label smoothing or class weights without an array of labels.
        """
        config, training = self._settings(hp)
        task = self.space.preset.task
        if y is not None:
            if "batch_size" in kwargs:
                raise KzooError(
                    "batch_size is a setting of the preset. Fix it with space.fix(batch_size=...)."
                )
            kwargs["batch_size"] = training["batch_size"]
        if training.get("class_weight") is not None and "class_weight" not in kwargs:
            if y is None:
                raise KzooError(
                    "class_weight requires labels as an array y. Disable it with class_weight=None."
                )
            kwargs["class_weight"] = _balanced_weights(y)
        if contract.needs_onehot(task, config, training) and training.get("labels") != "onehot":
            if y is None:
                raise KzooError(
                    "Label smoothing requires labels as an array y. Disable it with space.fix(label_smoothing=0)."
                )
            training = training | {"labels": "onehot"}
            y = keras.utils.to_categorical(y, config["outputs"])
            if kwargs.get("validation_data") is not None:
                inputs, labels, *weights = kwargs["validation_data"]
                labels = keras.utils.to_categorical(labels, config["outputs"])
                kwargs["validation_data"] = (inputs, labels, *weights)
        if round_of(hp) is None:  # Hyperband trains in rounds, and a schedule would restart in each
            steps = _steps(x, y, kwargs)
            contract.compile_model(model, task=task, config=config, training=training, steps=steps)
        if training.get("schedule") == "plateau":
            kwargs["callbacks"] = [*(kwargs.get("callbacks") or ()), _plateau(training, kwargs)]
        return model.fit(x, y, **kwargs)

    def _settings(self, hp: keras_tuner.HyperParameters) -> tuple[dict[str, Any], dict[str, Any]]:
        return resolve(self.space.preset, self.space.overrides(hp))


@contextmanager
def without_fit_warnings() -> Iterator[None]:
    """Silence the warnings of `kzoo.build` about settings that Keras' fit ignores: the caller applies them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", re.escape(IGNORED_BY_FIT), KzooWarning)
        yield


def _plateau(training: TrainingSettings, kwargs: JsonObject) -> keras.callbacks.Callback:
    monitor = (
        "val_loss" if kwargs.get("validation_data") or kwargs.get("validation_split") else "loss"
    )
    patience = max(training.get("patience", 10) // 2, 1)
    return keras.callbacks.ReduceLROnPlateau(monitor=monitor, factor=0.5, patience=patience)


def _balanced_weights(y: object) -> dict[int, float]:
    """Return class -> weight by inverse frequency of integer or one-hot labels."""
    labels = np.asarray(y)
    labels = labels.argmax(-1) if labels.ndim == 2 and labels.shape[-1] > 1 else labels
    classes, counts = np.unique(labels, return_counts=True)
    return dict(zip(map(int, classes), balanced_class_weights(counts).values(), strict=True))


def _steps(x: Sized | None, y: Sized | None, kwargs: JsonObject) -> int | None:
    """Return the number of training steps, None if the length of the data is unknown."""
    epochs = kwargs.get("epochs", 1)
    if y is not None:
        rows = math.ceil(len(y) * (1 - (kwargs.get("validation_split") or 0.0)))
        return math.ceil(rows / kwargs["batch_size"]) * epochs
    try:
        return None if x is None else len(x) * epochs
    except TypeError:
        return None

"""What decides which epoch is best: its name, its direction, and whether it can be watched at all."""

import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any, Literal

import keras

from kzoo.callbacks.rate import check_single_schedule
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import hint
from kzoo.utils.metric_directions import direction_by_name


def direction(monitor: str, outputs: Sequence[str] | None = None) -> Literal["max", "min"]:
    """Return "max" or "min" for a metric's name, with or without `val_` and the name of one of several outputs.

    Args:
        outputs: names of the model's outputs; None where they are not known, and any will do.

    Raises:
        KzooError: the direction is not known.
    """
    known, output = direction_by_name(monitor)
    if known is None or (output and outputs is not None and output not in map(str.lower, outputs)):
        raise KzooError(f"monitor={monitor!r} is unknown: is larger or smaller better? Add mode='max' or mode='min'.")
    return known


def reported(model: keras.Model) -> list[str] | None:
    """Return the names of what the epochs of `fit` will report, or None where that is not known before the first.

    TensorFlow's `fit` builds the metrics within the first step, so what was compiled is what there is to read.
    """
    own = ("train_step", "test_step", "compute_metrics", "get_metrics_result")
    if any(getattr(type(model), name) is not getattr(keras.Model, name) for name in own):
        return None
    compiled = getattr(model, "_compile_metrics", None)
    asked = [getattr(compiled, name, None) for name in ("_user_metrics", "_user_weighted_metrics")]
    names = [_name_of(metric) for metric in keras.tree.flatten(asked) if metric is not None]
    if None in names:
        return None
    outputs = list(getattr(model, "output_names", None) or ())
    prefixed = [f"{output}_{name}" for output in outputs for name in (*names, "loss")] if len(outputs) > 1 else []
    kept = [name for name in model.metrics_names if name != "compile_metrics"]
    return list(dict.fromkeys([*kept, *(prefixed or names)]))


def _name_of(metric: Any) -> str | None:
    """Return what Keras will call a metric, or None for what it makes a name of itself: a class, a lambda."""
    if isinstance(metric, str):
        return metric
    if isinstance(getattr(metric, "name", None), str):
        return metric.name
    name = getattr(metric, "__name__", "")
    return name if name.isidentifier() and name == name.lower() else None


class Monitor(keras.callbacks.Callback):
    """Know what is watched; refuse before the first epoch what cannot be watched.

    Before anything that keeps, saves or stops. The others of a bundle ask it for `name`, `sign` and `value`.

    Args:
        name: a metric's, with `val_` for the validation data; None is `val_loss`, or `loss` without such data.
        mode: "max" or "min", for a metric that kzoo does not know, or that a callback of yours puts into the logs:
            with it, a name that the model does not report is looked for after the first epoch.

    Raises:
        KzooError: a name whose direction is unknown, or a `mode` that is not what the name means.
    """

    def __init__(self, name: str | None = None, mode: Literal["max", "min"] | None = None) -> None:
        super().__init__()
        if mode not in (None, "max", "min"):
            raise KzooError(f"mode={mode!r} must be 'max' (larger is better), 'min', or None for a metric kzoo knows.")
        self.asked, self.mode, self.name = name, mode, "val_loss" if name is None else name
        known, output = direction_by_name(self.name)
        if mode is not None and not output and known not in (None, mode):
            raise KzooError(f"mode={mode!r} is wrong for monitor={self.name!r}: it is {known!r}. Leave mode out.")
        self.sign = 1 if (mode or direction(self.name)) == "max" else -1
        self.validated: bool | None = None  # whether there is validation data; None is unknown

    def on_train_begin(self, logs: Any = None) -> None:
        self.name = "val_loss" if self.asked is None else self.asked
        call = _arguments_of_fit(self.model)
        check_single_schedule(self.model.optimizer, call.get("callbacks", ()))
        self.validated = call["validation_data"] is not None if call else None
        if self.asked is None and self.validated is False:
            self._watch_loss()
        elif self.asked is not None:
            self._check(self.name)
            if self.mode is None:
                direction(self.name, getattr(self.model, "output_names", None) or ())

    def _check(self, name: str) -> None:
        names, metric = reported(self.model), name.removeprefix("val_")
        if names is not None and metric not in names:
            if self.mode is None:
                raise KzooError(_not_reported(name, names, self.validated))
        elif name.startswith("val_") and self.validated is False:
            raise KzooError(f"monitor={name!r} needs validation data. Pass validation_data=, or watch {metric!r}.")

    def value(self, logs: Any) -> float | None:
        """Return the watched value of an epoch, or None where this epoch was not validated.

        Raises:
            KzooError: it is nowhere.
        """
        if self.name in logs:
            return float(logs[self.name])
        if self.name.startswith("val_") and self.validated and not any(name.startswith("val_") for name in logs):
            return None  # validation_freq=2
        if self.asked is None and "loss" in logs:
            self._watch_loss()
            return float(logs["loss"])
        names = [name for name in logs if not name.startswith(("val_", "learning_rate"))]
        raise KzooError(_not_reported(self.name, names, any(name.startswith("val_") for name in logs)))

    def last_validation(self, epoch: int, logs: Any) -> dict[str, float]:
        """Return the scores of the last epoch on the validation data, which `validation_freq=` may have passed over."""
        known = any(name.startswith("val_") for name in logs)
        if known or not self.validated or epoch + 1 != (self.params or {}).get("epochs"):
            return {}
        call = _arguments_of_fit(self.model)
        if call.get("validation_data") is None:
            return {}
        x, y, weights = keras.utils.unpack_x_y_sample_weight(call["validation_data"])
        given = dict(batch_size=call["batch_size"], steps=call["steps"], sample_weight=weights)
        scores = self.model.evaluate(x, y, **given, callbacks=call["list"], verbose=0, return_dict=True)
        return {f"val_{name}": value for name, value in scores.items()}

    def _watch_loss(self) -> None:
        self.name = "loss"
        print("No val_loss, there is no validation data: watching loss.", file=sys.stderr)


def _arguments_of_fit(model: keras.Model) -> dict[str, Any]:
    """Return the validation data and the callbacks of the `fit` that is running, or {} if it is not seen.

    Keras 3 tells a callback neither before the first epoch ends. Both are variables of the `fit` that calls us, on
    every backend; should that change, the checks that need them come at the end of the first epoch instead.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "fit":
            seen = frame.f_locals
            if seen.get("self") is model and isinstance(seen.get("callbacks"), keras.callbacks.CallbackList):
                return dict(
                    validation_data=seen.get("validation_data"),
                    callbacks=list(seen["callbacks"].callbacks),
                    list=seen["callbacks"],
                    batch_size=seen.get("validation_batch_size") or seen.get("batch_size"),
                    steps=seen.get("validation_steps"),
                )
        frame = frame.f_back
    return {}


def _not_reported(name: str, names: Sequence[str], validated: bool | None) -> str:
    legal = [*([f"val_{n}" for n in names] if validated is not False else []), *names]
    return f"monitor={name!r} is not reported. {hint(name, legal)}Use one of: {', '.join(legal)}."

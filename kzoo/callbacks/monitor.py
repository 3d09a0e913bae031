"""The monitored metric, which decides which epoch is best: its name, its direction, and whether it is available."""

import sys
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Literal

import keras

from kzoo.callbacks.rate import check_single_schedule
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import hint
from kzoo.utils.metric_directions import direction_by_name


def direction(monitor: str, outputs: Sequence[str] | None = None) -> Literal["max", "min"]:
    """Return "max" or "min" for a metric's name, with or without `val_` and the name of one of several outputs.

    Args:
        monitor: name of the metric, such as `val_accuracy`.
        outputs: names of the model's outputs; None accepts any name.

    Raises:
        KzooError: the direction is unknown.

    Examples:
        >>> kzoo.callbacks.direction("val_accuracy"), kzoo.callbacks.direction("val_loss")
        ('max', 'min')
    """
    mode, output = direction_by_name(monitor)
    if mode is None or (output and outputs is not None and output not in map(str.lower, outputs)):
        raise KzooError(
            "has an unknown direction: is larger or smaller better? Add mode='max' or mode='min'.",
            argument="monitor",
            value=monitor,
        )
    return mode


def reported_metrics(model: keras.Model) -> list[str] | None:
    """Return the names of the metrics that `fit` will report, or None if they are unknown before the first epoch.

    TensorFlow's `fit` builds the metrics during the first step, so before it only the arguments of `compile` are known.
    """
    overridable = ("train_step", "test_step", "compute_metrics", "get_metrics_result")
    if any(getattr(type(model), name) is not getattr(keras.Model, name) for name in overridable):
        return None
    compiled = getattr(model, "_compile_metrics", None)
    compiled_metrics = [
        getattr(compiled, name, None) for name in ("_user_metrics", "_user_weighted_metrics")
    ]
    names = [
        _metric_name(metric)
        for metric in keras.tree.flatten(compiled_metrics)
        if metric is not None
    ]
    if None in names:
        return None
    outputs = list(getattr(model, "output_names", None) or ())
    prefixed = (
        [f"{output}_{name}" for output in outputs for name in (*names, "loss")]
        if len(outputs) > 1
        else []
    )
    tracked = [name for name in model.metrics_names if name != "compile_metrics"]
    return list(dict.fromkeys([*tracked, *(prefixed or names)]))


def _metric_name(metric: object) -> str | None:
    """Return the name that Keras will give a metric, or None if Keras derives it otherwise (a class, a lambda)."""
    if isinstance(metric, str):
        return metric
    if isinstance(name := getattr(metric, "name", None), str):
        return name
    function = getattr(metric, "__name__", "")
    return function if function.isidentifier() and function == function.lower() else None


class Monitor(keras.callbacks.Callback):
    """Hold the name and direction of the monitored metric; raise before the first epoch if it cannot be monitored.

    Must come before callbacks that keep, save or stop, which read its `name`, `sign` and `value`.

    Args:
        name: the metric's name, with `val_` for the validation data; None is `val_loss`, or `loss` without such data.
        mode: "max" or "min", for a metric that kzoo does not know, or that a custom callback adds to the logs. With it,
            a name that the model does not report is checked only after the first epoch.

    Raises:
        KzooError: the direction of `name` is unknown, or `mode` contradicts it.
    """

    def __init__(self, name: str | None = None, mode: Literal["max", "min"] | None = None) -> None:
        super().__init__()
        if mode not in (None, "max", "min"):
            raise KzooError(
                "must be 'max' (larger is better), 'min' (smaller is better), or None for a metric that "
                "kzoo knows.",
                argument="mode",
                value=mode,
            )
        self.requested = name
        self.mode = mode
        self.name = "val_loss" if name is None else name
        default_mode, output = direction_by_name(self.name)
        if mode is not None and not output and default_mode not in (None, mode):
            raise KzooError(
                f"is wrong for monitor={self.name!r}: it is {default_mode!r}. Leave mode out.",
                argument="mode",
                value=mode,
            )
        self.sign = 1 if (mode or direction(self.name)) == "max" else -1
        self.validated: bool | None = None  # whether `fit` has validation data; None: unknown

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self.name = "val_loss" if self.requested is None else self.requested
        call = _fit_arguments(self.model)
        check_single_schedule(self.model.optimizer, call.get("callbacks", ()))
        self.validated = call["validation_data"] is not None if call else None
        if self.requested is None and self.validated is False:
            self._watch_loss()
        elif self.requested is not None:
            self._check(self.name)
            if self.mode is None:
                direction(self.name, getattr(self.model, "output_names", None) or ())

    def _check(self, name: str) -> None:
        names = reported_metrics(self.model)
        metric = name.removeprefix("val_")
        if names is not None and metric not in names:
            if self.mode is None:
                raise KzooError(_not_reported(name, names, self.validated))
        elif name.startswith("val_") and self.validated is False:
            raise KzooError(
                f"needs validation data. Pass validation_data=, or monitor={metric!r}.",
                argument="monitor",
                value=name,
            )

    def value(self, logs: Mapping[str, float]) -> float | None:
        """Return the monitored value of an epoch, or None if the epoch was not validated.

        Raises:
            KzooError: the logs do not contain it.
        """
        if self.name in logs:
            return float(logs[self.name])
        if (
            self.name.startswith("val_")
            and self.validated
            and not any(name.startswith("val_") for name in logs)
        ):
            return None  # as with validation_freq=2
        if self.requested is None and "loss" in logs:
            self._watch_loss()
            return float(logs["loss"])
        names = [name for name in logs if not name.startswith(("val_", "learning_rate"))]
        raise KzooError(
            _not_reported(self.name, names, any(name.startswith("val_") for name in logs))
        )

    def last_validation(self, epoch: int, logs: Mapping[str, float]) -> dict[str, float]:
        """Return the validation metrics of the last epoch if `validation_freq` skipped them, else an empty dict."""
        has_validation = any(name.startswith("val_") for name in logs)
        if has_validation or not self.validated or epoch + 1 != (self.params or {}).get("epochs"):
            return {}
        call = _fit_arguments(self.model)
        if call.get("validation_data") is None:
            return {}
        x, y, weights = keras.utils.unpack_x_y_sample_weight(call["validation_data"])
        options = dict(batch_size=call["batch_size"], steps=call["steps"], sample_weight=weights)
        scores = self.model.evaluate(
            x, y, **options, callbacks=call["list"], verbose=0, return_dict=True
        )
        return {f"val_{name}": value for name, value in scores.items()}

    def _watch_loss(self) -> None:
        self.name = "loss"
        print("There is no validation data for val_loss: monitoring loss.", file=sys.stderr)


def _fit_arguments(model: keras.Model) -> JsonObject:
    """Return the validation data and the callbacks of the running `fit`, or {} if no such frame is on the stack.

    Keras 3 gives a callback neither before the first epoch ends. On every backend both are local variables of the
    calling `fit`; if that changes, the checks that need them run at the end of the first epoch instead.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "fit":
            variables = frame.f_locals
            if variables.get("self") is model and isinstance(
                variables.get("callbacks"), keras.callbacks.CallbackList
            ):
                return dict(
                    validation_data=variables.get("validation_data"),
                    callbacks=list(variables["callbacks"].callbacks),
                    list=variables["callbacks"],
                    batch_size=variables.get("validation_batch_size")
                    or variables.get("batch_size"),
                    steps=variables.get("validation_steps"),
                )
        frame = frame.f_back
    return {}


def _not_reported(name: str, names: Sequence[str], validated: bool | None) -> str:
    candidates = [*([f"val_{n}" for n in names] if validated is not False else []), *names]
    return f"monitor={name!r} is not reported. {hint(name, candidates)}Use one of: {', '.join(candidates)}."

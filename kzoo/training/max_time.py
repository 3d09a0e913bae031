"""`max_time`: as many epochs as fit into a clock, with the schedule for that number of epochs.

A probe measures how long steps, validation and whole epochs take: a real training of the same network in a temporary
folder, whose weights are then set back. A training that is slower than its probe is stopped when the time is up.
"""

import io
import math
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kzoo.data.sample import sample_split
from kzoo.inference.postprocessors import quantile_widths
from kzoo.problems.stored_types import TrainingSettings
from kzoo.training.fit import Fit
from kzoo.training.resume import Signals, assign, random_states, set_random_states
from kzoo.training.setup import TrainingSetup
from kzoo.utils.argument_checks import checked_seconds, seconds_like
from kzoo.utils.errors import TimeTooShort
from kzoo.utils.formatting import plural
from kzoo.zoo.registry import Preset, steps_of_epoch

if TYPE_CHECKING:
    pass


# length of the probe after the first step: the smaller of seconds and share
_PROBE_SECONDS, _PROBE_SHARE = 5.0, 0.05
_BASELINE_SECONDS, _BASELINE_SHARE = 5.0, 0.02  # time limit of each baseline, likewise
_USED_SHARE = 0.93  # of the time that is left for steps: epochs differ in length
_FINISH_SECONDS = 2.0  # compiling the prediction, drawing the curves and writing the files of a run
_COMPILES = 10  # a call that takes this many times its usual seconds compiles
# of the clock, kept for the scores of a resumed run, which is not probed again
_RESUMED_SHARE = 0.05

_started: ContextVar[float | None] = ContextVar("started", default=None)


@contextmanager
def counted_from(moment: float) -> Iterator[None]:
    """Let the clocks of trainings in the block start at a time of `time.monotonic`: that of a command, for instance."""
    token = _started.set(moment)
    try:
        yield
    finally:
        _started.reset(token)


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Seconds that a training takes, as its probe measured them.

    Args:
        compilation: extra seconds of the first step and of the first validation.
        step: seconds of a step.
        validation: seconds of a validation.
        epoch: seconds of a whole epoch with its validation and files; None if no epoch was measured to its end.
        finish: estimated seconds from the last step to the end of the call.
    """

    compilation: float
    step: float
    validation: float
    epoch: float | None
    finish: float

    def epoch_seconds(self, steps: int) -> float:
        """Return the seconds of an epoch of this many steps."""
        return steps * self.step + self.validation if self.epoch is None else self.epoch


@dataclass(frozen=True, kw_only=True)
class Length:
    """The length of a training: epochs, and the most steps of an epoch; None for all."""

    epochs: int
    max_steps: int | None

    @classmethod
    def of(cls, training: TrainingSettings) -> "Length":
        """Return the length that training settings have."""
        return cls(epochs=training["epochs"], max_steps=training.get("max_steps"))

    @property
    def settings(self) -> dict[str, int]:
        """The training settings; `max_steps` only if it is set."""
        return {"epochs": self.epochs} | (
            {} if self.max_steps is None else {"max_steps": self.max_steps}
        )


def repeating_settings(training: TrainingSettings, preset: Preset | None) -> dict[str, int]:
    """Return the settings that repeat a training of this length; a clock may have changed the patience, too.

    Args:
        training: the settings of the training.
        preset: its preset, or None.
    """
    changed = preset is not None and training["patience"] != preset.training["patience"]
    return Length.of(training).settings | ({"patience": training["patience"]} if changed else {})


class Clock:
    """The time limit of a call of `kzoo.train`.

    Args:
        max_time: seconds, or a string such as "90s", "5m" or "1h30m".

    Attributes:
        seconds: the limit in seconds.

    Raises:
        KzooError: `max_time` is neither.
    """

    def __init__(self, max_time: float | str) -> None:
        self.seconds = checked_seconds("max_time", max_time)
        self.max_time = max_time
        started = _started.get()
        self.started = time.monotonic() if started is None else started

    @property
    def left(self) -> float:
        """Seconds until the time is up."""
        return self.started + self.seconds - time.monotonic()

    @property
    def baseline_seconds(self) -> float:
        """Time limit of each baseline in seconds."""
        return min(_BASELINE_SECONDS, _BASELINE_SHARE * self.seconds)

    def request(self, longest: Length) -> dict[str, float]:
        """Return what a `Request` stores of it: the seconds, and the length that the training has at most."""
        return {"seconds": self.seconds} | longest.settings

    def choose(self, speed: Speed, longest: Length, steps: int) -> Length:
        """Return the length of the training that fits into the time that is left.

        Args:
            speed: what the probe has measured.
            longest: the length without a clock.
            steps: steps of an epoch.

        Raises:
            KzooError: not even one step fits.
        """
        left = self.left
        budget = _USED_SHARE * (left - speed.compilation - speed.finish)
        epochs = math.floor(budget / max(speed.epoch_seconds(steps), 1e-9))
        if epochs >= 1:
            return replace(longest, epochs=min(epochs, longest.epochs))
        fitting = math.floor((budget - speed.validation) / max(speed.step, 1e-9))
        if fitting >= 1:
            return Length(epochs=1, max_steps=min(fitting, steps))
        first = speed.compilation + speed.finish + (speed.step + speed.validation) / _USED_SHARE
        needed = math.ceil(1.1 * (self.seconds - left + first))
        raise TimeTooShort(
            f"max_time={self.max_time!r} is too short: reading the data, compiling, one step and the scores take about "
            f"{needed} s here. Use max_time={seconds_like(needed, self.max_time)} or more.",
            needed,
        )

    def note(self, chosen: Length, longest: Length, speed: Speed, steps: int) -> str:
        """Return the line about the length that was chosen."""
        each = f"{speed.epoch_seconds(steps):.2g} s each"
        if chosen.max_steps is not None and chosen.max_steps < steps:
            amount = f"{chosen.max_steps:,} of the {plural(steps, 'step')} of an epoch ({speed.step:.2g} s each)"
        elif chosen.epochs < longest.epochs:
            amount = f"{chosen.epochs} of {plural(longest.epochs, 'epoch')} ({each})"
        else:
            amount = f"all {plural(longest.epochs, 'epoch')} fit ({each})"
        return f"max_time={self.max_time!r}: {amount}. Schedules have this length."

    def limit(self, *, before: float = 0.0, speed: Speed | None = None) -> "TimeLimit":
        """Return the callback that stops a training when its time is up.

        Args:
            before: seconds of training before it was stopped.
            speed: what the probe has measured; None for a resumed training.
        """
        finish = _FINISH_SECONDS + _RESUMED_SHARE * self.seconds if speed is None else speed.finish
        return TimeLimit(
            self.max_time,
            end=self.started + self.seconds - finish - before,
            validation=0.0 if speed is None else speed.validation,
        )


class TimeLimit(keras.callbacks.Callback):
    """Stop a training when its time is up, after a step and the validation that follows it.

    Args:
        max_time: the limit as the user wrote it.
        end: time of `time.monotonic` at which the last validation has to be over.
        validation: seconds of a validation.

    Attributes:
        reason: why the training ended, or "" if it was not stopped.
    """

    def __init__(self, max_time: float | str, *, end: float, validation: float = 0.0) -> None:
        super().__init__()
        self.max_time = max_time
        self.end = end
        self.validation = validation
        self.reason = ""

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._stop_if_over(self.validation)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        if epoch + 1 < self.params["epochs"]:
            self._stop_if_over(self.validation)

    def _stop_if_over(self, reserve: float) -> None:
        if not self.reason and time.monotonic() + reserve >= self.end:
            self.reason = f"the time was up (max_time={self.max_time!r})"
            self.model.stop_training = True


class _Watch(keras.callbacks.Callback):
    """Measure a probe, and stop it after some seconds.

    Args:
        seconds: seconds after the first step.
        epochs: number of epochs of the whole training.
        left: seconds for the whole training: a probe ends early once half of them is enough.
    """

    def __init__(self, seconds: float, *, epochs: int, left: float) -> None:
        super().__init__()
        self.seconds, self.most_epochs, self.left = seconds, epochs, left
        self.end = math.inf
        self.calls: list[tuple[float, int]] = []  # (seconds, steps) of each call of training steps
        self.test_calls: list[tuple[float, int]] = []  # and of validation steps
        # seconds from the end of a validation to that of the epoch
        self.epoch_ends: list[float] = []
        self.epoch_starts: list[float] = []
        self.is_cut = False

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        now = time.monotonic()
        self.epoch_starts.append(now)
        self.mark = now
        self.done = 0
        lengths = np.diff(self.epoch_starts[1:])
        if len(lengths) >= 2 and lengths.max() * self.most_epochs < self.left / 2:
            self.end = now

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._add_call(self.calls, batch, logs)
        if len(self.calls) == 1:
            self.end = self.mark + self.seconds
        elif self.mark >= self.end:
            self.is_cut = self.model.stop_training = True

    def on_test_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self.mark = time.monotonic()
        self.done = 0

    def on_test_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._add_call(self.test_calls, batch, logs)

    def _add_call(
        self, calls: list[tuple[float, int]], batch: int, logs: Mapping[str, float] | None
    ) -> None:
        for value in (logs or {}).values():
            np.asarray(value)  # waits for the device
        now = time.monotonic()
        calls.append((now - self.mark, batch + 1 - self.done))
        self.mark = now
        self.done = batch + 1

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self.epoch_ends.append(time.monotonic() - self.mark)

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        if not self.is_cut:
            self.epoch_starts.append(time.monotonic())

    def speed(self, test_steps: int, finish_passes: float) -> Speed:
        """Return the measured speed.

        Args:
            test_steps: steps of a validation.
            finish_passes: how many validations the scores take.
        """
        step, compilation = _step_seconds(self.calls)
        test_step, test_compilation = _step_seconds(self.test_calls)
        validation = test_steps * test_step
        lengths = np.diff(self.epoch_starts[1:])  # without the first epoch, which compiles
        return Speed(
            compilation=compilation + test_compilation,
            step=step,
            validation=validation + min(self.epoch_ends, default=0.0),
            epoch=float(np.mean(lengths)) if len(lengths) else None,
            finish=_FINISH_SECONDS + test_compilation + finish_passes * validation,
        )


def _step_seconds(calls: list[tuple[float, int]]) -> tuple[float, float]:
    """Return the seconds of a step, the median, and the sum of what calls that compiled took in addition.

    Args:
        calls: (seconds, steps) of each call; a call compiles for each new shape of a batch.
    """
    if not calls:
        return 0.0, 0.0
    rates, steps = zip(
        *sorted((seconds / steps, steps) for seconds, steps in calls[1:] or calls), strict=True
    )
    step = rates[int(np.searchsorted(np.cumsum(steps), sum(steps) / 2))]
    excess = [(seconds - step * steps, step * steps) for seconds, steps in calls]
    return step, sum(extra for extra, usual in excess if extra > max(_COMPILES * usual, 0.02))


def measure(setup: TrainingSetup, clock: Clock, **options: Any) -> Speed:
    """Return the speed of a training, measured by a probe; the model has its weights again afterwards.

    Args:
        setup: a `TrainingSetup` before its training; compile it again afterwards if kzoo compiles it.
        clock: the `Clock`.
        options: `steps_per_call` and `distribution` of `Fit`.
    """
    watch = _Watch(
        min(_PROBE_SECONDS, _PROBE_SHARE * clock.seconds),
        epochs=setup.training["epochs"],
        left=clock.left,
    )
    silence = io.StringIO()  # for bundles that print
    with (
        _unchanged(setup),
        tempfile.TemporaryDirectory() as folder,
        redirect_stdout(silence),
        redirect_stderr(silence),
    ):
        Fit(setup, Path(folder), limit=watch, **options).train_until_end(Signals())
    validation = setup.validation_batches()
    return watch.speed(0 if validation is None else len(validation), _finish_passes(setup))


def _finish_passes(setup: TrainingSetup) -> float:
    """Return how many validations the scores take: a forward pass over each split that is scored."""
    data = setup.data
    if data.validation is None:
        return 0.0
    validation = len(sample_split(data.validation))
    learned = bool(setup.training.get("postprocess")), data.problem.suits(quantile_widths.FACTS)
    passes = 1.0 + sum(learned) + setup.corrects_mean
    return passes + (
        0.0 if data.test is None else len(sample_split(data.test)) / max(validation, 1)
    )


@contextmanager
def _unchanged(setup: TrainingSetup) -> Iterator[None]:
    """Set weights, optimizer and random generators of a setup back after the block."""
    core = setup.core
    if setup.as_given:  # the user's optimizer, which is not replaced
        core.optimizer.build(core.trainable_variables)
    variables = list({id(v): v for v in (*setup.model.variables, *core.variables)}.values())
    variables += core.optimizer.variables if setup.as_given else []
    values = [np.array(keras.ops.convert_to_numpy(v)) for v in variables]
    states = random_states()
    try:
        yield
    finally:
        assign(variables, values)
        set_random_states(states)
        if setup.as_given:
            core.reset_metrics()


def with_length(setup: TrainingSetup, length: Length) -> TrainingSetup:
    """Return a setup whose training has another length, compiled with schedules for it."""
    values = length.settings
    spec = replace(setup.spec, training={**setup.spec.training, **values})
    changed = replace(setup, spec=spec, training=setup.training | values)
    if not changed.as_given:
        changed.compile()
    return changed


def steps_per_epoch(setup: TrainingSetup) -> int:
    """Return the number of steps of an epoch of a setup."""
    return steps_of_epoch(setup.training, setup.examples)

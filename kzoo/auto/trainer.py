"""Fitting of one candidate on one part, in the worker process."""

import gc
import os
import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kzoo.auto.parts import Parts
from kzoo.auto.scoring import baseline_answers
from kzoo.baselines.fitted import Fitted as FittedBaseline
from kzoo.baselines.fitted import fit
from kzoo.data.dataset import Dataset, Loadable
from kzoo.data.load import load_longer
from kzoo.data.options import DataOptions
from kzoo.data.store.pooled import with_all_rows
from kzoo.problems.stored_types import Overrides
from kzoo.training import train
from kzoo.training.max_time import repeating_settings
from kzoo.training.resume import StopFlag
from kzoo.training.train import without_curves
from kzoo.utils.errors import KzooError, TimeTooShort
from kzoo.utils.files import JsonObject, whole_file
from kzoo.utils.formatting import duration, plural
from kzoo.zoo.registry import Preset
from kzoo.zoo.registry.family import builder_of
from kzoo.zoo.run import Run

TIMED_OUT = 75  # exit code of a worker that has used more than its time
NO_TIME = "its share of the time was too short"  # the cause of a failure with more time might not
_FEW_EPOCHS = 10
# a candidate may use this many times its seconds, and the following seconds, before it is ended
_GRACE = 1.25
_GRACE_SECONDS = 3.0


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What fitting a candidate on a part took.

    Args:
        seconds: of the whole call.
        params: number of parameters; None for a baseline.
        epochs, best_epoch: of a network.
        complete: whether the training ended by itself, not because its time was up.
        has_network: whether a baseline can be stored as a run.
        cut: "1 of 200 epochs" if the time was only enough for a few epochs of a network; else empty.
        length: settings that repeat the length of a network's training; None for a baseline.
    """

    seconds: float
    params: int | None = None
    epochs: int = 0
    best_epoch: int | None = None
    complete: bool = True
    has_network: bool = True
    cut: str = ""
    length: Mapping[str, Any] | None = None


class Trainer:
    """Fits candidates.

    Args:
        preset: the preset whose data the baselines get.
        source, options: the data, as `kzoo.load_data` takes it; or a `Dataset` without its test split.
        parts: the `Parts`.
        seed: of weights, order and dropout.
        objective: the score by which candidates are compared: choices of baselines follow it. None: the primary score.
        stop: the worker's `Stop`.
        tell: not used: a candidate reports when it is done.
    """

    def __init__(
        self,
        *,
        preset: Preset,
        source: "Loadable | None",
        options: DataOptions,
        parts: Parts,
        seed: int,
        objective: str | None = None,
        stop: StopFlag | None = None,
        tell: object = None,
    ) -> None:
        self.preset = preset
        self.source = source
        self.options = options
        self.parts = parts
        self.seed, self.stop = seed, stop
        self.objective = objective
        self.loaded: dict[str, Dataset] = {}

    def train(
        self,
        *,
        folder: str,
        preset: Preset | None,
        baseline: str | None,
        overrides: Overrides,
        part: int,
        seconds: float,
        length: Mapping[str, int] | None = None,
        seed: int | None = None,
    ) -> Fitted:
        """Fit a candidate on a part, and write its answers and, of a network, the run, to its folder.

        Args:
            folder: of the trial.
            preset: the candidate's preset; None for a baseline.
            baseline: the name of the baseline, or None.
            overrides: settings that differ from the preset.
            part: number of the part.
            seconds: time limit.
            length: the length of the training, as the first part had it; None to fit it into the time.
            seed: of a network; None for that of all fits.
        """
        started = time.monotonic()
        target = part_folder(folder, part)
        shutil.rmtree(target, ignore_errors=True)  # of a fit that was killed
        target.mkdir(parents=True)
        if (
            baseline is not None
        ):  # it is read once for all baselines, which is not in the time of one of them
            self._data(self.preset)
        with _Watchdog(_GRACE * seconds + _GRACE_SECONDS, self.stop):
            data = self.parts.part(self._data(preset or self.preset), part)
            try:
                if baseline is not None:
                    fitted = self._fit_baseline(
                        target, data, baseline, seconds, check_network=part == 0
                    )
                else:
                    assert preset is not None
                    left = seconds - (time.monotonic() - started)
                    limit = {"max_time": round(max(left, 1.0), 1)} if length is None else length
                    # one fit; the watchdog limits it
                    limit = {} if builder_of(preset.family).closed_form else limit
                    fitted = self._fit_network(
                        target,
                        data,
                        preset,
                        {**overrides, **limit},
                        self.seed if seed is None else seed,
                    )
            except (
                TimeTooShort
            ) as error:  # its advice is about the time of a fit, not about that of the search
                raise KzooError(f"{NO_TIME}: a fit takes about {duration(error.needed)}") from None
        keras.utils.clear_session(free_memory=True)
        gc.collect()
        return replace(fitted, seconds=round(time.monotonic() - started, 3))

    def _data(self, preset: Preset) -> Dataset:
        if preset.name not in self.loaded:
            self.loaded.clear()  # only one at a time: they may be large
            data = (
                self.source
                if isinstance(self.source, Dataset)
                else load_longer(self.source, preset, self.options)
            )
            self.loaded[preset.name] = replace(data, test=None)
        return self.loaded[preset.name]

    def _fit_baseline(
        self, folder: Path, data: Dataset, name: str, seconds: float, *, check_network: bool
    ) -> Fitted:
        fitted = fit(
            data,
            name,
            seconds=seconds,
            seed=self.seed,
            settings={} if self.objective is None else {"objective": self.objective},
        )
        has_network = fitted.logits is not None and (not check_network or _has_network(fitted))
        assert data.test is not None
        answers = baseline_answers(fitted, data.test)
        write_answers(
            folder,
            answers.outputs,
            answers.truth,
            data.test.rows,
            answers.weight,
            is_probability=answers.is_probability,
        )
        return Fitted(seconds=0.0, has_network=has_network)

    def _fit_network(
        self, folder: Path, data: Dataset, preset: Preset, overrides: Overrides, seed: int
    ) -> Fitted:
        options: dict[str, Any] = {}
        closed_form = builder_of(preset.family).closed_form
        if closed_form:  # it needs no rows on which to stop
            data = with_all_rows(data)
        if data.problem.gives_probabilities and not closed_form:
            options["calibrate"] = "off"  # the winner is calibrated, not its members
        with without_curves():
            run = train(
                preset,
                data,
                out=folder / "run",
                seed=seed,
                check=False,
                baselines=False,
                progress=False,
                resume="never",
                callbacks="quick",
                **options,
                **overrides,
            )
        answers, summary = run.answers, run.summary
        if answers is None:
            raise KzooError(f"{preset.name} stores no predictions for {data.task}")
        assert data.test is not None
        write_answers(
            folder,
            answers["answers"],
            answers["truth"],
            data.test.rows[answers["rows"]],
            answers.get("weight"),
        )
        return Fitted(
            seconds=0.0,
            params=summary["parameters"],
            epochs=summary["epochs"],
            best_epoch=summary["best_epoch"],
            complete="time was up" not in summary["stopped_because"],
            cut=_cut(run),
            length={} if closed_form else repeating_settings(run.spec.training, preset),
        )


def _cut(run: Run) -> str:
    """Return how few epochs the time limit left for a training, such as "1 of 200 epochs"; empty if enough."""
    epochs = run.summary["epochs"]
    limit = run.config.get("max_time")
    training = run.spec.training
    if limit is None or epochs >= _FEW_EPOCHS:
        return ""
    is_shorter = epochs == training["epochs"] < limit["epochs"] or training.get(
        "max_steps"
    ) != limit.get("max_steps")
    is_cut = is_shorter or "time was up" in run.summary["stopped_because"]
    return f"{epochs} of {plural(limit['epochs'], 'epoch')}" if is_cut else ""


def _has_network(fitted: FittedBaseline) -> bool:
    try:
        fitted.network()
    except KzooError:
        return False
    return True


def part_folder(folder: str | os.PathLike[str], part: int) -> Path:
    """Return the folder of a part of a trial."""
    return Path(folder) / f"part-{part + 1:02d}"


def write_answers(
    folder: Path,
    outputs: np.ndarray,
    truth: np.ndarray,
    rows: np.ndarray,
    weight: np.ndarray | None,
    *,
    is_probability: bool = True,
) -> None:
    """Write the answers for the judged rows of a part.

    Args:
        folder: of the part.
        outputs: (N, ...) probabilities, scores of classes, or values.
        truth: (N, ...).
        rows: (N,) their numbers among the development rows.
        weight: (N,) sample weights, or None.
        is_probability: False for scores of classes that only define an order.
    """
    outputs = np.asarray(outputs, np.float32)
    weights: JsonObject = {} if weight is None else {"weight": weight}
    if truth.ndim > 1 and outputs.size == truth.size:
        outputs = outputs.reshape(truth.shape)
    with (
        whole_file(folder / "answers.npz", sync=False) as temporary,
        open(temporary, "wb") as stream,
    ):
        np.savez_compressed(
            stream,
            answers=outputs,
            truth=truth,
            rows=rows,
            is_probability=is_probability,
            **weights,
        )


class _Watchdog:
    """Ends this process if the block takes too long, or when the search is stopped."""

    def __init__(self, seconds: float, stop: StopFlag | None) -> None:
        self.end = time.monotonic() + seconds
        self.stop = stop
        self.done = threading.Event()

    def __enter__(self) -> None:
        threading.Thread(target=self._watch, daemon=True).start()

    def __exit__(self, *_: Any) -> None:
        self.done.set()

    def _watch(self) -> None:
        while not self.done.wait(0.2):
            if time.monotonic() > self.end or (self.stop is not None and self.stop.caught):
                os._exit(TIMED_OUT)

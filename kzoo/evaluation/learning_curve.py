"""`measure_learning_curve`: how the score grows with the number of training rows, and what more rows would bring."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kzoo.data.dataset import Dataset, Loadable
from kzoo.data.load import load
from kzoo.data.options import DataOptions
from kzoo.data.splits import fingerprint
from kzoo.data.tables.frame import as_table
from kzoo.evaluation.power_law import LARGEST_FACTOR, Forecast, forecast
from kzoo.inference.postprocessors.decision import judged_answers
from kzoo.plots.learning_curve import learning_curve
from kzoo.problems.stored_types import Overrides, plain
from kzoo.training import train
from kzoo.training.workers.pool import NullProgress, checked_threads, worker_pool
from kzoo.training.workers.worker import TrialFailed, Worker, can_be_sent
from kzoo.utils.errors import KzooError
from kzoo.utils.files import (
    JsonObject,
    check_writable,
    finite,
    read_arrays,
    read_json,
    whole_file,
    write_json,
)
from kzoo.utils.formatting import aligned, duration, number, plural
from kzoo.zoo.registry.preset import Preset
from kzoo.zoo.run import Run

SIZES, DRAWS = 6, 3
_FEWEST = 64  # training rows
_SMALLEST_SHARE = 1 / 32  # of the rows, at the first size
_SMALLEST_SIZE = 10
_MORE = (0.25, 1.0, LARGEST_FACTOR - 1)  # shares of today's rows that are forecast
_SHARES = ("accuracy", "exact_match")


@dataclass(frozen=True)
class LearningCurve:
    """The score over the number of training rows, and its forecast.

    Args:
        preset, data: their names.
        metric: "accuracy" or "exact_match", a share; or an error such as "mse".
        split: whose rows are scored: "test", else "validation".
        rows: number of these.
        sizes: numbers of training rows.
        scores: for each size, the score of each of its trainings.
        notes: lines about what the numbers do not say.
        folder: with a result for each training, `learning_curve.json` and `learning_curve.png`.
        fit: the power law of the error (1 - a share) and its bootstrap.
    """

    preset: str
    data: str
    metric: str
    split: str
    rows: int
    sizes: list[int]
    scores: list[list[float]]
    notes: list[str]
    folder: Path
    fit: Forecast = field(repr=False)

    @property
    def is_share(self) -> bool:
        """Whether the score is a share, of which more is better; else it is an error."""
        return self.metric in _SHARES

    def forecast(self, rows: int) -> dict[str, float]:
        """Return `score`, `low` and `high`: what a training on this number of rows scores, with an 80 % interval.

        Raises:
            KzooError: it is more than four times the number of training rows today.
        """
        self._check(rows)
        error, low, high = self.fit.error(rows)
        if self.is_share:
            error, low, high = 1 - error, 1 - min(high, 1), 1 - low
        return dict(score=error, low=low, high=high)

    def gain(self, more: int) -> dict[str, float]:
        """Return `gain`, `low` and `high`: what more rows bring, with an 80 % interval; positive is better.

        Raises:
            KzooError: with them it is more than four times the number of training rows today.
        """
        self._check(self.sizes[-1] + more)
        return dict(zip(("gain", "low", "high"), self.fit.gain(more), strict=True))

    def _check(self, rows: int) -> None:
        most = LARGEST_FACTOR * self.sizes[-1]
        if rows < 1 or rows > most:
            raise KzooError(
                f"{rows:,} rows cannot be forecast from {self.sizes[-1]:,}: the curve is known up to there, and a "
                f"forecast goes to {LARGEST_FACTOR} times as many, {most:,}."
            )

    def sentence(self, more: int) -> str:
        """Return a line such as `2,000 more rows: +1.1 points (0.3 to 1.9)`."""
        gain, low, high = self.gain(more).values()
        if self.is_share:
            return f"{more:,} more rows: {100 * gain:+.1f} points ({100 * low:.1f} to {100 * high:.1f})"
        return f"{more:,} more rows: {self.metric} {-gain:+.3g} ({-high:.3g} to {-low:.3g})"

    def sentences(self) -> list[str]:
        """Return a line for each of some numbers of more rows, up to four times today's."""
        return [self.sentence(max(1, _rounded(share * self.sizes[-1]))) for share in _MORE]

    def json(self) -> JsonObject:
        """Return plain data."""
        law = self.fit.law
        today = self.sizes[-1]
        return dict(
            preset=self.preset,
            data=self.data,
            metric=self.metric,
            split=self.split,
            rows=self.rows,
            sizes=self.sizes,
            scores=self.scores,
            notes=self.notes,
            folder=os.fspath(self.folder),
            power_law=dict(floor=law.floor, scale=law.scale, exponent=law.exponent),
            forecast=[
                dict(
                    rows=today + more,
                    more=more,
                    **self.gain(more),
                    **{
                        f"score_{name}" if name != "score" else name: value
                        for name, value in self.forecast(today + more).items()
                    },
                )
                for more in (max(1, _rounded(share * today)) for share in _MORE)
            ],
            sentences=self.sentences(),
        )

    def __repr__(self) -> str:
        title = f"Learning curve of {self.preset} on {self.data}, {plural(self.rows, f'{self.split} row')}"
        rows = [["training rows", self.metric, "lowest", "highest"]]
        for size, scores in zip(self.sizes, self.scores, strict=True):
            rows.append(
                [
                    f"{size:,}",
                    *(f"{value:.4g}" for value in (np.mean(scores), min(scores), max(scores))),
                ]
            )
        lines = [f"  {line}" for line in aligned(rows, right=(0, 1, 2, 3))]
        return "\n".join([title, *lines, *self.sentences(), *self.notes])


def _rounded(count: float) -> int:
    """Return a number with two digits, not above it."""
    unit = 10 ** max(0, len(str(int(count))) - 2)
    return int(count) // unit * unit


def measure_learning_curve(
    preset: Preset,
    source: "Loadable | None",
    options: DataOptions,
    overrides: Overrides,
    *,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    parallel: int = 1,
    progress: bool = True,
) -> LearningCurve:
    """Train a preset on six numbers of training rows, three draws each, and forecast its score with more rows.

    Validation and test rows are the same in all trainings. The rows of a draw contain those of its smaller sizes, with
    the proportions of the classes. Columns, categories and the vocabulary are those of all training rows.

    Args:
        preset: a `Preset`.
        source: anything `kzoo.load_data` takes whose rows have no order; None is the preset's own data set.
        options: how it is read and split.
        overrides: settings of the training.
        seed: of the draws and the trainings.
        out: the folder; the default is `runs/learning-curve-PRESET`. The same call continues where it was stopped.
        parallel: number of trainings at once.
        progress: print a line for each training.

    Raises:
        KzooError: rows with an order, fewer than 64 training rows, no rows to score, or a folder with another curve.
    """
    source = preset.dataset if source is None else source
    source = as_table(source)
    draws = Draws(
        preset=preset, source=source, options=options, overrides=dict(overrides), seed=seed
    )
    data = draws.data
    if data.problem.ordered:
        raise KzooError(
            f"draws training rows, and the rows of {data.name!r} are windows of one series or text. "
            "Shorten the series itself to see what its length brings.",
            argument="learning_curve",
        )
    if len(data.train) < _FEWEST:
        raise KzooError(
            f"needs at least {_FEWEST} training rows, and {data.name!r} has {len(data.train)}. Any "
            "forecast from so few would be a guess.",
            argument="learning_curve",
        )
    if data.test is None and data.validation is None:
        raise KzooError(
            f"scores each training, and {data.name!r} has neither test nor validation rows.",
            argument="learning_curve",
        )
    split = "test" if data.test is not None else "validation"
    sizes = draw_sizes(len(data.train))
    folder = Path(out or f"runs/learning-curve-{preset.name}")
    check_writable(folder, out)
    folder.mkdir(parents=True, exist_ok=True)
    _check_request(
        folder,
        dict(
            preset=preset.name,
            revision=preset.revision,
            data=options.describe(data).json(),
            sizes=sizes,
            draws=DRAWS,
            seed=seed,
            settings={name: repr(value) for name, value in sorted(overrides.items())},
        ),
    )
    jobs = [(size, draw) for size in sizes for draw in range(DRAWS)]
    _train(draws, folder, jobs, parallel, progress)
    results = [[read_arrays(folder / _name(size, draw)) for draw in range(DRAWS)] for size in sizes]
    first = results[0][0]
    row_errors = np.array([[result["errors"] for result in size] for size in results], np.float64)
    metric = str(first["metric"])
    weight = first.get("weight")
    fit = forecast(sizes, row_errors, weight=weight, seed=seed)
    weights = np.ones(row_errors.shape[-1]) if weight is None else np.asarray(weight, np.float64)
    means = row_errors @ (weights / weights.sum())
    curve = LearningCurve(
        preset=preset.name,
        data=data.name,
        metric=metric,
        split=split,
        rows=row_errors.shape[-1],
        sizes=[int(size) for size in sizes],
        scores=[
            [float(1 - value if metric in _SHARES else value) for value in row] for row in means
        ],
        notes=_notes(data, split),
        folder=folder,
        fit=fit,
    )
    write_json(folder / "learning_curve.json", finite(curve.json()))
    with whole_file(folder / "learning_curve.png", sync=False) as temporary:
        learning_curve(curve).savefig(temporary, dpi=120)
    return curve


def _notes(data: Dataset, split: str) -> list[str]:
    notes = []
    if split == "validation":
        notes.append(
            "There is no test split: scores are of the validation rows that also stop the trainings."
        )
    if data.seen.get("grouped"):
        notes.append(
            "Rows are drawn from all groups: new groups may bring more than new rows of the same groups."
        )
    return notes


def draw_sizes(rows: int) -> list[int]:
    """Return six numbers of training rows, each the same multiple of the one before; the last is all rows."""
    smallest = max(_SMALLEST_SIZE, round(rows * _SMALLEST_SHARE))
    return [round(float(size)) for size in np.geomspace(smallest, rows, SIZES)]


def _name(size: int, draw: int) -> str:
    return f"rows-{size}-draw-{draw + 1}.npz"


def _check_request(folder: Path, request: JsonObject) -> None:
    """Write what is measured, or compare it with what a folder has.

    Raises:
        KzooError: the folder has the results of another call.
    """
    file = folder / "request.json"
    wanted = plain(dict(request))
    if not file.is_file():
        write_json(file, wanted)
        return
    stored = read_json(file)
    different = [
        name for name in wanted if stored.get(name) != json.loads(json.dumps(wanted[name]))
    ]
    if different:
        raise KzooError(
            f"{str(folder)!r} has a learning curve with other {different[0]}. Remove the folder, or pass another out=."
        )


def _train(
    draws: "Draws", folder: Path, jobs: Sequence[tuple[int, int]], parallel: int, progress: bool
) -> None:
    """Train what is missing, in this process or in workers."""
    missing = [(size, draw) for size, draw in jobs if not (folder / _name(size, draw)).is_file()]
    threads = checked_threads(parallel, None, None)
    done = len(jobs) - len(missing)

    def tell(size: int, draw: int) -> None:
        nonlocal done
        done += 1
        if progress:
            result = read_arrays(folder / _name(size, draw))
            error, seconds = float(np.mean(result["errors"])), float(result["seconds"])
            metric = str(result["metric"])
            score = f"{metric} {1 - error if metric in _SHARES else error:.4g}"
            print(
                f"{done}/{len(jobs)}: {size:,} rows, {score}, {duration(seconds)}",
                file=sys.stderr,
                flush=True,
            )

    if threads is None:
        for size, draw in missing:
            draws.train(folder=folder, size=size, draw=draw)
            tell(size, draw)
        return
    if not can_be_sent((draws.setup["preset"], draws.setup["overrides"])):
        raise KzooError(
            "An argument contains a function or class defined in a script or notebook, which other processes cannot "
            "import. Move it to a module, or omit parallel=."
        )
    with tempfile.TemporaryDirectory() as logs:
        worker = Worker(
            Path(logs) / "worker.log",
            threads=threads,
            trainer=f"{__name__}:{Draws.__name__}",
            **draws.setup,
        )
        with worker, worker_pool(worker, NullProgress(), parallel, None) as pool:
            futures = {
                pool.submit(
                    index,
                    signals=None,
                    deadline=None,
                    folder=os.fspath(folder),
                    size=size,
                    draw=draw,
                ): (
                    size,
                    draw,
                )
                for index, (size, draw) in enumerate(reversed(missing))  # the longest first
            }
            for future in as_completed(futures):
                try:
                    future.result()
                except TrialFailed as error:
                    raise KzooError(
                        f"training on {number(futures[future][0])} rows: {error}"
                    ) from None
                tell(*futures[future])


class Draws:
    """Trains on drawn rows, in this process or in a worker.

    Args:
        preset, source, options, overrides, seed: see `measure_learning_curve`.
        stop, tell: of a worker; not used.
    """

    def __init__(
        self,
        *,
        preset: Preset,
        source: "Loadable | None",
        options: DataOptions,
        overrides: JsonObject,
        seed: int,
        stop: object = None,
        tell: object = None,
    ) -> None:
        self.setup: JsonObject = dict(
            preset=preset, source=source, options=options, overrides=overrides, seed=seed
        )
        self.preset, self.overrides, self.seed = preset, overrides, seed
        self.data = load(source, preset, options)

    def train(self, *, folder: str | os.PathLike[str], size: int, draw: int) -> None:
        """Train on the first rows of a draw, and write the error of each scored row."""
        # The run is removed: 18 models would take more space than their scores are worth.
        rows = self._rows(draw)[:size]
        place = Path(folder) / f".training-{size}-{draw + 1}"
        data = replace(
            self.data,
            train=self.data.train.select(np.sort(rows)),
            fingerprint=fingerprint([self.data.fingerprint, size, draw]),
            seen={name: value for name, value in self.data.seen.items() if name != "common"},
        )
        settings: dict[str, Any] = {"baselines": False, "check": False} | self.overrides
        run = train(self.preset, data, out=place, seed=self.seed + draw, progress=False, **settings)
        if run.summary["interrupted"]:  # in a notebook; elsewhere `train` has raised
            raise KeyboardInterrupt("stopped; run the same call again to continue")
        arrays: JsonObject = {
            **_row_errors(run, data),
            "seconds": np.float64(run.summary["seconds"]),
        }
        with (
            whole_file(Path(folder) / _name(size, draw), sync=False) as temporary,
            open(temporary, "wb") as stream,
        ):
            np.savez_compressed(stream, **arrays)
        shutil.rmtree(place, ignore_errors=True)
        keras.utils.clear_session(free_memory=True)

    def _rows(self, draw: int) -> np.ndarray:
        """Return all training rows in the order of a draw, so that the first have the proportions of the classes."""
        random = np.random.default_rng([self.seed, draw])
        count = len(self.data.train)
        y = self.data.problem.classes_of(np.asarray(self.data.train.y))
        y = np.zeros(count, int) if y is None else y
        order = random.permutation(count)
        place = np.empty(count)
        for label in np.unique(y):
            members = order[y[order] == label]
            place[members] = (np.arange(len(members)) + random.random()) / len(members)
        return np.argsort(place, kind="stable")


def _row_errors(run: Run, data: Dataset) -> dict[str, np.ndarray]:
    """Return the error of each scored row (N,), its name, and the weights of the rows if they have some."""
    stored: Any = run.answers
    if stored is None:
        raise KzooError(
            f"needs the predictions of each row, which {data.problem.name} does not keep.",
            argument="learning_curve",
        )
    judged = judged_answers(run)
    if judged.right is not None:
        errors = 1.0 - np.asarray(judged.right, np.float64)
        metric = judged.of or "accuracy"
    else:
        errors = np.asarray(judged.error, np.float64)
        metric = judged.of
    weight = {} if stored.get("weight") is None else {"weight": stored["weight"]}
    return dict(errors=errors.astype(np.float32), metric=np.array(metric), **weight)

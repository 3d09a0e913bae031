"""`cross_validate`: train a preset once per fold and score each network on rows that it has not seen."""

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, as_completed
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kzoo.data import Dataset
from kzoo.data.arrays import from_tf
from kzoo.data.dataset import Loadable
from kzoo.data.splits import MOST_FOLDS, Fold, is_source
from kzoo.data.tables.frame import as_table
from kzoo.inference.tasks.target_scores import mixes_units
from kzoo.problems.data_arguments import with_data_options
from kzoo.problems.stored_types import Scores
from kzoo.training import train
from kzoo.training.folder import is_complete
from kzoo.training.provenance import provenance
from kzoo.training.train import print_notes
from kzoo.training.workers.pool import NullProgress, checked_threads, worker_pool
from kzoo.training.workers.worker import TrialFailed, Worker, can_be_sent
from kzoo.utils import notebook
from kzoo.utils.argument_checks import checked_arguments
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject, finite, whole_file, write_json
from kzoo.utils.formatting import aligned, plural
from kzoo.zoo.registry import Preset, get_preset
from kzoo.zoo.results import of_fold
from kzoo.zoo.run import Run


@checked_arguments
@with_data_options("test", "split", "data_seed")
def cross_validate(
    preset: str | Preset,
    data: "Loadable | None" = None,
    *,
    folds: int = 5,
    stratified: bool = True,
    repeats: int = 1,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    epochs: int | None = None,
    callbacks: str | keras.callbacks.Callback | Sequence[keras.callbacks.Callback] | None = None,
    validation: float = 0.1,
    parallel: int = 1,
    threads: int | None = None,
    executor: Executor | None = None,
    overwrite: bool = False,
    progress: bool = True,
    **overrides: Any,
) -> "CrossValidation":
    """Train a preset once for each fold of the data, and score it on that fold.

    Each fold is a run of `kzoo.train` with a new network. Vocabulary, categories and scaling are learned on its
    training rows only, and early stopping monitors a part of these, so that nothing leaks from the fold that is scored.
    A test split that the source brings (`mnist`, a `test/` folder) is not used.

    The same call continues where it was stopped: finished folds are not trained again.

    Args:
        preset: the name of a preset, or a `Preset`.
        data: anything `kzoo.load_data` takes, other than a long text; the default is the preset's own data set. Series
            to forecast are cut in order of time: the last parts are the folds, and each network is trained on the rows
            before its fold (the `TimeSeriesSplit` of scikit-learn), so that none has seen the future.
        folds: number of folds; each is the test split once.
        stratified: keep the proportions of the classes in each fold, as scikit-learn's `StratifiedKFold` does; of
            labels, of each label (iterative stratification, https://doi.org/10.1007/978-3-642-23808-6_10).
        repeats: how often to divide the data again; repeat r uses `seed + r` for the folds and the weights.
        seed: of the folds, the weights, order, dropout and augmentation.
        out: the folder, with a run in `fold-01`, `fold-02`, ...; the default is `runs/cross-PRESET`.
        epochs, callbacks: see `kzoo.train`.
        validation: fraction of the rows outside the fold, used to choose the best epoch.
        {data_options}
        parallel, threads, executor: how many folds are trained at once, and where, as in `kzoo.tune`; the last digits
            of scores depend on `threads`, but not on where folds are trained.
        overwrite: replace all other folds in `out`.
        progress: print the notes of `kzoo.train` for the first fold, and a line per fold. With False, only findings of
            the checks are shown, as warnings (`KzooWarning`).
        overrides: any other name that `kzoo.train` takes.

    Returns:
        A dict, printed as a table: `folds`, a dict of scores for each fold; `mean` and `std` (n - 1) of every score
        over the folds, also per target as `targets` and per baseline that all folds have as `baselines`; `out_of_fold`:
        `rows` (indices among the usable rows of the source), `truth` and `answers` (probabilities or values, averaged
        over the repeats); `runs`, their paths. They are also written to `out` as `cross_validation.json` and
        `out_of_fold.npz`.

    Raises:
        KzooError: a long text, more folds than rows of a class, or anything that `kzoo.train`
            refuses.

    Examples:
        >>> scores = kzoo.cross_validate("iris_fnn", "iris", folds=3, epochs=5)
        >>> len(scores["folds"]), scores["mean"]["accuracy"] > 0.3
        (3, True)
        >>> scores["out_of_fold"]["answers"].shape
        (150, 3)
    """
    # 1. Validate the arguments and plan the folds.
    preset = get_preset(preset)
    if (
        isinstance(repeats, bool)
        or not isinstance(repeats, int | np.integer)
        or not 1 <= repeats <= MOST_FOLDS
    ):
        raise KzooError(
            f"must be a whole number from 1 to {MOST_FOLDS}.", argument="repeats", value=repeats
        )
    if reserved := {"test", "data_seed"} & set(overrides):
        raise KzooError(
            f"{min(reserved)}= has no effect: each fold is the test split once, and seed= draws the folds."
        )
    if is_source(validation):
        raise KzooError(
            "must be a fraction: the validation rows of each fold are taken from its training rows.",
            argument="validation",
        )
    if overrides.get("split") not in (None, "random"):
        raise KzooError(
            "is not available for folds: training rows would come after test rows. Use kzoo.train.",
            argument="split",
            value=overrides["split"],
        )
    if isinstance(data, Dataset):
        raise KzooError(f"{data.name} is already split: pass the source that it was loaded from.")
    if hasattr(data, "as_numpy_iterator"):
        # once: a data set that shuffles itself would give every fold different rows
        data = from_tf(data, preset)
    data = as_table(data)
    Fold(0, folds, stratified, seed)  # validates the arguments
    folds, stratified, seed = int(folds), bool(stratified), int(seed)
    plan = [Fold(i, folds, stratified, seed + r) for r in range(repeats) for i in range(folds)]
    options = dict(epochs=epochs, callbacks=callbacks, validation=validation) | overrides
    out = Path(out or f"runs/cross-{preset.name}")
    runs = []
    threads = checked_threads(parallel, threads, executor)
    folders = [out / f"fold-{number:02d}" for number in range(1, len(plan) + 1)]
    trainer: dict[str, Any] = dict(
        preset=preset, data=data, options=options, data_seed=seed, overwrite=overwrite
    )
    # 2. Train the folds, in workers if requested, and open their runs.
    if threads is not None:
        _train_in_workers(trainer, plan, folders, parallel, threads, executor)
        trainer |= dict(overwrite=False)  # finished by now: the loop below only opens them
    for number, (fold, folder) in enumerate(zip(plan, folders, strict=True), 1):
        complete = is_complete(folder)
        Folds(**trainer).train(folder=folder, fold=fold)
        run = Run(folder)
        if run.summary["interrupted"]:  # in a notebook; elsewhere `train` has raised
            raise KeyboardInterrupt(
                f"stopped in fold {number}; run the same call again to continue"
            )
        runs.append(run)
        if number == 1:
            print_notes(run.config.get("notes", ()), progress)
        if overwrite or not complete:
            keras.utils.clear_session(free_memory=True)
        if progress:
            _print_progress(runs, len(plan))
    if overwrite:
        _remove_others(out, folders)
    # 3. Summarise the scores and write the results.
    predictions_and_runs = {"out_of_fold": _out_of_fold(runs), "runs": [run.path for run in runs]}
    scores = CrossValidation(_summarize(runs) | predictions_and_runs)
    _write(
        out, scores, runs[0], dict(folds=folds, stratified=stratified, repeats=repeats, seed=seed)
    )
    return scores


def _remove_others(out: Path, folders: Sequence[Path]) -> None:
    """Remove the folds of an earlier cross-validation that had more folds: they would be mistaken for new ones."""
    for path in set(out.glob("fold-[0-9]*")) - set(folders):
        with suppress(KzooError):  # keep folders that are no runs
            if of_fold(Run(path)):
                shutil.rmtree(path)


def _train_in_workers(
    trainer: JsonObject,
    plan: Sequence[Fold],
    folders: Sequence[Path],
    parallel: int,
    threads: int,
    executor: Executor | None,
) -> None:
    """Train the unfinished folds in other processes.

    Raises:
        KzooError: arguments that cannot be sent to another process, or the first fold that failed, with its number.
    """
    if not can_be_sent((trainer["preset"], trainer["options"])):
        raise KzooError(
            "An argument contains a function or class defined in a script or notebook, which other processes cannot "
            "import. Move it to a module, or omit parallel=, threads= and executor=."
        )
    with tempfile.TemporaryDirectory() as logs:
        worker = Worker(
            Path(logs) / "worker.log",
            threads=threads,
            trainer=f"{__name__}:{Folds.__name__}",
            **trainer,
        )
        with worker, worker_pool(worker, NullProgress(), parallel, executor) as pool:
            futures = {
                pool.submit(
                    number, signals=None, deadline=None, folder=os.fspath(folder), fold=fold
                ): number
                for number, (fold, folder) in enumerate(zip(plan, folders, strict=True), 1)
                if trainer["overwrite"] or not is_complete(folder)
            }
            for future in as_completed(futures):
                try:
                    future.result()
                except TrialFailed as error:
                    raise KzooError(f"fold {futures[future]}: {error}") from None


class Folds:
    """Trains the folds of a cross-validation, in this process or in a worker."""

    def __init__(
        self,
        *,
        preset: Preset,
        data: "Loadable | None",
        options: JsonObject,
        data_seed: int,
        overwrite: bool,
        stop: object = None,
        tell: object = None,
    ) -> None:
        self.preset, self.data, self.options = preset, data, options
        self.data_seed, self.overwrite = data_seed, overwrite

    def train(self, *, folder: str | os.PathLike[str], fold: Fold) -> None:
        """Train one fold and write its run to the folder."""
        train(
            self.preset,
            self.data,
            out=folder,
            test=fold,
            seed=fold.seed,
            data_seed=self.data_seed,
            progress=False,
            overwrite=self.overwrite,
            **self.options,
        )


def _summarize(runs: Sequence[Run]) -> JsonObject:
    folds = [run.summary["test"] for run in runs]
    summary: JsonObject = {"folds": folds} | _mean_and_std(folds)
    if names := folds[0].get("targets"):
        summary["targets"] = {
            name: _mean_and_std([fold["targets"][name] for fold in folds])
            for name in names
            if all(name in (fold.get("targets") or {}) for fold in folds)
        }
    baselines: list[dict[str, Any]] = [
        {
            baseline["name"]: baseline["scores"]
            for baseline in run.summary.get("baselines") or ()
            if baseline["scores"]
        }
        for run in runs
    ]
    if shared_names := [
        name for name in baselines[0] if all(name in scores for scores in baselines)
    ]:
        summary["baselines"] = {
            name: _mean_and_std([scores[name] for scores in baselines]) for name in shared_names
        }
    return summary


class CrossValidation(dict[str, Any]):
    """The dict that `kzoo.cross_validate` returns; its repr is a table."""

    def __repr__(self) -> str:
        """Return a table: mean and deviation of each score over the folds, and the first score of each baseline."""
        title, rows = self._table()
        return "\n".join([title, *(f"  {line}" for line in aligned(rows, right=(1, 2)))])

    def _repr_html_(self) -> str:
        """Return the same table for a notebook."""
        title, (heads, *rows) = self._table()
        return notebook.card(title, notebook.table(heads, rows, numbers=heads[1:]))

    def _table(self) -> tuple[str, list[list[str]]]:
        """Return the title and the cells of the table, header first."""
        rows = [["score", "mean", "deviation"]]
        rows += [
            [name, f"{mean:.4g}", f"{self['std'][name]:.2g}"] for name, mean in self["mean"].items()
        ]
        first = _first_score(self["folds"])[0]
        for name, scores in self.get("baselines", {}).items():
            if first in scores["mean"]:
                rows.append(
                    [
                        f"{first} of {name}",
                        f"{scores['mean'][first]:.4g}",
                        f"{scores['std'][first]:.2g}",
                    ]
                )
        return (
            f"Cross-validation, {plural(len(self['folds']), 'fold')}, in {Path(self['runs'][0]).parent}",
            rows,
        )


def _mean_and_std(folds: Sequence[Scores]) -> JsonObject:
    """Return the mean and standard deviation of each score that all folds have."""
    numbers = {
        name: [f.get(name) for f in folds]
        for name, value in folds[0].items()
        if isinstance(value, float)
    }
    complete = {
        name: [v for v in values if v is not None]
        for name, values in numbers.items()
        if None not in values
    }
    return {
        "mean": {name: float(np.mean(values)) for name, values in complete.items()},
        "std": {name: float(np.std(values, ddof=1)) for name, values in complete.items()},
    }


def _out_of_fold(runs: Sequence[Run]) -> dict[str, np.ndarray]:
    """Return the predictions of all folds, one for each row of the source, averaged over the repeats.

    Forecasts, whose windows are no rows of the source, come fold after fold, with their `fold`, from 1.
    """
    predictions: list[Any] = [run.answers for run in runs]
    if "source_rows" not in predictions[0]:
        names = [name for name in ("truth", "answers", "moments") if name in predictions[0]]
        together = {name: np.concatenate([fold[name] for fold in predictions]) for name in names}
        if "series" in predictions[0]:
            series = [fold["series_names"][fold["series"]] for fold in predictions]
            together["series"] = np.concatenate(series)
        lengths = [len(fold["rows"]) for fold in predictions]
        return {"fold": np.repeat(np.arange(1, len(runs) + 1), lengths)} | together
    source_rows, truth, answers = (
        np.concatenate([fold[name] for fold in predictions])
        for name in ("source_rows", "truth", "answers")
    )
    rows, first_indices, row_of = np.unique(source_rows, return_index=True, return_inverse=True)
    total = np.zeros((len(rows), *answers.shape[1:]))
    np.add.at(total, row_of, answers)
    counts = np.bincount(row_of).reshape(-1, *[1] * (answers.ndim - 1))
    return {
        "rows": rows,
        "truth": truth[first_indices],
        "answers": (total / counts).astype(np.float32),
    }


def _print_progress(runs: Sequence[Run], count: int) -> None:
    name, values = _first_score([run.summary["test"] for run in runs])
    seconds_left = np.mean([run.summary["seconds"] for run in runs]) * (count - len(runs))
    scores = (
        f"{name} {values[-1]:.4f}, mean so far {np.mean(values):.4f}"
        if values
        else "no score that all folds have"
    )
    line = f"fold {len(runs)}/{count}: {scores}"
    print(
        f"{line}, {seconds_left:.0f} s left" if seconds_left else line, file=sys.stderr, flush=True
    )


def _first_score(folds: Sequence[Mapping[str, Any]]) -> tuple[str, list[float]]:
    """Return the first score that all folds have, and its values; an empty name and no values if there is none."""
    names = [name for name in folds[0] if not mixes_units(name, folds[0])]
    candidates: Any = ((name, [fold.get(name) for fold in folds]) for name in names)
    return next(((name, values) for name, values in candidates if None not in values), ("", []))


def _write(out: Path, scores: Scores, first: Run, arguments: JsonObject) -> None:
    summary = dict(
        preset=first.spec.preset,
        data=first.data.name,
        task=first.spec.task,
        **arguments,
        mean=scores["mean"],
        std=scores["std"],
        **{name: scores[name] for name in ("targets", "baselines") if name in scores},
        scores=scores["folds"],
        seconds=round(sum(Run(path).summary["seconds"] for path in scores["runs"]), 2),
        command=first.config["command"],
        **{name: first.config[name] for name in ("backend", "versions", "machine")},
        created=provenance()["created"],
    )
    write_json(out / "cross_validation.json", finite(summary))
    with (
        whole_file(out / "out_of_fold.npz", sync=False) as temporary,
        open(temporary, "wb") as stream,
    ):
        np.savez_compressed(stream, **scores["out_of_fold"])

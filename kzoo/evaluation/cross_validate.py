"""`cross_validate`: a preset scored on every row of its data, each time by a network that has not seen it."""

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
from numpy.typing import ArrayLike

from kzoo.data import Dataset
from kzoo.data.arrays import from_tf
from kzoo.dataset.dataset import Loadable
from kzoo.dataset.splits import MOST_FOLDS, Fold
from kzoo.registry import Preset, get_preset
from kzoo.results import of_fold
from kzoo.run import Run
from kzoo.tasks.target_scores import mixes_units
from kzoo.training import train
from kzoo.training.folder import is_complete
from kzoo.training.provenance import provenance
from kzoo.training.train import print_notes
from kzoo.utils.argument_checks import checked_arguments
from kzoo.utils.errors import KzooError
from kzoo.utils.files import finite, whole_file, write_json
from kzoo.utils.formatting import aligned, plural
from kzoo.workers.pool import Silence, checked_pool, worker_pool
from kzoo.workers.worker import TrialFailed, Worker, can_be_sent


@checked_arguments
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
    target: str | Sequence[str] | None = None,
    drop: str | Sequence[str] = (),
    group: str | ArrayLike | None = None,
    task: str | None = None,
    columns: Mapping[str, Any] | None = None,
    parallel: int = 1,
    threads: int | None = None,
    executor: Executor | None = None,
    overwrite: bool = False,
    progress: bool = True,
    **overrides: Any,
) -> dict[str, Any]:
    """Train a preset once for each fold of the data, and score it on that fold.

    Each fold is a run of `kzoo.train` with a fresh network. Vocabulary, categories and scaling are learned on its
    training rows alone, and early stopping watches a part of these, so that nothing is known of the fold before it
    is scored. A test split of the source's own (`mnist`, a `test/` folder) is left untouched.

    The same call again goes on where it was stopped: finished folds are not trained twice.

    Args:
        preset: a name or a `Preset`.
        data: anything `kzoo.load_data` takes whose rows have no order; the default is the preset's own data set.
        folds: how many parts; each is the test split once.
        stratified: keep the proportions of the classes in each fold, as scikit-learn's `StratifiedKFold` does.
        repeats: how often to divide again; repeat r has the seed `seed + r`, for the folds and for the weights.
        seed: of the folds, the weights, order, dropout and augmentation.
        out: the folder, with a run in `fold-01`, `fold-02`, ...; the default is `runs/cross-PRESET`.
        epochs, callbacks: see `kzoo.train`.
        validation: fraction of the rows outside the fold, which choose the best epoch.
        target, drop, group, task, columns: see `kzoo.load_data`.
        parallel, threads, executor: how many folds are trained at once, and by whom, as in `kzoo.tune`; the last digits
            of scores depend on `threads`, and not on who trains.
        overwrite: replace other folds in `out`, all of them.
        progress: what `kzoo.train` says of the first fold, of its data above all, and a line for each; False for
            silence.
        overrides: any other name that `kzoo.train` takes.

    Returns:
        A dict, printed as a table: `folds`, a dict of scores for each; `mean` and `std` (n - 1) of every score over
        them, of several targets also for each of them, as `targets`, and of each baseline that all folds have, as
        `baselines`; `out_of_fold`: `rows` (places among the usable rows of the source), `truth` and `answers`
        (probabilities or values, averaged over the repeats); `runs`, their paths. `out` gets them as
        `cross_validation.json` and `out_of_fold.npz`.

    Raises:
        KzooError: data that has an order, more folds than rows of a class, or anything that `kzoo.train` refuses.
    """
    preset = get_preset(preset)
    if isinstance(repeats, bool) or not isinstance(repeats, int | np.integer) or not 1 <= repeats <= MOST_FOLDS:
        raise KzooError(f"repeats={repeats!r} must be a whole number from 1 to {MOST_FOLDS}.")
    if taken := {"test", "data_seed"} & set(overrides):
        raise KzooError(f"{min(taken)}= has no meaning here: each fold is the test split once, and seed= draws them.")
    if isinstance(data, Dataset):
        raise KzooError(f"{data.name} is split already: give what it was loaded from.")
    if hasattr(data, "as_numpy_iterator"):
        data = from_tf(data, preset)  # once: a data set that shuffles itself would give every fold other rows
    Fold(0, folds, stratified, seed)  # checks them
    folds, stratified, seed = int(folds), bool(stratified), int(seed)
    plan = [Fold(i, folds, stratified, seed + r) for r in range(repeats) for i in range(folds)]
    options: dict[str, Any] = dict(
        epochs=epochs, callbacks=callbacks, validation=validation, target=target, drop=drop, group=group, task=task,
        columns=columns,
    ) | overrides  # fmt: skip
    out, runs = Path(out or f"runs/cross-{preset.name}"), []
    threads = checked_pool(parallel, threads, executor)
    folders = [out / f"fold-{number:02d}" for number in range(1, len(plan) + 1)]
    trainer: dict[str, Any] = dict(preset=preset, data=data, options=options, data_seed=seed, overwrite=overwrite)
    if threads is not None:
        _train_elsewhere(trainer, plan, folders, parallel, threads, executor)
        trainer |= dict(overwrite=False)  # they are finished: they are opened
    for number, (fold, folder) in enumerate(zip(plan, folders, strict=True), 1):
        known = is_complete(folder)
        Folds(**trainer).train(folder=folder, fold=fold)
        run = Run(folder)
        if run.summary["interrupted"]:  # in a notebook; elsewhere `train` has raised
            raise KeyboardInterrupt(f"stopped in fold {number}; the same call continues it")
        runs.append(run)
        if number == 1:
            print_notes(run.config.get("notes", ()), progress)
        if overwrite or not known:
            keras.utils.clear_session(free_memory=True)
        if progress:
            _say(runs, len(plan))
    if overwrite:
        _remove_others(out, folders)
    of_all = {"out_of_fold": _out_of_fold(runs), "runs": [run.path for run in runs]}
    found = CrossValidation(_summarise(runs) | of_all)
    _write(out, found, runs[0], dict(folds=folds, stratified=stratified, repeats=repeats, seed=seed))
    return found


def _remove_others(out: Path, folders: Sequence[Path]) -> None:
    """Remove the folds of an earlier cross-validation that had more of them: they would be taken for these ones'."""
    for path in set(out.glob("fold-[0-9]*")) - set(folders):
        with suppress(KzooError):  # what is no run stays
            if of_fold(Run(path)):
                shutil.rmtree(path)


def _train_elsewhere(
    trainer: dict[str, Any], plan: Sequence[Fold], folders: Sequence[Path], parallel: int, threads: int,
    executor: Executor | None,
) -> None:  # fmt: skip
    """Have the folds that are not finished trained by other processes.

    Raises:
        KzooError: what another process cannot be told, or the first fold that failed, by number, and why.
    """
    if not can_be_sent((trainer["preset"], trainer["options"])):
        raise KzooError(
            "What is passed has a function or class of a script or a notebook, which no other process can import. Move "
            "it to a module, or leave parallel=, threads= and executor= out."
        )
    with tempfile.TemporaryDirectory() as logs:
        worker = Worker(Path(logs) / "worker.log", threads=threads, trainer=f"{__name__}:{Folds.__name__}", **trainer)
        with worker, worker_pool(worker, Silence(), parallel, executor) as crew:
            futures = {
                crew.submit(number, signals=None, deadline=None, folder=os.fspath(folder), fold=fold): number
                for number, (fold, folder) in enumerate(zip(plan, folders, strict=True), 1)
                if trainer["overwrite"] or not is_complete(folder)
            }
            for future in as_completed(futures):
                try:
                    future.result()
                except TrialFailed as error:
                    raise KzooError(f"fold {futures[future]}: {error}") from None


class Folds:
    """Trains the folds of a cross-validation, here or in a process of its own."""

    def __init__(
        self, *, preset: Preset, data: Any, options: dict[str, Any], data_seed: int, overwrite: bool, stop: Any = None,
        tell: Any = None,
    ) -> None:  # fmt: skip
        self.preset, self.data, self.options = preset, data, options
        self.data_seed, self.overwrite = data_seed, overwrite

    def train(self, *, folder: str | os.PathLike[str], fold: Fold) -> None:
        """Train one fold; its run is in the folder then."""
        train(
            self.preset, self.data, out=folder, test=fold, seed=fold.seed, data_seed=self.data_seed, progress=False,
            overwrite=self.overwrite, **self.options,
        )  # fmt: skip


def _summarise(runs: Sequence[Run]) -> dict[str, Any]:
    folds = [run.summary["test"] for run in runs]
    found = {"folds": folds} | _spread(folds)
    if names := folds[0].get("targets"):
        found["targets"] = {name: _spread([f["targets"][name] for f in folds]) for name in names}
    beside: list[dict[str, Any]] = [
        {one["name"]: one["scores"] for one in run.summary.get("baselines") or () if one["scores"]} for run in runs
    ]
    if shared := [name for name in beside[0] if all(name in each for each in beside)]:
        found["baselines"] = {name: _spread([each[name] for each in beside]) for name in shared}
    return found


class CrossValidation(dict[str, Any]):
    """What `kzoo.cross_validate` returns: a dict, which is printed as a table."""

    def __repr__(self) -> str:
        """The mean and the deviation of each score over the folds, and of the baselines beside the first of them."""
        rows = [["score", "mean", "deviation"]]
        rows += [[name, f"{mean:.4g}", f"{self['std'][name]:.2g}"] for name, mean in self["mean"].items()]
        first = _first(self["folds"])[0]
        for name, scores in self.get("baselines", {}).items():
            if first in scores["mean"]:
                rows.append([f"{first} of {name}", f"{scores['mean'][first]:.4g}", f"{scores['std'][first]:.2g}"])
        lines = [f"Cross-validation, {plural(len(self['folds']), 'fold')}, in {Path(self['runs'][0]).parent}"]
        return "\n".join(lines + [f"  {line}" for line in aligned(rows, right=(1, 2))])


def _spread(folds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return mean and standard deviation of each score that all folds have."""
    numbers = {name: [f.get(name) for f in folds] for name, value in folds[0].items() if isinstance(value, float)}
    told = {name: [v for v in values if v is not None] for name, values in numbers.items() if None not in values}
    return {
        "mean": {name: float(np.mean(values)) for name, values in told.items()},
        "std": {name: float(np.std(values, ddof=1)) for name, values in told.items()},
    }


def _out_of_fold(runs: Sequence[Run]) -> dict[str, np.ndarray]:
    """Put the answers to the folds together, one for each row of the source, averaged over the repeats."""
    kept: list[Any] = [run.answers for run in runs]
    places, truth, answers = (np.concatenate([k[name] for k in kept]) for name in ("source_rows", "truth", "answers"))
    rows, first, of = np.unique(places, return_index=True, return_inverse=True)
    total = np.zeros((len(rows), *answers.shape[1:]))
    np.add.at(total, of, answers)
    times = np.bincount(of).reshape(-1, *[1] * (answers.ndim - 1))
    return {"rows": rows, "truth": truth[first], "answers": (total / times).astype(np.float32)}


def _say(runs: Sequence[Run], count: int) -> None:
    name, values = _first([run.summary["test"] for run in runs])
    left = np.mean([run.summary["seconds"] for run in runs]) * (count - len(runs))
    line = f"fold {len(runs)}/{count}: {name} {values[-1]:.4f}, mean so far {np.mean(values):.4f}"
    print(f"{line}, {left:.0f} s left" if left else line, file=sys.stderr, flush=True)


def _first(folds: Sequence[Mapping[str, Any]]) -> tuple[str, list[float]]:
    """Return the first score that all folds have, and its values."""
    names = [name for name in folds[0] if not mixes_units(name, folds[0])]
    each: Any = ((name, [fold.get(name) for fold in folds]) for name in names)
    return next((name, values) for name, values in each if None not in values)


def _write(out: Path, found: Mapping[str, Any], first: Run, asked: Mapping[str, Any]) -> None:
    summary = dict(
        preset=first.spec.preset,
        data=first.data.name,
        task=first.spec.task,
        **asked,
        mean=found["mean"],
        std=found["std"],
        **{name: found[name] for name in ("targets", "baselines") if name in found},
        scores=found["folds"],
        seconds=round(sum(Run(path).summary["seconds"] for path in found["runs"]), 2),
        command=first.config["command"],
        **{name: first.config[name] for name in ("backend", "versions", "machine")},
        created=provenance()["created"],
    )
    write_json(out / "cross_validation.json", finite(summary))
    with whole_file(out / "out_of_fold.npz", sync=False) as temporary, open(temporary, "wb") as stream:
        np.savez_compressed(stream, **found["out_of_fold"])

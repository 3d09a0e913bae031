"""The folder of a search: locking it, resuming or replacing its search, and the files written next to the records."""

import csv
import io
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from kzoo.callbacks.events import Events
from kzoo.problems.stored_types import Config, differences
from kzoo.training.folder import (
    locked,
    missing_folders,
    names_in,
    numbered_folder,
    numbered_in,
    remove_empty_folders,
)
from kzoo.training.journal import remove_journal
from kzoo.training.provenance import provenance
from kzoo.tuning.records import (
    FINISHED,
    Objective,
    Request,
    Trial,
    leaderboard,
    ranked,
    read_trials,
    table_of,
    trial_folder,
)
from kzoo.tuning.search import Search
from kzoo.utils.errors import KzooError
from kzoo.utils.files import (
    check_writable,
    read_json,
    remove_leftovers,
    whole_file,
    write_json,
    write_text,
)
from kzoo.utils.version import __version__
from kzoo.zoo.families.protocol import is_scale_free

# A search continues even if these settings differ: it may get longer or shorter.
_MAY_DIFFER = (
    "trials",
    "max_time",
    "versions",
    "machine",
    "onednn",
    "created",
    "format_version",
    "kzoo_search",
)
_CHECKPOINTS = 3  # number of best trials whose checkpoints are kept


@contextmanager
def claimed(
    out: str | os.PathLike[str] | None, request: Request, *, resume: str
) -> Iterator[tuple[Path, Search | None]]:
    """Yield (folder, search or None) with the folder locked; a folder that is left without a search is removed.

    Args:
        out: a folder, or None for `searches/PRESET-NN`: the newest one whose search can continue, else a new one.
        request: the `Request`, which is compared with an existing search.
        resume: "auto" continues if possible, "must" continues or raises, "never" starts over.

    Raises:
        KzooError: the folder has a different search, is used by another process, or cannot be written.
    """
    created: list[Path] = []
    try:
        if out is None:
            preset = request.spec["preset"]
            folder = numbered_folder(
                "searches", preset, resume, lambda path: _can_continue(path, request), created
            )
        else:
            folder = Path(out)
        check_writable(folder, out)
        _open_search(folder, request, resume)  # raises before the folder is created or locked
        created = created or missing_folders(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            remove_leftovers_of_search(folder)
            # again: another process may have changed it
            yield folder, _open_search(folder, request, resume)
    finally:
        if created and not (created[0] / "search.json").exists():
            (created[0] / "worker.log").unlink(missing_ok=True)
        remove_empty_folders(created)


def with_provenance(request: Request) -> Request:
    """Return the request with versions, machine and time of its start."""
    recorded = provenance()
    fields = {name: recorded[name] for name in ("versions", "machine", "onednn", "created")}
    return replace(request, spec=dict(request.spec) | {"kzoo": __version__}, **fields)


def stored_objective(
    out: str | os.PathLike[str] | None, request: Request, *, resume: str
) -> Objective | None:
    """Return the objective of a stored search with which a request differs in nothing else; None without such a search.

    `out`, `request` and `resume` are those of `claimed`.
    """
    if resume == "never":
        return None
    numbered = numbered_in("searches", request.spec["preset"]).values() if out is None else ()
    for folder in (*numbered, *([] if out is None else [Path(out)])):
        try:
            search = Search(folder)
        except KzooError:
            continue
        same = replace(request, objective=search.objective)
        if not request_differences(search, same) and not (out is None and search.finished):
            return search.objective
    return None


def _can_continue(folder: Path, request: Request) -> bool:
    """Return True if a folder has the same search and it is not finished."""
    try:
        search = Search(folder)
        return not request_differences(search, request) and not search.finished
    except KzooError:
        return False


def request_differences(search: Search, request: Request) -> list[str]:
    """Return the differences between a search's request and a new one; `_MAY_DIFFER` is ignored."""
    requested = {
        name: value for name, value in request.to_json().items() if name not in _MAY_DIFFER
    }
    return differences(search.request.to_json(), requested)


def check_same_networks(search: Search, config: Config) -> None:
    """Refuse to continue a search of an earlier version with other networks.

    Args:
        search: the search in the folder.
        config: settings of the network now.

    Raises:
        KzooError: its forecasts depended on the size of a series.
    """
    before = search.request.spec.get("config", {})
    if is_scale_free(config) and "scale_free" not in before:
        raise KzooError(
            f"{search.path} was begun before version 0.2, whose forecasts depended on the size of a series: its trials "
            "cannot be compared with new ones. Use another folder, or resume='never' to replace it."
        )


def _open_search(folder: Path, request: Request, resume: str) -> Search | None:
    """Return the search to continue in a folder, or None to start a new one.

    Raises:
        KzooError: the folder has other files or a different search, or `resume="must"` finds nothing to continue.
    """
    names = names_in(folder)
    if names and not _holds_search(folder, names):
        raise KzooError(
            "contains other files, but no search. Use a new folder.",
            argument="out",
            value=str(folder),
        )
    if "search.json" not in names:
        if resume == "must":
            raise KzooError(
                f"needs an existing search, but {folder} contains none. Use resume='auto'.",
                argument="resume",
                value="must",
            )
        return None
    search = Search(folder)
    if resume == "never":
        return None
    if differing := request_differences(search, request):
        shown = "; ".join(differing[:3]) + (
            f"; and {len(differing) - 3} more" if len(differing) > 3 else ""
        )
        raise KzooError(
            f"{folder} contains a different search ({shown}). Choose another folder, or resume='never' to replace it."
        )
    if resume == "must" and not read_trials(folder):
        raise KzooError(
            f"needs at least one trial, but {folder} has none yet. Use resume='auto'.",
            argument="resume",
            value="must",
        )
    return search


def _holds_search(folder: Path, names: set[str]) -> bool:
    """Return True if the file names are those of a search, including one killed before it wrote `search.json`."""
    if "search.json" not in names:
        return names <= {"preprocessing.json", "worker.log", ".lock"}
    try:
        return "kzoo_search" in read_json(folder / "search.json")
    except (KzooError, ValueError, TypeError):
        return False


def remove_leftovers_of_search(folder: Path) -> None:
    """Remove temporary files that interrupted writes have left."""
    remove_leftovers(folder)
    for path in folder.glob("trials/*"):
        remove_leftovers(path)


def clear_search(folder: Path) -> None:
    """Remove the files of an earlier search from a folder that this process has locked."""
    for name in ("trials", "engine", "tensorboard"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("leaderboard.csv", "leaderboard.json", "end.json"):
        (folder / name).unlink(missing_ok=True)


def clean_up(
    folder: Path, trials: Iterable[Trial], objective: Objective, *, states: bool = True
) -> None:
    """Remove the checkpoints of all but the best trials, and training states that are no longer needed.

    Args:
        folder: the search's folder.
        trials: the trials.
        objective: the `Objective`.
        states: whether to remove the states of finished trials. Hyperband needs them: later rounds continue its trials.
    """
    best = {t.number for t in ranked(trials, objective)[:_CHECKPOINTS] if t.score is not None}
    for trial in trials:
        path = trial_folder(folder, trial.number)
        if trial.status not in FINISHED:
            continue
        if trial.number not in best:
            (path / "best.keras").unlink(missing_ok=True)
        if states:
            remove_journal(path)


def write_leaderboard(folder: Path, trials: Sequence[Trial], objective: Objective) -> None:
    """Write `leaderboard.csv` and `leaderboard.json`."""
    rows = leaderboard(trials, objective)
    write_json(folder / "leaderboard.json", [row.to_json() for row in rows], sync=False)
    out = io.StringIO()
    table = table_of(rows)
    writer = csv.DictWriter(out, list(table[0]) if table else ["rank"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    write_text(folder / "leaderboard.csv", out.getvalue(), sync=False)


def write_hparams(folder: Path, trial: Trial) -> None:
    """Write a finished trial to `tensorboard/0000/` for TensorBoard's HParams page, if TensorBoard is installed."""
    if find_spec("tensorboard") is None:
        return
    hparams_pb = import_module("tensorboard.plugins.hparams.summary_v2").hparams_pb
    name = f"trial {trial.number}"
    end = time.time()
    path = folder / "tensorboard" / f"{trial.number:04d}" / "events.out.tfevents.0.kzoo"
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, sync=False) as temporary, closing(Events(temporary, at=end)) as events:
        events.summary(hparams_pb(dict(trial.hyperparameters), name, end - trial.seconds))
        for metric, values in trial.history.items():
            for epoch, value in enumerate(values):
                if value is not None:
                    events.scalars({metric: value}, epoch)
        if trial.score is not None and trial.best_epoch is not None:
            events.scalars({"score": trial.score}, trial.best_epoch - 1)

"""A run's folder: claiming it for one process, and setting an earlier run aside.

The folder is empty, or it has the same run, finished (returned as it is) or stopped (resumed).
"""

import errno
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from kzoo.problems.stored_types import Request
from kzoo.training.journal import State
from kzoo.training.provenance import provenance
from kzoo.utils import onednn
from kzoo.utils.discovery import numbered_in
from kzoo.utils.errors import KzooError
from kzoo.utils.files import check_writable, leftovers, read_json, remove_leftovers
from kzoo.zoo.registry.arguments import RESUME
from kzoo.zoo.run import JOURNALS, Run, has_journal

_ASIDE = ".before"  # an earlier run, until the new one has a model or a journal
_RUN_FILES = (
    "config.json",
    "preprocessing.json",
    "postprocessing.json",
    "history.csv",
    "best.keras",
    "last.keras",
    "summary.json",
    "answers.npz",
    "curves.png",
    "report.html",
    "retrained.json",
    "tensorboard",
    "checkpoints",
    "debug.csv",
    *JOURNALS,
)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A folder claimed for a run.

    Args:
        folder: the run's folder.
        done: the same run, if the folder has it finished.
        stopped: the same run, if the folder has it stopped.
        state: the state of its journal, once the folder is locked.
        notes: lines to print.
    """

    folder: Path
    done: Run | None = None
    stopped: Run | None = None
    state: State | None = None
    notes: tuple[str, ...] = ()


@contextmanager
def claimed(
    out: str | os.PathLike[str] | None, request: Request, *, overwrite: bool, resume: str
) -> Iterator[Claim]:
    """Yield the `Claim` of a run. Its folder is locked inside the block, and removed afterwards if it is empty.

    Args:
        out: a folder, or None for `runs/PRESET-NN`: the newest one that can be resumed, else a new one.
        request: the `Request` that identifies the run, compared with the folder's.
        overwrite: replace any run in the folder.
        resume: "auto" resumes if possible, "must" raises if it is not, "never" starts over.

    Raises:
        KzooError: the folder has a different run, another process trains in it, or it cannot be written.
    """
    check_resume(resume)
    created: list[Path] = []
    try:
        if out is None:
            folder = numbered_folder(
                "runs",
                request.spec.preset,
                resume,
                lambda path: _can_resume(path, request),
                created,
            )
        else:
            folder = Path(out)
            check_writable(folder, out)
        claim = _inspect(folder, request, overwrite, resume)
        if claim.done is not None:
            yield claim
            return
        if resume == "must" and (claim.stopped is None or not has_journal(folder)):
            _raise_no_journal(folder)
        created = created or missing_folders(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            remove_leftovers(folder)
            # again: another process may have finished it
            claim = _inspect(folder, request, overwrite, resume)
            if claim.stopped is not None:
                claim = _resumed(claim, resume)
            yield claim
    finally:
        remove_empty_folders(created)


def check_resume(resume: str) -> None:
    """Raise KzooError if `resume` is unknown."""
    if resume not in RESUME:
        raise KzooError(
            f"is unknown. Use one of: {', '.join(RESUME)}.", argument="resume", value=resume
        )


def missing_folders(folder: Path) -> list[Path]:
    """Return a folder and its parents, as far as they do not exist yet, innermost first."""
    return [path for path in (folder, *folder.parents) if not path.exists()]


def remove_empty_folders(folders: Iterable[Path]) -> None:
    """Remove the empty ones of some folders, given innermost first."""
    for path in folders:
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def numbered_folder(
    base: str | Path,
    preset: str,
    resume: str,
    can_resume: Callable[[Path], bool],
    created: list[Path],
) -> Path:
    """Return the newest folder `base/PRESET-NN` that can be resumed, else a new one.

    Args:
        can_resume: function of a path, returns whether the run in it can be resumed.
        created: a list, filled with the folders that were created for a new one.
    """
    base, existing = Path(base), numbered_in(base, preset)
    if resume != "never":
        for path in existing.values():
            if can_resume(path) and not is_locked(path):
                return path
    number = max(existing, default=0) + 1
    while True:
        folder = base / f"{preset}-{number:02d}"
        try:
            check_writable(folder, None)
            created[:] = missing_folders(folder)
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1


def _can_resume(folder: Path, request: Request) -> bool:
    """Return whether a folder has the same run, stopped, with a journal."""
    try:
        run = Run(folder)
        return run.stopped and not request.differences(run.config)
    except KzooError:
        return False


def _inspect(folder: Path, request: Request, overwrite: bool, resume: str) -> Claim:
    """Return the `Claim` for a folder, depending on its contents."""
    names = names_in(folder)
    if names and not _holds_run(folder, names):
        raise KzooError(
            "has other files and no run. Use a new folder.", argument="out", value=str(folder)
        )
    if not names or overwrite or "config.json" not in names:
        return Claim(folder=folder)
    run = Run(folder)
    if differences := request.differences(run.config):
        shown = "; ".join(differences[:3]) + (
            f"; and {len(differences) - 3} more" if len(differences) > 3 else ""
        )
        raise KzooError(
            f"has a different run ({shown}). Pass overwrite=True, or use another folder.",
            argument="out",
            value=str(folder),
        )
    if run.finished and not run.summary.get("interrupted"):
        unknown = request.uncompared(run.config)
        return Claim(
            folder=folder, done=run, notes=(_finished_note(folder, unknown),) if unknown else ()
        )
    return Claim(folder=folder, stopped=None if resume == "never" else run)


def _finished_note(folder: Path, uncompared: Sequence[str]) -> str:
    fields = "; ".join(uncompared)
    return f"{folder} has this run, finished: returning it. Not compared: {fields}. Pass overwrite=True to train again."


def names_in(folder: Path) -> set[str]:
    """Return the names of the files in a folder, without the lock and the leftovers of killed writes."""
    present = set(folder.iterdir()) - set(leftovers(folder)) if folder.exists() else ()
    return {path.name for path in present} - {".lock"}


def _resumed(claim: Claim, resume: str) -> Claim:
    """Return the claim of a stopped run, with the state of its journal."""
    state, notes = State.newest(claim.folder)
    if state is not None and claim.stopped is not None:
        _remove(claim.folder / _ASIDE)  # the run that this one replaced, left when it was killed
        notes += [_resume_note(claim.folder, state, claim.stopped), *_machine_notes(claim.stopped)]
    elif resume == "must":
        _raise_no_journal(claim.folder)
    else:
        notes.append(f"{claim.folder} has no journal to resume from: the training starts over.")
    return replace(claim, state=state, notes=tuple(notes))


def _raise_no_journal(folder: Path) -> NoReturn:
    raise KzooError(
        f", but {folder} has no journal to resume from. Use resume='auto'.",
        argument="resume",
        value="must",
    )


def _holds_run(folder: Path, names: Collection[str]) -> bool:
    """Return whether the files of a folder are a run's, even a damaged one's; other programs have a config.json too."""
    if "config.json" not in names:  # a run that was killed at its start
        return set(names) <= {_ASIDE, "preprocessing.json"}
    try:
        config = read_json(folder / "config.json")
    except (KzooError, ValueError):
        return "preprocessing.json" in names
    return isinstance(config, dict) and "spec" in config


def _resume_note(folder: Path, state: State, run: Run) -> str:
    epochs = run.spec.training["epochs"]
    if state.stopped or state.epoch == epochs:
        return f"Resuming {folder}: training is complete, only the scores are missing."
    step = f", after step {state.step}" if state.step else ""
    return f"Resuming {folder} in epoch {state.epoch + 1} of {epochs}{step}. Pass resume='never' to start over."


def _machine_notes(run: Run) -> list[str]:
    """Return a note for each difference from the journal's machine that may change results in the last bit."""
    current = provenance()
    notes = []
    old = run.config["versions"]
    new = current["versions"]
    versions = [
        f"{name} {old.get(name)} before, {new[name]} now"
        for name in new
        if old.get(name) != new[name]
    ]
    if versions:
        notes.append(
            f"Resuming with other versions ({'; '.join(versions)}): results may differ in the last bits."
        )
    old = run.config.get("processor")
    new = current["processor"]
    if old and new and old != new:
        lost = [f"no {name} now" for name in old if name not in new]
        gained = [f"{name} now" for name in new if name not in old]
        notes.append(
            f"Resuming on another kind of processor ({', '.join(lost + gained)}): results may differ in the last bits."
        )
    old = onednn.recorded(run.config)
    new = current["onednn"]
    if old is not None and new is not None and old != new:
        notes.append(
            f"oneDNN is {'on' if new else 'off'}, and was {'on' if old else 'off'} when this run started: results may "
            f"differ in the last bits. Set {onednn.VARIABLE}={int(old)} before TensorFlow is imported to get the same "
            "bits."
        )
    return notes


def is_complete(folder: Path) -> bool:
    """Return whether a folder has a run that was trained to its end, neither killed nor interrupted."""
    try:
        return not Run(folder).summary["interrupted"]
    except KzooError:
        return False


@contextmanager
def run_set_aside(folder: Path) -> Iterator[None]:
    """Set an earlier run's files aside in the block; restore them if it fails without a model or a journal."""
    aside = folder / _ASIDE
    _remove(aside)
    if any((folder / name).exists() for name in _RUN_FILES):
        aside.mkdir()
        _move_run(folder, aside)
    try:
        yield
    except BaseException:
        if not any((folder / name).exists() for name in ("best.keras", "journal")):
            for name in _RUN_FILES:
                _remove(folder / name)
            _move_run(aside, folder)
        raise
    finally:
        _remove(aside)


def _move_run(source: Path, target: Path) -> None:
    for name in _RUN_FILES:
        if (source / name).exists():
            os.replace(source / name, target / name)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder against other processes while the block runs.

    On Unix the folder itself is locked (flock), so that no lock file can be left behind; on Windows, `.lock` in it. On
    a file system without locks, the folder is not locked.

    Raises:
        KzooError: another process has locked the folder.
    """
    handle = _lock_handle(folder)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def is_locked(folder: Path) -> bool:
    """Return whether another process, or another training in this one, has locked a folder."""
    try:
        with locked(folder):
            return False
    except KzooError:
        return True


def _lock_handle(folder: Path) -> int | None:
    path = os.path.join(folder, ".lock") if os.name == "nt" else folder
    handle = os.open(path, os.O_RDWR | os.O_CREAT if os.name == "nt" else os.O_RDONLY)
    try:
        if os.name == "nt":
            msvcrt = import_module("msvcrt")
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            fcntl = import_module("fcntl")
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        if error.errno not in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            return None
        raise KzooError(
            f"Another process is training in {folder}. Wait for it, or use another folder."
        ) from None
    return handle

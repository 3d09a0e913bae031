"""A run's folder: whose it is, one process at a time in it, and an earlier run set aside.

It is a new run's, a finished one's that is asked for again, or a killed one's that goes on.
"""

import errno
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from kzoo.registry.arguments import RESUME
from kzoo.run import JOURNALS, Run, has_journal
from kzoo.stored_types import Request
from kzoo.training.journal import State
from kzoo.training.provenance import provenance
from kzoo.utils import onednn
from kzoo.utils.discovery import numbered_in
from kzoo.utils.errors import KzooError
from kzoo.utils.files import check_writable, leftovers, read_json, remove_leftovers

_ASIDE = ".before"  # where an earlier run waits until the new one has something to go on from
_RUN_FILES = (
    "config.json", "preprocessing.json", "postprocessing.json", "history.csv", "best.keras", "last.keras",
    "summary.json", "answers.npz", "curves.png", "report.html", "tensorboard", "checkpoints", "debug.csv", *JOURNALS,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A folder that is this process' alone.

    Args:
        folder: the run's.
        done: the finished run, where it holds the same one.
        stopped: the same run, where it was stopped in it.
        state: its journal's state, once the folder is locked.
        notes: a line for each thing to know.
    """

    folder: Path
    done: Run | None = None
    stopped: Run | None = None
    state: State | None = None
    notes: tuple[str, ...] = ()


@contextmanager
def claimed(out, request: Request, *, overwrite, resume):
    """Yield the `Claim` of a run; its folder is locked inside the block, and goes again if it is left empty.

    Args:
        out: a folder, or None for `runs/PRESET-NN`: the newest one that can go on, else a new one.
        request: what identifies a run, to compare with what is there.
        overwrite: replace whatever run is there.
        resume: "auto" continues where it can, "must" does so or refuses, "never" starts over.

    Raises:
        KzooError: a different run, one that another process trains, or a folder that may not be written.
    """
    check_resume(resume)
    made: list[Path] = []
    try:
        if out is None:
            folder = numbered("runs", request.spec.preset, resume, lambda path: _goes_on(path, request), made)
        else:
            folder = Path(out)
            check_writable(folder, out)
        claim = _look(folder, request, overwrite, resume)
        if claim.done is not None:
            yield claim
            return
        if resume == "must" and (claim.stopped is None or not has_journal(folder)):
            _no_journal(folder)
        made = made or missing(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            remove_leftovers(folder)
            claim = _look(folder, request, overwrite, resume)  # once more: the process before may have finished it
            if claim.stopped is not None:
                claim = _taken_up(claim, resume)
            yield claim
    finally:
        remove_empty(made)


def check_resume(resume):
    """Raise `KzooError` for a way of resuming that there is not."""
    if resume not in RESUME:
        raise KzooError(f"resume={resume!r} is unknown. Use one of: {', '.join(RESUME)}.")


def missing(folder):
    """Return a folder and those above it, as far as they are still to be made; from the bottom up."""
    return [path for path in (folder, *folder.parents) if not path.exists()]


def remove_empty(made):
    """Remove those folders that nothing was written to, from the bottom up."""
    for path in made:
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def numbered(base, preset, resume, goes_on, made):
    """Return the newest folder `base/PRESET-NN` that can go on, else a new one.

    Args:
        goes_on: path -> whether what is in it can go on.
        made: a list, which becomes the folders that were made for a new one.
    """
    base, taken = Path(base), numbered_in(base, preset)
    if resume != "never":
        for path in taken.values():
            if goes_on(path) and not is_locked(path):
                return path
    number = max(taken, default=0) + 1
    while True:
        folder = base / f"{preset}-{number:02d}"
        try:
            check_writable(folder, None)
            made[:] = missing(folder)
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1


def _goes_on(folder, request):
    """Say whether a folder holds the same run, stopped, with a journal."""
    try:
        run = Run(folder)
        return run.stopped and not request.differences(run.config)
    except KzooError:
        return False


def _look(folder, request, overwrite, resume):
    """Return the claim that what is in a folder leads to."""
    there = names_in(folder)
    if there and not _holds_run(folder, there):
        raise KzooError(f"out={str(folder)!r} holds other files and no run. Name a new folder.")
    if not there or overwrite or "config.json" not in there:
        return Claim(folder=folder)
    run = Run(folder)
    if different := request.differences(run.config):
        shown = "; ".join(different[:3]) + (f"; and {len(different) - 3} more" if len(different) > 3 else "")
        raise KzooError(f"{folder} holds a different run ({shown}). Pass overwrite=True, or another folder.")
    if run.finished and not run.summary.get("interrupted"):
        unknown = request.uncompared(run.config)
        return Claim(folder=folder, done=run, notes=(_found(folder, unknown),) if unknown else ())
    return Claim(folder=folder, stopped=None if resume == "never" else run)


def _found(folder, unknown):
    what = "; ".join(unknown)
    return f"{folder} holds this run, finished: it is returned. Not compared: {what}. overwrite=True trains again."


def names_in(folder):
    """Return the names of what is in a folder, but for the lock and what a killed write left."""
    present = set(folder.iterdir()) - set(leftovers(folder)) if folder.exists() else ()
    return {path.name for path in present} - {".lock"}


def _taken_up(claim, resume):
    """Return the claim of a stopped run with its journal's state."""
    state, notes = State.newest(claim.folder)
    if state is not None:
        _remove(claim.folder / _ASIDE)  # that this one replaces; it was killed before it could be
        notes += [_where(claim.folder, state, claim.stopped), *_other_machine(claim.stopped)]
    elif resume == "must":
        _no_journal(claim.folder)
    else:
        notes.append(f"{claim.folder} has no journal to go on from: the same training begins again.")
    return replace(claim, state=state, notes=tuple(notes))


def _no_journal(folder):
    raise KzooError(f"resume='must', and {folder} has no journal to go on from. Use resume='auto'.")


def _holds_run(folder, there):
    """Say whether a folder is a run's, even a damaged one; other programs have a config.json too."""
    if "config.json" not in there:  # one that was killed as it began has nothing else yet
        return there <= {_ASIDE, "preprocessing.json"}
    try:
        config = read_json(folder / "config.json")
    except ValueError:
        return "preprocessing.json" in there
    return isinstance(config, dict) and "spec" in config


def _where(folder, state, run):
    epochs = run.spec.training["epochs"]
    if state.stopped or state.epoch == epochs:
        return f"Resuming {folder}: it is trained, only the scores are missing."
    step = f", after step {state.step}" if state.step else ""
    return f"Resuming {folder} in epoch {state.epoch + 1} of {epochs}{step}. (resume='never' starts over.)"


def _other_machine(run):
    """Return a note for each difference from the machine of the journal that may change the last bit."""
    here, notes = provenance(), []
    before, now = run.config["versions"], here["versions"]
    versions = [f"{name} {before.get(name)} there, {now[name]} now" for name in now if before.get(name) != now[name]]
    if versions:
        notes.append(f"Other versions ({'; '.join(versions)}): it continues, but the bits may differ.")
    sets_before, sets_now = run.config.get("processor"), here["processor"]
    if sets_before and sets_now and sets_before != sets_now:
        lost = [f"no {name} now" for name in sets_before if name not in sets_now]
        new = [f"{name} now" for name in sets_now if name not in sets_before]
        notes.append(f"Another kind of processor ({', '.join(lost + new)}): it continues, but the bits may differ.")
    kept, now = onednn.recorded(run.config), here["onednn"]
    if kept is not None and now is not None and kept != now:
        notes.append(
            f"oneDNN is {'on' if now else 'off'}, and was {'on' if kept else 'off'} when this run began: it continues, "
            f"but the bits may differ. {onednn.VARIABLE}={int(kept)} before TensorFlow is imported keeps them."
        )
    return notes


def is_complete(folder):
    """Say whether a folder holds a run that was trained to its end, neither killed nor interrupted."""
    try:
        return not Run(folder).summary["interrupted"]
    except KzooError:
        return False


@contextmanager
def replaced(folder):
    """Set an earlier run's files aside; they come back if the new one leaves nothing to go on from."""
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


def _move_run(source, target):
    for name in _RUN_FILES:
        if (source / name).exists():
            os.replace(source / name, target / name)


def _remove(path):
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def locked(folder):
    """Keep other processes out of a folder while the block runs.

    On Unix the folder itself is locked (flock), so there is no file to be left behind; on Windows, `.lock` in it.
    A file system without locks is used without.

    Raises:
        KzooError: another process is in there.
    """
    handle = _take(folder)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def is_locked(folder) -> bool:
    """Say whether another process, or another training in this one, is in a folder."""
    try:
        with locked(folder):
            return False
    except KzooError:
        return True


def _take(folder):
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
        raise KzooError(f"Another process trains in {folder}. Wait for it, or choose another folder.") from None
    return handle

"""Whose folder is it: a new run's, a finished one that is asked for again, or a killed one that goes on."""

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kzoo.errors import KzooError
from kzoo.files import leftovers, read_json, remove_leftovers
from kzoo.run import Run
from kzoo.training.folder import plain, provenance
from kzoo.training.journal import has_journal, read_journal
from kzoo.training.lock import is_locked, locked

RESUME = ("auto", "must", "never")


@dataclass(kw_only=True)
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
    state: dict | None = None
    notes: list = field(default_factory=list)


@contextmanager
def claimed(out, request, *, overwrite, resume):
    """Yield the `Claim` of a run; its folder is locked inside the block, and goes again if it is left empty.

    Args:
        out: a folder, or None for `runs/PRESET-NN`: the newest one that can go on, else a new one.
        request: what identifies a run, to compare with what is there.
        overwrite: replace whatever run is there.
        resume: "auto" goes on where it can, "must" does so or refuses, "never" trains anew.

    Raises:
        KzooError: a different run, one that another process trains, or a folder that may not be written.
    """
    if resume not in RESUME:
        raise KzooError(f"resume={resume!r} is unknown. Use one of: {', '.join(RESUME)}.")
    made = []
    try:
        if out is None:
            folder = _numbered(request, resume, made)
        else:
            folder = Path(out)
            check_place(folder, out)
        claim = _look(folder, request, overwrite, resume)
        if claim.done is not None:
            yield claim
            return
        if resume == "must" and (claim.stopped is None or not has_journal(folder)):
            _no_journal(folder)
        made = made or _missing(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            remove_leftovers(folder)
            claim = _look(folder, request, overwrite, resume)  # once more: the process before may have finished it
            if claim.stopped is not None:
                _take_up(claim, resume)
            yield claim
    finally:
        for path in made:  # from the bottom up
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()


def _missing(folder):
    """Return a folder and those above it, as far as they are still to be made."""
    return [path for path in (folder, *folder.parents) if not path.exists()]


def _numbered(request, resume, made):
    """Return the newest numbered folder whose run can go on, else a new one; what is made for it goes to `made`."""
    base, preset = Path("runs"), request["spec"]["preset"]
    name = re.compile(re.escape(preset) + r"-(\d+)")
    taken = {int(found[1]): path for path in base.glob("*") if (found := name.fullmatch(path.name))}
    if resume != "never":
        for _, path in sorted(taken.items(), reverse=True):
            if _goes_on(path, request) and not is_locked(path):
                return path
    number = max(taken, default=0) + 1
    while True:
        folder = base / f"{preset}-{number:02d}"
        try:
            check_place(folder, None)
            made[:] = _missing(folder)
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1


def _goes_on(folder, request):
    """Say whether a folder holds the same run, stopped, with a journal."""
    try:
        run = Run(folder)
        stopped = not run.finished or run.summary.get("interrupted")
        return stopped and not differences(run.config, request) and has_journal(folder)
    except KzooError:
        return False


def check_place(folder, out):
    """Raise `KzooError` unless a folder can be made, or written in."""
    shown = str(folder if out is None else out)
    if folder.exists() and not folder.is_dir():
        raise KzooError(f"out={shown!r} is a file. Name a folder.")
    above = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        why = "may not be written" if above.is_dir() else "is a file"
        raise KzooError(f"out={shown!r} cannot be made: {str(above)!r} {why}. Choose another folder.")


def _look(folder, request, overwrite, resume):
    """Return the claim that what is in a folder leads to."""
    claim = Claim(folder=folder)
    there = _names(folder)
    if there and not _holds_run(folder, there):
        raise KzooError(f"out={str(folder)!r} holds other files and no run. Name a new folder.")
    if not there or overwrite or "config.json" not in there:
        return claim
    run = Run(folder)
    if different := differences(run.config, request):
        shown = "; ".join(different[:3]) + (f"; and {len(different) - 3} more" if len(different) > 3 else "")
        raise KzooError(f"{folder} holds a different run ({shown}). Pass overwrite=True, or another folder.")
    if run.finished and not run.summary.get("interrupted"):
        claim.done = run
    elif resume != "never":
        claim.stopped = run
    return claim


def _names(folder):
    """Return the names of what is in a folder, but for the lock and what a killed write left."""
    present = set(folder.iterdir()) - set(leftovers(folder)) if folder.exists() else ()
    return {path.name for path in present} - {".lock"}


def _take_up(claim, resume):
    """Read the journal of a stopped run into its claim."""
    claim.state, claim.notes = read_journal(claim.folder)
    if claim.state is not None:
        claim.notes += [_where(claim.folder, claim.state, claim.stopped), *_other_versions(claim.stopped)]
    elif resume == "must":
        _no_journal(claim.folder)
    else:
        claim.notes.append(f"{claim.folder} has no journal to go on from: the same training begins again.")


def _no_journal(folder):
    raise KzooError(f"resume='must', and {folder} has no journal to go on from. Use resume='auto'.")


def _holds_run(folder, there):
    """Say whether a folder is a run's, be it a damaged one; other programs have a config.json too."""
    if "config.json" not in there:  # one that was killed as it began has nothing else yet
        return there <= {".before", "preprocessing.json"}
    try:
        config = read_json(folder / "config.json")
    except ValueError:
        return "preprocessing.json" in there
    return isinstance(config, dict) and "spec" in config


def _where(folder, state, run):
    epochs = run.config["spec"]["training"]["epochs"]
    if state["stopped"] or state["epoch"] == epochs:
        return f"Resuming {folder}: it is trained, only the scores are missing."
    step = f", after step {state['step']}" if state["step"] else ""
    return f"Resuming {folder} in epoch {state['epoch'] + 1} of {epochs}{step}. (resume='never' trains anew.)"


def _other_versions(run):
    there, now = run.config["versions"], provenance()["versions"]
    other = [f"{name} {there.get(name)} there, {now[name]} now" for name in now if there.get(name) != now[name]]
    return [f"Other versions ({'; '.join(other)}): it goes on, but the bits may differ."] if other else []


def differences(config, request) -> list[str]:
    """Return what tells a stored run from what is asked, a text for each difference. What one of them lacks is none."""
    return list(_differences(config, plain(request), ""))


def _differences(stored, asked, path):
    for name, value in asked.items():
        was = stored.get(name, value)
        if isinstance(value, dict) and isinstance(was, dict):
            yield from _differences(was, value, f"{path}{name}.")
        elif was != value:
            yield f"{path}{name}: {_short(was)} there, {_short(value)} now"


def _short(value):
    text = str(value)
    return text if len(text) < 40 else text[:37] + "..."

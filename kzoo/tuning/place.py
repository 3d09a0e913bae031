"""Whose folder is it: a new search's, or one's that is asked for again."""

import re
from contextlib import contextmanager
from pathlib import Path

from kzoo.errors import KzooError
from kzoo.files import leftovers, read_json
from kzoo.nouns import differences
from kzoo.training.folder import RESUME, check_place, is_locked, locked
from kzoo.tuning.records import read_trials, remove_trials, tidy
from kzoo.tuning.search import Search

_FREE = ("trials", "max_time", "versions")  # may differ: the search goes on, longer or shorter


@contextmanager
def claimed(out, request, *, resume):
    """Yield (folder, search or None); the folder is locked inside the block, and goes again if it is left empty.

    Args:
        out: a folder, or None for `searches/PRESET-NN`: the newest one that can go on, else a new one.
        request: what identifies a search, to compare with what is there.
        resume: "auto" goes on where it can, "must" does so or refuses, "never" begins anew.

    Raises:
        KzooError: a different search, one that another process is at, or a folder that may not be written.
    """
    made = []
    try:
        folder = _numbered(request, resume, made) if out is None else Path(out)
        check_place(folder, out)
        _look(folder, request, resume)
        made = made or [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            tidy(folder)
            yield folder, _look(folder, request, resume)
    finally:
        if made and not (made[0] / "search.json").exists():
            (made[0] / "worker.log").unlink(missing_ok=True)
        for path in made:  # from the bottom up
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()


def check_resume(resume):
    """Raise `KzooError` for a way of resuming that there is not."""
    if resume not in RESUME:
        raise KzooError(f"resume={resume!r} is unknown. Use one of: {', '.join(RESUME)}.")


def _numbered(request, resume, made):
    base, preset = Path("searches"), request["spec"]["preset"]
    name = re.compile(re.escape(preset) + r"-(\d+)")
    taken = {int(found[1]): path for path in base.glob("*") if (found := name.fullmatch(path.name))}
    if resume != "never":
        for _, path in sorted(taken.items(), reverse=True):
            if _goes_on(path, request) and not is_locked(path):
                return path
    number = max(taken, default=0) + 1
    while True:
        folder = base / f"{preset}-{number:02d}"
        check_place(folder, None)
        made[:] = [path for path in (folder, *folder.parents) if not path.exists()]
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1


def _goes_on(folder, request):
    """Say whether a folder holds the same search, not yet at its end."""
    try:
        search = Search(folder)
        return not different(search, request) and not search.finished
    except KzooError:
        return False


def different(search, request) -> list[str]:
    """Return what tells a search from what is asked; more or fewer trials, or another time, do not."""
    return differences(search.config, {k: v for k, v in request.items() if k not in _FREE})


def _look(folder, request, resume):
    """Return the search that is to go on in a folder, or None for a new one."""
    present = set(folder.iterdir()) - set(leftovers(folder)) if folder.exists() else ()
    there = {path.name for path in present} - {".lock"}
    if there and not _holds_search(folder, there):
        raise KzooError(f"out={str(folder)!r} holds other files and no search. Name a new folder.")
    if "search.json" not in there:
        if resume == "must":
            raise KzooError(f"resume='must', and {folder} holds no search to go on with. Use resume='auto'.")
        return None
    search = Search(folder)
    if resume == "never":
        return None
    if found := different(search, request):
        shown = "; ".join(found[:3]) + (f"; and {len(found) - 3} more" if len(found) > 3 else "")
        raise KzooError(
            f"{folder} holds a different search ({shown}). Choose another folder, or resume='never' to replace it."
        )
    if resume == "must" and not read_trials(folder):
        raise KzooError(f"resume='must', and {folder} has no trial to go on after. Use resume='auto'.")
    return search


def _holds_search(folder, there):
    """Say whether a folder is a search's, be it one that was killed as it began."""
    if "search.json" not in there:
        return there <= {"preprocessing.json", "worker.log", ".lock"}
    try:
        return "kzoo_search" in read_json(folder / "search.json")
    except (ValueError, TypeError):
        return False


def begin_anew(folder):
    """Remove what an earlier search left in a folder that is ours."""
    remove_trials(folder)

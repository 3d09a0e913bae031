"""What corrected labels bring: the score on the same test rows beside that of the same training without repairs."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from kzoo.data.targets.repairs import Repairs
from kzoo.inference.postprocessors.decision import judged_answers
from kzoo.problems.stored_types import Request
from kzoo.training.folder import is_complete
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject, finite, write_json
from kzoo.zoo.run import Run

BEFORE = "before-repairs"  # folder of the other run, in that of the run
_Z = 1.959963984540054


def add_gain(
    run: Run, request: Request, repairs: Repairs, unrepaired: str, train: Callable[[Path], Run]
) -> Run:
    """Add to the summary of a run how much its repairs bring, unless it has that already.

    The other run is one in a folder beside it that differs in nothing but the repairs; else it is trained.

    Args:
        run: a finished run with repairs.
        request: its identity.
        repairs: its repairs.
        unrepaired: the fingerprint of its data without repairs.
        train: trains the same without repairs into a folder.
    """
    summary = run.summary
    if summary.get("repairs") or not summary.get("test"):
        return run
    folder = Path(run)
    options = {name: value for name, value in request.data.options.items() if name != "repairs"}
    wanted = replace(request, data=replace(request.data, options=options, fingerprint=unrepaired))
    before = _same_run(folder, wanted) or train(folder / BEFORE)
    write_json(folder / "summary.json", finite(summary | {"repairs": _gain(run, before, repairs)}))
    return Run(folder, trusted=run.trusted)


def _same_run(folder: Path, wanted: Request) -> Run | None:
    """Return the finished run of a request among the folders beside a run, and in it; None if there is none."""
    for path in (
        folder / BEFORE,
        *sorted(other for other in folder.parent.iterdir() if other != folder),
    ):
        if not is_complete(path):
            continue
        try:
            run = Run(path)
            if run.config["data"].get("options", {}).get(
                "repairs"
            ) is None and not wanted.differences(run.config):
                return run
        except (AttributeError, KeyError, KzooError):  # an ensemble, or a damaged run
            continue
    return None


def _gain(run: Run, before: Run, repairs: Repairs) -> JsonObject:
    """Return the scores of both runs, and the gain with the 95 % interval of paired test rows."""
    metric, after_errors = _row_errors(run)
    _, before_errors = _row_errors(before)
    difference = before_errors - after_errors
    rows = len(after_errors)
    half = _Z * float(difference.std()) / np.sqrt(max(rows, 1))
    gain = float(difference.mean())
    return dict(
        file=repairs.name,
        labels=len(repairs.rows),
        metric=metric,
        before=float(1 - before_errors.mean()),
        after=float(1 - after_errors.mean()),
        gain=gain,
        interval=[gain - half, gain + half],
        rows=rows,
        run=before.path.name if before.path is not None else "",
    )


def _row_errors(run: Run) -> tuple[str, np.ndarray]:
    """Return the name of the share of right test rows, and whether each is wrong (N,)."""
    judged = judged_answers(run)
    return judged.of or "accuracy", 1.0 - np.asarray(judged.right, np.float64)

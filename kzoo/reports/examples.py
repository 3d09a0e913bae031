"""Examples and worst mistakes, as a reader sees them: images, sentences, rows of a table."""

import numpy as np

from kzoo.kinds import kind
from kzoo.reports.figures import FIRST, are_first
from kzoo.utils.formatting import number, percent


def examples_of(run):
    """Return two lists of examples, the first of the split and the worst answers, or None where there are none.

    Each example has `image`, `text` or `cells`, and `truth`, `answer`, `right` and `sure`.
    """
    answers, one = run.answers, run.problem
    if answers is None:
        return None
    shown, light = answers["shown"], kind(run.data.inputs).inference
    inputs = light.show(run.preprocessing, answers["inputs"], run.data.feature_names)
    if inputs is None:
        return None
    about = _class_of if "classes" in one.facts else _value_of
    judged = one.task.scoring.judge(answers["truth"], answers["answers"], run.target)
    names, withheld = run.class_names, run.config.get("answers") == "scores"
    rows = [
        {"input": inputs.cells[i], "quality": float(judged.quality[row])}
        | about(answers["truth"][row], answers["answers"][row], names, withheld)
        for i, row in enumerate(shown)
    ]
    first = min(FIRST, len(answers["truth"]))
    worst = [row for row in rows[:first] if not row["right"]] + rows[first:]
    marked = inputs.mark and any(inputs.mark in cell for cells in inputs.cells for cell in cells)
    return dict(
        kind=inputs.form,
        columns=inputs.heads,
        mark=inputs.mark if marked else None,
        legend=inputs.legend,
        note=_chosen(answers, "classes" in one.facts),
        classes="classes" in one.facts,
        withheld=withheld,
        first=rows[:first],
        worst=sorted(worst, key=lambda row: row["quality"]),
    )


def _chosen(answers, classes):
    """Say which examples of the split these are."""
    if are_first(answers):  # as runs of earlier versions have them, too
        return "The first examples of the split, in order."
    if not classes:
        return "Examples, evenly spaced over the split."
    truth = answers["truth"]
    shown, all_of_them = (len(np.unique(of)) for of in (truth[answers["shown"][:FIRST]], truth))
    return (
        "Examples of each class, in turn."
        if shown == all_of_them
        else f"Examples of {shown} of the {all_of_them} classes."
    )


def _class_of(truth, given, names, withheld):
    guess = int(given.argmax())
    return dict(
        truth=names[int(truth)],
        answer=names[guess],
        right=guess == int(truth),
        sure=f"score {given[guess]:.3g}" if withheld else percent(given[guess]),
    )


def _value_of(truth, values, _names, _withheld):
    # Each target for itself: the mean of unlike units is none.
    error = np.abs(truth.astype("float64") - values.reshape(truth.shape))
    return dict(truth=_numbers(truth), answer=_numbers(values), right=True, sure=_numbers(error))


def _numbers(values):
    return ", ".join(number(float(v)) for v in np.ravel(values)[:6])

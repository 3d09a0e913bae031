"""The example predictions and the worst predictions in a report: images, texts, rows of a table."""

import numpy as np

from kzoo.inference.postprocessors.decision import judged_answers, run_decision
from kzoo.problems.kinds import kind
from kzoo.reports.figures import N_EXAMPLES, examples_are_first
from kzoo.utils.files import JsonObject
from kzoo.zoo.run import Run


def examples_of(run: Run) -> JsonObject | None:
    """Return the example predictions and the worst predictions of a run, as a dict for the template.

    None if the run stored no predictions or its inputs cannot be shown. Each example has `input`, `quality`, `truth`,
    `predicted`, `right` and `confidence`.
    """
    stored, problem = run.answers, run.problem
    if stored is None:
        return None
    rows_of_split = stored["shown"]
    inference = kind(run.data.inputs).inference
    inputs = inference.show(run.preprocessing, stored["inputs"], run.data.feature_names)
    if inputs is None:
        return None
    decision = run_decision(run)
    errors = judged_answers(run)
    target = run.target
    withheld = run.config.get("answers") == "scores"
    examples = [
        {"input": inputs.cells[i], "quality": float(errors.quality[row])}
        | problem.example(
            stored["truth"][row], stored["answers"][row], target, scores=withheld, decision=decision
        )
        for i, row in enumerate(rows_of_split)
    ]
    score = problem.task.scores.get(errors.of) if errors.right is None else None
    first = min(N_EXAMPLES, len(stored["truth"]))
    worst = [row for row in examples[:first] if not row["right"]] + examples[first:]
    has_marks = inputs.mark and any(inputs.mark in cell for cells in inputs.cells for cell in cells)
    return dict(
        kind=inputs.form,
        columns=inputs.heads,
        mark=inputs.mark if has_marks else None,
        legend=inputs.legend,
        note=_selection_note(stored, problem.classes_of(stored["truth"])),
        classes=problem.categorical,
        predicts=problem.predicts,
        withheld=withheld,
        error=None if score is None else score.short or score.label,
        first=examples[:first],
        worst=sorted(worst, key=lambda row: row["quality"]),
    )


def _selection_note(stored: JsonObject, strata: np.ndarray | None) -> str:
    """Return a sentence that says how the examples were selected."""
    if examples_are_first(stored):  # so do all runs of earlier versions
        return "The first examples of the split, in order."
    if strata is None:
        return "Examples taken at even intervals from the split."
    n_shown, n_classes = (
        len(np.unique(labels)) for labels in (strata[stored["shown"][:N_EXAMPLES]], strata)
    )
    return (
        "Examples of each class in turn."
        if n_shown == n_classes
        else f"Examples of {n_shown} of the {n_classes} classes."
    )

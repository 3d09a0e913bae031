"""The example predictions and the worst predictions in a report: images, texts, rows of a table."""

import numpy as np

from kzoo.inference.postprocessors.decision import judged_answers, run_decision
from kzoo.problems.kinds import kind
from kzoo.reports.figures import N_EXAMPLES, examples_are_first
from kzoo.utils.formatting import number, percent

_MOST_LABELS = 6  # probabilities in a cell


def examples_of(run):
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
    facts = problem.facts
    fields_of = (
        _class_fields
        if "classes" in facts
        else _label_fields(run)
        if "labels" in facts
        else _value_fields
    )
    decision = run_decision(run)
    errors = judged_answers(run)
    class_names = run.class_names
    withheld = run.config.get("answers") == "scores"
    examples = [
        {"input": inputs.cells[i], "quality": float(errors.quality[row])}
        | fields_of(stored["truth"][row], stored["answers"][row], class_names, withheld, decision)
        for i, row in enumerate(rows_of_split)
    ]
    first = min(N_EXAMPLES, len(stored["truth"]))
    worst = [row for row in examples[:first] if not row["right"]] + examples[first:]
    has_marks = inputs.mark and any(inputs.mark in cell for cells in inputs.cells for cell in cells)
    return dict(
        kind=inputs.form,
        columns=inputs.heads,
        mark=inputs.mark if has_marks else None,
        legend=inputs.legend,
        note=_selection_note(stored, "classes" in facts),
        classes=bool(facts & {"classes", "labels"}),
        labels="labels" in facts,
        withheld=withheld,
        first=examples[:first],
        worst=sorted(worst, key=lambda row: row["quality"]),
    )


def _selection_note(stored, classes):
    """Return a sentence that says how the examples were selected."""
    if examples_are_first(stored):  # so do all runs of earlier versions
        return "The first examples of the split, in order."
    if not classes:
        return "Examples taken at even intervals from the split."
    truth = stored["truth"]
    n_shown, n_classes = (
        len(np.unique(labels)) for labels in (truth[stored["shown"][:N_EXAMPLES]], truth)
    )
    return (
        "Examples of each class in turn."
        if n_shown == n_classes
        else f"Examples of {n_shown} of the {n_classes} classes."
    )


def _class_fields(truth, scores, class_names, withheld, decision):
    predicted = int(scores.argmax() if decision is None else decision.numbers(scores[None])[0])
    return dict(
        truth=class_names[int(truth)],
        predicted=class_names[predicted],
        right=predicted == int(truth),
        confidence=f"score {scores[predicted]:.3g}" if withheld else percent(scores[predicted]),
    )


def _label_fields(run):
    """Return the function of an example's truth and probabilities that returns its fields; "?" is unknown."""
    thresholds = np.array(run.target.thresholds or [0.5] * len(run.class_names))

    def fields_of(truth, p, names, _withheld, _decision):
        chosen = p.astype("float64") >= thresholds
        known = ~np.isnan(truth)
        true = [name for name, value in zip(names, truth, strict=True) if value == 1]
        unknown = [f"{name}?" for name, is_known in zip(names, known, strict=True) if not is_known]
        return dict(
            truth=", ".join(true + unknown) or "none",
            predicted=", ".join(name for name, use in zip(names, chosen, strict=True) if use)
            or "none",
            right=bool((chosen == (truth == 1))[known].all()),
            confidence=", ".join(percent(value) for value in p[chosen][:_MOST_LABELS]) or "–",
        )

    return fields_of


def _value_fields(truth, predicted, _names, _withheld, _decision):
    # The errors of targets are listed separately: they may have different units.
    if predicted.ndim > truth.ndim:  # quantiles: the distance from the band between the outer ones
        error = np.maximum(np.maximum(predicted[..., 0] - truth, truth - predicted[..., -1]), 0.0)
    else:
        error = np.abs(truth.astype("float64") - predicted.reshape(truth.shape))
    texts = dict(
        truth=_format_numbers(truth),
        predicted=_format_numbers(predicted),
        confidence=_format_numbers(error),
    )
    return dict(texts, right=True)


def _format_numbers(values):
    return ", ".join(number(float(v)) for v in np.ravel(values)[:6])

"""`answers.npz`: what the best model said on the test split, so that pictures and reports need no data.

It holds `split`, `rows` (places in that split), `truth` and `answers` (probabilities per class, or values in their own
unit), and for a few rows to look at, `shown` (places in `rows`) and their raw `inputs`; where the split was cut from a
source, also `source_rows`, the places there.
"""

import numpy as np

from kzoo.dataset.sample import sampled
from kzoo.training.score import score_split
from kzoo.utils.files import whole_file

_MOST_NUMBERS = 4_000_000  # 16 MB; a longer split is thinned out evenly, unless it is a fold, which is one of many
_MOST_INPUTS = 8_000_000  # bytes
_MISTAKES, _EXAMPLES = 24, 12


def score_and_store(model, data, folder, *, logits, postprocessor=None, batch_size=128) -> dict:
    """Score the validation and the test split, and keep the answers to the test split, else to the validation split.

    Args:
        model: answers in the targets' own unit.
        data: a `Dataset`.
        folder: the run's.
        logits: what its answers are (see `kzoo.training.score.gives_logits`).
        postprocessor: the run's `Postprocessor`; None for none.
        batch_size: examples in a step.

    Returns:
        Name of the split -> its scores.
    """
    scores = {}
    parts = {name: sampled(getattr(data, name)) for name in ("validation", "test") if getattr(data, name) is not None}
    for name, part in parts.items():
        scored = score_split(model, part, data, logits=logits, postprocessor=postprocessor, batch_size=batch_size)
        scores[name] = scored.scores
        if scored.answers is not None and name == list(parts)[-1]:
            write_predictions(folder / "answers.npz", name, scored, part, data)
    return scores


def write_predictions(file, split, scored, part, data):
    """Write the answers of one split.

    Args:
        file: the `.npz` file.
        split: "test" or "validation".
        scored: its `Scored`, with the truth and the answers.
        part: the `Split` they belong to.
        data: the `Dataset` it is of.
    """
    truth, answers = scored.truth, scored.answers
    rows = np.arange(len(truth))
    if answers.size > _MOST_NUMBERS and data.fold is None:
        rows = rows[:: int(np.ceil(answers.size / _MOST_NUMBERS))]
        truth, answers = truth[rows], answers[rows]
    shown = _worth_showing(data.problem, data.problem.task.scoring.judge(truth, answers, data.target), truth, rows)
    inputs = np.asarray(part.x[rows[shown]])
    if inputs.nbytes > _MOST_INPUTS:
        shown = shown[: max(1, int(len(shown) * _MOST_INPUTS / inputs.nbytes))]
        inputs = inputs[: len(shown)]
    kept = dict(split=split, rows=rows, truth=truth, answers=answers.astype(np.float32), shown=shown, inputs=inputs)
    if part.rows is not None:
        kept["source_rows"] = np.asarray(part.rows)[rows]
    with whole_file(file, sync=False) as temporary, open(temporary, "wb") as stream:
        np.savez_compressed(stream, **kept)


def _worth_showing(problem, judged, truth, places):
    """Return some examples, then the worst answers: of those that are right or wrong, the wrong ones alone.

    Examples are of each class in turn, else evenly spaced. Forecasts that overlap err alike: the worst stand a horizon
    apart.
    """
    examples = _of_each_class(truth) if "classes" in problem.facts else _evenly(len(truth), _EXAMPLES)
    others = np.ones(len(truth), bool) if judged.right is None else ~judged.right
    others[examples] = False
    apart = truth.shape[1] if problem.facts >= {"values", "ordered"} else 1
    worst = judged.worst(_MISTAKES, among=others, places=places, apart=apart)
    return np.concatenate([examples, np.array(worst, int)])


def _of_each_class(truth):
    """Return the first example of each class, then the second, and so on; of many classes some, evenly spaced."""
    order = np.argsort(truth, kind="stable")
    classes, first = np.unique(truth[order], return_index=True)
    which = np.arange(len(order)) - np.repeat(first, np.diff([*first, len(order)]))  # of its class
    turns = order[np.lexsort((truth[order], which))]
    if len(classes) > _EXAMPLES:
        return turns[_evenly(len(classes), _EXAMPLES)]
    return turns[:_EXAMPLES]


def _evenly(many, few):
    """Return a few places out of many, the first and the last among them."""
    return np.unique(np.linspace(0, many - 1, min(few, many)).round().astype(int))

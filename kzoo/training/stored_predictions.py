"""`answers.npz`: the predictions of the best model on the test split, for plots and reports without the data.

The file has `split`, `rows` (row numbers in that split), `truth` and `answers` (probabilities per class, or values in
the targets' unit); for a few example rows, `shown` (indices into `rows`) and their raw `inputs`; and if the split comes
from a source, `source_rows`, the row numbers there. Rows with weights have a `weight` each. Forecasts of many
series have `moments`, the number of the first step that is forecast, and `series`, indices into `series_names`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.data.sample import sample_split
from kzoo.inference.postprocessors.decision import scoring_arguments
from kzoo.inference.postprocessors.threshold import Decision
from kzoo.problems.stored_types import TrainingSettings
from kzoo.problems.tasks import Judged, Problem, Scored, Target
from kzoo.training.conformal import learned_conformal
from kzoo.training.error_vectors import LEVEL, learned_error_vectors, scores_of_means
from kzoo.training.score import score_split
from kzoo.utils.files import JsonObject, whole_file, write_json
from kzoo.zoo.run import POSTPROCESSING

if TYPE_CHECKING:
    import keras

    from kzoo.data.dataset import Dataset, Split
    from kzoo.inference.postprocessors.postprocessor import Postprocessor


_MAX_NUMBERS = 4_000_000  # 16 MB; a longer split is thinned out evenly, unless it is a fold
_MAX_INPUT_BYTES = 8_000_000
_TOP_LOSSES, _EXAMPLES = 24, 12  # numbers of rows whose inputs are stored


def score_and_store(
    model: "keras.Model",
    data: "Dataset",
    folder: Path,
    *,
    logits: bool | None,
    postprocessor: "Postprocessor | None" = None,
    settings: TrainingSettings | None = None,
    batch_size: int = 128,
    observe: "Callable[[str, Split, np.ndarray, np.ndarray], object] | None" = None,
    out_of_fold: tuple[np.ndarray, np.ndarray] | None = None,
    judged: "Split | None" = None,
) -> JsonObject:
    """Score the validation and the test split, and store the predictions of the test, else the validation split.

    The step "conformal" is learned from the same outputs, and stored with the other steps.

    Args:
        model: a model whose outputs are in the targets' unit.
        data: a `Dataset`.
        folder: the run's folder.
        logits: whether its outputs are logits (see `kzoo.training.score.gives_logits`).
        postprocessor: the run's `Postprocessor`, or None.
        settings: training settings (see `kzoo.training.score.score_split`).
        batch_size: examples per step.
        observe: function that is called with the name of each split, the `Split`, outputs of the network before
            postprocessing, and truth; None for no calls.
        out_of_fold: (outputs, truth) of rows that other models, like this one, were not trained on; None without any.
        judged: the windows of a series that these rows are, in their order; None of other data.

    Returns:
        Name of the split -> its scores; and "conformal", the coverage of the sets or intervals on the test split (see
        `kzoo.inference.postprocessors.conformal.coverage`), if they were learned; and "totals", that of the bands of
        totals of forecasts (see `kzoo.inference.postprocessors.sample_paths.coverage`).
    """
    scores: dict[str, Any] = {}
    kept: dict[str, list] = {}  # split -> (outputs, truth) of its batches
    if out_of_fold is not None:
        kept["out of fold"] = [out_of_fold]
    splits = {
        name: sample_split(getattr(data, name))
        for name in ("validation", "test")
        if getattr(data, name) is not None
    }
    options: dict[str, Any] = dict(
        logits=logits, postprocessor=postprocessor, settings=settings, batch_size=batch_size
    )
    # to learn the step "conformal", and to measure its coverage; scores are no probabilities
    keeps = data.problem.has_sets and not (data.problem.gives_probabilities and logits is None)
    if keeps and data.calibration is not None:  # its scores are not stored
        kept["calibration"] = []
        calibration = sample_split(data.calibration)
        score_split(model, calibration, data, kept=kept["calibration"], **options)
    for name, split in splits.items():
        keeps_these = keeps or observe is not None
        scored = score_split(
            model, split, data, kept=kept.setdefault(name, []) if keeps_these else None, **options
        )
        scores[name] = scored.scores
        if observe is not None:
            observe(
                name, split, *(np.concatenate(column) for column in zip(*kept[name], strict=True))
            )
        if scored.answers is not None and name == list(splits)[-1]:
            target, deciding = scoring_arguments(settings, data, postprocessor)
            write_predictions(folder / "answers.npz", name, scored, split, data, target, **deciding)
    if keeps:
        if data.calibration is not None:
            splits["calibration"] = calibration
        if judged is not None:
            splits["out of fold"] = judged
        steps, coverage = learned_conformal(kept, data, postprocessor, logits=logits, splits=splits)
        totals: list[JsonObject] = []
        steps = learned_error_vectors(kept, splits, data, steps, settings, logits=logits)
        for name in kept.keys() & scores.keys():
            level = LEVEL if name == "test" else None
            of_means = scores_of_means(
                kept[name], splits[name], data, steps, logits=logits, confidence=level
            )
            totals += of_means.pop("totals", [])
            scores[name] = scores[name] | of_means
        if steps is not None and steps is not postprocessor:
            write_json(folder / POSTPROCESSING, steps.json())
        scores |= {"conformal": coverage} if coverage else {}
        scores |= {"totals": totals} if totals else {}
    return scores


def write_predictions(
    file: Path,
    split: str,
    scored: Scored,
    data_split: "Split",
    data: "Dataset",
    target: Target,
    *,
    decision: Decision | None = None,
) -> None:
    """Write the predictions of one split.

    Args:
        file: the `.npz` file.
        split: "test" or "validation".
        scored: the split's `Scored`, with truth and predictions.
        data_split: the `Split`.
        data: the `Dataset` that it belongs to.
        target: its `Target`, with the decisions of postprocessing steps.
        decision: the `Decision` that labels follow; None for the most probable class.
    """
    truth, predictions = scored.truth, scored.answers
    rows = np.arange(len(truth))
    if predictions.size > _MAX_NUMBERS and data.fold is None:
        rows = rows[:: int(np.ceil(predictions.size / _MAX_NUMBERS))]
        truth, predictions = truth[rows], predictions[rows]
    options = {} if decision is None else {"decision": decision}
    shown = _example_indices(
        data.problem,
        data.problem.task.scoring.judge(truth, predictions, target, **options),
        truth,
        rows,
    )
    inputs = np.asarray(data_split.x[rows[shown]])
    if inputs.nbytes > _MAX_INPUT_BYTES:
        shown = shown[: max(1, int(len(shown) * _MAX_INPUT_BYTES / inputs.nbytes))]
        inputs = inputs[: len(shown)]
    arrays = dict(
        split=split,
        rows=rows,
        truth=truth,
        answers=predictions.astype(np.float32),
        shown=shown,
        inputs=inputs,
    )
    if data_split.rows is not None:
        arrays["source_rows"] = np.asarray(data_split.rows)[rows]
    if data_split.weight is not None:
        arrays["weight"] = np.asarray(data_split.weight)[rows]
    arrays |= _places_in_time(data_split, rows)
    with whole_file(file, sync=False) as temporary, open(temporary, "wb") as stream:
        np.savez_compressed(stream, **arrays)


def _places_in_time(split: "Split", rows: np.ndarray) -> dict[str, np.ndarray]:
    """Return the `moments` and the `series` of the forecasts of many series, for rows of their split; {} for others."""
    series = getattr(split.y, "series", None)
    if series is None:
        return {}
    return dict(
        moments=series.numbers[split.y.starts[rows]],
        series=series.codes[rows].astype(np.int32),
        series_names=np.array(series.names, str),
    )


def _example_indices(
    problem: Problem, errors: Judged, truth: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """Return indices of some examples, then of those with the top losses; of classes, only of wrong predictions.

    Examples are from each class in turn, else evenly spaced. Errors of overlapping forecasts are similar: top losses
    are at least a horizon apart.
    """
    classes = problem.classes_of(truth)
    examples = (
        _evenly_spaced(len(truth), _EXAMPLES) if classes is None else _indices_by_class(classes)
    )
    candidates = np.ones(len(truth), bool)
    if errors.right is not None:
        candidates = ~errors.right
    elif (
        classes is not None and errors.error is not None
    ):  # ordered classes: how far predictions are off
        candidates = errors.error > 0
    candidates[examples] = False
    min_distance = truth.shape[1] if problem.ordered and truth.ndim > 1 else 1
    top_losses = errors.worst(_TOP_LOSSES, among=candidates, places=rows, apart=min_distance)
    return np.concatenate([examples, np.array(top_losses, int)])


def _indices_by_class(truth: np.ndarray) -> np.ndarray:
    """Return indices of the first example of each class, then the second, and so on; with many classes, of some."""
    order = np.argsort(truth, kind="stable")
    classes, first = np.unique(truth[order], return_index=True)
    rank = np.arange(len(order)) - np.repeat(
        first, np.diff([*first, len(order)])
    )  # rank of an example within its class
    interleaved = order[np.lexsort((truth[order], rank))]
    if len(classes) > _EXAMPLES:
        return interleaved[_evenly_spaced(len(classes), _EXAMPLES)]
    return interleaved[:_EXAMPLES]


def _evenly_spaced(count: int, most: int) -> np.ndarray:
    """Return at most `most` evenly spaced indices below `count`, including the first and the last."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int))

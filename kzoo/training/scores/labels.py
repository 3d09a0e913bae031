"""Scores of labels, computed by NumPy. The tests compare them with those of scikit-learn."""

import warnings
from collections.abc import Mapping

import numpy as np

from kzoo.inference.tasks.labels import decided, probabilities_of
from kzoo.problems.stored_types import Scores
from kzoo.problems.tasks import Headline, Judged, Pairs, Scored, Target
from kzoo.training.scores.classes import average_precision
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import listed, percent, plural

_FEW = 10  # rows with a label, below which its scores say little
_NAMED = 6
_DRAWS = 1_000  # of the bootstrap
_SMALLEST = 1e-7  # probability in a logarithm


def score(
    batches: Pairs, target: Target, *, logits: bool | None = None, weight: np.ndarray | None = None
) -> Scored:
    """Return the scores of predictions. Unknown labels (NaN) count nowhere.

    Args:
        batches: pairs (outputs, truth), (B, labels) each.
        target: the `Target`; its `thresholds` decide which labels are predicted.
        logits: True if outputs are logits, False if they are probabilities, None if they are scores of 0 and 1; then
            there is no loss.
        weight: (N,) sample weights; None: all rows have the same weight.

    Returns:
        `Scored`. Its `labels` map the name of each label to its `support` (rows that have it), `precision`, `recall`,
        `f1`, `average_precision` and `threshold`; a number without rows to compute it from is None. Means over labels
        leave out labels without a number.

    Raises:
        KzooError: the number of labels differs between truth and outputs.
    """
    outputs, truth = (np.concatenate(column) for column in zip(*batches, strict=True))
    if outputs.shape != truth.shape:
        raise KzooError(
            f"Rows have {plural(truth.shape[-1], 'label')}, but the model predicts {outputs.shape[-1]}."
        )
    p = probabilities_of(outputs, logits)
    known, positive, chosen = ~np.isnan(truth), truth == 1, decided(p, target.thresholds)
    weights = np.ones(len(truth)) if weight is None else np.asarray(weight, np.float64)

    def total(cells: np.ndarray) -> np.ndarray:
        return weights @ (cells & known)

    hits = total(chosen & positive)
    predicted = total(chosen)
    actual = total(positive)
    rows = total(known)
    f1 = _ratio(2 * hits, predicted + actual)
    precisions = np.array(
        [
            average_precision(column[mask], scores[mask], weights[mask])
            if (weights * column)[mask].any()
            else np.nan
            for column, scores, mask in zip(positive.T, p.T, known.T, strict=True)
        ]
    )
    scores: JsonObject = dict(
        f1_macro=_mean(f1),
        always_all=_mean(_ratio(2 * actual, rows + actual)[actual > 0]),
        f1_micro=_number(_ratio(2 * hits.sum(), predicted.sum() + actual.sum())),
        average_precision_macro=_mean(precisions),
        exact_match=_exact(chosen, positive, known, weights),
        loss=None if logits is None else _loss(p, truth, known, weights),
        examples=len(truth),
    )
    thresholds = target.thresholds or (0.5,) * truth.shape[1]
    columns = (
        (positive & known).sum(axis=0),
        _ratio(hits, predicted),
        _ratio(hits, actual),
        f1,
        precisions,
        thresholds,
    )
    names = target.classes or tuple(map(str, range(truth.shape[1])))
    scores["labels"] = {
        name: dict(
            support=int(support),
            precision=_number(precision),
            recall=_number(recall),
            f1=_number(label_f1),
            average_precision=_number(area),
            threshold=float(threshold),
        )
        for name, support, precision, recall, label_f1, area, threshold in zip(
            names, *columns, strict=True
        )
    }
    return Scored(scores=scores, truth=truth, answers=p)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return ratios, NaN where the whole is 0."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _number(value: float | np.ndarray) -> float | None:
    return None if np.isnan(value) else float(value)


def _mean(values: np.ndarray) -> float | None:
    """Return the mean of the numbers that are not NaN; None if all are."""
    numbers = values[~np.isnan(values)]
    return float(numbers.mean()) if numbers.size else None


def _exact(
    chosen: np.ndarray, positive: np.ndarray, known: np.ndarray, weights: np.ndarray
) -> float | None:
    """Return the share of the rows all of whose known labels are predicted right."""
    rows = known.any(axis=1)
    right = ((chosen == positive) | ~known).all(axis=1)
    return _number(_ratio((weights * right)[rows].sum(), weights[rows].sum()))


def _loss(p: np.ndarray, truth: np.ndarray, known: np.ndarray, weights: np.ndarray) -> float | None:
    """Return the mean log loss of the known labels, in nats."""
    likelihood = np.where(truth == 1, p, 1 - p).astype(np.float64)
    losses = -np.log(np.clip(likelihood, _SMALLEST, 1))
    return _number(
        _ratio((weights[:, None] * losses)[known].sum(), (weights[:, None] * known).sum())
    )


def judge(
    truth: np.ndarray, answers: np.ndarray, target: Target, *, metric: str | None = None
) -> Judged:
    """Return per-row errors: the mean probability of the true state of its known labels, and if the set is right."""
    known = ~np.isnan(truth)
    likelihood = np.where(truth == 1, answers, 1 - answers).astype(np.float64)
    quality = (likelihood * known).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    right = ((decided(answers, target.thresholds) == (truth == 1)) | ~known).all(axis=1)
    return Judged(quality=quality, right=right, of="exact_match")


def paired(
    truth: np.ndarray, new: tuple[np.ndarray, Target], old: tuple[np.ndarray, Target], metric: str
) -> JsonObject:
    """Return the 95 % interval of the difference of the mean F1 of two models, by a paired bootstrap of the rows.

    Args:
        truth: (N, labels) 0, 1 and NaN.
        new, old: (probabilities (N, labels), `Target`) of each model.
        metric: the score that is compared; the interval is that of the mean F1 whichever it is.
    """
    known, positive = ~np.isnan(truth), (truth == 1).astype(np.float64)
    weights = np.random.default_rng(0).multinomial(
        len(truth), np.full(len(truth), 1 / len(truth)), _DRAWS
    )
    weights = np.concatenate([np.ones((1, len(truth)), int), weights])

    def mean_f1(p: np.ndarray, target: Target) -> np.ndarray:
        chosen = (decided(p, target.thresholds) & known).astype(np.float64)
        hits = weights @ (chosen * positive)
        named = weights @ (chosen + positive)
        f1 = _ratio(2 * hits, named)
        return np.nanmean(f1, axis=1) if f1.size else np.zeros(len(f1))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a draw without any label
        difference = mean_f1(*new) - mean_f1(*old)
    low, high = np.nanquantile(difference[1:], (0.025, 0.975))
    return dict(
        name="paired bootstrap",
        of="f1_macro",
        difference=float(difference[0]),
        interval=[float(low), float(high)],
    )


def headline(
    scores: Scores,
    target: Target,
    *,
    split: str,
    answers: Mapping[str, np.ndarray] | None = None,
    outputs: int | None = None,
) -> Headline:
    """Return the mean F1, and a sentence that compares it with predicting every label for every row.

    Args:
        scores: of one split.
        target: the `Target`.
        split: a word before "examples", such as "test ".
        answers, outputs: not used here.
    """
    f1 = scores["f1_macro"]
    constant = scores["always_all"]
    exact = scores["exact_match"]
    examples = plural(scores["examples"], f"{split}example")
    return dict(
        value="–" if f1 is None else f"{f1:.4f}",
        label=f"F1 (mean of the labels) on {examples}",
        interval=None,
        scale=None,
        sentence=f"Predicting every label for each row has an F1 of {0 if constant is None else constant:.4f}. All "
        f"labels are right for {percent(exact or 0)} of {examples}.",
        useless="Its F1 is not above that of predicting every label: it may have learned nothing."
        if f1 is None or (constant is not None and f1 <= constant)
        else None,
    )


def doubts(scores: Scores) -> list[str]:
    """Return warnings about labels that are too rare to be scored, or that are never predicted right."""
    labels = scores.get("labels") or {}
    lines = []
    if few := [name for name, row in labels.items() if row["support"] < _FEW]:
        lines.append(
            f"{plural(len(few), 'label')} of {len(labels)} {'has' if len(few) == 1 else 'have'} fewer than {_FEW} of "
            f"these examples, so their scores say little: {listed(map(repr, few), _NAMED)}."
        )
    if never := [
        name for name, row in labels.items() if row["support"] >= _FEW and not row["recall"]
    ]:
        lines.append(f"Labels that are never predicted right: {listed(map(repr, never), _NAMED)}.")
    return lines

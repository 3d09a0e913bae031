"""The scores in a report: the primary score in a sentence next to a baseline, tables of scores, and warnings."""

from collections.abc import Mapping

from kzoo.inference.tasks.target_scores import mixes_units
from kzoo.inference.tasks.weighted import UNWEIGHTED, by_weighting
from kzoo.problems.objectives import Objective
from kzoo.problems.tasks import Score, score_named
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import number, percent, plural
from kzoo.zoo.results import baselines, deciding_score, displayed_metric, value_of
from kzoo.zoo.results.bias import bias_warnings
from kzoo.zoo.results.coverage import coverage_warnings
from kzoo.zoo.run import Run

_FEW_EXAMPLES = 100  # with fewer examples, the interval is too wide to choose between models
_MOST_SERIES = 12  # in the table of series
_LARGE_RATIO = 1.5  # test error / validation error, validation loss / training loss
_LARGE_LOSS_GAP = 0.1  # nats, or standardised squared error


def primary_score(
    scores: JsonObject, run: Run, split: str, *, stored_predictions: bool = True
) -> JsonObject:
    """Return the score that decides with its interval, if it has one, and a sentence that compares it with baselines.

    The number and its name are the same as in `compare`, in the scores of baselines and on the page of the server.

    Args:
        scores: the scores of one split.
        run: the run.
        split: word before "examples", such as "test ", or "".
        stored_predictions: whether `scores` belong to the predictions that the run stored.

    Returns:
        A dict with `value`, `label`, `sentence` and more, as the task's `headline` returns it.
    """
    task = run.problem.task
    weighted = UNWEIGHTED in scores
    headline = task.scoring.headline(  # its sentence counts examples
        scores.get(UNWEIGHTED, scores),
        run.target,
        split=split,
        answers=run.answers if stored_predictions else None,
        outputs=run.spec.config.get("outputs"),
    )
    metric = deciding_score(run.spec.training, scores, run.problem)
    score = score_named(metric)
    value = value_of(scores, metric)
    if value is None:
        return headline
    if metric != displayed_metric(run.problem.headline, scores, task):
        headline |= _deciding_parts(
            scores, metric, score, run.summary if stored_predictions else {}
        )
    elif weighted:
        headline |= _weighted_parts(headline, scores, metric)
    unit = next((unit for unit in ("example", "token") if f"{unit}s" in scores), None)
    count = f"{split}data" if unit is None else plural(scores[f"{unit}s"], f"{split}{unit}")
    label = f"{metric if score is None else score.label} on {count}" + (
        ", weighted" if weighted else ""
    )
    return headline | dict(
        value=_format_score(score, value),
        label=label + ("; lower is better" if metric.best == "min" else ""),
    )


def _deciding_parts(
    scores: JsonObject, metric: Objective, score: Score | None, summary: JsonObject
) -> JsonObject:
    """Return the parts of a headline about the score that decides, which is not the primary score of the task.

    Whether the model has learned anything follows from the baselines: their accuracy would not tell.
    """
    sentences = []
    bounds = scores.get(f"{metric}_interval")
    if bounds is not None and score is not None:
        sentences.append(f"Its {score.interval} % interval is {' to '.join(map(number, bounds))}.")
    if (default := scores.get(f"{metric}_default")) is not None:
        sentences.append(
            f"If the most probable class were predicted, it would be {_format_score(score, default)}."
        )
    if by_label := baselines.values(summary):
        label, value = next(iter(by_label.items()))
        sentences.append(
            f"The best baseline on the same examples, {label}, has {_format_score(score, value)}."
        )
    return dict(interval=None, scale=None, sentence=" ".join(sentences), useless=None)


def _weighted_parts(headline: JsonObject, scores: JsonObject, metric: Objective) -> JsonObject:
    """Return the parts of a headline that differ for rows with weights: the interval, no scale, a longer sentence."""
    bounds = scores.get(f"{metric}_interval")
    return dict(
        interval=None if bounds is None else [percent(bound) for bound in bounds],
        scale=None,
        sentence=f"Without the row weights: {headline['sentence']}",
    )


def score_rows(run: Run, scores_by_split: Mapping[str, JsonObject]) -> JsonObject:
    """Return the table of a run's scores: `columns`, the splits, two for a weighted one; and `rows`, (label, a cell for
    each column).
    """
    defined = run.problem.task.scores
    scores_by_split = {
        ", ".join(filter(None, (split, weighting))): scores
        for split, split_scores in scores_by_split.items()
        for weighting, scores in by_weighting(split_scores).items()
    }
    rows = []
    objective = run.spec.training.get("objective")
    further = [] if objective in (None, *defined) else [str(objective)]
    for name in (*defined, *further, "examples", "tokens"):
        # A mean over targets with different units is not shown.
        if any(
            name in scores and not mixes_units(name, scores) for scores in scores_by_split.values()
        ):
            score = score_named(name)
            label = name if score is None or name in further else score.label
            rows.append(
                (
                    label,
                    [_format_score(score, scores.get(name)) for scores in scores_by_split.values()],
                )
            )
    return dict(columns=list(scores_by_split), rows=rows)


def _format_score(
    score: Score | None, value: float | list[float] | tuple[float, ...] | None
) -> str:
    if value is None:
        return "–"
    if isinstance(value, list | tuple):
        is_number = score is not None and score.form == "bounds"
        return " to ".join((number if is_number else percent)(bound) for bound in value)
    form = "number" if score is None else score.form
    return (
        f"{value:.4f}"
        if form == "digits"
        else percent(value)
        if form == "percent"
        else number(value)
    )


def series_table(scores: JsonObject) -> list[list[str]]:
    """Return a header and a row for each series with the largest errors, relative to their size; [] for one series."""
    series = scores.get("series") or {}
    if not series:
        return []

    def size(row: Mapping[str, float | None]) -> list[float]:
        errors = [row.get(name) for name in ("mase", "mae")]
        return [-1.0 if error is None else error for error in errors]

    names = [name for name in next(iter(series.values())) if name != "examples"]
    labels = [getattr(score_named(name), "short", name) or name for name in names]
    worst = sorted(series, key=lambda name: size(series[name]), reverse=True)[:_MOST_SERIES]
    rows = [
        [name, *(number(series[name][key]) for key in names), number(series[name]["examples"])]
        for name in worst
    ]
    return [["series", *labels, "windows"], *rows]


def baseline_rows(summary: JsonObject) -> JsonObject | None:
    """Return the table of baselines: its column names, then a row for each baseline; None without baselines."""
    baseline_scores = summary.get("baselines") or ()
    metric = next((row["metric"] for row in baseline_scores if row["metric"]), "")
    score = score_named(metric)
    by_label = baselines.values(summary)
    label = metric if score is None else score.label
    unweighted = baselines.values(summary, unweighted=True)
    columns = {label: by_label} | ({f"{label}, {UNWEIGHTED}": unweighted} if unweighted else {})
    rows = [
        (
            row["label"],
            [
                *(_format_score(score, column.get(row["label"])) for column in columns.values()),
                "; ".join(row["notes"]),
            ],
        )
        for row in baseline_scores
    ]
    return dict(columns=[*columns, "how"], rows=rows) if rows else None


def run_warnings(run: Run, split: str | None) -> list[str]:
    """Return the warnings to read together with the score of a run, a sentence each."""
    summary = run.summary
    scores = (split and summary.get(split)) or {}
    useless_warning = primary_score(scores, run, split or "")["useless"] if scores else None
    baseline_warning = baselines.beaten(summary)
    messages = [
        _interrupted_warning(summary),
        _split_warning(split),
        _few_examples_warning(scores, split),
        useless_warning,
        baseline_warning,
        *run.problem.task.score_warnings(scores),
        *coverage_warnings(summary.get("conformal")),
        *bias_warnings(summary),
        _gap_warning(run),
        _overfitting_warning(run),
    ]
    return [sentence for sentence in messages if sentence]


def _interrupted_warning(summary: JsonObject) -> str | None:
    if summary.get("interrupted"):
        return f"The training was interrupted after {plural(summary['epochs'], 'epoch')}; more might be better."
    return None


def _split_warning(split: str | None) -> str | None:
    if split is None:
        return "No data was held out, so the performance on unseen data is unknown."
    if split == "validation":
        return "There is no test data. The best epoch was chosen on the validation data, so its score is optimistic."
    return None


def _few_examples_warning(scores: JsonObject, split: str | None) -> str | None:
    n_examples = scores.get("examples", _FEW_EXAMPLES)
    if n_examples < _FEW_EXAMPLES:
        few = f"The {split} split has only {plural(n_examples, 'example')}"
        return f"{few}: on another sample, the score could be very different."
    return None


def _gap_warning(run: Run) -> str | None:
    """Compare validation and test by a score with an interval, or by one whose ratio is meaningful."""
    validation, test = (run.summary.get(split) or {} for split in ("validation", "test"))
    for name, score in run.problem.task.scores.items():
        if validation.get(name) is None or test.get(name) is None or mixes_units(name, test):
            continue
        if f"{name}_interval" in validation and f"{name}_interval" in test:
            # A gap larger than the wider interval is unlikely to be chance.
            width = max(
                high - low
                for low, high in (validation[f"{name}_interval"], test[f"{name}_interval"])
            )
            if abs(validation[name] - test[name]) > width:
                return (
                    f"Validation ({percent(validation[name])}) and test ({percent(test[name])}) differ by more than "
                    "chance explains: the data of the two splits differs."
                )
        elif score.ratio and test[name] > _LARGE_RATIO * validation[name]:
            return (
                f"The error on test data is {test[name] / validation[name]:.1f} times that on validation data "
                f"({score.label}): the data of the two splits differs."
            )
    return None


def _overfitting_warning(run: Run) -> str | None:
    """Compare the losses of the best epoch. Dropout makes the training loss larger, never smaller."""
    epoch = run.summary.get("best_epoch")
    columns = [run.history.get(name, []) for name in ("loss", "val_loss")]
    if not epoch or not all(
        len(column) >= epoch and column[epoch - 1] is not None for column in columns
    ):
        return None
    loss, val_loss = (column[epoch - 1] for column in columns)
    if val_loss > _LARGE_RATIO * loss and val_loss - loss > _LARGE_LOSS_GAP:
        return (
            f"Overfitting: at the best epoch, the training loss ({number(loss)}) is far below the validation loss "
            f"({number(val_loss)}). More data, augmentation, dropout or a smaller network may help."
        )
    return None

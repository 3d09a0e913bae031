"""The score in one plain sentence, beside what one gets for nothing; and what to keep in mind with it."""

from kzoo.results import baselines, displayed_metric, value_of
from kzoo.tasks import score_named
from kzoo.tasks.target_scores import mixes_units
from kzoo.utils.formatting import number, percent, plural

_FEW = 100  # examples, below which an interval is too wide to choose between models
_FAR = 1.5  # times
_FAR_LOSS = 0.1  # nats, or standardised squared error


def primary_score(scores, run, split, *, own=True):
    """Return the one number that counts, its interval where it has one, and the baseline in a sentence.

    The number is the one that `compare`, baselines and the page of a server have, under the name that they give it.

    Args:
        scores: of one split.
        run: the run.
        split: "test " or another word before "examples".
        own: the scores are those of the answers that the run kept.
    """
    task = run.problem.task
    head = task.scoring.headline(
        scores,
        run.target,
        split=split,
        answers=run.answers if own else None,
        outputs=run.spec.config.get("outputs"),
    )
    metric = displayed_metric(run.problem.headline, scores, task)
    known, value = task.scores.get(metric), value_of(scores, metric)
    if known is None or value is None:
        return head
    unit = next((unit for unit in ("example", "token") if f"{unit}s" in scores), None)
    count = f"{split}data" if unit is None else plural(scores[f"{unit}s"], f"{split}{unit}")
    label = f"{known.label} on {count}"
    return head | dict(value=_cell(known, value), label=label + ("; lower is better" if known.best == "min" else ""))


def score_rows(run, splits):
    """Return the table of scores: a heading, then a row for each score."""
    known = run.problem.task.scores
    rows = []
    for name in (*known, "examples", "tokens"):
        if any(name in scores and not mixes_units(name, scores) for scores in splits.values()):
            label = known[name].label if name in known else name
            rows.append((label, [_cell(known.get(name), scores.get(name)) for scores in splits.values()]))
    return dict(columns=list(splits), rows=rows)


def _cell(known, value):
    if value is None:
        return "–"
    if isinstance(value, list | tuple):
        return " to ".join(percent(edge) for edge in value)
    form = "number" if known is None else known.form
    return f"{value:.4f}" if form == "digits" else percent(value) if form == "percent" else number(value)


def baseline_rows(summary):
    """Return the table of what needs no network: a heading, then a row for each."""
    kept = summary.get("baselines") or ()
    known = score_named(next((one["metric"] for one in kept if one["metric"]), ""))
    scored = baselines.values(summary)
    rows = [(one["label"], [_cell(known, scored.get(one["label"])), "; ".join(one["notes"])]) for one in kept]
    return dict(columns=["" if known is None else known.label, "how"], rows=rows) if rows else None


def warnings_of(run, split):
    """Return a sentence for each thing a careful person would say beside the score."""
    summary = run.summary
    scores = summary.get(split) or {}
    useless = primary_score(scores, run, split)["useless"] if scores else None
    judge = getattr(run.problem.task.scoring, "doubts", None)
    worse = judge(scores) if judge and scores else []
    beaten = baselines.beaten(summary)
    found = [
        _interrupted(summary),
        _split(split),
        _few(scores, split),
        useless,
        beaten,
        *worse,
        _gap(run),
        _overfit(run),
    ]
    return [sentence for sentence in found if sentence]


def _interrupted(summary):
    if summary.get("interrupted"):
        return f"The training was interrupted after {plural(summary['epochs'], 'epoch')}; more may have done better."
    return None


def _split(split):
    if split is None:
        return "No data was held out, so nothing shows how the model does on data it has not seen."
    if split == "validation":
        return "There was no test data. The validation data chose the best epoch, so its score is a little too good."
    return None


def _few(scores, split):
    n = scores.get("examples", _FEW)
    if n < _FEW:
        return f"Only {plural(n, f'{split} example')}: another sample of the data could give a rather different score."
    return None


def _gap(run):
    """Compare validation and test by the score that has an interval, or of which a ratio means something."""
    ours, theirs = (run.summary.get(split) or {} for split in ("validation", "test"))
    for name, known in run.problem.task.scores.items():
        if ours.get(name) is None or theirs.get(name) is None or mixes_units(name, theirs):
            continue
        if f"{name}_interval" in ours and f"{name}_interval" in theirs:
            wide = max(high - low for low, high in (ours[f"{name}_interval"], theirs[f"{name}_interval"]))
            if abs(ours[name] - theirs[name]) > wide:
                return (
                    f"Validation ({percent(ours[name])}) and test ({percent(theirs[name])}) lie further apart than "
                    "chance explains: the two parts differ."
                )
        elif known.ratio and theirs[name] > _FAR * ours[name]:
            return (
                f"The error on test data is {theirs[name] / ours[name]:.1f} times that on validation data "
                f"({known.label}): the two parts differ."
            )
    return None


def _overfit(run):
    """Compare the losses of the epoch that was kept; dropout makes the training loss look worse, never better."""
    epoch = run.summary.get("best_epoch")
    columns = [run.history.get(name, []) for name in ("loss", "val_loss")]
    if not epoch or not all(len(column) >= epoch and column[epoch - 1] is not None for column in columns):
        return None
    loss, against = (column[epoch - 1] for column in columns)
    if against > _FAR * loss and against - loss > _FAR_LOSS:
        return (
            f"At the epoch that was kept the training loss ({number(loss)}) lies far below the validation loss "
            f"({number(against)}): it has learned its training data by heart. More data, augmentation, dropout or a "
            "smaller network may help."
        )
    return None

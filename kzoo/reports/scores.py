"""The score in one plain sentence, beside what one gets for nothing; and what to keep in mind with it."""

import math

import numpy as np

from kzoo.reports.words import number, percent
from kzoo.words import plural

_FEW = 100  # examples, below which an interval is too wide to choose between models
_FAR = 1.5  # times
_FAR_LOSS = 0.1  # nats, or standardised squared error
_NAMES = {
    "accuracy": "accuracy", "accuracy_interval": "95 % interval", "majority": "always the most frequent",
    "f1": "F1 (mean of the classes)", "auc": "AUC", "mae": "MAE", "rmse": "RMSE", "r2": "R²",
    "mse_standardised": "MSE, targets standardised", "mae_standardised": "MAE, targets standardised",
    "bits_per_token": "bits per token", "perplexity": "perplexity", "loss": "loss (nats)",
    "examples": "examples", "tokens": "tokens",
}  # fmt: skip


def headline(scores, run, split, *, own=True):
    """Return the one number that counts, its interval where it has one, and the baseline in a sentence.

    Args:
        scores: of one split.
        run: the run.
        split: "test " or another word before "examples".
        own: the scores are those of the answers that the run kept.
    """
    if "bits_per_token" in scores:
        return _language(scores, run, split)
    return _classes(scores, split) if "accuracy" in scores else _values(scores, run, split, own)


def _classes(scores, split):
    n, accuracy, majority = scores["examples"], scores["accuracy"], scores["majority"]
    return dict(
        value=percent(accuracy),
        label=f"accuracy on {plural(n, f'{split}example')}",
        interval=[percent(edge) for edge in scores["accuracy_interval"]],
        scale=dict(
            low=100 * scores["accuracy_interval"][0],
            high=100 * scores["accuracy_interval"][1],
            score=100 * accuracy,
            baseline=100 * majority,
        ),
        sentence=f"It answers {number(round(accuracy * n))} of {plural(n, f'{split}example')} correctly; always naming "
        f"the most frequent class would get {number(round(majority * n))} right ({percent(majority)}).",
    )


def _values(scores, run, split, own):
    """Without the answers there is only R² to say what the mean would get."""
    several = " over all targets" if len(run.config["data"]["target_names"]) > 1 else ""
    others = f"RMSE {number(scores['rmse'])}" + ("" if scores["r2"] is None else f", R² {scores['r2']:.3f}")
    if own and run.answers is not None:
        mean = _mean_error(run)
        beside = f"always answering the mean of the training data would be off by {number(mean)}"
    else:
        beside = "always answering the mean has an R² of 0"
    return dict(
        value=number(scores["mae"]),
        label=f"mean absolute error on {plural(scores['examples'], f'{split}example')}, in the target's own unit",
        interval=None,
        scale=None,
        sentence=f"Its answers are off by {number(scores['mae'])} on average{several}; {beside}. {others}.",
    )


def _mean_error(run):
    truth = run.answers["truth"].astype("float64")
    mean = run.config["spec"].get("config", {}).get("target_offset")
    mean = truth.mean(tuple(range(truth.ndim - 1))) if mean is None else np.asarray(mean)
    return float(np.abs(truth - mean).mean())


def _language(scores, run, split):
    tokens = run.config["spec"].get("config", {}).get("outputs")
    beside = f"; guessing blindly among {number(tokens)} takes {math.log2(tokens):.2f}" if tokens else ""
    return dict(
        value=f"{scores['bits_per_token']:.3f}",
        label=f"bits per token on {number(scores['tokens'])} {split}tokens",
        interval=None,
        scale=None,
        sentence=f"It needs {scores['bits_per_token']:.2f} bits to tell the next token{beside}. Its first guess is "
        f"right in {percent(scores['accuracy'])} of the places; always guessing the most frequent token, in "
        f"{percent(scores['majority'])}.",
    )


def score_rows(splits):
    """Return the table of scores: a heading, then a row for each score."""
    names = [name for name in _NAMES if any(name in scores for scores in splits.values())]
    rows = [(_NAMES[name], [_cell(name, scores.get(name)) for scores in splits.values()]) for name in names]
    return dict(columns=list(splits), rows=rows)


def _cell(name, value):
    if value is None:
        return "–"
    if isinstance(value, list | tuple):
        return " to ".join(percent(edge) for edge in value)
    if name in ("f1", "auc", "r2"):
        return f"{value:.4f}"
    return percent(value) if name in ("accuracy", "majority") else number(value)


def warnings_of(run, split):
    """Return a sentence for each thing a careful person would say beside the score."""
    summary = run.summary
    scores = summary.get(split) or {}
    found = [_interrupted(summary), _split(split), _few(scores, split), _useless(scores), _gap(summary), _overfit(run)]
    return [sentence for sentence in found if sentence]


def _interrupted(summary):
    if summary.get("interrupted"):
        return f"The training was interrupted after {plural(summary['epochs'], 'epoch')}; more may have done better."
    return None


def _split(split):
    if split is None:
        return "No data was kept apart, so nothing says how the model does on data it has not seen."
    if split == "validation":
        return "There was no test data. The validation data chose the best epoch, so its score is a little too good."
    return None


def _few(scores, split):
    n = scores.get("examples", _FEW)
    if n < _FEW:
        return f"Only {plural(n, f'{split} example')}: another draw of the data can give a rather different score."
    return None


def _useless(scores):
    if scores.get("r2") is not None and scores["r2"] <= 0:
        return "It is no better than always answering the mean (R² is not above 0)."
    if "accuracy_interval" in scores and scores["accuracy_interval"][0] <= scores["majority"]:
        return "The interval reaches down to what the most frequent class gets: it may have learned nothing."
    if "tokens" in scores and scores["accuracy"] <= scores["majority"]:
        return "Its first guess is right no more often than the most frequent token."
    return None


def _gap(summary):
    ours, theirs = summary.get("validation") or {}, summary.get("test") or {}
    if "accuracy_interval" in ours and "accuracy_interval" in theirs:
        gap = ours["accuracy"] - theirs["accuracy"]
        if abs(gap) > max(high - low for low, high in (ours["accuracy_interval"], theirs["accuracy_interval"])):
            return (
                f"Validation ({percent(ours['accuracy'])}) and test ({percent(theirs['accuracy'])}) lie further apart "
                "than chance explains: the two parts differ."
            )
    elif "rmse" in ours and "rmse" in theirs and theirs["rmse"] > _FAR * ours["rmse"]:
        return (
            f"The error on test data is {theirs['rmse'] / ours['rmse']:.1f} times that on validation data "
            "(RMSE): the two parts differ."
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

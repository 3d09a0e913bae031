"""Plots of a hyperparameter search: `search_history`, `search_curves`, `importance`."""

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kzoo.plots.colors import BLUE, FAINT, GREEN, GREY, INK, ORANGE, PURPLE, RED
from kzoo.plots.curves import name_of
from kzoo.plots.figure import new_figure, style_axes
from kzoo.utils.errors import KzooError

if TYPE_CHECKING:
    from kzoo.tuning.importance import Importance
    from kzoo.tuning.records import Trial

_UNSCORED_MARKERS = {"diverged": ("x", RED), "failed": ("X", PURPLE)}
_HIGHLIGHTED = (GREEN, BLUE, ORANGE)
_MAX_NAME_LENGTH = 34  # characters of the name of a hyperparameter


def search_history(
    trials: Sequence["Trial"], objective: tuple[str, str], *, start: str = "the preset"
) -> Figure:
    """Plot the score of each trial in order, the best score so far, and the score of the preset as a line.

    Trials without a score (diverged, failed) are marked at the lower edge. Scores far behind the others would flatten
    the plot, so they are drawn at its border.

    Args:
        trials: as in `Search.trials`.
        objective: (name, "max" or "min"), as in `Search.objective`.
        start: what the first trial is called.

    Returns:
        A matplotlib `Figure`.

    Raises:
        KzooError: no trial has ended.

    Examples:
        >>> search = kzoo.Search("searches/iris")
        >>> figure = kzoo.plots.search_history(search.trials, search.objective)
    """
    trials = _finished_trials(trials)
    name, direction = objective
    scored = [trial for trial in trials if trial.score is not None]
    figure = new_figure(6.6, 4.2)
    axes = figure.add_subplot()
    style_axes(
        axes,
        f"{_metric_title(name)}: {_count_text(trials)}",
        x="trial",
        y=f"{'higher' if direction == 'max' else 'lower'} is better",
    )
    if scored:
        low, high = _score_limits(
            [trial.score for trial in scored if trial.score is not None],
            _preset_score(trials),
            direction,
        )
        axes.set_ylim(low, high)
        _draw_scores(axes, scored, direction, (low, high))
        _draw_best(axes, scored, trials, direction)
        if (preset := _preset_score(trials)) is not None:
            axes.axhline(
                preset, color=INK, lw=1, ls=(0, (5, 3)), zorder=2, label=f"{start}: {preset:.4g}"
            )
    else:
        axes.set_yticks([])
        axes.text(
            0.5,
            0.5,
            "no trial has a score",
            transform=axes.transAxes,
            ha="center",
            color=GREY,
            fontsize=11,
        )
    for status, (marker, color) in _UNSCORED_MARKERS.items():
        numbers = [
            trial.number for trial in trials if trial.score is None and trial.status == status
        ]
        if numbers:
            heights = [0.025] * len(numbers)
            axes.plot(
                numbers,
                heights,
                marker,
                color=color,
                ms=7,
                transform=axes.get_xaxis_transform(),
                zorder=6,
                clip_on=False,
                label=f"{status}: {len(numbers)}",
            )
    numbers = [trial.number for trial in trials]
    margin = max(0.6, 0.02 * (numbers[-1] - numbers[0]))
    axes.set_xlim(numbers[0] - margin, numbers[-1] + margin)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12, min_n_ticks=1))
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure


def search_curves(
    trials: Sequence["Trial"], objective: tuple[str, str], *, start: str = "the preset"
) -> Figure:
    """Plot the objective over the epochs of every trial, with the best three trials and the preset highlighted.

    Args:
        trials: as in `Search.trials`.
        objective: (name, "max" or "min"), as in `Search.objective`.
        start: what the first trial is called.

    Returns:
        A matplotlib `Figure`.

    Raises:
        KzooError: no trial has an epoch to plot.

    Examples:
        >>> search = kzoo.Search("searches/iris")
        >>> figure = kzoo.plots.search_curves(search.trials, search.objective)
    """
    name, direction = objective
    curves = {trial.number: _curve(trial, name) for trial in _finished_trials(trials)}
    with_curves = [trial for trial in _finished_trials(trials) if curves[trial.number]]
    if not with_curves:
        raise KzooError(f"No trial has an epoch with {name!r} to plot.")
    best = [trial for trial in _best_first(with_curves, direction) if trial.score is not None][
        : len(_HIGHLIGHTED)
    ]
    best_numbers = [trial.number for trial in best]
    figure = new_figure(6.6, 4.2)
    axes = figure.add_subplot()
    folds = any(trial.folds for trial in with_curves)
    suffix = ", mean of the folds (scores: mean of their best)" if folds else ""
    style_axes(
        axes, f"{_metric_title(name)} per epoch: {_count_text(with_curves)}{suffix}", x="epoch"
    )
    other_trials = [
        trial for trial in with_curves if trial.number not in best_numbers and not trial.baseline
    ]
    for i, trial in enumerate(other_trials):
        label = "the other trials" if len(other_trials) > 1 else f"trial {trial.number}"
        _draw_line(
            axes, curves[trial.number], color=GREY, lw=0.8, alpha=0.45, label=None if i else label
        )
    for trial in (
        trial for trial in with_curves if trial.baseline and trial.number not in best_numbers
    ):
        _draw_line(
            axes,
            curves[trial.number],
            color=INK,
            lw=1.5,
            ls=(0, (5, 3)),
            label=_trial_label(trial, start),
        )
    for trial, color in zip(best, _HIGHLIGHTED, strict=False):
        dashes = (0, (5, 3)) if trial.baseline else "-"
        _draw_line(
            axes,
            curves[trial.number],
            color=color,
            lw=1.9,
            ls=dashes,
            label=_trial_label(trial, start),
            zorder=4,
        )
        if not folds:
            point: Any = ([trial.best_epoch], [trial.score])
            axes.plot(*point, "o", color=color, ms=7, mec="white", mew=1.2, zorder=5)
    # The ends of the curves matter: their first halves may start outside of the plot.
    end_scores = [
        score
        for curve in (curves[trial.number] for trial in with_curves)
        for score in curve[len(curve) // 2 :]
        if math.isfinite(score)
    ]
    if end_scores:
        axes.set_ylim(*_score_limits(end_scores, None, direction))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10, min_n_ticks=1))
    axes.margins(x=0.03)
    handles: Any
    handles, labels = axes.get_legend_handles_labels()
    # the best trials first
    order = sorted(range(len(labels)), key=lambda i: handles[i].get_color() in (GREY, INK))
    figure.legend(
        [handles[i] for i in order],
        [labels[i] for i in order],
        loc="outside lower center",
        ncols=2,
        frameon=False,
        fontsize=9,
    )
    return figure


def importance(found: "Importance") -> Figure:
    """Plot which hyperparameters determined the rank of a trial, most important first.

    It is the permutation importance in a random forest (https://doi.org/10.1023/A:1010933404324) that predicts the
    ranks.

    Args:
        found: the result of `kzoo.tuning.importance.importance_of`.

    Returns:
        A matplotlib `Figure`.

    Examples:
        >>> search = kzoo.tune(
        ...     "iris_fnn", "iris", engine="random", trials=16, epochs=1, out="searches/more"
        ... )
        >>> figure = search.plot("importance")

        `Search.plot` calls this function:

        >>> from kzoo.tuning.importance import importance_of
        >>> found = importance_of(search.trials, search.objective, search.parameters)
        >>> figure = kzoo.plots.importance(found)
    """
    rows = found.rows
    figure = new_figure(6.6, max(3.2, 1.9 + 0.34 * len(rows)))
    axes = figure.add_subplot()
    title = f"Importance for {found.objective}: {found.trials} trials"
    style_axes(axes, title, x="loss of R² when its values are shuffled", grid="x")
    for y, row in enumerate(rows):
        bar, point = (FAINT, GREY) if row.weak or found.weak else (BLUE, INK)
        axes.barh(y, max(row.mean, 0), 0.62, color=bar)
        axes.errorbar(row.mean, y, xerr=row.sd, color=point, fmt="o", ms=3, lw=1.1, capsize=3)
    counts = [f" (in {row.trials})" if row.trials < found.trials else "" for row in rows]
    labels = [_shorten(row.name) + count for row, count in zip(rows, counts, strict=True)]
    axes.set_yticks(range(len(rows)), labels, parse_math=False)
    axes.tick_params(axis="y", length=0, colors=INK)
    axes.spines["left"].set_visible(False)
    axes.axvline(0, color=GREY, lw=0.8)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    conclusion = found.sentence + (", so this plot is not meaningful." if found.weak else ".")
    notes = [
        conclusion,
        f"Points and bars: mean and standard deviation over {found.repeats} random splits of the trials.",
    ]
    if not found.weak and any(row.weak for row in rows):
        notes.append(
            "Pale: the forest predicts no better than chance in the trials with this hyperparameter."
        )
    if excluded := [f"{_shorten(name)} ({reason})" for name, reason in found.left_out]:
        notes += textwrap.wrap("Not shown: " + ", ".join(excluded) + ".", 110)
    text = figure.supxlabel(
        "\n".join(notes), x=0.02, ha="left", fontsize=8.5, color=RED if found.weak else GREY
    )
    text.set_parse_math(False)
    return figure


def _finished_trials(trials: Sequence["Trial"]) -> list["Trial"]:
    """Return the trials that have ended, in order."""
    finished = [trial for trial in trials if trial.status not in ("running", "interrupted")]
    if not finished:
        raise KzooError("No trial of the search has ended yet, so there is nothing to plot.")
    return finished


def _metric_title(name: str) -> str:
    return f"{name_of(name)}, {'validation' if name.startswith('val_') else 'training'}"


def _count_text(trials: Sequence["Trial"]) -> str:
    return f"{len(trials)} trial{'' if len(trials) == 1 else 's'}"


def _preset_score(trials: Sequence["Trial"]) -> float | None:
    return next((trial.score for trial in trials if trial.baseline), None)


def _best_first(trials: Sequence["Trial"], direction: str) -> list[Any]:
    sign = -1 if direction == "max" else 1
    return sorted(
        trials, key=lambda trial: (trial.score is None, sign * (trial.score or 0), trial.number)
    )


def _score_limits(
    scores: Sequence[float], preset: float | None, direction: str, share: float = 0.8
) -> tuple[float, float]:
    """Return axis limits that show all scores, or if some are far behind, the better `share` of them."""
    sign = 1 if direction == "max" else -1
    # distance to the best score
    gaps = np.sort(np.max(sign * np.asarray(scores)) - sign * np.asarray(scores))
    largest_gap = gaps[-1]
    typical_gap = gaps[min(int(share * len(gaps)), len(gaps) - 1)]
    if typical_gap > 0 and largest_gap > 3 * typical_gap:
        largest_gap = 1.6 * typical_gap
    best = max(sign * score for score in scores)
    if preset is not None:
        largest_gap = max(largest_gap, best - sign * preset)
    span = largest_gap or abs(best) * 0.05 or 0.05
    limits = sign * (best + 0.08 * span), sign * (best - largest_gap - 0.14 * span)
    return min(limits), max(limits)


def _draw_scores(
    axes: Axes, scored: Sequence[Any], direction: str, limits: tuple[float, float]
) -> None:
    """Draw a point for each trial; scores outside the limits are drawn at the border."""
    low, high = limits
    styles: Any = (
        ("completed", "o", dict(color=BLUE, mec="white")),
        ("pruned", "o", dict(color="none", mec=BLUE)),
    )
    for status, marker, style in styles:
        selected = [trial for trial in scored if trial.status == status]
        inside = [trial for trial in selected if low <= trial.score <= high]
        if inside:
            numbers = [trial.number for trial in inside]
            scores = [trial.score for trial in inside]
            axes.plot(
                numbers,
                scores,
                marker,
                ms=6.5,
                mew=1.2,
                zorder=4,
                label=f"{status}: {len(selected)}",
                **style,
            )
    outside = [trial for trial in scored if not low <= trial.score <= high]
    if outside:
        border, marker = (low, "v") if direction == "max" else (high, "^")
        axes.plot(
            [trial.number for trial in outside],
            [border] * len(outside),
            marker,
            color=GREY,
            ms=7,
            clip_on=False,
            zorder=5,
            label=f"far behind: {len(outside)}",
        )


def _draw_best(
    axes: Axes, scored: Sequence["Trial"], trials: Sequence["Trial"], direction: str
) -> None:
    better = max if direction == "max" else min
    best = None
    best_so_far = []
    for trial in trials:
        if trial.score is not None:
            best = trial.score if best is None else better(best, trial.score)
        best_so_far.append(math.nan if best is None else best)
    if len(trials) > 1:
        axes.step(
            [trial.number for trial in trials],
            best_so_far,
            where="post",
            color=GREEN,
            lw=1.6,
            zorder=3,
            label="best so far",
        )
    best_trial = _best_first(scored, direction)[0]
    label = f"best: trial {best_trial.number}, {best_trial.score:.4g}"
    axes.plot(
        [best_trial.number],
        [best_trial.score],
        "o",
        ms=12,
        mfc="none",
        mec=GREEN,
        mew=1.8,
        zorder=5,
        label=label,
    )


def _curve(trial: "Trial", name: str) -> list[float]:
    return [math.nan if score is None else float(score) for score in trial.history.get(name, [])]


def _draw_line(axes: Axes, values: Sequence[float], **style: Any) -> None:
    # A line of one point is invisible without a marker.
    axes.plot(range(1, len(values) + 1), values, marker="." if len(values) == 1 else None, **style)


def _trial_label(trial: "Trial", start: str) -> str:
    label = f"trial {trial.number}" + (f", {start}" if trial.baseline else "")
    return label if trial.score is None else f"{label}: {trial.score:.4g}, epoch {trial.best_epoch}"


def _shorten(name: str) -> str:
    return name if len(name) <= _MAX_NAME_LENGTH else name[: _MAX_NAME_LENGTH - 1] + "…"

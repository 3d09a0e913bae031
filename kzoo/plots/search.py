"""`search_history`, `search_curves`, `importance`: how a search for hyperparameters went, and what mattered in it."""

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
from kzoo.plots.figure import new_figure, tidy
from kzoo.utils.errors import KzooError

if TYPE_CHECKING:
    from kzoo.tuning.importance import Importance
    from kzoo.tuning.records import Trial

_UNSCORED = {"diverged": ("x", RED), "failed": ("X", PURPLE)}
_HIGHLIGHTED = (GREEN, BLUE, ORANGE)
_LONGEST = 34  # characters of a hyperparameter's name


def search_history(trials: Sequence["Trial"], objective: tuple[str, str], *, start: str = "the preset") -> Figure:
    """Draw the score of each trial in the order in which they were made, the best so far, and the preset's as a line.

    Trials without a score (diverged, failed) are marked at the lower edge. Scores far behind the others would flatten
    the picture: they are drawn at its border.

    Args:
        trials: as in `Search.trials`.
        objective: as in `Search.objective`: (name, "max" or "min").
        start: what the first trial is called.

    Raises:
        KzooError: no trial has ended.
    """
    trials = _ended(trials)
    name, direction = objective
    scored = [t for t in trials if t.score is not None]
    figure = new_figure(6.6, 4.2)
    axes = figure.add_subplot()
    tidy(
        axes,
        f"{_titled(name)}: {_counted(trials)}",
        x="trial",
        y=f"{'higher' if direction == 'max' else 'lower'} is better",
    )
    if scored:
        low, high = _window([t.score for t in scored if t.score is not None], _preset_score(trials), direction)
        axes.set_ylim(low, high)
        _draw_scores(axes, scored, direction, (low, high))
        _draw_best(axes, scored, trials, direction)
        if (preset := _preset_score(trials)) is not None:
            axes.axhline(preset, color=INK, lw=1, ls=(0, (5, 3)), zorder=2, label=f"{start}: {preset:.4g}")
    else:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no trial has a score", transform=axes.transAxes, ha="center", color=GREY, fontsize=11)
    for status, (marker, color) in _UNSCORED.items():
        numbers = [t.number for t in trials if t.score is None and t.status == status]
        if numbers:
            heights = [0.025] * len(numbers)
            axes.plot(numbers, heights, marker, color=color, ms=7, transform=axes.get_xaxis_transform(), zorder=6,
                      clip_on=False, label=f"{status}: {len(numbers)}")  # fmt: skip
    numbers = [t.number for t in trials]
    room = max(0.6, 0.02 * (numbers[-1] - numbers[0]))
    axes.set_xlim(numbers[0] - room, numbers[-1] + room)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12, min_n_ticks=1))
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure


def search_curves(trials: Sequence["Trial"], objective: tuple[str, str], *, start: str = "the preset") -> Figure:
    """Draw what was searched for over the epochs of every trial, the best three and the preset highlighted.

    Args:
        trials: as in `Search.trials`.
        objective: as in `Search.objective`: (name, "max" or "min").
        start: what the first trial is called.

    Raises:
        KzooError: no trial has an epoch to draw.
    """
    name, direction = objective
    curves = {t.number: _curve(t, name) for t in _ended(trials)}
    drawn = [t for t in _ended(trials) if curves[t.number]]
    if not drawn:
        raise KzooError(f"No trial has an epoch with a {name} to draw.")
    best = [t for t in _best_first(drawn, direction) if t.score is not None][: len(_HIGHLIGHTED)]
    special = [t.number for t in best]
    figure = new_figure(6.6, 4.2)
    axes = figure.add_subplot()
    folds = any(t.folds for t in drawn)
    over = ", mean of the folds (scores: mean of their best)" if folds else ""
    tidy(axes, f"{_titled(name)} per epoch: {_counted(drawn)}{over}", x="epoch")
    others = [t for t in drawn if t.number not in special and not t.baseline]
    for i, trial in enumerate(others):
        label = "the other trials" if len(others) > 1 else f"trial {trial.number}"
        _line(axes, curves[trial.number], color=GREY, lw=0.8, alpha=0.45, label=None if i else label)
    for trial in (t for t in drawn if t.baseline and t.number not in special):
        _line(axes, curves[trial.number], color=INK, lw=1.5, ls=(0, (5, 3)), label=_legend(trial, start))
    for trial, color in zip(best, _HIGHLIGHTED, strict=False):
        dashes = (0, (5, 3)) if trial.baseline else "-"
        _line(axes, curves[trial.number], color=color, lw=1.9, ls=dashes, label=_legend(trial, start), zorder=4)
        if not folds:
            point: Any = ([trial.best_epoch], [trial.score])
            axes.plot(*point, "o", color=color, ms=7, mec="white", mew=1.2, zorder=5)
    # Where curves end is what sets them apart: their first half may begin outside of the picture.
    numbers = [v for c in (curves[t.number] for t in drawn) for v in c[len(c) // 2 :] if math.isfinite(v)]
    if numbers:
        axes.set_ylim(*_window(numbers, None, direction))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10, min_n_ticks=1))
    axes.margins(x=0.03)
    handles: Any
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: handles[i].get_color() in (GREY, INK))  # the best first
    figure.legend([handles[i] for i in order], [labels[i] for i in order], loc="outside lower center", ncols=2,
                  frameon=False, fontsize=9)  # fmt: skip
    return figure


def importance(found: "Importance") -> Figure:
    """Draw which hyperparameters decided a trial's rank, the most important first.

    Args:
        found: what `kzoo.tuning.importance.importance_of` returns.
    """
    rows = found.rows
    figure = new_figure(6.6, max(3.2, 1.9 + 0.34 * len(rows)))
    axes = figure.add_subplot()
    title = f"What decided {found.objective}: {found.trials} trials"
    tidy(axes, title, x="loss of R² when its values are shuffled", grid="x")
    for place, row in enumerate(rows):
        bar, point = (FAINT, GREY) if row.weak or found.weak else (BLUE, INK)
        axes.barh(place, max(row.mean, 0), 0.62, color=bar)
        axes.errorbar(row.mean, place, xerr=row.sd, color=point, fmt="o", ms=3, lw=1.1, capsize=3)
    partly = [f" (in {row.trials})" if row.trials < found.trials else "" for row in rows]
    labels = [_cut(row.name) + more for row, more in zip(rows, partly, strict=True)]
    axes.set_yticks(range(len(rows)), labels, parse_math=False)
    axes.tick_params(axis="y", length=0, colors=INK)
    axes.spines["left"].set_visible(False)
    axes.axvline(0, color=GREY, lw=0.8)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    said = found.sentence + (", so this picture says nothing." if found.weak else ".")
    notes = [said, f"Points and bars: mean and standard deviation over {found.repeats} random splits of the trials."]
    if not found.weak and any(row.weak for row in rows):
        notes.append("Pale: among the trials in which it counts, the forest predicts no better than chance.")
    if left := [f"{_cut(name)} ({why})" for name, why in found.left_out]:
        notes += textwrap.wrap("Not shown: " + ", ".join(left) + ".", 110)
    text = figure.supxlabel("\n".join(notes), x=0.02, ha="left", fontsize=8.5, color=RED if found.weak else GREY)
    text.set_parse_math(False)
    return figure


def _ended(trials: Sequence["Trial"]) -> list["Trial"]:
    """Return the trials that are over, in order."""
    ended = [t for t in trials if t.status not in ("running", "interrupted")]
    if not ended:
        raise KzooError("No trial of the search has ended yet: there is nothing to draw.")
    return ended


def _titled(name: str) -> str:
    return f"{name_of(name)}, {'validation' if name.startswith('val_') else 'training'}"


def _counted(trials: Sequence["Trial"]) -> str:
    return f"{len(trials)} trial{'' if len(trials) == 1 else 's'}"


def _preset_score(trials: Sequence["Trial"]) -> float | None:
    return next((t.score for t in trials if t.baseline), None)


def _best_first(trials: Sequence["Trial"], direction: str) -> list[Any]:
    sign = -1 if direction == "max" else 1
    return sorted(trials, key=lambda t: (t.score is None, sign * (t.score or 0), t.number))


def _window(scores: Sequence[float], preset: float | None, direction: str, share: float = 0.8) -> tuple[float, float]:
    """Return limits that show all scores, or where some are far behind, the better `share` of them."""
    sign = 1 if direction == "max" else -1
    losses = np.sort(np.max(sign * np.asarray(scores)) - sign * np.asarray(scores))  # behind the best, 0 for itself
    most = losses[-1]
    usual = losses[min(int(share * len(losses)), len(losses) - 1)]
    if usual > 0 and most > 3 * usual:
        most = 1.6 * usual
    best = max(sign * s for s in scores)
    if preset is not None:
        most = max(most, best - sign * preset)
    room = most or abs(best) * 0.05 or 0.05
    ends = sign * (best + 0.08 * room), sign * (best - most - 0.14 * room)
    return min(ends), max(ends)


def _draw_scores(axes: Axes, scored: Sequence[Any], direction: str, limits: tuple[float, float]) -> None:
    """Draw a point for each trial; those outside of the limits at the border."""
    low, high = limits
    kinds: Any = (("completed", "o", dict(color=BLUE, mec="white")), ("pruned", "o", dict(color="none", mec=BLUE)))
    for status, marker, style in kinds:
        these = [t for t in scored if t.status == status]
        inside = [t for t in these if low <= t.score <= high]
        if inside:
            axes.plot([t.number for t in inside], [t.score for t in inside], marker, ms=6.5, mew=1.2, zorder=4,
                      label=f"{status}: {len(these)}", **style)  # fmt: skip
    outside = [t for t in scored if not low <= t.score <= high]
    if outside:
        border, marker = (low, "v") if direction == "max" else (high, "^")
        axes.plot([t.number for t in outside], [border] * len(outside), marker, color=GREY, ms=7, clip_on=False,
                  zorder=5, label=f"far behind: {len(outside)}")  # fmt: skip


def _draw_best(axes: Axes, scored: Sequence["Trial"], trials: Sequence["Trial"], direction: str) -> None:
    choose, best, steps = (max if direction == "max" else min), None, []
    for trial in trials:
        if trial.score is not None:
            best = trial.score if best is None else choose(best, trial.score)
        steps.append(math.nan if best is None else best)
    if len(trials) > 1:
        axes.step([t.number for t in trials], steps, where="post", color=GREEN, lw=1.6, zorder=3, label="best so far")
    first = _best_first(scored, direction)[0]
    label = f"best: trial {first.number}, {first.score:.4g}"
    axes.plot([first.number], [first.score], "o", ms=12, mfc="none", mec=GREEN, mew=1.8, zorder=5, label=label)


def _curve(trial: "Trial", name: str) -> list[float]:
    return [math.nan if v is None else float(v) for v in trial.history.get(name, [])]


def _line(axes: Axes, values: Sequence[float], **style: Any) -> None:
    # A line through one point is invisible.
    axes.plot(range(1, len(values) + 1), values, marker="." if len(values) == 1 else None, **style)


def _legend(trial: "Trial", start: str) -> str:
    who = f"trial {trial.number}" + (f", {start}" if trial.baseline else "")
    return who if trial.score is None else f"{who}: {trial.score:.4g}, epoch {trial.best_epoch}"


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"

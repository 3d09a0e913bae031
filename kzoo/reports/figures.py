"""Figures in the HTML page: SVG in the colours of the page, light or dark."""

import base64
import io
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias, TypedDict

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from kzoo import plots
from kzoo.inference.postprocessors.decision import decision_on, predicted_classes
from kzoo.inference.tasks.central import central, nearest
from kzoo.plots import colors
from kzoo.plots.calibration import reliability_of
from kzoo.plots.figure import distinct_titles
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import number, percent
from kzoo.zoo.run import Run

# Colours of kzoo.plots -> CSS variables of the page, which differ between light and dark mode.
_THEME_COLORS = {
    colors.INK: "ink",
    "#000000": "ink",
    colors.GREY: "muted",
    colors.FAINT: "line",
    "#ffffff": "paper",
    colors.BLUE: "blue",
    colors.ORANGE: "orange",
    colors.GREEN: "green",
    colors.RED: "red",
    colors.PURPLE: "purple",
}
_THEME_BY_HEX = {color.lower(): name for color, name in _THEME_COLORS.items()}
_MAX_SVG_BYTES = 300_000  # larger figures, such as scatter plots of many points, become PNG images
_MAX_CLASSES = 40
_N_WINDOWS = 3  # forecasts per section
_MAX_TARGETS = 9
_LONGEST_NAME = 60  # characters of the name of a series over its forecast
# of the rows whose inputs a run stores, the first ones are examples; the worst predictions follow
N_EXAMPLES = 12


class EmbeddedFigure(TypedDict):
    """A figure as an HTML element.

    Args:
        element: the HTML.
        width: in CSS pixels.
        card: whether it needs a white card.
    """

    element: Markup
    width: int
    card: bool


Section: TypeAlias = tuple[str, str, list[EmbeddedFigure]]  # title, note, figures


def embed_figure(figure: Figure, alt: str) -> EmbeddedFigure:
    """Return a figure as an HTML element; a PNG image keeps its colours, on a white card.

    Args:
        figure: a matplotlib `Figure`.
        alt: the text alternative.
    """
    width = math.ceil(figure.get_figwidth() * 96)
    svg = _svg(figure, alt)
    on_card = False
    if len(svg) > _MAX_SVG_BYTES:
        buffer = io.BytesIO()
        figure.savefig(buffer, dpi=144, transparent=True, metadata={"Software": None})
        source = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
        element = Markup('<img src="{}" alt="{}">').format(source, alt)
        on_card = True
    else:
        element = Markup(re.sub(r"(fill|stroke): (#[0-9a-f]{6})", _themed_color, svg))
    return EmbeddedFigure(element=element, width=width, card=on_card)


def _themed_color(match: re.Match[str]) -> str:
    name = _THEME_BY_HEX.get(match[2])
    return f"{match[1]}: var(--{name})" if name else match[0]


def _svg(figure: Figure, alt: str) -> str:
    """Return a figure as SVG. Text stays text, in the font of the page; ids are unique and reproducible."""
    buffer = io.StringIO()
    rc: Any = {"svg.fonttype": "none", "svg.hashsalt": alt, "image.composite_image": False}
    with matplotlib.rc_context(rc):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    for pattern in (
        r"<metadata>.*?</metadata>",
        r"<!--.*?-->",
        r"<style.*?</style>",
        r'(?<=<g) id="[^"]*"',
    ):
        svg = re.sub(pattern, "", svg, flags=re.DOTALL)
    opening, body = svg.split(">", 1)
    view_box = re.search(r'viewBox="[^"]*"', opening)
    assert view_box is not None  # Matplotlib writes one
    label = Markup.escape(alt)
    return f'<svg {view_box[0]} role="img" aria-label="{label}" xmlns:xlink="http://www.w3.org/1999/xlink">{body}'


def examples_are_first(stored: JsonObject) -> bool:
    """Return whether the examples of a run are the first rows of the split, as in runs of earlier versions."""
    rows = stored["shown"][:N_EXAMPLES]
    return bool((rows == np.arange(len(rows))).all())


def curve_figures(run: Run) -> list[EmbeddedFigure]:
    """Return a figure of each metric in the history of a run; an empty list if it has a single epoch."""
    history = run.history
    if len(history.get("epoch", ())) <= 1:
        return []
    best, monitor = run.summary.get("best_epoch"), run.summary.get("monitor")
    names = [
        column
        for column in history
        if column not in ("epoch", "seconds", "learning_rate", "lr")
        and not column.startswith("val_")
    ]
    figures = []
    for name in names:
        rate_columns = ("learning_rate", "lr") if name == "loss" else ()
        columns = {
            column: history[column]
            for column in ("epoch", name, f"val_{name}", *rate_columns)
            if column in history
        }
        figure = plots.curves(
            columns, monitor=monitor if monitor in columns else None, best_epoch=best
        )
        figures.append(embed_figure(figure, f"{name.replace('_', ' ')} per epoch"))
    return figures


def prediction_figures(run: Run) -> list[Section]:
    """Return (title, note, figures) for each section about the predictions of a run; empty if it stored none."""
    answers = run.answers
    if answers is None:
        return []
    return [
        section
        for needs, lacks, draw in _SECTIONS
        if run.problem.suits(needs, lacks)
        for section in draw(run, answers)
    ]


def _classification_figures(run: Run, answers: JsonObject) -> Iterator[Section]:
    truth = answers["truth"]
    probabilities = answers["answers"]
    class_names = run.class_names
    predicted = predicted_classes(run, probabilities)
    if len(class_names) <= _MAX_CLASSES:
        note = (
            "Rows are true classes, columns are predicted classes: mistakes are off the diagonal."
        )
        yield (
            "Confusion matrix",
            note,
            [
                embed_figure(
                    plots.confusion_matrix(truth, predicted, class_names), "confusion matrix"
                )
            ],
        )
        note = "Precision: how many predictions of a class are right. Recall: how many of its examples are found."
        yield (
            "Each class",
            note,
            [
                embed_figure(
                    plots.per_class(truth, predicted, class_names),
                    "precision and recall of each class",
                )
            ],
        )
    if len(set(truth.tolist())) > 1:
        note = "How well the model separates the classes at every possible threshold."
        yield (
            "ROC and precision-recall",
            note,
            [
                embed_figure(plots.roc(truth, probabilities, class_names), "ROC curves"),
                embed_figure(
                    plots.precision_recall(truth, probabilities, class_names),
                    "precision-recall curves",
                ),
            ],
        )


def _decision_figures(run: Run, answers: JsonObject) -> Iterator[Section]:
    """Draw the score, or the cost, for which the threshold was chosen, over all thresholds."""
    truth = answers["truth"]
    probabilities = answers["answers"]
    class_names = run.class_names
    chosen = decision_on(run, truth, probabilities)
    if chosen is None:
        return
    decision, name, sentence = chosen
    assert decision.positive is not None  # a threshold is of a positive class
    figure = plots.threshold_curve(
        truth,
        probabilities,
        class_names,
        score=str(name),
        threshold=decision.threshold,
        positive=class_names[decision.positive],
        cost=decision.cost,
    )
    yield "Decision", sentence, [embed_figure(figure, "score over thresholds")]


def _calibration_figures(run: Run, answers: JsonObject) -> Iterator[Section]:
    """Draw the reliability diagram of the stored scores before and after calibration."""
    scores = (run.summary.get("calibration") or {}).get(answers["split"])
    if not scores:
        return
    before, after = scores["before"], scores["after"]
    if before == after:  # a temperature of 1
        scores = {"after": after}
    share = "present" if run.problem.separate_probabilities else "right"
    note = (
        f"Calibrated probabilities are on the diagonal. Before and after calibration on validation rows: log loss "
        f"{number(before['log_loss'])} and {number(after['log_loss'])}, Brier score {number(before['brier'])} and "
        f"{number(after['brier'])}, expected calibration error {percent(before['ece'])} and {percent(after['ece'])}."
        if before != after
        else "Calibrated probabilities are on the diagonal. Validation rows show no temperature other than 1. Log loss "
        f"{number(after['log_loss'])}, Brier score {number(after['brier'])}, expected calibration error "
        f"{percent(after['ece'])}."
    )
    yield (
        "Calibration",
        note,
        [embed_figure(reliability_of(scores, share=share), "reliability diagram")],
    )


def _abstention_figures(run: Run, answers: JsonObject) -> Iterator[Section]:
    """Draw the accuracy of the rows that are answered over their share."""
    truth, p = answers["truth"], answers["answers"]
    if p.min() < 0 or p.max() > 1:  # scores
        return
    note = (
        "If the rows with the lowest probability of their predicted class are not answered (min_probability= and "
        "accuracy_when_answered= of kzoo.predict)."
    )
    figure = plots.accuracy_over_coverage(
        truth, p, run.class_names, predicted=predicted_classes(run, _columns(p))
    )
    yield (
        "Accuracy when answered",
        note,
        [embed_figure(figure, "accuracy over the share of answered rows")],
    )


def _columns(p: np.ndarray) -> np.ndarray:
    """Return probabilities with a column for each class."""
    return np.concatenate([1 - p, p], axis=1) if p.shape[-1] == 1 else p


def _label_figures(run: Run, answers: JsonObject) -> Iterator[Section]:
    split = answers["split"]
    labels = (run.summary.get(split) or {}).get("labels") or {}
    if 0 < len(labels) <= _MAX_CLASSES:
        note = "Precision: how many predictions of a label are right. Recall: how many of its examples are found."
        yield (
            "Each label",
            note,
            [embed_figure(plots.per_label(labels), "precision and recall of each label")],
        )


def _regression_figures(run: Run, answers: JsonObject) -> Iterator[Section]:
    truth = answers["truth"]
    names = run.data.target_names
    predicted = answers["answers"].reshape(truth.shape)
    truth, predicted = (
        values.reshape(len(values), -1) if values.ndim < 2 else values
        for values in (truth, predicted)
    )
    n_shown = min(truth.shape[-1], _MAX_TARGETS)
    has_several = truth.shape[-1] > 1
    note = "Perfect predictions lie on the diagonal."
    yield (
        "Predicted and true values",
        note + (f" The first {n_shown} targets." if n_shown < truth.shape[-1] else ""),
        [
            embed_figure(
                plots.predicted_against_true(
                    truth[..., [i]], predicted[..., [i]], names[i : i + 1]
                ),
                "predicted against true" + (f", target {i + 1}" if has_several else ""),
            )
            for i in range(n_shown)
        ],
    )


def _forecast_figures(run: Run, answers: JsonObject) -> Iterator[Section]:
    """Draw forecasts evenly spaced over the split, then the worst forecasts that do not overlap."""
    stored = answers
    names = run.data.target_names
    truth, predicted = stored["truth"], stored["answers"]
    quantiles = predicted.ndim > truth.ndim
    medians = predicted
    if quantiles:
        levels = run.spec.config["quantiles"]
        medians = central(predicted, levels)
        medians = predicted[..., nearest(levels)] if medians is None else medians
    series = stored["series_names"][stored["series"]].tolist() if "series" in stored else None
    shown = sorted(set(series)) if series is not None else []
    titles = dict(
        zip(shown, distinct_titles([(name,) for name in shown], _LONGEST_NAME), strict=True)
    )
    # Row of the split -> its index among the stored inputs.
    stored_index = {int(row): i for i, row in enumerate(stored["shown"])}

    def figures(rows: Iterable[int], alt: str) -> Iterator[EmbeddedFigure]:
        for row in rows:
            history = stored["inputs"][[stored_index[row]]] if row in stored_index else None
            window = int(stored["rows"][row]) + 1
            band = (predicted[[row]][..., 0], predicted[[row]][..., -1]) if quantiles else None
            title = window if series is None else f"{titles[series[row]]}, window {window:,}"
            figure = plots.forecast(
                truth[[row]],
                medians[[row]],
                history=history,
                names=names,
                windows=[title],
                band=band,
            )
            yield embed_figure(
                figure, f"{alt}: window {window}" if series is None else f"{alt}: {title}"
            )

    rows = stored["shown"][:N_EXAMPLES] if not examples_are_first(stored) else np.arange(len(truth))
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, _N_WINDOWS).round().astype(int))].tolist()
    note = "Windows evenly spaced over the split" + (
        "." if series is None else ", series by series."
    )
    yield "Forecasts", note, list(figures(rows, "forecast and truth"))
    has_inputs = np.isin(np.arange(len(truth)), list(stored_index))
    errors = run.problem.task.scoring.judge(truth, predicted, run.target)
    worst = errors.worst(_N_WINDOWS, among=has_inputs, places=stored["rows"], apart=truth.shape[1])
    note = "The largest errors, worst first; of overlapping windows only one is shown."
    yield "Worst forecasts", note, list(figures(worst, "worst forecast and truth"))


def _quantile_figures(run: Run, answers: JsonObject) -> Iterator[Section]:
    """Draw the band between the outer quantiles over the true values of each target."""
    truth = answers["truth"]
    names = run.data.target_names
    levels = run.spec.config["quantiles"]
    n_shown = min(truth.shape[-1], _MAX_TARGETS)
    note = (
        f"The band from quantile {levels[0]:g} to {levels[-1]:g}, in order of the middle quantile, and the true "
        f"values: {levels[-1] - levels[0]:.0%} of them are expected within."
    )
    yield (
        "Quantiles and true values",
        note + (f" The first {n_shown} targets." if n_shown < truth.shape[-1] else ""),
        [
            embed_figure(
                plots.band(truth[..., i], answers["answers"][..., i, :], levels, names[i : i + 1]),
                "band of quantiles over true values"
                + (f", target {i + 1}" if truth.shape[-1] > 1 else ""),
            )
            for i in range(n_shown)
        ],
    )


# Facts of the task that a section needs, and those that it must not have -> the function that draws it.
_SECTIONS: tuple = (
    ({"classes", "probabilities"}, set(), _decision_figures),
    ({"classes", "probabilities"}, set(), _classification_figures),
    ({"classes", "probabilities", "kept"}, set(), _abstention_figures),
    ({"labels"}, set(), _label_figures),
    ({"probabilities", "kept"}, set(), _calibration_figures),
    ({"values", "unordered"}, {"quantiles"}, _regression_figures),
    ({"values", "ordered"}, set(), _forecast_figures),
    ({"quantiles", "unordered"}, set(), _quantile_figures),
)

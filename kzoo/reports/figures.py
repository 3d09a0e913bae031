"""Pictures inside the page: SVG that follows the colours of the page, light and dark."""

import base64
import io
import math
import re

import matplotlib
import numpy as np
from markupsafe import Markup

from kzoo import plots
from kzoo.plots import colors

# Colours of kzoo.plots -> the page's, which differ between light and dark.
_THEME = {
    colors.INK: "ink", "#000000": "ink", colors.GREY: "muted", colors.FAINT: "line", "#ffffff": "paper",
    colors.BLUE: "blue", colors.ORANGE: "orange", colors.GREEN: "green", colors.RED: "red", colors.PURPLE: "purple",
}  # fmt: skip
_BY_HEX = {color.lower(): name for color, name in _THEME.items()}
_LARGEST_SVG = 300_000  # bytes; a cloud of more points is drawn as pixels
_MOST_CLASSES = 40
_WINDOWS = 3  # forecasts side by side
_MOST_TARGETS = 9
FIRST = 12  # of the rows whose inputs a run keeps, these are examples; the worst follow


def drawn(figure, alt):
    """Return a figure as an element of the page; one that is drawn as pixels keeps its colours, on a white card.

    Args:
        figure: a matplotlib `Figure`.
        alt: what it shows, for who cannot see it.
    """
    width = math.ceil(figure.get_figwidth() * 96)
    svg, card = _svg(figure, alt), False
    if len(svg) > _LARGEST_SVG:
        buffer = io.BytesIO()
        figure.savefig(buffer, dpi=144, transparent=True, metadata={"Software": None})
        source = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
        element, card = Markup('<img src="{}" alt="{}">').format(source, alt), True
    else:
        element = Markup(re.sub(r"(fill|stroke): (#[0-9a-f]{6})", _themed, svg))
    return dict(element=element, width=width, card=card)


def _themed(found):
    name = _BY_HEX.get(found[2])
    return f"{found[1]}: var(--{name})" if name else found[0]


def _svg(figure, alt):
    """Text stays text, in the reader's own font; ids are the picture's own, and the same each time."""
    buffer = io.StringIO()
    settings = {"svg.fonttype": "none", "svg.hashsalt": alt, "image.composite_image": False}
    with matplotlib.rc_context(settings):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    for unwanted in (r"<metadata>.*?</metadata>", r"<!--.*?-->", r"<style.*?</style>", r'(?<=<g) id="[^"]*"'):
        svg = re.sub(unwanted, "", svg, flags=re.DOTALL)
    head, body = svg.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', head)[0]
    label = Markup.escape(alt)
    return f'<svg {box} role="img" aria-label="{label}" xmlns:xlink="http://www.w3.org/1999/xlink">{body}'


def are_first(answers):
    """Say whether a run's examples are the first of the split, as those of earlier versions are."""
    shown = answers["shown"][:FIRST]
    return bool((shown == np.arange(len(shown))).all())


def curves_of(run):
    """Return a picture of each column of the history that training and validation share; of one epoch none."""
    history, best = run.history, run.summary.get("best_epoch")
    monitor = run.summary.get("monitor")
    names = [n for n in history if n not in ("epoch", "seconds", "learning_rate", "lr") and not n.startswith("val_")]
    made = []
    for name in names if len(history.get("epoch", ())) > 1 else ():
        rates = ("learning_rate", "lr") if name == "loss" else ()
        part = {n: history[n] for n in ("epoch", name, f"val_{name}", *rates) if n in history}
        figure = plots.curves(part, monitor=monitor if monitor in part else None, best_epoch=best)
        made.append(drawn(figure, f"{name.replace('_', ' ')} per epoch"))
    return made


def pictures_of(run):
    """Return (title, what it says, pictures) for what the run answered; nothing where it kept no answers."""
    if run.answers is None:
        return []
    facts = run.problem.facts
    return [picture for needs, draw in _PICTURES if facts >= needs for picture in draw(run)]


def _of_classes(run):
    truth, probabilities, names = run.answers["truth"], run.answers["answers"], run.class_names
    guess = probabilities.argmax(-1)
    if len(names) <= _MOST_CLASSES:
        text = "A row for each true class, a column for each answer: what is off the diagonal is wrong."
        yield "Confusion matrix", text, [drawn(plots.confusion_matrix(truth, guess, names), "confusion matrix")]
        text = "Precision: the share right of what it gave this name. Recall: the share found of what has this name."
        yield "Each class", text, [drawn(plots.per_class(truth, guess, names), "precision and recall of each class")]
    if len(set(truth.tolist())) > 1:
        text = "How well it separates the classes at every possible threshold."
        yield (
            "ROC and precision-recall",
            text,
            [
                drawn(plots.roc(truth, probabilities, names), "ROC curves"),
                drawn(plots.precision_recall(truth, probabilities, names), "precision-recall curves"),
            ],
        )


def _of_values(run):
    truth, names = run.answers["truth"], run.data.target_names
    guess = run.answers["answers"].reshape(truth.shape)
    truth, guess = (values.reshape(len(values), -1) if values.ndim < 2 else values for values in (truth, guess))
    shown, several = min(truth.shape[-1], _MOST_TARGETS), truth.shape[-1] > 1
    text = "A perfect answer lies on the diagonal."
    yield (
        "Predicted against true",
        text + (f" The first {shown} targets." if shown < truth.shape[-1] else ""),
        [
            drawn(
                plots.predicted_against_true(truth[..., [i]], guess[..., [i]], names[i : i + 1]),
                "predicted against true" + (f", target {i + 1}" if several else ""),
            )
            for i in range(shown)
        ],
    )


def _of_forecasts(run):
    """Draw some forecasts along the split, then the worst of which none overlaps another."""
    answers, names = run.answers, run.data.target_names
    truth, guess = answers["truth"], answers["answers"].reshape(answers["truth"].shape)
    kept = {int(row): i for i, row in enumerate(answers["shown"])}  # whose inputs the run has kept

    def of(rows, alt):
        for row in rows:
            history = answers["inputs"][[kept[row]]] if row in kept else None
            window = int(answers["rows"][row]) + 1
            figure = plots.forecast(truth[[row]], guess[[row]], history=history, names=names, windows=[window])
            yield drawn(figure, f"{alt}: window {window}")

    spaced = answers["shown"][:FIRST] if not are_first(answers) else np.arange(len(truth))
    spaced = spaced[np.unique(np.linspace(0, len(spaced) - 1, _WINDOWS).round().astype(int))].tolist()
    yield "Forecasts", "Windows evenly spaced over the split.", list(of(spaced, "forecast beside what came"))
    among = np.isin(np.arange(len(truth)), list(kept))
    judged = run.problem.task.scoring.judge(truth, guess, run.target)
    worst = judged.worst(_WINDOWS, among=among, places=answers["rows"], apart=truth.shape[1])
    text = "The largest errors, starting with the worst; of windows that overlap, one."
    yield "Worst forecasts", text, list(of(worst, "a worst forecast beside what came"))


# Facts of the task that a picture needs -> what draws it.
_PICTURES = (
    ({"classes", "probabilities"}, _of_classes),
    ({"values", "unordered"}, _of_values),
    ({"values", "ordered"}, _of_forecasts),
)

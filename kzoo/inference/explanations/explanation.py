"""`Explanation`: why a model predicts as it does, as stored fields, text, HTML and plots. NumPy only."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, Any

from kzoo.utils import notebook
from kzoo.utils.errors import KzooError
from kzoo.utils.files import Json, JsonObject
from kzoo.utils.formatting import aligned, cut, number, plural, printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOISE = "no better than noise"
_UNKNOWN = "too few rows to tell"
_MOST_REASONS = 12  # of a row, in text and HTML
_MOST_COLUMNS = 30
_MOST_TABLES = 3  # of dependences in a text
_MOST_OUTPUTS = 6


@dataclass(frozen=True, kw_only=True)
class Importance:
    """The importance of a column, or of related columns that were permuted together.

    Args:
        columns: their names.
        mean: by how much the score is worse with permuted values, the mean over all repeats.
        interval: its 95 % interval, over rows and repeats; None with too few rows.
        noise: whether it cannot be told from 0, at 5 % for all columns together; None with too few rows.
        repeats: the importance by each permutation.
    """

    columns: tuple[str, ...]
    mean: float
    interval: tuple[float, float] | None
    noise: bool | None
    repeats: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """The names of the columns, as text."""
        return ", ".join(self.columns)


@dataclass(frozen=True, kw_only=True)
class Dependence:
    """The mean prediction as a function of one column (partial dependence).

    Args:
        column: its name.
        type: "number", "date" or "category".
        values: (G,) numbers, or texts of dates and categories.
        outputs: names of the outputs.
        means: (G, outputs) mean predictions.
        shares: whether the predictions of a row are shares of 1: probabilities of classes.
    """

    column: str
    type: str
    values: tuple[Any, ...]
    outputs: tuple[str, ...]
    means: tuple[tuple[float, ...], ...]
    shares: bool = False


@dataclass(frozen=True, kw_only=True)
class Reason:
    """What one column or word of an input adds to its prediction.

    Args:
        name: of the column, or the word.
        value: the cell of the input; empty for words.
        amount: what it adds to the prediction.
        error: standard error of the amount by sampling; None if it is exact.
    """

    name: str
    value: str
    amount: float
    error: float | None = None


@dataclass(frozen=True, kw_only=True)
class Reasons:
    """Why the model predicts a number for an input.

    Args:
        input: the input: a row number, a file name or a text.
        output: the name of what is explained: a class, label or target.
        scale: what the number is: "probability", "log odds", "centred logit" (less the mean of all classes), "mean
            forecast"; empty for a value.
        prediction: the number that is explained.
        base: the number that the amounts start from, such as the mean prediction of the background rows; None if the
            amounts have no sum.
        reasons: the largest amounts first. With a base, their sum is `prediction - base`.
        pieces: of a text: all its pieces in order, each with its amount.
    """

    input: str
    output: str
    prediction: float
    base: float | None
    reasons: tuple[Reason, ...]
    scale: str = ""
    pieces: tuple[tuple[str, float], ...] = ()

    @property
    def title(self) -> str:
        """What is explained, such as "probability of yes"."""
        return f"{self.scale} of {self.output}" if self.scale else self.output

    def marked(self, mark: Callable[[str, float], str]) -> str:
        """Return the text of the input with marks.

        Args:
            mark: function of a piece of the text and its share of the largest amount, -1 to 1.
        """
        largest = max((abs(amount) for _, amount in self.pieces), default=0) or 1
        return "".join(mark(text, amount / largest) for text, amount in self.pieces)


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Why a model predicts as it does: for all rows (`importances`, `dependences`), or for some (`rows`).

    Args:
        model: the run or the exported model.
        method: such as "permutation importance".
        about: what the numbers are.
        limits: what the explanation does not say.
        importances: of columns, the most important first, those that are noise last.
        dependences: of the most important columns.
        rows: the reasons of inputs.
        score: name of the score that importances are of.
        picture: function of a row's number that returns a matplotlib `Figure`, of images; None for others.

    Examples:
        >>> run = kzoo.train("iris_fnn", "iris", epochs=20, out="runs/iris")
        >>> explanation = kzoo.explain(run)
        >>> sorted(name for importance in explanation.importances for name in importance.columns)
        ['petal length (cm)', 'petal width (cm)', 'sepal length (cm)', 'sepal width (cm)']
        >>> explanation.to_text().splitlines()[0]
        'runs/iris: permutation importance'
        >>> explanation.plot().savefig("importance.png")
    """

    model: str
    method: str
    about: str
    limits: tuple[str, ...]
    importances: tuple[Importance, ...] = ()
    dependences: tuple[Dependence, ...] = ()
    rows: tuple[Reasons, ...] = ()
    score: str = ""
    picture: "Callable[[int], Figure] | None" = field(default=None, repr=False, compare=False)

    def __repr__(self) -> str:
        return f"<Explanation of {self.model}: {self.method}, {self._size()}>"

    def _size(self) -> str:
        return (
            plural(len(self.rows), "input")
            if self.rows
            else plural(len(self.importances), "group") + " of columns"
        )

    def to_dict(self) -> JsonObject:
        """Return all fields as plain data."""
        fields = {name: value for name, value in vars(self).items() if name != "picture"}
        plain = {
            name: [asdict(entry) for entry in value]
            for name, value in fields.items()
            if name in _LISTS
        }
        return _lists(fields | plain)

    def to_text(self, mark: Callable[[str, float], str] | None = None) -> str:
        """Return the explanation as text for a terminal.

        Args:
            mark: function of a piece of a text and its share of the largest amount, -1 to 1, that returns the piece
                with a mark; None writes `+` and `-` behind the strongest words.
        """
        lines = [f"{self.model}: {self.method}", self.about]
        if self.importances:
            lines += ["", *aligned(self.importance_cells(), right=(1, 2))]
        for dependence in self.dependences[:_MOST_TABLES]:
            cells = _dependence_cells(dependence)
            lines += [
                "",
                "mean prediction by value",
                *aligned(cells, right=range(1, len(cells[0]))),
            ]
        if others := self.dependences[_MOST_TABLES:]:
            lines += [
                "",
                f"and by {', '.join(dependence.column for dependence in others)}: see dependences",
            ]
        for reasons in self.rows:
            lines += ["", _title(reasons)]
            if reasons.pieces:
                lines.append(reasons.marked(mark or _plain_mark))
            if not reasons.reasons:
                continue
            lines += aligned(_reason_cells(reasons), right=(2,) if _has_values(reasons) else (1,))
            if (more := len(reasons.reasons) - _MOST_REASONS) > 0:
                rest = sum(reason.amount for reason in reasons.reasons[_MOST_REASONS:])
                lines.append(
                    f"and {more} more"
                    + (f", together {rest:+.4g}" if reasons.base is not None else "")
                )
        return "\n".join([*lines, "", *self.limits])

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        """Return tables, and texts with marked words, for a notebook."""
        return notebook.card(
            f"{self.model}: {self.method}", notebook.Html(self.to_html()), note=self.about
        )

    def to_html(self) -> str:
        """Return the tables, the marked texts and the limits as HTML, without a title."""
        parts: list[str] = []
        if self.importances:
            head, *rows = self.importance_cells()
            parts.append(notebook.table(head, rows, numbers=["worse by"]))
        for dependence in self.dependences:
            head, *rows = _dependence_cells(dependence)
            parts.append(
                notebook.folded(
                    f"mean prediction by {dependence.column}", notebook.table(head, rows)
                )
            )
        for reasons in self.rows:
            head, *rows = _reason_cells(reasons)
            parts.append(notebook.paragraph(_title(reasons)))
            if reasons.pieces:
                parts.append(f"<p>{reasons.marked(html_mark)}</p>")
            parts.append(notebook.table(head, rows, numbers=["adds"]))  # empty without reasons
        return "".join(parts) + notebook.bullets(self.limits)

    def plot(self, row: int = 0, *, notes: bool = True) -> "Figure":
        """Return the importances and the dependences as a figure, or the reasons of one input.

        Args:
            row: index in `rows`.
            notes: whether to write below it what it shows, and what it does not.

        Raises:
            KzooError: there is no such row.
        """
        if self.rows and not 0 <= row < len(self.rows):
            raise KzooError(
                f"does not exist: {plural(len(self.rows), 'input')} were explained, from 0.",
                argument="row",
                value=row,
            )
        if self.picture is not None:
            return self.picture(row)
        plots = import_module("kzoo.plots")
        return (
            plots.reasons(self.rows[row], self, notes=notes)
            if self.rows
            else plots.column_importance(self, notes=notes)
        )

    def importance_cells(self) -> list[list[str]]:
        """Return the cells of a table of the importances, header first."""
        head = ["columns", "worse by", "95 % interval", ""]
        shown = self.importances[:_MOST_COLUMNS]
        cells = [head]
        for importance in shown:
            ends = (
                ""
                if importance.interval is None
                else " to ".join(f"{end:.3g}" for end in importance.interval)
            )
            mark = {True: NOISE, None: _UNKNOWN, False: ""}[importance.noise]
            cells.append([cut(importance.name, 60), f"{importance.mean:.3g}", ends, mark])
        if (more := len(self.importances) - len(shown)) > 0:
            cells.append([f"and {more} more", "", "", ""])
        return cells


_LISTS = ("importances", "dependences", "rows")


def _lists(value: Json) -> Json:
    """Return plain data with lists in place of tuples."""
    if isinstance(value, dict):
        return {name: _lists(entry) for name, entry in value.items()}
    return [_lists(entry) for entry in value] if isinstance(value, list | tuple) else value


def _title(reasons: Reasons) -> str:
    base = "" if reasons.base is None else f", from {number(reasons.base)}"
    shown = cut(reasons.input, 60) if reasons.pieces else cut(reasons.input)
    return f"{shown}: {reasons.title} {number(reasons.prediction)}{base}"


def _has_values(reasons: Reasons) -> bool:
    return any(reason.value for reason in reasons.reasons)


def _reason_cells(reasons: Reasons) -> list[list[str]]:
    has_values = _has_values(reasons)
    has_errors = any(reason.error is not None for reason in reasons.reasons)
    head = ["column", "value", "adds"] if has_values else ["word", "adds"]
    cells = [[*head, "error"] if has_errors else head]
    for reason in reasons.reasons[:_MOST_REASONS]:
        error = [] if not has_errors else ["" if reason.error is None else f"± {reason.error:.1g}"]
        value = [cut(reason.value)] if has_values else []
        cells.append([cut(reason.name), *value, f"{reason.amount:+.4g}", *error])
    return cells


def _dependence_cells(dependence: Dependence) -> list[list[str]]:
    # The probabilities of two classes contain the same information.
    first = 1 if len(dependence.outputs) == 2 and dependence.shares else 0
    outputs = dependence.outputs[first : first + _MOST_OUTPUTS]
    values = [
        f"{value:.6g}" if isinstance(value, float) else cut(value) for value in dependence.values
    ]
    rows = [
        [value, *(f"{mean:.4g}" for mean in means[first : first + _MOST_OUTPUTS])]
        for value, means in zip(values, dependence.means, strict=True)
    ]
    return [[dependence.column, *map(cut, outputs)], *rows]


def _plain_mark(text: str, share: float) -> str:
    sign = "" if abs(share) < 0.25 else "[+]" if share > 0 else "[-]"
    return printable(text) + sign


def html_mark(text: str, share: float) -> str:
    """Return a piece of a text as HTML, on blue if it speaks for the prediction, on orange if it speaks against it."""
    escaped = escape(printable(text))
    if abs(share) < 0.02:
        return escaped
    color = "0,114,178" if share > 0 else "230,159,0"
    return f'<mark style="background:rgba({color},{0.55 * abs(share):.2f});color:inherit">{escaped}</mark>'


def strongest_first(reasons: Sequence[Reason]) -> tuple[Reason, ...]:
    """Return reasons by the size of their amounts."""
    return tuple(sorted(reasons, key=lambda reason: -abs(reason.amount)))

"""`Predictions`: a model's predictions as named columns, from a run by Keras or from an export. NumPy only."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.utils.formatting import aligned, csv_cell, cut, moments, plural

if TYPE_CHECKING:
    import pandas as pd


_HEAD, _WIDE = 10, 6  # rows and columns of numbers that are printed
# What the answers of a classifier are called where it is written down -> what `logits` says of them.
ANSWERS: dict[str, bool | None] = {"logits": True, "probabilities": False, "scores": None}


@dataclass(kw_only=True)
class Predictions:
    """Predictions, in the order of the inputs. `columns()` and `to_frame()` have all of them by name.

    Args:
        labels: the likeliest class of each input; empty for values; None where the input could not be read.
        probabilities: (N, classes); None for values, and for classes where the model gives scores alone.
        scores: (N, classes) of a model whose outputs are no probabilities, as hinge and tanh give them: the largest
            names the class, and their order is that of its confidence.
        values: (N, targets) or (N, horizon, targets) in the target's own unit, or None for classes.
        quantiles: (N, targets, Q) or (N, horizon, targets, Q) in the target's own unit, ascending; None without any.
        levels: (Q,) of the quantiles, each between 0 and 1, ascending.
        more: further columns, name -> (N,) or, of forecasts, (N, horizon).
        class_names, target_names: names of the columns.
        inputs: what each row was made from (a file's name, a sentence, a row's number).
        unread: number of a row -> why its input could not be read; its label is None, and its numbers are NaN.
        times: of each forecast the times of its steps, `datetime`s in the zone of the training data, or numbers; empty
            where they are not known.
        time_name: of the time column.
        history: (N, steps, targets) what the model saw of the targets before a forecast, and `history_times`.
    """

    labels: list[str | None] = field(default_factory=list)
    probabilities: np.ndarray | None = None
    scores: np.ndarray | None = None
    values: np.ndarray | None = None
    quantiles: np.ndarray | None = None
    levels: Sequence[float] = ()
    more: Mapping[str, Any] = field(default_factory=dict)
    class_names: Sequence[str] = ()
    target_names: Sequence[str] = ()
    inputs: Sequence[Any] = ()
    unread: Mapping[int, str] = field(default_factory=dict)
    times: Sequence[Sequence[Any]] = ()
    time_name: str = "time"
    history: np.ndarray | None = None
    history_times: Sequence[Sequence[Any]] = ()

    def __len__(self) -> int:
        return len(self.labels) if self._numbers is None else len(self._numbers)

    @property
    def _numbers(self) -> np.ndarray | None:
        """(N, targets) or (N, horizon, targets): the values, else the lowest quantiles; None for classes."""
        if self.values is None and self.quantiles is not None:
            return self.quantiles[..., 0]
        return self.values

    @property
    def horizon(self) -> int | None:
        """How many steps a forecast has; None where these are no forecasts."""
        numbers = self._numbers
        return numbers.shape[1] if numbers is not None and numbers.ndim == 3 else None

    @property
    def targets(self) -> int:
        """How many targets there are; 0 for classes."""
        return 0 if self._numbers is None else self._numbers.shape[-1]

    def __repr__(self) -> str:
        """The first answers as a table, and how many there are."""
        asked, steps = len(self), 1 if self.horizon is None else self.horizon
        rows = self._first(-(-_HEAD // max(steps, 1)))._table(single=asked == 1)
        shown = rows[: _HEAD + 1]
        words = {"input", "label", "error", self.time_name if self.times else ""}
        numbers = [column for column, name in enumerate(rows[0]) if name not in words]
        lines = [f"Predictions of {plural(asked, 'input')}, {self._of()}"]
        lines += [f"  {line}" for line in aligned(shown, right=numbers)] if len(shown) > 1 else []
        if (more := asked * steps - len(shown) + 1) > 0:
            lines.append(f"  ... {plural(more, 'more row')}; to_frame() has all")
        if self.unread:
            lines.append(f"  {plural(len(self.unread), 'input')} could not be read: unread says why")
        return "\n".join(lines)

    def _of(self) -> str:
        """Say what is answered."""
        if self._numbers is None:
            return plural(len(self.class_names), "class")
        if self.horizon is not None:
            return plural(self.horizon, "step") + " ahead"
        return plural(self.targets, "target")

    def _first(self, count: int) -> "Predictions":
        def some(rows: Any) -> Any:
            return None if rows is None else rows[:count]

        unread = {place: why for place, why in self.unread.items() if place < count}
        return replace(
            self, labels=self.labels[:count], probabilities=some(self.probabilities), scores=some(self.scores),
            values=some(self.values), quantiles=some(self.quantiles),
            more={name: column[:count] for name, column in self.more.items()},
            inputs=list(self.inputs[:count]) or list(range(min(count, len(self)))), unread=unread,
            times=self.times[:count],
        )  # fmt: skip

    def _table(self, *, single: bool) -> list[list[str]]:
        """Return the cells of a table for people, its head first.

        Args:
            single: whether there is one forecast only, whose input needs no column.
        """
        if self._numbers is not None:
            columns = self.columns()
            if self.horizon is not None and single:
                columns.pop("input")
            names = list(columns)[: _WIDE + 2]
            times = moments(columns[self.time_name]) if self.times and self.time_name in columns else None
            cells = [times if times and name == self.time_name else columns[name] for name in names]
            rows = [[_printed(value) for value in row] for row in zip(*cells, strict=True)]
            dots = ["..."] if len(columns) > len(names) else []
            return [[*map(cut, names), *dots], *([*row, *dots] for row in rows)]
        word = "score" if self.probabilities is None else "probability"
        head = ["input", "label", word, *(["error"] if self.unread else [])]
        rows = [head]
        for row in self.rows(top=1):
            best = f"{row['classes'][0][word]:.4f}" if row["classes"] else "-"
            label = "-" if row["label"] is None else cut(row["label"])
            rows.append([cut(row["input"]), label, best, *([cut(row.get("error", ""), 60)] if self.unread else [])])
        return rows

    def with_unread(self, inputs: Sequence[Any], unread: Mapping[int, str]) -> "Predictions":
        """Return them with a row for each input that could not be read.

        Args:
            inputs: names of all inputs, in their order.
            unread: place among them -> why.
        """
        if not unread:
            return self
        read = [place for place in range(len(inputs)) if place not in unread]

        def placed(rows: Any) -> Any:
            if rows is None:
                return None
            rows = np.asarray(rows)
            empty, dtype = (np.nan, rows.dtype) if rows.dtype.kind == "f" else (None, object)
            every = np.full((len(inputs), *rows.shape[1:]), empty, dtype)
            every[read] = rows
            return every

        said: dict[int, str | None] = dict(zip(read, self.labels, strict=False))
        labels = [said.get(place) for place in range(len(inputs))] if self.labels else []
        return replace(
            self, labels=labels, probabilities=placed(self.probabilities), scores=placed(self.scores),
            values=placed(self.values), quantiles=placed(self.quantiles),
            more={name: placed(column) for name, column in self.more.items()}, inputs=inputs, unread=unread,
        )  # fmt: skip

    def columns(self) -> dict[str, Any]:
        """Return a table, name -> column: input, label and a probability (or score) per class, or one per target.

        Quantiles are called after target and level, such as `load_q0.9`; then come the columns of `more`. A forecast
        has a row for each step: its number and, where it is known, its time. Where inputs could not be read, `error`
        says why. A target with the name of one of these columns is called `target_NAME` here.
        """
        columns = self._answers()
        for name, column in self.more.items():
            flat = np.asarray(column)
            columns[f"more_{name}" if name in columns else name] = (
                flat.reshape(-1) if flat.ndim == 2 else np.repeat(flat, self.horizon or 1)
            )
        if self.unread:
            rows = len(columns["input"]) // len(self.inputs)  # a forecast has one for each step
            why = [self.unread.get(place) for place in range(len(self.inputs))]
            columns["error"] = [said for said in why for _ in range(rows)]
        return columns

    def _answers(self) -> dict[str, Any]:
        if self._numbers is None:
            sort, of_classes = ("score", self.scores) if self.probabilities is None else ("p", self.probabilities)
            columns: dict[str, Any] = {"input": list(self.inputs), "label": self.labels}
            numbers: Any = of_classes
            return columns | {f"{sort}_{name}": numbers[:, i] for i, name in enumerate(self.class_names)}
        targets, horizon, n = self.targets, self.horizon, len(self)
        names = tuple(self.target_names) or tuple(f"target_{i}" for i in range(targets))
        values = [] if self.values is None else [self.values.reshape(-1, targets)]
        if self.quantiles is not None:
            values.append(self.quantiles.reshape(-1, targets * len(self.levels)))
            of_levels = tuple(f"{name}_q{level:g}" for name in names for level in self.levels)
            names = of_levels if self.values is None else names + of_levels
        numbers = np.concatenate(values, axis=1)
        if horizon is None:
            return _beside({"input": list(self.inputs)}, names, numbers)
        columns = {"input": np.repeat(list(self.inputs), horizon), "step": np.tile(np.arange(1, horizon + 1), n)}
        if self.times:
            name = "time" if self.time_name in columns else self.time_name
            columns[name] = [moment for times in self.times for moment in times]
        return _beside(columns, names, numbers)

    def rows(self, top: int | None = None) -> list[dict[str, Any]]:
        """Return plain data for each input: its label and the likeliest classes, or its values.

        Args:
            top: how many classes; all by default.
        """
        rows = []
        for i in range(len(self)):
            row = dict(input=self.inputs[i] if len(self.inputs) > i else i)
            if i in self.unread:
                nothing: dict = dict(label=None, classes=[]) if self._numbers is None else dict(values=None)
                row |= nothing | dict(error=self.unread[i])
            elif self._numbers is not None:
                if self.values is not None:
                    row["values"] = self.values[i].tolist()
                if self.quantiles is not None:
                    row |= dict(quantiles=self.quantiles[i].tolist(), levels=list(self.levels))
                if self.horizon is not None:
                    row["targets"] = list(self.target_names)
                if self.times:
                    row["times"] = moments(self.times[i])
            else:
                withheld = self.probabilities is None
                word, given = ("score", self.scores) if withheld else ("probability", self.probabilities)
                own = given[i]  # type: ignore[index]  # one of them is there
                best = np.argsort(-own, kind="stable")[:top]  # of equals the first, as `labels` has it
                row["label"] = self.labels[i]
                row["classes"] = [{"label": self.class_names[k], word: float(own[k])} for k in best]
            if self.more and i not in self.unread:
                row["more"] = {name: np.asarray(column[i]).tolist() for name, column in self.more.items()}
            rows.append(row)
        return rows

    def write_csv(self, file: Any) -> None:
        """Write `columns()` to a text stream as CSV; what is not known is an empty cell."""
        columns = {name: moments(c) if _is_times(c) else c for name, c in self.columns().items()}
        written = csv.writer(file, lineterminator="\n")
        written.writerow(csv_cell(name) for name in columns)
        written.writerows([_cell(value) for value in row] for row in zip(*columns.values(), strict=True))

    def to_frame(self) -> "pd.DataFrame":
        """Return `columns()` as a pandas DataFrame."""
        import pandas as pd

        return pd.DataFrame(self.columns())


def _cell(value: Any) -> str:
    return "" if value is None or value != value else csv_cell(str(value))


def _beside(columns: dict[str, Any], names: Sequence[str], values: np.ndarray) -> dict[str, Any]:
    """Return columns and one for each target, whose name gives way to theirs."""
    taken = {*columns, "error"}
    return columns | {f"target_{n}" if n in taken else n: values[:, i] for i, n in enumerate(names)}


def _printed(value: Any) -> str:
    if value is None or value != value:
        return "-"
    return f"{value:.5g}" if isinstance(value, float | np.floating) else cut(value)


def _is_times(column: Sequence[Any]) -> bool:
    return len(column) > 0 and hasattr(column[0], "isoformat")


def logits_of(activation: str | None, loss: str | None, *, single: bool) -> bool | None:
    """Say what a classifier's answers are: logits (True), probabilities (False), or neither (None).

    Neither is what hinge trains, which learns the class and not how likely it is; what tanh and others give that may be
    negative; and a sigmoid for each of several classes, which do not sum to 1.

    Args:
        activation: of the last layer; None where it is not known.
        loss: its name, by kzoo or by Keras; None where it is not known.
        single: whether one answer stands for two classes.
    """
    if single and activation in ("sigmoid", "hard_sigmoid"):
        return False  # with hinge too, as older runs have it: one half parts the classes
    if "hinge" in (loss or ""):
        return None
    return {"linear": True, "softmax": False}.get(activation or "")


def scores_of(answers: np.ndarray) -> np.ndarray:
    """Return one column per class from answers that are no probabilities: of two, one is the other's opposite.

    Args:
        answers: (N, 1) for two classes, the second above 0; else (N, classes).
    """
    return np.concatenate([-answers, answers], axis=-1) if answers.shape[-1] == 1 else answers


def probabilities(answers: np.ndarray, logits: bool | None = None) -> np.ndarray:
    """Return one column per class from sigmoid, softmax or logit answers.

    Args:
        answers: (N, 1) for two classes, else (..., classes).
        logits: whether they are logits; None decides by the values.
    """
    if answers.ndim == 2 and answers.shape[-1] == 1:
        if logits is None:
            logits = answers.min() < 0 or answers.max() > 1
        p = 1 / (1 + np.exp(-answers)) if logits else answers
        return np.concatenate([1 - p, p], axis=-1)
    if logits is None:
        logits = answers.min() < 0 or np.abs(answers.sum(-1) - 1).max() >= 1e-2
    if not logits:
        return answers
    shifted = np.exp(answers - answers.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)

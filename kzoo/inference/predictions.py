"""`Predictions`: a model's predictions as named columns, from a run by Keras or from an export. NumPy only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias

import numpy as np

from kzoo.problems.tasks import ends_in
from kzoo.utils.errors import KzooError
from kzoo.utils.files import Json
from kzoo.utils.formatting import aligned, cut, moments, plural
from kzoo.utils.spreadsheets import write_rows

if TYPE_CHECKING:
    import pandas as pd

    from kzoo.inference.kinds.series.written_times import WrittenTimes


_HEAD, _WIDE = 10, 6  # rows and columns of numbers that are printed
# Stored name of a classifier's outputs -> whether they are logits; None for scores.
ANSWERS: dict[str, bool | None] = {"logits": True, "probabilities": False, "scores": None}


Columns: TypeAlias = dict[str, Any]  # name -> column: an array or a list


@dataclass(kw_only=True)
class Predictions:
    """Predictions, in the order of the inputs. `columns()` and `to_frame()` have all of them by name.

    Args:
        labels: the predicted class of each input, the most probable one unless a decision was learned; of labels, a
            tuple of names for each input; empty for values; None if the input could not be read.
        probabilities: (N, classes); None for values, and for models that return only scores.
        scores: (N, classes) of a model whose outputs are not probabilities, such as those trained with hinge or tanh:
            the largest is the predicted class.
        values: (N, targets) or (N, horizon, targets) in the unit of the target, or None for classes.
        quantiles: (N, targets, Q) or (N, horizon, targets, Q) in the unit of the target, ascending; None without any.
        levels: (Q,) of the quantiles, each between 0 and 1, ascending.
        mean: (N, horizon, targets) means of forecasts beside their quantiles or medians, which do not add up; None
            without any.
        samples: (paths, N, horizon, targets) of forecasts, joint over series and steps; None unless they were asked.
        more: further columns, name -> (N,) or, of forecasts, (N, horizon).
        kept: columns of the input table, name -> cells (N,), that `keep=` of `predict` selected.
        class_names, target_names: names of the columns.
        inputs: the input of each row (a file's name, a sentence, a row's number).
        unread: row index -> reason why its input could not be read; its label is None, and its numbers are NaN.
        times: the times of the steps of each forecast, `datetime`s in the time zone of the training data, or numbers;
            empty if unknown.
        time_name: name of the time column.
        ids: of forecasts of a table: id column -> its cell (N,) of each series; {} for one series without ids. None for
            other inputs.
        written: how the cells of the time column are written, with `write(times) -> cells`; None: as 2024-01-31.
        history: (N, steps, targets) values of the targets before a forecast.
        history_times: the times of `history`.
        separator: of labels: what is written between the labels of an input; empty if each input has one class.
        confidence: the level of the sets or intervals; None without any.
        sets: the classes in the set of each input, a tuple; None if the input could not be read. Empty without sets.
        lower, upper: ends of the intervals, (N, targets) or (N, horizon, targets); None without intervals.
        error_scale: (N, targets) the size of the errors of each series by itself, in the unit of the target: see
            `kzoo.inference.kinds.series.error_scale`; None if these are no forecasts, or it is not known.
        promise: what the sets, intervals or answered rows promise, as a sentence; empty without any.
        summed_steps: number of steps that each forecast is the sum of; None for forecasts of steps.

    Examples:
        >>> run = kzoo.train("iris_fnn", "iris", epochs=20, out="runs/iris")
        >>> flowers = np.array([[5.1, 3.5, 1.4, 0.2], [6.3, 2.9, 5.6, 1.8]])
        >>> predictions = kzoo.predict(run, flowers, confidence=0.8)
        >>> predictions.labels, predictions.probabilities.shape
        (['setosa', 'virginica'], (2, 3))
        >>> list(predictions.columns())
        ['input', 'label', 'set', 'p_setosa', 'p_versicolor', 'p_virginica']
        >>> predictions.rows(top=1)[0]["label"]
        'setosa'
        >>> with open("predictions.csv", "w", newline="") as file:
        ...     predictions.write_csv(file)
    """

    labels: list[Any] = field(default_factory=list)
    probabilities: np.ndarray | None = None
    scores: np.ndarray | None = None
    values: np.ndarray | None = None
    quantiles: np.ndarray | None = None
    levels: Sequence[float] = ()
    mean: np.ndarray | None = None
    samples: np.ndarray | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    kept: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    class_names: Sequence[str] = ()
    target_names: Sequence[str] = ()
    inputs: Sequence[Any] = ()
    unread: Mapping[int, str] = field(default_factory=dict)
    times: Sequence[Sequence[Any]] = ()
    time_name: str = "time"
    ids: Mapping[str, Sequence[Any]] | None = None
    written: "WrittenTimes | None" = None
    history: np.ndarray | None = None
    history_times: Sequence[Sequence[Any]] = ()
    separator: str = ""
    confidence: float | None = None
    sets: Sequence[Any] = ()
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None
    error_scale: np.ndarray | None = None
    promise: str = ""
    summed_steps: int | None = None

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
        """Number of steps of a forecast; None if these are not forecasts."""
        numbers = self._numbers
        return numbers.shape[1] if numbers is not None and numbers.ndim == 3 else None

    @property
    def targets(self) -> int:
        """Number of targets; 0 for classes."""
        return 0 if self._numbers is None else self._numbers.shape[-1]

    def __repr__(self) -> str:
        """Return the first predictions as a table, and their number."""
        rows, numbers, hidden = self._head()
        lines = [f"Predictions of {plural(len(self), 'input')}, {self._description()}"]
        lines += [f"  {line}" for line in aligned(rows, right=numbers)] if len(rows) > 1 else []
        if hidden > 0:
            lines.append(f"  ... {plural(hidden, 'more row')}; to_frame() has all")
        lines += [f"  {self.promise}"] if self.promise else []
        if self.unread:
            lines.append(f"  {plural(len(self.unread), 'input')} could not be read: see unread")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Return the first predictions as a table for a notebook, and their number."""
        from kzoo.utils import notebook

        rows, numbers, hidden = self._head()
        more = f"{plural(hidden, 'more row')}; to_frame() has all" if hidden > 0 else ""
        unread = (
            f"{plural(len(self.unread), 'input')} could not be read: see unread"
            if self.unread
            else ""
        )
        return notebook.card(
            f"Predictions of {plural(len(self), 'input')}",
            notebook.table(rows[0], rows[1:], numbers=[rows[0][column] for column in numbers]),
            notebook.paragraph(more),
            notebook.paragraph(self.promise),
            notebook.paragraph(unread),
            note=self._description(),
        )

    def _head(self) -> tuple[list[list[str]], list[int], int]:
        """Return the cells of the first rows, header first, the indices of columns of numbers, and how many rows are
        not in it.
        """
        inputs = len(self)
        steps = 1 if self.horizon is None else self.horizon
        rows = self._first(-(-_HEAD // max(steps, 1)))._table(single=inputs == 1)[: _HEAD + 1]
        text_columns = {
            "input",
            "label",
            "labels",
            "set",
            "error",
            self.time_name if self.times else "",
            *(self.ids or ()),
        }
        numbers = [column for column, name in enumerate(rows[0]) if name not in text_columns]
        return rows, numbers, inputs * steps - len(rows) + 1

    def _description(self) -> str:
        """Return what is predicted, such as "3 classes"."""
        if self.separator:
            return plural(len(self.class_names), "label")
        if self._numbers is None:
            return plural(len(self.class_names), "class")
        if self.horizon is not None:
            return plural(self.horizon, "step") + " ahead"
        return plural(self.targets, "target")

    def _first(self, count: int) -> "Predictions":
        def head(rows: np.ndarray | None) -> np.ndarray | None:
            return None if rows is None else rows[:count]

        unread = {row: reason for row, reason in self.unread.items() if row < count}
        return replace(
            self,
            labels=self.labels[:count],
            probabilities=head(self.probabilities),
            scores=head(self.scores),
            values=head(self.values),
            quantiles=head(self.quantiles),
            mean=head(self.mean),
            samples=None if self.samples is None else self.samples[:, :count],
            more={name: column[:count] for name, column in self.more.items()},
            kept={name: cells[:count] for name, cells in self.kept.items()},
            ids=None
            if self.ids is None
            else {name: cells[:count] for name, cells in self.ids.items()},
            inputs=list(self.inputs[:count]) or list(range(min(count, len(self)))),
            unread=unread,
            times=self.times[:count],
            sets=self.sets[:count],
            lower=head(self.lower),
            upper=head(self.upper),
            error_scale=head(self.error_scale),
        )

    def _table(self, *, single: bool) -> list[list[str]]:
        """Return the cells of a printed table, header first.

        Args:
            single: whether there is only one forecast, so that the input column is omitted.
        """
        if self._numbers is not None:
            columns = self.columns()
            if self.horizon is not None and single:
                columns.pop("input", None)
            names = list(columns)[: _WIDE + 2 + len(self.ids or ())]
            columns = self._with_written_times(columns)
            cells = [columns[name] for name in names]
            rows = [[_display(value) for value in row] for row in zip(*cells, strict=True)]
            dots = ["..."] if len(columns) > len(names) else []
            return [[*map(cut, names), *dots], *([*row, *dots] for row in rows)]
        if self.separator:
            head = ["input", *map(cut, self.kept), "labels", *(["error"] if self.unread else [])]
            return [head, *map(self._label_cells, range(len(self)))]
        score_name = "score" if self.probabilities is None else "probability"
        in_sets = ["set"] if self.sets else []
        head = [
            "input",
            *map(cut, self.kept),
            "label",
            score_name,
            *in_sets,
            *(["error"] if self.unread else []),
        ]
        rows = [head]
        for row in self.rows(top=1):
            kept = [_display(cell) for cell in row.get("kept", {}).values()]
            best = f"{row['classes'][0][score_name]:.4f}" if row["classes"] else "-"
            label = "-" if row["label"] is None else cut(row["label"])
            chosen = [cut(set_text(row.get("set")), 60)] if self.sets else []
            error = [cut(row.get("error", ""), 60)] if self.unread else []
            rows.append([cut(row["input"]), *kept, label, best, *chosen, *error])
        return rows

    def _label_cells(self, row: int) -> list[str]:
        """Return the cells of an input with several labels: each label with its probability, the likeliest first."""
        first = [cut(self.inputs[row]), *(_display(cells[row]) for cells in self.kept.values())]
        if self.labels[row] is None:
            return [*first, "-", cut(self.unread.get(row, ""), 60)]
        p = dict(zip(self.class_names, self.probabilities[row], strict=True))  # type: ignore[index]
        chosen = sorted(self.labels[row], key=lambda label: -p[label])
        text = ", ".join(f"{label} {p[label]:.2f}" for label in chosen) or "none"
        return [*first, cut(text, 72), *([""] if self.unread else [])]

    def with_unread(self, inputs: Sequence[Any], unread: Mapping[int, str]) -> "Predictions":
        """Return predictions with an added row for each input that could not be read.

        Args:
            inputs: names of all inputs, in order.
            unread: index of an input -> reason.
        """
        if not unread:
            return self
        read = [row for row in range(len(inputs)) if row not in unread]

        def with_gaps(rows: np.ndarray | None) -> np.ndarray | None:
            if rows is None:
                return None
            rows = np.asarray(rows)
            empty, dtype = (np.nan, rows.dtype) if rows.dtype.kind == "f" else (None, object)
            filled = np.full((len(inputs), *rows.shape[1:]), empty, dtype)
            filled[read] = rows
            return filled

        labels_by_row: dict[int, Any] = dict(zip(read, self.labels, strict=False))
        labels = [labels_by_row.get(row) for row in range(len(inputs))] if self.labels else []
        sets_by_row: dict[int, Any] = dict(zip(read, self.sets, strict=False))
        sets = [sets_by_row.get(row) for row in range(len(inputs))] if self.sets else ()
        return replace(
            self,
            labels=labels,
            probabilities=with_gaps(self.probabilities),
            scores=with_gaps(self.scores),
            values=with_gaps(self.values),
            quantiles=with_gaps(self.quantiles),
            mean=with_gaps(self.mean),
            more={name: with_gaps(column) for name, column in self.more.items()},
            inputs=inputs,
            unread=unread,
            sets=sets,
            lower=with_gaps(self.lower),
            upper=with_gaps(self.upper),
            error_scale=with_gaps(self.error_scale),
        )

    def columns(self) -> Columns:
        """Return a table, name -> column: input, label and a probability (or score) per class, or one per target.

        The kept columns of the input table follow the input; one with the name of another column is called
        `input_NAME`. Of labels, the column `labels` has the tuple of each input.

        Quantiles are named by target and level, such as `load_q0.9`, after the mean `load_mean` if there is one; the
        columns of `more` follow. `error` has the reason for inputs that could not be read. A target with the name of
        one of these columns is called `target_NAME`.

        A forecast has a row for each step, with its number `step` and, if known, its time. Forecasts of a table of many
        series have its id columns instead of `input`, and those of one series have neither. An id column or a time
        column named `step` keeps its name, and the number is `forecast_step`. A total over steps has no `step`.

        With a level of confidence, classes have a column `set`, the tuple of the classes in it, and each target has
        `NAME_lower` and `NAME_upper`.
        """
        columns = self._with_kept(self._prediction_columns())
        for name, column in self.more.items():
            flat = np.asarray(column)
            columns[f"more_{name}" if name in columns else name] = (
                flat.reshape(-1) if flat.ndim == 2 else np.repeat(flat, self.horizon or 1)
            )
        if self.unread:
            rows = self.horizon or 1  # a forecast has one row per step
            reasons = [self.unread.get(row) for row in range(len(self.inputs))]
            columns["error"] = [reason for reason in reasons for _ in range(rows)]
        return columns

    def _with_kept(self, columns: Columns) -> Columns:
        """Return columns with the kept columns of the input table after the input."""
        kept = {
            f"input_{name}" if name in columns else name: list(cells)
            for name, cells in self.kept.items()
        }
        first = {"input": columns.pop("input")} if "input" in columns and self.ids is None else {}
        return first | kept | columns

    def _prediction_columns(self) -> Columns:
        if self._numbers is None:
            prefix, class_scores = (
                ("score", self.scores) if self.probabilities is None else ("p", self.probabilities)
            )
            columns: dict[str, Any] = {
                "input": list(self.inputs),
                "labels" if self.separator else "label": self.labels,
            }
            numbers: Any = class_scores
            columns |= {"set": list(self.sets)} if self.sets else {}
            return columns | {
                f"{prefix}_{name}": numbers[:, i] for i, name in enumerate(self.class_names)
            }
        targets = self.targets
        horizon = self.horizon
        n = len(self)
        target_names = tuple(self.target_names) or tuple(f"target_{i}" for i in range(targets))
        # ending of a name -> the numbers of all targets
        numbers_by_ending: dict[str, np.ndarray] = {}
        if self.values is not None:
            numbers_by_ending[""] = self.values
        if self.mean is not None:
            numbers_by_ending["_mean"] = self.mean
        if self.quantiles is not None:
            for i, level in enumerate(self.levels):
                numbers_by_ending[f"_q{level:g}"] = self.quantiles[..., i]
        used = {name + ending for name in target_names for ending in numbers_by_ending}
        if self.lower is not None and self.upper is not None:
            numbers_by_ending |= {"_lower": self.lower, "_upper": self.upper}
        names: list[str] = []
        for name in target_names:
            for ending in numbers_by_ending:
                is_end = ending in ("_lower", "_upper") and name + ending in used
                names.append(f"interval_{name}{ending}" if is_end else name + ending)
        # intervals are computed in more digits than the numbers beside them have
        parts = list(numbers_by_ending.values())
        numbers = np.stack([part.astype(parts[0].dtype) for part in parts], axis=-1)
        numbers = numbers.reshape(-1, len(names))
        if horizon is None:
            return _with_target_columns({"input": list(self.inputs)}, names, numbers)
        if self.summed_steps is not None:
            columns = {"input": list(self.inputs)} if self.ids is None else dict(self.ids)
            return _with_target_columns(columns, names, numbers)
        counts = np.tile(np.arange(1, horizon + 1), n)
        moments_ahead = [moment for times in self.times for moment in times]
        if self.ids is None:
            columns = {"input": np.repeat(list(self.inputs), horizon), "step": counts}
            if self.times:
                columns[self._time_column] = moments_ahead
            return _with_target_columns(columns, names, numbers)
        columns = {
            name: [cell for cell in cells for _ in range(horizon)]
            for name, cells in self.ids.items()
        }
        if self.times:
            columns[self._time_column] = moments_ahead
        columns["forecast_step" if "step" in columns else "step"] = counts
        return _with_target_columns(columns, names, numbers)

    def _with_written_times(self, columns: Columns) -> Columns:
        """Return columns with times as texts, those of a forecast as the cells of its table."""
        return {
            name: self.write_times(column)
            if self.times and name == self._time_column
            else moments(column)
            if _is_times(column)
            else column
            for name, column in columns.items()
        }

    @property
    def _time_column(self) -> str:
        """Name of the column with the times of a forecast."""
        return (
            "time" if self.ids is None and self.time_name in ("input", "step") else self.time_name
        )

    def write_times(self, times: Sequence[Any]) -> list[Any]:
        """Return times of a forecast, or of its history, as the cells of the time column are written.

        Args:
            times: `datetime`s or numbers, as in `times`.
        """
        return moments(times) if self.written is None else self.written.write(times)

    def rows(self, top: int | None = None) -> list[dict[str, Any]]:
        """Return plain data for each input: its label and most probable classes, the label first; its labels; or its
        values.

        Args:
            top: number of classes; all by default.
        """
        rows = []
        for i in range(len(self)):
            row = dict(input=self.inputs[i] if len(self.inputs) > i else i)
            if self.ids:
                row["ids"] = {name: _json(cells[i]) for name, cells in self.ids.items()}
            if self.kept:
                row["kept"] = {name: _json(cells[i]) for name, cells in self.kept.items()}
            if self.confidence is not None:
                row["confidence"] = self.confidence
            if i in self.unread:
                label = {"labels" if self.separator else "label": None}
                empty: dict = (
                    label | dict(classes=[]) if self._numbers is None else dict(values=None)
                )
                row |= empty | dict(error=self.unread[i])
            elif self._numbers is not None:
                if self.values is not None:
                    row["values"] = self.values[i].tolist()
                if self.mean is not None:
                    row["mean"] = self.mean[i].tolist()
                if self.quantiles is not None:
                    row |= dict(quantiles=self.quantiles[i].tolist(), levels=list(self.levels))
                if self.lower is not None and self.upper is not None:
                    row |= dict(lower=self.lower[i].tolist(), upper=self.upper[i].tolist())
                if self.horizon is not None:
                    row["targets"] = list(self.target_names)
                if self.summed_steps is not None:
                    row["summed_steps"] = self.summed_steps
                if self.times:
                    row["times"] = list(map(str, self.write_times(self.times[i])))
            else:
                has_no_probabilities = self.probabilities is None
                score_name, scores = (
                    ("score", self.scores)
                    if has_no_probabilities
                    else ("probability", self.probabilities)
                )
                class_scores = scores[i]  # type: ignore[index]  # one of them is not None
                # ties: the first class, as in `labels`
                best = np.argsort(-class_scores, kind="stable")
                row |= (
                    {"labels": list(self.labels[i])}
                    if self.separator
                    else {"label": self.labels[i]}
                )
                # by a decision
                if not self.separator and self.labels[i] != self.class_names[best[0]]:
                    best = np.array(sorted(best, key=lambda k: self.class_names[k] != row["label"]))
                best = best[:top]
                row["classes"] = [
                    {"label": self.class_names[k], score_name: float(class_scores[k])} for k in best
                ]
                if self.sets:
                    row["set"] = list(self.sets[i])
            if self.more and i not in self.unread:
                row["more"] = {
                    name: np.asarray(column[i]).tolist() for name, column in self.more.items()
                }
            rows.append(row)
        return rows

    def write_csv(self, file: TextIO, *, spreadsheet_safe: bool = False) -> None:
        """Write `columns()` to a text stream as CSV; missing values are empty cells, labels are joined: `a;b`.

        The times of a forecast are written as those of its table.

        Args:
            file: the stream.
            spreadsheet_safe: whether texts that begin with =, +, -, @, a tab or a carriage return get an apostrophe in
                front, because a spreadsheet would run them as formulas; numbers never do.
        """
        columns = self._with_written_times(self.columns())
        if self.separator:
            columns["labels"] = [
                None if labels is None else self.separator.join(labels) for labels in self.labels
            ]
        if self.sets:
            columns["set"] = [
                None if classes is None else set_text(classes) for classes in self.sets
            ]
        rows = ([_cell(value) for value in row] for row in zip(*columns.values(), strict=True))
        write_rows(file, chain([columns], rows), spreadsheet_safe)

    def sample_columns(self) -> Columns:
        """Return a table of the paths of forecasts, name -> column: a row for each path, series and step.

        The columns that name a row are those of `columns()`; then follow `sample`, the number of the path from 1, and a
        column for each target.

        Raises:
            KzooError: there are no paths, because `samples` was not passed to `predict`.
        """
        rows, number, targets, samples = self._sample_table()
        table: Columns = {name: list(column) * len(samples) for name, column in rows.items()}
        size = len(samples[0].reshape(-1, self.targets))
        table[number] = np.repeat(np.arange(1, len(samples) + 1), size)
        return table | dict(zip(targets, samples.reshape(-1, self.targets).T, strict=True))

    def _sample_table(self) -> tuple[Columns, str, list[str], np.ndarray]:
        """Return the columns that name the rows of a path, the names of that of its number and of its values, and all
        paths.
        """
        if self.samples is None:
            raise KzooError("There are no paths. Predict with samples=.")
        others: Any = dict.fromkeys(("quantiles", "mean", "lower", "upper", "samples"))
        one = replace(self, values=self.samples[0], more={}, **others)
        columns = one.columns()
        targets = list(columns)[-self.targets :]
        rows = {name: column for name, column in columns.items() if name not in targets}
        return rows, "forecast_sample" if "sample" in rows else "sample", targets, self.samples

    def write_samples_csv(self, file: TextIO, *, spreadsheet_safe: bool = False) -> None:
        """Write `sample_columns()` to a text stream as CSV; see `write_csv`.

        Args:
            file: the stream.
            spreadsheet_safe: see `write_csv`.

        Raises:
            KzooError: as `sample_columns`.
        """
        columns, number, targets, samples = self._sample_table()
        columns = self._with_written_times(columns)
        first = [[_cell(value) for value in row] for row in zip(*columns.values(), strict=True)]
        rows = (
            [*cells, str(path), *map(_cell, values)]
            for path, sample in enumerate(samples, start=1)
            for cells, values in zip(first, sample.reshape(-1, self.targets), strict=True)
        )
        write_rows(file, chain([[*columns, number, *targets]], rows), spreadsheet_safe)

    def to_frame(self) -> "pd.DataFrame":
        """Return `columns()` as a pandas DataFrame."""
        import pandas as pd

        return pd.DataFrame(self.columns())


def set_text(classes: Sequence[str] | None) -> str:
    """Return the classes of a set as text: `{cat; dog}`."""
    return "" if classes is None else f"{{{'; '.join(map(str, classes))}}}"


def _json(cell: object) -> Json:
    """Return a cell of a table as JSON data; NaN is a missing value."""
    cell = cell.item() if isinstance(cell, np.generic) else cell
    if cell is None or cell != cell:
        return None
    return cell if isinstance(cell, str | bool | int | float) else str(cell)


def _cell(value: object) -> str:
    return "" if value is None or value != value else str(value)


def _with_target_columns(columns: Columns, names: Sequence[str], values: np.ndarray) -> Columns:
    """Return columns with one more for each target, which is renamed if its name is used already."""
    reserved = {*columns, "error"}
    return columns | {
        f"target_{n}" if n in reserved else n: values[:, i] for i, n in enumerate(names)
    }


def _display(value: object) -> str:
    if value is None or value != value:
        return "-"
    return f"{value:.5g}" if isinstance(value, float | np.floating) else cut(value)


def _is_times(column: Sequence[Any]) -> bool:
    return len(column) > 0 and hasattr(column[0], "isoformat")


def logits_of(activation: str | None, loss: str | None, *, single: bool) -> bool | None:
    """Return whether a classifier's outputs are logits (True), probabilities (False), or neither (None).

    Neither: hinge losses, which learn the class but not its probability; tanh and other activations that may be
    negative; and a sigmoid for each of several classes, which do not sum to 1.

    Args:
        activation: activation of the last layer; None if unknown.
        loss: name of the loss, kzoo's or Keras'; None if unknown.
        single: whether one output encodes two classes.
    """
    if single and activation in ("sigmoid", "hard_sigmoid"):
        return False  # also with hinge, in older runs: the threshold is 0.5
    if "hinge" in (loss or ""):
        return None
    return {"linear": True, "softmax": False}.get(ends_in(activation) or "")


def scores_of(outputs: np.ndarray) -> np.ndarray:
    """Return one column per class from outputs that are not probabilities; for two classes they are opposite.

    Args:
        outputs: (N, 1) for two classes, positive for the second; else (N, classes).
    """
    return np.concatenate([-outputs, outputs], axis=-1) if outputs.shape[-1] == 1 else outputs


def probabilities(outputs: np.ndarray, logits: bool | None = None) -> np.ndarray:
    """Return one column of probabilities per class from sigmoid, softmax or logit outputs.

    Args:
        outputs: (N, 1) for two classes, else (..., classes).
        logits: whether they are logits; None decides by the values.
    """
    if outputs.ndim == 2 and outputs.shape[-1] == 1:
        if logits is None:
            logits = outputs.min() < 0 or outputs.max() > 1
        p = 1 / (1 + np.exp(-outputs)) if logits else outputs
        return np.concatenate([1 - p, p], axis=-1)
    if logits is None:
        logits = outputs.min() < 0 or np.abs(outputs.sum(-1) - 1).max() >= 1e-2
    if not logits:
        return outputs
    shifted = np.exp(outputs - outputs.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)

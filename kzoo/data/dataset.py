"""`Dataset`, which `load_data` returns and `train`, `evaluate` and `tune` accept."""

import os
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from kzoo.data.store.windows import select_rows
from kzoo.data.summary import examples, summarize
from kzoo.problems.tasks import Problem, Target, problem
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import format_value, plural, spelled

if TYPE_CHECKING:
    import pandas as pd
    import tensorflow as tf

    from kzoo.data.options import Origin

# The sources that `load_data` accepts.
Loadable: TypeAlias = (
    "str | os.PathLike[str] | pd.DataFrame | pd.Series | tuple[ArrayLike | pd.DataFrame, ArrayLike] "
    "| tf.data.Dataset | Dataset"
)


@dataclass(kw_only=True)
class Split:
    """One part of a data set.

    Args:
        x: (N, *input_shape): an array, or an object with `__len__` and `__getitem__(indices) -> array` that reads on
            demand (image files, windows of a series). Raw values: pixels 0..255, raw table rows, token ids.
        y: integer labels (N,), targets (N, outputs) in their original units, forecasts (N, horizon, outputs), next
            tokens (N,) or (N, T); or an object that reads on demand, like `x`.
        rows: (N,) row numbers among the usable rows of the source; None if unknown.
        weight: (N,) float32, 0 or more: how much each row counts in the loss, metrics, scores and baselines; None if
            all rows count equally.
        texts: (N,) the beginning of each text as it was written, for people; None if rows are no texts.
        keys: (N,) uint64 hashes of the content of each row in its source, whatever it is read for; None: that of `x`.

    Examples:
        >>> train = kzoo.load_data("churn.csv", target="churned").train
        >>> len(train), train.x.shape, train.y.shape
        (144, (144, 3), (144,))
        >>> train.select(np.arange(10))
        <Split: 10 rows>
    """

    x: Any
    y: Any
    rows: Any = None
    weight: Any = None
    texts: Any = None
    keys: Any = None

    def select(self, indices: np.ndarray) -> "Split":
        """Return some of the rows as a split.

        Args:
            indices: (M,) row numbers.
        """
        more = {
            name: None if (part := getattr(self, name)) is None else np.asarray(part)[indices]
            for name in ("rows", "weight", "texts", "keys")
        }
        return Split(x=select_rows(self.x, indices), y=select_rows(self.y, indices), **more)

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        return f"<Split: {plural(len(self), 'row')}>"


@dataclass(kw_only=True)
class Dataset:
    """Data that is split, described and ready for a preset.

    Args:
        name: where the data came from, without folders of this machine.
        task: the public name of the task, such as "image_classification".
        inputs: the name of the kind of input (see `kzoo.problems.kinds`).
        train, validation, test: the splits; validation and test may be None.
        calibration: rows that only sets, intervals and abstention are learned on; None without any.
        config: what the data determines about the network, by the builders' argument names: `input_shape`, `outputs`,
            and where they apply `vocabulary_size`, `categories`, `scale`, `offset`, `input_clip`, `target_scale`,
            `target_offset`, `horizon`, and the `loss` that "auto" selects. Learned on the training split only.
        preprocessing: plain JSON data with which `kzoo.inference.encode` turns a raw input (an image file, a CSV row, a
            string) into a row of `x`.
        class_names, feature_names, target_names: for display.
        notes: a line for everything that a user should know (rows dropped, the rule that chose the task).
        fingerprint: sha256 of the data and of how it was split.
        seen: facts that are only available while loading: `columns` (all columns of a table), `read` (how each of them
            was read), `repeated` (columns that look like ids shared by several rows), `time` (the steps of a series),
            `gone` (its missing values), `cut` (the share of training texts that were too long), `grouped` (whether rows
            belong to groups), `partly` (whether the fingerprint covers the content of some examples only, so that
            nothing may be cached under it); `overview` (how the kind of input says it was read); and `common`, that of
            the `target`, where the training rows are not those of `train`.
        loaded: how `load_data` was called, in plain values: `data_seed` and `options`.
        origin: its source and options, with which `kzoo.train` treats it as it would treat the source; None for data
            that was not loaded.

    Examples:
        >>> data = kzoo.load_data("churn.csv", target="churned")
        >>> data.task, data.class_names, data.feature_names
        ('tabular_classification', ('no', 'yes'), ('age', 'income', 'plan'))
        >>> len(data.train), len(data.validation), len(data.test)
        (144, 16, 40)
        >>> data.train.x.shape, data.train.y[:3]
        ((144, 3), array([0, 0, 0], dtype=int32))
    """

    name: str
    task: str
    inputs: str
    train: Split
    validation: Split | None = None
    test: Split | None = None
    calibration: Split | None = None
    config: dict[str, Any] = field(default_factory=dict)
    preprocessing: dict[str, Any] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    target_names: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    fingerprint: str = ""
    seen: dict[str, Any] = field(default_factory=dict)
    loaded: dict[str, Any] = field(default_factory=dict)
    origin: "Origin | None" = field(default=None, repr=False, compare=False)

    def __getstate__(self) -> dict[str, object]:
        """Return the fields without the source, which other processes need not have, and may not be able to read."""
        return vars(self) | {"origin": None}

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """Shape of an input of the network, without the batch axis; None for axes of any length."""
        return tuple(self.config["input_shape"])

    @property
    def outputs(self) -> int:
        """Number of outputs of the network: classes, labels, or targets."""
        return self.config["outputs"]

    @property
    def problem(self) -> Problem:
        """The problem of `task`: the kind of input, the task, and the facts about both."""
        return problem(self.task)

    @property
    def target(self) -> Target:
        """What was learned about the target on the training rows."""
        sample = import_module("kzoo.data.sample")
        common = self.seen["common"] if "common" in self.seen else sample.most_frequent(self)
        return Target(
            names=self.target_names, classes=self.class_names, config=self.config, common=common
        )

    @property
    def fold(self) -> JsonObject | None:
        """The fold of a cross-validation that is the test split, in plain values; None if there are no folds."""
        test = self.loaded.get("options", {}).get("test")
        return test if isinstance(test, dict) else None

    @property
    def overview(self) -> JsonObject:
        """How the data was read, as plain data: see `kzoo.data.summary.summarize`."""
        return summarize(self)

    def __repr__(self) -> str:
        sizes = " / ".join(
            str(len(s)) if s is not None else "0" for s in (self.train, self.validation, self.test)
        )
        sizes += " rows" + (
            "" if self.calibration is None else f", {len(self.calibration)} for calibration"
        )
        return f"<Dataset {self.name}: {self.task}, inputs {self.input_shape}, outputs {self.outputs}, {sizes}>"

    def _repr_html_(self) -> str:
        """Return the splits, classes, targets, columns and notes for a notebook."""
        from kzoo.utils import notebook

        read = self.overview
        facts = [
            ("task", read["task"].replace("_", " ")),
            ("inputs", read["inputs"]),
            (
                "shape",
                " × ".join("?" if size is None else str(size) for size in read["input_shape"]),
            ),
            *((name, f"{count:,}") for name, count in read["splits"].items()),
            *((name, format_value(value)) for name, value in read["about"].items()),
        ]
        splits = list(read["splits"])
        columns = read["columns"]
        classes, labels = (
            notebook.table(
                [noun, *splits],
                [[row["name"], *(row[name] for name in splits)] for row in read[part]],
            )
            for noun, part in (("class", "classes"), ("label", "labels"))
        )
        targets = notebook.table(
            ("target", "lowest", "median", "highest"),
            [[row[name] for name in ("name", "low", "median", "high")] for row in read["targets"]],
        )
        counts = [
            name
            for name in ("missing", "unreadable")
            if any(column.get(name) for column in columns)
        ]
        column_table = notebook.table(
            ("column", "kind", *counts, "about"),
            [
                [
                    column["name"],
                    column["kind"],
                    *(column.get(name) or 0 for name in counts),
                    column.get("about") or "",
                ]
                for column in columns
            ],
        )
        return notebook.card(
            f"Dataset {read['name']}",
            classes,
            labels,
            targets,
            notebook.folded(plural(len(columns), "column"), column_table),
            notebook.folded(
                plural(len(read["notes"]), "note"), notebook.bullets(map(spelled, read["notes"]))
            ),
            facts=facts,
            note=examples(read),
        )

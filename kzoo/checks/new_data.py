"""`NewData`: new raw data, labelled or not, preprocessed as the run's training data was."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kzoo.checks.finding import Needed
from kzoo.data.arrays import from_tf, read_npz
from kzoo.data.dataset import Dataset, Loadable
from kzoo.data.inputs.rows.row_columns import new_weights
from kzoo.data.named import NAMES
from kzoo.data.reload import check_encoded, check_target, reload, targets_of
from kzoo.data.sample import sample_split
from kzoo.data.tables.frame import as_frame, as_table, is_pair, join_targets
from kzoo.data.targets.weights import weights_of, weights_to_score
from kzoo.inference.encode import encode
from kzoo.inference.sources.arrays import array_of_rows
from kzoo.inference.tables.files import is_table
from kzoo.inference.tables.raw import require
from kzoo.inference.tables.values import to_words
from kzoo.problems.kinds import kind, kind_of, takes_ready_arrays
from kzoo.problems.layout import categories_of, code_columns
from kzoo.utils.errors import KzooError
from kzoo.utils.optional import of_pandas
from kzoo.utils.optional import pandas as pd
from kzoo.utils.table_path import with_sheet
from kzoo.zoo.results.bias import bias_findings
from kzoo.zoo.run import Run


class NewData:
    """New data, and the statistics of the data that the run was trained on.

    Args:
        run: a `Run`.
        source: what `kzoo.predict` or `kzoo.evaluate` takes; of a named set or a `Dataset`, the test split is used.
        target: the target columns, if their names differ from the run's; None: those of the run, if the data has them.

    Attributes:
        facts: facts of the run's task (see `kzoo.problems.tasks`).
        bias: findings on the bias of forecasts of the test rows (see `kzoo.zoo.results.bias`); None without any.
        coverage: of the bands of the run on its test rows (see `kzoo.zoo.results.coverage`); None if not measured.
        known: stored statistics of the training data (see `kzoo.data.statistics`); None for runs of older versions.
        frame: the table, if there is one; `missing`: columns of the run that it does not have.
        features: (names, numbers (N, F)); None if nothing could be read.
        categories: codes (N, C) of the categorical columns; None if there are none.
        answers: (N,) raw labels, or numbers; None if there are none.
        seen: observations from reading, such as the times of a series; None if there are none.

    Raises:
        KzooError: data of another kind than the run's, or preprocessed differently; an unknown target; or weights that
            are negative, missing or all 0.
    """

    def __init__(self, run: Run, source: "Loadable", *, target: str | Sequence[str] | None = None):
        self.run = run
        self.preprocessing = run.preprocessing
        described = run.data
        self.facts = run.problem.facts
        self.class_names = described.class_names
        self.known: Needed = run.config.get("statistics")
        self.coverage: Needed = run.summary.get("conformal")
        self.bias: Needed = bias_findings(run.summary) or None
        self.frame: Needed = None
        self.missing: list[str] = []
        self.answers: Needed = None
        self.values: Needed = None
        self.seen: Needed = None
        check_target(run, source, target)
        self.target_requested = target is not None
        self.targets = targets_of(run, target)
        if isinstance(source, str) and source in NAMES:
            source = reload(run, source)
        if isinstance(source, Dataset):
            check_encoded(run, source)
            part = sample_split(source.test or source.train)
            self.values = part.x
            self.answers = np.asarray(part.y) if source.problem.keeps_predictions else None
            if source.problem.classes_of(self.answers) is not None:
                self.answers = np.array(source.class_names)[self.answers]
        else:
            self._read(source)
        config = run.spec.config
        self.categories: Needed = None
        self.features: Needed = None  # (names, numbers)
        if self.values is not None and len(self.values):
            describe = kind(described.inputs).fitting.describe
            self.features = describe(self.values, described.feature_names, code_columns(config))
        if self.values is not None and config.get("categories"):
            self.categories = categories_of(np.asarray(self.values), config)

    @property
    def labels(self) -> Needed:
        """The raw class labels (N,); None if there are none."""
        return self.run.problem.classes_of(self.answers)

    @property
    def label_rows(self) -> Needed:
        """The labels (N, labels), 0, 1, or NaN if unknown; None for other tasks than labels, or without labels."""
        problem = self.run.problem
        if not problem.separate_probabilities or self.answers is None or not len(self.answers):
            return None
        return problem.task.inference.encode(self.run.target, self.answers, [])

    @property
    def comparable(self) -> bool | None:
        """True if there are features to compare and statistics to compare them with, else None."""
        return True if self.known and self.features is not None else None

    def _read(self, source: "Loadable") -> None:
        reads_texts = "vocabulary" in self.preprocessing  # a string may be a text
        source = with_sheet(source, None, None, self.run.data.options)
        source = source if takes_ready_arrays(self.preprocessing) else as_table(source, dicts=False)
        if isinstance(source, str | Path) and not reads_texts and not Path(source).exists():
            raise KzooError(f"No file, folder or data set named {str(source)!r}.")
        if hasattr(source, "as_numpy_iterator"):
            source = from_tf(source, None)
        if isinstance(source, str | Path) and Path(source).suffix == ".npz":
            train, test = read_npz(source)
            source = test or train
        is_triple = isinstance(source, tuple) and len(source) == 3
        if is_triple and not isinstance(source[0], str | dict):
            # refuses wrong weights
            weights_to_score(weights_of(source[2], len(source[0]), "weight"))
        if is_pair(source) and not takes_ready_arrays(self.preprocessing):
            x, y, *_ = source
            source = join_targets(x, y, self.targets)[0]
        is_couple = isinstance(source, tuple | list) and len(source) == 2
        if (is_couple or is_triple) and not isinstance(source[0], str | dict):
            self.values, self.answers = (
                encode(self.preprocessing, np.asarray(source[0])),
                array_of_rows(source[1], "y"),
            )
        elif isinstance(source, np.ndarray):
            self.values = encode(self.preprocessing, source)
        elif takes_ready_arrays(self.preprocessing):
            raise KzooError("This run was trained on arrays: pass x, (x, y) or an .npz file.")
        else:
            collected = kind_of(self.preprocessing).fitting.fresh(
                self.preprocessing, source, targets=self.targets
            )
            if self.target_requested and collected.frame is not None:
                require(collected.frame, self.targets, "the new data")
            self.values, self.frame = collected.x, collected.frame
            self.missing = list(collected.missing)
            self.seen = collected.seen
            self.answers = (
                collected.answers if collected.answers is None else self._raw(collected.answers)
            )
            self._check_weights(source, collected.frame)

    def _check_weights(self, source: "Loadable", frame: Needed) -> None:
        """Check the column of weights of labelled rows, if the run and a table have one.

        Raises:
            KzooError: weights that `kzoo.evaluate` refuses.
        """
        name = self.run.data.options.get("sample_weight")
        if name is None or self.answers is None:
            return
        if frame is None and (
            of_pandas(source, "DataFrame") or (isinstance(source, str | Path) and is_table(source))
        ):
            frame = as_frame(source)
        if frame is not None and name in frame.columns:
            present = (
                frame[[target for target in self.targets if target in frame.columns]]
                .notna()
                .any(axis=1)
            )
            new_weights(frame, name, present.to_numpy(bool))

    def _raw(self, answers: Needed) -> Needed:
        problem = self.run.problem
        if not of_pandas(answers, "DataFrame") or problem.separate_probabilities:
            return answers
        if problem.classes_of(answers) is not None:
            return to_words(answers[self.targets[0]]).astype(str)
        return answers.apply(pd.to_numeric, errors="coerce").dropna().to_numpy(float)

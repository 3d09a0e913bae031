"""`Run`: the folder written by `train`, and the argument of every later step."""

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from kzoo.inference.postprocessors import STEP
from kzoo.problems.kinds import preprocessor_mismatch
from kzoo.problems.stored_types import (
    CONFIG,
    FOLDS,
    Description,
    Scores,
    Spec,
    check_format,
    summary_form,
    with_current_names,
)
from kzoo.problems.tasks import Problem, Target, problem
from kzoo.utils.address import local
from kzoo.utils.errors import KzooError
from kzoo.utils.files import Json, JsonObject, path_of, read_arrays, read_json
from kzoo.utils.formatting import first_line
from kzoo.utils.schema import misfit
from kzoo.zoo.registry import AUTO

if TYPE_CHECKING:
    import keras

POSTPROCESSING = "postprocessing.json"
# the states to resume from, newest first
JOURNALS = ("journal.next", "journal", "journal.previous")


_journal_observer: ContextVar[Callable[[Path], None] | None] = ContextVar(
    "journal_observer", default=None
)


@contextmanager
def observed_journals(observe: Callable[[Path], None]) -> Iterator[None]:
    """Call a function with the folder of a run whenever its journal was written in the block."""
    token = _journal_observer.set(observe)
    try:
        yield
    finally:
        _journal_observer.reset(token)


def report_journal(folder: Path) -> None:
    """Report that the journal in the folder of a run was written."""
    if (observe := _journal_observer.get()) is not None:
        observe(folder)


def has_journal(folder: str | os.PathLike[str]) -> bool:
    """Return whether the folder of a run has a journal, even a damaged one."""
    return any((Path(folder) / name).is_file() for name in JOURNALS)


def run_of_search(folder: str | os.PathLike[str]) -> str:
    """Return where the run of a search is, or how to get it, as the end of a sentence."""
    if (winner := Path(folder) / "winner" / "summary.json").is_file():  # of "auto"
        return f"its model is the run {winner.parent}"
    if (read_json(Path(folder) / "search.json").get("spec") or {}).get("preset") == AUTO:
        return "it is not finished, and the same call of kzoo.tune continues it"
    return f"kzoo.Search({str(folder)!r}).retrain() trains its winner"


Arrays: TypeAlias = dict[str, Any]  # of `answers.npz`, see `Run.answers`


class Run:
    """A trained model: a training run, opened from its folder.

    Weights in the package (`kzoo.zoo.weights.packaged`) and untracked models (`kzoo.zoo.untracked`) have the same
    attributes.

    The folder contains `config.json` (model, data, versions), `history.csv`, `best.keras`, `last.keras`,
    `summary.json` (scores of the best weights), `answers.npz` (their predictions on the test split),
    `preprocessing.json` (how raw inputs become inputs of the model), `postprocessing.json` (the steps from outputs to
    predictions), `curves.png` and `tensorboard/`. It contains no absolute path. The models of a finished run are not
    compiled: without the state of the optimizer they are a third as large. A stopped run resumes from its journal.

    Args:
        path: folder of the run; or an address such as "s3://bucket/runs/1", which is copied into the download cache.
        trusted: your classes and functions that a custom model uses (see `kzoo.load_model`).

    Raises:
        KzooError: the folder is not a run, or it is damaged.

    Examples:
        >>> run = kzoo.train("iris_fnn", "iris", epochs=20, out="runs/iris")
        >>> run = kzoo.Run("runs/iris")  # later, or in another process
        >>> run.spec.preset, run.data.name, run.class_names
        ('iris_fnn', 'iris', ['setosa', 'versicolor', 'virginica'])
        >>> len(run.history["epoch"]), run.summary["test"]["examples"]
        (20, 30)
        >>> run.model.output_shape
        (None, 3)
    """

    def __init__(self, path: str | os.PathLike[str], *, trusted: Iterable[Any] = ()) -> None:
        self.path = path_of(local(path), "a run")
        self.trusted = trusted
        if not (self.path / "config.json").is_file():
            problem_of_path = "is a file" if self.path.is_file() else "does not exist"
            problem_of_path = "has no config.json" if self.path.is_dir() else problem_of_path
            if (self.path / "kzoo.json").is_file():
                raise KzooError(
                    f"{getattr(self.path, 'address', None) or self.path} is an exported model, not a run. Use it with "
                    "`kzoo predict` or kzoo.runtime.load.",
                    value=path,
                )
            if (self.path / "search.json").is_file():
                raise KzooError(
                    f"{self.path} is a search, not a run: {run_of_search(self.path)}.", value=path
                )
            raise KzooError(
                f"{self.path} is not a run: it {problem_of_path}. kzoo.train writes a run.",
                value=path,
            )

    tracked = True  # the training data is known, and the model was scored

    @property
    def folder(self) -> Path | None:
        """The folder from which another process can open the run; None without a folder."""
        return self.path

    @property
    def learns(self) -> str | None:
        """The fact of the tasks that the loss is for, if nothing else says what the model predicts."""
        return None

    @property
    def origin(self) -> dict[str, str]:
        """`source` and `licence` of the data, if the model states them."""
        return {}

    def __repr__(self) -> str:
        place = getattr(self.path, "address", None) or self.path
        return f"<Run {place}: {self.config['spec']['preset']} on {self.config['data']['name']}>"

    def _repr_html_(self) -> str:
        """Return the scores beside those of the baselines, for a notebook."""
        from kzoo.utils import notebook
        from kzoo.zoo.results import deciding_score, number, value_of

        title = repr(self)[1:-1]
        if not self.tracked:
            return notebook.card(title)
        summary = self.summary if self.finished else {}
        split = "test" if summary.get("test") else "validation"
        scores = summary.get(split) or {}
        metric = deciding_score(self.spec.training, scores, self.problem)
        models = [(self.spec.preset, scores)]
        models += [
            (baseline["label"], baseline["scores"] or {})
            for baseline in summary.get("baselines") or ()
            if baseline["split"] == split
        ]

        def score_cells(scores: Scores) -> list[str]:
            score = value_of(scores, metric)
            interval = scores.get(f"{metric}_interval")
            ends = "" if not interval else " to ".join(number(end, metric) for end in interval)
            return ["" if score is None else number(score, metric), ends]

        name = metric.replace("_", " ")
        interval = any(scores.get(f"{metric}_interval") for _, scores in models)
        compared = notebook.table(
            ("model", name, *(["95 % interval"] if interval else [])),
            [(label, *score_cells(scores)[: 1 + interval]) for label, scores in models],
            numbers=[name],
        )
        values = [
            (name.replace("_", " "), value)
            for name, value in scores.items()
            if isinstance(value, int | float)
        ]
        epochs = summary.get("epochs")
        best = f", the best {summary['best_epoch']}" if epochs and summary.get("best_epoch") else ""
        facts = [
            ("task", self.data.task.replace("_", " ")),
            ("parameters", summary.get("parameters")),
            ("epochs", f"{epochs}{best}" if epochs else ""),
            ("seconds", summary.get("seconds")),
            (
                "state",
                "stopped, can be resumed"
                if self.stopped
                else ""
                if self.finished
                else "not finished",
            ),
        ]
        all_scores = notebook.table(("score", "value"), values)
        return notebook.card(
            title,
            compared if scores else "",
            notebook.folded(f"all scores on the {split} split", all_scores),
            facts=facts,
        )

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def _read(self, name: str, form: object) -> Json:
        """Read a JSON file of the run and check it against its schema."""
        try:
            stored = read_json(self.path / name)
        except FileNotFoundError:
            raise KzooError(
                f"{self.path} has no {name}: the run did not finish. Train again."
            ) from None
        except OSError as error:
            raise self._damaged(name, f"cannot be read: {error.strerror}") from None
        except KzooError:
            raise
        except (ValueError, RecursionError):
            raise self._damaged(name, "is not valid JSON") from None
        if wrong := misfit(stored, form):
            raise self._damaged(name, wrong)
        return stored

    def _damaged(self, name: str, wrong: str) -> KzooError:
        subject = "it " if wrong.startswith(("is ", "has ", "cannot ", "holds ")) else ""
        return KzooError(f"{self.path / name} is damaged: {subject}{wrong}. Train again.")

    @cached_property
    def config(self) -> JsonObject:
        """The content of `config.json`: model, data, versions.

        Raises:
            KzooError: the file is missing, damaged or of a later kzoo.
        """
        config = self._read("config.json", Mapping)
        check_format(config, self.path / "config.json")
        config = with_current_names(config)
        if wrong := misfit(config, CONFIG):
            raise KzooError(
                f"{self.path / 'config.json'} was not written by kzoo.train: {wrong}. Train again."
            )
        with self._naming("config.json"):  # check everything before anything is used
            Spec.read(config["spec"]), Description.read(config["data"])
        return config

    @contextmanager
    def _naming(self, name: str) -> Iterator[None]:
        try:
            yield
        except KzooError as error:
            raise KzooError(f"{self.path / name} cannot be read: {error}") from None

    @cached_property
    def spec(self) -> Spec:
        """The specification: what was trained and how. `kzoo.spec_of` returns it as a dict."""
        return Spec.read(self.config["spec"])

    @cached_property
    def data(self) -> Description:
        """The description of the training data."""
        return Description.read(self.config["data"])

    def learned_from_test(self, name: str) -> bool:
        """Return whether the run was trained on the test split of the named data set.

        Args:
            name: the name of the data set, such as "mnist".
        """
        return self.data.name == f"{name}{FOLDS}"

    @property
    def problem(self) -> Problem:
        """The kind of input and the task."""
        return problem(self.data.task)

    @property
    def target(self) -> Target:
        """What was learned about the target; a scale that the network does not have comes from the statistics."""
        statistics = self.config.get("statistics") or {}
        most_frequent, shares = statistics.get("common"), statistics.get("classes")
        targets = statistics.get("targets")
        config = dict(self.spec.config)
        if shares and most_frequent is None:
            most_frequent = max(range(len(shares)), key=shares.__getitem__)
        # Outputs that are not linear are scaled by the mean instead.
        is_standardised = config.get("target_scale") is not None and config.get(
            "output_activation"
        ) in (None, "linear")
        if targets and len(targets) == len(self.data.target_names) and not is_standardised:
            config["target_offset"] = [target["mean"] for target in targets]
            config["target_scale"] = [target["sd"] or 1.0 for target in targets]
        names, classes = self.data.target_names, self.data.class_names
        target = Target(names=names, classes=classes, config=config, common=most_frequent)
        if all(step["stage"] != "decide" for step in self.postprocessing):
            return target
        postprocessor = import_module("kzoo.inference.postprocessors.postprocessor").Postprocessor
        return postprocessor.read(self.postprocessing).target(target)

    @property
    def summary(self) -> JsonObject:
        """Scores of the best weights on the test split, seconds, samples per second, parameters.

        Raises:
            KzooError: the file is missing or damaged.
        """
        return self._read("summary.json", summary_form(self.problem.task.form))

    @property
    def preprocessing(self) -> JsonObject:
        """How raw inputs become inputs of the model: the content of `preprocessing.json`.

        Raises:
            KzooError: the file is missing or damaged.
        """
        return self._read(
            "preprocessing.json",
            lambda reader, where: preprocessor_mismatch(reader, self.spec.config),
        )

    @property
    def postprocessing(self) -> list[dict[str, Any]]:
        """The learned postprocessing steps (see `kzoo.inference.postprocessors`); empty without any.

        Raises:
            KzooError: the file is missing or damaged.
        """
        return self._read(POSTPROCESSING, [STEP]) if (self.path / POSTPROCESSING).is_file() else []

    @property
    def _input_shape(self) -> tuple[int | None, ...]:
        """The shape of one input; empty if it is not known."""
        return tuple(self.spec.config.get("input_shape") or ())

    @property
    def stopped(self) -> bool:
        """Whether the run was stopped and has a journal to resume from."""
        return (not self.finished or bool(self.summary.get("interrupted"))) and has_journal(
            self.path
        )

    @property
    def finished(self) -> bool:
        """Whether the training has ended and was scored."""
        return (self.path / "summary.json").is_file()

    @property
    def class_names(self) -> list[str]:
        """Names of the classes or labels, in the order of the model's outputs; empty for values."""
        return list(self.data.class_names)

    @cached_property
    def answers(self) -> Arrays | None:
        """Predictions of the best model on the test split (else the validation split); None for language models.

        Arrays: `split`; `rows` (N,), row numbers in that split; `truth` (N,) or (N, ...); `answers` (N, classes) or
        (N, labels) probabilities, or values in the unit of the target. For some rows, examples and top losses, `shown`
        (indices into `rows`) and their raw `inputs`. `source_rows` (N,), if known: row numbers among the usable
        rows of the source. `weight` (N,), if rows have weights. Of forecasts of many series, `series` (N,), indices
        into `series_names`, and `moments` (N,), the number of the first step of each forecast.
        """
        file = self.path / "answers.npz"
        if not file.is_file():
            return None
        try:
            stored = read_arrays(file)
            arrays: Arrays = {**stored, "split": str(stored["split"])}
        except (OSError, ValueError, KeyError) as error:
            raise self._damaged("answers.npz", f"cannot be read ({first_line(error)})") from None
        names = self.problem.classes_of(self.class_names)
        count = None if names is None else len(names)
        if wrong := _answers_mismatch(
            arrays, count, self._input_shape, self.spec.config.get("quantiles")
        ):
            raise self._damaged("answers.npz", wrong)
        return arrays

    @cached_property
    def history(self) -> dict[str, list[float | None]]:
        """One list per column of `history.csv`, an entry for each epoch; empty for an ensemble.

        Raises:
            KzooError: the run stopped before its first epoch ended, or `history.csv` is damaged.
        """
        try:
            with open(self.path / "history.csv", encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file, strict=True))
            names = rows[0] if rows else ()
            return {
                name: [float(row[name]) if row[name] else None for row in rows] for name in names
            }
        except FileNotFoundError:
            if self.finished:
                return {}
            raise KzooError(
                f"{self.path} has no history.csv: the run stopped before its first epoch ended."
            ) from None
        except (ValueError, TypeError, csv.Error) as error:
            raise self._damaged(
                "history.csv", f"has a cell that is not a number ({first_line(error)})"
            ) from None

    @property
    def model_file(self) -> Path:
        """The file with the best weights.

        Raises:
            KzooError: the run stopped before its first epoch ended.
        """
        file = self.path / "best.keras"
        if not file.is_file():
            raise KzooError(
                f"{self.path} has no best.keras: the run stopped before its first epoch ended."
            )
        return file

    @cached_property
    def model(self) -> "keras.Model":
        """The network with its best weights, not compiled.

        A preset is rebuilt from its family and resolved config, even if the preset has changed since. A custom model is
        loaded from the file, as by `kzoo.load_model`.
        """
        return import_module("kzoo.zoo.loading").load_run(self.path, trusted=self.trusted)


def _answers_mismatch(
    arrays: Arrays,
    classes: int | None,
    input_shape: Sequence[int | None],
    quantiles: Sequence[float] | None,
) -> str | None:
    """Return what is wrong with the arrays of a run's `answers.npz`, else None.

    Args:
        arrays: content of the file (see `Run.answers`).
        classes: number of classes; None for values.
        input_shape: shape of one input; empty if it is not known.
        quantiles: their levels; None for predictions without quantiles.
    """
    missing = [
        name for name in ("rows", "truth", "answers", "shown", "inputs") if name not in arrays
    ]
    if missing:
        return f"has no {missing[0]}"
    if arrays["split"] not in ("train", "validation", "test"):
        return "has no split"
    fits = _fit_together(arrays, classes, input_shape, quantiles)
    return None if fits else "has arrays of different lengths or types"


def _fit_together(
    arrays: Arrays,
    classes: int | None,
    input_shape: Sequence[int | None],
    quantiles: Sequence[float] | None,
) -> bool:
    rows, truth, answers, shown, inputs = (
        arrays[name] for name in ("rows", "truth", "answers", "shown", "inputs")
    )
    source_rows = arrays.get("source_rows", rows)
    if not all(
        array.dtype.kind in "iu" and array.ndim == 1 and (array >= 0).all()
        for array in (rows, shown, source_rows)
    ):
        return False
    if (
        truth.dtype.kind not in "iuf"
        or answers.dtype.kind != "f"
        or inputs.dtype.kind not in "biuf"
    ):
        return False
    count = len(rows)
    weight = arrays.get("weight")
    if weight is not None and (
        weight.shape != (count,) or weight.dtype.kind != "f" or not (weight >= 0).all()
    ):
        return False
    series, names, moments = (arrays.get(name) for name in ("series", "series_names", "moments"))
    if series is not None and (
        names is None
        or moments is None
        or names.dtype.kind != "U"
        or {series.shape, moments.shape} != {(count,)}
        or {series.dtype.kind, moments.dtype.kind} != {"i"}
        or series.min() < 0
        or series.max() >= len(names)
    ):
        return False
    if (
        count == 0
        or answers.ndim < 2
        or any(array.shape[:1] != (count,) for array in (truth, answers, source_rows))
    ):
        return False
    shape = (*shown.shape, *input_shape) if input_shape and None not in input_shape else shown.shape
    if inputs.shape[: len(shape)] != shape or (shown >= count).any():
        return False
    if classes is None:
        return answers.shape == (*truth.shape, *([len(quantiles)] if quantiles else []))
    is_class = truth.shape == (count,) and (truth >= 0).all() and (truth < classes).all()
    return bool(is_class) and answers.shape == (count, classes if answers.shape[-1] > 1 else 1)

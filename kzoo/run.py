"""`Run`: the folder that `train` writes and every later step takes."""

import csv
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kzoo.kinds import misread
from kzoo.postprocessors import STEP
from kzoo.stored_types import CONFIG, FOLDS, Description, Spec, check_format, summary_form, with_current_names
from kzoo.tasks import Problem, Target, problem
from kzoo.utils.errors import KzooError
from kzoo.utils.files import path_of, read_arrays, read_json
from kzoo.utils.formatting import first_line
from kzoo.utils.schema import misfit

if TYPE_CHECKING:
    import keras

POSTPROCESSING = "postprocessing.json"
JOURNALS = ("journal.next", "journal", "journal.previous")  # what a training goes on from; the newest first


def has_journal(folder: str | os.PathLike[str]) -> bool:
    """Say whether a run's folder has a journal, even a damaged one."""
    return any((Path(folder) / name).is_file() for name in JOURNALS)


class Run:
    """A trained model: a training run, opened from its folder.

    Weights in the package (`kzoo.weights.packaged`) and untracked models (`kzoo.untracked`) have the same attributes.

    The folder holds `config.json` (what was trained, on what, with which versions), `history.csv`,
    `best.keras`, `last.keras`, `summary.json` (scores of the best weights), `answers.npz` (what they said on the
    test split), `preprocessing.json` (what turns a raw input into the model's input), `curves.png` and
    `tensorboard/`. It contains no absolute path. The two models of a finished run are not compiled: without the
    optimizer's state they are a third as large, and what was stopped goes on from its journal.

    Args:
        path: the folder.
        trusted: classes and functions of yours that a model of your own is made of (see `kzoo.load_model`).

    Raises:
        KzooError: it is not a run's folder, or a broken one.
    """

    def __init__(self, path: str | os.PathLike[str], *, trusted: Iterable[Any] = ()) -> None:
        self.path, self.trusted = path_of(path, "a run"), trusted
        if not (self.path / "config.json").is_file():
            what = "is a file" if self.path.is_file() else "does not exist"
            what = "has no config.json" if self.path.is_dir() else what
            if (self.path / "kzoo.json").is_file():
                raise KzooError(
                    f"{self.path} is an exported model, not a run: `kzoo predict` and kzoo.runtime.load take it."
                )
            if (self.path / "search.json").is_file():
                raise KzooError(
                    f"{self.path} is a search, not a run: kzoo.Search({str(self.path)!r}).retrain() trains its winner."
                )
            raise KzooError(f"{self.path} is not a run: it {what}. kzoo.train writes one.")

    tracked = True  # what it was trained on is known, and was scored

    @property
    def folder(self) -> Path | None:
        """The folder from which another process can open it; None where there is none."""
        return self.path

    @property
    def learns(self) -> str | None:
        """The fact of the tasks that its loss is for, where nothing else says what it predicts."""
        return None

    @property
    def origin(self) -> dict[str, str]:
        """`source` and `licence` of the data, where the model itself says them."""
        return {}

    def __repr__(self) -> str:
        return f"<Run {self.path}: {self.config['spec']['preset']} on {self.config['data']['name']}>"

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def _read(self, name: str, form: Any) -> Any:
        """Read a JSON file of the run, of which nothing is believed before it has the form that kzoo writes."""
        try:
            stored = read_json(self.path / name)
        except FileNotFoundError:
            raise KzooError(f"{self.path} has no {name}: the run did not finish. Train again.") from None
        except OSError as error:
            raise self._damaged(name, f"cannot be read: {error.strerror}") from None
        except (ValueError, RecursionError):
            raise self._damaged(name, "is no JSON") from None
        if wrong := misfit(stored, form):
            raise self._damaged(name, wrong)
        return stored

    def _damaged(self, name: str, wrong: str) -> KzooError:
        it = "it " if wrong.startswith(("is ", "has ", "cannot ", "holds ")) else ""
        return KzooError(f"{self.path / name} is damaged: {it}{wrong}. Train again.")

    @cached_property
    def config(self) -> dict[str, Any]:
        config = self._read("config.json", Mapping)
        check_format(config, self.path / "config.json")
        config = with_current_names(config)
        if wrong := misfit(config, CONFIG):
            raise KzooError(f"{self.path / 'config.json'} is not the one that kzoo.train writes: {wrong}. Train again.")
        with self._naming("config.json"):  # all of it, before any of it is used
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
        """What was trained and how; `kzoo.spec_of` gives the same as a dict."""
        return Spec.read(self.config["spec"])

    @cached_property
    def data(self) -> Description:
        """On what it was trained."""
        return Description.read(self.config["data"])

    def learned_from_test(self, name: str) -> bool:
        """Say whether it is known to have been trained on what tests the named set of this name."""
        return self.data.name == f"{name}{FOLDS}"

    @property
    def problem(self) -> Problem:
        """What its task stands for: the kind of input, the way of answering, and what is known of both."""
        return problem(self.data.task)

    @property
    def target(self) -> Target:
        """What it has learned of its target; the scale, where its network does not say it, from the statistics."""
        known = self.config.get("statistics") or {}
        common, shares, seen = known.get("common"), known.get("classes"), known.get("targets")
        config = dict(self.spec.config)
        if shares:
            common = max(range(len(shares)), key=shares.__getitem__)
        if seen and len(seen) == len(self.data.target_names) and config.get("target_scale") is None:
            config |= dict(target_offset=[one["mean"] for one in seen], target_scale=[one["sd"] or 1.0 for one in seen])
        return Target(names=self.data.target_names, classes=self.data.class_names, config=config, common=common)

    @property
    def summary(self) -> dict[str, Any]:
        """Scores of the best weights on the test split, seconds, samples per second, parameters."""
        return self._read("summary.json", summary_form(self.problem.task.form))

    @property
    def preprocessing(self) -> dict[str, Any]:
        return self._read("preprocessing.json", lambda reader, where: misread(reader, self.spec.config))

    @property
    def postprocessing(self) -> list[dict[str, Any]]:
        """The steps that turn outputs into predictions, with what they learned: see `kzoo.postprocessors`.

        Empty of a run that asked for none.
        """
        return self._read(POSTPROCESSING, [STEP]) if (self.path / POSTPROCESSING).is_file() else []

    @property
    def _takes(self) -> tuple[int | None, ...]:
        """The shape of one input, empty where nothing says it."""
        return tuple(self.spec.config.get("input_shape") or ())

    @property
    def stopped(self) -> bool:
        """Whether it was stopped, and has a journal to go on from."""
        return (not self.finished or bool(self.summary.get("interrupted"))) and has_journal(self.path)

    @property
    def finished(self) -> bool:
        return (self.path / "summary.json").is_file()

    @property
    def class_names(self) -> list[str]:
        return list(self.data.class_names)

    @cached_property
    def answers(self) -> dict[str, Any] | None:
        """What the best model said on the test split (else the validation split); None for language models.

        Arrays: `split`, `rows` (places in that split), `truth` (N,) or (N, ...), `answers` (N, classes) probabilities
        or values in their own unit; for a few rows, examples and the worst, `shown` (places in `rows`) and their raw
        `inputs`. `source_rows`, where known: places among the usable rows of the whole source.
        """
        file = self.path / "answers.npz"
        if not file.is_file():
            return None
        try:
            kept = read_arrays(file)
            kept |= {"split": str(kept["split"])}
        except (OSError, ValueError, KeyError) as error:
            raise self._damaged("answers.npz", f"cannot be read ({first_line(error)})") from None
        count = len(self.class_names) if "classes" in self.problem.facts else None
        if wrong := _unfit(kept, count, self._takes):
            raise self._damaged("answers.npz", wrong)
        return kept

    @cached_property
    def history(self) -> dict[str, list[float | None]]:
        """One list per column of `history.csv`, an entry for each epoch; empty for an ensemble."""
        try:
            with open(self.path / "history.csv", encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file, strict=True))
            names = rows[0] if rows else ()
            return {name: [float(row[name]) if row[name] else None for row in rows] for name in names}
        except FileNotFoundError:
            if self.finished:
                return {}
            raise KzooError(f"{self.path} has no history.csv: the run stopped before its first epoch ended.") from None
        except (ValueError, TypeError, csv.Error) as error:
            raise self._damaged("history.csv", f"has something that is no number ({first_line(error)})") from None

    @property
    def model_file(self) -> Path:
        file = self.path / "best.keras"
        if not file.is_file():
            raise KzooError(f"{self.path} has no best.keras: the run stopped before its first epoch ended.")
        return file

    @cached_property
    def model(self) -> "keras.Model":
        """The network with its best weights, not compiled.

        A preset is rebuilt from its family and resolved config, whatever became of the preset since; a
        model of your own is loaded from the file, as `kzoo.load_model` does it.
        """
        return import_module("kzoo.loading").load_run(self.path, trusted=self.trusted)


def _unfit(kept: Mapping[str, Any], classes: int | None, takes: Sequence[int | None]) -> str | None:
    """Say what of kept answers does not belong together.

    Args:
        kept: the arrays.
        classes: how many there are; None where the answers are values.
        takes: the shape of one input; empty where it is not known.
    """
    lost = [name for name in ("rows", "truth", "answers", "shown", "inputs") if name not in kept]
    if lost or kept["split"] not in ("train", "validation", "test"):
        return f"has no {lost[0] if lost else 'split'}"
    rows, truth, answers, shown = (kept[name] for name in ("rows", "truth", "answers", "shown"))
    count = len(rows) if rows.ndim == 1 else -1
    whole = [kept[name] for name in ("rows", "shown", "source_rows") if name in kept]
    fits = all(array.dtype.kind in "iu" and array.ndim == 1 and (array >= 0).all() for array in whole)
    fits = fits and truth.dtype.kind in "iuf" and answers.dtype.kind == "f" and kept["inputs"].dtype.kind in "biuf"
    fits = fits and all(array.shape[:1] == (count,) for array in (truth, answers, kept.get("source_rows", rows)))
    shape = (*shown.shape, *takes) if takes and None not in takes else shown.shape
    fits = (
        fits
        and kept["inputs"].shape[: len(shape)] == shape
        and (shown < count).all()
        and answers.ndim > 1
        and count > 0
    )
    if fits and classes is not None:
        fits = truth.shape == (count,) and (truth >= 0).all() and (truth < classes).all()
        fits = fits and answers.shape == (count, classes if answers.shape[-1] > 1 else 1)
    elif fits:
        fits = truth.shape == answers.shape
    return None if fits else "has arrays that do not belong together"

"""`Run`: the folder that `train` writes and every later step takes."""

import csv
import os
from collections.abc import Iterable
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kzoo.errors import KzooError
from kzoo.files import path_of, read_json
from kzoo.nouns import Description, Spec, check_format
from kzoo.registry import names_a_preset
from kzoo.tasks import Problem, Target, problem

if TYPE_CHECKING:
    import keras


class Run:
    """A training run, opened from its folder.

    The folder holds `config.json` (what was trained, on what, with which versions), `history.csv`,
    `best.keras`, `last.keras`, `summary.json` (scores of the best weights), `answers.npz` (what they said on the
    test split), `preprocessing.json` (what turns a raw input into the model's input), `curves.png` and
    `tensorboard/`. It contains no absolute path.

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

    def __repr__(self) -> str:
        return f"<Run {self.path}: {self.config['spec']['preset']} on {self.config['data']['name']}>"

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def _read(self, name: str) -> Any:
        try:
            return read_json(self.path / name)
        except FileNotFoundError:
            raise KzooError(f"{self.path} has no {name}: the run did not finish. Train again.") from None
        except ValueError:
            raise KzooError(f"{self.path / name} is damaged: it is no JSON. Train again.") from None

    @cached_property
    def config(self) -> dict[str, Any]:
        config = self._read("config.json")
        if not isinstance(config, dict) or not {"spec", "data"} <= set(config):
            raise KzooError(f"{self.path / 'config.json'} is not the one that kzoo.train writes. Train again.")
        check_format(config, self.path / "config.json")
        return config

    @cached_property
    def spec(self) -> Spec:
        """What was trained and how; `kzoo.spec_of` gives the same as a dict."""
        return Spec.read(self.config["spec"])

    @cached_property
    def data(self) -> Description:
        """On what it was trained."""
        return Description.read(self.config["data"])

    @property
    def problem(self) -> Problem:
        """What its task stands for: the kind of input, the way of answering, and what is known of both."""
        return problem(self.data.task)

    @property
    def target(self) -> Target:
        """What it has learned of its target."""
        return Target(names=self.data.target_names, classes=self.data.class_names, config=self.spec.config)

    @property
    def summary(self) -> dict[str, Any]:
        """Scores of the best weights on the test split, seconds, samples per second, parameters."""
        return self._read("summary.json")

    @property
    def preprocessing(self) -> dict[str, Any]:
        return self._read("preprocessing.json")

    @property
    def finished(self) -> bool:
        return (self.path / "summary.json").is_file()

    @property
    def class_names(self) -> list[str]:
        return self.config["data"]["class_names"]

    @cached_property
    def answers(self) -> dict[str, Any] | None:
        """What the best model said on the test split (else the validation split); None for language models.

        Arrays: `split`, `rows` (places in that split), `truth` (N,) or (N, ...), `answers` (N, classes) probabilities
        or values in their own unit; for a few rows, the first ones and the worst, `shown` (places in `rows`) and
        their raw `inputs`. `source_rows`, where known: places among the usable rows of the whole source.
        """
        file = self.path / "answers.npz"
        if not file.is_file():
            return None
        try:
            with import_module("numpy").load(file) as arrays:
                return dict(arrays) | {"split": str(arrays["split"])}
        except (OSError, ValueError, KeyError) as error:
            raise KzooError(f"{file} is damaged: {error}. Train again.") from error

    @cached_property
    def history(self) -> dict[str, list[float | None]]:
        """One list per column of `history.csv`, an entry for each epoch; empty for an ensemble."""
        try:
            with open(self.path / "history.csv", encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
        except FileNotFoundError:
            if self.finished:
                return {}
            raise KzooError(f"{self.path} has no history.csv: the run stopped before its first epoch ended.") from None
        return {name: [float(row[name]) if row[name] else None for row in rows] for name in (rows[0] if rows else ())}

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


def run_of(what: Any) -> Run | None:
    """Return the run that is meant; None for a preset or a model."""
    if isinstance(what, Run):
        return what
    name = os.fspath(what) if isinstance(what, str | os.PathLike) else None
    if name is None or names_a_preset(name):
        return None
    return Run(what) if Path(name).exists() or os.sep in name or isinstance(what, os.PathLike) else None


def check_start(path: str | os.PathLike[str]) -> None:
    """Raise `KzooError` unless this is the path of a run or of a `.keras` file, from whose weights one can start."""
    if Path(path).is_dir():
        Run(path)
    elif not Path(path).is_file():
        raise KzooError(f"start={str(path)!r} does not exist. Give a run's folder, a .keras file or a model.")
    elif Path(path).suffix != ".keras":
        raise KzooError(f"start={str(path)!r} is no .keras file. Give a run's folder, a .keras file or a model.")

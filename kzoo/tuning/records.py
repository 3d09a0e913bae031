"""The records in a search's folder; each class reads and writes its own file. Standard library only."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from kzoo.problems.stored_types import Config
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject, read_json, write_json
from kzoo.utils.formatting import shown
from kzoo.zoo.weights import NAMED, is_packaged_name

FORMAT = 1  # version of all these files; a file without a number has version 1
FINISHED = ("completed", "pruned", "diverged", "failed")


class Objective(NamedTuple):
    """The metric that a search optimises, and its direction, "max" or "min"."""

    name: str
    direction: str

    @property
    def sign(self) -> int:
        """1 if larger is better, -1 if smaller is better."""
        return 1 if self.direction == "max" else -1


@dataclass(frozen=True, kw_only=True)
class Request:
    """The settings of a search, with preset and data resolved: `search.json`.

    Args:
        data: describes the data: name, loading options, fingerprint, sizes.
        spec: the specification of the preset's network.
        weights, weights_sha256, freeze: initial weights of all trials by name, their hash, and the layers that stay
            frozen.
        space: as written by `Space.to_json`.
        engine, epochs, prune, folds, baseline, seed, trials: see `kzoo.tune`; "auto" is resolved.
        objective: the `Objective`.
        backend: the Keras backend.
        max_time: seconds, or None.
        parallel: number of concurrent trials.
        threads: threads of each trial's training; None for the machine's default.
        prefer, one_network: of "auto", see `kzoo.tune`.
        versions, machine, onednn, created: environment and start of the search; `onednn` is TensorFlow's setting, or
            None.
    """

    # In the order in which differences between two searches are reported.
    data: dict[str, Any]
    spec: dict[str, Any]
    weights: str | None = None
    weights_sha256: str | None = None
    freeze: str | bool | Sequence[str] | None = None
    space: dict[str, Any]
    engine: str
    objective: Objective
    epochs: int
    prune: str | None
    folds: int | None
    baseline: bool
    seed: int
    backend: str
    trials: int
    max_time: float | None
    parallel: int = 1
    threads: int | None = None
    prefer: str = "simple"
    one_network: bool = False
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: str = ""
    onednn: bool | None = None
    created: str = ""

    @property
    def is_auto(self) -> bool:
        """Whether the search compares baselines and presets (`kzoo.tune("auto")`)."""
        return self.engine == "auto"

    @property
    def has_custom_models(self) -> bool:
        """Whether the search is of models built by a user's function, not of a preset."""
        return self.spec["family"] is None and not self.is_auto

    @property
    def can_reload_weights(self) -> bool:
        """Whether the initial weights can be loaded by their name alone."""
        return self.weights in NAMED or is_packaged_name(self.weights, self.spec["preset"])

    @property
    def start(self) -> str:
        """The name of the first trial in messages."""
        return (
            "the best baseline"
            if self.is_auto
            else "the default"
            if self.has_custom_models
            else "the preset"
        )

    def to_json(self) -> JsonObject:
        """Return the request as plain data."""
        document = {f.name: getattr(self, f.name) for f in fields(self)}
        return (
            {"kzoo_search": 1, "format_version": FORMAT}
            | document
            | {"objective": self.objective._asdict()}
        )

    def stored(self) -> JsonObject:
        """Return the content of `search.json`: fields added by later versions are left out at their defaults."""
        defaults: JsonObject = dict(
            parallel=1,
            threads=None,
            weights=None,
            weights_sha256=None,
            freeze=None,
            onednn=None,
            prefer="simple",
            one_network=False,
        )
        return {
            name: value
            for name, value in self.to_json().items()
            if name not in defaults or value != defaults[name]
        }

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Write `search.json`."""
        write_json(Path(folder) / "search.json", self.stored())

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> "Request":
        """Return the request in a search's `search.json`.

        Raises:
            KzooError: the file is damaged, or has a format or an entry that this kzoo does not know.
        """
        file = Path(folder) / "search.json"
        try:
            document = read_json(file)
        except KzooError:
            raise
        except ValueError:
            raise KzooError(
                f"{file} is damaged: it is not valid JSON. Start a new search with kzoo.tune."
            ) from None
        if not isinstance(document, dict) or document.pop("kzoo_search", None) is None:
            raise KzooError(
                f"{file} was not written by kzoo.tune. Start a new search with kzoo.tune."
            )
        arguments = _checked_fields(cls, document, file)
        try:
            return cls(**arguments | {"objective": Objective(**arguments["objective"])})
        except (KeyError, TypeError):
            raise KzooError(
                f"{file} was not written by kzoo.tune: it lacks required entries. Start a new search with kzoo.tune."
            ) from None


@dataclass(frozen=True, kw_only=True)
class Round:
    """The position of a trial in Hyperband.

    Args:
        bracket, round: the indices of its bracket and of its round.
        until: the epoch up to which it is trained.
        parent: the number of the trial whose training it continues, or None.
    """

    bracket: int
    round: int
    until: int
    parent: int | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of a trial, or of one of its folds.

    Args:
        status: "running", "interrupted", or one of `FINISHED`.
        score: of the best epoch; with folds their mean. None if there is none.
        best_epoch: from 1.
        epochs: number of trained epochs.
        seconds: training time.
        params: number of parameters of the network.
        error: why there is no score, on one line.
        history: metric name -> its value after each epoch; with folds the mean.
        folds: the score of each fold, or None without folds.
        settled: the settings in which the trial differs from the search's specification: its overrides and what follows
            from them for the data. None for models of a function, and in trials of older versions.
    """

    status: str
    score: float | None = None
    best_epoch: int | None = None
    epochs: int = 0
    seconds: float = 0.0
    params: int | None = None
    error: str = ""
    history: Mapping[str, list] = field(default_factory=dict)
    folds: list | None = None
    settled: Mapping[str, Any] | None = None

    def write(self, file: str | os.PathLike[str]) -> None:
        """Write the outcome to a file."""
        write_json(file, {"format_version": FORMAT} | asdict(self))

    @classmethod
    def read(cls, file: str | os.PathLike[str]) -> "Outcome":
        """Return the outcome that `write` wrote."""
        return cls(**_checked_fields(cls, read_json(file), file))


@dataclass(frozen=True, kw_only=True)
class Trial(Outcome, Mapping):
    """A trial and its outcome so far: `trial.json`. It is also a mapping with the keys of that file.

    Args:
        number: from 0; called `trial` in the file.
        hyperparameters: the values of the active hyperparameters.
        overrides: the settings of the preset that they change.
        baseline: whether the trial is the preset itself.
        seed: of its training.
        hyperband: the `Round`, or None with other engines.
    """

    number: int
    hyperparameters: Mapping[str, Any]
    overrides: Mapping[str, Any]
    baseline: bool
    seed: int
    hyperband: Round | None = None

    def __repr__(self) -> str:
        score = "" if self.score is None else f", score {self.score:.4g}"
        changes = ", ".join(f"{name}={shown(value)}" for name, value in self.overrides.items())
        return f"<Trial {self.number}: {self.status}{score}; {changes or 'the preset itself'}>"

    def ended(self, outcome: Outcome) -> "Trial":
        """Return the trial with an outcome."""
        return replace(self, **{f.name: getattr(outcome, f.name) for f in fields(Outcome)})

    def to_json(self) -> JsonObject:
        """Return the trial as plain data; `hyperband`, `folds` and `settled` are left out if None."""
        record = asdict(self)
        document = {"format_version": FORMAT, "trial": record.pop("number")} | record
        return {
            name: value
            for name, value in document.items()
            if value is not None or name not in ("hyperband", "folds", "settled")
        }

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Write the trial atomically to the folder of its search."""
        path = trial_folder(folder, self.number)
        path.mkdir(parents=True, exist_ok=True)
        write_json(path / "trial.json", self.to_json())

    @classmethod
    def read(cls, file: str | os.PathLike[str]) -> "Trial":
        """Return the trial in a `trial.json`.

        Raises:
            KzooError: the file has a format or an entry that this kzoo does not know.
            OSError, ValueError: the file cannot be read, or is damaged.
        """
        document = read_json(file)
        if not isinstance(document, dict) or "trial" not in document:
            raise ValueError(f"{file} does not contain a trial")
        document["number"] = document.pop("trial")
        arguments = _checked_fields(cls, document, file)
        try:
            hyperband = Round(**arguments["hyperband"]) if arguments.get("hyperband") else None
            return cls(**arguments | {"hyperband": hyperband})
        except TypeError as error:
            raise ValueError(f"{file} lacks required entries") from error

    def __getitem__(self, name: str) -> object:
        return self.to_json()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.to_json())

    def __len__(self) -> int:
        return len(self.to_json())


@dataclass(frozen=True, kw_only=True)
class End:
    """The last end of a search: `end.json`.

    Args:
        because: "complete", "exhausted" (no new point in the space), "max_time", "stopped" (by a signal), or "failing"
            (all trials fail).
        complete: whether nothing is left to train.
        trials: the requested number of trials.
    """

    because: str
    complete: bool
    trials: int

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Write `end.json`."""
        write_json(Path(folder) / "end.json", {"format_version": FORMAT} | asdict(self))

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> "End | None":
        """Return the content of a search's `end.json`; None if it is missing or damaged."""
        file = Path(folder) / "end.json"
        try:
            return cls(**_checked_fields(cls, read_json(file), file))
        except KzooError:
            raise
        except (OSError, ValueError, TypeError):
            return None


@dataclass(frozen=True)
class Row:
    """A row of the leaderboard.

    Args:
        rank: from 1, the best.
        gain: the score minus the preset's, with a positive sign if it is better; None if either has no score.
        trial: the `Trial`.
    """

    rank: int
    gain: float | None
    trial: Trial

    def to_json(self) -> JsonObject:
        """Return the row as in `leaderboard.json`."""
        t = self.trial
        return dict(
            rank=self.rank,
            trial=t.number,
            status=t.status,
            score=t.score,
            gain=self.gain,
            best_epoch=t.best_epoch,
            epochs=t.epochs,
            seconds=t.seconds,
            parameters=t.params,
            baseline=t.baseline,
            hyperparameters=dict(t.hyperparameters),
            error=t.error,
        )


def trial_folder(folder: str | os.PathLike[str], number: int) -> Path:
    """Return the folder of a trial."""
    return Path(folder) / "trials" / f"{number:04d}"


def read_trials(folder: str | os.PathLike[str]) -> list[Trial]:
    """Return the trials of a search by number; damaged ones are skipped."""
    trials = []
    for path in Path(folder).glob("trials/*"):
        if not re.fullmatch(r"\d{4,}", path.name):
            continue
        try:
            trial = Trial.read(path / "trial.json")
        except KzooError:  # written by a newer kzoo: not damaged, so it is not skipped
            raise
        except (OSError, ValueError):
            continue
        if trial.number == int(path.name):
            trials.append(trial)
    return sorted(trials, key=lambda trial: trial.number)


def ranked(trials: Iterable[Trial], objective: Sequence[str]) -> list[Trial]:
    """Return trials from best to worst, those without a score last; of equal scores the earlier trial is first."""
    sign = Objective(*objective).sign
    return sorted(trials, key=lambda t: (t.score is None, -sign * (t.score or 0), t.number))


def best_of(trials: Iterable[Trial], objective: Sequence[str]) -> Trial | None:
    """Return the best trial, or None if none has a score; of equal scores the earliest, so the preset wins ties."""
    best = next(iter(ranked(trials, objective)), None)
    return None if best is None or best.score is None else best


def preset_score(trials: Iterable[Trial]) -> float | None:
    """Return the score of the trial that is the preset itself, or None."""
    return next((t.score for t in trials if t.baseline), None)


def leaderboard(trials: Iterable[Trial], objective: Sequence[str]) -> list[Row]:
    """Return the leaderboard, best first."""
    preset = preset_score(trials)
    sign = Objective(*objective).sign
    rows = []
    for rank, trial in enumerate(ranked(trials, objective), 1):
        gain = None if preset is None or trial.score is None else sign * (trial.score - preset)
        rows.append(Row(rank, gain, trial))
    return rows


def table_of(rows: Iterable[Row]) -> list[JsonObject]:
    """Return the leaderboard as dicts; `hp.NAME` is None where that hyperparameter is inactive."""
    names = list(dict.fromkeys(name for row in rows for name in row.trial.hyperparameters))
    table = []
    for row in rows:
        cells = row.to_json()
        values, error = cells.pop("hyperparameters"), cells.pop("error")
        table.append(cells | {f"hp.{name}": values.get(name) for name in names} | {"error": error})
    return table


def differing(before: Config, after: Config) -> JsonObject:
    """Return the settings of `after` that are missing in `before` or have another value there."""
    return {
        name: value for name, value in after.items() if name not in before or before[name] != value
    }


def _checked_fields(
    record_class: type, document: JsonObject, file: str | os.PathLike[str]
) -> JsonObject:
    """Return the entries of a file's JSON without the format version.

    Raises:
        KzooError: the format or an entry is unknown to this kzoo.
    """
    document = dict(document)
    version = document.pop("format_version", 1)
    if version != FORMAT:
        raise KzooError(
            f"{file} has format {version!r}, but this kzoo reads format {FORMAT}. Use a newer kzoo."
        )
    unknown = set(document) - {f.name for f in fields(record_class)}
    if unknown:
        raise KzooError(
            f"{file} has an unknown entry {min(unknown)!r}. A newer kzoo wrote it: update kzoo."
        )
    return document

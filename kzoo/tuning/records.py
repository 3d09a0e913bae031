"""What a search's folder says, as nouns: each reads and writes its own file. Standard library only."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from kzoo.utils.errors import KzooError
from kzoo.utils.files import read_json, write_json
from kzoo.utils.formatting import shown
from kzoo.weights import DOWNLOADED, is_word

FORMAT = 1  # of all these files; one without a number is of the first
FINISHED = ("completed", "pruned", "diverged", "failed")


class Objective(NamedTuple):
    """What is searched for: the name of a value that training reports, and whether it is to be "max" or "min"."""

    name: str
    direction: str

    @property
    def sign(self):
        """1 where more is better, -1 where less is."""
        return 1 if self.direction == "max" else -1


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked of a search, the preset and the data as they were settled: `search.json`.

    Args:
        data: describes the data: name, options of loading, fingerprint, sizes.
        spec: the specification of the preset's network.
        weights, weights_sha256, freeze: what trials begin with, by its name; what that holds; what of it they keep.
        space: as `Space.to_json` writes it.
        engine, epochs, prune, folds, baseline, seed, trials: see `kzoo.tune`; nothing is "auto" any more.
        objective: the `Objective`.
        backend: of Keras.
        max_time: seconds, or None.
        parallel: how many trials are under way at once.
        threads: of a trial's training; None for as many as the machine gives.
        versions, machine, onednn, created: where, how and when it began; `onednn` is TensorFlow's setting, or None.
    """

    # In the order in which a difference between two searches is explained best.
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
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: str = ""
    onednn: bool | None = None
    created: str = ""

    @property
    def own(self) -> bool:
        """Whether models of a function of the user's are searched, and no preset."""
        return self.spec["family"] is None

    @property
    def weights_at_hand(self) -> bool:
        """Whether what trials begin with is had by its word alone."""
        return self.weights == DOWNLOADED or is_word(self.weights, self.spec["preset"])

    @property
    def start(self) -> str:
        """What the first trial is, in words."""
        return "the default" if self.own else "the preset"

    def to_json(self) -> dict:
        """Return it as plain data."""
        document = {f.name: getattr(self, f.name) for f in fields(self)}
        return {"kzoo_search": 1, "format_version": FORMAT} | document | {"objective": self.objective._asdict()}

    def stored(self) -> dict:
        """Return it as `search.json` has it, which says of the fields that came later what is unusual."""
        defaults = dict(parallel=1, threads=None, weights=None, weights_sha256=None, freeze=None, onednn=None)
        return {
            name: value for name, value in self.to_json().items() if name not in defaults or value != defaults[name]
        }

    def write(self, folder):
        """Write a search's `search.json`."""
        write_json(Path(folder) / "search.json", self.stored())

    @classmethod
    def read(cls, folder) -> "Request":
        """Return what a search's `search.json` says.

        Raises:
            KzooError: it is damaged, or has what this kzoo does not know.
        """
        file = Path(folder) / "search.json"
        try:
            document = read_json(file)
        except ValueError:
            raise KzooError(f"{file} is damaged: it is not JSON. Tune again.") from None
        if not isinstance(document, dict) or document.pop("kzoo_search", None) is None:
            raise KzooError(f"{file} is not the one that kzoo.tune writes. Tune again.")
        arguments = _checked_fields(cls, document, file)
        try:
            return cls(**arguments | {"objective": Objective(**arguments["objective"])})
        except (KeyError, TypeError):
            raise KzooError(f"{file} is not the one that kzoo.tune writes: it lacks entries. Tune again.") from None


@dataclass(frozen=True, kw_only=True)
class Round:
    """Hyperband's place of a trial.

    Args:
        bracket, round: which.
        until: the epoch up to which it is trained.
        parent: the number of the trial whose training it continues, or None.
    """

    bracket: int
    round: int
    until: int
    parent: int | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a trial, or of one of its folds.

    Args:
        status: "running", "interrupted", or one of `FINISHED`.
        score: of the best epoch; over folds their mean. None where there is none.
        best_epoch: from 1.
        epochs: that were trained.
        seconds: of training.
        params: of the network.
        error: why there is no score, on one line.
        history: name -> its value after each epoch; over folds the mean.
        folds: the score of each fold, or None where there are no folds.
        settled: the settings that tell the trial from the search's specification, as they are for its data: what it
            overrides, and what follows from that. None of a function's models, and of trials from before it was kept.
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

    def write(self, file):
        """Write it to a file of its own."""
        write_json(file, {"format_version": FORMAT} | asdict(self))

    @classmethod
    def read(cls, file) -> "Outcome":
        """Return what `write` wrote."""
        return cls(**_checked_fields(cls, read_json(file), file))


@dataclass(frozen=True, kw_only=True)
class Trial(Outcome, Mapping):
    """A trial, with what came of it so far: `trial.json`. It can also be read by the names that it has there.

    Args:
        number: from 0; in the file it is called `trial`.
        hyperparameters: the values of those that count in it.
        overrides: the settings of the preset that these change.
        baseline: whether it is the preset itself.
        seed: of its training.
        hyperband: the `Round`, or None with another engine.
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

    def to_json(self) -> dict:
        """Return it as plain data; `hyperband`, `folds` and `settled` are there where they mean something."""
        record = asdict(self)
        document = {"format_version": FORMAT, "trial": record.pop("number")} | record
        return {
            name: value
            for name, value in document.items()
            if value is not None or name not in ("hyperband", "folds", "settled")
        }

    def write(self, folder):
        """Write it into the folder of its search, whole or not at all."""
        path = trial_folder(folder, self.number)
        path.mkdir(parents=True, exist_ok=True)
        write_json(path / "trial.json", self.to_json())

    @classmethod
    def read(cls, file) -> "Trial":
        """Return what a `trial.json` says.

        Raises:
            KzooError: it has what this kzoo does not know.
            OSError, ValueError: it cannot be read, or is damaged.
        """
        document = read_json(file)
        if not isinstance(document, dict) or "trial" not in document:
            raise ValueError(f"{file} holds no trial")
        document["number"] = document.pop("trial")
        arguments = _checked_fields(cls, document, file)
        try:
            hyperband = Round(**arguments["hyperband"]) if arguments.get("hyperband") else None
            return cls(**arguments | {"hyperband": hyperband})
        except TypeError as error:
            raise ValueError(f"{file} lacks entries") from error

    def __getitem__(self, name):
        return self.to_json()[name]

    def __iter__(self):
        return iter(self.to_json())

    def __len__(self):
        return len(self.to_json())


@dataclass(frozen=True, kw_only=True)
class End:
    """How a search ended last: `end.json`.

    Args:
        because: "complete", "exhausted" (no new point in the space), "max_time", "stopped" (a signal), or "failing"
            (nothing but failures).
        complete: whether nothing is left to train.
        trials: that had been asked for.
    """

    because: str
    complete: bool
    trials: int

    def write(self, folder):
        """Write a search's `end.json`."""
        write_json(Path(folder) / "end.json", {"format_version": FORMAT} | asdict(self))

    @classmethod
    def read(cls, folder) -> "End | None":
        """Return what a search's `end.json` says, or None where it has none, or a damaged one."""
        file = Path(folder) / "end.json"
        try:
            return cls(**_checked_fields(cls, read_json(file), file))
        except KzooError:
            raise
        except (OSError, ValueError, TypeError):
            return None


@dataclass(frozen=True)
class Row:
    """A line of the leaderboard.

    Args:
        rank: from 1, the best.
        gain: of the score over the preset's, more is better; None where one of them has none.
        trial: the `Trial`.
    """

    rank: int
    gain: float | None
    trial: Trial

    def to_json(self) -> dict:
        """Return it as `leaderboard.json` has it."""
        t = self.trial
        return dict(
            rank=self.rank, trial=t.number, status=t.status, score=t.score, gain=self.gain, best_epoch=t.best_epoch,
            epochs=t.epochs, seconds=t.seconds, parameters=t.params, baseline=t.baseline,
            hyperparameters=dict(t.hyperparameters), error=t.error,
        )  # fmt: skip


def trial_folder(folder, number) -> Path:
    """Return the folder of a trial."""
    return Path(folder) / "trials" / f"{number:04d}"


def read_trials(folder) -> list[Trial]:
    """Return the trials of a search, in the order of their numbers; one that is damaged is as one that never was."""
    trials = []
    for path in Path(folder).glob("trials/*"):
        if not re.fullmatch(r"\d{4,}", path.name):
            continue
        try:
            trial = Trial.read(path / "trial.json")
        except KzooError:  # what a newer kzoo wrote is not damaged
            raise
        except (OSError, ValueError):
            continue
        if trial.number == int(path.name):
            trials.append(trial)
    return sorted(trials, key=lambda trial: trial.number)


def ranked(trials, objective) -> list[Trial]:
    """Return trials from the best to the worst, those without a score last; of equals the earlier one is better."""
    sign = Objective(*objective).sign
    return sorted(trials, key=lambda t: (t.score is None, -sign * (t.score or 0), t.number))


def best_of(trials, objective) -> Trial | None:
    """Return the best trial, or None where none has a score; of equals the earliest, so the preset before others."""
    best = next(iter(ranked(trials, objective)), None)
    return None if best is None or best.score is None else best


def preset_score(trials) -> float | None:
    """Return the score of the trial that is the preset itself, or None."""
    return next((t.score for t in trials if t.baseline), None)


def leaderboard(trials, objective) -> list[Row]:
    """Return the leaderboard, best first."""
    preset, sign = preset_score(trials), Objective(*objective).sign
    rows = []
    for rank, trial in enumerate(ranked(trials, objective), 1):
        gain = None if preset is None or trial.score is None else sign * (trial.score - preset)
        rows.append(Row(rank, gain, trial))
    return rows


def table_of(rows) -> list[dict]:
    """Return a leaderboard's columns; `hp.NAME` for each hyperparameter is empty (None) where it does not count."""
    names = list(dict.fromkeys(name for row in rows for name in row.trial.hyperparameters))
    table = []
    for row in rows:
        cells = row.to_json()
        values, error = cells.pop("hyperparameters"), cells.pop("error")
        table.append(cells | {f"hp.{name}": values.get(name) for name in names} | {"error": error})
    return table


def differing(before, after) -> dict[str, Any]:
    """Return the settings of `after` that `before` does not have, or has with another value."""
    return {name: value for name, value in after.items() if name not in before or before[name] != value}


def _checked_fields(record_class, document, file) -> dict:
    """Return the entries of a file's JSON, but for the number of its format.

    Raises:
        KzooError: a format, or an entry, that this kzoo does not know.
    """
    document = dict(document)
    version = document.pop("format_version", 1)
    if version != FORMAT:
        raise KzooError(f"{file} has the format {version!r}, and this kzoo reads {FORMAT}: a newer kzoo wrote it.")
    unknown = set(document) - {f.name for f in fields(record_class)}
    if unknown:
        raise KzooError(f"{file} has an entry {min(unknown)!r}, which this kzoo does not know: a newer kzoo wrote it.")
    return document

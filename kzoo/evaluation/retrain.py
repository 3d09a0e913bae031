"""`kzoo check RUN --retrain`: repeat the training of a run in a fresh process, and compare."""

import json
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from kzoo.checks.finding import Finding
from kzoo.data.named import NAMES
from kzoo.utils import child_process, onednn
from kzoo.utils.address import is_remote_address
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.files import JsonObject, check_writable, finite
from kzoo.utils.formatting import shown
from kzoo.zoo import retrained
from kzoo.zoo.results import number
from kzoo.zoo.run import Run
from kzoo.zoo.untracked import run_or_none

# Largest difference of the deciding score, as a share of its value, if versions, processors or threads differ: three
# times what was measured (docs/how_to/reproduce.md).
TOLERANCE = 0.02
# Options of the command whose values are names of files; a run stores no folders.
_FILES = ("--data", "--test", "--validation", "--calibration", "--repairs", "--weights")
Differences: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Retraining:
    """The result of repeating a training.

    Args:
        run: path of the run.
        command: the recorded command.
        result: "equal" (all weights have the same bits); "within" (they differ, as version, setting, processor or
            threads do, and the score is within the tolerance); "differs"; or "data" (the data differ: nothing was
            trained).
        differences: what differs between the recorded training and this one: pairs of one of "data", "version",
            "setting", "processor", "threads", and a text, in this order.
        weights: number of `arrays`, the sha256 of each array of the run (`sha256`), and, if one differs, the first
            `layer`, its `array`, and the largest `difference` of its values.
        score: name, split, and the values `recorded` and `here` of the score that decides; with its `tolerance`.
        statement: the result as a sentence with date and machine; "" if nothing was trained.
        out: folder of the repeated run, if it was kept.
    """

    run: str
    command: str
    result: str
    differences: Differences = ()
    weights: JsonObject = field(default_factory=dict)
    score: JsonObject | None = None
    statement: str = ""
    out: str | None = None

    @property
    def hint(self) -> str:
        """What may explain other weights although nothing differs; "" otherwise."""
        if self.result != "differs" or self.differences or "--deterministic" in self.command:
            return ""
        return (
            "Nothing else differs: an operation may add numbers in the order in which threads finish. Train with "
            "deterministic=True to prevent this."
        )

    @property
    def failed(self) -> bool:
        """Whether the run could not be reproduced."""
        return self.result not in ("equal", "within")

    def json(self) -> JsonObject:
        """Return plain data."""
        return finite(asdict(self) | {"differences": [list(pair) for pair in self.differences]})

    def findings(self) -> list[Finding]:
        """Return an error if the run could not be reproduced."""
        if not self.failed:
            return []
        first = dict(self.differences)
        what = f"data: {first['data']}" if self.result == "data" else self.statement
        return [
            Finding(
                level="error",
                check="retraining",
                what=what,
                where=self.run,
                why="the recorded command does not give this run here",
                fix="Pass the data that the run was trained on."
                if self.result == "data"
                else self.hint
                or "Install the recorded versions, and repeat it on a processor of the same kind.",
            )
        ]

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """Return the result as lines of text."""
        lines = [f"{name}: {text}" for name, text in self.differences]
        if self.result == "data":
            return [*lines, "Nothing was trained."]
        if "layer" in self.weights:
            difference = self.weights["difference"]
            by = "has another shape" if difference is None else f"by up to {difference:.2g}"
            lines.append(
                f"weights: layer {self.weights['layer']} is the first that differs, {self.weights['array']} {by}"
            )
        else:
            lines.append(f"weights: {self.weights['arrays']} arrays have the same bits")
        return [*lines, self.statement, *([self.hint] if self.hint else [])]


def retrain(
    run_or_path: "Run | str | os.PathLike[str]",
    data: str | os.PathLike[str] | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Retraining:
    """Repeat the training of a run in a fresh process, compare, and store the result in `retrained.json` of the run.

    Args:
        run_or_path: a finished run that records its command.
        data: the training data, if it is not where the command names it.
        out: an empty or new folder to keep the repeated run; by default it is removed.
        progress: False prints nothing.

    Raises:
        KzooError: the run cannot be repeated.
    """
    run = run_or_none(run_or_path)
    if run is None:
        raise KzooError(f"{shown(str(run_or_path))} is not a run. Only a run can be trained again.")
    words = command_words(run, data)
    if out is not None:
        check_writable(Path(out), out)
        if Path(out).is_dir() and any(Path(out).iterdir()):
            raise KzooError("is not empty. Use a new folder.", argument="out", value=str(out))
    keep = None if out is None else Path(out)
    temporary = Path(tempfile.mkdtemp(prefix="kzoo-retrain-"))
    try:
        folder = temporary / "run" if keep is None else keep
        told: JsonObject = {}
        for event in _events(run, [*words, "--out", os.fspath(folder)], folder, progress=progress):
            told |= event
            if "differences" in event and progress:
                for name, text in event["differences"]:
                    print(f"differs: {name}: {text}", file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    if "error" in told:
        raise KzooError(f"{run.path} cannot be trained again: {told['error']}")
    if "differences" not in told or ("weights" not in told and not told.get("stopped")):
        raise KzooError(
            f"{run.path} could not be trained again: the process ended early. Pass out= to keep its files."
        )
    differences = tuple((name, text) for name, text in told["differences"])
    common: Any = dict(run=os.fspath(run.path), command=run.config["command"])
    if "weights" not in told:
        return Retraining(**common, result="data", differences=differences)
    weights, score = told["weights"], told["score"]
    result = _result(weights, score, bool(differences))
    created = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    start = f"Retrained on {created[:10]} on {told['machine']}"
    statement = _statement(start, result, weights, score, differences)
    record = dict(
        created=created,
        machine=told["machine"],
        result=result,
        statement=statement,
        differences=[list(pair) for pair in differences],
        weights=weights,
        score=score,
        **{name: told[name] for name in ("versions", "processor", "threads")},
    )
    try:
        if (address := getattr(run.path, "address", None)) is not None:
            warn(f"{address}: the result is not stored, because the run is not in a folder.")
        else:
            retrained.write(run, finite(record))
    except OSError as error:
        warn(f"{run.path}: the result is not stored: {error.strerror or error}.")
    return Retraining(
        **common,
        result=result,
        differences=differences,
        weights=weights,
        score=score,
        statement=statement,
        out=None if keep is None else os.fspath(keep),
    )


# ---------------------------------------------------------------- the command


def command_words(run: Run, data: str | os.PathLike[str] | None = None) -> list[str]:
    """Return the words of a run's recorded command behind `kzoo train`, with the files where they are here.

    Args:
        run: the run.
        data: its training data, if it is not in the current folder.

    Raises:
        KzooError: the run records no command, is not finished, or a file is missing.
    """
    if not run.tracked or run.folder is None:
        raise KzooError(f"{run!r} records no command. Only runs of `kzoo train` can be repeated.")
    config, spec = run.config, run.spec
    name = run.path
    if spec.is_baseline:
        raise KzooError(
            f"{name} is a baseline, which kzoo.baselines.train fits in Python. Only trainings can be repeated."
        )
    if spec.members:
        raise KzooError(
            f"{name} is an ensemble of {len(spec.members)} runs. Repeat its members: "
            f"{', '.join(dict.fromkeys(member.run for member in spec.members))}."
        )
    if not run.finished or run.summary.get("interrupted"):
        raise KzooError(f"{name} is not finished. Resume it first, by its command.")
    command = config.get("command")
    if command is None:
        what = "model" if config.get("own_model") or spec.family is None else "data or settings"
        raise KzooError(
            f"{name} records no command, because its {what} came from Python code or a search. Run that again, and "
            "compare the runs with `kzoo compare`."
        )
    if config.get("callbacks"):
        raise KzooError(
            f"{name} was trained with callbacks of Python code ({', '.join(config['callbacks'])}), which its command "
            "does not contain. Run that code again."
        )
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if words[:2] != ["kzoo", "train"]:
        is_fold = command.startswith("kzoo.cross_validate(")
        reason = (
            "is a fold of a cross-validation, which this call repeats"
            if is_fold
            else "records a command that is not `kzoo train`"
        )
        raise KzooError(f"{name} {reason}: {command}")
    words = _with_data(words[2:], data, run)
    for i, word in enumerate(words[:-1]):
        if word in _FILES:
            words[i + 1] = _where(word, words[i + 1], run, data)
    return words


def _with_data(words: list[str], data: str | os.PathLike[str] | None, run: Run) -> list[str]:
    """Return the words with the path of the data, if it is passed."""
    if data is None:
        return words
    if not isinstance(data, str | os.PathLike):
        raise KzooError("must be a path: the training is repeated by its command.", argument="data")
    if "--data" not in words:
        raise KzooError(
            f"has no effect: {run.path} was trained on the preset's own data set, {run.data.name}. Omit it.",
            argument="data",
            value=str(data),
        )
    i = words.index("--data")
    path = getattr(data, "address", None) or os.path.abspath(data)
    return [*words[: i + 1], path, *words[i + 2 :]]


def _where(option: str, word: str, run: Run, data: str | os.PathLike[str] | None) -> str:
    """Return where the file of an option is: here, beside the data, or beside the run; an address is unchanged.

    Raises:
        KzooError: it is nowhere.
    """
    is_name = word in NAMES and option != "--weights"
    if _is_fraction(word) or is_name or is_remote_address(word):
        return word
    folders = [Path(), *([] if data is None else [Path(data).parent]), run.path.parent]
    for folder in folders if option != "--data" else folders[:1]:
        if (folder / word).exists():
            return os.fspath(folder / word)
    if option == "--weights":
        return word  # a name of pretrained weights: the command says if it is none
    if option == "--data":
        raise KzooError(
            f"{run.path} was trained on {word!r}, which is not here. Pass its path as data=.",
            argument="data",
            complete=True,
        )
    beside = "" if data is None else ", nor beside the data"
    raise KzooError(
        f"{run.path} was trained with {option} {word}, which is not here{beside}. Go to the folder that contains it."
    )


def _is_fraction(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


# ---------------------------------------------------------------- the process


def _events(run: Run, words: list[str], folder: Path, *, progress: bool) -> Iterator[JsonObject]:
    """Train in a fresh process, and yield what it tells: differences, then weights and score, or an error."""
    # the results of checks and baselines are known, and do not change the weights
    words = [*words, "--resume", "never", "--no-check", "--no-baselines", "--debug"]
    job = dict(
        words=words if progress else [*words, "--quiet"],
        run=os.fspath(run.path.absolute()),
        out=os.fspath(folder.absolute()),
    )
    environment = dict(os.environ)
    backend = run.config.get("backend")
    if backend:
        environment["KERAS_BACKEND"] = backend
    if (setting := onednn.recorded(run.config)) is not None:
        environment.setdefault(onednn.VARIABLE, str(int(setting)))
    process = child_process.start("kzoo.evaluation.retrain_worker", environment=environment)
    assert process.stdin is not None and process.stdout is not None
    try:
        with process.stdin as stdin, process.stdout as stdout:
            stdin.write(json.dumps(job).encode() + b"\n")
            stdin.flush()
            for line in stdout:
                yield json.loads(line)
    except BrokenPipeError:
        return
    finally:
        process.kill()
        process.wait()


# ---------------------------------------------------------------- the result


def _result(weights: JsonObject, score: JsonObject | None, may_differ: bool) -> str:
    if "layer" not in weights:
        return "equal"
    is_near = score and abs(score["here"] - score["recorded"]) <= score["tolerance"]
    return "within" if may_differ and is_near else "differs"


def _statement(
    start: str,
    result: str,
    weights: JsonObject,
    score: JsonObject | None,
    differences: Differences,
) -> str:
    if result == "equal":
        return f"{start}: weights equal."
    if not differences:
        compared = "" if score is None else f"; {_score_text(score)}"
        return f"{start}: weights differ, first in layer {weights['layer']}{compared}."
    names = list(dict.fromkeys(name for name, _ in differences))
    start = f"{start}: weights differ (different {', '.join(names)})"
    if score is None:
        return f"{start}; no score to compare."
    where = "within" if result == "within" else "outside"
    return f"{start}; {_score_text(score)}, {where} the tolerance of {score['tolerance']:.2g}."


def _score_text(score: JsonObject) -> str:
    recorded, here = (number(score[name], score["name"]) for name in ("recorded", "here"))
    return f"{score['split']} {score['name'].replace('_', ' ')} {recorded} recorded, {here} here"

"""`kzoo train --folds K` and `--ensemble N`: several runs, and one that predicts by their mean."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from kzoo.cli import keras_import, shared, tables
from kzoo.utils.errors import Interrupted, KzooError, warn
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import duration, plural
from kzoo.zoo.results import number
from kzoo.zoo.run import Run

if TYPE_CHECKING:
    from kzoo.evaluation.cross_validate import CrossValidation
    from kzoo.zoo.registry.preset import Preset


_MOST_SEEDS = 100
_IN_ORDER = (
    "Each fold was trained on the rows before it, and tested on those after. For a run that forecasts, train on all "
    "rows: leave out --folds."
)


def check_options(args: argparse.Namespace) -> None:
    """Raise KzooError for options that have no effect on several runs."""
    option = "--folds" if args.folds is not None else "--ensemble"
    if args.folds is not None and args.ensemble is not None:
        raise KzooError(
            "--folds and --ensemble exclude each other: folds already predict by their mean. Remove one."
        )
    if args.ensemble is not None and not 2 <= args.ensemble <= _MOST_SEEDS:
        raise KzooError(f"--ensemble {args.ensemble} must be from 2 to {_MOST_SEEDS}.")
    if args.max_time is not None:
        raise KzooError(
            f"--max-time {args.max_time} is for one training, and {option} makes several. Use --epochs."
        )
    if args.resume != "auto":
        raise KzooError(
            f"--resume {args.resume} is for a single run. Remove it: with {option}, finished runs are kept and a "
            "stopped one is resumed; --overwrite starts over."
        )
    if args.folds is not None:
        for name, value, default in (
            ("--test", args.test, None),
            ("--data-seed", args.data_seed, 0),
        ):
            if value != default:
                raise KzooError(
                    f"{name} {value} has no effect with --folds: each fold is the test split once, and --seed draws "
                    "the folds. Remove it."
                )


def train_folds(args: argparse.Namespace, preset: "Preset", options: JsonObject) -> JsonObject:
    """Cross-validate, and combine the folds into one run; return the document of the command."""
    for name in ("test", "resume", "data_seed", "max_time"):
        options.pop(name)
    out = Path(args.out or f"runs/cross-{preset.name}")
    scores = keras_import.import_quietly("kzoo.evaluation").cross_validate(
        preset, args.data, folds=args.folds, **options | dict(out=out)
    )
    document = dict(
        preset=preset.name, folds=args.folds, scores=_stored(scores), table=repr(scores), run=None
    )
    # the first folds know little of the series
    if Run(scores["runs"][0]).problem.ordered:
        return document | dict(runs=[os.fspath(path) for path in scores["runs"]], note=_IN_ORDER)
    try:
        run = keras_import.import_quietly("kzoo.evaluation").ensemble(
            scores["runs"], out=out / "ensemble", overwrite=args.overwrite
        )
    except KzooError as error:  # the scores, which took the time, are valid
        warn(f"The folds cannot be combined into one run: {error}")
        return document | dict(runs=[os.fspath(path) for path in scores["runs"]])
    return document | _of_run(run)


def train_seeds(args: argparse.Namespace, preset: "Preset", options: JsonObject) -> JsonObject:
    """Train with several seeds on the same split, and combine the runs; return the document of the command."""
    options.pop("resume")
    seed = options.pop("seed")
    out = Path(args.out or f"runs/ensemble-{preset.name}")
    train = keras_import.import_quietly("kzoo.training").train
    runs = []
    for member_seed in range(seed, seed + args.ensemble):
        try:
            run = train(
                preset,
                args.data,
                seed=member_seed,
                **options | dict(out=out / f"seed-{member_seed:02d}"),
            )
        except Interrupted as interrupt:
            raise KzooError(
                f"Interrupted at seed {member_seed}. Repeat the command to resume; {interrupt.run.path} has the best "
                "weights of this seed so far."
            ) from None
        runs.append(run)
    combined = keras_import.import_quietly("kzoo.evaluation").ensemble(
        runs, data=args.data, out=out / "ensemble", overwrite=args.overwrite
    )
    return dict(preset=preset.name, summary=combined.summary) | _of_run(combined)


def render(document: JsonObject) -> str:
    """Return the text of a document of `train_folds` or `train_seeds`."""
    lines = _fold_lines(document) if "folds" in document else _seed_lines(document)
    if document["run"] is not None:
        lines += tables.columns(
            [
                ("run", document["run"]),
                shared.usage_example(document["run"], document["task"], document["inputs"]),
            ]
        )
    return "\n".join(lines)


def _fold_lines(document: JsonObject) -> list[str]:
    lines = document["table"].splitlines()
    if "note" in document:
        lines.append(document["note"])
    if document["run"] is not None:
        lines.append(
            "The run predicts by the mean of the folds. Its rows were all trained on: the scores above are those of "
            "single folds, and the mean is rarely worse."
        )
    return lines


def _seed_lines(document: JsonObject) -> list[str]:
    summary = document["summary"]
    gain = summary["ensemble"]
    members, split, metric = gain["members"], gain["split"], gain["metric"]
    lines = [
        f"{document['preset']}: {plural(len(members), 'seed')}, {duration(summary['seconds'])} to combine."
    ]
    rows = [
        (member["run"], number(member[split], metric))
        for member in members
        if member[split] is not None
    ]
    if (scores := summary.get(split)) and metric in scores:
        rows.append(("ensemble", number(scores[metric], metric)))
    return [*lines, f"{metric} on the {split} split:", *tables.columns(rows)]


def _of_run(run: Run) -> JsonObject:
    return dict(run=os.fspath(run.path), task=run.data.task, inputs=run.data.inputs)


def _stored(scores: "CrossValidation") -> JsonObject:
    """Return the scores of a cross-validation as plain data, without the predictions."""
    return {name: value for name, value in scores.items() if name != "out_of_fold"} | {
        "runs": [os.fspath(path) for path in scores["runs"]]
    }

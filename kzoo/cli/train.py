"""Train a preset on its own data set or on your data; writes one folder."""

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from kzoo.cli import backend, keras_import, shared, tables, train_members
from kzoo.inference.tasks.target_scores import mixes_units
from kzoo.inference.tasks.weighted import by_weighting
from kzoo.problems.data_arguments import FLAGS
from kzoo.problems.stored_types import may_be_same_run
from kzoo.problems.tasks import score_named
from kzoo.utils import onednn
from kzoo.utils.address import is_remote_address
from kzoo.utils.argument_checks import checked_seconds, checked_steps_per_call
from kzoo.utils.discovery import numbered_in
from kzoo.utils.errors import Interrupted, KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import duration, number
from kzoo.zoo.registry import Preset, get_preset, resolve
from kzoo.zoo.registry.arguments import BUNDLES
from kzoo.zoo.results import baselines, repairs
from kzoo.zoo.results.bias import bias_warnings
from kzoo.zoo.results.coverage import coverage_warnings
from kzoo.zoo.run import Run
from kzoo.zoo.weights import name_of as weights_name

EXAMPLES = """\
examples:
  kzoo train digits_cnn                        on its own data, no download
  kzoo train image_cnn --data photos/          one subfolder per class
  kzoo train tabular_fnn --data churn.csv --target churned
  kzoo train auto --data churn.csv --target churned    a suggested preset
  kzoo train tabular_fnn --data survey.csv --target income --sample-weight w
  kzoo train text_cnn --data reviews/          one text file per class, or a CSV
  kzoo train series_gru --data power.csv --time date --target load
  kzoo train char_gru --data book.txt          a language model
  kzoo train cifar_cnn --epochs 10 --set filters=32,64 dropout=0.2
  kzoo train tabular_fnn --data churn.csv --target churned --folds 5
  kzoo train image_cnn --data photos/ --max-time 10m
  kzoo train image_cnn --data pets/ --weights runs/image_cnn-01 --freeze "stem*"

The weights of the epoch that is best on the validation data are kept; the test
data is used once, at the end. Ctrl-C stops early and keeps the best model so
far. If training was stopped or killed, the same command resumes it, with
bit-identical results. `kzoo show PRESET` lists the settings that --set accepts.
"""

# Options of this command, which --set refuses.
_OPTIONS = (
    "data",
    "out",
    "seed",
    "weights",
    "freeze",
    "precision",
    "devices",
    "deterministic",
    "overwrite",
    "resume",
    "check",
    "steps_per_call",
    "backend",
    "baselines",
    "folds",
    "ensemble",
    "max_time",
    *FLAGS,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "preset",
        metavar="PRESET",
        help="a name from `kzoo list`, or a preset file such as mine.toml; auto: the first that `kzoo check` suggests "
        "for --data",
    )
    add(
        "--data",
        metavar="SOURCE",
        help="a named data set, a folder, a table (CSV), text or .npz file, or an address such as s3://bucket/x.csv; "
        "default: the preset's data set",
    )
    add(
        "--out",
        metavar="FOLDER",
        help="folder of the run, or an address to which it is uploaded, such as s3://bucket/runs/1; default: "
        "runs/PRESET-NN",
    )
    add("--overwrite", action="store_true", help="if --out contains a different run, replace it")
    add(
        "--resume",
        default="auto",
        metavar="HOW",
        help="auto (default): resume a stopped run with the same settings; must: fail if there is none; never: "
        "start over",
    )
    add(
        "--steps-per-call",
        default="auto",
        metavar="N",
        help="training steps per compiled call; auto (default): several, where that is faster; 1: as in Keras' "
        "own training loop",
    )
    backend.add_option(parser)
    add(
        "--deterministic",
        action="store_true",
        help="make runs bit-identical, even on GPUs (slower)",
    )
    add("--no-check", action="store_true", help="train even if `kzoo check` finds errors")
    add("--no-baselines", action="store_true", help="do not score baselines")
    add("--quiet", action="store_true", help="do not show progress")
    add(
        "--folds",
        type=int,
        metavar="K",
        help="cross-validate: train once per fold, and write one run that predicts by the mean of the folds",
    )
    add(
        "--ensemble",
        type=int,
        metavar="N",
        help="train with N seeds on the same split, and write one run that predicts by their mean",
    )
    add(
        "--max-time",
        metavar="TIME",
        help="time limit, such as 90s, 5m or 1h30m: trains for as many epochs as fit (at most --epochs); schedules are "
        "adjusted accordingly",
    )
    add_training_options(parser)


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for data and settings of a training, which `kzoo check` takes too."""
    shared.add_data_options(parser)
    add = parser.add_argument
    add(
        "--epochs",
        type=int,
        metavar="N",
        help="number of epochs; schedules are adjusted accordingly",
    )
    add(
        "--max-steps",
        type=int,
        metavar="N",
        help="maximum number of steps: trains for fewer epochs, or for one shortened epoch; schedules are "
        "adjusted accordingly",
    )
    add(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="seed for the initial weights, the order of the data and augmentation (default 0)",
    )
    add(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="change settings of the preset",
    )
    shared.add_decision_options(parser)
    add_weights_options(parser)
    add("--callbacks", metavar="BUNDLE", help=f"callback bundle: {', '.join(BUNDLES)}")
    add(
        "--devices",
        type=int,
        metavar="N",
        help="number of devices on this machine that share each batch (JAX only)",
    )
    add(
        "--precision",
        default="auto",
        metavar="NAME",
        help="auto, float32, mixed_bfloat16 or mixed_float16",
    )


def run(args: argparse.Namespace) -> JsonObject:
    if not is_remote_address(args.out):
        return _train(args)
    if args.folds is not None or args.ensemble is not None:
        raise KzooError(
            "is an address, and --folds and --ensemble write several runs. Use a folder.",
            argument="out",
            value=args.out,
        )
    word = args.out
    # Before Keras is imported: the state there says which backend a stopped run has.
    runs = import_module("kzoo.zoo.uploaded")
    with runs.uploaded_run(word, overwrite=args.overwrite) as target:
        args.out = target.folder
        document = _train(args)
    if document["interrupted"]:  # the address has its state only
        return document
    return document | dict(run=str(target.result.address))


def _train(args: argparse.Namespace) -> JsonObject:
    started = getattr(args, "started", time.monotonic())
    settings = settings_of(args)
    check_settings(args, settings)
    preset = preset_of(args)
    options = _train_options(args, settings)
    if args.folds is not None or args.ensemble is not None:
        train_members.check_options(args)
        backend.choose_backend(args, preset.name, iter(()))
        train_several = (
            train_members.train_seeds if args.folds is None else train_members.train_folds
        )
        return train_several(args, preset, options)
    backend.choose_backend(args, preset.name, _resumable_runs(args, preset, settings))
    try:
        train = keras_import.import_quietly("kzoo.training").train
        # importing Keras counts too
        with import_module("kzoo.training.max_time").counted_from(started):
            run = train(preset, args.data, **options)
    except Interrupted as interrupt:
        run = interrupt.run
    summary = run.summary
    return dict(
        run=os.fspath(run.path),
        preset=preset.name,
        data=run.data.name,
        inputs=run.data.inputs,
        task=run.data.task,
        interrupted=bool(summary.get("interrupted")),
        summary=summary,
        in_units=run.problem.task.in_units(
            summary.get("test") or summary.get("validation") or {}, run.target
        ),
        doubts=[
            *run.problem.task.score_warnings(
                summary.get("test") or summary.get("validation") or {}
            ),
            *coverage_warnings(summary.get("conformal")),
            *bias_warnings(summary),
        ],
    )


def _resumable_runs(
    args: argparse.Namespace, preset: Preset, settings: JsonObject
) -> Iterator[backend.Resumable]:
    """Yield the folder and the backend of each run that this command may resume, newest first."""
    if args.out is not None:  # `kzoo.train` checks whether it is the same run
        folders = [] if args.overwrite else [Path(args.out)]
    else:
        folders = [] if args.resume == "never" else list(numbered_in("runs", preset.name).values())
    for folder in folders:
        with suppress(KzooError):  # not a run, or a damaged run
            run = Run(folder)
            backend_name = run.config.get("backend")
            if not backend_name:
                continue
            if args.out is not None or (
                run.stopped and _may_be_same_run(run, args, preset, settings)
            ):
                yield backend.Resumable(folder, backend_name, onednn.recorded(run.config))


def _may_be_same_run(
    run: Run, args: argparse.Namespace, preset: Preset, settings: JsonObject
) -> bool:
    """Return whether a run may be the run of this command, as far as this is known without loading data."""
    name = import_module("kzoo.data.named").name_of(args.data or preset.dataset or "")
    requested = dict(
        data=shared.requested_data_options(args).stored() | {"name": name},
        spec={"preset": preset.name, "revision": preset.revision, "seed": args.seed},
        weights=args.weights and weights_name(args.weights, preset.name),
        freeze=freeze_argument(args.freeze),
        deterministic=args.deterministic,
        devices=args.devices,
    )
    # `auto` depends on the device, which is unknown until Keras is imported.
    if args.precision != "auto":
        requested["precision"] = args.precision
    seconds = None if args.max_time is None else checked_seconds("max_time", args.max_time)
    if (run.config.get("max_time") or {}).get("seconds") != seconds:
        return False
    return may_be_same_run(run.config, requested, settings)


def _train_options(args: argparse.Namespace, settings: JsonObject) -> JsonObject:
    """Return the keyword arguments of `kzoo.train`."""
    steps = args.steps_per_call  # a number, or "auto"
    return settings | dict(
        out=args.out,
        max_time=args.max_time,
        overwrite=args.overwrite,
        steps_per_call=checked_steps_per_call(int(steps) if steps.isdecimal() else steps),
        resume=args.resume,
        deterministic=args.deterministic,
        check=not args.no_check,
        baselines=not args.no_baselines,
        progress=not args.quiet,
        seed=args.seed,
        weights=args.weights,
        precision=args.precision,
        devices=args.devices,
        freeze=freeze_argument(args.freeze),
        **shared.data_options(args),
    )


def settings_of(args: argparse.Namespace) -> JsonObject:
    """Return the settings changed by a command with the options of `add_training_options`: see `common.settings_of`."""
    return shared.settings_of(args, _OPTIONS)


def preset_of(args: argparse.Namespace) -> Preset:
    """Return the preset of a command, resolved by `preflight` if that succeeded.

    Raises:
        KzooError: there is no such preset.
    """
    return get_preset(args.preset) if args.resolved is None else args.resolved.preset


def check_settings(args: argparse.Namespace, settings: JsonObject) -> None:
    """Raise KzooError for wrong names and values of settings, before the seconds that importing Keras takes."""
    if args.resolved is None or args.resolved.settings is None:
        resolve(preset_of(args), settings)


def add_weights_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for initial weights: of a training, or of each trial of a search."""
    parser.add_argument(
        "--weights",
        metavar="WHAT",
        help="initial weights: a run, an exported model, a .keras or .weights.h5 file, hub:PLACE/NAME, the name of "
        "pretrained weights in the package, or imagenet (backbone weights, downloaded by Keras)",
    )
    parser.add_argument(
        "--freeze",
        nargs="*",
        metavar="LAYER",
        help="layers to freeze; without a value, all layers that get their weights from --weights",
    )


def freeze_argument(words: Sequence[str] | None) -> tuple[str, ...] | bool | None:
    """Return the words of --freeze as the argument `freeze` of `kzoo.train`."""
    if words is None:
        return None
    return tuple(words) if words else True


def render(document: JsonObject, args: argparse.Namespace) -> str:
    if args.folds is not None or args.ensemble is not None:
        return train_members.render(document)
    summary, folder = document["summary"], document["run"]
    epoch = f"best epoch {summary['best_epoch']} of {summary['epochs']}, by {summary['monitor']}"
    if document["interrupted"]:
        headline = f"Interrupted: the best model so far is in {folder} ({epoch}). Repeat the command to resume."
    else:
        headline = (
            f"{document['preset']} on {document['data']}: {epoch}, {duration(summary['seconds'])}."
        )
    lines = [headline]
    if document["in_units"]:
        lines += shared.hanging_indent("  ", document["in_units"])
    splits = [split for split in ("test", "validation") if summary.get(split)]
    rows = [
        (", ".join(filter(None, (split, weighting))).ljust(11), scores_line(scores))
        for split in splits
        for weighting, scores in by_weighting(summary[split]).items()
    ]
    comparisons = {
        "baselines": baselines.line(summary),
        "baselines, unweighted": baselines.line(summary, unweighted=True),
    }
    lines += tables.columns(
        rows + [(label.ljust(11), line) for label, line in comparisons.items() if line]
    )
    if sentence := baselines.beaten(summary):
        lines += shared.hanging_indent("warning: ", sentence)
    if gain := repairs.gain_line(summary):
        lines += shared.hanging_indent("  ", gain)
    if splits:
        lines += tables.target_lines(summary[splits[0]], document["doubts"])
    rows = [("run", folder), ("curves", os.path.join(folder, "curves.png"))]
    logs = os.path.join(folder, "tensorboard")
    if os.path.isdir(logs):
        rows.append(("tensorboard", f"tensorboard --logdir {shared.quote(logs)}"))
    rows.append(shared.usage_example(folder, document["task"], document["inputs"]))
    lines += tables.columns(rows)
    return "\n".join(lines)


def scores_line(scores: JsonObject) -> str:
    """Return the scores of a split on one line; accuracy has its 95 % interval."""
    parts = []
    for name, value in scores.items():
        if name == "majority" or name.endswith("_default") or mixes_units(name, scores):
            continue
        if isinstance(value, int | float) and not isinstance(value, bool):
            interval = scores.get(f"{name}_interval")
            score = score_named(name)
            level = 95 if score is None else score.interval
            form = number if score is not None and score.form == "number" else "{:.3f}".format
            interval_text = (
                f" ({level} %: {form(interval[0])} to {form(interval[1])})" if interval else ""
            )
            default = scores.get(f"{name}_default")
            beside = "" if default is None else f" (default: {number(default)})"
            parts.append(f"{name.replace('_', ' ')} {number(value)}{interval_text}{beside}")
    return ", ".join(parts)

"""Train a preset on its own data or on yours; one folder keeps all about it."""

import os
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from kzoo.cli import backend, common, keras_import, tables
from kzoo.registry import get_preset, resolve
from kzoo.registry.arguments import BUNDLES
from kzoo.results import baselines
from kzoo.run import Run
from kzoo.stored_types import may_be_same_run
from kzoo.tasks.target_scores import mixes_units
from kzoo.utils import onednn
from kzoo.utils.argument_checks import checked_steps_per_call
from kzoo.utils.discovery import numbered_in
from kzoo.utils.errors import Interrupted, KzooError
from kzoo.utils.formatting import duration, number
from kzoo.weights import name_of as weights_name

EXAMPLES = """\
examples:
  kzoo train digits_cnn                        its own data, no download
  kzoo train image_cnn --data photos/          a folder with a folder per class
  kzoo train tabular_fnn --data churn.csv --target churned
  kzoo train text_cnn --data reviews/          a text file per class, or a CSV
  kzoo train series_gru --data power.csv --time date --target load
  kzoo train char_gru --data book.txt          a language model
  kzoo train cifar_cnn --epochs 10 --set filters=32,64 dropout=0.2
  kzoo train image_cnn --data pets/ --weights runs/image_cnn-01 --freeze "stem*"

The epoch that is best on validation data is kept; test data is looked at once,
at the end. Ctrl-C stops early and keeps the best model so far. However it was
stopped, even killed, the same command picks up where it was, bit for bit.
`kzoo show PRESET` lists what --set takes.
"""

# Options of this command that --set must not shadow.
_OPTIONS = (
    "data", "out", "seed", "weights", "freeze", "precision", "devices", "deterministic", "overwrite", "resume", "check",
    "steps_per_call", "backend", "baselines",
    *common.DATA_OPTIONS,
)  # fmt: skip


def add_arguments(parser):
    add = parser.add_argument
    add("preset", metavar="PRESET", help="a name from `kzoo list`, or a file of yours: mine.toml")
    add(
        "--data",
        metavar="SOURCE",
        help="a named set, a folder, a table (CSV), text or .npz file; default: the preset's own",
    )
    add("--out", metavar="FOLDER", help="the run's folder; default: runs/PRESET-NN")
    add("--overwrite", action="store_true", help="replace a different run in --out")
    add("--resume", default="auto", metavar="HOW", help="auto (default): go on where the same run stopped; must, never")
    add(
        "--steps-per-call",
        default="auto",
        metavar="N",
        help="steps that one compiled call makes; auto (default): many where that is faster; 1: Keras' own",
    )
    backend.add_option(parser)
    add("--deterministic", action="store_true", help="the same bits in every run, on a GPU too; slower")
    add("--no-check", action="store_true", help="train even where `kzoo check` finds errors")
    add("--no-baselines", action="store_true", help="without the scores of what needs no network, beside the run's own")
    add("--quiet", action="store_true", help="no progress")
    add_settings(parser)


def add_settings(parser):
    """Add what says on which data and with which settings to train: `kzoo check` takes the same."""
    common.add_data_options(parser)
    add = parser.add_argument
    add("--epochs", type=int, metavar="N", help="passes over the training data; schedules follow")
    add("--max-steps", type=int, metavar="N", help="steps at most: fewer epochs, or a shorter one; schedules follow")
    add("--seed", type=int, default=0, metavar="N", help="of weights, order and augmentation (default 0)")
    add(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="change settings of the preset",
    )
    add_weights(parser)
    add("--callbacks", metavar="BUNDLE", help=f"callback bundle: {', '.join(BUNDLES)}")
    add("--devices", type=int, metavar="N", help="of this machine, which share each batch (JAX)")
    add("--precision", default="auto", metavar="NAME", help="auto, float32, mixed_bfloat16 or mixed_float16")


def run(args):
    settings = settings_of(args)
    check_settings(args, settings)
    preset, options = preset_of(args), _options(args, settings)
    backend.choose_backend(args, preset.name, _stopped(args, preset, settings))
    try:
        done = keras_import.import_quietly("kzoo.training").train(preset, args.data, **options)
    except Interrupted as stop:
        done = stop.run
    summary = done.summary
    return dict(
        run=os.fspath(done.path),
        preset=preset.name,
        data=done.data.name,
        inputs=done.data.inputs,
        task=done.data.task,
        interrupted=bool(summary.get("interrupted")),
        summary=summary,
        doubts=score_warnings_of(done, summary.get("test") or summary.get("validation") or {}),
    )


def _stopped(args, preset, settings) -> Iterator[backend.Earlier]:
    """Yield the folder and the backend of each run that this command may resume, the newest first."""
    if args.out is not None:  # whether it is the same run, `kzoo.train` says
        folders = [] if args.overwrite else [Path(args.out)]
    else:
        folders = [] if args.resume == "never" else list(numbered_in("runs", preset.name).values())
    for folder in folders:
        with suppress(KzooError):  # what is no run, or a damaged one
            run = Run(folder)
            named = run.config.get("backend")
            if named and (args.out is not None or (run.stopped and _repeats(run, args, preset, settings))):
                yield backend.Earlier(folder, named, onednn.recorded(run.config))


def _repeats(run, args, preset, settings):
    """Say whether a run may be this command's, with the run's backend: this is known without its data."""
    name = import_module("kzoo.data.named").name_of(args.data or preset.dataset or "")
    asked = dict(
        data=common.requested_data_options(args).stored() | {"name": name},
        spec={"preset": preset.name, "revision": preset.revision, "seed": args.seed},
        weights=args.weights and weights_name(args.weights, preset.name), freeze=frozen(args.freeze),
        deterministic=args.deterministic, devices=args.devices,
    )  # fmt: skip
    if args.precision != "auto":
        asked["precision"] = args.precision
    return may_be_same_run(run.config, asked, settings)


def _options(args, settings):
    return settings | dict(
        out=args.out,
        overwrite=args.overwrite,
        steps_per_call=checked_steps_per_call(int(steps) if (steps := args.steps_per_call).isdecimal() else steps),
        resume=args.resume,
        deterministic=args.deterministic,
        check=not args.no_check,
        baselines=not args.no_baselines,
        progress=not args.quiet,
        seed=args.seed,
        weights=args.weights,
        precision=args.precision,
        devices=args.devices,
        freeze=frozen(args.freeze),
        **common.data_options(args),
    )


def settings_of(args):
    """Return the settings that a command which takes those of `add_settings` changes (see `common.settings_of`)."""
    return common.settings_of(args, _OPTIONS)


def preset_of(args):
    """Return the preset of a command, which `early` has found already where there is one."""
    return get_preset(args.preset) if args.resolved is None else args.resolved.preset


def check_settings(args, settings):
    """Refuse wrong names and values of settings before the seconds that Keras takes to import."""
    if args.resolved is None or args.resolved.settings is None:
        resolve(preset_of(args), settings)


def add_weights(parser):
    """Add what a training begins with; of a search, each of its trials."""
    parser.add_argument(
        "--weights",
        metavar="WHAT",
        help="begin with those of a run, of a .keras or .weights.h5 file, or with stored ones by name; imagenet: a "
        "backbone's, which Keras downloads",
    )
    parser.add_argument(
        "--freeze",
        nargs="*",
        metavar="LAYER",
        help="layers that keep their weights; alone: all that were copied",
    )


def frozen(words):
    """Return what `kzoo.train` calls the words of --freeze."""
    if words is None:
        return None
    return tuple(words) if words else True


def render(document, args):
    summary, folder = document["summary"], document["run"]
    epoch = f"best epoch {summary['best_epoch']} of {summary['epochs']}, by {summary['monitor']}"
    if document["interrupted"]:
        head = f"Interrupted: the best model so far is kept in {folder} ({epoch}). The same command continues it."
    else:
        head = f"{document['preset']} on {document['data']}: {epoch}, {duration(summary['seconds'])}."
    lines = [head]
    scored = [split for split in ("test", "validation") if summary.get(split)]
    lines += tables.columns([(split.ljust(11), scores_line(summary[split])) for split in scored])
    if said := baselines.line(summary):
        lines += tables.columns([("beside it".ljust(11), said)])
    if sentence := baselines.beaten(summary):
        lines += common.hanging("warning: ", sentence)
    if scored:
        lines += tables.of_targets(summary[scored[0]], document["doubts"])
    rows = [("run", folder), ("curves", os.path.join(folder, "curves.png"))]
    logs = os.path.join(folder, "tensorboard")
    if os.path.isdir(logs):
        rows.append(("tensorboard", f"tensorboard --logdir {common.quote(logs)}"))
    rows.append(common.use_of(folder, document["task"], document["inputs"]))
    lines += tables.columns(rows)
    return "\n".join(lines)


def score_warnings_of(run, scores) -> list[str]:
    """Return the sentences that warn of scores, where the task of a run has any."""
    judge = getattr(run.problem.task.scoring, "doubts", None)
    return judge(scores) if judge and scores else []


def scores_line(scores) -> str:
    """Write the scores of a split on one line, the accuracy with its interval."""
    parts = []
    for name, value in scores.items():
        if name == "majority" or mixes_units(name, scores):
            continue
        if isinstance(value, int | float) and not isinstance(value, bool):
            interval = scores.get(f"{name}_interval")
            around = f" (95 %: {interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
            parts.append(f"{name.replace('_', ' ')} {number(value)}{around}")
    return ", ".join(parts)

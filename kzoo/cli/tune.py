"""Search for better settings of a preset on data; one folder keeps all trials."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from importlib import import_module
from pathlib import Path

from kzoo.cli import backend, common, keras_import, tables, train
from kzoo.data.named import name_of
from kzoo.stored_types import differences
from kzoo.tuning.engines import ENGINES
from kzoo.tuning.records import FINISHED, best_of, preset_score
from kzoo.utils.discovery import numbered_in
from kzoo.utils.errors import Interrupted, KzooError
from kzoo.weights import name_of as weights_name

EXAMPLES = """\
examples:
  kzoo tune digits_cnn                         20 trials, the preset first
  kzoo tune tabular_fnn --data churn.csv --target churned --max-time 30m
  kzoo tune cifar_cnn --trials 50 --engine bayesian --set optimizer=adamw
  kzoo tune text_cnn --data reviews/ --space quick --epochs 5
  kzoo tune wine_fnn --folds 5                 scored by cross-validation
  kzoo tune image_pretrained --data pets/ --weights imagenet
  kzoo tune digits_cnn --dry-run               what it would cost

Test data is never looked at. Ctrl-C stops; however it was stopped, be it
killed, the same command goes on, with every finished trial kept. More
--trials go on longer. `kzoo show PRESET` lists what --set fixes.
"""
_OPTIONS = (
    "data", "out", "seed", "resume", "engine", "trials", "max_time", "space", "objective", "folds", "backend",
    "parallel", "threads", "scheduler", "weights", "freeze",
    *common.DATA_OPTIONS,
)  # fmt: skip


def add_arguments(parser):
    add = parser.add_argument
    add("preset", metavar="PRESET", help="a name from `kzoo list`")
    add("--data", metavar="SOURCE", help="what `kzoo train` takes; default: the preset's own")
    add("--trials", type=int, default=20, metavar="N", help="how many, the preset among them (default 20)")
    add("--max-time", metavar="TIME", help="such as 90s, 30m or 2h")
    add("--engine", default="auto", metavar="NAME", help=f"auto (default), {', '.join(ENGINES[1:])}")
    add("--space", default="standard", metavar="SIZE", help="quick, standard (default) or full")
    add("--objective", metavar="NAME", help="such as val_accuracy or val_loss")
    add("--epochs", type=int, metavar="N", help="of each trial; schedules follow")
    add("--folds", type=int, metavar="N", help="score each trial by cross-validation")
    add("--parallel", type=int, default=1, metavar="N", help="trials at once (default 1)")
    add("--threads", type=int, metavar="N", help="of each trial (default: 1 with --parallel, else all)")
    add("--scheduler", metavar="ADDRESS", help="let the workers of a Dask scheduler train: tcp:// or tls://HOST:PORT")
    add("--no-prune", action="store_true", help="train every trial to its end")
    add("--no-baseline", action="store_true", help="do not begin with the preset itself")
    add("--max-params", type=float, metavar="N", help="train no network of more parameters")
    add("--set", nargs="+", action="extend", default=[], metavar="NAME=VALUE", help="fix settings of the preset")
    train.add_weights(parser)
    add("--out", metavar="FOLDER", help="the search's folder; default: searches/PRESET-NN")
    add("--resume", default="auto", metavar="HOW", help="auto (default): go on with the same search; must, never")
    add("--seed", type=int, default=0, metavar="N", help="of the proposals and the trainings (default 0)")
    backend.add_option(parser)
    common.add_data_options(parser)
    add("--dry-run", action="store_true", help="say how many trials and epochs, and about how long")
    add("--quiet", action="store_true", help="no progress")


def run(args):
    settings = common.settings_of(args, _OPTIONS)
    if args.scheduler is not None:
        import_module("kzoo.workers.cluster").check_address(args.scheduler)
    # Names and values are checked before the seconds that Keras takes to import.
    train.check_settings(args, settings)
    preset, space = train.preset_of(args), args.space
    backend.choose_backend(args, preset.name, _stopped(args, preset, settings))
    if args.max_params is not None:
        space = (
            keras_import.import_quietly("kzoo.tuning.spaces.space").space(preset, space).limit(params=args.max_params)
        )
    options = dict(
        engine=args.engine, trials=args.trials, max_time=args.max_time, space=space,
        objective=args.objective, baseline=not args.no_baseline, prune=None if args.no_prune else "median",
        folds=args.folds, parallel=args.parallel, threads=args.threads, weights=args.weights,
        freeze=train.frozen(args.freeze), seed=args.seed, out=args.out, resume=args.resume, dry_run=args.dry_run,
        progress=not (args.quiet or args.dry_run),
        **common.data_options(args), **settings,
    )  # fmt: skip
    try:
        with _executor(args) as executor:
            search = keras_import.import_quietly("kzoo.tuning.tune").tune(
                preset, args.data, executor=executor, **options
            )
    except Interrupted as stop:
        return _document(stop.run, preset, args) | {"interrupted": True}
    if args.dry_run:
        return dict(plan=str(search), **{k: getattr(search, k) for k in ("engine", "trials", "epochs", "random")})
    return _document(search, preset, args)


def _executor(args) -> AbstractContextManager:
    """Lend the executor that is asked for, or None."""
    if args.scheduler is None or args.dry_run:
        return nullcontext()
    return keras_import.import_quietly("kzoo.workers.cluster").executor_at(args.scheduler)


def _stopped(args, preset, fixed) -> Iterator[backend.Earlier]:
    """Yield the folder and the backend of each search that this command may resume, the newest first."""
    if args.resume == "never":
        return
    folders = list(numbered_in("searches", preset.name).values()) if args.out is None else [Path(args.out)]
    for folder in folders:
        with suppress(KzooError):  # what is no search, or a damaged one
            search = import_module("kzoo.tuning.search").Search(folder)
            if args.out is not None or (not search.finished and _asks_for(search.request, args, preset, fixed)):
                yield backend.Earlier(folder, search.request.backend, search.request.onednn)


def _asks_for(request, args, preset, fixed):
    """Say whether a search is the one that is asked for, as far as this is known without its data."""
    config, training = args.resolved.settings
    asked = dict(
        seed=args.seed, folds=args.folds, parallel=args.parallel, baseline=not args.no_baseline,
        weights=args.weights and weights_name(args.weights, preset.name), freeze=train.frozen(args.freeze),
        data=common.requested_data_options(args).stored() | {"name": name_of(args.data or preset.dataset or "")},
        spec={"config": _only(fixed, config), "training": _only(fixed, training)},
    )  # fmt: skip
    if "epochs" in fixed:
        asked["epochs"] = fixed["epochs"]
    if args.engine != "auto":
        asked["engine"] = args.engine
    return not differences(request.to_json(), asked)


def _only(names, settings):
    return {name: value for name, value in settings.items() if name in names}


def _document(search, preset, args):
    trials, request = search.trials, search.request
    best = best_of(trials, search.objective)
    shown = ("score", "best_epoch", "params", "hyperparameters", "overrides")
    return dict(
        search=os.fspath(search.path),
        preset=preset.name,
        data=request.data["name"],
        engine=request.engine,
        objective=search.objective.name,
        trials=sum(trial.status in FINISHED for trial in trials),
        asked=request.trials,
        best=best and {"trial": best.number, **{name: getattr(best, name) for name in shown}},
        preset_score=preset_score(trials),
        command=best and _training(args, preset, best),
        interrupted=False,
    )


def _training(args, preset, best):
    """Return the command that trains the best trial's settings on the data of the search."""
    length = [] if args.epochs is None else [f"epochs={args.epochs}"]
    return common.train_command(
        args, preset, args.data, words=[*args.set, *length, *_changed(best.overrides)], seed=args.seed,
        backend=args.backend, weights=args.weights, freeze=train.frozen(args.freeze),
    )  # fmt: skip


def _changed(overrides):
    return [f"{name}={common.show_value(value)}" for name, value in overrides.items()]


def render(document, args):
    if "plan" in document:
        return document["plan"]
    folder, best = document["search"], document["best"]
    lines = []
    if document["interrupted"]:
        done = f"{document['trials']} of {document['asked']} trials"
        lines.append(f"Interrupted after {done}: everything is kept in {folder}. The same command goes on.")
    if best is None:
        return "\n".join([*lines, f"No trial has a score yet. The same command continues {folder}."])
    own = document["preset_score"]
    against = "" if own is None else f" (the preset: {own:.4f})"
    lines.append(
        f"{document['preset']} on {document['data']}: best of {document['trials']} trials is number "
        f"{best['trial']}, {document['objective']} {best['score']:.4f}{against}."
    )
    changed = _changed(best["overrides"])
    rows = [("search", folder), ("leaderboard", os.path.join(folder, "leaderboard.csv"))]
    rows.append(("set", " ".join(changed) if changed else "the preset as it is"))
    if changed:
        rows.append(("train", document["command"]))
    return "\n".join(lines + tables.columns(rows))

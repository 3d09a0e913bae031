"""Search for better hyperparameters for a preset; writes one folder."""

import argparse
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from kzoo.cli import backend, keras_import, shared, tables, train
from kzoo.data.named import name_of
from kzoo.problems.data_arguments import FLAGS
from kzoo.problems.stored_types import Overrides, differences
from kzoo.tuning.engines import ENGINES
from kzoo.tuning.records import FINISHED, Request, Trial, best_of, preset_score
from kzoo.utils.discovery import numbered_in
from kzoo.utils.errors import Interrupted, KzooError
from kzoo.utils.files import JsonObject, read_json
from kzoo.zoo.registry import AUTO, Preset
from kzoo.zoo.weights import name_of as weights_name

if TYPE_CHECKING:
    from kzoo.tuning.search import Search


EXAMPLES = """\
examples:
  kzoo tune digits_cnn                         20 trials, the preset first
  kzoo tune tabular_fnn --data churn.csv --target churned --max-time 30m
  kzoo tune cifar_cnn --trials 50 --engine bayesian --set optimizer=adamw
  kzoo tune text_cnn --data reviews/ --space quick --epochs 5
  kzoo tune wine_fnn --folds 5                 scored by cross-validation
  kzoo tune image_pretrained --data pets/ --weights imagenet
  kzoo tune digits_cnn --dry-run               estimate the cost
  kzoo tune auto --data churn.csv --target churned --max-time 10m

`auto` compares baselines and presets, and chooses the simplest of those that
are not worse than the best; the winner is a run, whose lead over the best
baseline is stated on the test data.

Trials never use the test data. Ctrl-C stops the search. If the search was
stopped or killed, the same command resumes it with all finished trials; a
larger --trials extends it. `kzoo show PRESET` lists the settings that --set can
fix.
"""
_OPTIONS = (
    "data",
    "out",
    "seed",
    "resume",
    "engine",
    "trials",
    "max_time",
    "space",
    "objective",
    "folds",
    "backend",
    "parallel",
    "threads",
    "scheduler",
    "weights",
    "freeze",
    *FLAGS,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "preset",
        metavar="PRESET",
        help="a name from `kzoo list`; auto: compare baselines and presets",
    )
    add(
        "--data", metavar="SOURCE", help="data, as for `kzoo train`; default: the preset's data set"
    )
    add(
        "--trials",
        type=int,
        default=20,
        metavar="N",
        help="number of trials, including one with the unchanged preset (default 20)",
    )
    add("--max-time", metavar="TIME", help="time limit, such as 90s, 30m or 2h")
    add(
        "--engine",
        default="auto",
        metavar="NAME",
        help=f"search algorithm: auto (default), {', '.join(ENGINES[1:])}",
    )
    add(
        "--space",
        default="standard",
        metavar="SIZE",
        help="search space: quick, standard (default) or full",
    )
    add(
        "--objective",
        metavar="NAME",
        help="score or metric to optimize, such as f1, val_accuracy or val_loss",
    )
    shared.add_decision_options(parser, objective=False)
    add(
        "--epochs",
        type=int,
        metavar="N",
        help="number of epochs per trial; schedules are adjusted accordingly",
    )
    add("--folds", type=int, metavar="N", help="score each trial by cross-validation")
    add(
        "--parallel", type=int, default=1, metavar="N", help="number of parallel trials (default 1)"
    )
    add(
        "--threads",
        type=int,
        metavar="N",
        help="threads per trial (default: 1 with --parallel, otherwise all)",
    )
    add(
        "--scheduler",
        metavar="ADDRESS",
        help="run the trials on the workers of this Dask scheduler: tcp://HOST:PORT or tls://HOST:PORT",
    )
    add("--no-prune", action="store_true", help="do not stop bad trials early")
    add(
        "--no-baseline",
        action="store_true",
        help="do not train the unchanged preset as the first trial",
    )
    add("--max-params", type=float, metavar="N", help="maximum number of parameters of the network")
    add(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="fix these settings of the preset instead of searching them",
    )
    train.add_weights_options(parser)
    add(
        "--from",
        dest="previous",
        metavar="RUN",
        help="for auto: compare the new model with this run on the test rows of the new data",
    )
    add(
        "--prefer",
        default="simple",
        metavar="HOW",
        help="for auto: simple (default): the simplest kind of model that ties with the highest score; "
        "score: the model with the highest score",
    )
    add(
        "--one-network",
        action="store_true",
        help="for auto: if the choice is a mean of models, train one network on its answers",
    )
    add("--out", metavar="FOLDER", help="folder of the search; default: searches/PRESET-NN")
    add(
        "--resume",
        default="auto",
        metavar="HOW",
        help="auto (default): resume a stopped search with the same settings; must: fail if there is none; "
        "never: start over",
    )
    add(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="seed for the proposals and for training (default 0)",
    )
    backend.add_option(parser)
    shared.add_data_options(parser)
    add(
        "--dry-run",
        action="store_true",
        help="only print the number of trials and epochs and the estimated time",
    )
    add("--quiet", action="store_true", help="do not show progress")


def run(args: argparse.Namespace) -> JsonObject:
    started = time.monotonic()
    settings = shared.settings_of(args, _OPTIONS)
    if args.preset == AUTO:
        return _run_auto(args, settings, started)
    if args.scheduler is not None:
        import_module("kzoo.utils.dask_cluster").check_address(args.scheduler)
    # Names and values are checked before Keras is imported, which takes seconds.
    train.check_settings(args, settings)
    preset = train.preset_of(args)
    space = args.space
    may_be_same = partial(_may_be_same_search, args=args, preset=preset, fixed=settings)
    backend.choose_backend(args, preset.name, _resumable_searches(args, preset.name, may_be_same))
    if args.max_params is not None:
        space = (
            keras_import.import_quietly("kzoo.tuning.spaces.space")
            .space(preset, space)
            .limit(params=args.max_params)
        )
    options = _tune_options(args, settings) | {"space": space}
    try:
        with _executor(args) as executor:
            search = keras_import.import_quietly("kzoo.tuning.tune").tune(
                preset, args.data, executor=executor, **options
            )
    except Interrupted as interrupt:
        return _document(interrupt.run, preset, args) | {"interrupted": True}
    if args.dry_run:
        return dict(
            plan=str(search),
            **{name: getattr(search, name) for name in ("engine", "trials", "epochs", "random")},
        )
    return _document(search, preset, args)


def _tune_options(args: argparse.Namespace, settings: JsonObject) -> JsonObject:
    """Return the keyword arguments of `kzoo.tune`."""
    return settings | dict(
        previous=args.previous,
        prefer=args.prefer,
        one_network=args.one_network,
        engine=args.engine,
        trials=args.trials,
        max_time=args.max_time,
        space=args.space,
        objective=args.objective,
        baseline=not args.no_baseline,
        prune=None if args.no_prune else "median",
        folds=args.folds,
        parallel=args.parallel,
        threads=args.threads,
        weights=args.weights,
        freeze=train.freeze_argument(args.freeze),
        seed=args.seed,
        out=args.out,
        resume=args.resume,
        dry_run=args.dry_run,
        progress=not (args.quiet or args.dry_run),
        **shared.data_options(args),
    )


def _run_auto(args: argparse.Namespace, settings: JsonObject, started: float) -> JsonObject:
    if args.max_params is not None:
        settings = settings | {"max_params": args.max_params}
    options = _tune_options(args, settings)
    backend.choose_backend(args, AUTO, _resumable_searches(args, AUTO, lambda request: True))
    try:
        tune = keras_import.import_quietly("kzoo.tuning.tune").tune
        without_verdict = import_module("kzoo.auto.auto").without_verdict
        # importing Keras counts too
        counted_from = import_module("kzoo.training.max_time").counted_from
        with _executor(args) as executor, without_verdict(), counted_from(started):
            search = tune(AUTO, args.data, executor=executor, **options)
    except Interrupted as interrupt:
        return dict(search=os.fspath(interrupt.run.path), auto=True, interrupted=True)
    if args.dry_run:
        return dict(plan=str(search), engine=search.engine, trials=search.trials)
    result = read_json(search.path / "auto.json")
    return dict(
        search=os.fspath(search.path),
        auto=True,
        interrupted=False,
        run=os.fspath(search.winner.path),
        update=result.get("update"),
        change=result.get("change"),
        **{
            name: result[name]
            for name in ("label", "metric", "verdict", "difference", "lines", "seconds_used")
        },
    )


def _executor(args: argparse.Namespace) -> AbstractContextManager:
    """Return a context manager for the executor of --scheduler, or for None."""
    if args.scheduler is None or args.dry_run:
        return nullcontext()
    return keras_import.import_quietly("kzoo.utils.dask_cluster").executor_at(args.scheduler)


def _resumable_searches(
    args: argparse.Namespace, name: str, may_be_same: Callable[[Request], bool]
) -> Iterator[backend.Resumable]:
    """Yield the folder and the backend of each search that this command may resume, newest first.

    Args:
        name: of the preset, or "auto".
        may_be_same: whether a search that was requested so may be the search of this command.
    """
    if args.resume == "never":
        return
    folders = list(numbered_in("searches", name).values()) if args.out is None else [Path(args.out)]
    for folder in folders:
        with suppress(KzooError):  # not a search, or a damaged search
            search = import_module("kzoo.tuning.search").Search(folder)
            if args.out is not None or (not search.finished and may_be_same(search.request)):
                yield backend.Resumable(folder, search.request.backend, search.request.onednn)


def _may_be_same_search(
    request: Request, args: argparse.Namespace, preset: Preset, fixed: JsonObject
) -> bool:
    """Return whether a search may be the search of this command, as far as this is known without loading data."""
    config, training = args.resolved.settings
    requested = dict(
        seed=args.seed,
        folds=args.folds,
        parallel=args.parallel,
        baseline=not args.no_baseline,
        weights=args.weights and weights_name(args.weights, preset.name),
        freeze=train.freeze_argument(args.freeze),
        data=shared.requested_data_options(args).stored()
        | {"name": name_of(args.data or preset.dataset or "")},
        spec={"config": _select(fixed, config), "training": _select(fixed, training)},
    )
    if "epochs" in fixed:
        requested["epochs"] = fixed["epochs"]
    if args.engine != "auto":
        requested["engine"] = args.engine
    return not differences(request.to_json(), requested)


def _select(names: Collection[str], settings: Mapping[str, object]) -> JsonObject:
    return {name: value for name, value in settings.items() if name in names}


def _document(search: "Search", preset: Preset, args: argparse.Namespace) -> JsonObject:
    trials, request = search.trials, search.request
    best = best_of(trials, search.objective)
    fields = ("score", "best_epoch", "params", "hyperparameters", "overrides")
    return dict(
        search=os.fspath(search.path),
        preset=preset.name,
        data=request.data["name"],
        engine=request.engine,
        objective=search.objective.name,
        trials=sum(trial.status in FINISHED for trial in trials),
        asked=request.trials,
        best=best and {"trial": best.number, **{name: getattr(best, name) for name in fields}},
        preset_score=preset_score(trials),
        command=best and _train_command(args, preset, best),
        interrupted=False,
    )


def _train_command(args: argparse.Namespace, preset: Preset, best: Trial) -> str:
    """Return the command that trains the preset with the settings of the best trial on the data of the search."""
    length = [] if args.epochs is None else [f"epochs={args.epochs}"]
    return shared.train_command(
        args,
        preset,
        args.data,
        words=[*args.set, *length, *_as_set_words(best.overrides)],
        seed=args.seed,
        backend=args.backend,
        weights=args.weights,
        freeze=train.freeze_argument(args.freeze),
    )


def _as_set_words(overrides: Overrides) -> list[str]:
    return [f"{name}={shared.show_value(value)}" for name, value in overrides.items()]


def render(document: JsonObject, args: argparse.Namespace) -> str:
    if "plan" in document:
        return document["plan"]
    if document.get("auto"):
        return _render_auto(document)
    folder, best = document["search"], document["best"]
    lines = []
    if document["interrupted"]:
        progress = f"{document['trials']} of {document['asked']} trials"
        lines.append(
            f"Interrupted after {progress}, which are stored in {folder}. Repeat the command to resume."
        )
    if best is None:
        return "\n".join(
            [*lines, f"No trial has a score yet. Repeat the command to resume {folder}."]
        )
    preset_score = document["preset_score"]
    comparison = "" if preset_score is None else f" (the preset: {preset_score:.4f})"
    lines.append(
        f"{document['preset']} on {document['data']}: best of {document['trials']} trials is number "
        f"{best['trial']}, {document['objective']} {best['score']:.4f}{comparison}."
    )
    changed = _as_set_words(best["overrides"])
    rows = [("search", folder), ("leaderboard", os.path.join(folder, "leaderboard.csv"))]
    rows.append(("set", " ".join(changed) if changed else "nothing: the preset itself is best"))
    if changed:
        rows.append(("train", document["command"]))
    return "\n".join(lines + tables.columns(rows))


def _render_auto(document: JsonObject) -> str:
    folder = document["search"]
    if document["interrupted"]:
        return f"Interrupted. What was fitted is stored in {folder}. Repeat the command to resume."
    rows = [
        ("run", document["run"]),
        ("leaderboard", f"kzoo compare {shared.quote(folder)}"),
        ("predict", f"kzoo predict {shared.quote(document['run'])} NEW"),
    ]
    update = [document["update"]] if document["update"] else []
    return "\n".join([*document["lines"], document["verdict"], *update, *tables.columns(rows)])

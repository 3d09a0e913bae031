"""Search for better settings of a preset on data; one folder keeps all trials."""

import os

from kzoo.cli import common, quiet, tables, train
from kzoo.errors import Interrupted, KzooError
from kzoo.registry import get_preset
from kzoo.tuning.engines import ENGINES
from kzoo.tuning.records import FINISHED, best_of, preset_score

EXAMPLES = """\
examples:
  kzoo tune digits_cnn                         20 trials, the preset first
  kzoo tune tabular_fnn --data churn.csv --target churned --max-time 30m
  kzoo tune cifar_cnn --trials 50 --engine bayesian --set optimizer=adamw
  kzoo tune text_cnn --data reviews/ --space quick --epochs 5
  kzoo tune wine_fnn --folds 5                 scored by cross-validation
  kzoo tune digits_cnn --dry-run               what it would cost

Test data is never looked at. Ctrl-C stops; however it was stopped, be it
killed, the same command goes on, with every finished trial kept. More
--trials go on longer. `kzoo show PRESET` lists what --set fixes.
"""
_OPTIONS = (
    "data", "out", "seed", "resume", "engine", "trials", "max_time", "space", "objective", "folds",
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
    add("--no-prune", action="store_true", help="train every trial to its end")
    add("--no-baseline", action="store_true", help="do not begin with the preset itself")
    add("--max-params", type=float, metavar="N", help="train no network of more parameters")
    add("--set", nargs="+", action="extend", default=[], metavar="NAME=VALUE", help="fix settings of the preset")
    add("--out", metavar="FOLDER", help="the search's folder; default: searches/PRESET-NN")
    add("--resume", default="auto", metavar="HOW", help="auto (default): go on with the same search; must, never")
    add("--seed", type=int, default=0, metavar="N", help="of the proposals and the trainings (default 0)")
    common.add_data_options(parser)
    add("--dry-run", action="store_true", help="say how many trials and epochs, and about how long")
    add("--quiet", action="store_true", help="no progress")


def run(args):
    settings = common.parse_settings(args.set)
    for name in settings:
        if name in _OPTIONS:
            raise KzooError(f"{name!r} is an option of its own: write --{name.replace('_', '-')} VALUE, without --set.")
    if args.epochs is not None and "epochs" in settings:
        raise KzooError("epochs is given twice: by --epochs and by --set. Leave one out.")
    # Names and values are checked before the seconds that Keras takes to import.
    train.check_names(args.preset, settings | ({} if args.epochs is None else {"epochs": args.epochs}))
    preset, space = get_preset(args.preset), args.space
    if args.max_params is not None:
        space = quiet.load("kzoo.tuning.spaces.space").space(preset, space).limit(params=args.max_params)
    options = dict(
        engine=args.engine, trials=args.trials, epochs=args.epochs, max_time=args.max_time, space=space,
        objective=args.objective, baseline=not args.no_baseline, prune=None if args.no_prune else "median",
        folds=args.folds, seed=args.seed, out=args.out, resume=args.resume,
        dry_run=args.dry_run, progress=not (args.quiet or args.dry_run), **common.data_options(args), **settings,
    )  # fmt: skip
    try:
        search = quiet.load("kzoo.tuning.tune").tune(preset, args.data, **options)
    except Interrupted as stop:
        return _document(stop.run, preset) | {"interrupted": True}
    if args.dry_run:
        return dict(plan=str(search), **{k: getattr(search, k) for k in ("engine", "trials", "epochs", "random")})
    return _document(search, preset)


def _document(search, preset):
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
        interrupted=False,
    )


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
    changed = [f"{name}={common.show_value(value)}" for name, value in best["overrides"].items()]
    rows = [("search", folder), ("leaderboard", os.path.join(folder, "leaderboard.csv"))]
    rows.append(("set", " ".join(changed) if changed else "the preset as it is"))
    if changed:
        rows.append(("train", f"kzoo train {document['preset']} --set {' '.join(map(train.quote, changed))}"))
    return "\n".join(lines + tables.columns(rows))

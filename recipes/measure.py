"""Train presets over seeds or splits, run recipes, time backends; tables.py makes tables of the results.

python recipes/measure.py plan "tabular_*" --data adult.csv --target income    estimated hours of `train`
python recipes/measure.py train "iris_*" digits_cnn --splits 5    writes runs to runs/measured
python recipes/measure.py train "tabular_*" --splits auto         repetitions of the protocol (recipes/README.md)
python recipes/measure.py train text_cnn --data reviews/ --folds 10
python recipes/measure.py run practice/optimizers foundations/neuron    whole recipes
python recipes/measure.py run char_gru -- --data shakespeare.txt    with recipe options
python recipes/measure.py speed "tabular_*"        write samples per second on each installed Keras backend to
                                                   kzoo/zoo/results/speed.json; random data of the preset's shape

All commands resume: finished runs are not trained again.
"""

# %%
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from math import prod
from pathlib import Path

import kzoo
from kzoo.cli.shared import parse_settings
from kzoo.data.named import name_of
from kzoo.data.options import DataOptions
from kzoo.utils.files import read_json, write_json
from kzoo.utils.optional import is_installed
from kzoo.zoo import results
from kzoo.zoo.registry.arguments import BACKENDS
from kzoo.zoo.registry.preset import closed

HERE = Path(__file__).parent
SPEED = Path(kzoo.__file__).parent / "zoo" / "results" / "speed.json"


# %% Plan: estimate the time
# (maximum seconds of a run, repetitions); one repetition for longer runs
REPETITIONS = (180, 5), (1200, 3)


def repeats_of(seconds):
    """Return the repetitions of a run of this time in the protocol."""
    return next((times for limit, times in REPETITIONS if seconds <= limit), 1)


def plan(args):
    """Print what `train` would train, how often and for how long."""
    total = 0.0
    for name in kzoo.list_presets(args.names):
        data = args.data or kzoo.get_preset(name).dataset
        seconds, source = seconds_of(name, data, args)
        times, over = repetitions(args, seconds)
        total += times * seconds
        hours = times * seconds / 3600
        repetitions_text = f"{times} {over}" if times > 1 else "once"
        print(
            f"{name} on {Path(data).name}: {seconds:,.0f} s a run ({source}), {repetitions_text}: {hours:.2f} h"
        )
    print(f"{total / 3600:.2f} hours in total")


def seconds_of(name, data, args):
    """Return the seconds of a run and their source: measured on this data, or else two epochs trained now."""
    known = [row for row in results.of(name) if row["data"] == name_of(data) and row["seconds"] > 0]
    settings = parse_settings(args.set)
    if known and not settings:
        return max(row["seconds"] for row in known), f"measured {known[0]['date']}"
    from kzoo.training.plan import plan_training  # imports Keras, which is not needed above

    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        training_plan = plan_training(name, data, DataOptions(target=args.target), settings)
        epochs = training_plan.training["epochs"]  # with min_steps, these depend on the data
        run = kzoo.train(
            name,
            training_plan.data,
            out=Path(folder) / "run",
            progress=False,
            check=False,
            baselines=False,
            **{key: value for key, value in settings.items() if key != "min_steps"}
            | dict(epochs=2),
        )
        overhead = time.perf_counter() - began - sum(run.history["seconds"])
    return overhead + epochs * min(
        run.history["seconds"]
    ), f"two epochs timed, at most {epochs} epochs"


def repetitions(args, seconds):
    """Return the number of repetitions, and what they are: folds, splits or seeds."""
    for over in ("folds", "splits", "seeds"):
        if times := getattr(args, over):
            return (repeats_of(seconds) if times == "auto" else times), over
    return 1, "run"


def repetition_count(word):
    """Parse a number of repetitions; auto: as in the protocol."""
    return word if word == "auto" else int(word)


# %% Train
def train(args):
    for name in kzoo.list_presets(args.names):
        data = args.data or kzoo.get_preset(name).dataset
        times, over = repetitions(
            args, seconds_of(name, data, args)[0] if "auto" in (args.splits, args.seeds) else 0
        )
        folder = Path(args.out) / f"{name}-{Path(data).name}{args.label and '-' + args.label}"
        options = parse_settings(args.set) | dict(target=args.target)
        if args.folds:
            result = kzoo.cross_validate(name, data, folds=args.folds, out=folder, **options)
            print(
                json.dumps({"preset": name, "data": Path(data).name, "mean": result["mean"]}),
                flush=True,
            )
            continue
        for i in range(times):
            seeds = dict(seed=i, data_seed=i if over == "splits" else 0)
            began = time.perf_counter()
            run = kzoo.train(name, data, out=folder / f"{i}", progress=False, **seeds, **options)
            scores = {k: v for k, v in run.summary["test"].items() if isinstance(v, float)}
            seconds = round(time.perf_counter() - began, 1)
            print(
                json.dumps(
                    {"preset": name, "data": Path(data).name, **seeds, "seconds": seconds} | scores
                ),
                flush=True,
            )


def run(args):
    """Run complete recipes."""
    for name in args.names:
        out = Path(args.out) / name.replace("/", "-")
        subprocess.run([sys.executable, HERE / f"{name}.py", "--out", out, *args.more], check=True)


# %% Speed: samples per second of each backend
def speed(args):
    """Train each preset on each backend in turns, in separate processes; the fastest epoch is the result."""
    backends = [name for name in BACKENDS[1:] if is_installed(name)]
    for turn in range(args.rounds):
        for preset in kzoo.list_presets(args.names):
            runs = {}
            for backend in backends:
                folders = [Path(args.out) / f"{preset}-{backend}-{i}" for i in range(turn + 1)]
                if not (folders[-1] / "rate.json").is_file():
                    words = [sys.executable, __file__, "speed-of", preset, "--out", folders[-1]]
                    subprocess.run(words, env=os.environ | {"KERAS_BACKEND": backend}, check=True)
                runs[backend] = [kzoo.Run(folder / "run") for folder in folders]
            row = speed_row(preset, runs)
            known = {_key(row): row for row in [*read_json(args.table), row]}
            write_json(args.table, [known[key] for key in sorted(known)])
            print(
                json.dumps({"round": turn, "preset": preset} | row["samples_per_second"]),
                flush=True,
            )


def _key(row):
    return row["preset"], *row["processor"]


def speed_row(preset, runs):
    """Return the row of a preset from its runs on each backend."""
    configs = [run.config for backend_runs in runs.values() for run in backend_runs]
    versions = {name: version for config in configs for name, version in config["versions"].items()}
    return dict(
        preset=preset,
        samples_per_second={
            backend: round(max(map(rate_of, group)), 1) for backend, group in runs.items()
        },
        machine=configs[0]["machine"],
        processor=configs[0]["processor"],
        versions=versions,
        date=max(config["created"] for config in configs)[:10],
    )


def rate_of(run):
    """Return the samples per second of a run's fastest epoch; the time includes validation."""
    return run.config["data"]["train"] / min(run.history["seconds"])


def speed_of(args):
    """Train a preset on an increasing number of random rows, until an epoch takes some seconds or the limit is reached.

    The rate includes work done once per epoch (validation, saving), which matters little in long epochs.
    """
    p = kzoo.get_preset(args.name)
    rows = 8 * p.training["batch_size"]
    limit = min(1e6, 3e8 // (4 * prod(closed(p.config)["input_shape"])))
    while True:
        run = kzoo.train(
            args.name,
            random_data(p, rows),
            epochs=3,
            out=Path(args.out) / "run",
            overwrite=True,
            progress=False,
            check=False,
            test=0.1,
        )
        seconds = min(run.history["seconds"])
        if seconds >= 5 or rows >= limit:
            break
        rows = min(int(rows * min(max(7 / max(seconds, 1e-3), 2), 16)), int(limit))
    # Written last: the file exists only for complete measurements.
    write_json(Path(args.out) / "rate.json", {"rows": rows, "samples_per_second": rate_of(run)})


def random_data(preset, rows):
    """Return random inputs and targets of a preset's shape; for forecasts, a series with this number of steps."""
    import numpy as np
    import pandas as pd

    from kzoo.zoo import contract

    rng = np.random.default_rng(0)
    config = closed(preset.config)
    if config.get("horizon"):
        return pd.DataFrame({"y": rng.normal(size=rows)})
    shape = (rows, *config["input_shape"])
    output_shape = kzoo.build(preset, compile=False).output_shape[1:]
    if "vocabulary_size" in config:
        x = rng.integers(2, config["vocabulary_size"], shape, dtype="int32")
    elif len(shape) == 4:
        x = rng.integers(0, 256, shape).astype("float32")
    else:
        x = rng.normal(size=shape).astype("float32")
    if contract.head_of(preset.task, config) == "linear":
        return x, rng.normal(size=(rows, *output_shape)).astype("float32")
    classes = max(output_shape[-1], 2)
    labels = (
        np.arange(rows) % classes
        if len(output_shape) == 1
        else rng.integers(0, classes, (rows, *output_shape[:-1]))
    )
    return x, labels.astype("int32")


# %%
if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    for name, call in (("plan", plan), ("train", train)):
        command = commands.add_parser(name)
        command.set_defaults(call=call)
        command.add_argument("names", nargs="+", help="presets or globs")
        command.add_argument("--data", help="default: the data set of the preset")
        command.add_argument("--target")
        over = command.add_mutually_exclusive_group()
        over.add_argument(
            "--seeds",
            type=repetition_count,
            default=1,
            help="runs on one split; auto: as in the protocol",
        )
        over.add_argument(
            "--splits",
            type=repetition_count,
            help="runs on different splits; auto: as in the protocol",
        )
        over.add_argument("--folds", type=int, help="cross-validation")
        command.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE")
    command.add_argument("--out", default="runs/measured")
    command.add_argument("--label", default="", help="added to the folder's name")
    command = commands.add_parser("run")
    command.set_defaults(call=run)
    command.add_argument(
        "names", nargs="+", help="recipes, such as practice/optimizers; recipe options after --"
    )
    command.add_argument("--out", default="runs/measured")
    command = commands.add_parser("speed")
    command.set_defaults(call=speed)
    command.add_argument("names", nargs="+", help="presets or globs")
    command.add_argument("--rounds", type=int, default=2)
    command.add_argument(
        "--out", default="runs/speed", help="results found here are not measured again"
    )
    command.add_argument("--table", default=SPEED, help="file for the rows")
    command = commands.add_parser("speed-of")
    command.set_defaults(call=speed_of)
    command.add_argument("name", help="a preset, trained on the backend in KERAS_BACKEND")
    command.add_argument("--out", required=True)
    at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    args = parser.parse_args(sys.argv[1:at])
    args.more = sys.argv[at + 1 :]
    args.call(args)

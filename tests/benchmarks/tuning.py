"""Cost and gain of kzoo.tune compared with plain KerasTuner; prints a JSON row per measurement.

python tests/benchmarks/tuning.py epochs --preset digits_cnn --trials 20 --epochs 8 --space quick --objective val_loss
python tests/benchmarks/tuning.py overhead --trials 10
python tests/benchmarks/tuning.py memory --trials 50
python tests/benchmarks/tuning.py gain --preset tabular_fnn --data breast_cancer --trials 20 --epochs 20 --seeds 0 1 2

epochs     epochs until kzoo.tune has the final score of a plain RandomSearch (median of seeds), relative to its epochs
overhead   seconds per trial outside of training: total time minus time in `fit`, for kzoo and KerasTuner
memory     growth of the process tree per trial, in MB: slope over the trials
gain       validation scores of winner and preset, and test scores of both, retrained in the same way
"""

import argparse
import json
import operator
import os
import sys
import tempfile
import threading
import time
import warnings
from dataclasses import replace
from pathlib import Path
from statistics import median

import keras
import keras_tuner as kt
import numpy as np

import kzoo
from kzoo.data.pipeline import Batches
from kzoo.training.adapt import adapt_to_data
from kzoo.tuning.trial import running_best
from kzoo.zoo.registry import resolve


class Bare(kt.HyperModel):
    """A plain KerasTuner model with the same space, network and batches."""

    def __init__(self, space, data, epochs, objective):
        super().__init__()
        self.space = space
        self.data = data
        self.epochs = epochs
        self.objective = objective
        self.histories = []
        self.fitted = 0.0

    def declare_hyperparameters(self, hp):
        self.space.declare(hp)

    def build(self, hp):
        self.space.declare(hp)
        overrides = self.space.overrides(hp)
        steps = self.epochs * -(
            -len(self.data.train) // overrides.get("batch_size", self._training["batch_size"])
        )
        return kzoo.build(self.space.preset, steps=steps, labels="onehot", **overrides)

    @property
    def _training(self):
        return self.space.preset.training

    def fit(self, hp, model, callbacks=(), **_):
        settings = self._training | self.space.overrides(hp)
        shared = dict(batch_size=settings["batch_size"], onehot=self.data.outputs)
        train = Batches(
            self.data.train, shuffle=True, seed=0, augment=settings.get("augment", ()), **shared
        )
        began = time.perf_counter()
        history = model.fit(
            train.dataset(),
            validation_data=Batches(self.data.validation, **shared).dataset(),
            epochs=self.epochs,
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_begin=train.begin), *callbacks],
            verbose=0,
        )
        self.fitted += time.perf_counter() - began
        self.histories.append(history.history[self.objective])
        return history


def settled(preset, epochs, size, limit):
    """Return (data, space), which are the same for both."""
    preset = kzoo.get_preset(preset)
    data = kzoo.load_data(preset.dataset, preset=preset)
    config, training = resolve(preset, {"epochs": epochs})
    config, training, _ = adapt_to_data(preset, config, training, {"epochs"}, data)
    space = kzoo.space(replace(preset, task=data.task, config=config, training=training), size)
    return data, space.limit(params=limit) if limit else space


def bare(args, seed, folder, after=lambda: None):
    """Search with KerasTuner only; return (model, seconds)."""
    data, space = settled(args.preset, args.epochs, args.space, None)
    model = Bare(space, data, args.epochs, args.objective)

    class Random(kt.RandomSearch):
        def on_trial_end(self, trial):
            super().on_trial_end(trial)
            after()

    keras.utils.set_random_seed(seed)
    began = time.perf_counter()
    tuner = Random(
        model,
        objective=kt.Objective(args.objective, direction(args)),
        max_trials=args.trials,
        seed=seed + 1,
        directory=folder,
        project_name=f"bare{seed}",
        max_consecutive_failed_trials=10**6,
    )
    tuner.search(verbose=0)
    return model, time.perf_counter() - began


def ours(args, seed, folder):
    """Search with kzoo; return (search, seconds)."""
    began = time.perf_counter()
    search = kzoo.tune(
        args.preset,
        engine=args.engine,
        trials=args.trials,
        epochs=args.epochs,
        space=args.space,
        seed=seed,
        objective=args.objective,
        out=Path(folder) / f"kzoo{seed}-{args.trials}",
        progress=False,
    )
    return search, time.perf_counter() - began


def direction(args):
    """Return whether the objective is minimized or maximized."""
    return "min" if args.objective == "val_loss" else "max"


def until(histories, goal, reached):
    """Return the number of epochs trained until a goal is reached; None if it never is."""
    done = 0
    for history in histories:
        for value in history:
            done += 1
            if value is not None and reached(value, goal):
                return done
    return None


def measure_epochs(args, folder):
    rows = []
    bares = {}
    searches = {}
    for seed in args.seeds:
        bares[seed] = bare(args, seed, folder)[0].histories
        searches[seed] = [t["history"][args.objective] for t in ours(args, seed, folder)[0].trials]
    best_of = {"max": max, "min": min}[direction(args)]
    reached = {"max": operator.ge, "min": operator.le}[direction(args)]
    best = {seed: best_of(map(best_of, histories)) for seed, histories in bares.items()}
    goal = median(best.values())
    for seed in args.seeds:
        curves = (running_best(history, direction(args)) for history in searches[seed])
        row = dict(
            seed=seed,
            bare_best=best[seed],
            kzoo_best=best_of(c[-1] for c in curves if c[-1] is not None),
        )
        row |= dict(
            bare_epochs=sum(map(len, bares[seed])), kzoo_epochs=sum(map(len, searches[seed]))
        )
        untils = dict(
            bare_until=until(bares[seed], goal, reached),
            kzoo_until=until(searches[seed], goal, reached),
        )
        rows.append(row | untils)
    # Who never reaches it has used all its epochs, and more: infinity, which a median stands.
    mine = [r["kzoo_until"] or float("inf") for r in rows]
    theirs = [r["bare_until"] or float("inf") for r in rows]
    whole = median(r["bare_epochs"] for r in rows)
    summary = dict(
        goal=goal,
        kzoo_until=median(mine),
        bare_until=median(theirs),
        bare_epochs=whole,
        ratio_to_bare_until=median(mine) / median(theirs),
        ratio_to_bare_budget=median(mine) / whole,
    )
    return [*rows, {k: None if v == float("inf") else v for k, v in summary.items()}]


def measure_overhead(args, folder):
    model, seconds = bare(args, 0, folder)
    theirs = (seconds - model.fitted) / args.trials
    search, seconds = ours(args, 0, folder)
    trained = sum(t["seconds"] for t in search.trials)
    mine = (seconds - trained) / args.trials
    return [
        dict(
            bare_seconds=theirs,
            kzoo_seconds=mine,
            more=mine - theirs,
            share_of_30s=(mine - theirs) / 30,
            note="kzoo's include the start of its process, the first look and its restarts; divided by the trials",
        )
    ]


def retrained(search, number, out, seeds):
    """Return the test scores of a trial retrained from several seeds: with few test rows, one seed is not reliable."""
    runs = [
        search.retrain(trial=number, seed=s, out=out / f"run{number}-{s}", progress=False)
        for s in seeds
    ]
    scores = [run.summary["test"] for run in runs]
    return [score["accuracy" if "accuracy" in score else "loss"] for score in scores]


def measure_gain(args, folder):
    rows = []
    for seed in args.seeds:
        out = Path(folder) / f"gain{seed}"
        search = kzoo.tune(
            args.preset,
            args.data,
            engine=args.engine,
            trials=args.trials,
            epochs=args.epochs,
            space=args.space,
            seed=seed,
            data_seed=seed,
            folds=args.folds,
            out=out,
            progress=False,
        )
        best = search.best_trial()
        preset = search.trials[0]
        tests = {n: retrained(search, n, out, range(args.retrains)) for n in {best["trial"], 0}}
        winner = tests[best["trial"]]
        own = tests[0]
        rows.append(
            dict(
                seed=seed,
                preset=preset["score"],
                best=best["score"],
                trial=best["trial"],
                preset_test=float(np.mean(own)),
                best_test=float(np.mean(winner)),
                retrained_alike=float(np.std(own)),
            )
        )
    gains = [r["best_test"] - r["preset_test"] for r in rows]
    means = {
        k: float(np.mean([r[k] for r in rows]))
        for k in ("preset", "best", "preset_test", "best_test")
    }
    return [
        *rows,
        means | dict(gain_test=float(np.mean(gains)), spread=float(np.std(gains, ddof=1))),
    ]


def tree_memory(pid):
    """Return the memory of a process and its children, in bytes."""
    total = 0
    page = os.sysconf("SC_PAGE_SIZE")
    pids = [pid]
    while pids:
        one = pids.pop()
        try:
            total += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * page
            for task in Path(f"/proc/{one}/task").iterdir():
                pids += map(int, (task / "children").read_text().split())
        except OSError:
            continue
    return total


def measure_memory(args, folder):
    """Measure the peak memory of each trial."""
    taken, done = [], threading.Event()
    out = Path(folder) / f"kzoo0-{args.trials}"

    def watch():
        while not done.wait(0.2):
            number = len(list(out.glob("trials/*")))
            if number:
                taken.append((number, tree_memory(os.getpid())))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    ours(args, 0, folder)
    done.set()
    thread.join()
    peaks = {n: max(m for k, m in taken if k == n) / 2**20 for n in sorted({k for k, _ in taken})}
    numbers = np.array(list(peaks))
    sizes = np.array(list(peaks.values()))
    rows = [
        dict(
            who="kzoo",
            slope_mb=float(np.polyfit(numbers, sizes, 1)[0]),
            first=sizes[0],
            last=sizes[-1],
            largest=sizes.max(),
        )
    ]
    if args.beside:
        grown = []
        bare(args, 0, folder, after=lambda: grown.append(tree_memory(os.getpid()) / 2**20))
        slope = float(np.polyfit(np.arange(len(grown)), grown, 1)[0])
        rows.append(
            dict(
                who="bare KerasTuner",
                slope_mb=slope,
                first=grown[0],
                last=grown[-1],
                largest=max(grown),
            )
        )
    return rows


def main():
    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("epochs", "overhead", "memory", "gain"))
    parser.add_argument(
        "--preset", default="digits_cnn", help="of a classification, on its own data"
    )
    parser.add_argument("--data", help="gain: named set; the default is the preset's own")
    parser.add_argument("--folds", type=int, help="gain: score each trial over so many parts")
    parser.add_argument(
        "--retrains", type=int, default=5, help="gain: trainings of preset and winner for the test"
    )
    parser.add_argument(
        "--objective",
        default="val_accuracy",
        help="val_accuracy or val_loss, which never saturates",
    )
    parser.add_argument("--space", default="standard")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--beside", action="store_true", help="memory: measure bare KerasTuner too")
    args = parser.parse_args()
    measures = dict(
        epochs=measure_epochs, overhead=measure_overhead, memory=measure_memory, gain=measure_gain
    )
    with tempfile.TemporaryDirectory() as folder:
        for row in measures[args.what](args, folder):
            print(
                json.dumps(dict(what=args.what, preset=args.preset, trials=args.trials) | row),
                flush=True,
            )


if __name__ == "__main__":
    sys.exit(main())

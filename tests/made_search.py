"""A search's folder without training: real settings, invented scores, any number of trials at once."""

import math
import random
from pathlib import Path

import kzoo
from kzoo.tuning.engines.base import random_points
from kzoo.tuning.folder import write_leaderboard
from kzoo.tuning.records import End, Objective, Trial
from kzoo.utils.files import write_json
from kzoo.zoo.registry import resolve

ACCURACY, LOSS = Objective("val_accuracy", "max"), Objective("val_loss", "min")


def make_search(
    folder, count=40, *, objective=ACCURACY, score=None, status=None, planned=None, **changes
):
    """Write a search of `iris_fnn` on iris, and return it.

    Args:
        folder: the folder to write.
        count: number of trials.
        objective: the `Objective`.
        score: hyperparameters -> score; the default likes a middling learning rate and many units.
        status: number -> status; the default has some trials pruned, diverged and failed.
        planned: number of trials in the search's settings; the default is `count`.
        changes: entries of `search.json`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True)
    space = kzoo.space("iris_fnn", "standard")
    config, training = resolve(space.preset, {})
    spec = dict(
        preset="iris_fnn",
        family="fnn",
        task="tabular_classification",
        config=config,
        training=training,
    )
    data = dict(
        name="iris",
        data_seed=0,
        options={},
        fingerprint="f1" * 20,
        task="tabular_classification",
        inputs="rows",
        train=108,
        validation=12,
        test=30,
        class_names=["a", "b", "c"],
        target_names=[],
    )
    document = dict(
        kzoo_search=1,
        spec=spec | dict(seed=0, kzoo="0"),
        data=data,
        space=space.to_json(),
        engine="random",
        objective=dict(name=objective[0], direction=objective[1]),
        trials=planned or count,
        epochs=12,
        max_time=None,
        prune="median",
        folds=None,
        baseline=True,
        seed=0,
        backend="tensorflow",
        versions=dict(keras="3"),
        machine="Linux, 2 cores",
        created="2026-05-01T12:00:00+0000",
    )
    write_json(folder / "search.json", document | changes)
    points = [space.default(), *random_points(space, seed=0, count=count)][:count]
    noise = random.Random(0)
    records = []
    for number, values in enumerate(points):
        ended = (status or _status)(number)
        value = (score or _score)(values, noise)
        value = 1 - value if objective[1] == "min" and score is None else value
        records.append(_record(number, values, space.overrides(values), ended, value, objective))
        records[-1].write(folder)
    write_leaderboard(folder, records, objective)
    End(because="complete", complete=True, trials=count).write(folder)
    return kzoo.Search(folder)


def _status(number):
    if number and number % 9 == 4:
        return "diverged" if number % 2 else "failed"
    return "pruned" if number % 5 == 3 else "completed"


def _score(values, noise):
    rate = math.log10(values[f"learning_rate_{values['optimizer']}"]) + (
        2 if values["optimizer"] == "momentum" else 3
    )
    return 0.9 - 0.1 * (rate - 0.3) ** 2 + 0.05 * values["units_scale"] + noise.gauss(0, 0.005)


def _record(number, values, overrides, status, score, objective):
    epochs = 4 if status == "pruned" else 12
    lost = status in ("diverged", "failed")
    best = max(epochs - 2, 1)
    behind = -0.3 if objective[1] == "max" else 0.3
    curve = [score + behind * abs(epoch - best) / 12 for epoch in range(1, epochs + 1)]
    if lost:
        curve = [*curve[:1], None]
    return Trial(
        number=number,
        status=status,
        score=None if lost else score,
        best_epoch=None if lost else best,
        epochs=len(curve),
        seconds=3.0,
        params=2499 + number,
        hyperparameters=values,
        overrides=overrides,
        baseline=number == 0,
        error="loss was nan" if lost else "",
        seed=number,
        history={objective[0]: curve, "loss": curve},
    )

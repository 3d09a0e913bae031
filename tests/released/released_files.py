"""Stored files of a released version, and the questions that they answer as before."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

import kzoo
import kzoo.baselines
import kzoo.runtime

HERE = Path(__file__).parent
SMALL = dict(callbacks="quick", progress=False, baselines=False)
STEPS = dict(epochs=15, min_steps=0, batch_size=16, learning_rate=0.01)
NETWORK = STEPS | dict(units=(8,))
# Run -> preset, source, new inputs, options of `kzoo.train`, options of `kzoo.predict`.
RUNS = {
    "classes": (
        "tabular_fnn",
        "data/flats.csv",
        "data/new_flats.csv",
        dict(target="kind", drop="grade", calibration=0.2, **NETWORK),
        dict(confidence=0.8),
    ),
    "ordered": (
        "tabular_fnn",
        "data/flats.csv",
        "data/new_flats.csv",
        dict(
            target="grade", drop="kind", task="ordinal", order=["low", "medium", "high"], **NETWORK
        ),
        {},
    ),
    "panel": (
        "series_fnn",
        "data/sales.csv",
        "data/new_sales.csv",
        dict(target="sold", time="day", series_id="shop", input_shape=(14, 1), horizon=7)
        | dict(quantiles=(0.1, 0.5, 0.9), dense_units=(8,), **STEPS),
        {},
    ),
    "images": (
        "digits_cnn",
        "digits",
        "data/new_digits.npy",
        dict(epochs=4, min_steps=0, filters=(4, 8), units=(8,)),
        {},
    ),
    "texts": (
        "text_ngrams",
        "data/notes.csv",
        ["the bus was late", "a warm and quiet room"],
        dict(target="mood", epochs=3, min_steps=0, vocabulary_size=60),
        {},
    ),
}
EXPORT_FORMATS = ("onnx", "c", "html")
PRESET = """[flat_fnn]
base = "tabular_fnn"
summary = "Kinds of flats."

[flat_fnn.config]
units = [8]
dropout = 0.1
"""


def write_data(folder):
    """Draw the data of the runs, and new inputs."""
    folder.mkdir()
    draw = np.random.default_rng(20261202)
    _flats(draw, 160).to_csv(folder / "flats.csv", index=False, lineterminator="\n")
    new = _flats(draw, 6).drop(columns=["kind", "grade"])
    new.to_csv(folder / "new_flats.csv", index=False, lineterminator="\n")
    sales = _sales(draw)
    sales.to_csv(folder / "sales.csv", index=False, lineterminator="\n")
    last = sales.groupby("shop").tail(14)
    last.to_csv(folder / "new_sales.csv", index=False, lineterminator="\n")
    np.save(folder / "new_digits.npy", kzoo.load_data("digits", preset="digits_cnn").test.x[:5])
    good, bad = ("warm", "quiet", "kind", "bright"), ("late", "loud", "cold", "broken")
    nouns = ("room", "bus", "guide", "lamp", "train", "host")
    rows = [
        (f"the {draw.choice(nouns)} was {draw.choice(words)} and {draw.choice(words)}", mood)
        for mood, words in (("glad", good), ("sad", bad))
        for _ in range(60)
    ]
    notes = pd.DataFrame(rows, columns=["note", "mood"]).drop_duplicates()
    notes.sample(frac=1, random_state=0).to_csv(
        folder / "notes.csv", index=False, lineterminator="\n"
    )


def _flats(draw, count):
    area = draw.normal(70, 20, count).clip(20).round(1)
    floor = draw.integers(0, 9, count)
    town = draw.choice(["Bern", "Genf", "Chur"], count)
    signal = area / 20 + (town == "Genf") + draw.normal(0, 0.3, count)
    return pd.DataFrame(
        dict(
            area=area,
            floor=floor,
            town=town,
            built=pd.Timestamp("2000-01-01") + pd.to_timedelta(draw.integers(0, 9000, count), "D"),
            kind=np.where(signal > 4, "family", np.where(signal > 3, "pair", "single")),
            grade=np.where(signal > 4.4, "high", np.where(signal > 3.2, "medium", "low")),
        )
    )


def _sales(draw):
    days = pd.date_range("2026-01-05", periods=90, freq="D")
    parts = [
        pd.DataFrame(
            dict(
                shop=shop,
                day=days,
                sold=draw.poisson(level * (1 + 0.5 * (days.dayofweek >= 5)), len(days)),
            )
        )
        for shop, level in (("north", 5), ("south", 40), ("east", 12))
    ]
    return pd.concat(parts)


def new_inputs(name):
    new = RUNS[name][2]
    return np.load(new) if isinstance(new, str) and new.endswith(".npy") else new


def train(name, out):
    preset, source, _, options, _ = RUNS[name]
    return kzoo.train(preset, source, out=out, **SMALL, **options)


def search(out):
    return kzoo.tune(
        "tabular_fnn",
        "data/flats.csv",
        target="kind",
        drop="grade",
        out=out,
        trials=3,
        space="quick",
        engine="random",
        units=(8,),
        epochs=2,
        min_steps=0,
        progress=False,
    )


def questions():
    """Return name -> function that answers from the files in the current folder."""
    asked = {}
    for name, (*_, options) in RUNS.items():
        path = f"runs/{name}"
        asked[f"predict {name}"] = lambda path=path, name=name, options=options: predicted(
            kzoo.predict(kzoo.Run(path), new_inputs(name), **options)
        )
        asked[f"scores {name}"] = lambda path=path: scores(kzoo.Run(path))
        asked[f"evaluate {name}"] = lambda path=path, name=name: evaluated(kzoo.Run(path), name)
        asked[f"spec {name}"] = lambda path=path: spec(kzoo.Run(path))
    asked["predict baseline"] = lambda: predicted(
        kzoo.predict(kzoo.Run("runs/baseline"), "data/new_flats.csv")
    )
    asked["export onnx"] = lambda: predicted(
        kzoo.runtime.load("exports/classes", "onnx").predict("data/new_flats.csv", confidence=0.8)
    )
    asked["export files"] = lambda: sorted(
        path.relative_to("exports/classes").as_posix()
        for path in Path("exports/classes").rglob("*")
        if path.is_file()
    )
    asked["export load_model"] = lambda: kzoo.load_model("exports/classes").count_params()
    asked["search"] = lambda: searched(kzoo.Search("searches/flats"))
    asked["preset"] = preset
    return asked


def predicted(predictions):
    columns = {
        name: list(column) for name, column in predictions.columns().items() if name != "input"
    }
    return dict(labels=list(predictions.labels), columns=columns)


def evaluated(run, name):
    source = RUNS[name][1]
    return scored(kzoo.evaluate(run) if source == "digits" else kzoo.evaluate(run, source))


def scored(scores):
    """Return the numbers at the top of scores."""
    return {k: v for k, v in dict(scores).items() if isinstance(v, int | float)}


def scores(run):
    return {k: v for k, v in scored(run.summary).items() if "second" not in k}


def spec(run):
    keys = ("preset", "revision", "family", "task", "kzoo")
    found = {key: getattr(run.spec, key) for key in keys}
    return found | dict(problem=run.problem.name, layers=[layer.name for layer in run.model.layers])


def searched(search):
    trials = [(trial.score, dict(trial.overrides)) for trial in search.trials]
    return dict(trials=trials, best=search.best_config())


def preset():
    kzoo.load_presets("preset.toml")
    loaded = kzoo.get_preset("flat_fnn")
    return dict(
        family=loaded.family, task=loaded.task, config=loaded.config, training=loaded.training
    )


def plain(value):
    """Return what JSON gives back, with six digits that count."""
    text = json.dumps(value, default=_as_python)
    return json.loads(text, parse_float=lambda number: float(f"{float(number):.6g}"))


def _as_python(value):
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)

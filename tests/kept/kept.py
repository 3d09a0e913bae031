"""The stored runs, exports, searches and interrupted trainings, and the questions that they answer.

`make_kept.py` makes the files and their answers with the version that is to be kept; `test_kept.py` asks again. Only
public names of kzoo are used, so that both work with any version.
"""

import json
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np

import kzoo
import kzoo.runtime

STORED = Path(__file__).parent / "stored"
TASKS = ("churned", "plan", "tag_sport", "tag_music", "visits", "spend", "cost")
QUICK = dict(callbacks="quick", batch_size=16, epochs=8, steps_per_call=1, progress=False)
TEXTS = dict(input_shape=(12,), vocabulary_size=80, embedding_dim=8, learning_rate=0.02)
IMAGES = dict(input_shape=(8, 8, 1), filters=(4,), depth=1, units=(), learning_rate=0.02)
SERIES = dict(input_shape=(12,), units=(8,), learning_rate=0.02)
STATES = dict(series_id="sensor", time="step", target="state", drop="subject")


def _table(
    target: str, *, drop: str = "signed,words,household,weight", **options: Any
) -> dict[str, Any]:
    """Return options for a target of the customers, whose other targets are no inputs."""
    others = [name for name in TASKS if name not in target]
    return (
        dict(target=target, drop=[*drop.split(","), *others], units=(8,), learning_rate=0.02)
        | options
    )


def _npz(name: str, *keys: str) -> Any:
    with np.load(Path("data") / f"{name}.npz") as file:
        arrays = tuple(file[key] for key in keys)
    return arrays if len(arrays) > 1 else arrays[0]


# Run -> preset, source, new inputs, options of `kzoo.train`. A source is a path, or a function where it is not one.
RUNS: dict[str, tuple[str, Any, Any, dict[str, Any]]] = {
    "two_classes": (
        "tabular_fnn",
        "data/customers.csv",
        "data/new_customers.csv",
        _table(
            "churned",
            drop="weight",
            group="household",
            calibration=0.2,
            date_order="day-first",
            decision="f1",
            positive="yes",
            columns={"words": "text"},
            text_dim=4,
        ),
    ),
    "many_classes": (
        "tabular_fnn",
        "data/customers.csv",
        "data/new_customers.csv",
        _table("plan", drop_rare=5, class_weight="balanced", postprocess="vector_scaling"),
    ),
    "label_sets": (
        "tabular_fnn",
        "data/customers.csv",
        "data/new_customers.csv",
        _table(
            "tag_sport,tag_music",
            task="labels",
            sample_weight="weight",
            drop="signed,words,household",
        ),
    ),
    "one_value": (
        "tabular_fnn",
        "data/customers.xlsx",
        "data/new_customers.csv",
        _table("spend", sheet="all", header_row=3, split="time", time="since", calibration=0.2),
    ),
    "several_values": (
        "tabular_tabm",
        "data/customers.csv",
        "data/new_customers.csv",
        _table("spend,cost", members=2, bins=4, bins_dim=2),
    ),
    "counts": (
        "tabular_fnn",
        "sqlite:data/customers.db?customers",
        "data/new_customers.csv",
        _table("visits", task="count"),
    ),
    "quantiles": (
        "tabular_fnn",
        "data/customers.csv",
        "data/new_customers.csv",
        _table("spend", quantiles=(0.1, 0.5, 0.9)),
    ),
    "costs_and_repairs": (
        "tabular_transformer",
        "data/customers.csv",
        "data/new_customers.csv",
        {k: v for k, v in _table("churned").items() if k != "units"}
        | dict(width=8, num_heads=2, intermediate_dim=8, depth=1)
        | dict(repairs="data/suspects.csv", cost={"yes:no": 5, "no:yes": 1}),
    ),
    "arrays": (
        "tabular_fnn",
        lambda: _npz("rows", "x", "y"),
        lambda: _npz("new_arrays", "rows"),
        dict(units=(8,), group=np.arange(150) // 2),
    ),
    "images": (
        "image_cnn",
        "data/signs",
        "data/new_photos",
        IMAGES | dict(calibration=0.2, augment=("shift",)),
    ),
    "image_values": (
        "image_cnn",
        "data/photos",
        "data/new_photos",
        IMAGES | dict(target="light", drop="across,bright"),
    ),
    "image_labels": (
        "image_cnn",
        "data/photos",
        "data/new_photos",
        IMAGES | dict(target="across,bright", drop="light"),
    ),
    "texts": (
        "text_cnn",
        "data/reviews.csv",
        ["Well, the film was a joy.", "They say, OUR soup was dreadful!"],
        TEXTS | dict(target="mood", drop="stars", filters=(4,), calibration=0.2),
    ),
    "text_folder": (
        "text_ngrams",
        "data/letters",
        ["Truly, her book was a bore.", "a joy, wonderful"],
        {},
    ),
    "text_values": (
        "text_gru",
        "data/reviews.csv",
        ["Well, the film was a joy.", "that song was as expected"],
        TEXTS | dict(target="stars", drop="mood", units=(8,)),
    ),
    "language": (
        "char_gru",
        "data/story.txt",
        ["the cat sees", "a dog "],
        dict(input_shape=(20,), units=(8,), embedding_dim=8, learning_rate=0.02),
    ),
    "series": (
        "series_gru",
        "data/load.csv",
        "data/new_load.csv",
        SERIES | dict(target="load", time="hour", horizon=3),
    ),
    "panel": (
        "series_linear",
        "data/shops.csv",
        "data/new_shops.csv",
        dict(
            target="sales",
            series_id="shop",
            time="day",
            known_covariates="promo",
            static_covariates="region",
            quantiles=(0.1, 0.5, 0.9),
            horizon=3,
            input_shape=(14,),
        ),
    ),
    "panel_values": (
        "series_fnn",
        "data/shops.csv",
        "data/new_shops.csv",
        dict(
            target="sales",
            series_id="shop",
            time="day",
            drop="region,promo",
            horizon=3,
            input_shape=(14,),
            dense_units=(8,),
        ),
    ),
    "labelled_series": (
        "series_gru",
        "data/recordings.csv",
        "data/new_recordings.csv",
        dict(units=(8,)) | STATES,
    ),
    "segments": (
        "series_rocket",
        "data/recordings.csv",
        "data/new_recordings.csv",
        dict(segment=10, stride=5, shares=840, groups=1) | STATES,
    ),
    "sequences": (
        "adding_gru",
        "data/sequences.npz",
        lambda: _npz("new_arrays", "sequences"),
        dict(units=(4,), learning_rate=0.05),
    ),
}
ONE_PASS = ("segments",)  # trained without epochs
ENSEMBLE = ("two_classes", "two_classes_again")  # the second has another seed
BASELINE = (
    "trees",
    "data/customers.csv",
    dict(target="plan", drop=[*TASKS[:1], *TASKS[2:], "words", "household"]),
)
CROSS_VALIDATED = ("tabular_fnn", "data/customers.csv", _table("churned") | dict(folds=2, seed=3))
# Run -> another that takes the same inputs.
MORE = {
    "ensemble": "two_classes",
    "baseline": "many_classes",
    "crossed/fold-01": "many_classes",
}
FORMATS = ("keras", "saved_model", "onnx", "litert")
EXPORTS = dict.fromkeys([*RUNS, "ensemble", "baseline"], ("onnx",)) | dict.fromkeys(
    ("two_classes", "images", "texts", "series"), FORMATS
)
CONFIDENT = (
    "two_classes",
    "one_value",
    "counts",
    "quantiles",
    "arrays",
    "images",
    "texts",
    "text_values",
    "series",
    "panel",
    "sequences",
)

# Search -> preset, source, options of `kzoo.tune`.
_SEARCH = dict(
    engine="random", space="quick", trials=3, epochs=3, batch_size=32, prune=None, progress=False
)
SEARCHES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "classes": (
        "tabular_fnn",
        "data/customers.csv",
        _table("churned") | _SEARCH | dict(objective="f1"),
    ),
    "values_of_folds": (
        "tabular_fnn",
        "data/customers.csv",
        _table("spend") | _SEARCH | dict(folds=2, trials=2),
    ),
    "images": ("image_cnn", "data/signs", IMAGES | _SEARCH),
    "panel": ("series_linear", "data/shops.csv", RUNS["panel"][3] | _SEARCH),
}
AUTO = (
    "data/customers.csv",
    dict(target="plan", drop=BASELINE[2]["drop"], drop_rare=5, max_time=40, progress=False),
)

# What was killed: options of `kzoo.train` with a journal every third step, and of `kzoo.tune`.
KILLED_TRAINING = (
    "tabular_fnn",
    "data/customers.csv",
    _table(
        "churned", units=(16,), epochs=5, batch_size=16, ema=0.9, decision="f1", callbacks="quick"
    )
    | dict(steps_per_call=1, journal_steps=3, progress=False),
)
KILLED_SEARCH = (
    "tabular_fnn",
    "data/customers.csv",
    _table("churned") | _SEARCH | dict(trials=4, epochs=12, objective="val_loss"),
)


def train(name: str, out: Path) -> kzoo.Run:
    """Train a run of `RUNS`, or return the one that is in its folder."""
    preset, source, _, options = RUNS[name]
    settings = {k: v for k, v in QUICK.items() if k != "epochs" or name not in ONE_PASS}
    return kzoo.train(preset, _called(source), out=out, **settings | options)


def new_inputs(name: str) -> Any:
    """Return new inputs of a run."""
    return _called(RUNS[MORE.get(name, name)][2])


def source_of(name: str) -> Any:
    """Return the source that a run was trained on."""
    return _called(RUNS[MORE.get(name, name)][1])


def _called(source: Any) -> Any:
    return source() if callable(source) else source


def unpack(home: Path, pattern: str = "*") -> Path:
    """Unpack the stored files whose names match; return their folder, in which all paths are relative."""
    for file in sorted(STORED.glob(f"{pattern}.zip")):
        with ZipFile(file) as archive:
            archive.extractall(home)
    return home


# ---------------------------------------------------------------- questions


def questions() -> dict[str, dict[str, Callable[[], Any]]]:
    """Return file name -> question -> a function that answers it, in the folder of the unpacked files."""
    calls: dict[str, dict[str, Callable[[], Any]]] = {}
    for name in (*RUNS, *MORE):
        run = Path("runs", name)
        calls[file_name("run", name)] = {
            "spec": partial(kzoo.spec_of, run),
            "facts": partial(facts, run),
            "weights": partial(weights, run),
            "predict": lambda run=run, name=name: predicted(kzoo.predict(run, new_inputs(name))),
        }
        if name in CONFIDENT:
            calls[file_name("run", name)]["predict with confidence"] = lambda run=run, name=name: (
                predicted(kzoo.predict(run, new_inputs(name), confidence=0.8))
            )
        if name in RUNS:  # of a fold, of a baseline and of an ensemble, the split is another
            calls[file_name("run", name)]["evaluate"] = lambda run=run, name=name: kzoo.evaluate(
                run, source_of(name)
            )
    for name, formats in EXPORTS.items():
        export = Path("exports", name)
        calls[file_name("export", name)] = {"spec": partial(kzoo.spec_of, export)} | {
            f"predict with {format}": lambda export=export, format=format, name=name: predicted(
                kzoo.runtime.load(export, format).predict(new_inputs(name))
            )
            for format in formats
            if format in ("onnx", "litert")  # the others need TensorFlow or Keras
        }
    for name in (*SEARCHES, "auto"):
        calls[file_name("search", name)] = {"facts": partial(search_facts, Path("searches", name))}
    calls["search-auto"]["predict"] = lambda: predicted(
        kzoo.predict(kzoo.Search("searches/auto").winner, new_inputs("many_classes"))
    )
    for name in ("two_classes", "texts", "panel"):
        calls[file_name("run", name)]["check new rows"] = lambda name=name: [
            [finding.check, finding.level]
            for finding in kzoo.check(Path("runs", name), new_inputs(name))
        ]
    calls["estimator"] = {"predict": estimated}
    calls["compare"] = {"runs": lambda: compared("runs"), "searches": lambda: compared("searches")}
    return calls


def ends(training: Path, search: Path) -> dict[str, Any]:
    """Return how the training and the search that were killed end."""
    return dict(facts=facts(training), weights=weights(training), search=search_facts(search))


def file_name(kind: str, name: str) -> str:
    return f"{kind}-{name.replace('/', '-')}"


def facts(path: str | Path) -> dict[str, Any]:
    """Return what a run says about itself."""
    run = kzoo.Run(path)
    return dict(
        finished=run.finished,
        problem=run.problem.name,
        class_names=run.class_names,
        target_names=run.data.target_names,
        rows=[run.data.train, run.data.validation, run.data.test],
        scores=run.summary["test"],
        history={name: column for name, column in run.history.items() if name != "seconds"},
        command=run.config["command"],
    )


def weights(path: str | Path) -> list[Any]:
    """Return name, shape and sum of each weight of a model."""
    model = kzoo.load_model(path)
    return [
        [w.path, list(w.shape), float(np.abs(w.numpy().astype("float64")).sum())]
        for w in model.weights
    ]


def predicted(predictions: Any) -> dict[str, Any]:
    """Return labels and all other columns; of the inputs, only their number."""
    columns = {
        name: list(column) for name, column in predictions.columns().items() if name != "input"
    }
    return dict(count=len(predictions), labels=list(predictions.labels), columns=columns)


def search_facts(path: str | Path) -> dict[str, Any]:
    """Return what a search says about itself."""
    search = kzoo.Search(path)
    table = search.leaderboard()
    table = table.drop(columns=[name for name in ("seconds", "format_version") if name in table])
    facts = dict(
        finished=search.finished, objective=[search.objective.name, search.objective.direction]
    )
    return facts | dict(leaderboard=json.loads(table.to_json(orient="records")))


def compared(folder: str) -> list[Any]:
    """Return the rows of a comparison of all runs or searches of a folder, by their names."""
    names = (
        "run",
        "preset",
        "data",
        "task",
        "metric",
        "split",
        "score",
        "baseline",
        "finished",
        "differs",
    )
    rows = json.loads(kzoo.compare(folder).to_json(orient="records", default_handler=str))
    rows = [{name: row[name] for name in names} for row in rows]
    return sorted(rows, key=lambda row: (row["task"], row["data"], row["metric"], row["run"]))


def estimated() -> dict[str, Any]:
    """Return the predictions of the pickled estimator."""
    estimator = pickle.loads(Path("estimator.pickle").read_bytes())
    rows = _npz("new_arrays", "rows")
    return dict(labels=estimator.predict(rows), probabilities=estimator.predict_proba(rows))


def plain(value: Any) -> Any:
    """Return what JSON gives back, numbers to seven digits."""
    return json.loads(
        json.dumps(value, default=_as_python), parse_float=lambda text: float(f"{float(text):.7g}")
    )


def _as_python(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)

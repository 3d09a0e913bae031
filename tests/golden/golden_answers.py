"""Questions to the stored runs, search and exports, for `make.py` and for the test; the answers are plain data.

Only public names of kzoo are used, so that the same questions work with any later kzoo.
"""

import csv
import json
import re
import shutil
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

import kzoo
import kzoo.runtime
from kzoo.tuning.ranking import ranked

HERE = Path(__file__).parent

RUNS = {
    "table": ("run", "run_2", "run_transformer"),
    "values": ("run",),
    "text": ("run",),
    "series": ("run", "run_transformer"),
    "language": ("run",),
    "images": ("run",),
}
EXPORTS = {"table": "export", "text": "export", "language": "export"}
NEW_TEXTS = [
    "Well, the film was a joy.",
    "They say, OUR soup was dreadful!",
    "quite unknown words",
    "",
]
PROMPTS = ["the cat sees", "a dog ", "?"]
SCORED = (
    "group",
    "run",
    "preset",
    "data",
    "task",
    "metric",
    "split",
    "score",
    "interval",
    "validation",
    "rmse",
    "parameters",
    "best_epoch",
    "epochs",
    "trials",
    "finished",
    "interrupted",
    "differs",
)


def unpack(folder):
    """Copy the stored runs, search and exports to a new folder, unpacked, and return it."""
    shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    for archive in folder.rglob("made.zip"):
        shutil.unpack_archive(archive, archive.parent)
        archive.unlink()
    return folder


def _scores(run, data, **options):
    """Score a run on all of its data, under another name: under its first name it is split as in training."""
    with tempfile.TemporaryDirectory() as folder:
        return kzoo.evaluate(run, another(data, folder), **options)


def another(data, folder):
    """Copy data into a folder, under another name; None, for a named set, stays None."""
    if data is None:
        return None
    copy = Path(folder) / f"all{data.suffix}"
    return Path((shutil.copytree if data.is_dir() else shutil.copy)(data, copy))


def questions(golden) -> dict:
    """Return every question: "part/what" -> a call without arguments, whose answer is plain data.

    Args:
        golden: the unpacked folder; nothing is written to it, nor read before a call.
    """
    calls = {}
    for part, names in RUNS.items():
        data = _data_of(golden, part)
        new = partial(raw, golden, part)
        for name in names:
            run = golden / part / name
            calls |= {
                f"{part}/{name} spec": partial(kzoo.spec_of, run),
                f"{part}/{name} facts": partial(_facts, run),
                f"{part}/{name} predict": partial(_predict, run, new),
                f"{part}/{name} evaluate": partial(_scores, run, data),
                f"{part}/{name} load_model": partial(_summary, run),
                f"{part}/{name} report": partial(_report, run),
            }
    for part, name in EXPORTS.items():
        export = golden / part / name
        new = partial(raw, golden, part)
        calls |= {
            f"{part}/{name} spec": partial(kzoo.spec_of, export),
            f"{part}/{name} onnx": partial(_run_export, export, "onnx", new),
            f"{part}/{name} litert": partial(_run_export, export, "litert", new),
            f"{part}/{name} load_model": partial(_summary, export),
        }
    run = golden / "language" / "run"
    calls |= {
        "table/export .keras file": partial(
            _summary, golden / "table" / "export" / "keras" / "model.keras"
        ),
        "table/run predict csv": lambda: predictions_as_data(
            kzoo.predict(golden / "table" / "run", golden / "table" / "new.csv")
        ),
        "values/run predict csv": lambda: predictions_as_data(
            kzoo.predict(golden / "values" / "run", golden / "values" / "new.csv")
        ),
        "table/run check new": lambda: _finding_rows(
            kzoo.check(golden / "table" / "run", golden / "table" / "new.csv")
        ),
        "text/run check new": lambda: _finding_rows(kzoo.check(golden / "text" / "run", NEW_TEXTS)),
        "images/run check": lambda: _finding_rows(
            kzoo.check(golden / "images" / "run", deep=False)
        ),
        "images/run evaluate validation": partial(
            kzoo.evaluate, golden / "images" / "run", split="validation"
        ),
        "images/run predict arrays": lambda: predictions_as_data(
            kzoo.predict(golden / "images" / "run", _pixels(golden))
        ),
        "language/run evaluate stateful": partial(
            _scores, run, golden / "language" / "data.txt", stateful=True
        ),
        "language/run generate": partial(kzoo.generate, run, "the cat ", length=40, seed=3),
        "table/compare": partial(_compared, golden, ["table"]),
        "series/compare": partial(_compared, golden, ["series", "values", "images"]),
    }
    search = golden / "search" / "iris"
    calls |= {
        "search/facts": lambda: _search(kzoo.Search(search)),
        "search/leaderboard": lambda: _leaderboard(kzoo.Search(search)),
        "search/best_model": lambda: _answers(
            kzoo.Search(search).best_model(), [[5.1, 3.5, 1.4, 0.2], [6, 3, 5, 2]]
        ),
        "search/report": partial(_report, search),
        "search/compare": partial(_compared_searches, golden),
    }
    return calls


def by_part(golden) -> dict:
    """Answer every question: part -> question -> answer."""
    answers = {}
    for name, ask in questions(golden).items():
        part, question = name.split("/", 1)
        answers.setdefault(part, {})[question] = plain(ask())
    return answers


def plain(value):
    """Return what JSON gives back, numbers to six digits behind the point and six that count."""
    return json.loads(json.dumps(value, default=_as_python), parse_float=_rounded)


def _as_python(value):
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)


def _rounded(text):
    number = float(text)
    return (
        number
        if number != number
        else float(f"{number:.6f}" if abs(number) >= 0.1 else f"{number:.6g}")
    )


def _data_of(golden, part):
    """Return labelled data: all of a file, or None for the test split of the run."""
    return {"images": None, "language": golden / "language" / "data.txt"}.get(
        part, golden / part / "data.csv"
    )


def raw(golden, part):
    """Return raw inputs as a user has them: rows, a folder of images, sentences, the last hours."""
    if part == "images":
        return golden / "images" / "new"
    if part in ("text", "language"):
        return NEW_TEXTS if part == "text" else PROMPTS
    if part == "series":
        return golden / "series" / "new.csv"
    with open(golden / part / "new.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _pixels(golden):
    files = sorted((golden / "images" / "new").iterdir())
    return np.stack([np.asarray(Image.open(file), "float32")[..., None] for file in files])


def predictions_as_data(predictions):
    """Return labels and all other columns; of the inputs, only their number."""
    columns = {
        name: list(column) for name, column in predictions.columns().items() if name != "input"
    }
    return dict(count=len(predictions), labels=list(predictions.labels), columns=columns)


def _predict(run, new):
    return predictions_as_data(kzoo.predict(run, new()))


def _run_export(export, format, new):
    return predictions_as_data(kzoo.runtime.load(export, format).predict(new()))


def _facts(path):
    run = kzoo.Run(path)
    answers = {
        k: v
        for k, v in (run.answers or {}).items()
        if k in ("split", "rows", "truth", "answers", "shown")
    }
    config = {k: v for k, v in run.config.items() if k not in ("spec", "statistics", "command")}
    return dict(
        finished=run.finished,
        class_names=run.class_names,
        summary=run.summary,
        history=run.history,
        config=config,
        preprocessing=run.preprocessing,
        kept={k: v if isinstance(v, str) else _digest(v) for k, v in answers.items()},
    )


def _digest(array):
    """Return the shape of an array, its first numbers, and their sum."""
    numbers = np.asarray(array, "float64")
    return dict(shape=numbers.shape, first=numbers.reshape(-1)[:5], sum=numbers.sum())


def _summary(path):
    """Return the layers of a model, its shapes, and the sum of each weight."""
    model = kzoo.load_model(path)
    return dict(
        name=model.name,
        takes=model.input_shape,
        gives=model.output_shape,
        parameters=model.count_params(),
        layers=[layer.name for layer in model.layers],
        weights=[[tuple(w.shape), float(np.abs(w).sum())] for w in model.get_weights()],
    )


def _report(path):
    """Return the headings of a report, and how many pictures and tables it has."""
    with tempfile.TemporaryDirectory() as folder:
        page = kzoo.report(path, out=Path(folder) / "report.html").read_text(encoding="utf-8")
    headings = re.findall(r"<h[1-3][^>]*>(.*?)</h", page, re.DOTALL)
    return dict(headings=headings) | {
        tag: page.count(f"<{tag}") for tag in ("svg", "img", "table", "tr")
    }


def _answers(model, rows):
    return model.predict_on_batch(np.array(rows, "float32"))


def _finding_rows(findings):
    return [[finding.check, finding.level, finding.where] for finding in findings]


def _scored(rows):
    return [{name: row[name] for name in SCORED} for row in rows]


def _compared(golden, parts):
    return _scored(ranked([golden / part for part in parts]))


def _compared_searches(golden):
    copy = golden / "search" / "copy_of_iris"  # a single search is not compared
    shutil.copytree(golden / "search" / "iris", copy)
    try:
        return _scored(ranked(golden / "search"))
    finally:
        shutil.rmtree(copy)


def _search(search):
    best = search.best_trial()
    return dict(
        finished=search.finished,
        objective=search.objective,
        best_config=search.best_config(),
        best_spec=search.best_spec(),
        best_trial={k: v for k, v in best.items() if k not in ("seconds", "format_version")},
        trials=[trial["overrides"] for trial in search.trials],
    )


def _leaderboard(search):
    table = search.leaderboard().drop(columns="seconds")
    return json.loads(table.to_json(orient="records"))

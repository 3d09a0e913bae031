"""Every task through every door: the table in `kzoo/README.md` says what works, and each of its cells is tried.

All cells of a task share a run of a tiny network, and one server answers for the exports of all tasks.
"""

import json
import re
import sys
from base64 import b64encode
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from shortcuts import tune_here, undrawn, untraced

import kzoo
import kzoo.runtime
from kzoo.data.load import load_data
from kzoo.problems.tasks import problems, score_named
from kzoo.utils.errors import KzooError
from kzoo.zoo.results import baselines, displayed_metric, value_of

sys.path.append(str(Path(__file__).parent / "serve"))
from page_visit import Visit, browsing
from served import serving
from test_page_files import STRINGS

pytestmark = pytest.mark.slow
COLUMNS = (
    "source",
    "train",
    "check",
    "predict",
    "report",
    "tune",
    "compare",
    "exports",
    "runtime",
    "server",
    "page",
)
README = Path(kzoo.__file__).with_name("README.md")
ROWS = 150
HOURS = 700
LEVELS = (0.1, 0.5, 0.9)
WORDS = ["bad", "poor", "dull", "plain", "fair", "good", "fine", "great", "lovely", "perfect"]
PRESETS = {
    "rows": "tabular_fnn",
    "image": "image_cnn",
    "tokens": "text_cnn",
    "series": "series_gru",
}
SETTINGS = {
    "rows": dict(units=(4,)),
    "image": dict(input_shape=(8, 8, 1), filters=(4,), depth=1, units=()),
    "tokens": dict(input_shape=(8,), embedding_dim=4, filters=(4,), kernel_size=(2,), units=()),
    "series": dict(input_shape=(8,), units=(4,)),
}
LANGUAGE = "char_gru", dict(input_shape=(10,), units=(4,), embedding_dim=4)


def targets(problem, signal):
    """Return name -> values of the target columns of a problem, which follow a signal (N,) of about 0 to 1."""
    draw = np.random.default_rng(1)
    if "ordinal" in problem.facts:
        return {"stars": 1 + np.digitize(signal, np.quantile(signal, [0.3, 0.7]))}
    if "classes" in problem.facts:
        return {"kind": np.where(signal > np.median(signal), "yes", "no")}
    if "labels" in problem.facts:
        return {
            "warm": (signal > 0.4) * 1,
            "bright": (signal + draw.normal(0, 0.1, len(signal)) > 0.6) * 1,
        }
    if "counts" in problem.facts:
        return {"visits": draw.poisson(1 + 4 * np.clip(signal, 0, None))}
    return {"size": (10 * signal + draw.normal(0, 0.3, len(signal))).round(3)}


def table(problem, folder):
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"a": draw.uniform(size=ROWS), "town": draw.choice(["Bern", "Genf"], ROWS)}
    )
    columns = targets(problem, 0.7 * frame["a"] + 0.3 * (frame["town"] == "Bern"))
    return frame.assign(**columns), dict(target=list(columns)), frame[:7]


def texts(problem, folder):
    draw = np.random.default_rng(0)
    words = [draw.choice(WORDS, draw.integers(4, 9)).tolist() for _ in range(ROWS)]
    columns = targets(
        problem, np.array([np.mean([WORDS.index(word) for word in text]) for text in words]) / 9
    )
    frame = pd.DataFrame({"review": [" ".join(text) for text in words]})
    return frame.assign(**columns), dict(target=list(columns)), list(frame["review"][:7])


def images(problem, folder):
    """Write images whose brightness follows the target, and a table that labels them."""
    level = np.random.default_rng(0).uniform(size=ROWS)
    columns = targets(problem, level)
    pixels = (
        np.random.default_rng(1)
        .normal(60 + 120 * level[:, None, None], 20, (ROWS, 8, 8))
        .clip(0, 255)
    )
    for i, image in enumerate(pixels):
        Image.fromarray(image.astype("uint8")).save(folder / f"{i:03}.png")
    pd.DataFrame({"file": [f"{i:03}.png" for i in range(ROWS)], **columns}).to_csv(
        folder / "labels.csv", index=False
    )
    return folder, dict(target=list(columns)), [str(folder / f"{i:03}.png") for i in range(7)]


def series(problem, folder):
    hours = np.arange(HOURS)
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({"time": pd.date_range("2024-01-01", periods=HOURS, freq="h")})
    frame["load"] = (10 + np.sin(hours * 2 * np.pi / 24) + 0.1 * draw.normal(size=HOURS)).round(3)
    return frame, dict(target="load"), frame[-8:]


def sequences(problem, folder):
    x = np.random.default_rng(0).uniform(size=(ROWS, 8, 1)).astype("float32")
    return (x, targets(problem, x.mean(axis=(1, 2)))["size"]), {}, x[:7]


def recordings(problem, folder):
    """Return a table with a row per step of series of different lengths."""
    draw = np.random.default_rng(0)
    levels = draw.uniform(size=ROWS)
    lengths = draw.integers(5, 9, ROWS)
    (name, values), *_ = targets(problem, levels).items()
    number = np.repeat(np.arange(ROWS), lengths)
    frame = pd.DataFrame(
        {
            "id": [f"r{n:03}" for n in number],
            "step": np.concatenate([np.arange(n) for n in lengths]),
        }
    )
    frame["a"] = levels[number] + draw.normal(0, 0.1, len(number))
    options = dict(target=name, series_id="id", time="step")
    return frame.assign(**{name: values[number]}), options, frame[number < 7]


def language(problem, folder):
    (file := folder / "book.txt").write_text("to be or not to be, that is the question\n" * 40)
    return file, {}, ["to be or n", "that is th"]


def source_of(problem):
    """Return the function that makes data for a problem."""
    if "continues" in problem.facts:
        return language
    if problem.kind == "series":
        return (
            series
            if "ordered" in problem.facts
            else recordings
            if "classes" in problem.facts
            else sequences
        )
    return {"rows": table, "tokens": texts, "image": images}[problem.kind]


class Tried:
    """What the cells of a task share.

    Args:
        problem: of the task.
        folder: for its files.
        python: for the processes of an export.
    """

    def __init__(self, problem, folder, python=sys.executable):
        self.problem, self.folder, self.python = problem, folder, python
        (home := folder / "data").mkdir(parents=True)
        self.source, self.options, self.inputs = source_of(problem)(problem, home)
        self.preset, settings = (PRESETS[problem.kind], SETTINGS[problem.kind])
        if "continues" in problem.facts:
            self.preset, settings = LANGUAGE
        self.settings = settings | dict(batch_size=32)
        if "quantiles" in problem.facts:
            self.options["quantiles"] = LEVELS
        elif source_of(problem) in (table, texts, images):
            self.options["task"] = problem.name
        if source_of(problem) is series:
            self.settings["horizon"] = 3
        elif problem.kind == "series":
            self.preset = "adding_gru"

    def train(self, out, **options):
        with untraced():
            return kzoo.train(
                self.preset,
                self.source,
                out=self.folder / out,
                callbacks="quick",
                epochs=1,
                progress=False,
                **self.options,
                **self.settings | options,
            )

    @cached_property
    def run(self):
        return self.train("run")

    @cached_property
    def predictions(self):
        return kzoo.predict(self.run, self.inputs)

    @cached_property
    def exported(self):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "executable", self.python)
            return kzoo.export(
                self.run, self.folder / self.problem.name, formats="onnx", progress=False
            )

    @property
    def primary(self):
        """The name of the primary score."""
        return displayed_metric(self.problem.headline, self.run.summary["test"], self.problem.task)

    @property
    def request(self):
        """The inputs, as JSON for the server."""
        if self.problem.kind == "image":
            return [{"b64": b64encode(Path(file).read_bytes()).decode()} for file in self.inputs]
        if isinstance(self.inputs, pd.DataFrame):
            return json.loads(self.inputs.to_json(orient="records", date_format="iso"))
        return self.inputs.tolist() if isinstance(self.inputs, np.ndarray) else self.inputs


def numbers_of(predictions):
    candidates = predictions.quantiles, predictions.values, predictions.probabilities
    return next(numbers for numbers in candidates if numbers is not None)


def try_source(tried, site):
    data = load_data(tried.source, preset=tried.preset, **tried.options)
    assert data.task == tried.problem.name and data.problem.facts == tried.problem.facts
    assert all(len(split.y) for split in (data.train, data.validation, data.test))


def try_train(tried, site):
    scores = tried.run.summary["test"]
    summary = tried.run.summary
    assert tried.run.finished and tried.run.problem.name == tried.problem.name
    assert np.isfinite(value_of(scores, tried.primary))
    assert np.isfinite(list(baselines.values(summary).values())).all() and baselines.values(summary)


def try_check(tried, site):
    findings = kzoo.check(tried.preset, tried.source, **tried.options, **tried.settings)
    assert findings.overview is not None
    assert not [finding for finding in findings if finding.level == "error"], findings
    new = kzoo.check(tried.run, tried.source)
    assert not [finding for finding in new if finding.level == "error"], new


def try_predict(tried, site):
    predictions = tried.predictions
    facts = tried.problem.facts
    numbers = numbers_of(predictions)
    assert np.isfinite(numbers).all() and len(predictions.columns())
    ahead = (3,) if source_of(tried.problem) is series else ()
    count = 1 if ahead else len(tried.inputs)
    if "series_id" in tried.options:
        count = tried.inputs["id"].nunique()
    if "quantiles" in facts:
        assert numbers.shape == (count, *ahead, 1, len(LEVELS)) and (np.diff(numbers) >= 0).all()
    elif "values" in facts:
        assert numbers.shape == (count, *ahead, 1)
    else:
        assert (
            numbers.shape == (count, len(predictions.class_names))
            and ((numbers >= 0) & (numbers <= 1)).all()
        )
        assert len(predictions.labels) == count


def try_report(tried, site):
    page = kzoo.report(tried.run, out=tried.folder / "report.html").read_text(encoding="utf-8")
    assert score_named(tried.primary).label in page
    assert tried.problem.name.replace("_", " ") in page


def try_tune(tried, site):
    with untraced():
        search = tune_here(
            tried.preset,
            tried.source,
            out=tried.folder / "search",
            space="quick",
            trials=2,
            epochs=1,
            engine="random",
            objective=tried.primary,
            progress=False,
            **tried.options,
            **tried.settings,
        )
    direction = score_named(tried.primary).best
    assert search.finished and (search.objective.name, search.objective.direction) == (
        f"val_{tried.primary}",
        direction,
    )
    scores = [trial.score for trial in search.trials]
    assert len(scores) == 2 and np.isfinite(scores).all()
    assert search.best_trial().score == (max if direction == "max" else min)(scores)


def try_compare(tried, site):
    with undrawn():
        second = tried.train("second", learning_rate=0.02)
    rows = kzoo.compare([tried.run, second]).to_dict("records")
    assert {row["run"] for row in rows if not row["baseline"]} == {"run", "second"} and any(
        r["baseline"] for r in rows
    )
    assert {row["metric"] for row in rows} == {tried.primary}
    pair = [row["score"] for row in rows if not row["baseline"]]
    assert pair == sorted(pair, reverse=score_named(tried.primary).best == "max")


def try_exports(tried, site):
    (export,) = tried.exported.exports.values()
    assert export["status"] == "ok" and export["difference"] <= 1e-5
    assert tried.exported.config["metrics"]["test"] == tried.run.summary["test"]


def try_runtime(tried, site):
    predictions = kzoo.runtime.load(tried.exported.path).predict(tried.inputs)
    assert predictions.labels == tried.predictions.labels
    assert list(predictions.columns()) == list(tried.predictions.columns())
    np.testing.assert_allclose(
        numbers_of(predictions), numbers_of(tried.predictions), rtol=1e-5, atol=1e-5
    )


def try_server(tried, site):
    url = f"/v1/models/{tried.problem.name}/answer?top=1000"
    response = site.server.post(url, json={"inputs": tried.request})
    assert response.status_code == 200, response.text
    rows = response.json()["predictions"]
    assert len(rows) == len(tried.predictions)
    for row, expected in zip(rows, tried.predictions.rows(), strict=True):
        assert row.keys() == expected.keys()
        for name in ("label", "labels", "times", "targets", "levels"):
            assert row.get(name) == expected.get(name)
        for name in ("values", "quantiles"):
            if name in row:
                np.testing.assert_allclose(row[name], expected[name], rtol=1e-5, atol=1e-5)
        shares, other = (
            {entry["label"]: entry["probability"] for entry in answer.get("classes", ())}
            for answer in (row, expected)
        )
        assert shares == pytest.approx(other, abs=1e-5)


def try_page(tried, site):
    about = site.server.get(f"/v1/models/{tried.problem.name}/about").json()
    problem = tried.problem
    assert (
        about["score"]["name"] == tried.primary
        and np.isfinite(about["score"]["value"])
        and about["score"]["beside"]
    )
    assert f"task_{problem.name}" in STRINGS and f"score_{tried.primary}" in STRINGS
    assert about["answer"]["classes"] == list(tried.run.class_names)
    assert about["answer"]["continues"] == ("continues" in problem.facts)
    assert about["example"] is not None
    if site.browser is None:
        return
    tab = Visit(site.browser.new_page(locale="en-GB"), site.server.url)
    page = tab.open(problem.name)
    assert STRINGS[f"task_{problem.name}"][0] in page.locator(".about").inner_text()
    if "ids" in about["input"]["facts"]:
        page.fill("textarea", tried.inputs[0])
    elif "pixels" in about["input"]["facts"]:
        tab.way("way_choose")
        page.set_input_files("input[type=file]", tried.inputs[0])
    elif "steps" in about["input"]["facts"] and about["input"]["raw"]:
        page.fill("textarea", tried.inputs.to_csv(index=False))
    if "pixels" not in about["input"]["facts"]:
        tab.click("continue" if about["answer"]["continues"] else "ask")
    shown = tab.answer()
    assert shown.strip()
    if "labels" in problem.facts or "classes" in problem.facts:
        assert all(name in shown for name in tried.run.class_names)
    if "quantiles" in problem.facts:
        assert all(f"q{level}" in shown for level in LEVELS)
    tab.behaved()
    page.close()


TRIES = {name: globals()[f"try_{name}"] for name in COLUMNS}


def documented():
    """Return task -> column -> cell of the table in the README, and number -> cause of a refusal."""
    section = (
        README.read_text(encoding="utf-8")
        .partition("## Tasks and ways to use them\n")[2]
        .partition("\n## ")[0]
    )
    lines = [
        [cell.strip() for cell in line.strip("| ").split("|")]
        for line in re.findall(r"^\|.*$", section, re.M)
    ]
    head, _, *rows = lines
    causes = dict(re.findall(r"^(\d)\. (.+)$", section, re.M))
    return {row[0].strip("`"): dict(zip(head[1:], row[1:], strict=True)) for row in rows}, causes


class Site:
    """A server of the exports of the selected tasks, and a browser if there is one.

    Args:
        folder: for its log.
        tried: the `Tried` of the tasks.
    """

    def __init__(self, folder, tried):
        self.folder = folder
        self.tried = tried
        self.stack = ExitStack()

    @cached_property
    def server(self):
        return self.stack.enter_context(
            serving(self.folder, *(tried.exported.path for tried in self.tried))
        )

    @cached_property
    def browser(self):
        try:
            return self.stack.enter_context(browsing())
        except pytest.skip.Exception:  # no browser: cells of the page check the strings only
            return None


@pytest.fixture(scope="module")
def tried(tmp_path_factory, warm_python):
    """Return name of the task -> `Tried`."""
    home = tmp_path_factory.mktemp("tasks")
    return {name: Tried(problem, home / name, warm_python) for name, problem in problems().items()}


@pytest.fixture(scope="module")
def site(tried, tmp_path_factory, request):
    cells, _ = documented()
    selected = {
        getattr(item, "callspec", None) and item.callspec.params.get("name")
        for item in request.session.items
    }
    served = [name for name in tried if name in selected and cells[name]["exports"] == "yes"]
    site = Site(tmp_path_factory.mktemp("site"), [tried[name] for name in served])
    with site.stack:
        yield site


def test_the_table_has_every_task_and_few_refusals():
    cells, causes = documented()
    assert list(cells) == list(problems()) and all(tuple(row) == COLUMNS for row in cells.values())
    refused = [cell for row in cells.values() for cell in row.values() if cell != "yes"]
    assert len(refused) <= 3 and {cell.removeprefix("no, ") for cell in refused} == set(causes)


@pytest.mark.filterwarnings("ignore::kzoo.utils.errors.KzooWarning")  # so few rows
@pytest.mark.parametrize(
    "name, column",
    [
        (name, column)
        for served in (False, True)
        for name in problems()
        for column in COLUMNS
        if (column in ("server", "page")) == served
    ],
)
def test_each_cell_of_the_table(name, column, tried, site):
    cells, causes = documented()
    if cells[name][column] == "yes":
        TRIES[column](tried[name], site)
        return
    with pytest.raises(
        KzooError, match=re.escape(causes[cells[name][column].removeprefix("no, ")].strip("`"))
    ):
        TRIES[column](tried[name], site)

"""What notebooks show of returned objects: compact HTML, every text escaped, tables that a click sorts."""

import html
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import keras
import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions
from shortcuts import undrawn, untraced

import kzoo
from kzoo.inference.predictions import Predictions
from kzoo.utils import notebook
from kzoo.utils.formatting import cut

EVIL = "<script>alert(1)</script>\" onclick='alert(2)'"
TAGS = {
    "div",
    "style",
    "p",
    "b",
    "span",
    "i",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "button",
    "details",
    "summary",
    "ul",
    "li",
    "a",
    "pre",
    "progress",
}


class Page(HTMLParser):
    """Reads HTML; refuses tags that are not closed, other tags than `TAGS`, and handlers but that of a table's head."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.rows = [], [], []

    def handle_starttag(self, tag, attrs):
        assert tag in TAGS, tag
        handlers = [(tag, value) for name, value in attrs if name.startswith("on")]
        assert handlers in ([], [("thead", notebook._SORT)])
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)
            if self.open[-1:] in (["td"], ["button"]):
                self.rows[-1][-1] += data


def read(shown):
    """Return the text of an object's HTML and the rows of its tables."""
    page = Page()
    content = shown if isinstance(shown, str) else shown._repr_html_()
    page.feed(content)
    page.close()
    assert page.open == [] and len(content) < 60_000
    return " ".join(page.text), page.rows


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp(EVIL.replace("/", "_"))
    random = np.random.default_rng(0)
    names = np.array([EVIL, "b&b", "c"])[random.integers(0, 3, 200)]
    table = pd.DataFrame(
        {EVIL: random.normal(size=200), "city": names, "size": random.normal(size=200)}
    )
    data = kzoo.load_data(table, target="city")
    with undrawn(), untraced():
        run = kzoo.train(
            "tabular_fnn", data, epochs=1, progress=False, out=folder / "run", callbacks="quick"
        )
    return run, data, table


def test_data_with_hostile_names(run):
    text, rows = read(run[1])
    assert_mentions(text, "tabular classification", "200 rows", EVIL, "1 note")
    assert rows[0] == ["class", "train", "validation", "test"]
    sizes = {name: sum(map(int, cells)) for name, *cells in rows[1:4]}
    assert sizes == run[2].city.value_counts().to_dict()
    assert [row[0] for row in rows[5:]] == [EVIL, "city", "size"]


def test_a_run_has_its_score_beside_the_baselines(run):
    text, rows = read(run[0])
    assert_mentions(text, str(run[0].path), "tabular_fnn", "all scores on the test split")
    assert rows[0] == ["model", "accuracy", "95 % interval"]
    scores = {label: score for label, score, *_ in rows[1:] if score.endswith("%")}
    summary = run[0].summary
    assert scores["tabular_fnn"] == f"{summary['test']['accuracy']:.1%}"
    for baseline in summary["baselines"]:
        assert scores[baseline["label"]] == f"{baseline['scores']['accuracy']:.1%}"


def test_a_stopped_run_and_models_without_scores(run, tmp_path):
    shutil.copy(run[0].path / "config.json", tmp_path)
    assert_mentions(read(kzoo.Run(tmp_path))[0], "not finished")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)], name="mine")
    from kzoo.zoo.untracked import as_run

    assert_mentions(read(as_run(model))[0], "model", "mine")
    from kzoo.zoo.weights.packaged import PretrainedWeights

    text, rows = read(PretrainedWeights("digits_cnn"))
    assert_mentions(text, "digits", "accuracy")
    assert len(rows) > 2


def test_predictions(run):
    text, rows = read(kzoo.predict(run[0], run[2].iloc[:30]))
    assert_mentions(text, "30 inputs", "3 classes", "20 more rows; to_frame() has all")
    assert rows[0] == ["input", "label", "probability"] and len(rows) == 11
    evil = Predictions(
        values=np.full((2, 2), 0.5),
        target_names=(EVIL, "b"),
        inputs=[EVIL, "x"],
        kept={EVIL: [EVIL, 2]},
    )
    text, rows = read(evil)
    assert (
        rows[0] == ["input", cut(f"input_{EVIL}"), cut(EVIL), "b"]
        and rows[1][:2] == [cut(EVIL)] * 2
    )
    assert_mentions(read(Predictions(class_names=("a", "b")))[0], "0 inputs", "2 classes")
    unread = Predictions(
        labels=["a"], probabilities=np.ones((1, 1)), class_names=("a",), inputs=["f.png"]
    )
    assert_mentions(
        read(unread.with_unread(["f.png", "g.png"], {1: EVIL}))[0],
        "1 input could not be read",
        "<script>",
    )


def test_a_preset_and_a_list_of_presets():
    preset = kzoo.get_preset("iris_fnn")
    text, rows = read(preset)
    assert_mentions(text, "Preset iris_fnn", preset.summary, "2,499", preset.reference)
    settings = {row[0]: row[1] for row in rows}
    assert settings["units"] == "64, 32" and settings["optimizer"] == "adam"
    names = kzoo.list_presets("iris_*")
    assert names == ["iris_fnn", "iris_fnn_wide"] and isinstance(names, list)
    assert [row[0] for row in read(names)[1]] == ["preset", *names]
    assert_mentions(read(kzoo.list_presets())[0], "presets")


def test_a_space():
    text, rows = read(kzoo.space("iris_fnn", "quick").fix(batch_size=16).limit(params=5000))
    assert_mentions(text, "iris_fnn", "4 hyperparameters", "batch_size=16", "5,000")
    assert rows[0] == ["name", "values", "default", "meaning"] and rows[1][0] == "learning_rate"


def test_a_search():
    with undrawn(), untraced():
        search = kzoo.tune("iris_fnn", "iris", trials=2, epochs=1, progress=False)
    text, rows = read(search)
    assert_mentions(text, str(search.path), "2 of 2", "iris_fnn on iris")
    table = search.leaderboard()
    assert rows[0][:4] == ["rank", "trial", "status", search.objective.name]
    assert [int(row[1]) for row in rows[1:]] == table.trial.tolist()
    assert [float(row[3]) for row in rows[1:]] == pytest.approx(table.score.tolist(), abs=1e-3)


def test_findings():
    y = np.random.default_rng(0).normal(size=400)
    table = pd.DataFrame({"a": np.arange(400.0), EVIL: 2 * y, "y": y})
    findings = kzoo.check("tabular_fnn", table, target="y", deep=False)
    text, rows = read(findings)
    assert_mentions(text, "1 finding", "warning", "<script>", "drop=")
    assert rows[0] == ["level", "problem", "where", "why", "fix"] and len(rows) == 2
    assert rows == read(findings[0])[1]
    assert_mentions(read(kzoo.check("iris_fnn", deep=False))[0], "No problems")
    text, rows = read(kzoo.check("iris", deep=False))
    assert ["baseline", "accuracy", "loss", "seconds", "remarks"] in rows
    assert any(row[0] == "tabular_fnn" for row in rows)


def test_a_cross_validation(tmp_path):
    with undrawn(), untraced():
        result = kzoo.cross_validate(
            "iris_fnn", "iris", folds=2, epochs=1, progress=False, callbacks="quick", out=tmp_path
        )
    text, rows = read(result)
    assert_mentions(text, "2 folds", str(tmp_path))
    assert rows[0] == ["score", "mean", "deviation"]
    assert rows[1][:2] == ["accuracy", f"{result['mean']['accuracy']:.4g}"]


def test_links_only_lead_to_the_web():
    assert "<a" not in notebook.link("javascript:alert(1)")
    assert notebook.link('https://x.org/"onclick="alert(1)').count('"') == 6


def test_a_long_table_ends_with_a_count():
    text, rows = read(
        notebook.card("many", notebook.table(["n"], [[n] for n in range(notebook.MOST_ROWS + 5)]))
    )
    assert len(rows) == notebook.MOST_ROWS + 1
    assert_mentions(text, "5 more rows")


def test_nothing_heavy_is_imported(run):
    code = (
        "import sys, kzoo; assert kzoo.get_preset('iris_fnn')._repr_html_(); assert kzoo.list_presets()._repr_html_();"
        f"assert kzoo.Run({str(run[0].path)!r})._repr_html_();"
        "assert not {'keras', 'pandas', 'jinja2', 'numpy', 'IPython'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


class Screen:
    """Stands in for IPython.display: keeps what the cell shows."""

    def __init__(self):
        self.outputs = []
        self.updates = 0

    def display(self, formats, *, raw, display_id):
        assert raw and display_id
        self.outputs.append(formats)
        return self

    def update(self, formats, *, raw):
        self.outputs[-1], self.updates = formats, self.updates + 1


@pytest.fixture
def screen(monkeypatch):
    screen = Screen()
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setitem(sys.modules, "IPython.display", screen)
    return screen


def test_training_has_one_output_that_ends_with_its_epochs(screen, tmp_path, capsys):
    with undrawn(), untraced():
        kzoo.train("iris_fnn", "iris", epochs=4, out=tmp_path / "run", callbacks="quick")
    (output,) = screen.outputs
    assert screen.updates >= 1 and "4/4" in output["text/plain"]
    assert_mentions(
        read(output["text/html"])[0], "4 epochs", *(f"epoch   {number}/4" for number in range(1, 5))
    )
    assert "epoch" not in capsys.readouterr().err.replace("epochs", "")


def test_a_search_has_one_output(screen, tmp_path, capsys):
    with undrawn(), untraced():
        search = kzoo.tune("iris_fnn", "iris", trials=2, epochs=1, out=tmp_path / "search")
    (output,) = screen.outputs
    text, rows = read(output["text/html"])
    assert_mentions(text, "2 of 2 trials", f"best {search.best_trial().score:.4f}")
    assert [row[:2] for row in rows[1:]] == [["0", "completed"], ["1", "completed"]]
    assert "trial 1 completed" not in capsys.readouterr().err


def test_a_long_training_shows_its_last_epochs():
    text, _ = read(notebook.progress(0.5, "now", [f"epoch {number}" for number in range(1000)]))
    assert_mentions(text, "1,000 epochs", "...", "epoch 900\n", "epoch 999")
    assert "epoch 899" not in text


def test_a_figure_is_a_picture():
    picture = kzoo.plots.confusion_matrix([0, 1], [0, 1], ["a", "b"])._repr_png_()
    assert picture.startswith(b"\x89PNG") and len(picture) > 5000


BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
CLICK = """<script>
const column = () => [...document.querySelectorAll("tbody tr")].map(row => [...row.cells].map(c => c.textContent));
const heads = document.querySelectorAll("th button"), seen = [];
for (const number of [0, 0, 1]) { heads[number].click(); seen.push(column()); }
const style = getComputedStyle(document.querySelector("td"));
document.body.textContent = JSON.stringify([seen, style.color, style.backgroundColor]);
</script>"""


@pytest.mark.skipif(BROWSER is None, reason="no browser")
def test_a_click_sorts_a_table_and_colours_are_those_of_the_page(tmp_path):
    rows = [["9.5%", "b"], ["-", "a10"], ["1,000", "a9"], ["10.25%", EVIL]]
    shown = notebook.card("sorted", notebook.table(["score", "name"], rows, numbers=["score"]))
    page = tmp_path / "page.html"
    page.write_text(
        f'<meta charset="utf-8"><body style="background: #101010; color: rgb(200, 210, 220)">{shown}{CLICK}',
        encoding="utf-8",
    )
    words = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path}/profile",
        "--dump-dom",
    )
    done = subprocess.run(
        [BROWSER, *words, page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    content = html.unescape(re.search("<body[^>]*>(.*?)</body>", done.stdout, re.DOTALL)[1])
    (up, down, by_name), color, ground = json.loads(content)
    assert [row[0] for row in up] == ["9.5%", "10.25%", "1,000", "-"]
    assert [row[0] for row in down] == ["1,000", "10.25%", "9.5%", "-"]
    assert [row[1] for row in by_name] == [EVIL, "a9", "a10", "b"]
    assert (color, ground) == ("rgb(200, 210, 220)", "rgba(0, 0, 0, 0)")


def test_notes_are_a_list_in_notebooks_and_lines_elsewhere(monkeypatch, capsys):
    notebook.print_lines(["one", EVIL])
    assert capsys.readouterr().err.splitlines() == ["one", EVIL]
    shown = []
    monkeypatch.setattr(notebook, "is_notebook", lambda: True)
    monkeypatch.setattr(
        notebook.Display, "show", lambda _, content, plain: shown.append((content, plain))
    )
    notebook.print_lines(["one", EVIL])
    notebook.print_lines([])
    ((content, plain),) = shown
    assert plain == f"one\n{EVIL}" and content.count("<li>") == 2 and html.escape(EVIL) in content
    assert capsys.readouterr().err == ""

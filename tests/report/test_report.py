"""The report: its numbers are right, it loads nothing, and no name of the user becomes markup."""

import csv
import json
import re
from html import escape, unescape
from html.parser import HTMLParser

import library
import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, missing_from, refuses
from sklearn import metrics as sk
from small_reports import KINDS
from trained import SCRIPT, fit
from trained import hostile_shops as shops

import kzoo
import kzoo.reports
from kzoo.cli import main

VOID = {"meta", "img", "br", "link", "input", "hr"}
LOADS = ("src", "href", "xlink:href", "srcset", "data", "poster", "action", "background")


class Page(HTMLParser):
    """The text of a page, its tags, and whether they are nested as they should."""

    def __init__(self, file):
        super().__init__()
        self.source = file.read_text(encoding="utf-8")
        self.tags, self.words, self.open = [], [], []
        self.feed(self.source)
        assert self.open == []
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    def count(self, tag):
        return sum(name == tag for name, _ in self.tags)

    def headings(self):
        return re.findall(r"<h[23]>(.*?)</h[23]>", self.source)

    def has_heading(self, part):
        return any(not missing_from(heading, [part]) for heading in self.headings())

    def assert_headings(self, *parts):
        """The page has headings with these parts, in this order."""
        headings = iter(self.headings())
        for part in parts:
            assert any(not missing_from(heading, [part]) for heading in headings), (
                part,
                self.headings(),
            )

    def title(self):
        return unescape(re.search("<h1>(.*?)</h1>", self.source)[1])

    def score(self):
        """Return the value of the score, its label, and the sentence below."""
        value, label = re.search(
            r'class="score"><strong>(.*?)</strong> <span>(.*?)</span>', self.source
        ).groups()
        sentence = re.search(r'class="score">.*?<p>(.*?)</p>', self.source, re.DOTALL)[1]
        return unescape(value), unescape(label), unescape(sentence)

    def warnings(self):
        part = re.search('<div class="warnings">(.*?)</div>', self.source, re.DOTALL)
        return (
            [unescape(text) for text in re.findall("<p>(.*?)</p>", part[1], re.DOTALL)]
            if part
            else []
        )

    def note(self, heading):
        """Return the first note after the heading with a part."""
        start = next(
            m.end()
            for m in re.finditer("<h[23]>(.*?)</h[23]>", self.source)
            if not missing_from(m[1], [heading])
        )
        return unescape(re.search('<p class="note">(.*?)</p>', self.source[start:], re.DOTALL)[1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_loads_nothing_and_runs_nothing(kind, request, report_of):
    page = Page(report_of(request.getfixturevalue(f"{kind}_run")))
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed", "base", "form")
        assert not any(attribute.startswith("on") for attribute in attributes)
        loaded = [attributes[a] for a in LOADS if a in attributes]
        assert all(value.startswith(("data:image/", "#")) for value in loaded), (tag, loaded)
    assert not re.search(r"@import|url\((?!['\"]?#)", page.source)
    policy = next(a["content"] for t, a in page.tags if t == "meta" and "http-equiv" in a)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#(\w+)\)", page.source)) <= set(ids)
    assert len(page.source) < 2_000_000


def test_the_same_run_gives_the_same_page(digits_run, report_of, tmp_path):
    assert (
        kzoo.report(kzoo.Run(digits_run.path), out=tmp_path).read_bytes()
        == report_of(digits_run).read_bytes()
    )


def test_the_score_has_its_interval_and_the_baseline(digits_run, report_of):
    page = Page(report_of(digits_run))
    data = kzoo.load_data("digits", preset="digits_cnn")
    digits = data.test
    labels = kzoo.predict(digits_run, data.test.x).labels
    right = sum(int(label) == y for label, y in zip(labels, digits.y, strict=True))
    n = len(digits)
    most = int((digits.y == np.bincount(data.train.y).argmax()).sum())
    value, label, sentence = page.score()
    assert_mentions(sentence, f"{right} of {n}", f"{most}", f"{100 * most / n:.1f} %")
    low, high = (f"{100 * edge:.1f} %" for edge in digits_run.summary["test"]["accuracy_interval"])
    assert_mentions(page.text, "95 %", "confidence interval", low, high)
    assert_mentions(value, f"{100 * right / n:.1f} %")
    assert_mentions(label, "accuracy", f"{n}", "test")


def test_the_page_has_the_preset_the_data_and_how_to_repeat_the_training(digits_run, report_of):
    page = Page(report_of(digits_run))
    assert_mentions(page.title(), "digits_cnn", "digits")
    assert kzoo.get_preset("digits_cnn").summary in page.text
    facts = dict(re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", page.source))
    facts = {name.casefold(): value for name, value in facts.items()}
    best = str(digits_run.summary["best_epoch"])
    for name, parts in dict(
        training=("1,294",),
        validation=("144",),
        test=("359",),
        classes=("10", "0, 1, 2, 3"),
        parameters=("100,458",),
        epochs=("2", best),
    ).items():
        assert_mentions(facts[name], *parts)
    config = digits_run.config
    assert config["command"].startswith("kzoo train digits_cnn ") and config["command"] in page.text
    for cells in ("block1_conv1 Conv2D 8 × 8 × 32 320", "learning_rate 0.002"):
        assert cells in page.text
    (seeds,) = re.findall("<tr><th>Seed</th><td>(.*?)</td></tr>", page.source)
    assert seeds.count("0") == 2  # of the weights and of the splits
    assert config["machine"] in page.text and f"keras {config['versions']['keras']}" in page.text
    assert config["created"][:10] in page.text


def test_images_are_shown_with_the_answers_of_the_model(digits_run, report_of):
    page = Page(report_of(digits_run))
    answers = digits_run.answers
    wrong = answers["answers"].argmax(-1) != answers["truth"]
    # Twelve examples, the mistakes among them again, and the other mistakes with stored inputs.
    assert page.count("img") == 12 + wrong[answers["shown"][:12]].sum() + len(answers["shown"]) - 12
    assert wrong.sum() > 0
    page.assert_headings(
        "confusion matrix",
        "class",
        "ROC",
        "accuracy when answered",
        "calibration",
        "examples",
        "mistakes",
    )
    # loss, accuracy and the first five of these, of which ROC are two
    assert page.count("svg") == 8
    page.assert_headings("sets and intervals")
    assert_mentions(page.text, "LAC", "drift", "validation rows")


def test_examples_are_of_every_class_and_those_of_earlier_runs_have_another_note(
    digits_run, report_of, tmp_path
):
    note = Page(report_of(digits_run)).note("examples")
    assert_mentions(note, "class")
    stored = digits_run.answers
    assert stored["truth"][stored["shown"][:12]].tolist() == [*range(10), 0, 1]
    assert Page(report_of(digits_run)).source.count('alt="9"') >= 1
    old = library.copied(digits_run.path, tmp_path / "old")
    np.savez(old / "answers.npz", **stored | dict(shown=np.arange(len(stored["shown"]))))
    old_note = Page(kzoo.report(old)).note("examples")
    assert missing_from(old_note, ["class"]) and old_note != note


def test_no_name_becomes_markup(photo_run, table_run, report_of):
    photos, table = Page(report_of(photo_run)), Page(report_of(table_run))
    for page in (photos, table):
        assert SCRIPT in page.text and SCRIPT not in page.source
    assert "dark & cold" in photos.text
    assert "Zürich <b>" in table.text and table.count("b") == table.source.count("</b>")


def test_rows_of_a_table_are_shown_as_in_the_file(table_run, report_of):
    page = Page(report_of(table_run))
    assert "size town" in page.text
    rows = re.findall(r"<tr><td>[^<]*</td><td><b class.*?</tr>", page.source)
    cells = [
        [re.sub("<.*?>", "", cell) for cell in re.findall(r"<td.*?>(.*?)</td>", row)]
        for row in rows
    ]
    expected = {
        ("missing" if np.isnan(size) else f"{size:g}", escape(town), escape(label))
        for size, town, label in shops().itertuples(index=False)
    }
    assert len(cells) >= 12
    assert {(size, town, truth) for truth, _, _, size, town in cells} <= expected
    assert any(row[3] == "missing" for row in cells)


def test_texts_are_shown_as_sentences(text_run, report_of):
    page = Page(report_of(text_run))
    assert re.search(r"the (soup bread salt|court judge trial|goal match team) of day", page.text)
    assert '<span class="unknown">[?]</span>' in page.source and "\ufffd" not in page.source
    assert_mentions(page.note("examples"), "[?]", "vocabulary")


def test_curves_of_a_single_epoch_are_left_out(digits_run, report_of):
    single = library.run("recurrent_texts")
    assert single.summary["epochs"] == 1 and not Page(report_of(single)).has_heading("training")
    assert digits_run.summary["epochs"] == 2 and Page(report_of(digits_run)).has_heading("training")


def test_the_error_of_a_regression_has_the_error_of_the_mean_next_to_it(diabetes_run, report_of):
    page = Page(report_of(diabetes_run))
    data = kzoo.load_data("diabetes", preset="diabetes_fnn")
    values = kzoo.predict(diabetes_run, data.test.x).values
    error = sk.mean_absolute_error(data.test.y, values)
    mean = sk.mean_absolute_error(data.test.y, np.full_like(data.test.y, data.train.y.mean()))
    _, _, sentence = page.score()
    assert_mentions(
        sentence,
        f"{error:.4g}",
        "mean",
        f"{mean:.4g}",
        f"R² {sk.r2_score(data.test.y, values):.3f}",
    )
    page.assert_headings("true", "examples", "errors")


def test_forecasts_are_drawn(series_run, report_of):
    page = Page(report_of(series_run))
    page.assert_headings("forecasts", "worst forecasts")
    assert not page.has_heading("examples")
    test = series_run.summary["test"]
    scores = test["targets"]["b"]
    last = test["targets"]["b"]["beside"]["last value"]["mae"]
    _, _, sentence = page.score()
    assert_mentions(sentence, f"{100 * test['relative_mae']:.1f} %", "2 targets")
    assert_mentions(sentence, "'b'", f"{scores['mae']:.4g}", "last value", f"{last:.4g}")
    assert missing_from(page.text, [f"{test['mae']:.4g}"])  # a mean over targets of two units
    cells = f"b {scores['mae']:.4g} {scores['rmse']:.4g} {scores['r2']:.4f} {last:.4g}"
    assert cells in " ".join(page.text.split())


@pytest.mark.parametrize(
    "kind", ["digits_run", "table_run", "diabetes_run", "series_run", "language_run"]
)
def test_the_main_score_is_on_top_with_its_name(kind, request, report_of):
    """`compare`, baselines and the page of a server have the same score, of the same split."""
    run = request.getfixturevalue(kind)
    table = kzoo.compare([run, request.getfixturevalue("text_run")], baselines=False)
    row = table[table.path == str(run.path)].iloc[0]
    metric = run.problem.task.scores[row["metric"]]
    value, label, _ = Page(report_of(run)).score()
    shown = float(value.replace("%", "").replace("\xa0", "").replace(",", "")) / (
        100 if "%" in value else 1
    )
    assert shown == pytest.approx(row["score"], abs=6e-4 * max(1, abs(row["score"])))
    assert_mentions(label, metric.label, row["split"])
    assert (missing_from(label, ["lower"]) == []) is (metric.best == "min")


def test_the_worst_forecasts_do_not_overlap(series_run, report_of):
    page = Page(report_of(series_run))
    stored = series_run.answers
    horizon = stored["truth"].shape[1]
    truth = stored["truth"]
    worst = [int(n) for n in re.findall(r'worst[^"<]*?(\d+)', page.source)]
    error = np.abs(truth - stored["answers"].reshape(truth.shape)) / truth.std(axis=(0, 1))
    assert (
        len(worst) == 3 and min(abs(a - b) for a in worst for b in worst if a != b) >= horizon > 1
    )
    assert stored["rows"][error.mean(axis=(1, 2)).argsort()[-3:]].tolist() != [
        n - 1 for n in worst[::-1]
    ]
    for number in worst:
        assert f"window {number}</text>" in page.source


def test_a_language_model_has_bits_per_token_and_no_examples(language_run, report_of):
    page = Page(report_of(language_run))
    bits = language_run.summary["test"]["bits_per_token"]
    letters = len(set("to be or not to be that is the question\n")) + 2
    _, _, sentence = page.score()
    assert_mentions(sentence, f"{bits:.2f} bits", f"{letters}", f"{np.log2(letters):.2f}")
    assert (
        page.has_heading("predictions")
        and not page.has_heading("examples")
        and page.count("svg") == 2
    )
    assert_mentions(page.note("predictions"), "language model")


def test_new_data_gets_a_section(table_run, tmp_path):
    shops()[:40].to_csv(tmp_path / "march.csv", index=False)
    page = Page(kzoo.report(table_run, out=tmp_path, data=tmp_path / "march.csv"))
    right = round(kzoo.evaluate(table_run, tmp_path / "march.csv")["accuracy"] * 40)
    assert page.has_heading("march.csv")
    assert_mentions(page.text, f"{right} of 40")


def test_new_data_lies_on_a_sheet_of_a_workbook(table_run, tmp_path, capsys):
    with pd.ExcelWriter(tmp_path / "march.xlsx") as writer:
        pd.DataFrame({"note": ["a", "b"]}).to_excel(writer, sheet_name="Notes", index=False)
        shops()[:40].to_excel(writer, sheet_name="Shops", index=False)
    words = [
        "report",
        str(table_run.path),
        "--data",
        str(tmp_path / "march.xlsx"),
        "--out",
        str(tmp_path),
    ]
    assert main(words) == 2
    assert_mentions(capsys.readouterr().err, "march.xlsx", "'Notes'", "'Shops'", "--sheet")
    assert main([*words, "--sheet", "Shops"]) == 0
    right = round(kzoo.evaluate(table_run, tmp_path / "march.xlsx", sheet="Shops")["accuracy"] * 40)
    assert_mentions(Page(tmp_path / "report.html").text, "march.xlsx", f"{right} of 40")
    with refuses("sheet='Shops'", ".xlsx", "not set"):
        kzoo.report(table_run, out=tmp_path, sheet="Shops")


def test_an_ensemble_names_its_members(diabetes_run, tmp_path):
    other = fit("diabetes_fnn", "diabetes", tmp_path / "other", units=(8,), seed=1)
    page = Page(
        kzoo.report(kzoo.ensemble([diabetes_run, other], data="diabetes", out=tmp_path / "both"))
    )
    assert_mentions(page.text, "mean", "2 runs")
    assert not page.has_heading("training")
    for run, seed in ((diabetes_run, 0), (other, 1)):
        assert f"{run.path.name} diabetes_fnn {seed} " in page.text


def test_a_cloud_of_many_points_becomes_pixels(diabetes_run, tmp_path):
    folder = library.copied(diabetes_run.path, tmp_path / "many")
    stored = diabetes_run.answers
    truth = np.random.default_rng(0).normal(size=(20_000, 1))
    np.savez(
        folder / "answers.npz",
        **stored
        | dict(
            rows=np.arange(20_000), source_rows=np.arange(20_000), truth=truth, answers=truth + 1
        ),
    )
    page = Page(kzoo.report(folder))
    assert page.count("svg") == 2 and page.count("img") == 1 and len(page.source) < 500_000


# ---------------------------------------------------------------- warnings


@pytest.fixture
def changed(digits_run, tmp_path):
    """Write the report of a copy of the run with other entries in its summary; return its warnings."""

    def change(edit, history=None):
        folder = library.copied(digits_run.path, tmp_path / "changed")
        (folder / "answers.npz").unlink()  # pictures take time
        summary = json.loads((folder / "summary.json").read_text())
        edit(summary)
        (folder / "summary.json").write_text(json.dumps(summary))
        if history is not None:
            with open(folder / "history.csv", "w", newline="") as file:
                csv.writer(file).writerows(history)
        return Page(kzoo.report(folder)).warnings()

    return change


WARNINGS = {
    "interrupted": (lambda s: s.update(interrupted=True), ("interrupted", "2 epochs")),
    "no test data": (lambda s: s.pop("test"), ("no test data", "validation")),
    "no data was held out": (lambda s: (s.pop("test"), s.pop("validation")), ("data",)),
    "few examples": (lambda s: s["test"].update(examples=99), ("99", "test")),
    "no better than a constant": (
        lambda s: s["test"].update(majority=0.99),
        ("interval", "frequent class"),
    ),
    "test is far from validation": (
        lambda s: s["test"].update(accuracy=0.7, accuracy_interval=[0.65, 0.75]),
        ("validation", "test", "70.0 %"),
    ),
}


@pytest.mark.parametrize("case", WARNINGS)
def test_a_warning_and_no_other_for_each_fault(changed, case):
    edit, parts = WARNINGS[case]
    unchanged = changed(lambda summary: None)
    (warning,) = [warning for warning in changed(edit) if warning not in unchanged]
    assert_mentions(warning, *parts)
    assert case != "no data was held out" or missing_from(warning, ["validation"])


def test_a_gap_within_the_interval_is_no_warning(changed):
    def edit(summary):
        summary["test"].update(accuracy=0.95, accuracy_interval=[0.93, 0.97])
        # few examples, a wide interval
        summary["validation"].update(accuracy=0.995, accuracy_interval=[0.94, 0.998])

    assert not [warning for warning in changed(edit) if not missing_from(warning, ["validation"])]


def test_overfitting_is_seen_in_the_losses_of_the_best_epoch(changed):
    def best_is_second(summary):
        summary["best_epoch"] = 2

    head = ["epoch", "loss", "val_loss"]
    unchanged = changed(best_is_second, [head, [1, 0.1, 0.9], [2, 0.5, 0.6]])
    (warning,) = [
        w
        for w in changed(best_is_second, [head, [1, 0.5, 0.6], [2, 0.1, 0.9]])
        if w not in unchanged
    ]
    assert_mentions(warning, "training loss", "0.1", "validation loss", "0.9")
    assert changed(best_is_second, [head, [1, 0.5, 0.6], [2, 0.1, ""]]) == unchanged


def test_a_run_without_answers_or_history_has_fewer_sections(digits_run, tmp_path):
    old = library.copied(digits_run.path, tmp_path / "old")
    (old / "answers.npz").unlink()
    (old / "history.csv").unlink()
    page = Page(kzoo.report(old))
    assert_mentions(page.note("predictions"), "examples")
    assert not page.has_heading("examples") and page.count("svg") == page.count("img") == 0


# ---------------------------------------------------------------- files and errors


def test_the_name_is_the_function_also_after_the_package_is_imported():
    assert kzoo.report is kzoo.reports.report and callable(kzoo.report)


def test_it_is_written_into_the_run_or_to_out(text_run, tmp_path, capsys):
    text_run = kzoo.Run(library.copied(text_run.path, tmp_path / "run"))
    assert (
        kzoo.report(text_run) == text_run.path / "report.html"
        and (text_run.path / "report.html").is_file()
    )
    assert kzoo.report(str(text_run.path), out=tmp_path) == tmp_path / "report.html"
    file = tmp_path / "text.html"
    assert main(["report", str(text_run.path), "--out", str(file)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert_mentions(line, str(file), f"{file.stat().st_size / 1000:,.0f} kB")
    assert main(["report", str(text_run.path), "--out", str(file), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == {
        "run": str(text_run.path),
        "report": str(file),
        "bytes": file.stat().st_size,
    }


def test_refusals_are_a_line_and_an_earlier_page_stays(digits_run, tmp_path, capsys):
    unfinished = library.copied(digits_run.path, tmp_path / "unfinished")
    (unfinished / "summary.json").unlink()
    with refuses(str(unfinished), "finished"):
        kzoo.report(unfinished)
    with refuses("out=", "folder", f"'{tmp_path / 'nowhere'}'"):
        kzoo.report(digits_run, out=tmp_path / "nowhere" / "page.html")
    (tmp_path / "page.html").write_text("before")
    with refuses("'nowhere.csv'", "file", "folder", "data set", "iris"):
        kzoo.report(digits_run, out=tmp_path / "page.html", data="nowhere.csv")
    assert (tmp_path / "page.html").read_text() == "before"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["page.html", "unfinished"]
    capsys.readouterr()
    assert main(["report", "nowhere"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert_mentions(line, "error", "nowhere", "run", "kzoo.train")

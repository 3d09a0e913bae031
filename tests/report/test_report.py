"""The report: what it says is true, it needs nothing from outside, and nothing of the user's becomes markup."""

import csv
import json
import re
import shutil
from html import escape
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn import metrics as sk
from small_reports import KINDS, SCRIPT, fit, shops

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
    assert kzoo.report(kzoo.Run(digits_run.path), out=tmp_path).read_bytes() == report_of(digits_run).read_bytes()


def test_the_score_stands_beside_its_interval_and_the_baseline(digits_run, report_of):
    page = Page(report_of(digits_run))
    data = kzoo.load_data("digits", preset="digits_cnn")
    digits, labels = data.test, kzoo.predict(digits_run, data.test.x).labels
    right, n = sum(int(label) == y for label, y in zip(labels, digits.y, strict=True)), len(digits)
    most = int((digits.y == np.bincount(data.train.y).argmax()).sum())
    assert f"It predicts {right} of {n} test examples correctly" in page.text
    assert f"is correct for {most} ({100 * most / n:.1f} %)" in page.text
    low, high = (f"{100 * edge:.1f} %" for edge in digits_run.summary["test"]["accuracy_interval"])
    assert f"95 % confidence interval: {low} to {high}" in page.text
    assert f"{100 * right / n:.1f} % accuracy on {n} test examples" in page.text


def test_the_page_says_what_was_trained_on_what_and_how_to_repeat_it(digits_run, report_of):
    page = Page(report_of(digits_run))
    assert "<h1>digits_cnn on digits</h1>" in page.source and kzoo.get_preset("digits_cnn").summary in page.text
    for words in ("1,294 examples", "144 examples", "359 examples", "10: 0, 1, 2, 3", "100,458", "2, best: "):
        assert words in page.text
    config = digits_run.config
    assert config["command"].startswith("kzoo train digits_cnn ") and config["command"] in page.text
    for words in ("block1_conv1 Conv2D 8 × 8 × 32 320", "learning_rate 0.002", "0 (weights, order), 0 (splits)"):
        assert words in page.text
    assert config["machine"] in page.text and f"keras {config['versions']['keras']}" in page.text
    assert config["created"][:10] in page.text


def test_images_are_shown_with_what_the_model_said(digits_run, report_of):
    page = Page(report_of(digits_run))
    answers = digits_run.answers
    wrong = answers["answers"].argmax(-1) != answers["truth"]
    # Twelve examples, the mistakes among them once more, and the mistakes whose inputs were kept besides.
    assert page.count("img") == 12 + wrong[answers["shown"][:12]].sum() + len(answers["shown"]) - 12
    assert wrong.sum() > 0
    headings = ["Confusion matrix", "Each class", "ROC and precision-recall", "Examples", "Worst mistakes"]
    assert [h for h in page.headings() if h in headings] == headings
    assert page.count("svg") == 6  # loss, accuracy and the first three of these, the last of which are two


def test_examples_are_of_every_class_and_those_of_earlier_runs_say_what_they_are(digits_run, report_of, tmp_path):
    assert "Examples of each class, in turn." in Page(report_of(digits_run)).text
    kept = digits_run.answers
    assert kept["truth"][kept["shown"][:12]].tolist() == [*range(10), 0, 1]
    assert Page(report_of(digits_run)).source.count('alt="9"') >= 1
    old = shutil.copytree(digits_run.path, tmp_path / "old")
    np.savez(old / "answers.npz", **kept | dict(shown=np.arange(len(kept["shown"]))))
    assert "The first examples of the split, in order." in Page(kzoo.report(old)).text


def test_no_name_becomes_markup(photo_run, table_run, report_of):
    photos, table = Page(report_of(photo_run)), Page(report_of(table_run))
    for page in (photos, table):
        assert SCRIPT in page.text and SCRIPT not in page.source
    assert "dark & cold" in photos.text
    assert "Zürich <b>" in table.text and table.count("b") == table.source.count("</b>")


def test_rows_of_a_table_are_shown_as_they_stood_there(table_run, report_of):
    page = Page(report_of(table_run))
    assert "true answer sure size town" in page.text
    rows = re.findall(r"<tr><td>[^<]*</td><td><b class.*?</tr>", page.source)
    cells = [[re.sub("<.*?>", "", cell) for cell in re.findall(r"<td.*?>(.*?)</td>", row)] for row in rows]
    known = {
        ("missing" if np.isnan(size) else f"{size:g}", escape(town), escape(label))
        for size, town, label in shops().itertuples(index=False)
    }
    assert len(cells) >= 12
    assert {(size, town, truth) for truth, _, _, size, town in cells} <= known
    assert any(row[3] == "missing" for row in cells)


def test_texts_are_shown_as_sentences(text_run, report_of):
    page = Page(report_of(text_run))
    assert re.search(r"the (soup bread|court judge|goal match) of day", page.text)
    assert "text, as the model reads it" in page.text
    assert '<span class="unknown">[?]</span>' in page.source and "\ufffd" not in page.source
    assert "[?] is a word that is not in the vocabulary" in page.text


def test_curves_of_a_single_epoch_say_nothing_and_are_left_out(text_run, digits_run, report_of):
    assert text_run.summary["epochs"] == 1 and "Training" not in Page(report_of(text_run)).headings()
    assert digits_run.summary["epochs"] == 2 and "Training" in Page(report_of(digits_run)).headings()


def test_numbers_are_off_by_so_much_and_the_mean_by_so_much(diabetes_run, report_of):
    page = Page(report_of(diabetes_run))
    data = kzoo.load_data("diabetes", preset="diabetes_fnn")
    values = kzoo.predict(diabetes_run, data.test.x).values
    mine = sk.mean_absolute_error(data.test.y, values)
    mean = sk.mean_absolute_error(data.test.y, np.full_like(data.test.y, data.train.y.mean()))
    assert f"mean absolute error is {mine:.4g}; always predicting the mean of the training data" in page.text
    assert f"has {mean:.4g}" in page.text
    assert f"R² {sk.r2_score(data.test.y, values):.3f}" in page.text
    assert {"Predicted against true", "Examples", "Largest errors"} <= set(page.headings())


def test_forecasts_are_drawn(series_run, report_of):
    page = Page(report_of(series_run))
    assert {"Forecasts", "Worst forecasts"} <= set(page.headings())
    assert "Examples" not in page.headings() and "over all targets" not in page.text
    assert "of that of the best baseline (mean of 2 targets)" in page.text
    found = series_run.summary["test"]["targets"]["b"]
    assert f"of 'b' is {found['mae']:.4g}; baselines: last value" in page.text
    cells = f"b {found['mae']:.4g} {found['rmse']:.4g} {found['r2']:.4f} {found['beside']['last value']['mae']:.4g}"
    assert cells in " ".join(page.text.split())


@pytest.mark.parametrize("kind", ["digits_run", "table_run", "diabetes_run", "series_run", "language_run"])
def test_the_number_on_top_is_the_one_that_counts_and_says_its_name(kind, request, report_of):
    """`compare`, baselines and the page of a server have the same one, of the same split."""
    run = request.getfixturevalue(kind)
    row = kzoo.compare([run, request.getfixturevalue("text_run")], baselines=False)
    row = next(one for one in row if one["path"] == str(run.path))
    known = run.problem.task.scores[row["metric"]]
    html = report_of(run).read_text(encoding="utf-8")
    value, label = re.search(r'class="score"><strong>(.*?)</strong> <span>(.*?)</span>', html).groups()
    shown = float(value.replace("%", "").replace("\xa0", "").replace(",", "")) / (100 if "%" in value else 1)
    assert shown == pytest.approx(row["score"], abs=6e-4 * max(1, abs(row["score"])))
    assert label.startswith(f"{known.label} on ") and f" {row['split']} " in label
    assert ("lower is better" in label) is (known.best == "min")


def test_the_worst_forecasts_do_not_overlap(series_run, report_of):
    page, kept = Page(report_of(series_run)), series_run.answers
    horizon = kept["truth"].shape[1]
    worst = [int(n) for n in re.findall(r"a worst forecast beside what came: window (\d+)", page.source)]
    error = np.abs(kept["truth"] - kept["answers"].reshape(kept["truth"].shape)) / kept["truth"].std(axis=(0, 1))
    assert len(worst) == 3 and min(abs(a - b) for a in worst for b in worst if a != b) >= horizon > 1
    assert kept["rows"][error.mean(axis=(1, 2)).argsort()[-3:]].tolist() != [n - 1 for n in worst[::-1]]
    for number in worst:
        assert f"window {number}</text>" in page.source


def test_a_language_model_has_bits_and_says_that_it_kept_no_answers(language_run, report_of):
    page = Page(report_of(language_run))
    bits = language_run.summary["test"]["bits_per_token"]
    letters = len(set("to be or not to be that is the question\n")) + 2
    assert f"It needs {bits:.2f} bits per token; uniform guessing among {letters} tokens needs" in page.text
    assert f"needs {np.log2(letters):.2f}" in page.text
    assert "This run kept no answers" in page.text and page.count("svg") == 2


def test_new_data_gets_a_section_of_its_own(table_run, tmp_path):
    shops()[:40].to_csv(tmp_path / "march.csv", index=False)
    page = Page(kzoo.report(table_run, out=tmp_path, data=tmp_path / "march.csv"))
    right = round(kzoo.evaluate(table_run, tmp_path / "march.csv")["accuracy"] * 40)
    assert "Score on march.csv" in page.headings()
    assert f"It predicts {right} of 40 examples correctly" in page.text


def test_an_ensemble_names_its_members(diabetes_run, tmp_path):
    other = fit("diabetes_fnn", "diabetes", tmp_path / "other", units=(8,), seed=1)
    page = Page(kzoo.report(kzoo.ensemble([diabetes_run, other], data="diabetes", out=tmp_path / "both")))
    assert "The mean of 2 runs" in page.text and "Training" not in page.headings()
    for run, seed in ((diabetes_run, 0), (other, 1)):
        assert f"{run.path.name} diabetes_fnn {seed} " in page.text


def test_a_cloud_of_many_points_becomes_pixels(diabetes_run, tmp_path):
    folder = shutil.copytree(diabetes_run.path, tmp_path / "many")
    kept, truth = diabetes_run.answers, np.random.default_rng(0).normal(size=(20_000, 1))
    np.savez(
        folder / "answers.npz",
        **kept | dict(rows=np.arange(20_000), source_rows=np.arange(20_000), truth=truth, answers=truth + 1),
    )
    page = Page(kzoo.report(folder))
    assert page.count("svg") == 2 and page.count("img") == 1 and len(page.source) < 500_000


# ---------------------------------------------------------------- what a careful person would add


@pytest.fixture
def changed(digits_run, tmp_path):
    """Write the report of a copy of the run with other entries in its summary; return what it says."""

    def change(edit, history=None):
        folder = shutil.copytree(digits_run.path, tmp_path / "changed", dirs_exist_ok=True)
        (folder / "answers.npz").unlink()  # pictures take time
        summary = json.loads((folder / "summary.json").read_text())
        edit(summary)
        (folder / "summary.json").write_text(json.dumps(summary))
        if history is not None:
            with open(folder / "history.csv", "w", newline="") as file:
                csv.writer(file).writerows(history)
        return Page(kzoo.report(folder)).text

    return change


WARNINGS = {
    "The training was interrupted after 2 epochs": lambda s: s.update(interrupted=True),
    "There was no test data": lambda s: s.pop("test"),
    "No data was held out": lambda s: (s.pop("test"), s.pop("validation")),
    "Only 99 test examples": lambda s: s["test"].update(examples=99),
    "it may have learned nothing": lambda s: s["test"].update(majority=0.99),
    "lie further apart": lambda s: s["test"].update(accuracy=0.7, accuracy_interval=[0.65, 0.75]),
}


@pytest.mark.parametrize("words", WARNINGS)
def test_a_warning_is_given_where_it_is_due(changed, words):
    said = changed(WARNINGS[words])
    assert [other for other in WARNINGS if other in said] == [words]


def test_a_gap_within_the_interval_is_no_warning(changed):
    def edit(summary):
        summary["test"].update(accuracy=0.95, accuracy_interval=[0.93, 0.97])
        summary["validation"].update(accuracy=0.995, accuracy_interval=[0.94, 0.998])  # few examples, a wide interval

    assert "lie further apart" not in changed(edit)


def test_learning_by_heart_is_seen_in_the_losses_of_the_epoch_that_was_kept(changed):
    def best_is_second(summary):
        summary["best_epoch"] = 2

    head = ["epoch", "loss", "val_loss"]
    assert "by heart" not in changed(best_is_second, [head, [1, 0.1, 0.9], [2, 0.5, 0.6]])
    assert "by heart" in changed(best_is_second, [head, [1, 0.5, 0.6], [2, 0.1, 0.9]])
    assert "by heart" not in changed(best_is_second, [head, [1, 0.5, 0.6], [2, 0.1, ""]])


def test_a_run_without_answers_or_history_says_less(digits_run, tmp_path):
    old = shutil.copytree(digits_run.path, tmp_path / "old")
    (old / "answers.npz").unlink()
    (old / "history.csv").unlink()
    page = Page(kzoo.report(old))
    assert "This run kept no answers" in page.text and page.count("svg") == page.count("img") == 0


# ---------------------------------------------------------------- where it goes, and what stops it


def test_the_name_is_the_function_also_after_the_package_is_imported():
    assert kzoo.report is kzoo.reports.report and callable(kzoo.report)


def test_it_is_written_into_the_run_or_where_asked(text_run, tmp_path, capsys):
    assert kzoo.report(text_run) == text_run.path / "report.html" and (text_run.path / "report.html").is_file()
    assert kzoo.report(str(text_run.path), out=tmp_path) == tmp_path / "report.html"
    file = tmp_path / "text.html"
    assert main(["report", str(text_run.path), "--out", str(file)]) == 0
    assert capsys.readouterr().out == f"{file} ({file.stat().st_size / 1000:,.0f} kB)\n"
    assert main(["report", str(text_run.path), "--out", str(file), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == {"run": str(text_run.path), "report": str(file), "bytes": file.stat().st_size}


def test_what_cannot_be_reported_is_said_in_a_line_and_an_earlier_page_stays(digits_run, tmp_path, capsys):
    unfinished = shutil.copytree(digits_run.path, tmp_path / "unfinished")
    (unfinished / "summary.json").unlink()
    with pytest.raises(kzoo.KzooError, match="is not finished"):
        kzoo.report(unfinished)
    with pytest.raises(kzoo.KzooError, match="there is no folder"):
        kzoo.report(digits_run, out=tmp_path / "nowhere" / "page.html")
    (tmp_path / "page.html").write_text("before")
    with pytest.raises(kzoo.KzooError, match="No file, folder or data set"):
        kzoo.report(digits_run, out=tmp_path / "page.html", data="nowhere.csv")
    assert (tmp_path / "page.html").read_text() == "before"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["page.html", "unfinished"]
    capsys.readouterr()
    assert main(["report", "nowhere"]) == 2
    assert capsys.readouterr().err == "kzoo: error: nowhere is not a run: it does not exist. kzoo.train writes one.\n"

"""Runs, a search and exported models of an earlier day open, answer, report, export and train as they did then.

`make.py` made them and says why they are not made again; `expected.json` in each folder holds what they answered.
"""

import json
import math
import shutil

import golden_answers
import pytest

import kzoo
import kzoo.cli
import kzoo.runtime

HERE = golden_answers.HERE
# new.csv has a town that training has not seen, on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:Column 'town'. 1 of 8 values is a category")
PARTS = sorted(file.parent.name for file in HERE.glob("*/expected.json"))
# Six digits are kept. What one machine computes differs from another's by less.
NEAR = dict(rel_tol=1e-5, abs_tol=1e-5)


def expected(part):
    return json.loads((HERE / part / "expected.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    """The golden things, unpacked into a folder of their own."""
    return golden_answers.unpack(tmp_path_factory.mktemp("unpacked") / "golden")


def assert_same(found, kept, where=""):
    """Compare plain data: numbers nearly, all else exactly."""
    assert type(found) is type(kept) or {type(found), type(kept)} == {int, float}, (where, found, kept)
    if isinstance(kept, dict):
        assert sorted(found) == sorted(kept), where
        for name, value in kept.items():
            assert_same(found[name], value, f"{where} > {name}")
    elif isinstance(kept, list):
        assert len(found) == len(kept), (where, found, kept)
        for number, value in enumerate(kept):
            assert_same(found[number], value, f"{where} [{number}]")
    elif isinstance(kept, float):
        assert math.isclose(found, kept, **NEAR), (where, found, kept)
    else:
        assert found == kept, (where, found, kept)


def said(part, question):
    """Return what was said then: labels, and every number beside them."""
    return expected(part)[question]


def assert_says(predictions, kept):
    assert_same(golden_answers.plain(golden_answers.said(predictions)), kept)


def test_every_expected_answer_has_its_question_and_every_question_its_answer():
    kept = {f"{part}/{question}" for part in PARTS for question in expected(part)}
    assert kept == set(golden_answers.questions(HERE))


@pytest.mark.filterwarnings("ignore:.* no (word|character) the model knows")
@pytest.mark.parametrize("question", golden_answers.questions(HERE))
def test_it_answers_as_it_did(golden, question):
    part, what = question.split("/", 1)
    found, kept = golden_answers.plain(golden_answers.questions(golden)[question]()), expected(part)[what]
    if "evaluate" in what:  # of new data, more may be said today than then
        found = {name: found[name] for name in kept}
    assert_same(found, kept, question)


@pytest.mark.parametrize("part", ["table", "text", "language"])
def test_an_export_of_then_answers_as_its_run_of_then(part):
    for format in ("onnx", "litert"):
        run, export = said(part, "run predict"), said(part, f"export {format}")
        assert export["labels"] == run["labels"]
        assert_same(export, run)


def test_a_run_gets_its_report_with_new_scores(golden, tmp_path):
    data = golden_answers.another(golden / "table" / "data.csv", tmp_path)
    page = kzoo.report(golden / "table" / "run", out=tmp_path, data=data)
    assert f"{said('table', 'run evaluate')['accuracy']:.1%}" in page.read_text(encoding="utf-8")


def test_the_winner_becomes_a_preset(golden, tmp_path, registry_as_it_was):
    file = kzoo.Search(golden / "search" / "iris").save_preset("golden_winner", tmp_path / "winner.toml")
    kzoo.load_presets(file)
    assert kzoo.build("golden_winner").count_params() == kzoo.Search(golden / "search" / "iris").best_trial()["params"]


def test_two_runs_become_an_ensemble(golden, tmp_path):
    table = golden / "table"
    joined = kzoo.ensemble([table / "run", table / "run_2"], out=tmp_path / "ensemble")
    found = kzoo.predict(joined, table / "new.csv")
    kept = [said("table", f"{run} predict")["columns"] for run in ("run", "run_2")]
    for number, name in enumerate(found.class_names):
        mean = [sum(pair) / 2 for pair in zip(*(columns[f"p_{name}"] for columns in kept), strict=True)]
        assert_same([float(p) for p in found.probabilities[:, number]], mean)
    assert joined.summary["test"]["accuracy"] > 0.5  # scored from what the members had stored


@pytest.mark.parametrize(("place", "format"), [("run", None), ("export", "onnx"), ("export", "litert")])
def test_the_command_line_predicts(golden, capsys, place, format):
    more = ["--format", format] if format else []
    table = golden / "table"
    assert kzoo.cli.main(["predict", str(table / place), str(table / "new.csv"), "--top", "3", "--json", *more]) == 0
    rows = json.loads(capsys.readouterr().out)["predictions"]
    kept = said("table", "run predict")
    assert [row["label"] for row in rows] == kept["labels"]
    for number, row in enumerate(rows):
        found = {answer["label"]: answer["probability"] for answer in row["classes"]}
        assert_same(found, {name: kept["columns"][f"p_{name}"][number] for name in found})


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "images/run"],
        ["check", "images/run", "--quick"],
        ["compare", "table"],
        ["compare", "search/iris"],
        ["report", "series/run", "--out", "page.html"],
    ],
)
def test_the_command_line_takes_it(golden, capsys, words):
    command, place, *more = words
    assert kzoo.cli.main([command, str(golden / place), *more]) == 0
    assert capsys.readouterr().out


def test_the_same_training_finds_its_run_finished(golden, registry_as_it_was):
    """What was asked then is compared with what is asked now, setting by setting."""
    from make import train

    kzoo.load_presets(golden / "table" / "preset.toml")
    for place in ("table/run", "values/run", "text/run", "series/run", "language/run", "images/run"):
        before = (golden / place / "config.json").read_bytes(), sorted(golden.joinpath(place).iterdir())
        run = train(golden, place)
        assert run.path == golden / place
        assert ((golden / place / "config.json").read_bytes(), sorted(run.path.iterdir())) == before


@pytest.mark.usefixtures("warm_children")
@pytest.mark.filterwarnings("ignore:.* no (word|character) the model knows")
def test_a_run_is_exported_again_and_a_format_added(golden, tmp_path):
    """Added to an export of then: allowed only where the answers are the same."""
    export = shutil.copytree(golden / "language" / "export", tmp_path / "export")
    kzoo.export(golden / "language" / "run", export, "keras", verify=False, progress=False)
    assert_same(golden_answers.plain(kzoo.spec_of(export)), said("language", "export spec"))
    model = kzoo.runtime.load(export, "onnx")
    assert_says(model.predict(golden_answers.PROMPTS), said("language", "export onnx"))
    kept = kzoo.load_model(golden / "language" / "run").get_weights()
    added = kzoo.load_model(export / "keras" / "model.keras").get_weights()
    assert all((a == b).all() for a, b in zip(added, kept, strict=True))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* no (word|character) the model knows")
@pytest.mark.parametrize("part", ["table", "values", "text", "series", "images"])
def test_a_run_is_exported_anew(golden, tmp_path, part):
    kzoo.export(golden / part / "run", tmp_path / "export", ("onnx", "litert"), progress=False)
    raw = golden_answers.raw(golden, part)
    for format in ("onnx", "litert"):
        assert_says(kzoo.runtime.load(tmp_path / "export", format).predict(raw), said(part, "run predict"))


@pytest.mark.slow
def test_an_export_is_checked_again(golden, capsys):
    assert kzoo.cli.main(["check", str(golden / "table" / "export")]) == 0


@pytest.mark.slow
def test_the_winner_is_trained_again(golden, tmp_path):
    search = kzoo.Search(golden / "search" / "iris")
    run = search.retrain(out=tmp_path / "run", progress=False)
    assert run.finished and run.config["spec"]["config"]["units"] == list(search.best_config()["units"])


@pytest.mark.slow
def test_a_training_starts_from_it(golden, tmp_path):
    """All weights come along, so that one epoch more is better than the first was."""
    run = kzoo.train(
        "digits_cnn", "digits", out=tmp_path / "run", weights=golden / "images" / "run", epochs=1, filters=(4, 8),
        units=(16,), depth=1, progress=False,
    )  # fmt: skip
    assert run.history["loss"][0] < kzoo.Run(golden / "images" / "run").history["loss"][0]


def test_the_same_search_finds_itself_finished(golden, tmp_path):
    """Nothing is trained, and no trial is changed."""
    folder = shutil.copytree(golden / "search" / "iris", tmp_path / "iris")
    before = (folder / "leaderboard.json").read_bytes()
    search = kzoo.tune("iris_fnn", trials=3, space="quick", epochs=6, units=(16, 8), out=folder, progress=False)
    assert search.finished and len(search.trials) == 3
    assert (folder / "leaderboard.json").read_bytes() == before

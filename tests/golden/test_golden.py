"""Runs, a search and exported models of an earlier version open, answer, report, export and train as they did then.

`make.py` made them and explains why they are not made again; `expected.json` in each folder has their answers.
"""

import json
import math
import re
import shutil

import golden_answers
import pytest
from messages import missing_from

import kzoo
import kzoo.cli
import kzoo.runtime

HERE = golden_answers.HERE
# new.csv has a town that training has not seen, on purpose.
pytestmark = pytest.mark.filterwarnings(
    "ignore:(?=.*'town')(?=.*1 of 8):kzoo.utils.errors.KzooWarning"
)
# Of the prompts and of the new texts, some have no word or character of the vocabulary, on purpose.
UNKNOWN_TEXTS = pytest.mark.filterwarnings("ignore:.*(1 of 3|2 of 4):kzoo.utils.errors.KzooWarning")
PARTS = sorted(file.parent.name for file in HERE.glob("*/expected.json"))
# Six digits are stored. Results of different machines differ by less.
NEAR = dict(rel_tol=1e-5, abs_tol=1e-5)
# Words in the headings of a report; the rest of a heading may be worded anew.
TOPICS = (
    "score",
    "training",
    "test",
    "confusion matrix",
    "class",
    "ROC",
    "precision-recall",
    "examples",
    "mistakes",
    "predicted",
    "forecasts",
    "errors",
    "trial",
    "trials",
    "learning curves",
    "leaderboard",
    "settings",
)


def expected(part):
    return json.loads((HERE / part / "expected.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    """The stored runs, search and exports, unpacked."""
    return golden_answers.unpack(tmp_path_factory.mktemp("unpacked") / "golden")


def assert_same(answer, stored, where=""):
    """Compare plain data: numbers nearly, all else exactly."""
    assert type(answer) is type(stored) or {type(answer), type(stored)} == {int, float}, (
        where,
        answer,
        stored,
    )
    if isinstance(stored, dict):
        assert sorted(answer) == sorted(stored), where
        for name, value in stored.items():
            assert_same(answer[name], value, f"{where} > {name}")
    elif isinstance(stored, list):
        assert len(answer) == len(stored), (where, answer, stored)
        for number, value in enumerate(stored):
            assert_same(answer[number], value, f"{where} [{number}]")
    elif isinstance(stored, float):
        assert math.isclose(answer, stored, **NEAR), (where, answer, stored)
    else:
        assert answer == stored, (where, answer, stored)


# of sections that reports of earlier versions did not have
NEW_HEADINGS = ("Accuracy when answered",)


def assert_same_headings(answer, stored):
    """Compare how many headings there are, the names in the first heading, and the topics of the others."""
    answer = [heading for heading in answer if heading not in NEW_HEADINGS]
    assert len(answer) == len(stored), (answer, stored)
    names = [word for word in stored[0].split() if word not in ("tuned", "on")]
    assert not missing_from(answer[0], names), (answer[0], names)
    for heading, before in zip(answer[1:], stored[1:], strict=True):
        topics = [topic for topic in TOPICS if not missing_from(before, [topic])]
        assert not topics or not missing_from(heading, topics), (heading, topics)


def without_wording(findings):
    """Return check, level, and the names and numbers in the position of each finding."""
    return [
        [check, level, re.findall(r"'[^']*'|\d+", position)] for check, level, position in findings
    ]


def stored_answer(part, question):
    """Return the answer of then: labels, and every number of the other columns."""
    return expected(part)[question]


def assert_same_predictions(predictions, stored):
    assert_same(golden_answers.plain(golden_answers.predictions_as_data(predictions)), stored)


def test_every_expected_answer_has_its_question_and_every_question_its_answer():
    stored = {f"{part}/{question}" for part in PARTS for question in expected(part)}
    assert stored == set(golden_answers.questions(HERE))


@UNKNOWN_TEXTS
@pytest.mark.parametrize("question", golden_answers.questions(HERE))
def test_answers_are_the_same_as_then(golden, question):
    part, name = question.split("/", 1)
    answer = golden_answers.plain(golden_answers.questions(golden)[question]())
    stored = expected(part)[name]
    if "evaluate" in name:  # today there may be more scores of new data than then
        answer = {score: answer[score] for score in stored}
    if name.endswith("report"):
        answer["svg"] -= sum(heading in NEW_HEADINGS for heading in answer["headings"])
        assert_same_headings(answer.pop("headings"), stored.pop("headings"))
    if "check" in name:
        answer, stored = without_wording(answer), without_wording(stored)
    assert_same(answer, stored, question)


@pytest.mark.parametrize("part", ["table", "text", "language"])
def test_a_stored_export_answers_as_its_run(part):
    for format in ("onnx", "litert"):
        run = stored_answer(part, "run predict")
        export = stored_answer(part, f"export {format}")
        assert export["labels"] == run["labels"]
        assert_same(export, run)


def test_a_run_gets_its_report_with_new_scores(golden, tmp_path):
    data = golden_answers.another(golden / "table" / "data.csv", tmp_path)
    page = kzoo.report(golden / "table" / "run", out=tmp_path, data=data)
    assert f"{stored_answer('table', 'run evaluate')['accuracy']:.1%}" in page.read_text(
        encoding="utf-8"
    )


def test_the_winner_becomes_a_preset(golden, tmp_path, registry_as_it_was):
    file = kzoo.Search(golden / "search" / "iris").save_preset(
        "golden_winner", tmp_path / "winner.toml"
    )
    kzoo.load_presets(file)
    assert (
        kzoo.build("golden_winner").count_params()
        == kzoo.Search(golden / "search" / "iris").best_trial()["params"]
    )


def test_two_runs_become_an_ensemble(golden, tmp_path):
    table = golden / "table"
    joined = kzoo.ensemble([table / "run", table / "run_2"], out=tmp_path / "ensemble")
    answers = kzoo.predict(joined, table / "new.csv")
    stored = [stored_answer("table", f"{run} predict")["columns"] for run in ("run", "run_2")]
    for number, name in enumerate(answers.class_names):
        mean = [
            sum(pair) / 2
            for pair in zip(*(columns[f"p_{name}"] for columns in stored), strict=True)
        ]
        assert_same([float(p) for p in answers.probabilities[:, number]], mean)
    assert joined.summary["test"]["accuracy"] > 0.5  # scored from the stored answers of the members


@pytest.mark.parametrize(
    ("folder", "format"), [("run", None), ("export", "onnx"), ("export", "litert")]
)
def test_the_command_line_predicts(golden, capsys, folder, format):
    more = ["--format", format] if format else []
    table = golden / "table"
    assert (
        kzoo.cli.main(
            ["predict", str(table / folder), str(table / "new.csv"), "--top", "3", "--json", *more]
        )
        == 0
    )
    rows = json.loads(capsys.readouterr().out)["predictions"]
    stored = stored_answer("table", "run predict")
    assert [row["label"] for row in rows] == stored["labels"]
    for number, row in enumerate(rows):
        answers = {answer["label"]: answer["probability"] for answer in row["classes"]}
        assert_same(answers, {name: stored["columns"][f"p_{name}"][number] for name in answers})


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
def test_commands_read_stored_runs(golden, capsys, words):
    command, folder, *more = words
    assert kzoo.cli.main([command, str(golden / folder), *more]) == 0
    assert capsys.readouterr().out


def test_the_same_training_returns_the_finished_run(golden, registry_as_it_was):
    """Every setting of then is compared with every setting of now."""
    from make import train

    kzoo.load_presets(golden / "table" / "preset.toml")
    for name in ("table/run", "values/run", "text/run", "series/run", "language/run", "images/run"):
        before = (
            (golden / name / "config.json").read_bytes(),
            sorted(golden.joinpath(name).iterdir()),
        )
        run = train(golden, name)
        assert run.path == golden / name
        assert ((golden / name / "config.json").read_bytes(), sorted(run.path.iterdir())) == before


@pytest.mark.usefixtures("warm_children")
@UNKNOWN_TEXTS
def test_a_run_is_exported_again_and_a_format_added(golden, tmp_path):
    """A format is added to a stored export only where the answers are the same."""
    export = shutil.copytree(golden / "language" / "export", tmp_path / "export")
    kzoo.export(golden / "language" / "run", export, "keras", verify=False, progress=False)
    spec = golden_answers.plain(kzoo.spec_of(export))
    stored_spec = stored_answer("language", "export spec")
    assert_same(spec, stored_spec | {"kzoo": kzoo.__version__})  # the manifest is written anew
    model = kzoo.runtime.load(export, "onnx")
    assert_same_predictions(
        model.predict(golden_answers.PROMPTS), stored_answer("language", "export onnx")
    )
    stored = kzoo.load_model(golden / "language" / "run").get_weights()
    added = kzoo.load_model(export / "keras" / "model.keras").get_weights()
    assert all((a == b).all() for a, b in zip(added, stored, strict=True))


@pytest.mark.slow
@UNKNOWN_TEXTS
@pytest.mark.parametrize("part", ["table", "values", "text", "series", "images"])
def test_a_run_is_exported_anew(golden, tmp_path, part):
    kzoo.export(golden / part / "run", tmp_path / "export", ("onnx", "litert"), progress=False)
    raw = golden_answers.raw(golden, part)
    for format in ("onnx", "litert"):
        assert_same_predictions(
            kzoo.runtime.load(tmp_path / "export", format).predict(raw),
            stored_answer(part, "run predict"),
        )


@pytest.mark.slow
def test_an_export_is_checked_again(golden, capsys):
    assert kzoo.cli.main(["check", str(golden / "table" / "export")]) == 0


@pytest.mark.slow
def test_the_winner_is_trained_again(golden, tmp_path):
    search = kzoo.Search(golden / "search" / "iris")
    run = search.retrain(out=tmp_path / "run", progress=False)
    assert run.finished and run.config["spec"]["config"]["units"] == list(
        search.best_config()["units"]
    )


@pytest.mark.slow
def test_a_training_starts_from_the_weights_of_a_stored_run(golden, tmp_path):
    """All weights are read, so that another epoch is better than the first."""
    run = kzoo.train(
        "digits_cnn",
        "digits",
        out=tmp_path / "run",
        weights=golden / "images" / "run",
        epochs=1,
        filters=(4, 8),
        units=(16,),
        depth=1,
        progress=False,
    )
    assert run.history["loss"][0] < kzoo.Run(golden / "images" / "run").history["loss"][0]


def test_the_same_search_returns_the_finished_search(golden, tmp_path):
    """Nothing is trained, and no trial is changed."""
    folder = shutil.copytree(golden / "search" / "iris", tmp_path / "iris")
    before = (folder / "leaderboard.json").read_bytes()
    search = kzoo.tune(
        "iris_fnn", trials=3, space="quick", epochs=6, units=(16, 8), out=folder, progress=False
    )
    assert search.finished and len(search.trials) == 3
    assert (folder / "leaderboard.json").read_bytes() == before

"""The files of the page: nothing from other sites, nothing inline, every text in both languages."""

import re

import pytest
from page_visit import PAGE, STRINGS

BASELINES = PAGE.parents[1] / "baselines"
LOCAL = (
    PAGE.parents[1] / "export" / "formats" / "html"
)  # a page of an exported model, made of the same modules
SCRIPTS = {file.name: file.read_text(encoding="utf-8") for file in PAGE.glob("*.js")}
BLANK = re.compile(r"\{(\w+)\}")
CHINESE = "[\u4e00-\u9fff]"
NAMES = ("curl", "python")
# Keys that the scripts put together from facts of a model.
MADE = (
    "task_",
    "score_",
    "baseline_",
    "way_",
    "copy_",
    "scale_",
    "explained_",
    "limit_",
    "reads",
    "add",
    *NAMES,
)


def test_every_text_is_there_in_both_languages_with_the_same_blanks():
    assert len(STRINGS) == SCRIPTS["strings.js"].count("\n  ") > 100  # a line each
    for key, (english, chinese) in STRINGS.items():
        assert english and chinese, key
        assert sorted(BLANK.findall(english)) == sorted(BLANK.findall(chinese)), key
        words = re.search("[A-Za-z]{4}", BLANK.sub("", english))  # R² and AUC are the same in both
        assert not re.search(CHINESE, english) and (
            re.search(CHINESE, chinese) or not words or key in NAMES
        ), key


def test_every_text_is_used_and_every_key_has_a_text():
    code = "".join(text for name, text in SCRIPTS.items() if name != "strings.js")
    code += "".join(file.read_text(encoding="utf-8") for file in LOCAL.glob("*.js"))
    page = (PAGE / "index.html").read_text(encoding="utf-8")
    unused = [
        key
        for key in STRINGS
        if not key.startswith(MADE) and f'"{key}"' not in code and f'"{key}"' not in page
    ]
    assert not unused
    keys = re.findall(r'\b(?:say|label): \[?"(\w+)"', code) + re.findall(
        r'\bProblem\("(\w+)"', code
    )
    keys += re.findall(r'\bsay\([\w.]+, "(\w+)"', code) + re.findall(r'data-say="(\w+)"', page)
    assert len(keys) > 50 and not set(keys) - STRINGS.keys()


def test_every_task_score_and_baseline_has_a_name_in_both_languages():
    from kzoo.problems.tasks import problems

    code = "".join(file.read_text(encoding="utf-8") for file in BASELINES.glob("*.py"))
    labels = re.findall(r'@baseline\(\s*"([^"]+)"', code)
    assert labels and {f"baseline_{label}" for label in labels} <= STRINGS.keys()
    for problem in problems().values():
        assert f"task_{problem.name}" in STRINGS and f"score_{problem.headline}" in STRINGS
        for score in problem.task.scores.values():
            assert not score.baseline or f"baseline_{score.label}" in STRINGS


def test_nothing_is_inline_or_from_other_sites():
    for file in PAGE.iterdir():
        text = file.read_text(encoding="utf-8")
        assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text), file.name
        made = re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text
        )
        assert not made, file.name
    page = (PAGE / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)", page)
    for name in re.findall(r'(?:src|href)="([\w.]+\.\w+)"', page):
        assert (PAGE / name).is_file() or name == "openapi.json", name
    for text in SCRIPTS.values():
        assert all((PAGE / name).is_file() for name in re.findall(r'from "\./([\w.]+)"', text))


def test_the_policy_allows_this_server_alone():
    pytest.importorskip("starlette")
    from kzoo.serve.app import _PAGE_HEADERS

    policy = dict(
        rule.split(" ", 1) for rule in _PAGE_HEADERS["Content-Security-Policy"].split("; ")
    )
    assert policy["default-src"] == policy["trusted-types"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in _PAGE_HEADERS["Content-Security-Policy"]


def test_the_score_of_a_page_is_the_main_score_also_where_it_is_computed():
    """As in `compare` and a report: for windows the square of the RMSE, for a rare class the average precision."""
    from kzoo.zoo.results.score_facts import score_facts

    def scored(task, **scores):
        return score_facts({"task": task}, {"test": dict(scores, examples=40)}, [])

    windows = scored("sequence_regression", rmse=0.5, mae=0.4, r2=0.9)
    assert (windows["name"], windows["value"]) == ("mse", 0.25)
    rare = dict(accuracy=0.99, accuracy_interval=[0.98, 1.0], average_precision=0.4, majority=0.98)
    score = scored("tabular_classification", **rare)
    assert (score["name"], score["value"], score["interval"]) == ("average_precision", 0.4, None)
    assert f"score_{score['name']}" in STRINGS
    del rare["average_precision"]
    plain = scored("tabular_classification", **rare)
    assert plain["name"] == "accuracy" and "weighted" not in plain
    assert scored("tabular_classification", **rare, unweighted=dict(rare))["weighted"] is True


def test_the_scores_beside_it_are_the_same_score():
    """With a decision, a summary has the scores at 0.5 too: of them only the accuracy belongs beside the accuracy."""
    from kzoo.zoo.results.score_facts import score_facts

    at_half = dict(
        accuracy_default=0.8,
        balanced_accuracy_default=0.7,
        recall_positive_default=0.1,
        f1_default=0.6,
    )
    scores = dict(accuracy=0.9, majority=0.6, recall_positive=0.5, examples=40, **at_half)
    facts = score_facts({"task": "tabular_classification"}, {"test": scores}, [])
    beside = {entry["label"]: entry["value"] for entry in facts["beside"]}
    assert beside == {"always the most frequent": 0.6, "accuracy at 0.5": 0.8}


def test_only_language_models_continue_a_text():
    from types import SimpleNamespace

    from kzoo.problems.tasks import problems
    from kzoo.serve import model_facts

    continues = [
        name for name in problems() if model_facts._continues(SimpleNamespace(spec={"task": name}))
    ]
    assert continues == ["language_modeling"] and not model_facts._continues(
        SimpleNamespace(spec={})
    )
    assert "about.answer.continues ?" in SCRIPTS["inputs.js"]

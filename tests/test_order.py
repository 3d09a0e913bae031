"""The order in which presets are suggested: from measured scores alone, the same everywhere, without the set itself."""

import statistics

import pytest
from messages import assert_mentions

import kzoo
from kzoo.data.named import ORIGINS
from kzoo.zoo import results
from kzoo.zoo.results.suggest import GENERATED, first, order, order_line

TABLES = ["tabular_fnn", "tabular_resnet", "tabular_tabm", "tabular_transformer"]


def row(preset, data, train, score, baselines=None, task="tabular_classification", **others):
    metric = "accuracy" if task.endswith("classification") else "r2"
    return (
        dict(
            preset=preset,
            data=data,
            task=task,
            metric=metric,
            score=score,
            sd=None,
            train=train,
            seconds=9.0,
            baselines=baselines,
        )
        | others
    )


@pytest.fixture
def measured(monkeypatch):
    """Three tables: the guess has 0.5 (0 of R2), so that a regret of 0.1 is 5 points of accuracy and 9 of R2."""
    guess, trees = {"trees": 0.9, "guess": 0.5}, {"trees": 1.0, "guess": 0.0}
    rows = [
        row("tabular_fnn", "small", 100, 0.86, guess),
        row("tabular_resnet", "small", 100, 0.88, guess),
        row("tabular_fnn", "large", 90_000, 0.70, guess),
        row("tabular_resnet", "large", 90_000, 0.78, guess),
        row("tabular_fnn", "prices", 5_000, 0.95, trees, task="tabular_regression"),
        row("tabular_resnet", "prices", 5_000, 0.91, trees, task="tabular_regression"),
        row("tabular_tabm", "prices", 5_000, 0.2, trees, task="tabular_regression"),
        row("text_ngrams", "letters", 100, 0.99, guess, task="text_classification"),
        row(
            "image_pretrained",
            "photos",
            100,
            0.9,
            task="image_classification",
            command="kzoo train image_pretrained --weights efficientnet_lite0",
        ),
    ]
    monkeypatch.setattr(results, "rows", lambda: rows)
    return rows


def test_the_median_regret_decides_and_presets_without_scores_come_last(measured):
    names = ["tabular_transformer", "tabular_mine", *TABLES[:3], "text_ngrams"]
    suggestions = order("tabular_count", names, 200)
    # Regrets: resnet 0.05, 0.3, 0.09; fnn 0.1, 0.5, 0.05; tabm 0.8.
    assert [s.preset for s in suggestions[:3]] == ["tabular_resnet", "tabular_fnn", "tabular_tabm"]
    assert [s.regret for s in suggestions[:3]] == pytest.approx([0.09, 0.1, 0.8])
    assert [s.preset for s in suggestions[3:]] == [
        "tabular_transformer",
        "text_ngrams",
        "tabular_mine",
    ]  # by size
    assert {s.regret for s in suggestions[3:]} == {None} and suggestions[-1].why == "not measured"
    assert_mentions(suggestions[0].why, "2 of 3", "9.0 points")  # 2, 12 and 9 points behind
    assert (suggestions[0].data, suggestions[0].score, suggestions[0].beside) == (
        "small",
        "88.0%",
        "trees 90.0%",
    )
    assert order("tabular_count", names, 50_000)[0].data == "large"
    of_values = order("tabular_regression", names, 50_000)[0]
    # a set of the same task first
    assert (of_values.data, of_values.score) == ("prices", "R2 0.910")


def test_a_data_set_can_be_left_out(measured):
    def firsts(without):
        return [s.preset for s in order("tabular_classification", TABLES[:3], without=without)]

    assert firsts("small") == ["tabular_resnet", "tabular_fnn", "tabular_tabm"]  # 0.195 and 0.275
    assert firsts(["small", "large"]) == ["tabular_fnn", "tabular_resnet", "tabular_tabm"]
    alone = order("tabular_classification", TABLES[:3], without=["small", "large"])[0]
    assert_mentions(alone.why, "the only data set on which several were measured", "5.0 points")
    assert "median" not in alone.why
    measured.append(row("tabular_fnn", "small", 100, 0.01))  # the best row of a preset counts
    assert firsts(None)[0] == firsts("prices")[0] == "tabular_resnet"


def test_generated_data_sets_count_only_where_there_are_no_others(measured):
    assert {
        name for name, (origin, _) in ORIGINS.items() if origin == "kzoo itself makes it"
    } == set(GENERATED)
    measured.append(
        row("text_gru", "opinions", 1_440, 1.0, {"guess": 0.5}, task="text_classification")
    )
    measured.append(row("series_gru", "sine", 1_440, 0.9, {"guess": 0.5}, task="forecasting"))
    assert [s.regret for s in order("text_classification", ["text_gru", "text_ngrams"])] == [
        0.0,
        None,
    ]
    assert order("forecasting", ["series_linear", "series_gru"])[0].preset == "series_gru"


def test_other_kinds_of_input_and_order_in_time_do_not_count(measured):
    for task in ("forecasting", "text_classification", "a_task_of_a_package"):
        assert all(s.regret is None for s in order(task, TABLES))
    assert order_line([vars(s) for s in order("forecasting", TABLES)]) == order_line([])
    assert first("forecasting", TABLES, TABLES) is None
    assert first("text_classification", TABLES, ["text_cnn", "text_ngrams"]) == "text_ngrams"
    assert order("image_classification", ["image_cnn", "image_pretrained"])[0].weights


def test_the_order_is_deterministic_and_does_not_depend_on_the_order_of_names():
    for task in (
        "tabular_classification",
        "text_classification",
        "forecasting",
        "series_classification",
    ):
        names = [
            name
            for name in kzoo.list_presets()
            if name.startswith(("tabular_", "text_", "series_"))
        ]
        assert order(task, names) == order(task, names[::-1])
        assert order(task, names)[0].regret is not None


def test_regrets_are_those_of_the_stored_rows():
    """The regret of `tabular_tabm`, calculated again from the rows."""
    regrets = []
    rows = [r for r in results.rows() if r["task"].startswith("tabular_") and r["preset"] in TABLES]
    for name in {r["data"] for r in rows if r["preset"] == "tabular_tabm"}:
        of_set = [r for r in rows if r["data"] == name]
        baselines = [score for r in of_set for score in r["baselines"].values()]
        best = max([r["score"] for r in of_set] + baselines)
        score = next(r["score"] for r in of_set if r["preset"] == "tabular_tabm")
        regrets.append((best - score) / (best - min(baselines)))
    suggestion = order("tabular_multilabel_classification", TABLES)[0]
    assert suggestion.preset == "tabular_tabm" and suggestion.regret == pytest.approx(
        statistics.median(regrets)
    )


def test_presets_that_one_matrix_or_network_shares_among_series_are_suggested_first():
    suggested = order("forecasting", kzoo.list_presets(task="forecasting"))
    assert [s.preset for s in suggested[:2]] == ["series_linear", "series_fnn"]
    assert None not in {s.regret for s in suggested}  # none comes last because it was not measured

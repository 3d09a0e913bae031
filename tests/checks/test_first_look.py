"""Data alone, before anybody has chosen a preset: how it is read, what is wrong, what needs no network, what to try.

The class of faults: a preset is chosen by guessing; a table is read as something else than it is, and nobody says so;
the test split is spent on choosing.
"""

import json

import numpy as np
import pandas as pd
import pytest

import kzoo
from kzoo import KzooError, results
from kzoo.cli import main
from kzoo.results.suggest import ranked, ranked_by

ROWS = 300


@pytest.fixture
def shop():
    random = np.random.default_rng(0)
    size = random.normal(50, 9, ROWS)
    frame = pd.DataFrame({"size": size, "since": pd.date_range("2020-01-01", periods=ROWS, freq="D")})
    frame["note"] = [f"order {i} was packed with care" for i in range(ROWS)]
    return frame.assign(sold=np.where(size + random.normal(0, 3, ROWS) > 50, "yes", "no"))


def call(capsys, *words):
    capsys.readouterr()
    code = main([str(word) for word in words])
    return (code, *capsys.readouterr())


def test_a_table_on_the_command_line(shop, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")  # lines are not broken
    shop.to_csv("shop.csv", index=False)
    code, out, _ = call(capsys, "check", "--data", "shop.csv", "--target", "sold")
    assert code == 0
    for said in (
        "tabular classification, 300 rows: 216 train / 24 validation / 60 test", "checks, all quiet",
        "without a network, on the validation split; the test split stays unseen", "gradient-boosted trees",
        "If 'note' holds texts that are to be classified, name a preset for them: text_",
        "--task overrides", "--target sold --data shop.csv",
        "presets to try, by their scores", "tabular_fnn",
    ):  # fmt: skip
        assert said in out, said
    assert "it is read as a series then" not in out  # of which classes are no target
    assert "say --time since: it is read as a series then" in call(capsys, "check", "shop.csv", "--target", "size")[1]
    code, out, _ = call(capsys, "check", "shop.csv", "--target", "sold", "--quick", "--json")
    document = json.loads(out)
    assert code == 0 and {one["split"] for one in document["baselines"]} == {"validation"}
    values = [one["value"] for one in document["baselines"]]
    assert values == sorted(values, reverse=True) and values[0] > 0.8
    assert {one["preset"] for one in document["presets"]} >= {"tabular_fnn", "tabular_resnet", "tabular_transformer"}


def test_an_error_ends_with_1_and_nothing_is_scored(shop, capsys):
    shop.assign(price=7.0).to_csv("flat.csv", index=False)
    code, out, _ = call(capsys, "check", "flat.csv", "--target", "price", "--task", "regression", "--json")
    document = json.loads(out)
    assert code == 1 and [one["check"] for one in document["findings"]] == ["constant_targets"]
    assert document["baselines"] is None and document["presets"]
    assert main(["check", "flat.csv", "--target", "price", "--task", "regression"]) == 1
    assert "without a network, on the" not in capsys.readouterr().out


def test_texts_series_and_arrays(shop):
    texts = pd.DataFrame({"said": [f"{'fine' if i % 2 else 'bad'} film number {i}" for i in range(80)]})
    found = kzoo.check(texts.assign(mood=[("good" if i % 2 else "poor") for i in range(80)]), target="mood", deep=False)
    assert found.overview["task"] == "text_classification" and "nbsvm" in {one.name for one in found.baselines}
    assert found.presets[0]["preset"].startswith("text_")

    series = shop[["since", "size"]]
    found = kzoo.check(
        data=pd.concat([series] * 3).assign(since=pd.date_range("2020", periods=900)), time="since", deep=False
    )
    assert found.overview["task"] == "forecasting" and {one["preset"] for one in found.presets} >= {"series_gru"}
    assert {one.name for one in found.baselines} >= {"last_value", "ridge_windows"}

    x = np.random.default_rng(0).normal(size=(90, 4))
    found = kzoo.check((x, x.sum(axis=1)), deep=False)
    assert found.overview["task"] == "tabular_regression" and found.baselines[0].name == "ridge"
    assert found.presets[0]["preset"].startswith("tabular_")  # which takes values too


def test_what_it_refuses(shop, capsys):
    for asked, said in (
        ((), "Say what to check: a preset, a run, or data="),
        ((shop,), "Say which column to predict"),
    ):
        with pytest.raises(KzooError, match=said):
            kzoo.check(*asked)
    with pytest.raises(KzooError, match="units=3 is for a network, and there is data alone"):
        kzoo.check(shop, target="sold", units=3)
    with pytest.raises(KzooError, match=r"Unknown preset 'iriss_fnn'\. Did you mean 'iris_fnn'"):
        kzoo.check("iriss_fnn")
    assert call(capsys, "check")[0] == 2


def test_presets_are_ranked_by_what_they_got_on_data_of_this_size(monkeypatch):
    def row(preset, data, train, score, beside=None):
        return dict(
            preset=preset, data=data, task="tabular_classification", metric="accuracy", score=score, sd=None,
            train=train, seconds=9.0, baselines=beside,
        )  # fmt: skip

    rows = [
        row("tabular_fnn", "small", 100, 0.9), row("tabular_resnet", "small", 100, 0.8),
        row("tabular_fnn", "large", 90_000, 0.7), row("tabular_resnet", "large", 90_000, 0.75, {"trees": 0.875}),
        row("tabular_old", "unsized", None, 0.99), row("iris_fnn", "small", 100, 0.99),
    ]  # fmt: skip
    monkeypatch.setattr(results, "rows", lambda: rows)
    names = ["tabular_new", "tabular_fnn", "tabular_resnet", "tabular_old"]

    def order(size):
        return [one["preset"] for one in ranked(names, "tabular_classification", size)]

    assert order(200) == ["tabular_fnn", "tabular_resnet", "tabular_old", "tabular_new"]
    assert order(50_000) == ["tabular_resnet", "tabular_fnn", "tabular_old", "tabular_new"]
    best = ranked(names, "tabular_classification", 50_000)[0]
    assert (best["score"], best["data"], best["beside"]) == ("75.0%", "large", "trees 87.5%")
    none = ranked(names, "forecasting", 10)
    assert [one["preset"] for one in none] == names and not any(one["score"] for one in none)
    assert ranked_by(none) == "presets to try; none was measured on data for this task"

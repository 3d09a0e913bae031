"""`kzoo.check` of data without a preset: how it is read, its faults, the baselines and the presets to try.

The faults to prevent: a preset is chosen by guessing, a table is misread without notice, or the test split is used for
the choice.
"""

import json

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, missing_from, refuses

import kzoo
from kzoo.checks import CHECKS
from kzoo.cli import main

ROWS = 300


@pytest.fixture
def shop():
    random = np.random.default_rng(0)
    size = random.normal(50, 9, ROWS)
    frame = pd.DataFrame(
        {"size": size, "since": pd.date_range("2020-01-01", periods=ROWS, freq="D")}
    )
    frame["note"] = [f"order {i} was packed with care" for i in range(ROWS)]
    return frame.assign(sold=np.where(size + random.normal(0, 3, ROWS) > 50, "yes", "no"))


def call(capsys, *arguments):
    capsys.readouterr()
    code = main([str(argument) for argument in arguments])
    return (code, *capsys.readouterr())


def header_of_baselines(lines):
    """Return the number of the line with the column names of the baselines, or None."""
    return next(
        (number for number, line in enumerate(lines) if line.split()[-1:] == ["seconds"]), None
    )


def test_a_table_on_the_command_line(shop, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")  # lines are not broken
    shop.to_csv("shop.csv", index=False)
    code, out, _ = call(capsys, "check", "--data", "shop.csv", "--target", "sold")
    assert code == 0 and not [name for name in CHECKS if name in out]
    lines = out.splitlines()
    rows = ("tabular classification", "300", "216 train", "24 validation", "60 test")
    assert any(not missing_from(line, rows) for line in lines)
    heading = "\n".join(lines[: header_of_baselines(lines)]).split("\n\n")[-1]
    assert_mentions(heading, "validation", "test")
    assert_mentions(
        out, "checks", "gradient-boosted trees", "--task", "--target sold --data shop.csv"
    )
    assert_mentions(out, "presets", "tabular_fnn")
    # a text column is an input
    assert any(not missing_from(line, ("note", "text")) for line in lines)
    assert "--time" not in out  # classes cannot be forecast
    assert_mentions(
        call(capsys, "check", "shop.csv", "--target", "size")[1], "--time since", "series"
    )
    code, out, _ = call(capsys, "check", "shop.csv", "--target", "sold", "--quick", "--json")
    document = json.loads(out)
    assert code == 0 and {row["split"] for row in document["baselines"]} == {"validation"}
    values = [row["value"] for row in document["baselines"]]
    assert values == sorted(values, reverse=True) and values[0] > 0.75
    assert {row["preset"] for row in document["presets"]} >= {
        "tabular_fnn",
        "tabular_resnet",
        "tabular_transformer",
    }


def test_an_error_exits_with_1_and_scores_no_baselines(shop, capsys):
    shop.assign(price=7.0).to_csv("flat.csv", index=False)
    code, out, _ = call(
        capsys, "check", "flat.csv", "--target", "price", "--task", "regression", "--json"
    )
    document = json.loads(out)
    assert code == 1 and [row["check"] for row in document["findings"]] == ["constant_targets"]
    assert document["baselines"] is None and document["presets"]
    assert main(["check", "flat.csv", "--target", "price", "--task", "regression"]) == 1
    assert header_of_baselines(capsys.readouterr().out.splitlines()) is None


def test_texts_series_and_arrays(shop):
    texts = pd.DataFrame(
        {"note": [f"{'fine' if i % 2 else 'bad'} film number {i}" for i in range(80)]}
    )
    texts["mood"] = [("good" if i % 2 else "poor") for i in range(80)]
    findings = kzoo.check(texts, target="mood", deep=False)
    assert findings.overview["task"] == "text_classification"
    assert "nbsvm" in {baseline.name for baseline in findings.baselines}
    assert findings.presets[0]["preset"].startswith("text_")

    series = shop[["since", "size"]]
    findings = kzoo.check(
        data=pd.concat([series] * 3).assign(since=pd.date_range("2020", periods=900)),
        time="since",
        deep=False,
    )
    assert findings.overview["task"] == "forecasting" and {
        row["preset"] for row in findings.presets
    } >= {"series_gru"}
    assert {baseline.name for baseline in findings.baselines} >= {"last_value", "ridge_windows"}

    x = np.random.default_rng(0).normal(size=(90, 4))
    findings = kzoo.check((x, x.sum(axis=1)), deep=False)
    assert (
        findings.overview["task"] == "tabular_regression" and findings.baselines[0].name == "ridge"
    )
    assert findings.presets[0]["preset"].startswith("tabular_")  # which takes values too


def test_bad_requests_are_refused(shop, capsys):
    with refuses("preset", "run", "data="):
        kzoo.check()
    with refuses("target=", "size, since, note, sold"):
        kzoo.check(shop)
    with refuses("units=3", "preset"):
        kzoo.check(shop, target="sold", units=3)
    with refuses("preset", "'iriss_fnn'", "'iris_fnn'"):
        kzoo.check("iriss_fnn")
    assert call(capsys, "check")[0] == 2

"""A run trained on a `Dataset` is the run trained on its source: request, command, resume, gain of repairs."""

import csv
import random
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import kzoo
from kzoo.data.targets.repairs import row_keys

pytestmark = pytest.mark.usefixtures("untraced", "undrawn")


def table(path):
    rng = random.Random(0)
    rows = [[rng.gauss(0, 1), rng.gauss(0, 1), rng.choice("xyz")] for _ in range(160)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["a", "b", "c", "kind"])
        writer.writerows([a, b, c, "yes" if a + b > 0 else "no"] for a, b, c in rows)
    return path


def reviews(path):
    rng = random.Random(1)
    words = {"good": ["fine", "nice", "lovely"], "bad": ["awful", "dull", "boring"]}
    rows = [
        (label, " ".join(rng.choices(words[label], k=8)))
        for label in rng.choices(list(words), k=120)
    ]
    pd.DataFrame(rows, columns=["label", "text"]).to_csv(path, index=False)
    return path


def hours(path):
    values = np.sin(np.arange(400) / 24 * 2 * np.pi)
    when = pd.date_range("2024-01-01", periods=400, freq="h")
    pd.DataFrame({"when": when, "load": values}).to_csv(path, index=False)
    return path


CASES = {
    "rows": (table, "tabular_fnn", dict(target="kind", drop=["c"], test=0.3)),
    "texts": (reviews, "text_cnn", dict(target="label", validation=0.2)),
    "series": (hours, "series_gru", dict(target="load", time="when")),
}
SMALL = dict(epochs=1, progress=False, check=False, baselines=False)


@pytest.mark.parametrize("case", CASES)
def test_a_data_set_is_trained_on_as_its_source(case, tmp_path):
    make, preset, options = CASES[case]
    source = make(tmp_path / f"{case}.csv")
    data = kzoo.load_data(source, **options)
    run = kzoo.train(preset, data, out=tmp_path / "run", **SMALL)
    assert run.config["command"].startswith(f"kzoo train {preset} --data {case}.csv ")
    finished = (tmp_path / "run" / "summary.json").stat().st_mtime_ns
    again = kzoo.train(preset, source, out=tmp_path / "run", **options, **SMALL)
    assert (tmp_path / "run" / "summary.json").stat().st_mtime_ns == finished  # the same run
    other = kzoo.train(preset, source, out=tmp_path / "other", **options, **SMALL)
    for key in ("data", "spec", "command"):
        assert run.config[key] == again.config[key] == other.config[key], key
    assert run.summary["test"] == other.summary["test"]


def test_a_changed_data_set_is_no_longer_its_source(tmp_path):
    data = kzoo.load_data(table(tmp_path / "rows.csv"), target="kind")
    run = kzoo.train("tabular_fnn", replace(data, test=None), out=tmp_path / "run", **SMALL)
    assert run.config["command"] is None and "test" not in run.summary
    clipped = kzoo.load_data(tmp_path / "rows.csv", target="kind", clip=True)
    run = kzoo.train("tabular_fnn", clipped, out=tmp_path / "clipped", **SMALL)
    assert run.config["command"] is None  # no command clips


def test_repairs_of_a_data_set_have_their_gain(tmp_path):
    source = table(tmp_path / "rows.csv")
    plain = dict(target="kind", drop=["c"])
    before = kzoo.load_data(source, **plain)
    rows = [
        {
            "row": int(before.train.rows[position]) + 1,
            "key": row_keys(before.train, [position])[0],
            "label": before.class_names[int(before.train.y[position])],
            "suggestion": before.class_names[1 - int(before.train.y[position])],
            "accept": "yes",
        }
        for position in range(3)
    ]
    gains = []
    for number, data in enumerate((source, kzoo.load_data(source, **plain, repairs=rows))):
        options = plain | {"repairs": rows} if data is source else {}
        run = kzoo.train("tabular_fnn", data, out=tmp_path / f"run-{number}", **options, **SMALL)
        gains.append({k: v for k, v in run.summary["repairs"].items() if k != "run"})
    assert gains[0] == gains[1] and gains[0]["labels"] == len(rows)

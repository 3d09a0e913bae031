"""The measured scores belong to presets that exist, and their mean is the mean of the measurements."""

import json
import statistics
from types import SimpleNamespace

import pytest
from messages import assert_mentions

import kzoo
from kzoo.zoo import results


@pytest.mark.parametrize(
    "row", results.rows(), ids=lambda r: f"{r['preset']}-{r['data']}-{r['over']}"
)
def test_a_row_belongs_to_its_preset(row):
    preset = kzoo.get_preset(row["preset"])
    starts = (
        f"kzoo train {row['preset']}",
        f"kzoo.cross_validate('{row['preset']}'",
        "python recipes/",
    )
    assert row["command"].startswith(starts)
    assert row["own_data"] == (row["data"].rstrip("/") == preset.dataset)
    assert row["score"] == pytest.approx(statistics.mean(row["scores"]), abs=1e-5)
    assert len(row["scores"]) == int(row["over"].split()[0])
    if len(row["scores"]) > 1:
        assert row["sd"] == pytest.approx(statistics.stdev(row["scores"]), abs=1e-5)
    else:
        assert row["sd"] is None
    follows_data = row["preset"].startswith(("text_", "image_", "tabular_", "char_", "language_"))
    follows_data |= None in preset.config["input_shape"]  # whose window the data decides
    if row["own_data"] and "--set" not in row["command"] and not follows_data:
        assert row["parameters"] == preset.params


def run(seed=0, data_seed=0, rmse=0.1, task="sequence_regression", **options):
    spec = dict(
        preset="adding_gru", seed=seed, config=dict(input_shape=[100, 2]), training=dict(epochs=30)
    )
    data = dict(
        name="adding", task=task, train=100, data_seed=data_seed, options=dict(test=None) | options
    )
    config = dict(
        spec=spec,
        data=data,
        machine="Linux",
        versions={},
        created=f"2026-01-0{seed + 1}",
        command="kzoo",
    )
    test = dict(rmse=rmse, r2=0.5, examples=9, auc=None)
    return SimpleNamespace(
        config=config,
        summary=dict(
            test=test, parameters=7, epochs=30 + seed, seconds=10.0, samples_per_second=100.0
        ),
    )


def test_runs_of_several_seeds_become_a_single_row():
    runs = [run(1, rmse=0.3), run(0, rmse=0.1)]
    assert results.group_of(runs[0]) == results.group_of(runs[1])
    row = results.row_of(runs)
    assert row["metric"] == "mse"
    assert row["score"] == pytest.approx(0.05)
    assert row["sd"] == pytest.approx(0.05657, abs=1e-5)
    assert (row["over"], row["epochs"], row["date"]) == ("2 seeds", 30.5, "2026-01-02")
    assert row["others"] == {"rmse": 0.2, "r2": 0.5}
    json.dumps(row)


def test_splits_seeds_and_settings_are_distinguished():
    assert results.row_of([run(0, 0), run(1, 1)])["over"] == "2 splits"
    assert results.row_of([run()])["over"] == "1 run" and results.row_of([run()])["sd"] is None
    draws = [
        results.draw_of(r) for r in (run(), run(), run(1, 0), run(0, 1), run(test=dict(number=1)))
    ]
    assert draws[0] == draws[1] and len(set(draws)) == 4
    other = run()
    other.config["spec"]["training"] = dict(epochs=5)
    assert results.group_of(other) != results.group_of(run())


def test_values_that_follow_from_the_split_do_not_separate_runs():
    runs = [run(0, 0), run(1, 1), run(2, 2)]
    plain = "kzoo train tabular_tabm --data a.csv"
    settings = " --target y --set loss=mse"
    for i, each in enumerate(runs):
        each.config["command"] = (
            plain + (f" --seed {i} --data-seed {i}" if i else "") + " --target y"
        )
        each.config["spec"]["training"] = dict(
            min_steps=2000, epochs=100 + i, loss=("mse", "huber", "huber")[i]
        )
        each.config["spec"]["config"]["input_shape"] = [70 + i]
    assert len({results.group_of(each) for each in runs}) == 1
    # then only the preset or its user can have chosen the epochs
    runs[1].config["spec"]["training"]["min_steps"] = 0
    runs[2].config["command"] = plain + settings
    assert len({results.group_of(each) for each in runs}) == 3
    row = dict(preset="tabular_tabm", data="a.csv")
    endings = (" --seed 2 --data-seed 2 --target y", " --target y")
    keys = [results.key_of(row | dict(command=plain + ending)) for ending in endings]
    assert keys[0] == keys[1] != results.key_of(row | dict(command=plain + settings))


def test_scores_are_written_as_people_read_them():
    row = dict(metric="accuracy", score=0.7612, sd=0.011)
    assert results.score(row) == "76.1% ± 1.1"
    assert (
        results.score(dict(metric="mse_standardised", score=0.3812, sd=None))
        == "MSE (standardised) 0.381"
    )
    assert results.score(dict(metric="mse", score=0.00012, sd=0.00003)) == "MSE 0.00012 ± 3e-05"


def test_published_figures_have_their_source():
    for figure in results._read("beside.json"):
        assert {"data", "metric", "what", "score", "source"} <= set(figure)
    reviews = dict(preset="text_cnn", data="reviews", metric="accuracy")
    assert [b["score"] for b in results.published_scores(reviews)] == [0.761]
    figures = results.published_scores(reviews | {"preset": "cifar_cnn", "data": "cifar10"})
    (figure,) = figures
    assert_mentions(figure["what"], "tutorial", "20 epochs")
    assert results.published_scores(reviews | {"preset": "cifar_mobile", "data": "cifar10"}) == []


def test_the_best_of_the_most_repeated_baselines_is_chosen():
    def row(scores, value, metric="accuracy"):
        return dict(
            metric=metric,
            scores=[0.5] * scores,
            over=f"{scores} splits",
            baselines={"trees": value},
        )

    def chosen(*rows):
        return [(each["score"], each["over"]) for each in results.baseline_rows(list(rows))]

    assert chosen(row(1, 0.9), row(3, 0.7), row(3, 0.8), row(3, 0.6)) == [(0.8, "3 splits")]
    assert chosen(row(1, 0.9), row(1, 0.95)) == [(0.95, "1 splits")]
    # the smallest error
    assert chosen(row(2, 0.4, "mse"), row(2, 0.3, "mse")) == [(0.3, "2 splits")]

"""Variants: the same runs as `kzoo.train` makes, never trained twice, and rows with the scores of the runs."""

import csv
import statistics

import numpy as np
import pytest
from messages import refuses
from shortcuts import undrawn, untraced

import kzoo

pytestmark = pytest.mark.usefixtures("undrawn", "untraced")

VARIANTS = {"preset": {}, "tanh": {"activation": "tanh", "epochs": 3}}


@pytest.fixture(scope="module")
def variants(tmp_path_factory):
    out = tmp_path_factory.mktemp("variants")
    with undrawn(), untraced():
        return out, kzoo.recipes.train_variants(
            "line_fnn", "line", VARIANTS, out=out, seeds=(0, 5), epochs=2
        )


def test_a_variant_is_the_run_that_train_makes_bit_for_bit(variants, tmp_path):
    _, runs = variants
    assert {name: [run.path.name for run in group] for name, group in runs.items()} == {
        "preset": ["preset-s0", "preset-s5"],
        "tanh": ["tanh-s0", "tanh-s5"],
    }
    alone = kzoo.train(
        "line_fnn",
        "line",
        out=tmp_path / "alone",
        seed=5,
        epochs=3,
        activation="tanh",
        callbacks="quick",
        progress=False,
    )
    twin = runs["tanh"][1]
    for a, b in zip(alone.model.get_weights(), twin.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert alone.summary["test"] == twin.summary["test"]
    assert alone.history["loss"] == twin.history["loss"]
    assert not (twin.path / "tensorboard").exists()
    assert runs["preset"][0].summary["test"] != runs["preset"][1].summary["test"]


def test_finished_runs_are_not_trained_again_and_unfinished_runs_are(variants):
    out, runs = variants
    before = {
        run.path: (run.path / "summary.json").stat().st_mtime_ns
        for group in runs.values()
        for run in group
    }
    scores = runs["tanh"][0].summary["test"]
    (out / "tanh-s0" / "summary.json").unlink()  # as after a crash
    again = kzoo.recipes.train_variants(
        "line_fnn", "line", VARIANTS, out=out, seeds=(0, 5), epochs=2
    )
    after = {
        run.path: (run.path / "summary.json").stat().st_mtime_ns
        for group in again.values()
        for run in group
    }
    assert {path.name for path in after if after[path] != before[path]} == {"tanh-s0"}
    assert again["tanh"][0].summary["test"] == scores


def test_ctrl_c_stops_everything_and_its_run_is_trained_anew(tmp_path):
    import keras

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if stop and epoch == 1:
                raise KeyboardInterrupt

    stop = True
    variants = {"first": dict(callbacks=[Stop()]), "second": dict(callbacks=[Stop()])}
    with pytest.raises(KeyboardInterrupt):
        kzoo.recipes.train_variants("line_fnn", "line", variants, out=tmp_path, epochs=3)
    assert kzoo.Run(tmp_path / "first-s0").summary["interrupted"]
    assert not (tmp_path / "second-s0").exists()
    stop = False
    runs = kzoo.recipes.train_variants("line_fnn", "line", variants, out=tmp_path, epochs=3)
    assert [
        (r.summary["epochs"], r.summary["interrupted"]) for r in (*runs["first"], *runs["second"])
    ] == [(3, False)] * 2


def test_a_folder_with_another_setting_is_refused(variants):
    out, _ = variants
    with refuses(str(out / "preset-s0"), "activation", "relu", "elu", "overwrite=True"):
        kzoo.recipes.train_variants(
            "line_fnn", "line", {"preset": {"activation": "elu"}}, out=out, epochs=2
        )


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        ({}, ("variants=", "dict", "units")),
        ([{"units": (8,)}], ("variants=", "dict", "units")),
        ({"a/b": {}}, ("'a/b'", "folder", "slashes")),
        ({"": {}}, ("''", "folder", "slashes")),
        ({"a": None}, ("'a'", "dict", "None")),
        ({"a": {"seed": 3}}, ("'a'", "'seed'")),
        ({"a": {"out": "x"}}, ("'a'", "'out'")),
        ({"a": {"unit": (8,)}}, ("'unit'", "line_fnn", "'units'")),
    ],
)
def test_bad_variants_are_refused_in_a_line(settings, parts, tmp_path):
    with refuses(*parts) as caught:
        kzoo.recipes.train_variants("line_fnn", "line", settings, out=tmp_path / "runs")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "runs").exists()


def test_no_seeds_are_refused(tmp_path):
    with refuses("seeds=", "(0, 1, 2)"):
        kzoo.recipes.train_variants("line_fnn", "line", {"a": {}}, out=tmp_path, seeds=())


def test_rows_are_mean_and_deviation_of_the_test_scores(variants):
    _, runs = variants
    rows = kzoo.recipes.variant_rows(runs, "rmse")
    assert [row["variant"] for row in rows] == ["preset", "tanh"]
    values = [kzoo.evaluate(run)["rmse"] for run in runs["tanh"]]
    assert rows[1]["rmse"] == pytest.approx(statistics.mean(values))
    assert rows[1]["sd"] == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    assert (rows[0]["seeds"], rows[0]["epochs"], rows[1]["epochs"]) == (2, 2, 3)
    assert kzoo.recipes.variant_rows({"one": runs["tanh"][:1]}, "rmse")[0]["sd"] is None
    with refuses("metric='accuracy'", "mae", "rmse", "r2"):
        kzoo.recipes.variant_rows(runs)


def test_the_mean_history_goes_as_far_as_the_shortest_run(variants):
    _, runs = variants
    both = [runs["preset"][0], runs["tanh"][0]]
    history = kzoo.recipes.mean_history(both)
    files = [list(csv.DictReader((run.path / "history.csv").open())) for run in both]
    assert history["epoch"] == [1, 2]
    assert history["val_loss"] == pytest.approx(
        [(float(a["val_loss"]) + float(b["val_loss"])) / 2 for a, b in zip(*files, strict=False)]
    )

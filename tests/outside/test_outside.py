"""Tasks, a postprocessor, a callback bundle, a check and a type of table file, as installed packages bring them."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from messages import assert_mentions, missing_from
from sklearn.metrics import mean_pinball_loss, mean_poisson_deviance

import kzoo

ENTRY_POINTS = """
[kzoo.tasks]
rates = kzoo_outside.rates:TASK
bands = kzoo_outside.bands:TASK
[kzoo.postprocessors]
temperature = kzoo_outside.temperature
[kzoo.callback_bundles]
counting = kzoo_outside.bundles:counting
bare = kzoo_outside.bundles:bare
[kzoo.checks]
outside = kzoo_outside.checks
[kzoo.table_files]
jsonl = kzoo_outside.jsonl
"""
JOURNEY = """
import json
from pathlib import Path
import numpy as np
import kzoo, kzoo.runtime
from kzoo.cli import main

results = {}
quick = dict(batch_size=32, learning_rate=0.01, units=(16,), progress=False)
for task, target in (("rate", "visits"), ("bands", "size"), ("classification", "likes")):
    drop = [name for name in ("visits", "size", "likes") if name != target]
    arguments = dict(target=target, drop=drop, task=task)
    more = dict(postprocess="temperature") if task == "classification" else {}
    run = kzoo.train(
        "tabular_fnn", "table.jsonl", out=f"runs/{task}", epochs=8, callbacks="counting", **arguments, **quick, **more
    )
    predictions = kzoo.predict(run, "new.jsonl")
    exported = kzoo.export(run, f"exports/{task}", formats=["onnx"])
    opened = kzoo.runtime.load(exported)
    results[task] = dict(
        task=run.data.task,
        loss=run.spec.training["loss"],
        test=run.summary["test"],
        again=kzoo.evaluate(run, "new.jsonl", target=target),
        frame={name: np.asarray(column).tolist() for name, column in predictions.columns().items()},
        rows=predictions.rows()[:2],
        runtime={name: np.asarray(c).tolist() for name, c in opened.predict("new.jsonl").columns().items()},
        shapes=[list(predictions.quantiles.shape)] if predictions.quantiles is not None else [],
        printed=repr(predictions),
        report=kzoo.report(run).read_text(encoding="utf-8"),
        epochs=Path(run.path, "epochs.txt").read_text(),
        checks=[f.check for f in kzoo.check("tabular_fnn", "table.jsonl", deep=False, **arguments)],
        steps=run.postprocessing,
        baselines=sorted(baseline["name"] for baseline in run.summary["baselines"]),
    )
run = kzoo.train(
    "tabular_fnn", "table.jsonl", out="runs/uncalibrated", epochs=8, target="likes", drop=["visits", "size"],
    calibrate="off", **quick
)
results["uncalibrated"] = dict(
    test=run.summary["test"],
    frame={name: np.asarray(column).tolist() for name, column in kzoo.predict(run, "new.jsonl").columns().items()},
)
words = "train tabular_fnn --data table.jsonl --target likes --drop visits size --epochs 1 --out runs/refused"
results["refused"] = [main([*words.split(), *more]) for more in (
    ["--callbacks", "bare"], ["--set", "postprocess=platt"], ["--set", "postprocess=temperature", "--validation", "0"],
)]
json.dump(results, open("results.json", "w"))
"""


def table(n, seed):
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(2, n))
    noise = random.normal(size=n)
    rows = dict(
        a=a,
        b=b,
        visits=random.poisson(np.exp(0.5 + 0.8 * a)),
        size=2 * a + (0.2 + (b > 0)) * noise + 10,
        likes=np.where(a + 0.7 * noise > 0, "yes", "no"),
    )
    return {name: column.tolist() for name, column in rows.items()}


def write(path, columns):
    lines = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture(scope="module")
def results(tmp_path_factory, warm_python):
    """Results of a process in which the package is installed as by pip: a folder next to its dist-info."""
    folder = tmp_path_factory.mktemp("outside")
    new = table(200, 1)
    write(folder / "table.jsonl", table(600, 0)), write(folder / "new.jsonl", new)
    info = folder / "kzoo_outside-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kzoo-outside\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    path = os.pathsep.join(
        [str(folder), str(Path(__file__).parent), str(Path(kzoo.__file__).parent.parent)]
    )
    done = subprocess.run(
        [warm_python, "-c", JOURNEY],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "results.json").read_text()) | {"new": new, "stderr": done.stderr}


def test_a_poisson_task_trains_with_its_loss_and_is_scored_by_its_deviance(results):
    counts = results["rate"]
    truth = np.array(results["new"]["visits"])
    assert (counts["task"], counts["loss"]) == ("tabular_rate", "poisson")
    assert counts["again"]["deviance"] < 0.8 * counts["again"]["deviance_of_mean"]
    rate = np.array(counts["frame"]["visits"])
    assert counts["again"]["deviance"] == pytest.approx(
        mean_poisson_deviance(truth, rate), rel=1e-5
    )
    assert np.allclose(counts["frame"]["p_zero"], np.exp(-rate), atol=1e-6)
    assert counts["rows"][0]["more"]["p_zero"] == pytest.approx(counts["frame"]["p_zero"][0])
    assert f"Its deviance is {counts['test']['deviance']:.3f}" in counts["report"]


def test_a_task_of_three_quantiles_has_a_column_for_each(results):
    quantiles = results["bands"]
    truth = np.array(results["new"]["size"])
    assert quantiles["task"] == "tabular_bands" and quantiles["shapes"] == [[200, 1, 3]]
    levels = {"size_q0.1": 0.1, "size_q0.5": 0.5, "size_q0.9": 0.9}
    assert list(quantiles["frame"]) == ["input", *levels]
    columns = {name: np.array(quantiles["frame"][name]) for name in levels}
    losses = [
        mean_pinball_loss(truth, columns[name], alpha=level) for name, level in levels.items()
    ]
    assert quantiles["again"]["pinball"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert quantiles["again"]["inside"] == pytest.approx(
        np.mean((columns["size_q0.1"] <= truth) & (truth <= columns["size_q0.9"])), abs=1e-6
    )
    assert 0.5 < quantiles["again"]["inside"] < 0.98
    assert np.array(quantiles["rows"][0]["quantiles"]).shape == (1, 3) and quantiles["rows"][0][
        "levels"
    ] == [
        0.1,
        0.5,
        0.9,
    ]
    assert (
        "size_q0.9" in quantiles["printed"]
        and "lie between the outer quantiles" in quantiles["report"]
    )


def test_a_postprocessor_calibrates_predictions_and_scores(results):
    calibrated, plain = results["classification"], results["uncalibrated"]
    # every training learns that one
    (step,) = (step for step in calibrated["steps"] if step["name"] != "conformal")
    assert (step["name"], step["stage"], step["rows"]) == ("temperature", "calibrate", "validation")
    temperature = step["learned"]["temperature"]
    assert abs(np.log(temperature)) > 0.01
    assert_mentions(calibrated["report"], "temperature", "validation")
    assert calibrated["frame"]["label"] == plain["frame"]["label"]
    p, q = (np.array(run["frame"]["p_yes"]) for run in (calibrated, plain))
    assert np.allclose(np.log(p / (1 - p)), np.log(q / (1 - q)) / temperature, atol=1e-3)
    truth = np.array(results["new"]["likes"]) == "yes"
    assert calibrated["again"]["loss"] == pytest.approx(
        -np.log(np.where(truth, p, 1 - p)).mean(), rel=1e-4
    )
    assert calibrated["test"]["accuracy"] == plain["test"]["accuracy"]
    assert calibrated["test"]["loss"] != plain["test"]["loss"]


def test_exports_answer_as_the_run_does(results):
    for task in ("rate", "bands", "classification"):
        of_run, of_export = results[task]["frame"], results[task]["runtime"]
        assert list(of_run) == list(of_export)
        for name, column in of_run.items():
            if isinstance(column[0], float):
                assert np.allclose(column, of_export[name], atol=1e-4), (task, name)
            else:
                assert column == of_export[name]


def test_a_bundle_a_check_a_type_of_table_and_baselines_are_used(results):
    for task in ("rate", "bands", "classification"):
        assert results[task]["epochs"] == "8"
        assert "few_rows" in results[task]["checks"]
        assert len(results[task]["baselines"]) > 1


def test_bundles_and_steps_that_do_not_fit_are_refused_in_a_line(results):
    assert results["refused"] == [2, 2, 2]
    lines = results["stderr"].splitlines()
    for parts in (("bare", "Recorder"), ("postprocess", "platt"), ("temperature", "validation")):
        assert sum(not missing_from(line, parts) for line in lines) == 1, (parts, lines)

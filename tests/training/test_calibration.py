"""Calibration of probabilities on validation rows: temperature, further steps, and the scores before and after."""

import keras
import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, refuses
from scipy import optimize, special
from shortcuts import undrawn, untraced
from sklearn import metrics as sk
from sklearn.datasets import load_digits
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

import kzoo
import kzoo.runtime
from kzoo.inference.postprocessors import (
    isotonic_regression,
    platt_scaling,
    temperature_scaling,
    vector_scaling,
)
from kzoo.inference.postprocessors.calibration import calibration_scores, choose
from kzoo.inference.postprocessors.postprocessor import Postprocessor

QUICK = dict(seed=1, progress=False)


def overconfident(rows, classes, factor=2.5, seed=0):
    """Return logits that are `factor` times those of the truth that is drawn from them, and class numbers."""
    random = np.random.default_rng(seed)
    z = random.normal(scale=1.5, size=(rows, classes))
    truth = np.array([random.choice(classes, p=p) for p in special.softmax(z, axis=1)])
    return (factor * z).astype("float32"), truth


def log_loss(z, truth):
    return -special.log_softmax(z, axis=1)[np.arange(len(truth)), truth].mean()


# The steps, against independent references.


@pytest.mark.parametrize("logits", [True, False])
def test_temperature_is_the_one_with_the_smallest_log_loss(logits):
    z, truth = overconfident(4000, 4)
    outputs = z if logits else special.softmax(z, axis=1)
    best = optimize.minimize_scalar(
        lambda t: log_loss(z / t, truth), bounds=(0.1, 10), method="bounded"
    ).x
    learned = temperature_scaling.learn(outputs, truth, target=None, logits=logits)
    assert learned["temperature"] == pytest.approx(best, rel=0.01)
    changed = temperature_scaling.apply(learned, outputs, logits=logits)
    expected = z / learned["temperature"]
    assert np.allclose(
        changed, expected if logits else special.softmax(expected, axis=1), atol=1e-5
    )


def test_temperature_of_two_classes_with_one_output_is_that_of_two_outputs():
    z, truth = overconfident(1000, 2)
    single = special.expit(z[:, 1:] - z[:, :1])
    learned = [
        temperature_scaling.learn(outputs, truth, target=None, logits=logits)["temperature"]
        for outputs, logits in ((z, True), (single, False))
    ]
    assert learned[0] == pytest.approx(learned[1], rel=1e-3)


def test_temperature_of_rows_that_are_all_right_is_finite():
    z = np.eye(3, dtype="float32")[np.arange(60) % 3] * 2
    learned = temperature_scaling.learn(z, np.arange(60) % 3, target=None, logits=True)[
        "temperature"
    ]
    assert 0.2 < learned < 1


def test_a_row_of_weight_2_is_the_row_twice():
    z, truth = overconfident(300, 3)
    weight = np.random.default_rng(0).integers(1, 4, 300)
    arguments = dict(target=None, logits=True)
    repeated = np.repeat(np.arange(300), weight)
    pairs = [
        (
            step.learn(z, truth, weight=weight.astype(float), **arguments),
            step.learn(z[repeated], truth[repeated], **arguments),
        )
        for step in (temperature_scaling,)
    ]
    for weighted, twice in pairs:
        # The prior has the weight of one row of 300, and of 600.
        assert weighted["temperature"] == pytest.approx(twice["temperature"], rel=0.02)


def test_platt_scaling_is_logistic_regression_on_the_logit():
    z, truth = overconfident(3000, 2)
    outputs = special.expit(z[:, 1:] - z[:, :1] + 1)
    learned = platt_scaling.learn(outputs, truth, target=None, logits=False)
    x = special.logit(np.clip(outputs.astype("float64"), 0, 1 - 2.0**-24))
    reference = LogisticRegression(C=1e6).fit(x, truth)
    intercept, slope = learned["lines"][0]
    assert (slope, intercept) == pytest.approx(
        (reference.coef_[0, 0], reference.intercept_[0]), abs=0.01
    )
    changed = platt_scaling.apply(learned, outputs, logits=False)
    assert np.allclose(changed[:, 0], reference.predict_proba(x)[:, 1], atol=0.005)


def test_vector_scaling_minimises_the_log_loss():
    z, truth = overconfident(3000, 3)
    z = z * [1, 2, 0.5] + [1, 0, -1]
    learned = vector_scaling.learn(z.astype("float32"), truth, target=None, logits=True)
    best = optimize.minimize(lambda p: log_loss(z * p[:3] + p[3:], truth), np.repeat([1.0, 0.0], 3))
    ours = log_loss(vector_scaling.apply(learned, z, logits=True), truth)
    assert ours == pytest.approx(best.fun, abs=1e-5)


def test_isotonic_regression_is_that_of_scikit_learn():
    z, truth = overconfident(2000, 2)
    outputs = special.expit(z[:, 1:] - z[:, :1])
    learned = isotonic_regression.learn(outputs, truth, target=None, logits=False)
    p = isotonic_regression.apply(learned, outputs, logits=False)[:, 0]
    reference = IsotonicRegression(y_min=1 / 2002, y_max=1 - 1 / 2002).fit_transform(
        outputs[:, 0], truth
    )
    # of 2,000: at the ends of a block, ties are joined differently
    assert (np.abs(p - reference) > 1e-4).sum() <= 5


def test_steps_of_labels_change_labels_with_enough_rows_only():
    random = np.random.default_rng(0)
    z = random.normal(size=(2000, 3))
    truth = (random.uniform(size=z.shape) < special.expit(z - [0, 0, 9])).astype("float64")
    truth[:100, 0] = np.nan
    outputs = special.expit(2 * z)
    for step in (platt_scaling, isotonic_regression):
        changed = step.apply(
            step.learn(outputs, truth, target=None, logits=False), outputs, logits=False
        )
        assert np.allclose(changed[:, 2], outputs[:, 2])
        known = ~np.isnan(truth[:, 0])
        losses = [sk.log_loss(truth[known, 0], p[known, 0]) for p in (changed, outputs)]
        assert losses[0] < losses[1] - 0.03


# The choice of a further step.


def test_a_further_step_is_chosen_only_if_it_is_significantly_better():
    z, truth = overconfident(3000, 2, factor=1)
    for shift, expected in ((0.0, None), (2.0, "platt_scaling")):
        outputs = special.expit(z[:, 1:] - z[:, :1] + shift)
        assert choose(outputs, truth, target=None, logits=False, labels=False) == expected
    z, truth = overconfident(3000, 3, factor=1)
    assert choose(z, truth, target=None, logits=True, labels=False) is None
    assert (
        choose(z + np.array([0, 2, 0]), truth, target=None, logits=True, labels=False)
        == "vector_scaling"
    )
    assert (
        choose((z + np.array([0, 2, 0]))[:300], truth[:300], target=None, logits=True, labels=False)
        is None
    )  # too few rows


# Scores.


def test_scores_of_calibration_are_those_of_scikit_learn_and_of_a_loop():
    z, truth = overconfident(1000, 3)
    p = special.softmax(z, axis=1).astype("float64")
    scores = calibration_scores(p, truth, labels=False)
    assert scores["log_loss"] == pytest.approx(sk.log_loss(truth, p), abs=1e-6)
    assert scores["brier"] == pytest.approx(sk.brier_score_loss(truth, p), abs=1e-9)
    error = 0.0
    for rows in np.array_split(np.argsort(p.max(1), kind="stable"), 15):
        error += len(rows) / 1000 * abs((p.argmax(1) == truth)[rows].mean() - p.max(1)[rows].mean())
    assert scores["ece"] == pytest.approx(error, abs=1e-9)
    binary = calibration_scores(p[:, :2] / p[:, :2].sum(1, keepdims=True), truth % 2, labels=False)
    assert binary["brier"] == pytest.approx(
        sk.brier_score_loss(truth % 2, p[:, 1] / p[:, :2].sum(1)), abs=1e-9
    )


# Runs.


@pytest.fixture(scope="module")
def digits():
    return load_digits(return_X_y=True)


def step_names(run):
    """Return the steps besides the sets and intervals that every run learns."""
    return [step["name"] for step in run.postprocessing if step["name"] != "conformal"]


def train(tmp_path, preset, data, name, **options):
    with untraced(), undrawn():
        return kzoo.train(preset, data, out=tmp_path / name, **(QUICK | options))


@pytest.fixture(scope="module")
def pair(tmp_path_factory, digits):
    """A run with temperature scaling, and the same one without."""
    x, y = digits
    data = (x, y)
    folder = tmp_path_factory.mktemp("digits")
    options = dict(epochs=4, batch_size=64, label_smoothing=0.3, learning_rate=0.003, units=(32,))
    return [
        train(folder, "tabular_fnn", data, name, calibrate=name, **options)
        for name in ("temperature", "off")
    ], data


def test_the_temperature_is_folded_into_the_model(pair):
    (run, before), (x, _) = pair
    stored = run.summary["calibration"]
    # smoothed labels make probabilities too small
    assert stored["folded"] and stored["temperature"] < 0.8
    assert not step_names(run) and "calibration" not in before.summary
    p, p_before = (
        np.asarray(model.predict(x[:200], verbose=0)) for model in (run.model, before.model)
    )
    expected = special.softmax(np.log(p_before.astype("float64")) / stored["temperature"], axis=1)
    assert np.allclose(p, expected, atol=1e-5)
    saved = keras.saving.load_model(run.path / "best.keras").predict(x[:200], verbose=0)
    assert np.allclose(saved, p, atol=1e-6)


def test_scores_before_and_after_calibration_are_stored(pair):
    (run, before), _ = pair
    for split in ("validation", "test"):
        stored = run.summary["calibration"][split]
        assert stored["before"]["log_loss"] == pytest.approx(
            before.summary[split]["loss"], abs=1e-5
        )
        assert stored["after"]["log_loss"] == pytest.approx(run.summary[split]["loss"], abs=1e-5)
        assert stored["after"]["log_loss"] < stored["before"]["log_loss"]
        assert stored["after"]["ece"] < stored["before"]["ece"] / 2
        assert run.summary[split]["accuracy"] == before.summary[split]["accuracy"]


def test_the_temperature_of_members_is_that_of_their_mean(tmp_path, digits):
    x, y = digits
    frame = pd.DataFrame(x).assign(y=(y % 3).astype(str))
    options = dict(
        target="y", epochs=3, units=(16,), members=4, batch_size=128, calibrate="temperature"
    )
    run = train(tmp_path, "tabular_tabm", frame, "members", **options)
    assert run.summary["calibration"]["folded"]
    data = kzoo.load_data(frame, target="y")
    members = keras.Model(run.model.inputs, run.model.get_layer("members").input)
    z = np.log(np.asarray(members.predict(data.validation.x, verbose=0), "float64"))
    truth = data.validation.y

    def loss(change):
        mean = special.softmax(z / change, axis=-1).mean(axis=1)
        return -np.log(mean[np.arange(len(truth)), truth]).mean()

    again = optimize.minimize_scalar(loss, bounds=(0.3, 3), method="bounded").x
    assert again == pytest.approx(1, abs=0.15)  # up to the prior
    test = run.summary["calibration"]["test"]
    assert test["before"]["log_loss"] != test["after"]["log_loss"] and test["after"][
        "log_loss"
    ] == pytest.approx(run.summary["test"]["loss"], abs=1e-5)


def test_a_model_of_the_user_keeps_its_weights_and_gets_a_step(tmp_path, digits):
    x, y = digits
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    run = train(tmp_path, model, (x, y), "mine", epochs=2, batch_size=16)
    assert step_names(run) == ["temperature_scaling"]
    assert not run.summary["calibration"]["folded"]
    p = kzoo.predict(run, x[:50]).probabilities
    steps = Postprocessor.read(run.postprocessing)
    raw = np.asarray(run.model.predict(x[:50], verbose=0))
    assert np.allclose(p, steps.outputs(raw, logits=False), atol=1e-6) and not np.allclose(
        p, raw, atol=1e-3
    )


@pytest.mark.parametrize("name", ["platt_scaling", "isotonic_regression"])
def test_a_step_that_the_user_names_replaces_the_temperature(tmp_path, name):
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 2000))
    yes = random.uniform(size=2000) < special.expit(1.5 * a + b - 1)
    frame = pd.DataFrame({"a": a, "b": b, "answer": np.where(yes, "yes", "no")})
    options = dict(
        target="answer",
        validation=0.5,
        epochs=2,
        units=(8,),
        batch_size=64,
        class_weight="balanced",
    )
    run = train(tmp_path, "tabular_fnn", frame, name, postprocess=name, **options)
    assert step_names(run) == [name] and run.summary["calibration"]["temperature"] == 1
    test = run.summary["calibration"]["test"]
    # balanced weights shift the logits
    assert test["after"]["log_loss"] < test["before"]["log_loss"]
    assert run.summary["test"]["loss"] == pytest.approx(test["after"]["log_loss"], abs=1e-5)


def test_a_step_with_too_few_rows_says_so(tmp_path, digits, capsys):
    x, y = digits
    options = dict(units=(8,), epochs=1, postprocess="isotonic_regression", progress=True)
    train(tmp_path, "tabular_fnn", (x, y % 2), "few", **options)
    assert_mentions(
        capsys.readouterr().err, "Isotonic regression", "200 validation rows", "unchanged"
    )


def test_labels_are_calibrated(tmp_path):
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 4))
    flags = (random.uniform(size=(400, 3)) < special.expit(x[:, :3])).astype(int)
    frame = pd.DataFrame(x, columns=list("abcd")).assign(
        **dict(zip(("p", "q", "r"), flags.T, strict=True))
    )
    options = dict(
        target=["p", "q", "r"],
        task="labels",
        epochs=3,
        units=(32,),
        batch_size=16,
        learning_rate=0.02,
    )
    run = train(tmp_path, "tabular_fnn", frame, "labels", calibrate="temperature", **options)
    stored = run.summary["calibration"]
    assert (
        stored["folded"]
        and stored["validation"]["after"]["log_loss"] <= stored["validation"]["before"]["log_loss"]
    )
    assert run.summary["test"]["loss"] == pytest.approx(
        stored["test"]["after"]["log_loss"], abs=1e-5
    )


def test_an_ensemble_gets_a_temperature_of_its_own(tmp_path, pair):
    (run, _), data = pair
    options = dict(
        epochs=4,
        batch_size=64,
        label_smoothing=0.3,
        learning_rate=0.003,
        units=(32,),
        calibrate="temperature",
    )
    other = train(tmp_path, "tabular_fnn", data, "other", **(options | dict(seed=2)))
    ensemble = kzoo.ensemble([run, other], data=data, out=tmp_path / "ensemble")
    assert step_names(ensemble) == ["temperature_scaling"]
    raw = np.asarray(ensemble.model.predict(data[0][:20], verbose=0))
    t = ensemble.postprocessing[0]["learned"]["temperature"]
    expected = special.softmax(np.log(raw.astype("float64")) / t, axis=1)
    assert np.allclose(kzoo.predict(ensemble, data[0][:20]).probabilities, expected, atol=1e-5)


def test_few_validation_rows_are_not_calibrated_on(tmp_path, digits):
    x, y = digits
    frame = pd.DataFrame(x[:150]).assign(y=y[:150].astype(str))
    run = train(
        tmp_path, "tabular_fnn", frame, "few", target="y", epochs=1, units=(8,), validation=0.1
    )
    assert run.data.validation < 20 and "calibration" not in run.summary


def test_wrong_settings_are_refused(tmp_path):
    frame = pd.DataFrame({"a": range(100), "y": np.arange(100) * 1.5})
    with refuses("calibrate='isotonic'", "auto, temperature, off"):
        kzoo.train("tabular_fnn", frame, target="y", calibrate="isotonic", out=tmp_path / "x")
    both = dict(calibrate="temperature", postprocess="isotonic_regression")
    with refuses("calibrate='temperature'", "postprocess=isotonic_regression", "one of them"):
        kzoo.train(
            "tabular_fnn", frame.assign(y=frame.y > 50), target="y", out=tmp_path / "x", **both
        )
    with refuses("calibrate=None", "auto, temperature, off"):  # what `--set calibrate=none` passes
        kzoo.train("tabular_fnn", frame, target="y", calibrate=None, out=tmp_path / "x")
    with refuses("calibrate='temperature'", "probabilities", "Leave it out"):
        kzoo.train("tabular_fnn", frame, target="y", calibrate="temperature", out=tmp_path / "x")


COLUMNS = pd.DataFrame({"a": np.arange(120) % 7, "b": np.arange(120) % 5})
TWO = COLUMNS.assign(y=np.arange(120) % 2 == 0)
THREE = COLUMNS.assign(y=list("pqr") * 40)
BEFORE_TRAINING = {
    "Platt, three classes": (
        THREE,
        dict(postprocess="platt_scaling"),
        ("platt_scaling", "2 classes", "has 3", "temperature_scaling", "vector_scaling"),
    ),
    "isotonic, three classes": (
        THREE,
        dict(postprocess="isotonic_regression"),
        ("2 classes", "3", "vector_scaling"),
    ),
    "vector, two classes": (
        TWO,
        dict(postprocess="vector_scaling"),
        ("3 classes or more", "has 2", "platt_scaling"),
    ),
    "a step, hinge": (
        TWO,
        dict(postprocess="platt_scaling", loss="hinge"),
        ("platt_scaling", "probabilities"),
    ),
    "a temperature, hinge": (
        TWO,
        dict(calibrate="temperature", loss="hinge"),
        ("calibrate", "probabilities", "loss="),
    ),
    "no validation": (
        TWO,
        dict(calibrate="temperature", validation=0),
        ("calibrate", "validation=0.1"),
    ),
}


@pytest.mark.parametrize("case", BEFORE_TRAINING)
def test_a_step_that_cannot_be_learned_is_refused_before_training(tmp_path, case):
    frame, options, parts = BEFORE_TRAINING[case]
    with refuses(*parts):
        kzoo.train(
            "tabular_fnn",
            frame,
            target="y",
            epochs=1,
            progress=False,
            out=tmp_path / "run",
            **options,
        )
    assert not (tmp_path / "run").exists()


def test_tokens_are_calibrated_by_a_temperature_only(tmp_path):
    (tmp_path / "text.txt").write_text("a text of a few words\nagain and again\n" * 60)
    for step in ("platt_scaling", "isotonic_regression"):
        with refuses(step, "2 classes", "temperature_scaling"):
            kzoo.train(
                "char_gpt",
                tmp_path / "text.txt",
                postprocess=step,
                progress=False,
                out=tmp_path / "run",
            )


def test_the_report_and_the_plot_show_reliability(pair, tmp_path):
    (run, _), _ = pair
    page = kzoo.report(run, out=tmp_path / "report.html").read_text()
    assert_mentions(page, "reliability diagram", "expected calibration error")
    answers = run.answers
    figure = kzoo.plots.reliability(answers["truth"], answers["answers"], run.class_names)
    (line,) = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 15]
    bins = calibration_scores(answers["answers"], answers["truth"], labels=False)["bins"]
    assert np.allclose(line.get_ydata(), [share for _, share, _ in bins])

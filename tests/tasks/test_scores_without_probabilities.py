"""Answers of a classifier that are no probabilities: of hinge, of tanh, of a sigmoid for each of several classes.

The fault: other answers than probabilities went through a sigmoid or a softmax, chosen by the values of a single batch:
a saturated tanh became 0.73, its accuracy in training was counted above one half, and its log loss looked plausible.
Now there are a class and scores whose order is that of the confidence; probabilities and log loss are withheld in
scores, answers, reports, ensembles, exports and pictures.
"""

import re
import shutil

import keras
import numpy as np
import pytest
from keras import layers
from messages import assert_mentions, missing_from, refuses
from shortcuts import undrawn, untraced
from sklearn import metrics as sk
from sklearn.datasets import load_breast_cancer, load_iris

import kzoo
import kzoo.cli
import kzoo.runtime
from kzoo.export.export_source import export_source
from kzoo.export.verify import predicted_classes
from kzoo.inference.encode import encode
from kzoo.plots import grad_cam, roc_and_precision_recall, worst_mistakes
from kzoo.zoo.contract import make_metrics

pytestmark = pytest.mark.usefixtures("untraced")


@pytest.fixture(scope="module")
def table():
    return load_breast_cancer(as_frame=True).frame


@pytest.fixture(scope="module")
def margin_run(table, tmp_path_factory):
    """A network with one tanh, trained with hinge."""
    out = tmp_path_factory.mktemp("hinge") / "run"
    with undrawn(), untraced():
        return kzoo.train(
            "cancer_fnn",
            table,
            target="target",
            out=out,
            epochs=3,
            batch_size=128,
            loss="hinge",
            progress=False,
        )


def trained(model, data, out, **compiled):
    model.compile("adam", **compiled)
    return kzoo.train(model, data, out=out, epochs=2, check=False, progress=False)


def test_the_accuracy_in_training_is_that_of_the_sign(margin_run):
    spec = margin_run.spec
    assert (spec.config["output_activation"], spec.config["outputs"]) == ("tanh", 1)
    (accuracy,) = make_metrics(
        task=spec.task, config=spec.config, training=spec.training | {"metrics": ("accuracy",)}
    )
    truth = np.array([0, 1, 1, 0])
    answers = np.array([[-0.9], [0.2], [0.9], [-0.1]], "float32")
    accuracy.update_state(truth[:, None], answers)
    assert float(accuracy.result()) == 1
    (auc,) = make_metrics(
        task=spec.task, config=spec.config, training=spec.training | {"metrics": ("auc",)}
    )
    auc.update_state(truth[:, None], answers)
    assert float(auc.result()) == pytest.approx(1, abs=1e-3)


def test_scores_are_those_of_the_sign_and_the_order(margin_run):
    answers = margin_run.answers["answers"]
    truth = margin_run.answers["truth"]
    scores = margin_run.summary["test"]
    np.testing.assert_array_equal(answers[:, 0], -answers[:, 1])
    assert np.abs(answers).max() <= 1 and answers.min() < 0
    assert scores["accuracy"] == pytest.approx(((answers[:, 1] > 0) == truth).mean())
    assert scores["auc"] == pytest.approx(sk.roc_auc_score(truth, answers[:, 1]))
    assert scores["loss"] is None and margin_run.config["answers"] == "scores"


def test_predictions_have_scores_and_no_probabilities(margin_run, table):
    predictions = kzoo.predict(margin_run, table[:20])
    raw = np.asarray(margin_run.model(encode(margin_run.preprocessing, table[:20])))[:, 0]
    assert (
        predictions.probabilities is None and predictions.values is None and len(predictions) == 20
    )
    np.testing.assert_allclose(predictions.scores, np.stack([-raw, raw], 1), atol=1e-6)
    assert predictions.labels == [predictions.class_names[int(value > 0)] for value in raw]
    assert list(predictions.columns()) == ["input", "label", "score_0", "score_1"]
    assert kzoo.evaluate(margin_run, table)["loss"] is None


def test_the_command_line_shows_no_percent(margin_run, table, capsys):
    table[:5].to_csv("new.csv", index=False)
    assert (
        kzoo.cli.main(
            ["predict", str(margin_run.path), "new.csv", "--top", "2", "--out", "out.csv"]
        )
        == 0
    )
    out = capsys.readouterr().out
    assert_mentions(out, "score")
    assert "%" not in out
    with open("out.csv", encoding="utf-8-sig") as file:
        assert file.readline().strip() == "input,label,score_0,score_1"


def test_the_report_has_scores(margin_run, tmp_path):
    page = kzoo.report(margin_run, out=tmp_path).read_text(encoding="utf-8")
    assert_mentions(page, "ROC", "precision")
    notes = re.findall(r'<p class="note">(.*?)</p>', page, re.S)
    assert any("score" in note and "probability" not in note for note in notes)
    assert re.search(r"\bscore 0\.\d", page)


def test_it_is_exported_as_scores(margin_run):
    subject = export_source(margin_run)
    assert (subject.kind, subject.activation) == ("scores", None)
    values = np.array([[-0.9], [0.2], [0.0]])
    assert predicted_classes(values, "scores").tolist() == [0, 1, 0] and predicted_classes(
        values, "probabilities"
    ).tolist() == [0, 0, 0]


@pytest.mark.slow
def test_the_light_runtime_withholds_probabilities(margin_run, table, tmp_path):
    exported = kzoo.export(margin_run, tmp_path / "export", ("onnx", "litert"), progress=False)
    assert exported.manifest.outputs[0]["kind"] == "scores"
    ours = kzoo.predict(margin_run, table[:9])
    for format in ("onnx", "litert"):
        predictions = kzoo.runtime.load(exported, format).predict(table[:9])
        assert predictions.probabilities is None and predictions.labels == ours.labels
        np.testing.assert_allclose(predictions.scores, ours.scores, atol=1e-5)
    lines = (exported.path / "README.md").read_text(encoding="utf-8").splitlines()
    assert any(
        not missing_from(line, ["score", "probability", "0", *ours.class_names]) for line in lines
    )


def test_an_ensemble_of_scores_is_refused(margin_run, tmp_path):
    other = kzoo.Run(shutil.copytree(margin_run.path, tmp_path / "other"))
    with refuses(str(margin_run.path), "hinge", "tanh", "probabilities", "loss='crossentropy'"):
        kzoo.ensemble([margin_run, other], out="ensemble")


OWN = {
    "tanh and hinge": (1, "tanh", dict(loss="hinge")),
    "plain and hinge": (1, None, dict(loss="hinge")),
    "plain and squared error": (1, None, dict(loss="mse")),
    "softmax and hinge": (3, "softmax", dict(loss="categorical_hinge")),
    "a sigmoid each": (3, "sigmoid", dict(loss="binary_crossentropy")),
}


@pytest.mark.parametrize("case", OWN)
def test_models_of_the_user(case, tmp_path, undrawn):
    outputs, activation, compiled = OWN[case]
    x, y = load_breast_cancer(return_X_y=True) if outputs == 1 else load_iris(return_X_y=True)
    data = kzoo.load_data((x.astype("float32"), y))
    model = keras.Sequential(
        [keras.Input(x.shape[1:]), layers.Normalization(), layers.Dense(outputs, activation)]
    )
    model.layers[0].adapt(x)
    if outputs == 3:
        model.compile("adam", **compiled)
        scores = kzoo.evaluate(model, data)
        p = np.asarray(model(data.test.x))
        areas = [sk.roc_auc_score(data.test.y == c, p[:, c]) for c in range(3)]
        assert scores["loss"] is None and scores["auc"] == pytest.approx(np.mean(areas))
        assert scores["accuracy"] == pytest.approx((p.argmax(1) == data.test.y).mean())
        return
    run = trained(model, data, tmp_path / "run", **compiled)
    assert run.summary["test"]["loss"] is None
    predictions = kzoo.predict(kzoo.Run(run.path), x[:5].astype("float32"))
    assert predictions.probabilities is None and predictions.scores.shape == (5, 2)


@pytest.mark.parametrize(
    ("outputs", "end", "compiled"),
    [
        (1, lambda x: keras.ops.sigmoid(layers.Dense(1)(x)), dict(loss="binary_crossentropy")),
        (
            3,
            lambda x: layers.Softmax()(layers.Dense(3)(x)),
            dict(loss="sparse_categorical_crossentropy"),
        ),
        (
            3,
            lambda x: keras.ops.softmax(layers.Dense(3)(x)),
            dict(loss="sparse_categorical_crossentropy"),
        ),
    ],
    ids=["operation sigmoid", "layer softmax", "operation softmax"],
)
def test_an_activation_that_is_an_operation_or_a_layer_is_recognised(outputs, end, compiled):
    """The answers of a sigmoid after a plain layer were read as logits: they went through a sigmoid twice."""
    x, y = load_breast_cancer(return_X_y=True) if outputs == 1 else load_iris(return_X_y=True)
    data = kzoo.load_data((x.astype("float32"), y))
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, end(layers.Rescaling(0.01)(inputs)))
    model.compile("adam", **compiled)
    p = np.asarray(model(data.test.x), "float64")
    p = np.concatenate([1 - p, p], 1) if outputs == 1 else p
    truth = -np.log(np.clip(p[np.arange(len(p)), data.test.y], 1e-7, 1)).mean()
    assert kzoo.evaluate(model, data)["loss"] == pytest.approx(truth, rel=1e-4)


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        (
            dict(loss="hinge"),
            ("loss='hinge'", "-1", "output_activation='sigmoid'", "output_activation='tanh'"),
        ),
        (
            dict(output_activation="tanh"),
            (
                "loss='auto'",
                "probabilities",
                "output_activation='tanh'",
                "output_activation='sigmoid'",
                "loss='hinge'",
            ),
        ),
        (
            dict(output_activation="relu"),
            (
                "loss='auto'",
                "probabilities",
                "output_activation='relu'",
                "output_activation='sigmoid'",
            ),
        ),
    ],
)
def test_a_head_that_the_loss_cannot_use_is_refused(settings, parts):
    with refuses(*parts):
        kzoo.build("cancer_fnn", **settings)


def test_kl_of_plain_numbers_is_an_error_of_check():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    model.compile("adam", "kl_divergence")
    x, y = load_iris(return_X_y=True)
    findings = kzoo.check(model, (x.astype("float32"), y), deep=False)
    assert [f.level for f in findings if f.check == "logits_or_probabilities"] == ["error"]
    model = keras.Sequential([keras.Input((30,)), layers.Dense(1, "sigmoid")])
    model.compile("adam", "hinge")
    x, y = load_breast_cancer(return_X_y=True)
    findings = kzoo.check(model, (x.astype("float32"), y), deep=False)
    assert [f.level for f in findings if f.check == "logits_or_probabilities"] == ["error"]


def test_pictures_write_no_percent_of_scores():
    image = np.zeros((3, 8, 8))
    true = [0, 1, 1]
    scores = np.array([[0.5, -0.5], [0.9, -0.9], [-1.0, 1.0]])
    titles = [
        axes.get_title(loc="center") + axes.get_title()
        for axes in worst_mistakes(image, true, scores).axes
    ]
    assert not any("%" in title for title in titles)
    with refuses("probabilities", "-0.4", "0.4", "0 and 1"):
        roc_and_precision_recall([0, 1], np.array([[-0.4], [0.4]]))
    inputs = keras.Input((8, 8, 1))
    model = keras.Model(
        inputs, layers.Dense(1, "tanh")(layers.Flatten()(layers.Conv2D(2, 3)(inputs)))
    )
    value = float(model(np.ones((1, 8, 8, 1)))[0, 0])
    title = grad_cam(model, np.ones((8, 8, 1))).axes[0].get_title(loc="left")
    assert_mentions(title, "class", f"{int(value > 0)}", "score", f"{abs(value):.2g}")
    assert "%" not in title


@pytest.mark.parametrize(
    ("end", "loss", "kind", "activation"),
    [
        (layers.Softmax(), "sparse_categorical_crossentropy", "probabilities", None),
        (layers.Activation("tanh"), "hinge", "scores", None),
        (
            layers.Activation("linear"),
            keras.losses.SparseCategoricalCrossentropy(True),
            "probabilities",
            "softmax",
        ),
    ],
)
def test_an_export_adds_the_activation_that_a_keras_model_lacks(end, loss, kind, activation):
    """A `Softmax` layer used to get a second softmax in the exported graph."""
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3), end])
    model.compile("adam", loss)
    subject = export_source(model)
    assert (subject.kind, subject.activation) == (kind, activation)


def test_a_sigmoid_trained_with_hinge_is_split_at_one_half():
    """It is refused today; older runs have it."""
    model = keras.Sequential(
        [keras.Input((2,)), layers.Dense(1, "sigmoid", kernel_initializer="ones")]
    )
    model.compile("adam", "hinge")
    x = np.array([[-1, -1], [0.1, 0.1], [3, 3], [-2, 1]] * 8, "float32")
    data = kzoo.load_data((x, (x.sum(1) > 0).astype(int)))
    assert kzoo.evaluate(model, data)["accuracy"] == 1

"""Quantiles and counts of images and texts: training, scores beside baselines, exports and the report."""

import numpy as np
import pandas as pd
import pytest
from messages import refuses
from sklearn.datasets import load_digits
from sklearn.metrics import mean_pinball_loss, mean_poisson_deviance

import kzoo
import kzoo.runtime
from kzoo.problems.tasks import problem

pytestmark = [
    pytest.mark.usefixtures("untraced_module"),
    pytest.mark.filterwarnings("ignore::kzoo.utils.errors.KzooWarning"),
]
LEVELS = (0.1, 0.5, 0.9)
WORDS = ["bad", "poor", "dull", "plain", "fair", "good", "fine", "great"]


def images(rows=400):
    """Return images (N, 8, 8, 1) with 0 to 7 bright rows, and how many."""
    bright = np.random.default_rng(0).integers(0, 8, rows)
    x = np.full((rows, 8, 8, 1), 20, "uint8")
    for image, count in zip(x, bright, strict=True):
        image[:count] = 200
    return x, bright


def reviews(rows=400):
    """Return texts whose words decide a rating and the mean of a count."""
    random = np.random.default_rng(0)
    texts = [random.choice(WORDS, random.integers(3, 9)).tolist() for _ in range(rows)]
    worth = np.array([np.mean([WORDS.index(word) for word in words]) for words in texts])
    return pd.DataFrame(
        dict(
            review=list(map(" ".join, texts)),
            rating=worth + random.normal(0, 0.3, rows),
            votes=random.poisson(worth),
        )
    )


def source_of(inputs, answers):
    """Return the arguments with which a run learns quantiles or counts, its raw inputs and the truth."""
    random = np.random.default_rng(1)
    task = {"quantiles": LEVELS} if answers == "quantiles" else {"task": "count"}
    if inputs == "image":
        x, bright = images()
        y = (
            bright + random.normal(0, 0.3, len(x))
            if answers == "quantiles"
            else random.poisson(bright)
        )
        small = dict(
            filters=(4,),
            depth=1,
            units=(),
            norm=None,
            dropout=0.0,
            units_dropout=0.0,
            units_norm=None,
        )
        return ("digits_cnn", (x, y)), task | small | dict(epochs=15, learning_rate=0.01), x, y
    frame = reviews()
    target = "rating" if answers == "quantiles" else "votes"
    options = task | dict(
        target=target, drop=[{"rating": "votes", "votes": "rating"}[target]], epochs=8
    )
    return ("text_cnn", frame), options, frame["review"].tolist(), frame[target].to_numpy()


@pytest.fixture(
    scope="module", params=["image quantiles", "image count", "text quantiles", "text count"]
)
def run(request, tmp_path_factory):
    inputs, answers = request.param.split()
    arguments, options, raw, truth = source_of(inputs, answers)
    path = tmp_path_factory.mktemp("runs") / request.param.replace(" ", "_")
    trained = kzoo.train(*arguments, out=path, progress=False, min_steps=0, **options)
    assert trained.data.task == request.param.replace(" ", "_")
    return trained, raw, truth, arguments[1]


def test_scores_are_those_of_scikit_learn_and_better_than_the_baseline(run):
    trained, raw, truth, source = run
    new = (source[0][:100], source[1][:100]) if isinstance(source, tuple) else source[:100]
    truth = truth[:100]
    scores = kzoo.evaluate(trained, new)
    predictions = kzoo.predict(trained, raw[:100])
    (baseline,) = trained.summary["baselines"]
    if predictions.quantiles is not None:
        quantiles = predictions.quantiles[:, 0]
        assert (np.diff(quantiles, axis=-1) >= 0).all() and predictions.levels == LEVELS
        assert baseline["name"] == "training_quantiles" and problem(trained.data.task).hub.endswith(
            "regression"
        )
        of = [
            mean_pinball_loss(truth, quantiles[:, k], alpha=level) for k, level in enumerate(LEVELS)
        ]
        name = "pinball"
        expected = np.mean(of)
    else:
        rates = predictions.values[:, 0]
        assert (rates > 0).all() and baseline["name"] == "mean"
        name = "poisson_deviance"
        expected = mean_poisson_deviance(truth, rates)
    assert scores[name] == pytest.approx(expected, rel=1e-4)
    assert trained.summary["test"][name] < baseline["scores"][name]


def test_exports_and_the_report(run, tmp_path):
    trained, raw, _, _ = run
    exported = kzoo.export(trained, tmp_path / "exported", formats=["onnx"])
    own = kzoo.predict(trained, raw[:5])
    exported = kzoo.runtime.load(exported).predict(raw[:5])
    for name in ("quantiles", "values"):
        if (values := getattr(own, name)) is not None:
            assert getattr(exported, name) == pytest.approx(values, rel=1e-4, abs=1e-4)
    assert kzoo.report(trained).exists()


def test_a_network_of_token_weights_predicts_quantiles_that_ascend():
    frame = reviews()
    data = kzoo.load_data(
        frame, preset="text_ngrams", target=["rating", "votes"], quantiles=(0.2, 0.8)
    )
    model = kzoo.build("text_ngrams", data=data)
    quantiles = np.asarray(model(data.test.x[:10])).reshape(10, 2, 2)
    assert (np.diff(quantiles, axis=-1) > 0).all()


@pytest.mark.parametrize(
    "preset", ["image_cnn", "cifar_resnet", "mnist_fnn", "text_transformer", "text_lstm"]
)
def test_presets_of_every_family_have_an_output_for_each_level(preset):
    definition = kzoo.get_preset(preset)
    y = np.random.default_rng(0).normal(size=(40, 2))
    if definition.config["inputs"] == "image":
        data = kzoo.load_data(
            (np.zeros((40, *definition.config["input_shape"]), "uint8"), y),
            preset=preset,
            quantiles=LEVELS,
        )
    else:
        data = kzoo.load_data((np.full((40, 20), 3), y), preset=preset, quantiles=LEVELS)
    assert kzoo.build(preset, data=data).output_shape == (None, 6)


@pytest.mark.parametrize(
    "preset",
    ["digits_cnn", "image_cnn", "text_cnn", "text_transformer", "text_lstm", "tabular_fnn"],
)
def test_the_untrained_network_predicts_the_mean_count(preset):
    if preset.startswith("text"):
        source = reviews().drop(columns="rating")
        target = "votes"
    elif preset.startswith("tabular"):
        source = pd.DataFrame(dict(a=np.arange(60.0), b=np.arange(60.0) ** 2, y=np.arange(60) % 7))
        target = "y"
    else:
        source = images(60)
        target = None
    data = kzoo.load_data(source, preset=preset, target=target, task="count")
    rates = kzoo.build(preset, data=data, seed=0).predict(data.train.x[:20], verbose=0)
    assert rates == pytest.approx(np.full((20, 1), data.train.y.mean()), rel=1e-5)


def test_a_few_epochs_on_images_are_better_than_the_mean(tmp_path):
    digits = load_digits()
    source = digits.images[:600, :, :, None] * 15, (digits.images[:600] > 8).sum(axis=(1, 2))
    run = kzoo.train(
        "digits_cnn",
        source,
        task="count",
        epochs=6,
        min_steps=0,
        out=tmp_path / "run",
        progress=False,
    )
    (baseline,) = run.summary["baselines"]
    assert run.summary["test"]["poisson_deviance"] < 0.9 * baseline["scores"]["poisson_deviance"]


def test_what_is_no_count_or_value_is_refused():
    x, bright = images()
    with refuses("whole numbers", "6.5"):
        kzoo.load_data((x, bright + 0.5), task="count")
    with refuses("quantiles=", "task='classification'"):
        kzoo.load_data((x, bright), quantiles=LEVELS, task="classification")
    with refuses("numbers", "few"):
        kzoo.load_data(
            reviews().assign(rating="few"), preset="text_cnn", target="rating", quantiles=LEVELS
        )

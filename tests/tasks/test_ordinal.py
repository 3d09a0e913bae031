"""Ordered classes: the head, its loss and scores, where the order comes from, and what is refused."""

import keras
import numpy as np
import pandas as pd
import pytest
from kzoo_ordinal import TASK
from messages import notes_with, refuses, warns
from PIL import Image
from sklearn.datasets import load_diabetes
from sklearn.metrics import accuracy_score, cohen_kappa_score, log_loss, mean_absolute_error

import kzoo
import kzoo.runtime
from kzoo.cli import main
from kzoo.inference.tasks.ordinal import choose
from kzoo.problems.tasks import Target, problem
from kzoo.training.scores.ordinal import judge, score
from kzoo.zoo.losses.ordinal import head_width, make_head

ORDER = ["lowest", "low", "medium", "high", "highest"]
QUICK = dict(units=(16,), batch_size=32, learning_rate=0.01, progress=False, check=False)


def diabetes(numbers=False):
    """Return scikit-learn's diabetes table with the progression of the disease in five classes of the same size."""
    x, y = load_diabetes(return_X_y=True, as_frame=True)
    return x.assign(
        progress=pd.qcut(y, 5, labels=list(range(5)) if numbers else ORDER).astype(object)
    )


def distributions(rows=200, classes=5, seed=0):
    return np.random.default_rng(seed).dirichlet(np.full(classes, 0.6), rows)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ordinal")
    diabetes().to_csv(folder / "train.csv", index=False)
    diabetes()[:50].to_csv(folder / "new.csv", index=False)
    data = "train.csv"
    command = f"train tabular_fnn --data {folder / data} --target progress --task ordinal --order {','.join(ORDER)}"
    settings = "--set units=16 epochs=12 batch_size=32 learning_rate=0.01"
    assert main([*command.split(), "--out", str(folder / "run"), *settings.split()]) == 0
    return kzoo.Run(folder / "run")


# === The head and the loss ===


def logits(rows=50, classes=5):
    return np.random.default_rng(1).normal(0, 3, (rows, classes - 1)).astype("float32")


def probabilities_of(numbers):
    """Return the probabilities by the definition of cumulative logits: a class is the difference of two sigmoids."""
    numbers = numbers.astype("float64")
    falls = np.cumsum(np.logaddexp(0, numbers[:, 1:]), axis=1)
    falls = np.concatenate([np.zeros((len(numbers), 1)), falls], axis=1)
    above = 1 / (1 + np.exp(falls - falls.mean(axis=1, keepdims=True) - numbers[:, :1]))
    edges = np.concatenate([np.ones((len(numbers), 1)), above, np.zeros((len(numbers), 1))], axis=1)
    return edges[:, :-1] - edges[:, 1:]


def test_the_head_makes_the_probabilities_of_all_classes():
    z = logits()
    inputs = keras.Input((4,))
    head = keras.Model(inputs, make_head(inputs, name="output", dtype="float32"))
    p = np.asarray(head(z))
    assert head_width(5) == 4
    assert p == pytest.approx(probabilities_of(z), abs=1e-6)
    far = np.array([[90, 0, 0, 0], [-90, 0, 0, 0], [0, 90, 90, 90], [0, -90, -90, -90]], "float32")
    assert np.isfinite(np.asarray(head(far))).all()
    assert np.asarray(head(far))[:2].argmax(axis=1).tolist() == [4, 0]


def test_the_loss_is_the_negative_log_likelihood_of_rows_with_weights():
    p = probabilities_of(logits())
    truth = np.random.default_rng(2).integers(0, 5, len(p))
    definition = problem("tabular_ordinal").task
    loss = definition.fitting.make_loss(
        "cumulative",
        definition,
        task="tabular_ordinal",
        config={"outputs": 5, "output_activation": "cumulative"},
        training={},
    )
    weight = np.random.default_rng(3).uniform(size=len(p))
    value = loss(truth, p.astype("float32"), sample_weight=weight.astype("float32"))
    of_rows = -np.log(np.clip(p[np.arange(len(p)), truth], 1e-7, 1))  # as Keras clips them
    assert float(value) == pytest.approx((of_rows * weight).mean(), rel=1e-4)


@pytest.mark.parametrize(
    ("preset", "source", "settings"),
    [
        ("tabular_fnn", "rows", dict(units=(4,))),
        ("tabular_tabm", "rows", dict(units=(4,), members=2, bins=4)),
        ("tabular_transformer", "rows", dict(width=8, depth=1, num_heads=2)),
        ("text_cnn", "texts", dict(embedding_dim=4, filters=(4,), kernel_size=(2,), units=())),
        ("text_ngrams", "texts", {}),
    ],
)
def test_the_last_layer_has_a_logit_for_each_class_but_the_last(preset, source, settings):
    table = diabetes()
    if source == "texts":
        table = pd.DataFrame(
            {"text": [f"it is {name} today" for name in table.progress], "progress": table.progress}
        )
    data = kzoo.load_data(table, preset=preset, target="progress", order=ORDER)
    model = kzoo.build(preset, data=data, **settings)
    assert model.output_shape == (None, 5)
    last = [layer for layer in model.layers if layer.weights][-1]
    assert last.get_weights()[0].shape[-1] == 4
    p = np.asarray(model(data.train.x[:8]))
    assert p.sum(axis=1) == pytest.approx(np.ones(len(p)), abs=1e-5)


def graded_texts(classes, missing=()):
    """Return texts with as many grades as there are names, of which some occur in no row."""
    grades = [name for name in classes if name not in missing] * 20
    texts = [f"it is {name} today, number {row}" for row, name in enumerate(grades)]
    dtype = pd.CategoricalDtype(classes, ordered=True)
    return pd.DataFrame({"text": texts, "grade": pd.Series(grades, dtype=dtype)})


def test_cumulative_logits_do_not_start_as_naive_bayes():
    """Two ordered classes do: their logit is that of the higher one."""

    def log_ratios(table, task="ordinal"):
        data = kzoo.load_data(table, preset="text_ngrams", target="grade", task=task)
        return kzoo.build("text_ngrams", data=data).get_layer("log_ratios").get_weights()[0]

    for missing in ((), ["high"]):
        weights = log_ratios(graded_texts(["low", "medium", "high"], missing))
        assert weights.shape[-1] == 2
        assert not weights.any()
    both = graded_texts(["1", "2"])
    plain = log_ratios(both, "classification")
    difference = plain[:, -1:] - plain[:, :1] if plain.shape[-1] == 2 else plain
    assert log_ratios(both).any()
    assert log_ratios(both) == pytest.approx(difference, abs=1e-6)


# === Scores ===


@pytest.mark.parametrize("weighted", [False, True])
def test_the_scores_are_those_of_scikit_learn(weighted):
    p = distributions()
    truth = np.random.default_rng(4).integers(0, 5, len(p))
    weight = np.random.default_rng(5).uniform(size=len(p)) if weighted else None
    target = Target(classes=tuple(ORDER))
    scores = score([(p, truth)], target, logits=False, weight=weight).scores
    guess = choose(p)
    assert scores["class_distance"] == pytest.approx(
        mean_absolute_error(truth, guess, sample_weight=weight)
    )
    assert scores["quadratic_kappa"] == pytest.approx(
        cohen_kappa_score(truth, guess, weights="quadratic", sample_weight=weight)
    )
    assert scores["accuracy"] == pytest.approx(accuracy_score(truth, guess, sample_weight=weight))
    assert scores["loss"] == pytest.approx(log_loss(truth, p, sample_weight=weight), rel=1e-6)
    constant = [
        mean_absolute_error(truth, np.full(len(p), k), sample_weight=weight) for k in range(5)
    ]
    assert scores["class_distance_median"] == pytest.approx(min(constant))


def test_the_median_has_the_least_expected_distance():
    p = distributions()
    distances = np.abs(np.subtract.outer(np.arange(5), np.arange(5)))
    expected = p @ distances  # (N, predicted class)
    assert expected[np.arange(len(p)), choose(p)] == pytest.approx(expected.min(axis=1))
    assert (choose(p) != p.argmax(axis=1)).any()


def test_errors_of_rows_are_distances():
    p = distributions(50)
    truth = np.random.default_rng(6).integers(0, 5, 50)
    errors = judge(truth, p, Target(classes=tuple(ORDER)))
    assert errors.of == "class_distance"
    assert errors.error.tolist() == np.abs(choose(p) - truth).tolist()


# === A run ===


def test_a_run_keeps_the_order_and_beats_the_median_class(run):
    assert run.data.task == "tabular_ordinal"
    assert run.class_names == ORDER
    assert run.data.options["order"] == ORDER
    assert run.spec.config["output_activation"] == "cumulative"
    test = run.summary["test"]
    assert test["class_distance"] < 0.9 * test["class_distance_median"]
    beside = {entry["label"]: entry["scores"] for entry in run.summary["baselines"]}
    names = {
        "median class",
        "rounded ridge regression",
        "logistic regression",
        "logistic regression, most probable class",
        "gradient-boosted trees",
    }
    assert names <= beside.keys()
    assert "most frequent class" not in beside
    assert (
        beside["median class"]["class_distance"]
        > beside["rounded ridge regression"]["class_distance"]
    )


def test_labels_of_new_rows_are_medians(run):
    new = run.path.parent / "new.csv"
    predictions = kzoo.predict(run, new)
    numbers = choose(predictions.probabilities)
    assert predictions.labels == [ORDER[number] for number in numbers]
    with warns("too optimistic"):  # some of these rows are training rows
        scores = kzoo.evaluate(run, new)
    truth = [ORDER.index(name) for name in pd.read_csv(new).progress]
    assert scores["class_distance"] == pytest.approx(np.abs(numbers - truth).mean())
    with warns("confidence=0.9"):  # there are few validation rows
        sets = kzoo.predict(run, new, confidence=0.9).sets
    assert all(len(names) >= 1 for names in sets)
    assert main(["predict", str(run.path), str(new), "--keep", "age"]) == 0
    assert main(["check", str(run.path), "--data", str(new)]) == 0


def test_exports_predict_the_same(run, tmp_path):
    new = run.path.parent / "new.csv"
    predictions = kzoo.predict(run, new)
    kzoo.export(run, tmp_path / "exported", formats=["onnx", "litert"])
    for name in ("onnx", "litert"):
        exported = kzoo.runtime.load(tmp_path / "exported", name).predict(new)
        assert exported.labels == predictions.labels
        assert exported.probabilities == pytest.approx(predictions.probabilities, abs=1e-5)


def test_two_classes_train_and_are_exported(tmp_path):
    table = diabetes()
    table["progress"] = np.where(table.progress.isin(ORDER[:2]), "low", "high")
    run = kzoo.train(
        "tabular_fnn",
        table,
        target="progress",
        order=["low", "high"],
        out=tmp_path / "run",
        epochs=8,
        **QUICK,
    )
    assert run.spec.config["output_activation"] == "cumulative"
    test = run.summary["test"]
    assert test["class_distance"] == pytest.approx(1 - test["accuracy"])
    assert test["class_distance"] < 0.8 * test["class_distance_median"]
    stored = run.answers
    mistakes = stored["shown"][12:]  # after the examples of each class
    assert len(mistakes) and (choose(stored["answers"]) != stored["truth"])[mistakes].all()
    predictions = kzoo.predict(run, table[:50])
    assert set(predictions.labels) == {"low", "high"}
    exported = kzoo.export(run, tmp_path / "exported", formats=["onnx"])
    answers = kzoo.runtime.load(exported, "onnx").predict(table[:50])
    assert answers.labels == predictions.labels
    assert answers.probabilities == pytest.approx(predictions.probabilities, abs=1e-5)


def test_a_report_and_a_comparison_have_the_distance(run, tmp_path):
    page = kzoo.report(run).read_text(encoding="utf-8")
    assert "mean class distance" in page
    assert "quadratic" in page
    assert "Wrong predictions, starting with the largest expected class distance." in page
    other = kzoo.train(
        "tabular_fnn",
        run.path.parent / "train.csv",
        target="progress",
        order=ORDER,
        out=tmp_path / "softmax",
        loss="crossentropy",
        class_weight="balanced",
        epochs=2,
        **QUICK,
    )
    assert other.spec.config["output_activation"] == "softmax"
    table = kzoo.compare([run, other], baselines=False)
    assert set(table.metric) == {"class_distance"}


def test_costs_decide_where_they_are_set(run, tmp_path):
    cost = {("highest", name): 100.0 for name in ORDER[:-1]}
    costly = kzoo.train(
        "tabular_fnn",
        run.path.parent / "train.csv",
        target="progress",
        order=ORDER,
        out=tmp_path / "costly",
        cost=cost,
        epochs=2,
        **QUICK,
    )
    assert costly.summary["test"]["expected_cost"] >= 0
    labels = kzoo.predict(costly, run.path.parent / "new.csv").labels
    assert labels.count("highest") > 25


def test_plain_classes_are_further_off(tmp_path):
    """On the mean over three splits of ten classes; both have the same rows and settings."""
    x, y = load_diabetes(return_X_y=True, as_frame=True)
    table = x.assign(progress=pd.qcut(y, 10, labels=list(range(10))).astype(int))
    distances = {}
    for task in ("ordinal", "classification"):
        for seed in range(3):
            run = kzoo.train(
                "tabular_fnn",
                table,
                target="progress",
                task=task,
                out=tmp_path / f"{task}{seed}",
                data_seed=seed,
                seed=seed,
                epochs=12,
                **QUICK,
            )
            stored = run.answers
            off = np.abs(run.problem.choose(stored["answers"]) - stored["truth"])
            distances.setdefault(task, []).append(off.mean())
    assert np.mean(distances["ordinal"]) < 0.9 * np.mean(distances["classification"])


def test_a_search_optimises_the_distance():
    options = dict(target="progress", order=ORDER, dry_run=True, trials=2, epochs=1, progress=False)
    objective = kzoo.tune("tabular_fnn", diabetes(), **options).objective
    assert objective == ("val_class_distance", "min")


# === Where the order comes from ===


def test_numbers_have_their_own_order():
    table = diabetes(numbers=True)
    table["progress"] = table.progress.astype(int) * 5  # as texts, 10 would come before 5
    data = kzoo.load_data(table, target="progress", task="ordinal")
    assert data.class_names == ("0", "5", "10", "15", "20")
    assert data.outputs == 5
    labels = [data.class_names[number] for number in data.train.y]
    assert labels == [str(table.progress[row]) for row in data.train.rows]
    texts = kzoo.load_data(table.astype({"progress": str}), target="progress", task="ordinal")
    assert texts.class_names == data.class_names
    x, y = table.drop(columns="progress").to_numpy(), table.progress.to_numpy()
    arrays = kzoo.load_data((x, y), order=[20, 15, 10, 5, 0])
    assert arrays.class_names == ("20", "15", "10", "5", "0")


def test_an_ordered_categorical_has_its_own_order():
    categories = [*ORDER, "beyond"]
    table = diabetes()
    dtype = pd.CategoricalDtype(categories, ordered=True)
    data = kzoo.load_data(table.astype({"progress": dtype}), target="progress", task="ordinal")
    assert data.class_names == tuple(categories)
    assert notes_with(data.notes, "'beyond'")
    assert np.array_equal(
        data.train.y, [ORDER.index(table.progress[row]) for row in data.train.rows]
    )
    pair = table.drop(columns="progress"), table.progress.astype(dtype)
    assert kzoo.load_data(pair, task="ordinal").class_names == tuple(categories)


def test_texts_and_images_have_ordered_classes(tmp_path):
    words = ORDER[:3] * 20
    texts = pd.DataFrame({"text": [f"{word} quality" for word in words], "grade": words})
    data = kzoo.load_data(texts, preset="text_cnn", target="grade", order=ORDER[:3])
    assert (data.task, data.class_names) == ("text_ordinal", tuple(ORDER[:3]))
    for number, word in enumerate(words):
        (tmp_path / word).mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8), number, "uint8")).save(tmp_path / word / f"{number}.png")
    data = kzoo.load_data(tmp_path, preset="image_cnn", order=ORDER[:3])
    assert (data.task, data.class_names) == ("image_ordinal", tuple(ORDER[:3]))
    brightness = np.asarray(data.train.x[:]).reshape(len(data.train), -1).mean(axis=1)
    assert np.array_equal(np.round(brightness) % 3, data.train.y)


def test_a_rare_middle_class_and_one_that_no_training_row_has(tmp_path):
    table = diabetes(numbers=True)
    rare = table[(table.progress != 2) | (table.groupby("progress").cumcount() < 2)]
    data = kzoo.load_data(rare, target="progress", task="ordinal")
    assert data.class_names == ("0", "1", "2", "3", "4")
    none_has_it = pd.CategoricalDtype(range(6), ordered=True)
    run = kzoo.train(
        "tabular_fnn",
        table.astype({"progress": none_has_it}),
        target="progress",
        task="ordinal",
        out=tmp_path / "run",
        epochs=2,
        **QUICK,
    )
    assert run.class_names == ["0", "1", "2", "3", "4", "5"]
    assert run.config["statistics"]["classes"][5] == 0
    assert np.isfinite(run.summary["test"]["class_distance"])
    new = diabetes(numbers=True)[:20].assign(progress=5)
    with warns("too optimistic"):
        assert kzoo.evaluate(run, new)["class_distance"] >= 1


# === Refusals ===


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(task="ordinal"), ("'high', 'highest', 'low'", "order=")),
        (
            dict(task="classification", order=ORDER),
            ("order=", "task='classification'", "task='ordinal'"),
        ),
        (dict(order=ORDER[:4]), ("order=", "lacks the class 'highest'")),
        (dict(order=[*ORDER, "beyond"]), ("order=", "'beyond'")),
        (dict(order=[*ORDER, "low"]), ("order=", "'low' twice")),
        (dict(order=["low"]), ("order=", "at least two")),
        (dict(order="low,high"), ("order='low,high'", "order=['low', 'medium', 'high']")),
        (dict(order=ORDER, quantiles=(0.1, 0.9)), ("quantiles=", "task='ordinal'")),
    ],
)
def test_what_has_no_order_is_refused(options, words):
    with refuses(*words):
        kzoo.load_data(diabetes(), target="progress", **options)


def test_an_order_beside_a_task_of_this_name_of_another_package_is_refused(monkeypatch):
    monkeypatch.setattr("kzoo.problems.tasks.installed", lambda group: {"ordinal": TASK})
    with refuses("order=['lowest',", "has no effect", "installed package", "'ordinal'"):
        kzoo.load_data(diabetes(), target="progress", task="ordinal", order=ORDER)


def test_the_command_line_names_its_option(tmp_path, capsys):
    diabetes().to_csv(tmp_path / "train.csv", index=False)
    command = [
        "train",
        "tabular_fnn",
        "--data",
        str(tmp_path / "train.csv"),
        "--target",
        "progress",
    ]
    assert main([*command, "--task", "ordinal", "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert "--order high,highest,low,lowest,medium" in error
    assert error.count("\n") == 1

"""Training that starts from trained weights: layers that are copied, new or frozen."""

import json

import keras
import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, missing_from, refuses, warns
from shortcuts import tune_here
from sklearn.naive_bayes import ComplementNB, MultinomialNB

import kzoo
from kzoo.training.plan import TrainingPlan
from kzoo.utils import processor

pytestmark = pytest.mark.usefixtures("undrawn", "untraced")

SMALL = dict(units=(6, 5), batch_size=64, epochs=1)


QUICK = dict(callbacks="quick", check=False, progress=False, baselines=False)


def fit(preset, data, out="run", **options):
    return kzoo.train(preset, data, out=out, **QUICK | options)


def rows(classes, features=4, seed=0):
    x = np.random.default_rng(seed).normal(size=(60, features)).astype("float32")
    return x, np.arange(60) % classes


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    return fit("iris_fnn", rows(3), tmp_path_factory.mktemp("start") / "first", **SMALL)


def kernels(model):
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


def unchanged(a, b):
    """Names of the layers that have the same weights in both models."""
    a, b = kernels(a), kernels(b)

    def same(x, y):
        return len(x) == len(y) and all(np.array_equal(i, j) for i, j in zip(x, y, strict=True))

    return [name for name in a if same(a[name], b.get(name, []))]


@pytest.fixture(scope="module")
def plain_weights(first, tmp_path_factory):
    file = tmp_path_factory.mktemp("plain") / "iris.weights.h5"
    first.model.save_weights(file)
    return file


def test_a_weights_file_of_another_network_is_refused(first, plain_weights):
    second = fit("iris_fnn", rows(3), weights=plain_weights, freeze="hidden*", **SMALL)
    assert len(unchanged(first.model, second.model)) == 2
    with refuses("iris.weights.h5", "shape"):
        fit("iris_fnn", rows(5), "other", weights=plain_weights, **SMALL)


def test_weights_are_compared_by_their_content(first, tmp_path):
    """Not by the name of their file: the best weights of every run are in best.keras."""
    files = [tmp_path / name / "best.keras" for name in ("a", "b")]
    changed = kzoo.Run(first.path).model
    changed.set_weights([w + 1 for w in changed.get_weights()])
    for file, model in zip(files, (first.model, changed), strict=True):
        file.parent.mkdir()
        model.save(file)
    second = fit("iris_fnn", rows(3), weights=files[0], **SMALL)
    moved = files[0].rename(tmp_path / "best.keras")
    assert fit("iris_fnn", rows(3), weights=moved, **SMALL).summary == second.summary
    for other in (files[1], str(files[1])):
        with refuses("weights_sha256", "overwrite=True") as caught:
            fit("iris_fnn", rows(3), weights=other, **SMALL)
        assert second.config["weights_sha256"][:12] in str(caught.value)
    moved.unlink()  # a finished run does without
    assert fit("iris_fnn", rows(3), weights=moved, **SMALL).summary == second.summary
    third = fit("iris_fnn", rows(3), "of-a-model", weights=first.model, **SMALL)
    assert (
        fit("iris_fnn", rows(3), "of-a-model", weights=first.model, **SMALL).summary
        == third.summary
    )
    with refuses("of-a-model", "weights_sha256", "overwrite=True"):
        fit("iris_fnn", rows(3), "of-a-model", weights=changed, **SMALL)
    fourth = fit("iris_fnn", rows(3), "of-a-run", weights=first, **SMALL)
    assert (
        fourth.config["weights_sha256"]
        == fit("iris_fnn", rows(3), "of-a-run", weights=first.path, **SMALL).config[
            "weights_sha256"
        ]
    )


def test_a_run_of_an_older_version_with_start_for_weights_is_recognised(first, plain_weights):
    second = fit("iris_fnn", rows(3), "then", weights=first, **SMALL)
    config = json.loads((second.path / "config.json").read_text())
    old = {"start" if name == "weights" else name: value for name, value in config.items()}
    old["command"] = "kzoo train iris_fnn --start first"
    (second.path / "config.json").write_text(json.dumps(old))
    assert kzoo.Run(second.path).config["command"] == "kzoo train iris_fnn --weights first"
    assert fit("iris_fnn", rows(3), "then", weights=first, **SMALL).path == second.path
    with refuses("weights", "first", "iris.weights.h5", "overwrite=True"):
        fit("iris_fnn", rows(3), "then", weights=plain_weights, **SMALL)


@pytest.mark.parametrize("kind", ["run", "path", "file", "model"])
def test_other_classes_get_a_new_last_layer_and_frozen_layers_stay(first, kind, capsys):
    starts = dict(
        run=first, path=str(first.path), file=first.path / "best.keras", model=first.model
    )
    second = fit("iris_fnn", rows(5), weights=starts[kind], freeze=True, progress=True, **SMALL)
    assert second.model.output_shape == (None, 5)
    body = [name for name in kernels(first.model) if name != "outputs"]
    assert unchanged(first.model, second.model) == body and len(body) == 2
    assert_mentions(capsys.readouterr().err, f"{len(body)} layers", "outputs")
    assert second.config["weights"] == {"file": "best.keras", "model": "iris_fnn"}.get(
        kind, "first"
    )


def test_freeze_accepts_globs_and_other_layers_learn(first):
    names = [name for name in kernels(first.model) if name != "outputs"]
    second = fit("iris_fnn", rows(3), weights=first, freeze="hidden1_*", **SMALL)
    assert unchanged(first.model, second.model) == names[:1]
    free = fit("iris_fnn", rows(3), "free", weights=first, **SMALL)
    assert unchanged(first.model, free.model) == []


def test_every_layer_is_copied_before_the_first_step(first):
    # With a learning rate of nearly nothing the answers stay those of the first run.
    second = fit(
        "iris_fnn", rows(3), weights=first, optimizer="sgd", **SMALL | dict(learning_rate=1e-12)
    )
    x, _ = rows(3)
    np.testing.assert_allclose(second.model(x), first.model(x), atol=1e-5)


def test_embeddings_are_matched_by_their_words():
    def texts(name, words):
        lines = [(" ".join(words), "a"), (" ".join(reversed(words)), "b")] * 12
        pd.DataFrame(lines, columns=["text", "label"]).to_csv(name, index=False)
        return name

    settings = dict(
        input_shape=(6,), embedding_dim=3, filters=(4,), kernel_size=(2,), epochs=1, target="label"
    )
    first = fit("text_cnn", texts("one.csv", ["apple", "pear", "plum"]), "one", **settings)
    other = texts("two.csv", ["zebra", "plum", "apple", "ant"])
    second = fit("text_cnn", other, "two", weights=first, freeze="embedding", **settings)
    tables = [r.model.get_layer("embedding").get_weights()[0] for r in (first, second)]
    ids = [{w: i + 2 for i, w in enumerate(r.preprocessing["vocabulary"])} for r in (first, second)]
    assert ids[0]["apple"] != ids[1]["apple"] or ids[0]["plum"] != ids[1]["plum"]
    for word in ("apple", "plum"):
        np.testing.assert_array_equal(tables[0][ids[0][word]], tables[1][ids[1][word]])
    np.testing.assert_array_equal(tables[0][:2], tables[1][:2])  # padding and unknown
    assert not any((row == tables[1][ids[1]["zebra"]]).all() for row in tables[0])


def test_weights_of_another_split_of_the_data_are_reported(capsys):
    earlier = fit("iris_fnn", "iris", "earlier", **SMALL)
    for more, warned in (
        (dict(), False),
        (dict(validation=0.2), False),
        (dict(data_seed=1), True),
        (dict(test=0.3), True),
    ):
        fit(
            "iris_fnn",
            "iris",
            f"then-{len(more)}-{warned}-{min(more, default='')}",
            weights=earlier,
            progress=True,
            **SMALL,
            **more,
        )
        lines = [
            line for line in capsys.readouterr().err.splitlines() if "weights='earlier'" in line
        ]
        assert len(lines) == warned
        assert not warned or not missing_from(lines[0], ("iris", "test split"))


def test_weights_of_a_file_with_fewer_rows_are_reported(capsys):
    path = "rows.csv"
    x, y = rows(3)
    table = pd.DataFrame(x).assign(y=y)
    table[:-1].to_csv(path, index=False)
    earlier = fit("tabular_fnn", path, "earlier", target="y", **SMALL)
    fit("tabular_fnn", path, "same", target="y", weights=earlier, progress=True, **SMALL)
    assert "weights='earlier'" not in capsys.readouterr().err
    table.to_csv(path, index=False)
    fit("tabular_fnn", path, "grown", target="y", weights=earlier, progress=True, **SMALL)
    assert_mentions(capsys.readouterr().err, "weights='earlier'", "rows.csv", "test split")


def test_the_last_layer_is_new_for_as_many_other_classes(first, capsys):
    x, y = rows(3)
    names = lambda *words: kzoo.load_data((x, np.array(words)[y]), preset="iris_fnn")  # noqa: E731
    body = [name for name in kernels(first.model) if name != "outputs"]
    named = fit(
        "iris_fnn",
        names("a", "b", "c"),
        "named",
        weights=first,
        freeze=True,
        progress=True,
        **SMALL,
    )
    assert unchanged(first.model, named.model) == body
    assert_mentions(capsys.readouterr().err, "2 layers", "outputs")
    turned = fit("iris_fnn", names("c", "b", "d"), "turned", weights=named, freeze=True, **SMALL)
    assert unchanged(named.model, turned.model) == body
    with refuses("freeze=", "train"):  # the same classes: all layers were copied
        fit("iris_fnn", names("a", "c", "b"), "same", weights=named, freeze=True, **SMALL)


def test_the_last_layer_of_a_language_model_is_matched_by_its_words():
    def book(letters):
        return "\n".join(" ".join(letters[i:] + letters[:i]) for i in range(len(letters))) * 6

    settings = dict(input_shape=(8,), embedding_dim=3, units=(4,), epochs=1)
    runs = []
    for name, letters in (("one", "aabbcd"), ("two", "ddccbe")):
        with open(f"{name}.txt", "w", encoding="utf-8") as file:
            file.write(book(letters))
        started = dict(weights=runs[0], optimizer="sgd", learning_rate=1e-12) if runs else {}
        runs.append(fit("char_gru", f"{name}.txt", name, **settings | started))
    ids = [
        {token: i + 2 for i, token in enumerate(run.preprocessing["vocabulary"])} for run in runs
    ]
    heads = [list(kernels(run.model).values())[-1] for run in runs]
    assert ids[0]["d"] != ids[1]["d"] and [len(head) for head in heads] == [2, 2]
    for token in set(ids[0]) & set(ids[1]):
        for old, new in zip(*heads, strict=True):
            np.testing.assert_allclose(old[..., ids[0][token]], new[..., ids[1][token]], atol=1e-6)


def table(columns, count=400, **cells):
    """Two numbers, of which the larger one is the class, in this order of columns."""
    a, b = np.random.default_rng(1).normal(size=(2, count))
    return pd.DataFrame(dict(a=a, b=b, **cells, label=np.where(a > b, "p", "q")))[
        [*columns, "label"]
    ]


# Parts of the notes on layers that follow their columns, and on weights without names.
MOVED = ("hidden1_dense", "a, b", "b, a")
UNNAMED = ("weights", "classes", "columns")
STILL = dict(
    units=(8,),
    epochs=1,
    batch_size=64,
    optimizer="sgd",
    learning_rate=1e-12,
    norm=None,
    dropout=0.0,
)


def has_line(text, parts):
    return any(not missing_from(line, parts) for line in text.splitlines())


@pytest.fixture(scope="module")
def larger(tmp_path_factory):
    folder = tmp_path_factory.mktemp("larger")
    settings = STILL | dict(optimizer="adam", learning_rate=0.05, epochs=8)
    return fit("tabular_fnn", table("ab"), folder / "first", target="label", **settings)


@pytest.mark.parametrize("kind", ["best.keras", "last.keras"])
def test_weights_are_matched_by_columns_in_another_order(larger, kind, capsys):
    """Matched by position, the weights of "a" went to "b"."""
    second = fit(
        "tabular_fnn",
        table("ba"),
        target="label",
        weights=larger.path / kind,
        progress=True,
        **STILL,
    )
    message = capsys.readouterr().err
    assert_mentions(message, *MOVED)
    assert not has_line(message, UNNAMED)
    assert second.summary["test"]["accuracy"] > 0.9
    if kind != "last.keras":
        first, turned = (kernels(run.model)["hidden1_dense"][0] for run in (larger, second))
        np.testing.assert_allclose(turned, first[::-1], atol=1e-6)


def test_layers_that_read_other_columns_are_new_and_cannot_be_frozen(larger, capsys):
    other = table("ab").rename(columns=dict(a="c"))
    second = fit(
        "tabular_fnn", other, target="label", weights=larger, freeze=True, progress=True, **STILL
    )
    assert_mentions(capsys.readouterr().err, "hidden1_dense", "a, b", "c, b")
    assert unchanged(larger.model, second.model) == ["outputs"]
    with refuses("freeze='hidden*'", "hidden1_dense", "freeze=True"):
        fit(
            "tabular_fnn",
            other,
            "frozen",
            target="label",
            weights=larger,
            freeze="hidden*",
            **STILL,
        )


def test_weights_without_names_of_classes_and_columns_are_reported(larger, capsys):
    fit("tabular_fnn", table("ba"), target="label", weights=larger.model, progress=True, **STILL)
    assert has_line(capsys.readouterr().err, UNNAMED)
    data = kzoo.load_data(table("ba"), target="label", preset="tabular_fnn")
    with warns(*MOVED):
        kzoo.build("tabular_fnn", data=data, weights=larger, units=(8,), norm=None)
    named = kzoo.build("tabular_fnn", weights=larger.path)  # a model with the names of its data
    fit("tabular_fnn", table("ba"), "named", target="label", weights=named, progress=True, **STILL)
    assert_mentions(capsys.readouterr().err, *MOVED)


def test_embeddings_of_categories_are_matched_by_columns_and_values():
    rng = np.random.default_rng(0)

    def rows(colours, order):
        colour = rng.choice(colours, 200)
        size = rng.choice(["big", "small", "tiny"], 200)
        return pd.DataFrame(dict(colour=colour, size=size, label=colour))[[*order, "label"]]

    first = fit(
        "tabular_fnn", rows(["blue", "red"], ["colour", "size"]), "one", target="label", **STILL
    )
    data = rows(["amber", "blue", "red"], ["size", "colour"])
    second = fit("tabular_fnn", data, "two", target="label", weights=first, **STILL)

    def vectors(run, name):
        columns = [
            column for column in run.preprocessing["columns"] if column["kind"] == "category"
        ]
        index = [column["name"] for column in columns].index(name)
        names = [None, *columns[index]["values"]]
        return dict(zip(names, kernels(run.model)[f"category{index + 1}"][0], strict=True))

    for column, values in (
        ("colour", [None, "blue", "red"]),
        ("size", [None, "big", "small", "tiny"]),
    ):
        old, new = vectors(first, column), vectors(second, column)
        if old[None].shape == new[None].shape:
            for value in values:
                np.testing.assert_allclose(old[value], new[value], atol=1e-6)
    assert vectors(first, "size")[None].shape == vectors(second, "size")[None].shape
    assert "hidden1_dense" not in unchanged(first.model, second.model)


def test_layers_of_a_series_are_matched_by_its_columns(capsys):
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(120, 3)), columns=["load", "u", "v"])
    settings = dict(
        input_shape=6, horizon=2, units=(4,), epochs=1, optimizer="sgd", learning_rate=1e-12
    )
    first = fit("series_gru", frame, "one", target="load", **settings)
    turned = frame[["load", "v", "u"]]
    second = fit(
        "series_gru", turned, "two", target="load", weights=first, progress=True, **settings
    )
    assert_mentions(capsys.readouterr().err, "load, u, v", "load, v, u")
    (old, *_), (new, *_) = (next(iter(kernels(run.model).values())) for run in (first, second))
    np.testing.assert_allclose(old[[0, 2, 1]], new, atol=1e-6)


def test_targets_in_another_order_get_a_new_last_layer():
    x = np.random.default_rng(0).normal(size=(80, 2))
    frame = pd.DataFrame(dict(a=x[:, 0], b=x[:, 1], y=x[:, 0], z=-x[:, 1]))
    first = fit("tabular_fnn", frame, "one", target=["y", "z"], **STILL)
    second = fit(
        "tabular_fnn", frame, "two", target=["z", "y"], weights=first, freeze=True, **STILL
    )
    assert unchanged(first.model, second.model) == ["hidden1_dense"]


def test_words_and_classes_are_matched_for_a_file_of_a_run_too(capsys):
    def texts(words, first):
        return pd.DataFrame(
            [(word, first if "p" in word else "zz") for word in words] * 8,
            columns=["text", "label"],
        )

    settings = dict(
        input_shape=(6,), embedding_dim=3, filters=(4,), kernel_size=(2,), epochs=1, target="label"
    )
    first = fit("text_cnn", texts(["apple", "pear", "kiwi"], "aa"), "one", **settings)
    data = texts(["kiwi", "plum", "apple", "zap"], "zzz")
    second = fit(
        "text_cnn",
        data,
        "two",
        weights="one/best.keras",
        freeze="embedding",
        progress=True,
        **settings,
    )
    assert_mentions(capsys.readouterr().err, "outputs")

    def table_of(run, word):
        return kernels(run.model)["embedding"][0][run.preprocessing["vocabulary"].index(word) + 2]

    for word in ("apple", "kiwi"):
        np.testing.assert_array_equal(table_of(first, word), table_of(second, word))


def test_learned_positions_are_not_moved_like_words():
    """They are rows of a table too, and were moved like words."""

    def texts(*words):
        return pd.DataFrame(
            [(" ".join(words), "a"), (" ".join(words[::-1]), "b")] * 8, columns=["text", "label"]
        )

    settings = dict(
        input_shape=(6,),
        positions="learned",
        epochs=1,
        target="label",
        width=8,
        depth=1,
        num_heads=2,
    )
    first = fit("text_transformer", texts("apple", "pear", "plum"), "one", **settings)
    data = texts("zebra", "plum", "apple", "ant")
    second = fit("text_transformer", data, "two", weights=first, freeze="positions", **settings)
    assert "positions" in unchanged(first.model, second.model)


def values(count=120):
    x = np.random.default_rng(0).normal(50, 10, (count, 2))
    return x, 1000 + 20 * x[:, 0]


def test_a_network_built_from_a_file_of_a_run_answers_in_the_same_unit(tmp_path):
    """The scaling layers have no weights and were left out: the answer was -6 instead of 2024."""
    x, _ = data = values()
    run = fit("tabular_fnn", data, "scaled", **SMALL)
    expected = run.model(x[:3])
    network = dict(input_shape=2, outputs=1, output_activation=None, units=(6, 5))
    last = kzoo.load_model("scaled/last.keras")
    last.set_weights([w / 2 for w in last.get_weights()])  # after one epoch it is the best
    last.save("scaled/last.keras")
    for file in ("scaled/best.keras", "scaled/last.keras"):
        model = kzoo.build("tabular_fnn", weights=file, **network)
        np.testing.assert_allclose(model(x[:3]), kzoo.load_model(file)(x[:3]), rtol=1e-5)
    run.model.save(tmp_path / "moved.keras")
    run.model.save_weights(tmp_path / "moved.weights.h5")
    arguments = ("scale=", "offset=", "target_scale=", "target_offset=")
    for weights in ("moved.keras", run.model):
        with refuses("tabular_fnn", "scaling", "unscale", *arguments):
            kzoo.build("tabular_fnn", weights=weights, **network)
    with warns("weights='moved.weights.h5'", *arguments):
        kzoo.build("tabular_fnn", weights="moved.weights.h5", **network)
    scaling = {
        name: run.spec.config[name] for name in ("scale", "offset", "target_scale", "target_offset")
    }
    for weights in ("moved.keras", run.model, "moved.weights.h5"):
        model = kzoo.build("tabular_fnn", weights=weights, **network, **scaling)
        np.testing.assert_allclose(model(x[:3]), expected, rtol=1e-5)
    with refuses("weights='moved.keras'", "tabular_fnn", "hidden1_relu", "hidden2_relu"):
        kzoo.build("tabular_fnn", weights="moved.keras", activation="tanh", **network, **scaling)


def test_invalid_weights_and_freeze_are_refused(first, tmp_path):
    stranger = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(2, name="far")], name="stranger"
    )
    (tmp_path / "broken.keras").write_bytes(b"PK no model")
    (tmp_path / "weights.h5").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    for options, parts in (
        (dict(weights="nowhere"), ("weights='nowhere'", ".keras")),
        (dict(weights="weights.h5"), ("weights='weights.h5'", ".keras")),
        (dict(weights="broken.keras"), ("broken.keras", "read")),
        (dict(weights="empty"), ("empty", "config.json")),
        (dict(weights=stranger), ("weights='stranger'", "layer", "iris_fnn")),
        (dict(weights=5), ("weights=5", ".keras")),
        (dict(freeze=True), ("freeze=", "weights=")),
        (dict(weights=first, freeze="conv*"), ("freeze='conv*'", ", ".join(kernels(first.model)))),
        (dict(weights=first, freeze="*"), ("freeze=", "train")),
    ):
        with refuses(*parts) as caught:
            fit("iris_fnn", rows(3), **SMALL | options)
        assert "\n" not in str(caught.value), options
        assert not (tmp_path / "run").exists()


# The first filters whiten patches of the training images, however the network gets its data.
COLOURED = dict(input_shape=(10, 10, 3), filters=(4,), batch_size=32, epochs=1, precision="float32")


def coloured(count=80, seed=0):
    """Smooth images whose colours go together, as photographs' do."""
    rng = np.random.default_rng(seed)
    smooth = rng.uniform(40, 215, (count, 5, 5, 1)).repeat(2, 1).repeat(2, 2)
    return (smooth + rng.normal(0, 12, (count, 10, 10, 3))).clip(0, 255).astype("uint8"), np.arange(
        count
    ) % 2


def speed(out, **options):
    return fit("cifar_speed", coloured(), out, **COLOURED | options)


@pytest.fixture(scope="module")
def white(tmp_path_factory):
    run = speed(tmp_path_factory.mktemp("white") / "run")
    # or the comparisons below would be of filters that were never set
    assert filters(run.model)[1].any()
    return run


def filters(model):
    return model.get_layer("whitening").get_weights()


def test_whitened_patches_have_mean_zero_and_the_identity_as_covariance(white):
    """All patches of the training split, cut and multiplied by NumPy alone."""
    images = kzoo.load_data(coloured(), preset="cifar_speed").train.x / 255
    patches = np.stack(
        [
            images[:, y : y + 2, x : x + 2].reshape(len(images), -1)
            for y in range(9)
            for x in range(9)
        ],
        axis=1,
    ).reshape(-1, 12)
    kernel, bias = (w.astype("float64") for w in filters(white.model))
    out = patches @ kernel.reshape(12, 24) + bias
    np.testing.assert_allclose(out.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(out[:, 12:], -out[:, :12], atol=1e-5)
    # Only the variance that is added before the division is missing: at most 3e-5, compared with 12 / 255 squared.
    np.testing.assert_allclose(np.cov(out[:, :12].T, bias=True), np.eye(12), atol=0.02)


def test_whitening_filters_are_weights_of_a_frozen_convolution(white):
    layer = keras.saving.load_model(white.path / "best.keras").get_layer("whitening")
    assert type(layer) is keras.layers.Conv2D and not layer.trainable


def test_filters_are_the_same_in_every_way_to_train(white, tmp_path, capsys):
    data = kzoo.load_data(coloured(), preset="cifar_speed")
    settings = {**COLOURED}
    network = {name: settings[name] for name in ("input_shape", "filters")}
    built = kzoo.build("cifar_speed", data=data, seed=0, filters=(4,))
    blind = kzoo.build("cifar_speed", seed=0, outputs=2, **network)
    assert not np.allclose(filters(blind)[0], filters(white.model)[0], atol=0.1)
    kzoo.fit_arguments(blind, data, batch_size=32)
    policy = "keras.config.set_dtype_policy"
    assert_mentions(
        capsys.readouterr().err, "cifar_speed", f"{policy}('mixed_bfloat16')", "float32"
    )
    with refuses("precision=", policy, "kzoo.build"):
        kzoo.fit_arguments(blind, data, precision="float32")
    other = kzoo.build("cifar_speed", seed=3, outputs=2, **network)
    trained = kzoo.train(
        other,
        data,
        out=tmp_path / "other",
        epochs=1,
        callbacks="quick",
        check=False,
        progress=False,
    )
    mixed = speed(tmp_path / "mixed", precision="mixed_bfloat16")
    for model in (built, blind, trained.model, mixed.model):
        for mine, theirs in zip(filters(model), filters(white.model), strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_each_fold_is_whitened_by_its_training_images(tmp_path):
    result = kzoo.cross_validate(
        "cifar_speed",
        coloured(),
        folds=2,
        out=tmp_path,
        callbacks="quick",
        check=False,
        progress=False,
        **COLOURED,
    )
    a, b = (
        kzoo.Run(tmp_path / name).model
        for name in sorted(p.name for p in tmp_path.iterdir() if p.is_dir())
    )
    assert result["mean"] and not np.array_equal(filters(a)[0], filters(b)[0])


def test_trained_weights_include_their_filters(white, tmp_path):
    other = coloured(seed=5)[0] // 2, np.arange(80) % 2
    second = fit("cifar_speed", other, tmp_path / "second", weights=white, **COLOURED)
    np.testing.assert_array_equal(filters(second.model)[0], filters(white.model)[0])


@pytest.mark.parametrize(("computes", "policy"), [(True, "mixed_bfloat16"), (False, "float32")])
def test_a_trial_of_a_search_has_the_filters_and_the_precision_of_the_preset(
    white, tmp_path, computes, policy
):
    """A processor that only emulates bfloat16 trains in float32."""
    small = {
        name: value
        for name, value in COLOURED.items()
        if name not in ("input_shape", "epochs", "precision")
    }
    jobs = []
    with pytest.MonkeyPatch.context() as patch:
        ready = TrainingPlan.ready
        patch.setattr(processor, "computes_bfloat16", lambda: computes)
        patch.setattr(
            TrainingPlan,
            "ready",
            lambda *args, **options: jobs.append(ready(*args, **options)) or jobs[-1],
        )
        tune_here(
            "cifar_speed",
            coloured(),
            trials=1,
            epochs=1,
            space="quick",
            out=tmp_path,
            progress=False,
            **small,
        )
    assert jobs[0].core.dtype_policy.name == policy
    for mine, theirs in zip(filters(jobs[0].model), filters(white.model), strict=True):
        np.testing.assert_array_equal(mine, theirs)


# A bag of words begins with the log ratios of naive Bayes.
def opinions(name="opinions.csv", words=("fine", "poor", "plain"), count=60, seed=0):
    """Texts of two or three classes; each class has its most frequent word, and some texts have no other."""
    rng = np.random.default_rng(seed)
    classes = np.arange(count) % len(words)
    shares = np.eye(len(words)) * 2 + 1
    texts = [
        " ".join(rng.choice(words, rng.integers(1, 9), p=shares[k] / shares[k].sum()))
        for k in classes
    ]
    pd.DataFrame({"text": texts, "class": [f"kind {k}" for k in classes]}).to_csv(name, index=False)
    return name


@pytest.mark.parametrize("words", [("fine", "poor"), ("fine", "poor", "plain")])
def test_a_bag_of_words_begins_as_naive_bayes(words):
    data = kzoo.load_data(opinions(words=words), target="class", preset="text_ngrams")
    x = data.train.x
    y = data.train.y
    ids = range(data.config["vocabulary_size"])
    holds = np.stack([(x == i).any(axis=1) & (i > 0) for i in ids], axis=1)  # padding is in no text
    there, elsewhere = MultinomialNB().fit(holds, y), ComplementNB().fit(holds, y)
    ratios = (
        (there.feature_log_prob_ + elsewhere.feature_log_prob_)
        * holds.any(axis=0)
        * (1 - 1 / len(words))
    )
    wanted = holds @ ratios.T / np.sqrt(holds.sum(axis=1, keepdims=True))
    logits = kzoo.build("text_ngrams", data=data, output_activation=None)
    np.testing.assert_allclose(predicted(logits, x), wanted, atol=1e-5)
    if len(words) == 2:
        assert (
            np.abs(np.ptp(holds @ there.feature_log_prob_.T - holds @ ratios.T, axis=1)).max()
            < 1e-9
        )
        single = kzoo.build("text_ngrams", data=data, outputs=1, output_activation=None)
        np.testing.assert_allclose(
            predicted(single, x)[:, 0], wanted[:, 1] - wanted[:, 0], atol=1e-5
        )


def predicted(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False))


def test_a_bag_of_words_has_the_same_weights_in_every_way_to_train(tmp_path):
    data = kzoo.load_data(opinions(), target="class", preset="text_ngrams")
    built = kzoo.build("text_ngrams", data=data).get_layer("log_ratios").get_weights()[0]
    still = dict(learning_rate=1e-12, epochs=1)
    first = fit("text_ngrams", data, tmp_path / "run", **still)
    np.testing.assert_allclose(
        first.model.get_layer("log_ratios").get_weights()[0], built, atol=1e-6
    )
    assert np.abs(built).max() > 0.1 and first.preprocessing["ngrams"] == 2
    # Trained weights stay, and new words have the weights that the new data gives.
    first.model.get_layer("log_ratios").set_weights([built + 1])
    other = kzoo.load_data(
        opinions("o.csv", ("fine", "poor", "new")), target="class", preset="text_ngrams"
    )
    second = fit("text_ngrams", other, tmp_path / "second", weights=first.model, **still)
    assert (
        np.abs(second.model.get_layer("log_ratios").get_weights()[0] - built - 1).max() < 1e-6
    )  # without a vocabulary
    third = fit("text_ngrams", other, tmp_path / "third", weights=first.path, **still).model
    fresh = kzoo.build("text_ngrams", data=other).get_layer("log_ratios").get_weights()[0]
    ids = {word: i for i, word in enumerate(other.preprocessing["vocabulary"], start=2)}
    weights = third.get_layer("log_ratios").get_weights()[0]
    np.testing.assert_allclose(weights[ids["new"]], fresh[ids["new"]], atol=1e-6)
    was = {word: i for i, word in enumerate(first.preprocessing["vocabulary"], start=2)}
    np.testing.assert_allclose(weights[ids["fine"]], built[was["fine"]], atol=1e-6)

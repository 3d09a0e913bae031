"""Starting from trained weights: what is copied, what is new, what stays frozen."""

import keras
import numpy as np
import pandas as pd
import pytest

import kzoo

pytestmark = pytest.mark.usefixtures("undrawn", "untraced")

SMALL = dict(units=(6, 5), batch_size=64, epochs=1)


def fit(preset, data, out="run", **options):
    return kzoo.train(preset, data, out=out, **{"callbacks": "quick", "check": False, "progress": False} | options)


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
    same = lambda x, y: len(x) == len(y) and all(np.array_equal(i, j) for i, j in zip(x, y, strict=True))  # noqa: E731
    return [name for name in a if same(a[name], b.get(name, []))]


@pytest.mark.parametrize("kind", ["run", "path", "file", "model"])
def test_a_new_head_for_other_classes_and_frozen_layers(first, kind, capsys):
    starts = dict(run=first, path=str(first.path), file=first.path / "best.keras", model=first.model)
    second = fit("iris_fnn", rows(5), start=starts[kind], freeze=True, progress=True, **SMALL)
    assert second.model.output_shape == (None, 5)
    body = [name for name in kernels(first.model) if name != "outputs"]
    assert unchanged(first.model, second.model) == body and len(body) == 2
    assert f"copied {len(body)} layers; new: outputs" in capsys.readouterr().err
    assert second.config["start"] == {"file": "best.keras", "model": "iris_fnn"}.get(kind, "first")


def test_freeze_takes_globs_and_the_rest_learns(first):
    names = [name for name in kernels(first.model) if name != "outputs"]
    second = fit("iris_fnn", rows(3), start=first, freeze="hidden1_*", **SMALL)
    assert unchanged(first.model, second.model) == names[:1]
    free = fit("iris_fnn", rows(3), "free", start=first, **SMALL)
    assert unchanged(first.model, free.model) == []


def test_every_layer_is_copied_before_the_first_step(first):
    # With a learning rate of nearly nothing the answers stay those of the first run.
    second = fit("iris_fnn", rows(3), start=first, optimizer="sgd", **SMALL | dict(learning_rate=1e-12))
    x, _ = rows(3)
    np.testing.assert_allclose(second.model(x), first.model(x), atol=1e-5)


def test_embeddings_follow_their_words():
    def texts(name, words):
        lines = [(" ".join(words), "a"), (" ".join(reversed(words)), "b")] * 12
        pd.DataFrame(lines, columns=["text", "label"]).to_csv(name, index=False)
        return name

    settings = dict(input_shape=(6,), embedding_dim=3, filters=(4,), kernel_size=(2,), epochs=1, target="label")
    first = fit("text_cnn", texts("one.csv", ["apple", "pear", "plum"]), "one", **settings)
    other = texts("two.csv", ["zebra", "plum", "apple", "ant"])
    second = fit("text_cnn", other, "two", start=first, freeze="embedding", **settings)
    tables = [r.model.get_layer("embedding").get_weights()[0] for r in (first, second)]
    place = [{w: i + 2 for i, w in enumerate(r.preprocessing["vocabulary"])} for r in (first, second)]
    assert place[0]["apple"] != place[1]["apple"] or place[0]["plum"] != place[1]["plum"]
    for word in ("apple", "plum"):
        np.testing.assert_array_equal(tables[0][place[0][word]], tables[1][place[1][word]])
    np.testing.assert_array_equal(tables[0][:2], tables[1][:2])  # padding and unknown
    assert not any((row == tables[1][place[1]["zebra"]]).all() for row in tables[0])


def test_what_cannot_be_a_start(first, tmp_path):
    stranger = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="far")], name="stranger")
    (tmp_path / "broken.keras").write_bytes(b"PK no model")
    (tmp_path / "weights.h5").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    for options, says in (
        (dict(start="nowhere"), "nowhere"),
        (dict(start="weights.h5"), "no .keras file"),
        (dict(start="broken.keras"), "cannot be read"),
        (dict(start="empty"), "is not a run"),
        (dict(start=stranger), "no layer in common"),
        (dict(start=5), "start=5"),
        (dict(freeze=True), "needs start="),
        (dict(start=first, freeze="conv*"), "matches no layer. Layers with weights: "),
        (dict(start=first, freeze="*"), "nothing to train"),
    ):
        with pytest.raises(kzoo.KzooError) as caught:
            fit("iris_fnn", rows(3), **SMALL | options)
        assert says in str(caught.value) and "\n" not in str(caught.value), options
        assert not (tmp_path / "run").exists()

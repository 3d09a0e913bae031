"""Grad-CAM where the right map can be computed by hand, and input that is refused."""

import io
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers
from messages import assert_mentions, refuses
from scipy.ndimage import map_coordinates

import kzoo
from kzoo.plots import grad_cam

# Class 0 wants bright pixels, class 1 dark ones; each a little of the other.
HEAD = np.array([[1.0, 0.2], [0.5, 1.0]], "float32")


def image():
    """Return 8x8 pixels: one quadrant bright, in steps; the rest dark."""
    x = -np.ones((8, 8, 1), "float32")
    x[:4, 4:, 0] = 1 + np.arange(16).reshape(4, 4) / 10
    return x


def network(*, answer="softmax", skip=False, head=HEAD):
    """Build a network whose maps are (bright, dark): relu(x) and relu(-x)."""
    pixels = keras.Input((8, 8, 1))
    x = layers.Conv2D(2, 1, activation="relu", name="maps")(pixels)
    if skip:
        x = layers.Add()([x, layers.Concatenate()([pixels, pixels])])
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(head.shape[1], activation=answer, name="answer")(x)
    model = keras.Model(pixels, x, name="hand_made")
    model.get_layer("maps").set_weights([np.array([[[[1.0, -1.0]]]]), np.zeros(2)])
    model.get_layer("answer").set_weights([head, np.zeros(head.shape[1])])
    return model


def expected(weights):
    """Return the map by hand: each filter weighed with its mean gradient, which is weight / 64; the largest is 1."""
    x = image()[..., 0]
    heat = np.maximum(weights[0] * np.maximum(x, 0) + weights[1] * np.maximum(-x, 0), 0)
    return heat / heat.max()


def heat(figure):
    return np.asarray(figure.axes[1].images[1].get_array())


@pytest.mark.parametrize("class_index", [0, 1])
@pytest.mark.parametrize("options", [{}, {"answer": None}, {"skip": True}])
def test_the_map_is_right_before_softmax_and_past_a_skip_connection(options, class_index):
    figure = grad_cam(network(**options), image(), class_index=class_index)
    np.testing.assert_allclose(heat(figure), expected(HEAD[:, class_index]), atol=1e-5)


def test_the_map_of_a_class_is_in_its_quadrant():
    head = np.array([[1.0, 0.0], [-1.0, 1.0]], "float32")
    bright = heat(grad_cam(network(head=head), image(), class_index=0)) > 0
    assert bright[:4, 4:].all() and bright.sum() == 16
    figure = grad_cam(network(head=head), image(), class_index=1)
    assert (heat(figure) > 0).sum() == 48
    figure.savefig(io.BytesIO())


def test_a_filter_is_weighed_with_its_gradient_averaged_over_all_pixels():
    # pixel, filter, class
    weights = np.random.default_rng(0).normal(0.3, 1, (64, 2, 2)).astype("float32")
    pixels = keras.Input((8, 8, 1))
    x = layers.Conv2D(2, 1, activation="relu", name="maps")(pixels)
    x = layers.Dense(2, activation="softmax", name="answer")(layers.Flatten()(x))
    model = keras.Model(pixels, x)
    model.get_layer("maps").set_weights([np.array([[[[1.0, -1.0]]]]), np.zeros(2)])
    model.get_layer("answer").set_weights([weights.reshape(128, 2), np.zeros(2)])
    figure = grad_cam(model, image(), class_index=0)
    np.testing.assert_allclose(heat(figure), expected(weights[..., 0].mean(0)), atol=1e-5)


def test_a_single_sigmoid_explains_both_classes():
    model = network(answer="sigmoid", head=np.array([[1.0], [-1.0]], "float32"))
    np.testing.assert_allclose(
        heat(grad_cam(model, image(), class_index=1)), expected([1, -1]), atol=1e-5
    )
    np.testing.assert_allclose(
        heat(grad_cam(model, image(), class_index=0)), expected([-1, 1]), atol=1e-5
    )


def test_the_predicted_class_is_explained_unless_class_index_names_another():
    model = network()
    p = keras.ops.convert_to_numpy(model(image()[None]))[0]
    names = ("bright", "dark")
    figure = grad_cam(model, image(), class_names=names)
    guess = int(p.argmax())
    for axes in figure.axes[:2]:
        assert_mentions(axes.get_title(loc="left"), names[guess], f"{100 * p[guess]:.0f} %")
    left, right, *_ = grad_cam(model, image(), class_index=1 - guess).axes
    assert_mentions(left.get_title(loc="left"), f"class {guess}", f"{100 * p[guess]:.0f} %")
    assert_mentions(
        right.get_title(loc="left"), f"class {1 - guess}", f"{100 * p[1 - guess]:.0f} %"
    )


def test_the_true_class_is_in_the_title_right_or_wrong():
    names = ("bright", "dark")
    titles = []
    for true in (0, 1, "dark"):
        axes = grad_cam(network(), image(), class_names=names, true=true).axes[0]
        titles.append((axes.get_title(loc="left"), axes._left_title.get_color()))
    assert titles[1] == titles[2] and titles[0][1] != titles[1][1]  # and another colour
    predicted, true = titles[1][0].split("\n")
    assert "dark" in predicted and "dark" in true
    assert "bright" in titles[0][0].split("\n")[1]


def test_the_photo_keeps_its_colours_where_the_evidence_is():
    colours = np.zeros((8, 8, 3), "float32") + np.array([1.0, 0.0, 0.0])
    pixels = keras.Input((8, 8, 3))
    maps = layers.Conv2D(2, 1, activation="relu", name="maps")(pixels)
    answer = layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling2D()(maps))
    _, right, scale = grad_cam(keras.Model(pixels, answer), colours).axes
    photo, veil = right.images
    assert np.array_equal(photo.get_array(), colours)
    opacity = veil.cmap(np.linspace(0, 1, 5))[:, 3]
    assert opacity[0] < 1 and (np.diff(opacity) < 0).all() and opacity[-1] == 0
    assert (
        veil.get_clim() == (0, 1) and list(scale.get_yticks()) == [0, 0.5, 1] and scale.get_ylabel()
    )


def test_lines_enclose_the_parts_with_the_most_evidence():
    figure = grad_cam(network(), image(), class_index=0)
    (lines,) = figure.axes[1].collections
    for level, path in zip(lines.levels, lines.get_paths(), strict=True):
        points = path.vertices[(path.vertices > 0).all(1) & (path.vertices < 7).all(1)]
        x, y = points.T
        near = map_coordinates(np.asarray(heat(figure)), [y, x], order=1)
        assert len(points) > 10 and np.abs(near - level).mean() < 0.05


def test_an_empty_map_has_another_title():
    empty, full = (
        grad_cam(network(head=head), image()) for head in (-np.ones((2, 2), "float32"), HEAD)
    )
    assert not heat(empty).any() and heat(full).any()
    titles = [figure.axes[1].get_title(loc="left") for figure in (empty, full)]
    for title in titles:
        assert_mentions(title, "maps")
    assert titles[0] != titles[1]
    empty.savefig(io.BytesIO())


@pytest.mark.parametrize("preset", ["digits_cnn", "cifar_resnet"])
def test_presets_can_be_explained(preset):
    model = kzoo.build(preset, compile=False)
    shape = model.input_shape[1:]
    picture = np.random.default_rng(0).integers(0, 256, shape)
    figure = grad_cam(model, picture)
    last = [layer.name for layer in model.layers if isinstance(layer, layers.Conv2D)][-1]
    assert_mentions(figure.axes[1].get_title(loc="left"), last)
    assert heat(grad_cam(model, picture[None], layer=last)).max() <= 1


def test_a_backbone_in_a_layer_is_explained_at_its_end():
    inner = keras.Input((8, 8, 1))
    functional = keras.Model(
        inner, layers.Conv2D(2, 1, activation="relu", name="inside")(inner), name="backbone"
    )
    stacked = keras.Sequential([keras.Input((8, 8, 1)), *functional.layers[1:]], name="backbone")
    functional.get_layer("inside").set_weights([np.array([[[[1.0, -1.0]]]]), np.zeros(2)])
    for backbone in (functional, stacked):
        backbone(keras.Input((8, 8, 1)))  # a call that is not of this model
        pixels = keras.Input((8, 8, 1))
        x = layers.GlobalAveragePooling2D()(backbone(pixels))
        model = keras.Model(pixels, layers.Dense(2, activation="softmax", name="answer")(x))
        model.get_layer("answer").set_weights([HEAD, np.zeros(2)])
        figure = grad_cam(model, image(), class_index=1)
        np.testing.assert_allclose(heat(figure), expected(HEAD[:, 1]), atol=1e-5)
        assert_mentions(figure.axes[1].get_title(loc="left"), "backbone")


@pytest.mark.parametrize(
    ("build", "x", "options", "parts"),
    [
        (network, np.zeros((4, 8, 1)), {}, ("(4, 8, 1)", "hand_made", "(8, 8, 1)")),
        (network, np.zeros((2, 8, 8, 1)), {}, ("(2, 8, 8, 1)", "hand_made", "(8, 8, 1)")),
        (network, image(), {"class_index": 2}, ("class_index=2", "hand_made", "0", "1")),
        (network, image(), {"class_index": -1}, ("class_index=-1", "hand_made", "0", "1")),
        (network, image(), {"true": 2}, ("true=2", "0", "1")),
        (
            network,
            image(),
            {"true": "red", "class_names": ("bright", "dark")},
            ("true='red'", "bright, dark"),
        ),
        (
            network,
            image(),
            {"layer": "answer"},
            ("'answer'", "layer", "hand_made", "(height, width, channels)"),
        ),
        (
            lambda: kzoo.build("mnist_fnn", compile=False),
            np.zeros((28, 28)),
            {},
            ("mnist_fnn", "convolution"),
        ),
        (
            lambda: keras.Sequential([layers.Dense(3)]),
            image(),
            {},
            ("Sequential", "functional model"),
        ),
    ],
)
def test_input_or_options_that_do_not_fit_are_refused(build, x, options, parts):
    with refuses(*parts):
        grad_cam(build(), x, **options)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_this_file_on_another_backend(backend):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    subprocess.run(command, env=os.environ | {"KERAS_BACKEND": backend}, check=True)

"""The pictures: their content, that they render, and that they leave matplotlib's global state alone."""

import io
import math
import re
import sys

import keras
import numpy as np
import pytest
from keras import layers
from messages import assert_mentions, refuses

import kzoo
from kzoo.plots import curves, network, prediction_grid

HISTORY = {
    "epoch": [1, 2, 3, 4],
    "seconds": [1, 1, 1, 1],
    "loss": [2.0, 1.0, 0.5, 0.2],
    "accuracy": [0.2, 0.5, 0.7, 0.9],
    "val_loss": [2.1, 1.2, 0.9, 1.1],
    "val_accuracy": [0.2, 0.4, 0.6, 0.55],
    "learning_rate": [1e-3, 8e-4, 4e-4, 0.0],
}


def texts(figure):
    return " ".join(
        t.get_text() for axes in figure.axes for t in [*axes.texts, axes.title, axes._left_title]
    )


def legends(figure):
    return " ".join(label for axes in figure.axes for label in labels(axes))


def labels(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()] if axes.get_legend() else []


def png(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer)
    assert buffer.getvalue().startswith(b"\x89PNG")
    return buffer.getvalue()


def test_curves_show_both_splits_the_best_epoch_and_the_learning_rate():
    figure = curves(HISTORY, monitor="val_loss")
    assert_mentions(texts(figure), "loss", "accuracy")
    assert_mentions(legends(figure), "epoch 3", "0.9", "0.6", "learning rate")
    monitored, other = (
        label for axes in figure.axes for label in labels(axes) if "validation" in label
    )
    assert monitored != other  # the monitored curve is marked
    loss = figure.axes[0].get_lines()
    assert (
        list(loss[0].get_ydata()) == HISTORY["loss"]
        and list(loss[1].get_ydata()) == HISTORY["val_loss"]
    )
    png(figure)


def test_the_best_epoch_of_a_metric_is_its_largest_value():
    assert_mentions(legends(curves(HISTORY, monitor="val_accuracy")), "epoch 3")
    assert_mentions(legends(curves(HISTORY, monitor="accuracy")), "epoch 4")
    assert_mentions(legends(curves(HISTORY, monitor="val_loss", best_epoch=1)), "epoch 1")
    for name in (
        "val_sparse_categorical_accuracy",
        "val_cosine_similarity",
        "mean_io_u_2",
        "val_cls_binary_accuracy",
    ):
        assert_mentions(
            legends(curves({"loss": [3, 2, 1], name: [0.5, 0.9, 0.7]}, monitor=name)), "epoch 2"
        )


def test_curves_of_a_single_epoch_without_validation_and_with_missing_values():
    png(curves({"loss": [1.0], "learning_rate": [0.1]}, monitor="loss"))
    broken = curves(
        {"loss": [1.0, None, math.nan], "val_loss": [None, None, None]}, monitor="val_loss"
    )
    assert re.search(r"\d", legends(broken)) is None  # no best epoch
    png(broken)


@pytest.mark.parametrize(
    ("history", "options", "parts"),
    [
        ({}, {}, ("history", "empty")),
        ({"loss": []}, {}, ("history", "empty")),
        ({"loss": [1, 2], "val_loss": [1]}, {}, ("'loss': 2", "'val_loss': 1")),
        (HISTORY, {"monitor": "val_auc"}, ("monitor='val_auc'", "val_loss, val_accuracy")),
        (HISTORY, {"best_epoch": 9}, ("best_epoch=9", "1", "4")),
        ({"loss": [1], "mine": [1]}, {"monitor": "mine"}, ("monitor='mine'", "best_epoch")),
        ({"seconds": [1]}, {}, ("loss", "seconds")),
    ],
)
def test_curves_refuse_a_history_that_they_cannot_draw(history, options, parts):
    with refuses(*parts):
        curves(history, **options)


@pytest.fixture(scope="module")
def resnet():
    return kzoo.build("cifar_resnet", compile=False)


def rows(figure):
    """Return the cells of the rows of a picture of a network, after the model's name and its parameters."""
    cells = [t.get_text() for t in figure.axes[0].texts][2:]
    return [tuple(cells[i : i + 5]) for i in range(0, len(cells), 5)]


def test_every_layer_is_a_row_for_every_family():
    for name in (
        "cifar_cnn",
        "text_cnn",
        "imdb_transformer",
        "text_bilstm",
        "series_gru",
        "cifar_vit",
    ):
        model = kzoo.build(name, compile=False)
        heading, *layers_drawn = rows(network(model))
        assert heading == ("layer", "type", "connected to", "output shape", "parameters")
        assert [row[0] for row in layers_drawn] == [layer.name for layer in model.layers]
        assert sum(int(row[-1].replace(",", "")) for row in layers_drawn) == model.count_params()


def test_skip_connections_and_branches_are_named(resnet):
    sources = {row[0]: set(row[2].split(", ")) for row in rows(network(resnet))}
    assert sources["block1_1_add"] == {"stem_relu", "block1_1_b_norm"}
    text = {
        row[0]: set(row[2].split(", "))
        for row in rows(network(kzoo.build("text_cnn", compile=False)))
    }
    assert text["windows"] >= {"conv3_max", "conv4_max", "conv5_max"}
    assert text["inputs"] == {""}


def test_the_network_grows_with_its_layers_and_names_shapes_and_parameters(resnet):
    small = network(kzoo.build("digits_cnn", compile=False))
    large = network(resnet)
    assert large.get_size_inches()[1] > 2 * small.get_size_inches()[1]
    assert_mentions(texts(small), "block1_conv1", "8 × 8 × 32", "9,248", "100,458")
    png(small)


def test_no_cells_of_a_network_overlap_and_all_are_inside(resnet):
    for model in (
        resnet,
        kzoo.build("text_cnn", compile=False),
        kzoo.build("tabular_transformer", compile=False),
        keras.Sequential([keras.Input((3,)), layers.Dense(2, name="W" * 90)], name="M" * 30),
    ):
        figure = network(model)
        figure.draw_without_rendering()
        spots = [t.get_window_extent() for t in figure.axes[0].texts if t.get_text()]
        page = figure.bbox
        assert all(page.x0 <= s.x0 and s.x1 <= page.x1 for s in spots[2:])
        assert all(page.y0 <= s.y0 and s.y1 <= page.y1 for s in spots)
        for i, one in enumerate(spots):
            for other in spots[i + 1 : i + 12]:
                assert one.x1 <= other.x0 or other.x1 <= one.x0 or one.y0 > other.y0


def test_the_network_of_a_users_model_is_drawn_and_a_model_without_a_graph_is_refused():
    x = keras.Input((4,), name="a$b")
    shared = layers.Dense(4, name="shared")
    model = keras.Model(
        x, layers.Concatenate()([shared(x), shared(shared(x)), layers.Dense(2)(x), x])
    )
    figure = network(model)
    png(figure)
    assert [row[2] for row in rows(figure) if row[0] == "shared"] == ["a$b, shared"]
    png(network(keras.Sequential([keras.Input((3,)), layers.Dense(2)])))
    with refuses("Sequential", "functional"):
        network(keras.Sequential([layers.Dense(3)]))


def test_the_titles_of_the_grid_have_the_predicted_and_the_true_label():
    images = np.random.default_rng(0).integers(0, 255, (3, 8, 8, 1))
    figure = prediction_grid(images, [0, 1, 1], [0, 1, 0], class_names=("cat", "dog"))
    *right, wrong = (a.get_title() for a in figure.axes)
    assert right == ["cat", "dog"]
    assert_mentions(wrong, "dog", "cat")
    png(figure)
    mixed = prediction_grid([np.zeros((4, 5, 3)), np.ones((9, 9))], ["a", "b"])
    assert [a.get_title() for a in mixed.axes] == ["a", "b"]
    assert len(prediction_grid(np.zeros((50, 4, 4)), range(50)).axes) == 36


@pytest.mark.parametrize(
    ("images", "predicted", "parts"),
    [
        ([], [], ("images", "empty")),
        (np.zeros((2, 4, 4)), [1], ("predicted", "1", "2")),
        (np.zeros((1, 4)), [1], ("(4,)", "(height, width)", "(height, width, channels)")),
    ],
)
def test_the_grid_refuses_wrong_shapes_and_counts(images, predicted, parts):
    with refuses(*parts):
        prediction_grid(images, predicted)


def test_no_global_figure_is_made():
    curves(HISTORY)
    if "matplotlib.pyplot" in sys.modules:
        assert not sys.modules["matplotlib.pyplot"].get_fignums()

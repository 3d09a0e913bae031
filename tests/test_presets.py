"""The contract of all presets: these tests run for a new preset as soon as it is registered."""

import inspect
import math
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from messages import refuses

import kzoo
from kzoo.training.setup import make_variables
from kzoo.zoo import contract
from kzoo.zoo.network import table_of
from kzoo.zoo.registry import family_builder, resolve
from kzoo.zoo.registry.family import builder_of
from kzoo.zoo.results import network_of

NAMES = kzoo.list_presets(["*", "*@*"])
# by gradients
TRAINED = [name for name in NAMES if not builder_of(kzoo.get_preset(name).family).closed_form]


def small(name):
    """Return overrides that shrink a preset: the same kinds of layers, fewer of everything."""
    config = kzoo.get_preset(name).config
    less = {}
    if "vocabulary_size" in config:
        less |= dict(vocabulary_size=30, input_shape=(12,))
        if config["outputs"] == config["vocabulary_size"]:
            less["outputs"] = 30
    if config["inputs"] == "series":
        less |= dict(input_shape=(24, config["input_shape"][1]))
        if config.get("horizon"):
            less["horizon"] = 4
        if "patch_size" in config:
            less |= dict(patch_size=8, patch_stride=4)
    if config["inputs"] == "image" and config["input_shape"][0] > 32:
        less["input_shape"] = (32, 32, 3)
    if "shares" in config:
        less |= dict(shares=84, groups=2, kernels_per_group=2)
    if "backbone" in config:
        less |= dict(backbone="efficientnet_lite0", cut="block2_2_add")
    for key in ("units", "filters"):
        if key in config:
            wide = 16 if name.startswith(("cifar_mobile", "cifar_resnet")) else 12
            less[key] = (wide,) * min(len(config[key]), 2)
    for key in ("dropout", "pool_size"):
        if isinstance(config.get(key), list | tuple):  # a value for each of these
            less[key] = tuple(config[key])[:2]
    if "depth" in config:
        less["depth"] = min(config["depth"], 2)
    if "width" in config:
        less |= dict(width=16, num_heads=2, intermediate_dim=16)
    if "embedding_dim" in config:
        less["embedding_dim"] = 12
    if config.get("members"):
        less |= dict(members=3, bins=6, bins_dim=3)
    return less


def still(name):
    """Return overrides without regularisation, for overfitting."""
    preset = kzoo.get_preset(name)
    zero = {
        k: 0.0
        for k in ("dropout", "units_dropout", "dense_dropout", "embedding_dropout", "l1", "l2")
        if k in preset.config
    }
    if "labels" in preset.training:
        zero |= dict(labels="integer", label_smoothing=0.0)
    # Few optimizers take fewer operations for each weight to trace, and it needs no more steps than Adam does.
    return zero | dict(
        optimizer="rmsprop", learning_rate=1e-2, schedule="constant", warmup=0.0, weight_decay=0.0
    )


def predict(model, x):
    return keras.ops.convert_to_numpy(model.predict_on_batch(x))


def batch(name, model, n=8, seed=0):
    """Return inputs and targets that fit a model, different for each row."""
    rng = np.random.default_rng(seed)
    preset = kzoo.get_preset(name)
    config = kzoo.spec_of(model)["config"]
    shape = tuple(config["input_shape"])
    if config["inputs"] == "tokens":
        x = rng.integers(2, config["vocabulary_size"], (n, *shape)).astype("int32")
    elif config["inputs"] == "image":
        x = rng.integers(0, 256, (n, *shape)).astype("float32")
    else:
        x = rng.normal(size=(n, *shape)).astype("float32")
    out = model.output_shape
    if contract.head_of(preset.task, config) == "linear":
        return x, rng.normal(size=(n, *out[1:])).astype("float32")
    classes = max(out[-1], 2)
    labels = np.arange(n) % classes if len(out) == 2 else rng.integers(0, classes, (n, *out[1:-1]))
    return x, labels.astype("int32")


@pytest.mark.parametrize("name", NAMES)
def test_names_in_config_are_arguments_of_the_builder(name):
    preset = kzoo.get_preset(name)
    builder, fixed = family_builder(preset.family)
    parameters = inspect.signature(builder).parameters
    assert set(preset.config) <= set(parameters) - set(fixed) - {"name"}
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters.values())
    assert preset.summary.endswith(".")
    assert preset.reference.startswith("https://")
    assert preset.dataset


def test_five_hundred_rows_or_images_are_enough_steps():
    """Epochs that were chosen on many examples are too few on a small data set: `min_steps` makes up for it."""
    for name in TRAINED:
        preset = kzoo.get_preset(name)
        training = preset.training
        # which is trained already
        if preset.config["inputs"] in ("rows", "image") and "backbone" not in preset.config:
            # a tenth is for validation
            steps = training["epochs"] * math.ceil(450 / training["batch_size"])
            assert max(steps, training["min_steps"]) >= 440, name


@pytest.mark.parametrize("name", NAMES)
def test_parameter_count_equals_the_recorded_count(name):
    model = kzoo.build(name, compile=False)
    count = model.count_params()
    assert count == kzoo.get_preset(name).params, f"write params={count:_} into the preset {name!r}"
    assert network_of(name) == table_of(model), "run `python recipes/tables.py networks`"


def idle_variables(model, x, y, steps, until=0.0):
    """Train `steps` times on the same batch, or until the loss is below a share of the first loss.

    Returns:
        The losses, and the trainable variables that did not move.
    """
    make_variables(model, (x, y))  # or the step would be traced twice
    before = model.get_weights()
    losses = []
    # The loss in training mode: moving averages of batch norm need more steps than a tiny batch deserves.
    while len(losses) < steps and not (losses and losses[-1] < until * losses[0]):
        losses.append(float(model.train_on_batch(x, y)[0]))
    pairs = zip(model.weights, before, model.get_weights(), strict=True)
    moved = {w.path: not np.array_equal(a, b) for w, a, b in pairs}
    # The key bias of attention shifts every score of a query alike: its gradient is zero by construction.
    return losses, [
        v.path
        for v in model.trainable_variables
        if not moved[v.path] and not v.path.endswith("key/bias")
    ]


# A preset for each path through a builder; all presets: `-m slow`.
SHAPES = (
    "tabular_fnn",
    "tabular_resnet",
    "tabular_tabm",
    "text_ngrams",
    "cifar_cnn",
    "cifar_resnet",
    "cifar_mobile",
    "text_cnn",
    "series_tcn",
    "imdb_rnn",
    "text_bilstm",
    "char_gru",
    "cifar_vit",
    "text_transformer",
    "char_transformer",
    "char_gpt",
    "series_transformer",
    "tabular_transformer",
    "series_linear",
)
LEARNERS = (*SHAPES, "image_pretrained")
# They need few steps, which without tracing take less time than tracing takes.
QUICK_LEARNERS = {
    "adding_rnn",
    "cifar_cnn",
    "cifar_resnet",
    "series_tcn",
    "series_transformer",
    "tabular_fnn",
    "tabular_resnet",
    "tabular_tabm",
}


@pytest.mark.parametrize(
    "name", [n if n in LEARNERS else pytest.param(n, marks=pytest.mark.slow) for n in TRAINED]
)
def test_a_shrunken_copy_overfits_a_tiny_batch_and_every_gradient_exists(name, request):
    if name in QUICK_LEARNERS:
        request.getfixturevalue("untraced")
    model = kzoo.build(name, seed=0, **small(name) | still(name))
    losses, idle = idle_variables(model, *batch(name, model), steps=100, until=0.3)
    linear = len([layer for layer in model.layers if layer.weights]) == 1  # which memorises nothing
    assert min(losses[-10:]) < (0.9 if linear else 0.3) * losses[0], (
        f"loss {losses[0]:.3f} -> {min(losses[-10:]):.3f}"
    )
    assert idle == []


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("name", [n for n in TRAINED if n not in LEARNERS])
def test_a_step_of_a_shrunken_copy_lowers_the_loss_and_every_gradient_exists(name):
    model = kzoo.build(name, seed=0, **small(name) | still(name) | dict(learning_rate=1e-3))
    (before, after), idle = idle_variables(model, *batch(name, model), steps=2)
    assert after < before
    assert idle == []


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_every_gradient_exists_at_full_size(name):
    model = kzoo.build(name, seed=0, **still(name))
    losses, idle = idle_variables(model, *batch(name, model), steps=3)
    assert np.isfinite(losses).all()
    assert idle == []


def check_padding(name, overrides):
    """Left, right and other amounts of padding give the same answer; another order of the words changes it."""
    model = kzoo.build(name, seed=0, compile=False, **overrides)
    length = kzoo.spec_of(model)["config"]["input_shape"][0]
    words = np.random.default_rng(1).integers(2, 30, 5)
    rng = np.random.default_rng(2)
    # biases of zero would hide the effect of padding
    for weight in model.trainable_variables or model.weights:
        drawn = rng.normal(scale=0.3 / max(1, weight.shape[-1] / 24) ** 0.5, size=weight.shape)
        # whole numbers are divided by it
        drawn = 100 + drawn if weight.name == "embeddings_scale" else drawn
        weight.assign(rng.integers(0, 64, weight.shape) if weight.dtype == "int8" else drawn)
    rows = np.zeros((6, length), "int32")
    for row, (start, order) in enumerate(
        [(0, 1), (length - 5, 1), (3, 1), (0, -1), (length - 5, -1)]
    ):
        rows[row, start : start + 5] = words[::order]
    answers = predict(model, rows)
    assert np.isfinite(answers).all()  # the last row is all padding
    assert np.abs(answers[1:3] - answers[0]).max() < 1e-5
    assert np.abs(answers[4] - answers[3]).max() < 1e-5
    bag = kzoo.get_preset(name).family == "fnn"  # a bag of words, whose ids of pairs hold the order
    assert bool(np.abs(answers[3] - answers[0]).max() > 1e-4) is not bag


TEXTS = [n for n in NAMES if kzoo.get_preset(n).task == "text_classification"]


@pytest.mark.parametrize("name", TEXTS)
def test_padding_never_changes_an_answer_and_order_does(name):
    check_padding(name, small(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", TEXTS)
def test_padding_at_full_size(name):
    check_padding(name, {})


CHILD = """
import gc, sys
gc.set_threshold(200_000, 20, 100)
sys.modules["kzoo"] = None  # as on a machine where it is not installed
import keras, numpy as np
for name in sys.argv[1:]:
    model = keras.saving.load_model(f"{name}.keras", safe_mode=True)
    data = np.load(f"{name}.npz")
    difference = np.abs(keras.ops.convert_to_numpy(model(data["x"], training=False)) - data["y"]).max()
    print(name, model.name, difference)
"""


def check_saved(names, overrides):
    for name in names:
        model = kzoo.build(name, seed=0, **overrides(name))
        x, _ = batch(name, model, n=3)
        model.save(f"{name}.keras")
        np.savez(f"{name}.npz", x=x, y=keras.ops.convert_to_numpy(model(x, training=False)))
        keras.utils.clear_session(free_memory=False)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *names], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [(line[0], line[1]) for line in lines] == [(n, n) for n in names]
    assert max(float(line[2]) for line in lines) < 1e-5


@pytest.mark.usefixtures("warm_children")
def test_saved_models_open_where_kzoo_is_not_installed():
    check_saved(SHAPES, small)


@pytest.mark.slow
def test_full_size_models_open_where_kzoo_is_not_installed():
    check_saved(NAMES, lambda name: {})


BACKEND = """
import sys, os
sys.path.insert(0, sys.argv[1])
import numpy as np, keras, kzoo
import test_presets as t
for name in t.NAMES:
    model = kzoo.build(name, seed=0, **t.small(name) | t.still(name))
    x, y = t.batch(name, model)
    losses = [float(model.train_on_batch(x, y)[0]) for _ in range(40)]
    first, last = losses[0], min(losses[-5:])
    print(keras.backend.backend(), name, first, last, flush=True)
    if name in t.TEXTS:
        t.check_padding(name, t.small(name))
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_every_preset_builds_and_learns_on_other_backends(backend, monkeypatch):
    pytest.importorskip(backend, reason=f"pip install 'kzoo[{backend}]'")
    monkeypatch.setenv("KERAS_BACKEND", backend)
    done = subprocess.run(
        [sys.executable, "-c", BACKEND, str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith(backend)]
    assert [row[1] for row in rows] == NAMES
    assert [row[1] for row in rows if not float(row[3]) < 0.8 * float(row[2])] == []


def test_overrides_reach_the_builder_and_the_contract():
    model = kzoo.build(
        "cifar_cnn", outputs=100, filters=(8, 16, 32), learning_rate=5e-4, output_activation=None
    )
    assert model.output_shape == (None, 100)
    assert model.loss.get_config()["from_logits"] is True
    assert float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)) == pytest.approx(5e-4)
    config, training = resolve(kzoo.get_preset("cifar_cnn"), dict(rescale=False, labels="onehot"))
    assert (config["rescale"], training["labels"]) == (False, "onehot")


def test_rescale_false_takes_images_that_are_divided_by_255_already():
    raw = kzoo.build("digits_cnn", seed=0)
    scaled = kzoo.build("digits_cnn", seed=0, rescale=False)
    x = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1)).astype("float32")
    difference = np.abs(predict(raw, x) - predict(scaled, x / 255))
    assert difference.max() < 1e-6


def test_labels_onehot_trains_as_the_tutorial_does():
    model = kzoo.build("iris_fnn", labels="onehot", label_smoothing=0.1)
    x = np.random.default_rng(0).normal(size=(12, 4)).astype("float32")
    y = np.eye(3, dtype="float32")[np.arange(12) % 3]
    make_variables(model, (x, y))  # or the step would be traced twice
    assert np.isfinite(model.fit(x, y, verbose=0).history["loss"][0])


def test_a_number_of_thousands_of_digits_is_refused():
    with refuses("units", "a very large int"):
        kzoo.build("tabular_fnn", units=(4, 10**5000))

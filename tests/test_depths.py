"""`layer_decay`: each layer's step is the learning rate times a power of its depth, whatever the optimizer.

The class of faults: a setting that is stored and shown, and has no effect, or another effect than its description.
"""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from messages import refuses

import kzoo
from kzoo.zoo.contract import make_optimizer
from kzoo.zoo.layer_decay import apply_layer_decay, layer_depths
from kzoo.zoo.registry.arguments import OPTIMIZERS

RATE, DECAY, WEIGHT_DECAY = 0.05, 0.5, 0.1
DEEP = dict(low=2, norm=2, middle=1, outputs=0)  # of `chain`


def chain():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,), name="inputs")
    x = layers.Dense(4, name="low", activation="tanh")(inputs)
    x = layers.LayerNormalization(name="norm")(x)
    x = layers.Dense(4, name="middle", activation="tanh")(x)
    return keras.Model(inputs, layers.Dense(2, name="outputs")(x))


def test_depths_count_kernels_on_the_longest_path_to_the_output():
    assert layer_depths(chain()) == DEEP | {"inputs": 3}
    deep = layer_depths(kzoo.build("cifar_resnet", compile=False, filters=(4, 8), depth=2))
    convolutions = [f"block{i}_{j}_{c}_conv" for i in (2, 1) for j in (2, 1) for c in "ba"]
    assert [deep[name] for name in convolutions] == [1, 2, 3, 4, 5, 6, 7, 8]


def values(model):
    return {v.path: np.array(keras.ops.convert_to_numpy(v)) for v in model.trainable_variables}


def after(name, decay, gradients, **more):
    """Return the weights after a step for each of the lists of gradients, and before."""
    model = chain()
    training = dict(
        optimizer=name, learning_rate=RATE, schedule="constant", weight_decay=WEIGHT_DECAY
    )
    optimizer = make_optimizer(training | more)
    if decay != 1:
        apply_layer_decay(optimizer, model, decay)
    before = values(model)
    for step in gradients:
        tensors = [keras.ops.convert_to_tensor(step[v.path]) for v in model.trainable_variables]
        optimizer.apply(tensors, model.trainable_variables)
    return values(model), before


def random_gradients(count):
    random = np.random.default_rng(0)
    return [
        {v.path: random.normal(size=v.shape).astype("float32") for v in chain().weights}
        for _ in range(count)
    ]


def check_optimizers(names):
    """Compare a single step: later steps start from other weights, and decay differently."""
    gradients = random_gradients(1)
    for name in names:
        (whole, before), (slowed, _) = after(name, 1.0, gradients), after(name, DECAY, gradients)
        for path, old in before.items():
            full = whole[path] - old
            share = DECAY ** DEEP[path.split("/")[0]]
            assert np.abs(full).max() > 1e-4, (name, path)
            np.testing.assert_allclose(
                slowed[path] - old, share * full, rtol=1e-3, atol=3e-7, err_msg=f"{name} {path}"
            )


# the most common, and two that store more than a gradient of each weight
SOME = ("adamw", "nadam", "muon")


@pytest.mark.parametrize(
    "names", [SOME, pytest.param([n for n in OPTIMIZERS if n not in SOME], marks=pytest.mark.slow)]
)
def test_optimizers_step_and_decay_by_the_share_of_the_depth(names):
    check_optimizers(names)


def by_hand(gradients, before, *, momentum):
    """Nesterov's SGD with decoupled weight decay, which leaves out biases and norms, at a rate for each layer."""
    weights = {path: v.astype("float64") for path, v in before.items()}
    velocity = dict.fromkeys(before, 0.0)
    for step in gradients:
        for path, gradient in step.items():
            rate = RATE * DECAY ** DEEP[path.split("/")[0]]
            if path.endswith("kernel"):
                weights[path] = weights[path] * (1 - WEIGHT_DECAY * rate)
            velocity[path] = momentum * velocity[path] - rate * gradient
            weights[path] = weights[path] + momentum * velocity[path] - rate * gradient
    return weights


def test_several_steps_are_those_of_the_textbook():
    gradients = random_gradients(4)
    weights, before = after("momentum", DECAY, gradients, momentum=0.8)
    for path, value in by_hand(gradients, before, momentum=0.8).items():
        np.testing.assert_allclose(weights[path], value, rtol=1e-5, atol=1e-6, err_msg=path)


def test_averaged_weights_are_those_of_the_slowed_steps():
    """The mean over steps is made where the optimizer steps: it must not see the whole step."""
    model = chain()
    optimizer = make_optimizer(
        dict(optimizer="sgd", learning_rate=RATE, schedule="constant", ema=0.5)
    )
    apply_layer_decay(optimizer, model, DECAY)
    optimizer.build(model.trainable_variables)
    mean = values(model)
    for step in random_gradients(2):
        optimizer.apply(
            [keras.ops.convert_to_tensor(step[v.path]) for v in model.trainable_variables]
        )
        now = values(model)
        # Keras' own average begins at zero in its first step, as it then takes the weights themselves.
        mean = (
            now
            if int(optimizer.iterations) == 1
            else {path: (mean[path] + now[path]) / 2 for path in now}
        )
    for variable, average in zip(
        model.trainable_variables, optimizer._model_variables_moving_average, strict=True
    ):
        np.testing.assert_allclose(np.array(average), mean[variable.path], rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("untraced")
def test_the_setting_reaches_training_and_the_file_has_an_optimizer_of_keras(tmp_path):
    settings = dict(units=(6, 5), optimizer="sgd", learning_rate=0.1, weight_decay=0.0)
    x = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
    y = np.arange(8) % 3
    moved = {}
    for decay in (1.0, 0.25):
        model = kzoo.build("iris_fnn", seed=0, layer_decay=decay, **settings)
        before = values(model)
        model.train_on_batch(x, y)
        moved[decay] = {path: value - before[path] for path, value in values(model).items()}
    for path, whole in moved[1.0].items():
        depth = dict(hidden1_dense=2, hidden2_dense=1, outputs=0)[path.split("/")[0]]
        np.testing.assert_allclose(moved[0.25][path], whole * 0.25**depth, rtol=1e-3, atol=1e-7)
    model.save(tmp_path / "m.keras")
    assert type(keras.saving.load_model(tmp_path / "m.keras").optimizer) is keras.optimizers.SGD


def test_a_layer_decay_out_of_range_is_refused():
    for wrong, limit in ((0.0, "1"), (1.5, "0")):
        with refuses(f"layer_decay={wrong}", limit):
            kzoo.build("iris_fnn", layer_decay=wrong)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends(backend, monkeypatch):
    pytest.importorskip(backend, reason=f"pip install 'kzoo[{backend}]'")
    monkeypatch.setenv("KERAS_BACKEND", backend)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_depths as t; t.check_optimizers(t.OPTIMIZERS); "
        "t.test_several_steps_are_those_of_the_textbook(); t.test_averaged_weights_are_those_of_the_slowed_steps()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent)], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]

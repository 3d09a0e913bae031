"""Conversion of images from any source to arrays of one shape. Pillow is only imported for files (`decode.py`)."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from kzoo.inference.kinds.image.folders import KINDS, glance, glance_new, images_below
from kzoo.inference.sources.arrays import as_array, check_count, numeric_array
from kzoo.inference.sources.files import existing_path
from kzoo.inference.sources.folders import ignored_files_note, ignored_files_notes
from kzoo.inference.sources.shards import folder_at, shards_of
from kzoo.inference.sources.unreadable import Unread
from kzoo.problems.kinds import Shown
from kzoo.problems.layout import InputFacts, Preprocessor, RawInputs
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.files import JsonObject

__all__ = [
    "check",
    "draw",
    "edges",
    "example",
    "form",
    "gather",
    "glance",
    "glance_new",
    "read",
    "received",
    "show",
    "views",
]
ImageSource: TypeAlias = Any  # a path, the bytes of a file, a PIL image or an array of pixels

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_ROUNDING = 1e-2  # tolerance outside 0..255, for (x / 255) * 255


def check_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """Return the shape as three ints.

    Raises:
        KzooError: unless it is (height, width, channels) with 1, 3 or 4 channels.
    """
    whole = isinstance(shape, tuple | list) and all(
        isinstance(n, int | np.integer) and n > 0 for n in shape
    )
    if not whole or len(shape) != 3 or shape[2] not in MODES:
        raise KzooError(
            f"Image shape {shape!r} must be (height, width, channels), with 1, 3 or 4 channels."
        )
    height, width, channels = shape
    return int(height), int(width), int(channels)


def image_preprocessing(shape: Sequence[int]) -> JsonObject:
    """Return the JSON data with which `read` converts any image to this (H, W, C)."""
    return {
        "kind": "image",
        "shape": list(check_shape(shape)),
        "resize": "cover",
        "background": "white",
    }


def read(reader: Preprocessor, raw: RawInputs) -> tuple[np.ndarray, RawInputs]:
    """Return images as float32 (N, H, W, C), 0..255, converted to shape in the same way as training images.

    Args:
        reader: from `image_preprocessing`.
        raw: a file, a folder (its images, sorted by name), a PIL image, an array of pixels 0..255
            ((N, H, W, C), (N, H, W), or one image), or a list of files, PIL images or arrays.

    Returns:
        (x, items): a file that cannot be read has no row in x, and is an `Unread` among the items.

    Raises:
        KzooError: there are no images, an item is neither an image nor a file, or an array does not hold pixels.
    """
    shape = tuple(reader["shape"])
    if isinstance(raw, np.ndarray):
        images = _batch(numeric_array(raw, "Images"), shape)
        check_pixels([images])
        size = images.shape[1:]
        if size == shape or (*size, 1) == shape:
            return images.reshape(-1, *shape).astype("float32"), raw
        return _filled(lambda image: _from_array(image, shape), images, shape)[0], raw
    raw = list(raw) if isinstance(raw, list | tuple) else image_paths(raw)
    check_pixels(
        numeric_array(item, "Images", many=False) for item in raw if isinstance(item, np.ndarray)
    )
    x, unread = _filled(lambda item: _read_image(item, shape), raw, shape)
    files = [
        item
        for index, item in enumerate(raw)
        if not isinstance(item, np.ndarray) and index not in unread
    ]
    for line in _decoder().dim_image_notes(files) if files else ():
        warn(line)
    if not unread:
        return x, raw
    return np.delete(x, list(unread), axis=0), [
        unread.get(index, item) for index, item in enumerate(raw)
    ]


def check(reader: Preprocessor, x: np.ndarray) -> None:
    """Raise KzooError if the pixels of an array in the network's shape are not 0..255."""
    check_pixels([x])


def check_pixels(arrays: Iterable[np.ndarray], *, trained: bool = False) -> None:
    """Raise KzooError unless the pixels of all arrays together are 0..255; warn if they probably are not.

    A dark image may have no pixel above 1, but its pixels are integers; fractions are the result of a division.

    Args:
        arrays: numbers without NaN.
        trained: whether a network is trained on them, which can be told not to rescale.

    Raises:
        KzooError: with the range of the pixels, and how to convert them to 0..255.
    """
    ends = []
    whole = True
    floats = False
    for array in arrays:
        if array.size:
            ends += [float(array.min()), float(array.max())]
            floats = floats or array.dtype.kind == "f"
            whole = whole and (
                array.dtype.kind != "f" or max(ends) > 1 or bool((array == np.rint(array)).all())
            )
    if not ends:
        return
    low, high = min(ends), max(ends)
    hint = " Or pass rescale=False." if trained else ""
    if low < -_ROUNDING or high > 255 + _ROUNDING:
        fix = "Rescale them to 0..255"
        if low >= -1 - _ROUNDING and high <= 1 + _ROUNDING:
            fix = "If they were scaled to -1..1, pass (x + 1) * 127.5"
        elif whole and low >= 0 and high < 2**16:
            fix = "Divide 16-bit images by 257, 12-bit images by 16"
        raise KzooError(
            f"Pixels must be in 0..255, but they are in {low:g}..{high:g}. {fix}.{hint}"
        )
    if high > 1:
        return
    if not whole or (trained and floats):
        alternative = "or rescale=False" if trained else "or x * 255"
        raise KzooError(
            "Pixels seem to be divided by 255 (all are in 0..1), but kzoo expects 0..255 and rescales inside the "
            f"model. Pass the raw pixels, {alternative}."
        )
    if low < high:
        line = "All pixels are 0 or 1, but white is 255. If 1 means white, pass x * 255."
        warn(line)


def _filled(
    read_one: Callable[[Any], Any], items: Sequence[Any] | np.ndarray, shape: Sequence[int]
) -> tuple[np.ndarray, dict[int, Unread]]:
    """Read each item into its row of float32 (N, H, W, C): a list of all images would be a second copy.

    Returns:
        (x, unread): index -> `Unread`; the rows of these are undefined.
    """
    if not len(items):
        raise KzooError("No images to read. Pass at least one.")
    x = np.empty((len(items), *shape), "float32")
    unread = {}

    def fill(index: int) -> None:
        image = read_one(items[index])
        if isinstance(image, Unread):
            unread[index] = image
        else:
            x[index] = image

    if len(items) == 1:
        fill(0)
        return x, unread
    with ThreadPoolExecutor(threads()) as pool:
        for _ in pool.map(fill, range(len(items))):
            pass  # re-raises exceptions of the threads
    return x, unread


def gather(words: Sequence[str]) -> list[str | Path]:
    """Return the image files named on the command line, including those in folders."""
    files: list[str | Path] = []
    for word in words:
        located = existing_path(word)
        if (shards := shards_of(located)) is not None:
            files += image_paths(shards)
            continue
        path = Path(located)
        files += map(str, image_paths(path)) if path.is_dir() else [str(path)]
    return files


def received(reader: Preprocessor, given: RawInputs, most: int | None = None) -> RawInputs:
    """Return uploaded images: the bytes of files, whose headers are checked first, or pixels."""
    items = given if isinstance(given, list) else [given]
    if any(isinstance(item, bytes) for item in items):
        if not all(isinstance(item, bytes) for item in items):
            raise KzooError("Pass either all images as files or all images as pixels.")
        check_count(len(items), most)
        for item in items:
            _decoder().check_header(item, reader["shape"])
        return items
    if any(isinstance(item, str | dict) for item in items):
        raise KzooError(
            'Upload images, or send their pixels, or {"b64": ...}. File names and URLs are not accepted.'
        )
    images = as_array(given, "Images")
    check_count(len(images) if images.ndim > 3 else 1, most)
    return images


def form(reader: Preprocessor) -> dict[str, int]:
    """Return the size to which images are converted."""
    return dict(zip(("height", "width", "channels"), reader["shape"], strict=True))


def example(reader: Preprocessor, x: np.ndarray | None) -> list[Any] | None:
    """Return the pixels of an image."""
    return None if x is None else x.astype("uint8").tolist()


def show(reader: Preprocessor, x: np.ndarray, names: Sequence[str]) -> Shown:
    """Return images as data URLs."""
    return Shown(form="image", heads=[], cells=[_decoder().data_url(image) for image in x])


def views(x: np.ndarray, name: str) -> Iterator[tuple[float, np.ndarray]]:
    """Yield (weight, images (B, H, W, C)) for each view of test-time augmentation, as in arXiv:2404.00498.

    Args:
        x: (B, H, W, C).
        name: "mirror": unchanged and mirrored; "shift": both also shifted by a pixel, up-left and down-right, with the
            border mirrored; the shifted ones together count as much as the others.
    """
    shifts = [(1.0, x)]
    if name == "shift":
        wide = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
        shifts = [(0.5, x), (0.25, wide[:, 2:, 2:]), (0.25, wide[:, :-2, :-2])]
    for share, view in shifts:
        yield share / 2, view
        yield share / 2, view[:, :, ::-1]


def draw(given: InputFacts, random: np.random.Generator, shape: Sequence[int]) -> np.ndarray:
    """Return random pixels: smooth with some noise."""
    count, height, width, channels = shape
    coarse = random.random((count, -(-height // 4), -(-width // 4), channels))
    smooth = coarse.repeat(4, axis=1).repeat(4, axis=2)[:, :height, :width]
    pixels = np.round(255 * (0.7 * smooth + 0.3 * random.random(shape)))
    return pixels if given["pixels"] == 255 else pixels / 255


def edges(given: InputFacts, rows: np.ndarray) -> np.ndarray:
    """Return a black image, a white one, the negative of one, and the rows."""
    black = np.zeros_like(rows[:1])
    white = np.full_like(rows[:1], given["pixels"])
    return np.concatenate([black, white, white - rows[:1], rows])


def image_paths(source: RawInputs) -> list[Any]:
    """Return the images of a file, a folder or a PIL image, as a list."""
    if isinstance(source, str | Path) and folder_at(source).is_dir():
        folder = folder_at(source)
        return [folder / name for name in images_in(folder)]
    return [source]


def images_in(folder: Path) -> list[str]:
    """Return the names of the images in and below a folder, and warn of ignored files that may be images.

    Raises:
        KzooError: there are no images.
    """
    ignored: Counter[str] = Counter()
    names = images_below(folder, "", ignored)
    if not names:
        raise KzooError(
            f"{str(folder)!r} contains no images ({KINDS}).{ignored_files_note(ignored)}"
        )
    for line in ignored_files_notes(ignored, "images", KINDS):
        warn(line)
    return names


def _read_image(item: ImageSource, shape: Sequence[int]) -> np.ndarray | Unread:
    """Return an image (H, W, C), or an `Unread` for a file that cannot be read."""
    try:
        return _encode_image(item, shape)
    except KzooError as error:
        if not isinstance(item, str | Path):
            raise
        return Unread(item, str(error))


def _encode_image(item: ImageSource, shape: Sequence[int]) -> np.ndarray:
    if isinstance(item, np.ndarray):
        return _from_array(item, shape)
    return _decoder().decode(item, shape)


def _from_array(array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    fits = array.shape == shape or (*array.shape, 1) == shape
    return array.reshape(shape) if fits else _decoder().from_array(array, shape)


def _decoder() -> ModuleType:
    """Return the module that needs Pillow; arrays of the right shape do not need it."""
    try:
        return import_module("kzoo.inference.kinds.image.decode")
    except ImportError:
        raise KzooError(
            "Pillow is needed for all images except arrays of the model's shape: pip install pillow"
        ) from None


def channels_first(shape: Sequence[int], more: str = "") -> KzooError:
    """Return the error for images with channels before height and width."""
    return KzooError(
        f"Images must have channels last, but the shape {shape} has channels first. Pass np.moveaxis(x, -3, -1){more}."
    )


def _batch(array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Return an array of images with a batch axis: three axes are one image if the last one is the channels.

    Raises:
        KzooError: wrong number of axes, or colour channels before height and width.
    """
    height, width, channels = shape
    if array.shape[-3:] == (channels, height, width) != shape and (channels > 1 or array.ndim == 4):
        raise channels_first(
            array.shape,
            f"; for {channels} grey images pass x[..., None]" if array.ndim == 3 else "",
        )
    if array.ndim == 2 or (
        array.ndim == 3 and (array.shape == shape or array.shape[1:] != shape[:2])
    ):
        return array[None]
    if array.ndim in (3, 4):
        return array
    raise KzooError(f"An array of images must have 2 to 4 axes. Got the shape {array.shape}.")


def threads() -> int:
    return min(32, os.cpu_count() or 1)

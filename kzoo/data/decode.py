"""One image decoder and resizer, used in training and in prediction alike: Pillow and NumPy, no Keras.

Whatever comes in, an image of (H, W, C) whole numbers 0..255 comes out: turned the way its EXIF data says,
transparency on white, scaled until it covers (H, W) with its proportions kept, then the middle cut out. An
image that has the size already is not touched.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from kzoo.errors import KzooError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
KINDS = " ".join(extension[1:] for extension in EXTENSIONS)
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


class ImageFiles:
    """Images that are decoded when they are asked for: `files[indices]` -> uint8 (B, H, W, C).

    Args:
        root: the folder the names start from.
        names: file names below it.
        shape: (H, W, C).
    """

    def __init__(self, root, names, shape):
        self._root, self._names, self._size = Path(root), np.asarray(names, dtype=object), shape

    def __len__(self):
        return len(self._names)

    @property
    def shape(self):
        return (len(self), *self._size)

    dtype, ndim = np.dtype("uint8"), 4

    def paths(self):
        """Return the path of each image."""
        return [self._root / name for name in self._names]

    def __getitem__(self, indices):
        names = self._names[indices]
        if isinstance(names, str):
            return decode(self._root / names, self._size)
        pixels = np.empty((len(names), *self._size), "uint8")

        def fill(start):
            for i, name in enumerate(names[start : start + 8], start):
                pixels[i] = decode(self._root / name, self._size)

        with ThreadPoolExecutor(threads()) as pool:
            list(pool.map(fill, range(0, len(names), 8)))
        return pixels

    def __repr__(self):
        return f"<ImageFiles {self.shape}>"


def check_shape(shape) -> tuple[int, int, int]:
    """Return the shape as three ints.

    Raises:
        KzooError: unless it is (height, width, channels) with 1, 3 or 4 channels.
    """
    whole = isinstance(shape, tuple | list) and all(isinstance(n, int | np.integer) and n > 0 for n in shape)
    if not whole or len(shape) != 3 or shape[2] not in MODES:
        raise KzooError(f"Image shape {shape!r} must be (height, width, channels) with 1, 3 or 4 channels.")
    return tuple(int(n) for n in shape)


def decode(source, shape):
    """Return an image as uint8 (H, W, C).

    Args:
        source: a path, the bytes of a file, or a PIL image.
        shape: (H, W, C).

    Raises:
        KzooError: for a file that is not an image or is cut short.
    """
    name = f"image {Path(source).name!r}" if isinstance(source, str | Path) else "this image"
    if isinstance(source, Image.Image):
        return _to_shape(source, shape)
    if not isinstance(source, str | Path | bytes):
        raise KzooError(f"{source!r} is not an image: give a file, a PIL image or an array.")
    try:
        with Image.open(BytesIO(source) if isinstance(source, bytes) else source) as image:
            # A JPEG can be decoded at 1/2, 1/4 or 1/8 of its size at a fraction of the cost; it stays
            # twice as large as what is wanted, whichever way round the camera was held.
            image.draft(None, (2 * max(shape[:2]),) * 2)
            return _to_shape(image, shape)
    except FileNotFoundError:
        raise KzooError(f"There is no {name}.") from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        # Pillow raises all of these for a broken file.
        raise KzooError(f"Cannot read {name}: {_reason(error)}.") from None


def from_array(array, shape):
    """Return an array (H0, W0), (H0, W0, C0) of pixels 0..255 as (H, W, C), uint8 or as it came."""
    if array.ndim == 2:
        array = array[..., None]
    if array.shape == shape:
        return array
    pixels = np.clip(np.rint(array), 0, 255).astype("uint8")
    if array.shape[2] not in (1, 2, 3, 4):
        raise KzooError(f"An image array {array.shape} must be (height, width, channels), 1 to 4 channels.")
    return _to_shape(Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels), shape)


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
        images = [from_array(image, shape) for image in _batch(inputs, shape)]
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
    return from_array(np.asarray(item), shape) if isinstance(item, np.ndarray) else decode(item, shape)


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


def _to_shape(image, shape):
    height, width, channels = shape
    image = _eight_bit(ImageOps.exif_transpose(image), MODES[channels])
    if image.size != (width, height):
        share = min(image.width / width, image.height / height)
        left, top = (image.width - share * width) / 2, (image.height - share * height) / 2
        box = (left, top, left + share * width, top + share * height)
        image = image.resize((width, height), Image.Resampling.BILINEAR, box=box, reducing_gap=2.0)
    return np.asarray(image).reshape(shape)


def _eight_bit(image, mode):
    """Convert to L, RGB or RGBA; 16 bits become 8 by dividing, where Pillow alone would cut off at 255."""
    if image.mode == mode and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):  # I;16 in its byte orders, and I, which Pillow reads 16-bit grey as
        image = Image.fromarray((np.clip(np.asarray(image), 0, 65535) / 257).round().astype("uint8"))
    elif image.mode == "F":
        values = np.nan_to_num(np.asarray(image))
        image = Image.fromarray(np.clip(values * (255 if values.max() <= 1 else 1), 0, 255).astype("uint8"))
    if mode != "RGBA" and (image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(mode)


def _reason(error):
    if isinstance(error, Image.UnidentifiedImageError):
        return "not an image, or a format Pillow does not know"
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__


def threads():
    return min(32, os.cpu_count() or 1)

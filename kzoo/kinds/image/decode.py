"""One image decoder and resizer, used in training and in prediction alike: Pillow and NumPy, no Keras.

Whatever comes in, an image of (H, W, C) whole numbers 0..255 comes out: turned the way its EXIF data says,
transparency on white, scaled until it covers (H, W) with its proportions kept, then the middle cut out. An
image that has the size already is not touched.
"""

import base64
import hashlib
import math
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from kzoo.kinds.image import jpeg
from kzoo.kinds.image.inference import MODES, threads
from kzoo.utils.errors import KzooError
from kzoo.utils.files import check_regular, open_regular

_LARGEST = 64  # pixels of an image that stays as sharp as it was when it is shown
_THUMBNAIL = 192
_CHUNK = 8  # images that a thread decodes in one go
_HEAD, _TAIL = 16, 12  # bytes
# With what files begin and end that are whole: JPEG, PNG, GIF.
_WHOLE = ((b"\xff\xd8\xff", b"\xff\xd9"), (b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"), (b"GIF8", b";"))
# Of strangers' files: what is decoded is held several times over, while colours and transparency are converted.
_FORMATS, _MOST_DECODED, _MOST_PIXELS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF"), 1 << 24, 1 << 26
# How files begin and end that may hold 16 bits: PNG, TIFF. Images of them that stay below a quarter are dim.
_DEEP, _DEEP_NAMES, _DIM = (b"\x89PNG", b"II", b"MM"), (".png", ".tif", ".tiff"), 1 << 14
_DIM_FLOAT = 16  # of 255
_LOOKED = 64  # images
_SHARP = 2  # times the sides wanted are left when a JPEG is decoded at 1/2, 1/4 or 1/8 of its size


class ImageFiles:
    """Images that are decoded when they are asked for: `files[indices]` -> uint8 (B, H, W, C).

    Args:
        root: the folder the names start from.
        names: of all files below it.
        shape: (H, W, C).
        sizes: (all files,) bytes.
        rows: (N,) the places of these images among the names; None for all of them.
    """

    def __init__(self, root, names, shape, sizes, rows=None):
        self._root, self._names, self._size, self._sizes = os.path.join(root, ""), names, shape, sizes
        self._rows = np.arange(len(names)) if rows is None else rows

    def __len__(self):
        return len(self._rows)

    @property
    def shape(self):
        return (len(self), *self._size)

    dtype, ndim = np.dtype("uint8"), 4
    seconds = 4e-3  # that one takes to be decoded, about

    @property
    def sizes(self):
        """The bytes of each file (N,)."""
        return self._sizes[self._rows]

    def part(self, rows):
        """Return some of the images."""
        return ImageFiles(self._root, self._names, self._size, self._sizes, self._rows[rows])

    def path(self, place):
        """Return the path of an image."""
        return Path(self._root, self._names[self._rows[place]])

    def copies(self, other, rows) -> dict:
        """Return row -> the first image of `other` whose file holds the same bytes, for those of `rows` that have one.

        Files are read where one of `other` is as long.
        """
        copies, sizes = {}, other.sizes
        for row, size in zip(rows, self.sizes[rows], strict=True):
            alike = np.flatnonzero(sizes == size)
            digest = _digest(self.path(row)) if len(alike) else None
            twin = next((int(place) for place in alike if _digest(other.path(place)) == digest), None)
            if twin is not None:
                copies[int(row)] = twin
        return copies

    def __getitem__(self, indices):
        places = self._rows[indices]
        if np.ndim(places) == 0:
            return self._decoded(places)
        pixels = np.empty((len(places), *self._size), "uint8")

        def fill(start):
            for i, place in enumerate(places[start : start + _CHUNK], start):
                pixels[i] = self._decoded(place)

        with ThreadPoolExecutor(threads()) as pool:
            list(pool.map(fill, range(0, len(places), _CHUNK)))
        return pixels

    def _decoded(self, place):
        name = self._names[place]
        try:
            return decode(self._root + name, self._size)
        except KzooError as error:
            said = str(error).replace(repr(os.path.basename(name)), repr(name), 1)
            raise KzooError(f"{said} Put it back, or remove it and train anew.") from None

    def __repr__(self):
        return f"<ImageFiles {self.shape}>"


def _digest(path):
    return hashlib.sha256(path.read_bytes()).digest()


def fault(path):
    """Return how many bytes a file has, and what is wrong with it as an image; None where it looks whole.

    Beginning and end of the usual formats tell without the pixels; what they leave in doubt is decoded.
    """
    file = open_regular(path)
    try:
        size, head = os.fstat(file).st_size, os.read(file, _HEAD)
        os.lseek(file, max(size - _TAIL, 0), os.SEEK_SET)
        tail = os.read(file, _TAIL)
    finally:
        os.close(file)
    if any(head.startswith(start) and tail.endswith(end) for start, end in _WHOLE):
        return size, None
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP" and int.from_bytes(head[4:8], "little") + 8 <= size:
        return size, None
    try:
        decode(path, (1, 1, 3))
    except KzooError as error:
        return size, str(error)
    return size, None


def decode(source, shape):
    """Return an image as uint8 (H, W, C).

    A JPEG of four times the longer side wanted, or more, is decoded at 1/2, 1/4 or 1/8 of its size, so that at least
    twice that side is left to be scaled. Beside the whole image, photographs of 128x128 brought to 32x32 differ by 0.25
    of 255 on average and by 8 at most. Training, prediction and exported models read by this same rule.

    Args:
        source: a path, the bytes of a file, or a PIL image.
        shape: (H, W, C).

    Raises:
        KzooError: for a file that is not an image or is cut short, or whose numbers are no pixels.
    """
    if not isinstance(source, str | Path | bytes | Image.Image):
        raise KzooError(f"{source!r} is not an image: give a file, a PIL image or an array.")
    try:
        if isinstance(source, Image.Image):
            return _to_shape(ImageOps.exif_transpose(source), shape)
        return _decode_file(source, shape)
    except FileNotFoundError:
        raise KzooError(f"There is no {_named(source)}.") from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        # Pillow raises all of these for a broken file.
        raise KzooError(f"Cannot read {_named(source)}: {_reason(error)}.") from None


def _decode_file(source, shape):
    side = _SHARP * max(shape[:2])
    # From twice the side on, a JPEG is decoded at a part of its size.
    image = jpeg.plain(source if isinstance(source, bytes) else _start(source), below=2 * side)
    if image is not None:
        return _to_shape(image, shape)
    with Image.open(BytesIO(source) if isinstance(source, bytes) else source) as image:
        image.draft(None, (side, side))
        return _to_shape(ImageOps.exif_transpose(image), shape)


def check_header(content, shape):
    """Refuse the bytes of a stranger's file that are no image, or whose pixels would take too much memory.

    Only the header is read. A JPEG counts at the part of its size that it is decoded at.

    Raises:
        KzooError: which of them, and what the most is.
    """
    try:
        with Image.open(BytesIO(content), formats=_FORMATS) as image:
            width, height = image.size
            image.draft(None, (_SHARP * max(shape[:2]),) * 2)
            decoded = math.prod(image.size)
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise KzooError(f"Cannot read this image: {_reason(error)}.") from None
    if decoded > _MOST_DECODED or width * height > _MOST_PIXELS:
        raise KzooError(
            f"This image has {width:,} x {height:,} pixels, more than the {_MOST_DECODED:,} that are decoded "
            f"(of a JPEG {_MOST_PIXELS:,}): send a smaller one."
        )


def _start(path):
    """Return the bytes of a small file; of a large one enough to see that it is."""
    with open(open_regular(path), "rb", buffering=0) as file:
        return file.read(jpeg.SMALL + 1)


def _named(source):
    return f"image {Path(source).name!r}" if isinstance(source, str | Path) else "this image"


def size_of(path):
    """Return the width and height of an image file in pixels; None where it cannot be read."""
    try:
        with open(open_regular(path), "rb") as file, Image.open(file) as image:
            return image.size
    except (KzooError, OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
        return None


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


def data_url(array):
    """Return an image as a data URL, and whether it is small, which keeps its pixels."""
    pixels = np.asarray(array, "float64")
    if pixels.shape[-1] not in (1, 3):
        pixels = pixels[..., :1]
    low, high = pixels.min(initial=0), pixels.max(initial=0)
    if low < 0 or high > 255:  # scaled by the user
        pixels = (pixels - low) / max(high - low, 1e-9)
    if pixels.max(initial=0) <= 1:
        pixels = pixels * 255
    pixels = pixels.astype("uint8")
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    small, buffer = max(picture.size) <= _LARGEST, BytesIO()
    if small:
        picture.save(buffer, "PNG")
    else:
        picture.thumbnail((_THUMBNAIL, _THUMBNAIL))
        picture.save(buffer, "JPEG", quality=85)
    data = base64.b64encode(buffer.getvalue()).decode()
    return dict(url=f"data:image/{'png' if small else 'jpeg'};base64,{data}", small=small)


def _to_shape(image, shape):
    height, width, channels = shape
    image = _eight_bit(image, MODES[channels])
    if image.size != (width, height):
        share = min(image.width / width, image.height / height)
        left, top = (image.width - share * width) / 2, (image.height - share * height) / 2
        box = (left, top, left + share * width, top + share * height)
        image = image.resize((width, height), Image.Resampling.BILINEAR, box=box, reducing_gap=2.0)
    return np.frombuffer(image.tobytes(), "uint8").reshape(shape)


def dim(sources) -> list:
    """Return lines on images of 16 bits, and of floats, that use a small part of their range.

    Args:
        sources: paths, bytes or PIL images, of which some are looked at; what cannot be read among them is not.
    """
    highest, bright = 0, 0.0
    for source in sources[:: -(-len(sources) // _LOOKED) or 1]:
        with suppress(KzooError, OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
            found = _highest(source)
            highest, bright = (max(highest, found), bright) if isinstance(found, int) else (highest, max(bright, found))
    lines = []
    if 0 < highest < _DIM:
        bits = max(highest.bit_length(), 8)
        lines.append(
            f"Images of 16 bits reach {highest:,} of 65,535, read as {highest / 257:.0f} of 255: if they have {bits} "
            f"bits, multiply them by {2 ** (16 - bits)}."
        )
    if 1 < bright < _DIM_FLOAT:
        lines.append(
            f"Images of floats reach {bright:.3g} of 255, and look black: those whose numbers lie in 0..1 are "
            f"multiplied by 255, others are taken as they are. Bring them to 0..1 or to 0..255."
        )
    return lines


def _highest(source):
    """Return the highest number of an image of 16 bits or of floats; 0 of any other, by the beginning of its file."""
    if isinstance(source, Image.Image):
        if source.mode == "F":
            return float(np.max(source))
        return int(np.max(source)) if source.mode.startswith("I") else 0
    if not (source.startswith(_DEEP) if isinstance(source, bytes) else str(source).lower().endswith(_DEEP_NAMES)):
        return 0
    if not isinstance(source, bytes):
        check_regular(source)
    with Image.open(BytesIO(source) if isinstance(source, bytes) else source, formats=("PNG", "TIFF")) as image:
        return _highest(image)


def _eight_bit(image, mode):
    """Convert to L, RGB or RGBA; 16 bits become 8 by dividing, where Pillow alone would cut off at 255.

    Raises:
        ValueError: numbers of 32 bits that lie elsewhere, or are no numbers.
    """
    if image.mode == mode and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):  # I;16 in its byte orders, and I, which Pillow reads 16-bit grey as
        image = Image.fromarray((_within(np.asarray(image), 65535) / 257).round().astype("uint8"))
    elif image.mode == "F":
        values = _within(np.asarray(image), 255)
        image = Image.fromarray((values * (255 if values.max() <= 1 else 1)).astype("uint8"))
    if mode != "RGBA" and (image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(mode)


def _within(values, most):
    if bad := int(np.count_nonzero(~np.isfinite(values))):
        raise ValueError(
            f"it holds NaN or infinity in {bad:,} of {values.size:,} pixels: fill them in and save it anew"
        )
    low, high = values.min(), values.max()
    if low < 0 or high > most:
        raise ValueError(f"its numbers lie in {low:g}..{high:g}, not in 0..{most}: bring them there and save it anew")
    return values


def _reason(error):
    if isinstance(error, Image.UnidentifiedImageError):
        return "not an image, or a format Pillow does not know"
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__

"""The image decoder and resizer used in training and in prediction: Pillow and NumPy, no Keras.

Every image becomes (H, W, C) integers 0..255: rotated as its EXIF data says, transparency on white, scaled until it
covers (H, W) with its aspect ratio kept, then cropped at the center. An image of the right size is not changed.
"""

import base64
import hashlib
import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from kzoo.inference.kinds.image import jpeg
from kzoo.inference.kinds.image.inference import MODES, ImageSource, threads
from kzoo.inference.sources.shards import ShardFolder, read_member
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject, check_regular, open_regular

if TYPE_CHECKING:
    from kzoo.inference.kinds.image.folders import Names


_LARGEST = 64  # pixels; smaller images are shown without resampling
_THUMBNAIL = 192
_CHUNK = 8  # images that a thread decodes at a time
_HEAD, _TAIL = 16, 12  # bytes
# First and last bytes of complete files: JPEG, PNG, GIF.
_SIGNATURES = (
    (b"\xff\xd8\xff", b"\xff\xd9"),
    (b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"),
    (b"GIF8", b";"),
)
# Limits for uploads: decoded pixels are copied several times while colours and transparency are converted.
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF")
_MAX_DECODED_PIXELS = 1 << 24
_MAX_PIXELS = 1 << 26
# First bytes and suffixes of files that may have 16 bits: PNG, TIFF. Images below a quarter of the range are dim.
_DEEP_SIGNATURES = (b"\x89PNG", b"II", b"MM")
_DEEP_NAMES = (".png", ".tif", ".tiff")
_DIM = 1 << 14
_DIM_FLOAT = 16  # of 255
_MAX_CHECKED = 64  # images
_SHARP = 2  # times the target side: minimum size when a JPEG is decoded at 1/2, 1/4 or 1/8


class ImageFiles:
    """Images that are decoded on demand: `files[indices]` -> uint8 (B, H, W, C).

    Args:
        root: the folder to which the names are relative.
        names: of all files in it.
        shape: (H, W, C).
        sizes: (all files,) bytes.
        rows: (N,) indices of these images among the names; None for all of them.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        names: "Names | Sequence[str]",
        shape: Sequence[int],
        sizes: np.ndarray,
        rows: np.ndarray | None = None,
    ) -> None:
        self._folder = root
        self._root = os.path.join(root, "")
        self._names = names
        self._size = shape
        self._sizes = sizes
        self._rows = np.arange(len(names)) if rows is None else rows

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self._size)

    dtype = np.dtype("uint8")
    ndim = 4
    seconds = 4e-3  # approximate time to decode an image

    @property
    def sizes(self) -> np.ndarray:
        """The size of each file in bytes (N,)."""
        return self._sizes[self._rows]

    def part(self, rows: np.ndarray | slice) -> "ImageFiles":
        """Return some of the images."""
        return ImageFiles(self._folder, self._names, self._size, self._sizes, self._rows[rows])

    def path(self, index: int) -> Path:
        """Return the path of an image."""
        name = self._names[self._rows[index]]
        if isinstance(self._folder, ShardFolder):
            return self._folder / name
        return Path(self._root, name)

    def copies(self, other: "ImageFiles", rows: np.ndarray) -> dict[int, int]:
        """Return row -> the first image of `other` whose file has the same bytes, for those of `rows` that have one.

        Files are only read if a file of `other` has the same size.
        """
        copies = {}
        sizes = other.sizes
        of_other = cache(lambda index: _digest(other.path(index)))
        for row, size in zip(rows, self.sizes[rows], strict=True):
            candidates = np.flatnonzero(sizes == size)
            digest = _digest(self.path(row)) if len(candidates) else None
            duplicate = next(
                (int(index) for index in candidates if of_other(index) == digest), None
            )
            if duplicate is not None:
                copies[int(row)] = duplicate
        return copies

    def __getitem__(self, indices: int | slice | np.ndarray) -> np.ndarray:
        numbers = self._rows[indices]
        if np.ndim(numbers) == 0:
            return self._decoded(int(numbers))
        pixels = np.empty((len(numbers), *self._size), "uint8")

        def fill(start: int) -> None:
            for i, number in enumerate(numbers[start : start + _CHUNK], start):
                pixels[i] = self._decoded(number)

        with ThreadPoolExecutor(threads()) as pool:
            list(pool.map(fill, range(0, len(numbers), _CHUNK)))
        return pixels

    def _decoded(self, number: int) -> np.ndarray:
        name = self._names[number]
        try:
            if isinstance(self._folder, ShardFolder):
                return decode(self._folder.where(name), self._size)
            return decode(self._root + name, self._size)
        except KzooError as error:
            message = str(error).replace(repr(os.path.basename(name)), repr(name), 1)
            raise KzooError(f"{message} Restore the file, or remove it and train again.") from None

    def __repr__(self) -> str:
        return f"<ImageFiles {self.shape}>"


def _digest(path: Path) -> bytes:
    return hashlib.sha256(read_member(path) or path.read_bytes()).digest()


def find_fault(path: str | Path) -> tuple[int, str | None]:
    """Return the size of a file in bytes, and what is wrong with it as an image; None if it looks complete.

    The first and last bytes of common formats are enough; other files are decoded.
    """
    if (content := read_member(path)) is not None:
        size, head, tail = len(content), content[:_HEAD], content[-_TAIL:]
    else:
        size, head, tail = _ends(path)
    if any(head.startswith(start) and tail.endswith(end) for start, end in _SIGNATURES):
        return size, None
    if (
        head.startswith(b"RIFF")
        and head[8:12] == b"WEBP"
        and int.from_bytes(head[4:8], "little") + 8 <= size
    ):
        return size, None
    try:
        decode(path, (1, 1, 3))
    except KzooError as error:
        return size, str(error)
    return size, None


def _ends(path: str | Path) -> tuple[int, bytes, bytes]:
    """Return the size of a file, and its first and last bytes."""
    file = open_regular(path)
    try:
        size = os.fstat(file).st_size
        head = os.read(file, _HEAD)
        os.lseek(file, max(size - _TAIL, 0), os.SEEK_SET)
        return size, head, os.read(file, _TAIL)
    finally:
        os.close(file)


def decode(source: ImageSource, shape: Sequence[int]) -> np.ndarray:
    """Return an image as uint8 (H, W, C).

    A JPEG whose longer side is at least four times the target is decoded at 1/2, 1/4 or 1/8 of its size, so that at
    least twice the target is left for scaling. Compared with full decoding, photographs of 128x128 scaled to 32x32
    differ by 0.25 of 255 on average and by 8 at most. Training, prediction and exported models use the same rule.

    Args:
        source: a path, the bytes of a file, or a PIL image.
        shape: (H, W, C).

    Raises:
        KzooError: the file is not an image, is truncated, or its values are not pixels.
    """
    if not isinstance(source, str | Path | bytes | Image.Image):
        raise KzooError(f"{source!r} is not an image. Pass a file, a PIL image or an array.")
    try:
        if isinstance(source, Image.Image):
            return _to_shape(ImageOps.exif_transpose(source), shape)
        return _decode_file(source, shape)
    except FileNotFoundError:
        raise KzooError(f"Cannot find {_describe(source)}.") from None
    except KzooError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        # Pillow raises all of these for a broken file.
        raise KzooError(f"Cannot read {_describe(source)}: {_reason(error)}.") from None


def _decode_file(source: str | Path | bytes, shape: Sequence[int]) -> np.ndarray:
    if not isinstance(source, bytes) and (content := read_member(source)) is not None:
        source = content
    side = _SHARP * max(shape[:2])
    # A JPEG of at least twice this side is decoded at a fraction of its size.
    image = jpeg.plain(source if isinstance(source, bytes) else _start(source), below=2 * side)
    if image is not None:
        return _to_shape(image, shape)
    with Image.open(BytesIO(source) if isinstance(source, bytes) else source) as image:
        image.draft(None, (side, side))
        return _to_shape(ImageOps.exif_transpose(image), shape)


def check_header(content: bytes, shape: Sequence[int]) -> None:
    """Raise KzooError if uploaded bytes are not an image, or if its pixels would take too much memory.

    Only the header is read. For a JPEG, the size at which it is decoded counts.

    Raises:
        KzooError: the bytes are not an image, or it has too many pixels.
    """
    try:
        with Image.open(BytesIO(content), formats=_FORMATS) as image:
            width, height = image.size
            image.draft(None, (_SHARP * max(shape[:2]),) * 2)
            decoded = math.prod(image.size)
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise KzooError(f"Cannot read this image: {_reason(error)}.") from None
    if decoded > _MAX_DECODED_PIXELS or width * height > _MAX_PIXELS:
        raise KzooError(
            f"This image is too large: {width:,} x {height:,} pixels. At most {_MAX_DECODED_PIXELS:,} are decoded "
            f"({_MAX_PIXELS:,} for a JPEG). Send a smaller one."
        )


def _start(path: str | Path) -> bytes:
    """Return the bytes of a small file; for a large one, just enough to show that it is large."""
    with open(open_regular(path), "rb", buffering=0) as file:
        return file.read(jpeg.SMALL + 1)


def _describe(source: object) -> str:
    return f"image {Path(source).name!r}" if isinstance(source, str | Path) else "this image"


def size_of(path: str | Path) -> tuple[int, int] | None:
    """Return the width and height of an image file in pixels; None if it cannot be read."""
    try:
        if (content := read_member(path)) is not None:
            with Image.open(BytesIO(content)) as image:
                return image.size
        with open(open_regular(path), "rb") as file, Image.open(file) as image:
            return image.size
    except (KzooError, OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
        return None


def from_array(array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Return an array (H0, W0), (H0, W0, C0) of pixels 0..255 as (H, W, C), in uint8 unless the shape already fits."""
    if array.ndim == 2:
        array = array[..., None]
    if array.shape == shape:
        return array
    pixels = np.clip(np.rint(array), 0, 255).astype("uint8")
    if array.shape[2] not in (1, 2, 3, 4):
        raise KzooError(
            f"An image array must have the shape (height, width, channels), with 1 to 4 channels. Got {array.shape}."
        )
    return _to_shape(Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels), shape)


def data_url(array: np.ndarray) -> JsonObject:
    """Return an image as a data URL, and whether it is small enough to keep its pixels."""
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
    small = max(picture.size) <= _LARGEST
    buffer = BytesIO()
    if small:
        picture.save(buffer, "PNG")
    else:
        picture.thumbnail((_THUMBNAIL, _THUMBNAIL))
        picture.save(buffer, "JPEG", quality=85)
    data = base64.b64encode(buffer.getvalue()).decode()
    return dict(url=f"data:image/{'png' if small else 'jpeg'};base64,{data}", small=small)


def _to_shape(image: Image.Image, shape: Sequence[int]) -> np.ndarray:
    height, width, channels = shape
    image = _eight_bit(image, MODES[channels])
    if image.size != (width, height):
        share = min(image.width / width, image.height / height)
        # rounding may exceed the image by the last bit, which Pillow refuses
        left = max((image.width - share * width) / 2, 0.0)
        top = max((image.height - share * height) / 2, 0.0)
        right = min(left + share * width, image.width)
        box = (left, top, right, min(top + share * height, image.height))
        image = image.resize((width, height), Image.Resampling.BILINEAR, box=box, reducing_gap=2.0)
    return np.frombuffer(image.tobytes(), "uint8").reshape(shape)


def dim_image_notes(sources: Sequence[ImageSource]) -> list[str]:
    """Return notes on images of 16 bits, and of floats, that use a small part of their range.

    Args:
        sources: paths, bytes or PIL images, some of which are checked; unreadable ones are skipped.
    """
    highest = 0
    bright = 0.0
    for source in sources[:: -(-len(sources) // _MAX_CHECKED) or 1]:
        with suppress(
            KzooError, OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError
        ):
            level = _highest(source)
            highest, bright = (
                (max(highest, level), bright)
                if isinstance(level, int)
                else (highest, max(bright, level))
            )
    lines = []
    if 0 < highest < _DIM:
        bits = max(highest.bit_length(), 8)
        lines.append(
            f"The largest value of 16-bit images is {highest:,} of 65,535, read as {highest / 257:.0f} of 255. If they "
            f"have {bits} bits, multiply them by {2 ** (16 - bits)}."
        )
    if 1 < bright < _DIM_FLOAT:
        lines.append(
            f"The largest value of float images is {bright:.3g} of 255: they look black. Images in 0..1 are multiplied "
            "by 255, others are not scaled. Scale them to 0..1 or to 0..255."
        )
    return lines


def _highest(source: ImageSource) -> float:
    """Return the largest value of an image of 16 bits or of floats; 0 for any other, judged by the first bytes."""
    if isinstance(source, Image.Image):
        if source.mode == "F":
            return float(np.max(np.asarray(source)))
        return int(np.max(np.asarray(source))) if source.mode.startswith("I") else 0
    if not (
        source.startswith(_DEEP_SIGNATURES)
        if isinstance(source, bytes)
        else str(source).lower().endswith(_DEEP_NAMES)
    ):
        return 0
    if not isinstance(source, bytes) and (content := read_member(source)) is not None:
        source = content
    if not isinstance(source, bytes):
        check_regular(source)
    with Image.open(
        BytesIO(source) if isinstance(source, bytes) else source, formats=("PNG", "TIFF")
    ) as image:
        return _highest(image)


def _eight_bit(image: Image.Image, mode: str) -> Image.Image:
    """Convert to L, RGB or RGBA. 16 bits become 8 by dividing; Pillow alone would clip at 255.

    Raises:
        ValueError: values of 32 bits are out of range, or not finite.
    """
    if image.mode == mode and "transparency" not in image.info:
        return image
    # I;16 in either byte order, and I, into which Pillow reads 16-bit grey
    if image.mode.startswith("I"):
        image = Image.fromarray(
            (_check_range(np.asarray(image), 65535) / 257).round().astype("uint8")
        )
    elif image.mode == "F":
        values = _check_range(np.asarray(image), 255)
        image = Image.fromarray((values * (255 if values.max() <= 1 else 1)).astype("uint8"))
    if mode != "RGBA" and (
        image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
    ):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(mode)


def _check_range(values: np.ndarray, most: float) -> np.ndarray:
    if bad := int(np.count_nonzero(~np.isfinite(values))):
        raise ValueError(
            f"it has NaN or infinity in {bad:,} of {values.size:,} pixels. Fill them in and save it again"
        )
    low, high = values.min(), values.max()
    if low < 0 or high > most:
        raise ValueError(
            f"its pixels are in {low:g}..{high:g} instead of 0..{most}. Rescale them and save it again"
        )
    return values


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "not an image, or a format Pillow does not know"
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__

"""Fast decoding of small JPEG files, of which a folder may have very many: Pillow's decoder without `Image.open`.

Opening an image of 32x32 costs as much as decoding it. The same decoder gets the same bytes here, so the pixels are the
same; files that are unusual, damaged or rotated (by EXIF data) are left to `Image.open`.
"""

from functools import lru_cache

from PIL import Image

SMALL = 2**16  # bytes of a file
_MOST = 2**18  # pixels
# tables, restarts, JFIF and Adobe segments, comments: none rotates an image
_PLAIN = b"\xc4\xdb\xdd\xe0\xee\xfe"
_FRAMES = b"\xc0\xc1\xc2"  # baseline, extended, progressive
_SCAN = b"\xff\xda"
_MODES = {1: "L", 3: "RGB"}


def plain(data: bytes, *, below: int) -> Image.Image | None:
    """Return a small and ordinary JPEG as a PIL image; None if it needs `Image.open`.

    Args:
        data: the bytes of a file, or more than `SMALL` of them.
        below: exclusive upper limit of the shorter side in pixels; larger images are decoded at a fraction of their
            size.
    """
    if len(data) > SMALL:
        return None
    mode, (width, height) = _frame(data[: data.find(_SCAN) + 4])
    if mode is None or not 0 < width * height <= _MOST or min(width, height) >= below:
        return None
    try:
        return Image.frombytes(mode, (width, height), data, "jpeg", mode, "")
    except (ValueError, OSError):
        return None


@lru_cache(maxsize=32)
def _frame(data: bytes) -> tuple[str | None, tuple[int, int]]:
    """Return mode and size from the segments before the pixels; the mode is None if a segment is unknown.

    Images written by one program often begin with the same bytes, which are then parsed only once.
    """
    mode = None
    size = (0, 0)
    position = 2
    if not data.startswith(b"\xff\xd8"):
        return None, size
    while data[position : position + 1] == b"\xff" and position + 4 <= len(data):
        if data.startswith(_SCAN, position):
            return mode, size
        marker = data[position + 1]
        length = int.from_bytes(data[position + 2 : position + 4])
        if marker in _FRAMES and mode is None:
            # bits, height, width, layers, and three bytes of each
            frame = data[position + 4 : position + 2 + length]
            if len(frame) < 6 or len(frame) != 6 + 3 * frame[5] or frame[0] != 8:
                break
            mode = _MODES.get(frame[5])
            size = (int.from_bytes(frame[3:5]), int.from_bytes(frame[1:3]))
            if mode is None:
                break
        elif marker not in _PLAIN:
            break
        position += 2 + length
    return None, size

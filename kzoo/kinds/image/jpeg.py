"""Small JPEG files, of which a folder may hold very many: Pillow's decoder without what `Image.open` does around it.

Opening an image of 32x32 costs as much as its pixels. The same decoder gets the same bytes here, so the pixels are the
same; whatever is unusual, damaged or turned (by its EXIF data) is left to `Image.open`.
"""

from functools import lru_cache

from PIL import Image

SMALL = 2**16  # bytes of a file
_MOST = 2**18  # pixels
_PLAIN = b"\xc4\xdb\xdd\xe0\xee\xfe"  # tables, restarts, JFIF and Adobe's own segment, comments: none turns an image
_FRAMES = b"\xc0\xc1\xc2"  # baseline, extended, progressive
_SCAN = b"\xff\xda"
_MODES = {1: "L", 3: "RGB"}


def plain(data, *, below):
    """Return a small and ordinary JPEG as a PIL image; None where `Image.open` has to look.

    Args:
        data: the bytes of a file, or more than `SMALL` of them.
        below: pixels that the shorter side is less than; a larger one is decoded at a part of its size.
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
def _frame(data):
    """Return mode and size by the segments before the pixels; a mode of None where one of them is not known.

    What wrote a folder's images often began each of them with the same bytes, which are then looked through once.
    """
    mode, size, at = None, (0, 0), 2
    if not data.startswith(b"\xff\xd8"):
        return None, size
    while data[at : at + 1] == b"\xff" and at + 4 <= len(data):
        if data.startswith(_SCAN, at):
            return mode, size
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4])
        if marker in _FRAMES and mode is None:
            frame = data[at + 4 : at + 2 + length]  # bits, height, width, layers, and three bytes of each
            if len(frame) < 6 or len(frame) != 6 + 3 * frame[5] or frame[0] != 8:
                break
            mode, size = _MODES.get(frame[5]), (int.from_bytes(frame[3:5]), int.from_bytes(frame[1:3]))
            if mode is None:
                break
        elif marker not in _PLAIN:
            break
        at += 2 + length
    return None, size

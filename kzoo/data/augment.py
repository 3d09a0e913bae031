"""Random changes to training images, as a pure function of (seed, epoch, index).

The random numbers of an example are a hash of (seed, epoch, its index) rather than the next ones of a generator: an
example gets the same change whatever its batch, thread or process, and a run that resumes in the middle of an epoch
gets the same images. Only "mixup" and "cutmix" also depend on the batch, because partners are taken from it.
"""

from collections.abc import Collection, Sequence

import numpy as np

from kzoo.utils.errors import KzooError
from kzoo.zoo.registry import hint

AUGMENTATIONS = {
    "flip": "mirror left and right, every second time",
    "alternate": "mirror left and right, each image in every second epoch (arXiv:2404.00498)",
    "shift": "move by up to 1/8 of the side in both directions; the border is mirrored",
    "nudge": "the same by up to 1/16",
    "rotate": "turn by up to 15 degrees either way; the border is mirrored",
    "zoom": "enlarge or shrink by up to 10 %",
    "erase": "cover a random rectangle with one random colour, every second time (arXiv:1708.04896)",
    "mixup": "blend pairs of images and their labels (arXiv:1710.09412)",
    "cutmix": "paste a rectangle of another image and share the labels by area (arXiv:1905.04899)",
}
MIXES = ("mixup", "cutmix")  # need one-hot labels

_SHIFT = 4 / 32  # the padding and crop of the CIFAR papers, as a share of the side
_NUDGE = 2 / 32  # that of airbench
_ROTATE = np.deg2rad(15)
_ZOOM = 0.1
_ERASE_AREA = (0.02, 0.4)
_ERASE_ASPECT = (0.3, 1 / 0.3)
_MIXUP_ALPHA = 0.2
_PIXELS_AT_ONCE = 16384  # keeps intermediate arrays small: measured 2 to 3 times as fast as 250,000

# Every augmentation has its own columns of random numbers, so adding one does not change those of the others.
_FLIP = 0
_SHIFT_Y = 1
_SHIFT_X = 2
_ROTATE_BY = 3
_ZOOM_BY = 4
_ERASE = slice(5, 10)
_COLOUR = slice(10, 14)
_DRAWS = 14


def check_augmentations(names: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names as a tuple.

    Raises:
        KzooError: a name is not in `AUGMENTATIONS`, or two exclude each other.
    """
    names = (names,) if isinstance(names, str) else tuple(names or ())
    for name in names:
        if name not in AUGMENTATIONS:
            raise KzooError(
                f"Unknown augmentation {name!r}. {hint(name, AUGMENTATIONS)}Use any of: {', '.join(AUGMENTATIONS)}.",
                value=name,
            )
    for first, second in (("flip", "alternate"), ("shift", "nudge")):
        if {first, second} <= set(names):
            raise KzooError(
                f"Augmentations {first!r} and {second!r} are variants of the same change. Use only one of them."
            )
    return names


def augment(
    images: np.ndarray,
    *,
    names: Sequence[str],
    seed: int,
    epoch: int,
    indices: np.ndarray,
    labels: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Change a batch of images at random, the same way for the same (seed, epoch, index).

    "flip" or "alternate", "shift" or "nudge", "rotate" and "zoom" are one step, so that an image is resampled at most
    once; "erase" follows, and last "mixup" or "cutmix" (with both, each batch gets one of them).

    Args:
        images: (B, H, W, C), uint8 or float, 0..255; not modified.
        names: some of `AUGMENTATIONS`.
        seed, epoch: non-negative integers.
        indices: (B,) indices of the examples in the training split.
        labels: (B, K) one-hot labels, or targets, as floats; only needed by "mixup" and "cutmix".

    Returns:
        images float32 (B, H, W, C) and the labels, mixed if requested.

    Raises:
        KzooError: unknown name, or a mix without one-hot labels.
    """
    names = check_augmentations(names)
    images, indices = np.asarray(images), np.asarray(indices)
    if not names or not len(images):
        return images.astype("float32"), labels
    draws = uniforms(seed=seed, epoch=epoch, indices=indices, count=_DRAWS)
    if "alternate" in names:
        draws[:, _FLIP] = ~alternates(seed=seed, epoch=epoch, indices=indices)
        names = (*names, "flip")
    images = _move(images, names, draws)
    if "erase" in names:
        _erase(images, draws)
    mixes = [name for name in names if name in MIXES]
    if mixes:
        images, labels = _mix(
            images, labels, mixes, np.random.default_rng([seed, epoch, int(indices[0])])
        )
    return images, labels


def alternates(*, seed: int, epoch: int, indices: np.ndarray) -> np.ndarray:
    """Return whether "alternate" mirrors each image (B,): in odd or even epochs, by a hash of (seed, index)."""
    odd = uniforms(seed=seed, epoch=0, indices=indices, count=1)[:, 0] < 0.5
    return odd ^ (epoch % 2 == 0)


def uniforms(*, seed: int, epoch: int, indices: np.ndarray, count: int) -> np.ndarray:
    """Return (B, count) numbers in [0, 1) that depend only on (seed, epoch, index): SplitMix64 as a hash."""
    state = _splitmix(np.array([seed], "uint64"))
    state = _splitmix(state + np.uint64(epoch))
    state = _splitmix(state + np.asarray(indices).astype("uint64"))
    state = _splitmix(state[:, None] + np.arange(count, dtype="uint64"))  # (B, count)
    return (state >> np.uint64(11)) * 2.0**-53


def _splitmix(x: np.ndarray) -> np.ndarray:
    """Return one step of SplitMix64 on an array, whose overflow is silent: https://prng.di.unimi.it/splitmix64.c."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _move(images: np.ndarray, names: Collection[str], draws: np.ndarray) -> np.ndarray:
    """Flip, shift, rotate and zoom in one step: by copying if whole pixels are enough, else by resampling."""
    count, height, width, _ = images.shape
    flips = draws[:, _FLIP] < 0.5 if "flip" in names else np.zeros(count, bool)
    share = _SHIFT if "shift" in names else _NUDGE if "nudge" in names else 0.0
    pads = [max(1, round(side * share)) if share else 0 for side in (height, width)]
    down, right = (
        np.floor(draws[:, column] * (2 * pad + 1)).astype(int) - pad
        for column, pad in zip((_SHIFT_Y, _SHIFT_X), pads, strict=True)
    )
    if "rotate" in names or "zoom" in names:
        angles = (2 * draws[:, _ROTATE_BY] - 1) * (_ROTATE if "rotate" in names else 0.0)
        zooms = 1 + (2 * draws[:, _ZOOM_BY] - 1) * (_ZOOM if "zoom" in names else 0.0)
        return _resample(images, flips, down, right, angles, zooms)
    if not any(pads) and not flips.any():
        return images.astype("float32")
    rows, columns = (
        _reflect(np.arange(-pad, side + pad), side).astype(int)
        for side, pad in zip((height, width), pads, strict=True)
    )
    padded = images.take(rows, axis=1).take(columns, axis=2)
    moved = np.empty(images.shape, "float32")
    # Whole slices are copied: measured 5 times as fast as one index array over the batch.
    for i, (y, x, flip) in enumerate(zip(down + pads[0], right + pads[1], flips, strict=True)):
        crop = padded[i, y : y + height, x : x + width]
        moved[i] = crop[:, ::-1] if flip else crop
    return moved


def _resample(
    images: np.ndarray,
    flips: np.ndarray,
    down: np.ndarray,
    right: np.ndarray,
    angles: np.ndarray,
    zooms: np.ndarray,
) -> np.ndarray:
    """Sample every output pixel at its origin, bilinear, once for all four changes."""
    moved = np.empty(images.shape, "float32")
    chunk = max(1, _PIXELS_AT_ONCE // (images.shape[1] * images.shape[2]))
    for start in range(0, len(images), chunk):
        part = slice(start, start + chunk)
        origins = _origins(
            images.shape[1:3], *(change[part] for change in (flips, down, right, angles, zooms))
        )
        _read_at(*origins, images[part], into=moved[part])
    return moved


def _origins(
    size: tuple[int, int],
    flips: np.ndarray,
    down: np.ndarray,
    right: np.ndarray,
    angles: np.ndarray,
    zooms: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the origin of every output pixel: y and x, which broadcast to (B, H, W)."""
    height, width = size
    across = np.arange(width, dtype="float32") - (width - 1) / 2  # pixels from the centre
    across = np.where(flips[:, None], -across, across)[:, None, :]  # (B, 1, W)
    upright = (np.arange(height, dtype="float32") - (height - 1) / 2)[None, :, None]
    cos, sin = ((f(angles) / zooms).astype("float32")[:, None, None] for f in (np.cos, np.sin))
    y, x = cos * upright, cos * across  # without rotation, each row has one y and each column one x
    if sin.any():
        y = y - sin * across
        x = sin * upright + x
    y += (down + (height - 1) / 2).astype("float32")[:, None, None]
    x += (right + (width - 1) / 2).astype("float32")[:, None, None]
    return y, x


def _read_at(y: np.ndarray, x: np.ndarray, images: np.ndarray, into: np.ndarray) -> None:
    """Write images into `into`, each pixel interpolated between the four around its origin (y, x).

    The channels are separate arrays, because NumPy is fast on long rows.
    """
    count, height, width, channels = images.shape
    planes = np.empty((channels, count * height * width), "float32")
    planes[:] = images.reshape(-1, channels).T
    (y0, y1, fy), (x0, x1, fx) = _neighbours(y, height), _neighbours(x, width)
    start = np.arange(0, planes.shape[1], height * width)[:, None, None]
    y0, y1 = start + y0 * width, start + y1 * width

    def flat(share: np.ndarray) -> np.ndarray:
        return np.broadcast_to(share, (count, height, width)).ravel()

    def row(row_start: np.ndarray) -> np.ndarray:
        left, right = (planes.take((row_start + column).ravel(), axis=1) for column in (x0, x1))
        return _blend(left, right, flat(fx))

    for channel, plane in enumerate(_blend(row(y0), row(y1), flat(fy))):
        into[..., channel] = plane.reshape(count, height, width)


def _blend(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return the first array with this share of the second, in place; the second is overwritten."""
    second -= first
    first += second * share  # in double precision, rounded once: resumed runs depend on these bits
    return first


def _neighbours(coordinates: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return both integer neighbours of each coordinate and its fraction towards the second, in double precision."""
    coordinates = _reflect(coordinates, side)
    low = coordinates.astype("int32")
    return low.astype("int64"), np.minimum(low + 1, side - 1).astype("int64"), coordinates - low


def _reflect(coordinates: np.ndarray, side: int) -> np.ndarray:
    """Mirror coordinates at the centers of the border pixels; beyond one mirror image, clip to the border."""
    last = side - 1
    return np.clip(last - np.abs(last - np.abs(coordinates)), 0, last)


def _erase(images: np.ndarray, draws: np.ndarray) -> None:
    """Fill a rectangle of every second image with one colour, in place (arXiv:1708.04896)."""
    _, height, width, channels = images.shape
    chance, area, aspect, at_y, at_x = draws[:, _ERASE].T
    area = (_ERASE_AREA[0] + area * (_ERASE_AREA[1] - _ERASE_AREA[0])) * height * width
    low, high = np.log(_ERASE_ASPECT)
    aspect = np.exp(low + aspect * (high - low))  # log-uniform: tall as often as wide
    tall = np.clip(np.rint(np.sqrt(area * aspect)), 1, height).astype(int)
    wide = np.clip(np.rint(np.sqrt(area / aspect)), 1, width).astype(int)
    tops = (at_y * (height - tall + 1)).astype(int)
    lefts = (at_x * (width - wide + 1)).astype(int)
    colours = draws[:, _COLOUR][:, :channels] * 255
    for i in np.flatnonzero(chance < 0.5):
        images[i, tops[i] : tops[i] + tall[i], lefts[i] : lefts[i] + wide[i]] = colours[i]


def _mix(
    images: np.ndarray, labels: np.ndarray | None, mixes: Sequence[str], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Mix every image with a partner from its batch, and the labels in the same proportion."""
    if labels is None or np.ndim(labels) != 2:
        raise KzooError(f"Augmentation {mixes[0]!r} needs one-hot labels. Set labels='onehot'.")
    labels = np.asarray(labels, "float32")
    count, height, width, _ = images.shape
    partner = rng.permutation(count)
    if mixes[int(rng.integers(len(mixes)))] == "mixup":
        share = np.asarray(rng.beta(_MIXUP_ALPHA, _MIXUP_ALPHA, count), "float32")
        images = images + (images[partner] - images) * (1 - share)[:, None, None, None]
    else:
        side = np.sqrt(rng.random(count))  # of the rectangle; its area is uniform: Beta(1, 1)
        spans = []
        for length in (height, width):
            centre = rng.integers(length, size=count)
            half = np.rint(side * length / 2)
            positions = np.arange(length)
            spans.append(
                (positions >= (centre - half)[:, None]) & (positions < (centre + half)[:, None])
            )
        inside = spans[0][:, :, None] & spans[1][:, None, :]  # (B, H, W)
        images = np.where(inside[..., None], images[partner], images)
        # by the pasted area, which the border may clip
        share = 1 - inside.mean((1, 2), dtype="float32")
    return images, labels + (labels[partner] - labels) * (1 - share)[:, None]

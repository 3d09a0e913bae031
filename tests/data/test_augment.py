"""Augmentation depends only on seed, epoch and index, and each change does what its name promises."""

import numpy as np
import pytest
from messages import refuses
from scipy import ndimage

from kzoo.data.augment import AUGMENTATIONS, _resample, augment, uniforms

COUNT = 64
RNG = np.random.default_rng(7)
PHOTOS = RNG.integers(0, 256, (COUNT, 32, 24, 3), "uint8")
PURE = ("flip", "shift", "rotate", "zoom", "erase")
ALONE = ("alternate", "nudge")  # other versions of flip and shift


def change(*names, images=PHOTOS, seed=0, epoch=0, indices=None, labels=None):
    indices = np.arange(len(images)) if indices is None else indices
    return augment(images, names=names, seed=seed, epoch=epoch, indices=indices, labels=labels)


@pytest.mark.parametrize(
    "names", [*((n,) for n in (*PURE, *ALONE)), ("flip", "shift"), ALONE, PURE], ids="+".join
)
def test_changes_depend_only_on_seed_epoch_and_index(names):
    before = PHOTOS.copy()
    whole, _ = change(*names)
    assert whole.dtype == np.float32 and whole.shape == PHOTOS.shape
    order = RNG.permutation(COUNT)[:10]
    some, _ = change(*names, images=PHOTOS[order], indices=order)
    np.testing.assert_array_equal(some, whole[order])
    for other in (change(*names, epoch=1)[0], change(*names, seed=1)[0]):
        assert (other != whole).any()
    np.testing.assert_array_equal(PHOTOS, before)


def test_the_numbers_are_even_and_independent():
    draws = uniforms(seed=3, epoch=5, indices=np.arange(20_000), count=4)
    assert draws.min() >= 0 and draws.max() < 1
    for column in draws.T:
        counts = np.histogram(column, 20, (0, 1))[0]
        assert ((counts - 1000) ** 2 / 1000).sum() < 50  # chi-squared with 19 degrees: 1 in 10,000
    following = uniforms(seed=3, epoch=6, indices=np.arange(20_000), count=4)
    columns = np.concatenate([draws, following, np.roll(draws, 1, axis=0)], axis=1)
    correlation = np.corrcoef(columns.T) - np.eye(12)
    assert np.abs(correlation).max() < 0.03


def test_flip_mirrors_about_half_and_leaves_the_rest():
    flipped, _ = change("flip")
    mirrored = (flipped == PHOTOS[:, :, ::-1]).all((1, 2, 3))
    assert (mirrored | (flipped == PHOTOS).all((1, 2, 3))).all()
    assert 20 < mirrored.sum() < 44


def test_alternate_mirrors_each_image_in_every_second_epoch():
    epochs = np.array(
        [(change("alternate", epoch=e)[0] == PHOTOS[:, :, ::-1]).all((1, 2, 3)) for e in range(6)]
    )
    for e, mirrored in enumerate(epochs):
        as_is = (change("alternate", epoch=e)[0] == PHOTOS).all((1, 2, 3))
        np.testing.assert_array_equal(as_is, ~mirrored)
    assert (
        (epochs[0] ^ epochs[1]).all()
        and (epochs[:2] == epochs[2:4]).all()
        and (epochs[:2] == epochs[4:]).all()
    )
    assert 20 < epochs[0].sum() < 44
    assert (change("alternate", seed=1)[0] != change("alternate")[0]).any()


@pytest.mark.parametrize(("name", "pads"), [("shift", (4, 3)), ("nudge", (2, 2))])
def test_shift_is_a_crop_of_the_mirrored_border(name, pads):
    shifted, _ = change(name)
    padded = np.pad(PHOTOS, ((0, 0), *((pad, pad) for pad in pads), (0, 0)), mode="reflect")
    offsets = {}
    heights, widths = (range(2 * pad + 1) for pad in pads)
    for y in heights:
        for x in widths:
            same = (padded[:, y : y + 32, x : x + 24] == shifted).all((1, 2, 3))
            offsets |= {i: (y, x) for i in np.flatnonzero(same)}
    assert len(offsets) == COUNT
    assert {y for y, _ in offsets.values()} == set(heights) and {
        x for _, x in offsets.values()
    } == set(widths)


@pytest.mark.parametrize("names", [("flip", "alternate"), ("shift", "nudge")], ids="+".join)
def test_two_versions_of_the_same_change_are_refused(names):
    with refuses(*map(repr, names)):
        change(*names)


def test_small_images_move_by_at_least_one_pixel():
    shifted, _ = change("shift", images=PHOTOS[:, :5, :5])
    assert (shifted != PHOTOS[:, :5, :5]).any((1, 2, 3)).mean() > 0.5


def test_rotate_and_zoom_stay_in_their_range_and_use_it():
    ramp = np.broadcast_to(100 + 2.0 * np.arange(32)[None, None, :, None], (COUNT, 32, 32, 1))
    images, _ = change("rotate", "zoom", images=ramp)
    centre = images[:, 10:22, 10:22, 0]
    right = np.diff(centre, axis=2).mean((1, 2))
    down = np.diff(centre, axis=1).mean((1, 2))
    angles = np.degrees(np.arctan2(down, right))
    zooms = 2 / np.hypot(down, right)
    assert np.abs(angles).max() < 15.01 and angles.min() < -10 and angles.max() > 10
    assert zooms.min() > 0.899 and zooms.max() < 1.101 and np.ptp(zooms) > 0.15
    turned, _ = change("rotate", images=ramp)
    np.testing.assert_allclose(
        np.hypot(np.diff(turned[:, 16, 10:22, 0]).mean(1), down), 2, rtol=0.2
    )


def test_resampling_agrees_with_scipy():
    few = PHOTOS[:6]
    flips = np.array([False, True] * 3)
    down = np.array([0, 1, -2, 3, 0, -4])
    right = np.array([0, 0, 3, -1, 2, -3])
    angles = np.deg2rad([0, 15, -15, 7, -3, 0])
    zooms = np.array([1, 0.9, 1.1, 1, 1.05, 1])
    got = _resample(few, flips, down, right, angles, zooms)
    for i, image in enumerate(few.astype(float)):
        turn = np.array(
            [[np.cos(angles[i]), -np.sin(angles[i])], [np.sin(angles[i]), np.cos(angles[i])]]
        )
        matrix = turn / zooms[i] @ np.diag([1, -1 if flips[i] else 1])
        middle = np.array([31 / 2, 23 / 2])
        offset = middle + np.array([down[i], right[i]]) - matrix @ middle
        want = [
            ndimage.affine_transform(image[..., c], matrix, offset, order=1, mode="mirror")
            for c in range(3)
        ]
        np.testing.assert_allclose(got[i], np.stack(want, -1), atol=0.02)


@pytest.mark.parametrize("names", [("zoom",), ("flip", "shift", "rotate", "zoom")], ids="+".join)
@pytest.mark.parametrize("shape", [(1, 7, 1), (5, 3, 3), (13, 20, 2), (16, 16, 4)], ids=str)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_resampling_gives_the_same_bits_in_resumed_runs(names, shape, dtype):
    """One pixel after the other, with differences in single precision and the blend in double, rounded once."""
    images = (
        RNG.integers(0, 256, (40, *shape)) + (RNG.random((40, *shape)) if dtype == "float32" else 0)
    ).astype(dtype)
    height, width, _ = shape
    draws = uniforms(seed=4, epoch=2, indices=np.arange(40), count=5)
    got, _ = augment(images, names=names, seed=4, epoch=2, indices=np.arange(40))
    for i in (0, 39):
        flip = "flip" in names and draws[i, 0] < 0.5
        pads = [max(1, round(side / 8)) if "shift" in names else 0 for side in (height, width)]
        down, right = (
            np.floor(draws[i, 1 + axis] * (2 * pad + 1)) - pad for axis, pad in enumerate(pads)
        )
        angle = (2 * draws[i, 3] - 1) * np.deg2rad(15) * ("rotate" in names)
        zoom = 1 + (2 * draws[i, 4] - 1) * 0.1
        cos, sin = np.float32(np.cos(angle) / zoom), np.float32(np.sin(angle) / zoom)
        for row in range(height):
            for column in range(width):
                up = np.float32(row - (height - 1) / 2)
                across = np.float32(column - (width - 1) / 2) * np.float32(-1 if flip else 1)
                y = cos * up - sin * across + np.float32(down + (height - 1) / 2)
                x = sin * up + cos * across + np.float32(right + (width - 1) / 2)
                y, x = (
                    np.clip(last - np.abs(last - np.abs(at)), 0, last)
                    for at, last in ((y, np.float32(height - 1)), (x, np.float32(width - 1)))
                )
                y0, x0 = int(y), int(x)
                y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
                pixels = images[i].astype("float32")
                upper, lower = (
                    mix(pixels[at, x0], pixels[at, x1], float(x) - x0) for at in (y0, y1)
                )
                np.testing.assert_array_equal(got[i, row, column], mix(upper, lower, float(y) - y0))


def mix(first, second, share):
    return (first.astype("float64") + (second - first).astype("float64") * share).astype("float32")


def test_resampling_without_rotation_is_a_copy():
    few = PHOTOS[:9]
    zeros = np.zeros(9)
    args = few, np.arange(9) % 2 == 0, np.arange(9) - 4, np.arange(9) % 7 - 3
    np.testing.assert_array_equal(
        _resample(*args[:1], np.zeros(9, bool), *[zeros] * 3, zeros + 1), few
    )
    padded = np.pad(few, ((0, 0), (4, 4), (3, 3), (0, 0)), mode="reflect")
    for i, moved in enumerate(_resample(*args, zeros, zeros + 1)):
        crop = padded[i, i : i + 32, i % 7 : i % 7 + 24]
        np.testing.assert_array_equal(moved, crop[:, ::-1] if i % 2 == 0 else crop)


def test_another_augmentation_does_not_change_the_draws_of_the_others():
    left_dark = np.zeros((COUNT, 32, 32, 1), "uint8")
    left_dark[:, :, 16:] = 200
    flipped = change("flip", images=left_dark)[0][:, 16, 4, 0] > 100
    both = change("flip", "rotate", "erase", images=left_dark)[0]
    erased = (both != change("flip", "rotate", images=left_dark)[0]).any((1, 2, 3))
    np.testing.assert_array_equal((both[:, 16, 4, 0] > 100)[~erased], flipped[~erased])


def test_erase_covers_a_rectangle_of_every_second_image():
    erased, _ = change("erase", images=np.full((400, 32, 32, 3), 7.5, "float32"))
    changed = (erased != 7.5).any(-1)
    hit = changed.any((1, 2))
    assert 160 < hit.sum() < 240
    for mask, image in zip(changed[hit], erased[hit], strict=True):
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        assert (
            mask.sum() == len(rows) * len(columns) == np.ptp(rows + 1) * len(columns) + len(columns)
        )
        assert 0.01 < mask.mean() < 0.45
        assert len(np.unique(image[mask], axis=0)) == 1


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_mixes_share_the_labels_as_they_share_the_pixels(name):
    level = 4.0 * np.arange(COUNT)  # the brightness shows which images are mixed
    images = np.broadcast_to(level[:, None, None, None], (COUNT, 32, 32, 1)).astype("float32")
    mixed, labels = change(name, images=images, labels=np.eye(COUNT, dtype="float32"))
    np.testing.assert_allclose(labels.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(mixed.mean((1, 2, 3)), labels @ level, atol=1e-2)
    assert ((labels > 0).sum(1) <= 2).all() and ((labels > 0.05).sum(1) == 2).sum() > 10
    within = (np.ptp(mixed, axis=(1, 2, 3)) > 0).sum()
    assert within == 0 if name == "mixup" else within > 30
    again = change(name, images=images, labels=np.eye(COUNT, dtype="float32"))
    np.testing.assert_array_equal(again[0], mixed)
    np.testing.assert_array_equal(again[1], labels)


def test_each_batch_gets_either_of_two_mixes():
    images = np.broadcast_to(4.0 * np.arange(COUNT)[:, None, None, None], (COUNT, 16, 16, 1))
    cut = []
    for epoch in range(20):
        mixed, labels = change("mixup", "cutmix", images=images, labels=np.eye(COUNT), epoch=epoch)
        assert ((labels > 0).sum(1) <= 2).all()
        cut.append(bool(np.ptp(mixed, axis=(1, 2, 3)).any()))
    assert 4 < sum(cut) < 16


def test_mixes_need_onehot_labels():
    for labels in (None, np.arange(COUNT)):
        with refuses("'mixup'", "one-hot", "labels='onehot'"):
            change("mixup", labels=labels)


def test_an_unknown_name_is_refused_with_the_nearest_name():
    with refuses("augmentation", "'flop'", "'flip'", "cutmix"):
        change("flop")
    with refuses("augmentation", "3", "cutmix"):
        change(3)


def test_without_augmentations_only_the_type_changes():
    images, labels = change(labels=np.arange(COUNT))
    np.testing.assert_array_equal(images, PHOTOS)
    assert images.dtype == np.float32 and labels.dtype.kind == "i"
    assert all(AUGMENTATIONS.values())
